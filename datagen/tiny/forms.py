"""Rules on the form of an answer, which any task with one right answer can carry: the instruction, then the rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from datagen.tiny.skill import plain


@dataclass(frozen=True)
class Form:
    """One rule on form; ``apply`` turns a plain answer into one that follows it."""

    name: str
    wordings: tuple[str, ...]
    apply: Callable[[str], str]

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """Each wording at the end of a ``plain`` instruction."""
        return tuple(re.compile(r"(.+?)[.?!]? " + re.escape(plain(wording))) for wording in self.wordings)


FORMS = (
    Form("twice", ("Say it twice.", "Give the answer two times.", "Answer it twice."), lambda a: f"{a} {a}"),
    Form("mark", ("End with an exclamation mark.", "Put ! at the end.", "Shout the answer."), lambda a: f"{a}!"),
    Form(
        "label", ("Start with the word Answer.", "Begin with Answer.", "Put Answer in front."), lambda a: f"Answer: {a}"
    ),
    Form(
        "full",
        ("Answer in a full sentence.", "Use a whole sentence.", "Reply with a full sentence."),
        lambda a: f"The answer is {a}.",
    ),
    Form("thanks", ("Add thanks at the end.", "End with thanks.", "Say thanks after it."), lambda a: f"{a} thanks"),
    Form("sir", ("Call me sir.", "End with sir.", "Say sir to me."), lambda a: f"{a} sir"),
    Form(
        "stop", ("End with a full stop.", "Put a full stop at the end.", "Close with a full stop."), lambda a: f"{a}."
    ),
    Form("star", ("Put a star before it.", "Begin with a star.", "Start with a star."), lambda a: f"* {a}"),
)


def split_form(text: str) -> tuple[str, Form] | None:
    """The instruction without its rule, and the rule, of a ``plain`` text; an input on a second line stays."""
    head, newline, tail = text.partition("\n")
    for form in FORMS:
        for pattern in form.patterns:
            if found := pattern.fullmatch(head):
                return found.group(1) + newline + tail, form
    return None


def add_sentence(instruction: str, sentence: str) -> str:
    """``instruction`` with ``sentence`` after its first line."""
    head, newline, tail = instruction.partition("\n")
    return f"{head if head[-1] in '.?!' else head + '.'} {sentence}{newline}{tail}"
