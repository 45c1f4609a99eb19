"""What a skill of the small world is: wordings with slots, a way to draw arguments, and a rule that solves them.

Parsing is the inverse of rendering: every wording becomes one pattern, and the arguments it yields are solved afresh.
Nothing is looked up among generated texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from datagen.tiny import lexicon

Args = dict[str, str]

PROPER = {
    word.casefold(): word
    for words in (lexicon.NAMES, lexicon.CAPITAL, lexicon.CAPITAL.values(), lexicon.DAYS, lexicon.MONTHS)
    for word in words
} | {word.casefold(): word for word in (*lexicon.CONTINENT.values(), *lexicon.LANGUAGES)}


def plain(text: str) -> str:
    """``text`` without what parsing ignores: case, commas, colons, quotes, spacing and the marks that end a line."""
    text = re.sub(r'[,:;"]', " ", text.strip().casefold())
    text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"[ .?!]+(?=\n|$)", "", text)


def proper(text: str) -> str:
    """``text`` with the capitals that names, days, months and countries have."""
    return " ".join(PROPER.get(word, word) for word in text.split())


def _pattern(wording: str) -> re.Pattern[str]:
    """The pattern of one wording: ``{x...}`` takes several words, any other slot takes one."""
    parts = re.split(r"\{(\w+)\}", wording)
    text = plain(wording.replace("{", "\x01").replace("}", "\x02"))
    regex = re.escape(text)
    seen: set[str] = set()
    for name in parts[1::2]:
        slot = re.escape(f"\x01{name}\x02")
        body = r"[^\n]+?" if name.startswith("x") else r"[\w-]+"
        group = f"(?P={name})" if name in seen else f"(?P<{name}>{body})"
        regex = regex.replace(slot, group, 1)
        seen.add(name)
    return re.compile(regex.replace(r"\ ", " "))


@dataclass(frozen=True)
class Skill:
    """One kind of task. ``solve`` gives None for arguments that have no answer."""

    name: str
    group: str
    wordings: tuple[str, ...]
    draw: Callable[[Random], Args]
    solve: Callable[[Args], str | None]
    judge: Callable[[Args, str], bool] | None = None
    """The rule for tasks with many right answers; None means that ``solve`` has the only one."""
    facts: Callable[[Args], bool] = lambda args: False
    """True where every fact must be known, so that only the pair of wording and arguments is held out."""
    halved: bool = False
    """True where few arguments exist: the held-out ones are trained in every second wording, tested in the others."""
    statement: str = ""
    """How plain text states the solved task (for the base model); ``{answer}`` stands for the answer."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    """Weight among the answered tasks; ``novel`` is the weight among the proposed ones."""
    novel: float = 1.0

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """One pattern per wording, the foreign ones last."""
        return tuple(_pattern(wording) for wording in (*self.wordings, *self.foreign.values()))

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The wordings' first lines where the arguments come as a separate input."""
        return tuple(wording.split("\n")[0] for wording in self.wordings if "\n" in wording)

    def render(self, wording: int, args: Args) -> str:
        """The instruction in the given wording, its first letter a capital."""
        text = (*self.wordings, *self.foreign.values())[wording].format(**args)
        return text[0].upper() + text[1:]

    def parse(self, text: str) -> tuple[int, Args] | None:
        """The wording and arguments of a ``plain`` instruction that this skill can solve."""
        for index, pattern in enumerate(self.patterns):
            found = pattern.fullmatch(text)
            if found:
                args = {name: proper(value) for name, value in found.groupdict().items()}
                if self.solve(args) is not None:
                    return index, args
        return None

    def accepts(self, args: Args, answer: str) -> bool:
        """Whether ``answer`` is right: equal to the only answer up to case and a final full stop, or lawful by rule."""
        if self.judge is not None:
            return self.judge(args, answer.strip())
        gold = self.solve(args)
        return gold is not None and answer.strip().casefold().rstrip(".") == gold.casefold().rstrip(".")
