"""Rules that need no model and no other row: length, keywords, repetition, form. A rule gives a row's flaw, or None.

Each is a struct, so that a YAML file of rules is checked against their fields (`seeds/rules/`).
"""

from __future__ import annotations

import functools
import re
import string
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.text.tokens import token_counter
from datagen.text.words import UNSPACED, Scope, scoped, words

Flawed = Literal[
    "empty_answer", "wordless_answer", "answer_is_input", "unfinished_input", "unfinished_answer", "cut_off",
    "punctuation_start", "non_ascii_start",
]  # fmt: skip
_REPEATED_ONE = re.compile(r"(?:^|\n)1\. [^\n]*(?:\n(?!2\.)[^\n]*)*?\n1\. ")
_LIST_LINE = re.compile(r"\s*(?:[-*•+|#>]|\d{1,3}[.):])")
_MIN_CUT_OFF_WORDS = 40
_LINE_BYTES = (
    16  # shorter ones are labels and closing brackets; in bytes, since fewer characters say as much in Chinese
)


class Flaw(NamedTuple):
    """Why a row is dropped, and what shows it."""

    why: str
    evidence: dict[str, Any]


class Length(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="length"):
    """Within limits, inclusive. Words are what whitespace parts; tokens need a ``tokenizer`` (a model)."""

    of: Scope = "instruction"
    min_words: int | None = None
    max_words: int | None = None
    min_chars: int | None = None
    max_chars: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        if self.tokenizer is None and (self.min_tokens is not None or self.max_tokens is not None):
            raise ValueError("min_tokens and max_tokens need a tokenizer, such as tiny-base or a model's path")

    def flaw(self, record: Record) -> Flaw | None:
        """``too_short`` or ``too_long``, with the counts."""
        text = scoped(record, self.of)
        counts = {"words": len(text.split()), "chars": len(text)}
        if self.tokenizer is not None:
            counts["tokens"] = token_counter(self.tokenizer)(text)
        limits = {
            "words": (self.min_words, self.max_words),
            "chars": (self.min_chars, self.max_chars),
            "tokens": (self.min_tokens, self.max_tokens),
        }
        for unit, count in counts.items():
            least, most = limits[unit]
            if least is not None and count < least:
                return Flaw("too_short", counts)
            if most is not None and count > most:
                return Flaw("too_long", counts)
        return None


class Keywords(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="keywords"):
    """None of the words ``drop``, nor ``start`` at the beginning: whole words, ``file*`` for all that begin so.

    In scripts without spaces a word has no borders, and is found inside others.
    """

    of: Scope = "instruction"
    drop: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    match_case: bool = False

    def __post_init__(self) -> None:
        if not self.drop and not self.start:
            raise ValueError("name words to drop, or to start with")
        if any(not keyword.strip(" *") for keyword in (*self.drop, *self.start)):
            raise ValueError("a keyword is empty")

    def flaw(self, record: Record) -> Flaw | None:
        """``keyword`` or ``start``, with the words that matched."""
        text = scoped(record, self.of)
        if self.drop and (found := _search(self.drop, self.match_case, text)):
            return Flaw("keyword", {"matched": found.group()})
        if self.start and (found := _pattern(self.start, self.match_case).match(text.lstrip())):
            return Flaw("start", {"matched": found.group()})
        return None


class Repetition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="repetition"):
    """Nothing said over and over: n-grams or lines that stood before, up to a share; a list that only counts 1.

    Gopher (arXiv 2112.11446) measures both by characters and on web pages, and allows less; here words, since answers
    are short, and songs have choruses. The list is the one that FastChat drops for Vicuna.
    """

    of: Scope = "answer"
    ngram: int = 5
    max_ngram_share: float | None = 0.4
    max_line_share: float | None = 0.5
    min_words: int = 30
    repeated_list: bool = True

    def __post_init__(self) -> None:
        if self.ngram < 1:
            raise ValueError(f"ngram: an n-gram has at least 1 word, not {self.ngram}")
        for name, share in (("max_ngram_share", self.max_ngram_share), ("max_line_share", self.max_line_share)):
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name}: {share} is no share from 0 to 1")

    def flaw(self, record: Record) -> Flaw | None:
        """``repeated_ngram`` or ``repeated_line`` with the most frequent and the share, or ``repeated_list``."""
        text = scoped(record, self.of)
        if self.repeated_list and text.count("1. ") > 1 and (shape := _REPEATED_ONE.search(text)):
            return Flaw("repeated_list", {"matched": shape.group().strip()[:200]})
        if len(text) < 2 * self.min_words:
            return None
        lines = [
            line for line in map(str.strip, text.splitlines()) if len(line.encode("utf-8", "replace")) >= _LINE_BYTES
        ]
        share = _share_seen_before(lines)
        if self.max_line_share is not None and share > self.max_line_share:
            return _repeated("repeated_line", lines, share)
        tokens = text.split() if len(text) < 12 * text.count(" ") else words(text)
        if self.max_ngram_share is None or len(tokens) < self.min_words:
            return None
        runs = list(zip(*(tokens[at:] for at in range(self.ngram)), strict=False))
        share = _share_seen_before(runs)
        if share <= self.max_ngram_share:
            return None
        return _repeated("repeated_ngram", [" ".join(run) for run in runs], share)


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag="form"):
    """An answer that is there and finished, an instruction that begins as one should; ``without`` names the flaws.

    ``unfinished_*`` ends with a colon, or within a code block; ``cut_off`` is a guess: a long text that ends without
    punctuation within a long line. What is an input is known where the source kept it apart (label ``input``).
    """

    without: tuple[Flawed, ...] = ("empty_answer", "answer_is_input", "unfinished_answer", "cut_off")

    def flaw(self, record: Record) -> Flaw | None:
        """The first of the flaws, with the end or the beginning that shows it."""
        answer, instruction = record.answer.strip(), record.instruction.strip()
        given = record.labels.get("input")
        text = given.strip() if isinstance(given, str) else ""
        for why in self.without:
            if why in ("punctuation_start", "non_ascii_start"):
                if instruction and _starts(instruction[0], why):
                    return Flaw(why, {"start": instruction[:60]})
            elif why == "unfinished_input":
                if text.endswith(":"):
                    return Flaw(why, {"end": text[-60:]})
            elif record.answers and _is_flawed(answer, text or instruction, why):
                return Flaw(why, {"end": answer[-60:]})
        return None


Rule = Length | Keywords | Repetition | Form


def read_rules(text: str, where: object) -> tuple[Rule, ...]:
    """The rules of a YAML file: a list under ``rules``. Raises ``ConfigError``."""
    import yaml

    try:
        document = yaml.safe_load(text)
        return msgspec.convert(document, _RuleFile).rules
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error


class _RuleFile(msgspec.Struct, forbid_unknown_fields=True):
    rules: tuple[Rule, ...]


def _starts(first: str, why: str) -> bool:
    return first in string.punctuation if why == "punctuation_start" else not first.isascii()


def _is_flawed(answer: str, given: str, why: str) -> bool:
    if why == "empty_answer":
        return not answer
    if why == "wordless_answer":
        return not words(answer)
    if why == "answer_is_input":
        return bool(answer) and answer.split() == given.split()
    if why == "unfinished_answer":
        return answer.endswith(":") or answer.count("```") % 2 == 1
    last = answer[answer.rfind("\n") + 1 :]
    is_prose = len(last.split()) > 10 and "#" not in last and not _LIST_LINE.match(last) and "```" not in answer
    return is_prose and answer[-1].isalnum() and len(answer.split()) >= _MIN_CUT_OFF_WORDS and ". " in answer


def _share_seen_before(parts: Sequence[Hashable]) -> float:
    return 1 - len(set(parts)) / len(parts) if parts else 0.0


def _repeated(why: str, parts: list[str], share: float) -> Flaw:
    most, times = Counter(parts).most_common(1)[0]
    return Flaw(why, {"share": round(share, 3), "most": most[:200], "times": times})


def _search(keywords: tuple[str, ...], match_case: bool, text: str) -> re.Match[str] | None:
    lower = text.lower()
    if not any(stem in lower for stem in _stems(keywords)):  # ten times as fast as the pattern, and most rows end here
        return None
    return _pattern(keywords, match_case).search(text)


@functools.lru_cache(maxsize=64)
def _stems(keywords: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(keyword.lower().removesuffix("*").split()[0] for keyword in keywords)


@functools.lru_cache(maxsize=64)
def _pattern(keywords: tuple[str, ...], match_case: bool) -> re.Pattern[str]:
    return re.compile("|".join(map(_bordered, keywords)), 0 if match_case else re.IGNORECASE)


def _bordered(keyword: str) -> str:
    """A keyword as whole words; the borders concern only what a border can be seen at."""
    word = keyword.removesuffix("*")
    spaced = re.compile(rf"[^\W{UNSPACED}]")
    before = rf"(?<![^\W{UNSPACED}])" if spaced.match(word) else ""
    after = rf"(?![^\W{UNSPACED}])" if spaced.match(word[-1:]) and not keyword.endswith("*") else ""
    return before + r"\s+".join(map(re.escape, word.split())) + after
