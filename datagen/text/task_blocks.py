"""Parsers of replies in blocks: Alpaca's whole tasks, and Self-Instruct's output-first instances.

As in ``parsing``: linear in the text, by structure and never by stop strings, and what is not there is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from datagen.text.chatter import without_closing
from datagen.text.parsing import Instance, given_input

_FIELDS = ("instruction", "input", "output")
_START, _END = r"[ \t]*[*#]{0,4} ?(?:(\d{1,3})[.)] {0,3})?\*{0,2}", r"\*{0,2} ?[:：]\*{0,2}[ \t]*"
_FIELD = re.compile(rf"{_START}(Instruction|Input|Output){_END}", re.I)
_LABEL = re.compile(rf"{_START}Class label(?: {{0,3}}\d{{1,3}})?{_END}", re.I)
_SEPARATOR = re.compile(r"[ \t]*#{3,}[ \t]*")


class WholeTask(NamedTuple):
    """A task with its one instance."""

    instruction: str
    input: str
    output: str


def whole_tasks(text: str) -> list[WholeTask | str]:
    """The tasks of a reply in blocks of ``Instruction:``, ``Input:`` and ``Output:``, in that order.

    A line of ``###`` or the next ``Instruction:`` ends a block. A block that lacks a field comes back as its text;
    one without any is prose, and is left out, as is a closing word to the asker.
    """
    blocks: list[list[str]] = [[]]
    for line in without_closing(text).splitlines():
        if _SEPARATOR.fullmatch(line):
            blocks.append([])
            continue
        if (mark := _FIELD.match(line)) and mark.group(2).casefold() == "instruction":
            blocks.append([])
        blocks[-1].append(line)
    return [task for block in blocks if (task := _whole_task(block)) is not None]


def _whole_task(lines: list[str]) -> WholeTask | str | None:
    marks = [(at, mark) for at, line in enumerate(lines) if (mark := _FIELD.match(line))]
    numbered = [one for one in marks if one[1].group(1)]
    if len(numbered) >= len(_FIELDS):  # then "Input:" without a number is part of the text, an example of a program's
        marks = numbered
    found: list[tuple[int, re.Match[str]]] = []
    for at, mark in marks:
        if len(found) < len(_FIELDS) and mark.group(2).casefold() == _FIELDS[len(found)]:
            found.append((at, mark))
    if len(found) < len(_FIELDS):
        return "\n".join(lines).strip() if marks else None
    ends = [*(at for at, _ in found[1:]), len(lines)]
    texts = [
        "\n".join([lines[at][mark.end() :], *lines[at + 1 : end]]) for (at, mark), end in zip(found, ends, strict=True)
    ]
    return WholeTask(texts[0].strip(), given_input(texts[1]), texts[2].strip())


def class_labels(text: str) -> list[Instance]:
    """Output-first instances: ``Class label:`` with the label on its line, then its input, after ``Input:`` or bare."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if mark := _LABEL.match(line):
            found.append((line[mark.end() :].strip(), []))
        elif found:
            found[-1][1].append(line)
    return [Instance(_labelled_input("\n".join(lines).strip()), label) for label, lines in found]


def _labelled_input(text: str) -> str:
    mark = _FIELD.match(text)
    return given_input(text[mark.end() :] if mark and mark.group(2).casefold() == "input" else text)


TASKS: dict[str, Callable[[str], list[WholeTask | str]]] = {"whole_tasks": whole_tasks}
CLASSES: dict[str, Callable[[str], list[Instance]]] = {"class_labels": class_labels}
