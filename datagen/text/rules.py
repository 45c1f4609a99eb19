"""Rules that need no model and no other row: length, keywords, repetition, form. A rule gives a row's flaw, or None.

Each is a struct, so that a YAML file of rules is checked against their fields (`seeds/rules/`).
"""

from __future__ import annotations

import functools
import itertools
import re
import string
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from datagen.document import parse
from datagen.errors import ConfigError
from datagen.record import Record
from datagen.text.keyword_search import pattern, searcher
from datagen.text.tokens import token_counter
from datagen.text.words import Scope, scoped, words

Flawed = Literal[
    "empty_answer", "wordless_answer", "answer_is_input", "unfinished_input", "unfinished_answer", "cut_off",
    "punctuation_start", "non_ascii_start",
]  # fmt: skip
_REPEATED_ONE = re.compile(r"(?:^|\n)1\. [^\n]*(?:\n(?!2\.)[^\n]*)*?\n1\. ")
_LIST_LINE = re.compile(r"\s*(?:[-*•+|#>]|\d{1,3}[.):])")
_PUNCTUATION = frozenset(string.punctuation)
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
        if self.tokenizer is None and self._surely_within(text):
            return None
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

    def _surely_within(self, text: str) -> bool:
        """Whether the first words and the number of characters show that the limits hold; most rows end here."""
        chars, least, most = len(text), self.min_words, self.max_words
        if (self.min_chars is not None and chars < self.min_chars) or (
            self.max_chars is not None and chars > self.max_chars
        ):
            return False
        if most is not None and chars >= 2 * most:  # n words and the space between them take 2n - 1 characters
            return False
        return least is None or least < 1 or len(text.split(None, least - 1)) >= least


class Keywords(msgspec.Struct, frozen=True, dict=True, forbid_unknown_fields=True, tag_field="rule", tag="keywords"):
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
        if self.drop and (found := self._search(text)):
            return Flaw("keyword", {"matched": found.group()})
        if self.start and (found := pattern(self.start, self.match_case).match(text.lstrip())):
            return Flaw("start", {"matched": found.group()})
        return None

    @functools.cached_property
    def _search(self) -> Callable[[str], re.Match[str] | None]:
        return searcher(self.drop, self.match_case)


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
        if self.max_line_share is not None and (repeated := _line_repeated(text, self.max_line_share)):
            return repeated
        if self.max_ngram_share is None:
            return None
        tokens = text.split() if len(text) < 12 * text.count(" ") else words(text)
        if len(tokens) < self.min_words or _is_varied(tokens, self.ngram, self.max_ngram_share):
            return None
        runs = list(zip(*(tokens[at:] for at in range(self.ngram)), strict=False))
        share = _share_seen_before(runs)
        if share <= self.max_ngram_share:
            return None
        return _repeated("repeated_ngram", [" ".join(run) for run in runs], share)


class Form(msgspec.Struct, frozen=True, dict=True, forbid_unknown_fields=True, tag_field="rule", tag="form"):
    """An answer that is there and finished, an instruction that begins as one should; ``without`` names the flaws.

    ``unfinished_*`` ends with a colon, or within a code block; ``cut_off`` is a guess: a long text that ends without
    punctuation within a long line. What is an input is known where the source kept it apart (label ``input``).
    """

    without: tuple[Flawed, ...] = ("empty_answer", "answer_is_input", "unfinished_answer", "cut_off")

    def flaw(self, record: Record) -> Flaw | None:
        """The first of the flaws, with the end or the beginning that shows it."""
        instruction, given = record.instruction.strip(), record.labels.get("input")
        answer = record.answer.strip() if record.answers else None
        text = given.strip() if isinstance(given, str) else ""
        for why, is_flawed, is_of_answer in self._tests:
            if is_of_answer:
                if answer is not None and is_flawed(answer, text or instruction):
                    return Flaw(why, {"end": answer[-60:]})
            elif is_flawed(instruction, text):
                return Flaw(why, {"end": text[-60:]} if why == "unfinished_input" else {"start": instruction[:60]})
        return None

    @functools.cached_property
    def _tests(self) -> list[tuple[str, Callable[[str, str], bool], bool]]:
        return [(why, (_OF_ANSWER | _OF_THE_REST)[why], why in _OF_ANSWER) for why in self.without]


Rule = Length | Keywords | Repetition | Form


def read_rules(text: str, where: object) -> tuple[Rule, ...]:
    """The rules of a YAML file: a list under ``rules``. Raises ``ConfigError``."""
    try:
        return msgspec.convert(parse(text, where), _RuleFile).rules
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error


class _RuleFile(msgspec.Struct, forbid_unknown_fields=True):
    rules: tuple[Rule, ...]


def _is_wordless(answer: str, _: str) -> bool:
    return not words(answer)


def _is_input(answer: str, given: str) -> bool:
    return answer[:1] == given[:1] and bool(answer) and answer.split() == given.split()


def _is_unfinished(answer: str, _: str) -> bool:
    return answer[-1:] == ":" or ("```" in answer and answer.count("```") % 2 == 1)


def _is_cut_off(answer: str, _: str) -> bool:
    if not answer[-1:].isalnum() or ". " not in answer:
        return False
    last = answer[answer.rfind("\n") + 1 :]
    is_prose = len(last.split()) > 10 and "#" not in last and not _LIST_LINE.match(last) and "```" not in answer
    return is_prose and len(answer.split()) >= _MIN_CUT_OFF_WORDS


# Flaws of an answer, given what it answers; both without the whitespace around them.
_OF_ANSWER: dict[str, Callable[[str, str], bool]] = {
    "empty_answer": lambda answer, _: not answer,
    "wordless_answer": _is_wordless,
    "answer_is_input": _is_input,
    "unfinished_answer": _is_unfinished,
    "cut_off": _is_cut_off,
}
# Flaws of an instruction and of its input, where that is known; both without the whitespace around them.
_OF_THE_REST: dict[str, Callable[[str, str], bool]] = {
    "unfinished_input": lambda _, given: given.endswith(":"),
    "punctuation_start": lambda instruction, _: instruction[:1] in _PUNCTUATION,
    "non_ascii_start": lambda instruction, _: not instruction[:1].isascii(),
}


def _line_repeated(text: str, most: float) -> Flaw | None:
    stripped = list(map(str.strip, text.splitlines()))
    if len(set(stripped)) == len(stripped):
        return None
    lines = [
        line for line in stripped if len(line) >= _LINE_BYTES or len(line.encode("utf-8", "replace")) >= _LINE_BYTES
    ]
    share = _share_seen_before(lines)
    return _repeated("repeated_line", lines, share) if share > most else None


def _is_varied(tokens: list[str], ngram: int, most: float) -> bool:
    """Whether so many different words, or pairs, stand there that at most the share ``most`` of n-grams can repeat.

    Each of the different words has a first place, and the n-gram that begins there is a new one; the last n - 1 places
    begin none. Counting words costs a fifth of counting n-grams, and nearly all texts end here.
    """
    count = len(tokens) - ngram + 1
    if count < 1 or 1 - (len(set(tokens)) - ngram + 1) / count <= most:
        return True
    return ngram > 1 and 1 - (len(set(itertools.pairwise(tokens))) - ngram + 2) / count <= most


def _share_seen_before(parts: Sequence[Hashable]) -> float:
    return 1 - len(set(parts)) / len(parts) if parts else 0.0


def _repeated(why: str, parts: list[str], share: float) -> Flaw:
    most, times = Counter(parts).most_common(1)[0]
    return Flaw(why, {"share": round(share, 3), "most": most[:200], "times": times})
