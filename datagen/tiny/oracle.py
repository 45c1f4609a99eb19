"""The exact oracle of the small world: parse an instruction, solve it, check an answer, follow a dialogue."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

from datagen.tiny.forms import Form, split_form
from datagen.tiny.skill import Args, Skill, plain, proper
from datagen.tiny.skills import SKILLS

DECLINE = "I only know my small world."
SOCIAL = {
    "hello": "Hello! Ask me something.",
    "hi": "Hello! Ask me something.",
    "good morning": "Hello! Ask me something.",
    "thank you": "You are welcome.",
    "thanks": "You are welcome.",
    "who are you": "I am tiny and know a small world.",
    "what are you": "I am tiny and know a small world.",
    "what can you do": "I sort words, count, translate and tell facts.",
}
_POLITE = re.compile(r"^(?:(?:please|hey|now|quick|so|dear tiny) )+|(?: please| my friend)$")
# Ways of asking that mean the same before "the": a task is understood in any of them.
_ASKS = ("what is", "give", "tell me", "find", "name", "write down")
_ASKING = re.compile(f"(?:{'|'.join(_ASKS)})(?= the )")
_HELD_OUT_ONE_IN = 8


class Turn(Protocol):
    """Anything with a role and a content."""

    @property
    def role(self) -> str:
        """``user`` or ``assistant``."""
        ...

    @property
    def content(self) -> str:
        """The text of the turn."""
        ...


@dataclass(frozen=True)
class Part:
    """One task of an instruction: a skill, the index of its wording, its arguments."""

    skill: Skill
    wording: int
    args: Args

    @property
    def held_out(self) -> bool:
        """Whether these arguments (for facts: this wording with them) are kept for testing."""
        words = sorted(" ".join(self.args.values()).casefold().split())
        wording = [str(self.wording)] if self.skill.facts(self.args) else []
        key = "|".join([self.skill.name, *wording, *words])
        held_out = blake2b(key.encode(), digest_size=8).digest()[0] % _HELD_OUT_ONE_IN == 0
        return held_out and not (self.skill.halved and self.wording % 2)

    def answer(self) -> str:
        """The answer, one of the right ones where there are many."""
        solved = self.skill.solve(self.args)
        assert solved is not None, "a parsed part can be solved"
        return solved


@dataclass(frozen=True)
class Task:
    """A parsed instruction: one part, perhaps with a rule on form, or two parts joined by "Then"."""

    parts: tuple[Part, ...]
    form: Form | None = None

    @property
    def held_out(self) -> bool:
        """Whether any part is kept for testing."""
        return any(part.held_out for part in self.parts)

    def answer(self) -> str:
        """A right answer."""
        text = "; ".join(part.answer() for part in self.parts)
        return self.form.apply(text) if self.form else text

    def accepts(self, answer: str) -> bool:
        """Whether an answer is right."""
        answer = answer.strip()
        if self.form:
            return answer.casefold() == self.answer().casefold()
        answers = answer.split("; ") if len(self.parts) > 1 else [answer]
        return len(answers) == len(self.parts) and all(
            part.skill.accepts(part.args, given) for part, given in zip(self.parts, answers, strict=True)
        )


def _part(text: str) -> Part | None:
    asked = _ASKING.match(text)
    others = (text.replace(asked[0], verb, 1) for verb in _ASKS) if asked else ()
    for variant in (text, *others):
        for skill in SKILLS.values():
            if found := skill.parse(variant):
                return Part(skill, *found)
    return None


def _without_politeness(text: str) -> str:
    while (shorter := _POLITE.sub("", text)) != text:
        text = shorter
    return text


@lru_cache(maxsize=65536)
def parse(instruction: str) -> Task | None:
    """The task that an instruction sets (an input follows on a second line), or None where the world has no answer."""
    text = _without_politeness(plain(instruction))
    if part := _part(text):
        return Task((part,))
    if split := split_form(text):
        part = _part(_without_politeness(split[0]))
        return Task((part,), split[1]) if part and part.skill.judge is None else None
    halves = re.fullmatch(r"(.+?)[.?!] then (.+)", text)
    if halves:
        first, second = _part(_without_politeness(halves[1])), _part(halves[2])
        return Task((first, second)) if first and second else None
    return None


def answer(instruction: str) -> str | None:
    """A right answer to an instruction, or None where the world has none."""
    task = parse(instruction)
    return task.answer() if task else None


def check(instruction: str, answer: str) -> bool | None:
    """Whether ``answer`` is right; None where the instruction cannot be answered in this world."""
    task = parse(instruction)
    return task.accepts(answer) if task else None


def needs_input(instruction: str) -> bool:
    """Whether an instruction is a whole task except for its input."""
    text = _without_politeness(plain(instruction))
    split = split_form(text)
    text = split[0] if split else text
    return any(plain(stem) == text for skill in SKILLS.values() for stem in skill.stems)


FOLLOW_ARGUMENT = ("And for {x}?", "What about {x}?", "The same for {x}.")
FOLLOW_ANSWER: dict[str, Callable[[str], str]] = {
    "Say that again.": lambda a: a,
    "Repeat your answer.": lambda a: a,
    "Say your answer twice.": lambda a: f"{a} {a}",
    "Reverse your answer.": lambda a: " ".join(a.split()[::-1]),
    "How many words is your answer?": lambda a: str(len(a.split())),
    "Give only the first word of your answer.": lambda a: a.split()[0],
    "Give only the last word of your answer.": lambda a: a.split()[-1],
    "End your answer with an exclamation mark.": lambda a: f"{a}!",
}
_ARGUMENT = [re.compile(plain(wording).replace("{x}", r"([^\n]+)")) for wording in FOLLOW_ARGUMENT]
_ANSWER = {plain(wording): rule for wording, rule in FOLLOW_ANSWER.items()}


def follow(messages: Sequence[Turn]) -> Task | str | None:
    """What the last user turn of a dialogue asks: a task, the one right reply, or None for neither."""
    last = _without_politeness(plain(messages[-1].content))
    if last in SOCIAL:
        return SOCIAL[last]
    if task := parse(messages[-1].content):
        return task
    if len(messages) < 3:
        return None
    if last in _ANSWER and messages[-2].content.strip():
        return _ANSWER[last](messages[-2].content.strip())
    found = next((match for pattern in _ARGUMENT if (match := pattern.fullmatch(last))), None)
    earlier = follow(messages[:-2]) if found else None
    if found is None or not isinstance(earlier, Task) or len(earlier.parts) > 1 or set(earlier.parts[0].args) != {"x"}:
        return None
    args = {"x": proper(found[1])}
    skill = earlier.parts[0].skill
    return None if skill.solve(args) is None else Task((Part(skill, earlier.parts[0].wording, args),), earlier.form)


def check_dialogue(messages: Sequence[Turn], answer: str) -> bool | None:
    """``check`` for the last user turn of a dialogue, which may refer to the turns before it."""
    asked = follow(messages)
    if asked is None:
        return None
    return asked.accepts(answer) if isinstance(asked, Task) else answer.strip().casefold() == asked.casefold()
