"""Words of a text in any script, and the normal form in which two texts count as the same."""

from __future__ import annotations

import re
from typing import Literal

from datagen.record import Record

Scope = Literal["task", "instruction", "answer", "all"]

# Scripts written without spaces: each character is a word (CJK, kana, Hangul syllables, Thai, Lao, Burmese, Khmer).
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
# Sentence punctuation is left out; what tells 3 + 4 from 3 - 4, x = y from x != y and C from C# is kept.
_WORD = re.compile(
    rf"\d+(?:[.,:]\d+)+|[^\W{UNSPACED}]+|[{UNSPACED}]|!=|(?<=\d)!|(?<=\w)\#|[+*/=<>^%×÷]|(?<![^\W\d_])-(?![^\W\d_])"
)

_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_NO_WORD = re.compile(rf"[^\w{UNSPACED}]+")


def words(text: str) -> list[str]:
    """Case-folded words, numbers and operators."""
    return _WORD.findall(text.casefold())


def normal(text: str, tokens: list[str] | None = None) -> str:
    """Words joined by a space; a text without any (emoji, say) keeps its own characters. ``tokens``: its words.

    >>> normal("  What is 3 + 4?! ") == normal("what is 3 + 4")
    True
    """
    return " ".join(words(text) if tokens is None else tokens) or " ".join(text.split())


def spaced(text: str, alone: re.Pattern[str]) -> str:
    """Lower case; beyond ASCII what is ``alone`` stands between spaces, and what is no word becomes one."""

    def parted(run: re.Match[str]) -> str:
        return alone.sub(r" \g<0> ", _NO_WORD.sub(" ", run[0]))

    return (text if text.isascii() else _FOREIGN.sub(parted, text.casefold())).lower()


def scoped(record: Record, scope: Scope) -> str:
    """The part of a record that a filter looks at.

    ``instruction`` is every turn of the prompt but the system's; ``task`` the instruction without its input, where the
    source kept them apart (labels ``instruction`` and ``input``); ``all`` is prompt and first answer.
    """
    if scope == "answer":
        return record.answer
    if scope == "task" and isinstance(task := record.labels.get("instruction"), str):
        return task
    turns = record.prompt
    if len(turns) == 1 and turns[0].role != "system":
        prompt = turns[0].content
    else:
        prompt = "\n".join(message.content for message in turns if message.role != "system")
    return f"{prompt}\n{record.answer}" if scope == "all" else prompt
