"""Keywords as whole words in a text: the pattern of a list of them, and a search that is fast where there are none."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from datagen.text.words import UNSPACED


def searcher(keywords: tuple[str, ...], match_case: bool) -> Callable[[str], re.Match[str] | None]:
    """Finds the first keyword of a text. Most texts hold none of the stems, which costs a tenth of the pattern."""
    words = {keyword.lower().removesuffix("*").split()[0] for keyword in keywords}
    stems = sorted(word for word in words if not any(other in word for other in words - {word}))
    whole = pattern(keywords, match_case)

    def search(text: str) -> re.Match[str] | None:
        lower = text.lower()
        for stem in stems:
            if stem in lower:
                return whole.search(text)
        return None

    return search


@functools.lru_cache(maxsize=64)
def pattern(keywords: tuple[str, ...], match_case: bool) -> re.Pattern[str]:
    """Keywords as whole words; the borders concern only what a border can be seen at.

    The border before a word stands once for all: no keyword without it begins with the same character.
    """
    spaced = re.compile(rf"[^\W{UNSPACED}]")
    words = [keyword for keyword in keywords if spaced.match(keyword)]
    other = [keyword for keyword in keywords if not spaced.match(keyword)]
    found = [rf"(?-i:(?<![^\W{UNSPACED}]))(?:{'|'.join(map(_ended, words))})"] if words else []
    return re.compile("|".join([*found, *map(_ended, other)]), 0 if match_case else re.IGNORECASE)


def _ended(keyword: str) -> str:
    word = keyword.removesuffix("*")
    is_open = keyword.endswith("*") or not re.match(rf"[^\W{UNSPACED}]", word[-1:])
    # Without regard to case the ranges of the border would take 10 ms to compile, and they know no case.
    return r"\s+".join(map(re.escape, word.split())) + ("" if is_open else rf"(?-i:(?![^\W{UNSPACED}]))")
