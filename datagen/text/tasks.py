"""Self-Instruct's rules (arXiv 2212.10560) for proposed tasks and their instances, and the pool they grow."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple

from datagen.record import Record
from datagen.text.chatter import without_closing
from datagen.text.parsing import Instance
from datagen.text.rouge import NoveltyPool, tokenize
from datagen.text.words import scoped

_WORDS = "images?|graphs?|pictures?|files?|maps?|draw|plot|go to"
SELF_INSTRUCT_BLOCKED = re.compile(rf"\b(?:{_WORDS})\b", re.I)
ALPACA_BLOCKED = re.compile(rf"\b(?:{_WORDS}|video|audio|music|flowchart|diagram)\b", re.I)
_FIELD = re.compile(r"[*#]{0,4} ?(?:Input|Output|Class label)\b[^:\n]{0,8}:")


class Near(NamedTuple):
    """An older task and its ROUGE-L F."""

    neighbour: str
    similarity: float


class TaskPool:
    """Human-written and machine-made tasks, and the ROUGE-L index over both. ``records`` holds each task's record."""

    def __init__(self, human: Iterable[Record], novelty: float) -> None:
        self.human: list[str] = []
        self.machine: list[str] = []
        self.records: dict[str, Record] = {}
        self._texts: list[str] = []
        self._index = NoveltyPool(novelty)
        for record in human:
            if (task := one_line(scoped(record, "task"))) and task not in self.records:
                self.human.append(task)
                self._add(task, record)

    def examples(self, rng: random.Random, human: int, machine: int) -> list[str]:
        """Shuffled examples for one request; human ones fill up while there are too few machine-made."""
        made = rng.sample(self.machine, min(machine, len(self.machine)))
        written = rng.sample(self.human, min(human + machine - len(made), len(self.human)))
        return rng.sample(made + written, len(made) + len(written))

    def nearest(self, task: str) -> Near | None:
        """The most similar older task above the threshold; None if the task is novel."""
        near = self._index.nearest(tokenize(task))
        return Near(self._texts[near[0]], near[1]) if near else None

    def accept(self, task: str, record: Record) -> Near | None:
        """Add a task; gives back the most similar older one, however far."""
        near = self._index.closest(tokenize(task))
        self.machine.append(task)
        self._add(task, record)
        return Near(self._texts[near[0]], near[1]) if near else None

    def _add(self, task: str, record: Record) -> None:
        self._index.add(tokenize(task))
        self._texts.append(task)
        self.records[task] = record


def one_line(text: str) -> str:
    """A task as the prompt shows it: whitespace collapsed, a trailing colon cut."""
    return " ".join(text.split()).rstrip(":").rstrip()


def capitalised(text: str) -> str:
    """The first letter in upper case, and nothing else touched."""
    return text[:1].upper() + text[1:]


def flaw(task: str, min_words: int, max_words: int, blocked: re.Pattern[str] = SELF_INSTRUCT_BLOCKED) -> str:
    """Why a proposed task is dropped before its novelty is looked at; empty if it is not."""
    words = len(task.split())
    if words < max(1, min_words):
        return "too_short"
    if words > max_words:
        return "too_long"
    if blocked.search(task):
        return "needs_more_than_text"
    if task.startswith("Write a program"):
        return "program"
    if task[0] in string.punctuation:
        return "punctuation_start"
    return "" if task[0].isascii() else "non_ascii_start"


def instance_flaws(instances: Sequence[Instance], *, truncated: bool) -> list[str]:
    """For each instance why it is dropped, or nothing. Contradicting outputs for one input cost all of them.

    One without an input, where another has one, is a fragment (the original keeps it).
    """
    outputs: dict[str, str] = {}
    if any(input and outputs.setdefault(input, output) != output for input, output in instances):
        return ["contradiction"] * len(instances)
    takes_input = any(input for input, _ in instances)
    seen: set[Instance] = set()
    flaws = []
    for instance in instances:
        flaws.append(_instance_flaw(instance, seen) or ("missing_input" if takes_input and not instance.input else ""))
        seen.add(instance)
    if truncated and flaws:
        flaws[-1] = "truncated"
    return flaws


def _instance_flaw(instance: Instance, earlier: Set[Instance]) -> str:
    if not instance.output:
        return "empty_output"
    if instance.input == instance.output:
        return "output_is_input"
    if instance.input.endswith(":") or instance.output.endswith(":"):
        return "unfinished"
    return "duplicate_instance" if instance in earlier else ""


def asked_part(reply: str, task: str) -> str:
    """The part of a reply in the prompts' layout that solves ``task``.

    A prompt that is echoed counts up to its ``Task:`` line with this task; and models that were asked for one task go
    on to others: what follows a blank line, ``Task:`` and has fields of its own is not of this one. (The original cuts
    at any ``Task:``, which a plan or a ticket may well hold.) A closing word to the asker is left out.
    """
    lines = without_closing(reply).splitlines(keepends=True)
    asked = [at for at, line in enumerate(lines) if line.strip() == f"Task: {task}"]
    begin = asked[-1] + 1 if asked else 0
    fields = [at for at in range(begin, len(lines)) if _FIELD.match(lines[at])]
    for at in range(begin + 1, fields[-1] if fields else begin):
        if lines[at].startswith("Task:") and not lines[at - 1].strip():
            return "".join(lines[begin:at])
    return "".join(lines[begin:])
