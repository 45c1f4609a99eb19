"""What an answer refuses: openings in which an assistant declines, moralises, names itself or has hit a limit.

XSTest (arXiv 2308.01263) matches a list of strings at the start. Here the opening is read by the acts in it instead:
declining is a first person, an inability and a verb of helping, in any wording; moralising is an opening that judges
the request, unless the request had asked for that. The English rules were developed on half of XSTest's human labels
and are measured on the other half (`benchmarks/refusal.py`); the other languages are known forms, not measured.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from datagen.text import refusal_phrases as phrases

Kind = Literal["full", "partial", "moralising", "self_identification", "rate_limit"]

_OPENING_CHARS, _WHOLE_CHARS, _LIMIT_CHARS = 420, 4000, 400
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")
_MIN_HELP_WORDS = 20
_CONTRACTIONS = {
    "’": "'",
    "can't": "cannot",
    "can not": "cannot",
    "won't": "will not",
    "n't": " not",
    "i'm": "i am",
    "'re ": " are ",
    "it's": "it is",
    "that's": "that is",
    "there's": "there is",
    "i'd": "i would",
}


class Refusal(NamedTuple):
    """``matched`` is the phrase as it stands in the answer, but for case, contractions and spaces."""

    kind: Kind
    matched: str


def find_refusal(answer: str, prompt: str = "") -> Refusal | None:
    """How the answer refuses the prompt; None where it does not.

    ``full`` and ``partial`` decline, and after a partial one help follows; ``moralising`` judges the request instead of
    doing it; ``self_identification`` says that an AI speaks, but does not decline. An answer that opens in another
    voice (a quotation, a letter, a speaker's name) refuses nothing.
    """
    opening = _plain(answer[:_OPENING_CHARS])
    limit = phrases.LIMITS.search(opening) if len(answer) < _LIMIT_CHARS else None
    if limit and not phrases.LIMITS.search(_plain(prompt)):
        return Refusal("rate_limit", limit.group())
    if phrases.ANOTHER_VOICE.match(opening):
        return None
    if declined := _first(phrases.DECLINES, phrases.DECLINES_ELSEWHERE, opening):
        helps = _helps(_plain(answer[:_WHOLE_CHARS])[declined.end() :])
        return Refusal("partial" if helps else "full", declined.group())
    judged = phrases.MORALISES.search(_first_statement(opening))
    if judged and not phrases.ASKS_FOR_MORALS.search(_plain(prompt)):
        return Refusal("moralising", judged.group())
    if named := _first(phrases.NAMES_ITSELF, phrases.NAMES_ITSELF_ELSEWHERE, opening):
        return Refusal("self_identification", named.group())
    return None


def _first(english: re.Pattern[str], elsewhere: re.Pattern[str], opening: str) -> re.Match[str] | None:
    found = english.search(opening)
    return elsewhere.search(opening) if not found and phrases.ELSEWHERE.search(opening) else found


def _helps(rest: str) -> bool:
    helps = phrases.HELPS.search(rest)
    return helps is not None and len(rest[helps.start() :].split()) >= _MIN_HELP_WORDS


def _first_statement(opening: str) -> str:
    """The first sentence that is no greeting, introduction or sympathy."""
    sentences = [sentence for sentence in _SENTENCE.split(opening) if sentence]
    while len(sentences) > 1 and phrases.PREAMBLE.match(sentences[0]) and not phrases.MORALISES.search(sentences[0]):
        del sentences[0]
    return sentences[0] if sentences else ""


def _plain(text: str) -> str:
    text = text.casefold()
    for short, long in _CONTRACTIONS.items():
        text = text.replace(short, long)
    return re.sub(r"[^\S\n]+", " ", text).strip()
