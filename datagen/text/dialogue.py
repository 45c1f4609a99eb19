"""Dialogues that a model writes: Baize's transcripts (arXiv 2304.01196) and single turns of a model that plays a role.

Pure and linear in the text, as in ``datagen.text.parsing``: what is not there comes back as nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from datagen.text.words import normal

Speaker = Literal["human", "ai"]

_TAG = re.compile(r"[*_]{0,2}\[(human|ai)\][*_]{0,2}:?[*_]{0,2}", re.I)
_GREETINGS = {"hello", "hi"}


class Exchange(NamedTuple):
    """What the human says, and the assistant's answer to it."""

    human: str
    assistant: str


def transcript(text: str) -> list[Exchange]:
    """The exchanges of a ``[Human]``/``[AI]`` transcript that continues a greeting, by Baize's rules.

    What stands before the first ``[Human]`` is left out, and so is the last ``[Human]`` with all that follows it (a
    farewell, or cut off). The rest ends before the first piece that has not exactly one ``[AI]``, or an empty turn. A
    greeting that the model said again is no exchange.
    """
    pieces: list[list[str]] = []
    _, *tagged = _TAG.split(text)
    for speaker, said in zip(tagged[::2], tagged[1::2], strict=True):
        if speaker.lower() == "human":
            pieces.append([said.strip()])
        elif pieces:
            pieces[-1].append(said.strip())
    found: list[Exchange] = []
    for piece in pieces[:-1]:
        if len(piece) != 2 or not all(piece):
            break
        found.append(Exchange(*piece))
    return found[1:] if found and normal(found[0].human) in _GREETINGS else found


def turn(text: str, speaker: Speaker) -> str:
    """What one speaker says: without its own tag, and up to where another tag opens; nothing where the other speaks."""
    before, *tagged = _TAG.split(text)
    if before.strip() or not tagged:
        return before.strip()
    return tagged[1].strip() if tagged[0].lower() == speaker else ""


TRANSCRIPTS: dict[str, Callable[[str], list[Exchange]]] = {"transcript": transcript}
