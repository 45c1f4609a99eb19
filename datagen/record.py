"""The one type that carries everything: a prompt and its answers.

An instruction has no answers yet, an SFT row has one, a preference pair two (best first), a ranking K. A dialogue is a
prompt with earlier assistant turns in it.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec.structs import astuple

from datagen.errors import DataError


class Message(msgspec.Struct, frozen=True, gc=False):
    """One turn of a chat; ``role`` is ``system``, ``user`` or ``assistant``."""

    role: str
    content: str


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One candidate answer, with the scores (numbers) and notes (critiques, rationales) that were given to it."""

    content: str
    model: str = ""
    scores: dict[str, float] = {}
    notes: dict[str, str] = {}

    def scored(self, name: str, score: float, note: str = "") -> Answer:
        """This answer with one score, and the reason for it, added."""
        assert math.isfinite(score), f"score {name} is {score}, which JSON cannot hold"
        notes = {**self.notes, name: note} if note else self.notes
        return msgspec.structs.replace(self, scores={**self.scores, name: score}, notes=notes)


class Drop(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a record was dropped: a typed ``stage:why`` and the evidence a reader can check."""

    reason: str
    evidence: dict[str, Any] = {}


class Record(msgspec.Struct, frozen=True, omit_defaults=True, dict=True):
    """A prompt that ends with the user's turn, and any number of answers to it."""

    prompt: tuple[Message, ...]
    answers: tuple[Answer, ...] = ()
    source: str = ""
    parents: tuple[str, ...] = ()
    language: str = ""
    labels: dict[str, Any] = {}
    dropped: Drop | None = None

    @property
    def id(self) -> str:
        """Hash (32 hex digits) of the prompt and the answers' texts; scores, labels and lineage do not change it."""
        if not (found := self._known_id()):
            content = (tuple(map(astuple, self.prompt)), tuple(map(_content, self.answers)))
            found = self.__dict__[_ID] = hashlib.blake2b(_json(content), digest_size=16).hexdigest()
        return found

    def _known_id(self) -> str:
        """The id that was made before or stands in the line; empty where there is none yet."""
        if _ID not in self.__dict__ and (written := _written_id(self.__dict__.get(_LINE, b""))):
            self.__dict__[_ID] = written
        known: str = self.__dict__.get(_ID, "")
        return known

    @property
    def instruction(self) -> str:
        """The last user turn."""
        return self.prompt[-1].content

    @property
    def answer(self) -> str:
        """The first answer's text, or the empty string."""
        return self.answers[0].content if self.answers else ""

    def drop(self, reason: str, **evidence: Any) -> Record:
        """This record marked as dropped for ``reason`` (``stage:why``)."""
        return self._same(dropped=Drop(reason, evidence))

    def with_answers(self, answers: Iterable[Answer]) -> Record:
        """A child of this record with other answers; it names this one as its parent."""
        return msgspec.structs.replace(self, answers=tuple(answers), parents=(self.id,))

    def labelled(self, **labels: Any) -> Record:
        """This record with labels added."""
        return self._same(labels={**self.labels, **labels})

    def in_language(self, code: str) -> Record:
        """This record with its language filled in."""
        return self._same(language=code)

    def _same(self, **fields: Any) -> Record:
        """This record with other fields than those that its id is of, which need not be made again."""
        made = msgspec.structs.replace(self, **fields)
        if known := self._known_id():
            made.__dict__[_ID] = known
        return made


def instruction(text: str, answer: str | None = None, **fields: Any) -> Record:
    """A single-turn record from plain text.

    >>> instruction("Name a colour.", "Red").answer
    'Red'
    """
    answers = () if answer is None else (Answer(answer),)
    return Record(prompt=(Message("user", text),), answers=answers, **fields)


_ID, _LINE = "_id", "_line"  # in a record's ``__dict__``: no fields, so neither compared nor copied
_BLOCK_BYTES = 2**19
_content = attrgetter("content")
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def _written_id(line: bytes) -> str:
    """The id that ``encode`` put at the beginning of a line; empty where there is none."""
    return line[7:39].decode("ascii", "replace") if line[:7] == b'{"id":"' and line[39:41] == b'",' else ""


def encode(record: Record) -> bytes:
    """One JSON line without the newline; the id comes first.

    A record that came from ``read_records`` unchanged is the line that it was read from.
    """
    written: bytes | None = record.__dict__.get(_LINE)
    return written or b'{"id":"' + record.id.encode() + b'",' + _json(record)[1:]


def decode(line: bytes | str) -> Record:
    """The record of one JSON line. Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError``."""
    return _decoder.decode(line)


def read_records(path: Path, step: int = 1) -> Iterator[Record]:
    """Every ``step``-th record of a file that this package wrote, one at a time, the first among them.

    Raises ``DataError`` for a damaged line.
    """
    with path.open("rb") as file:
        yield from decode_lines(itertools.islice(file, 0, None, step), path, step=step)


def decode_lines(lines: Iterable[bytes], path: Path, first: int = 1, step: int = 1) -> Iterator[Record]:
    """The records of the lines of such a file, which are its ``first`` and every ``step``-th after it."""
    for number, line in zip(itertools.count(first, step), lines, strict=False):
        try:
            record = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(f"{path}, line {number}: {error}; move its folder away to make it again") from error
        record.__dict__[_LINE] = line.rstrip(b"\n")  # what a filter keeps need not be encoded again
        yield record


def blocks_of_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """A file of lines in blocks of half a megabyte, each whole lines, with the number of its first."""
    first = 1
    while block := file.read(_BLOCK_BYTES):
        block += file.readline()
        yield first, block.removesuffix(b"\n")
        first += block.count(b"\n")


def _json(value: Any) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_well_formed(msgspec.to_builtins(value)))


def _well_formed(value: Any) -> Any:
    """The same with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_well_formed(key): _well_formed(item) for key, item in value.items()}
    return [_well_formed(item) for item in value] if isinstance(value, list | tuple) else value
