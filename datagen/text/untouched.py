"""What a translation must leave as it is: code, placeholders, URLs and numbers. Pure and linear in the texts."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import NamedTuple

# In this order, and each outside of what an earlier one took: a number in a URL is the URL's.
_KINDS = {
    "code": re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL),
    "url": re.compile(
        r"(?:https?://|www\.)[^\s<>\"'`)\]}]*[^\s<>\"'`)\]}.,;:!?]|[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{0,64}\w"
    ),
    "placeholder": re.compile(
        r"\{\{[^{}\n]{1,60}\}\}|\$?\{[^{}\n]{1,60}\}|%(?:\(\w{1,60}\))?[sdif]\b|\[[A-Z][A-Z0-9_]{0,60}\]"
        r"|</?[A-Za-z][\w-]{0,40}(?:\s[^<>\n=]{1,40}=[^<>\n]{1,200})?\s?/?>"
    ),
}
_NUMBER = re.compile(r"\d+(?:[.,'’٫٬\u00a0\u202f]\d+)*")
_SPACED = re.compile(r"(?<!\d)\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?!\d)")


class Lost(NamedTuple):
    """What is missing from a translation: ``code``, ``url``, ``placeholder`` or ``number``, and its text."""

    kind: str
    text: str


def lost(source: str, translation: str) -> list[Lost]:
    """What the source holds and its translation does not, or less often.

    Numbers count by their digits: 1,234.5 may become 1.234,5 or 1 234,5, and digits may be those of another script. A
    number that the translation spells out is lost.
    """
    missing = []
    for kind, pattern in _KINDS.items():
        held = Counter(pattern.findall(source))
        missing += [Lost(kind, text) for text, times in held.items() if translation.count(text) < times]
        source = pattern.sub(" ", source)
    given = Counter(map(_digits, _NUMBER.findall(translation)))
    given |= Counter(map(_digits, _SPACED.findall(translation)))
    wanted = _NUMBER.findall(source)
    counts = Counter(map(_digits, wanted))
    return missing + [
        Lost("number", text) for text in dict.fromkeys(wanted) if given[_digits(text)] < counts[_digits(text)]
    ]


def prose(text: str) -> str:
    """The text without all that a translation must leave as it is."""
    for pattern in (*_KINDS.values(), _NUMBER):
        text = pattern.sub(" ", text)
    return text


def _digits(number: str) -> str:
    return "".join(str(unicodedata.decimal(character)) for character in number if character.isdecimal())
