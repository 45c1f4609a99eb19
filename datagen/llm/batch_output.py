"""What came back from a batch, in a temporary file: its lines come in any order, and some may be broken."""

from __future__ import annotations

import json
import logging
import tempfile
from typing import NamedTuple

import msgspec

from datagen.llm.base import Reply
from datagen.llm.chat_completions import failure_reason, is_passing, parse_error
from datagen.llm.endpoint import Endpoint

logger = logging.getLogger("datagen")


class Failure(NamedTuple):
    """Why a request has no reply; one that ``is_passing`` may be submitted again."""

    reason: str
    message: str
    is_passing: bool
    raw: str = ""


class _Response(msgspec.Struct):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Error(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _Line(msgspec.Struct):
    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


class Output:
    """The lines of one batch's files, found by the key in their ``custom_id``; the first for a key is the one."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile(prefix="datagen-batch-")  # noqa: SIM115 (lives as long as this)
        self._places: dict[bytes, tuple[int, int]] = {}
        self._unread: set[bytes] = set()
        self._missing = ""

    def index(self, status: str) -> None:
        """Find each request's line, once all is here; ``status`` is how the batch ended."""
        self._missing = status
        self.file.seek(0)
        start = broken = 0
        for line in self.file:
            if line.strip():
                try:
                    self._places.setdefault(bytes.fromhex(_decoded(line).custom_id), (start, len(line)))
                except (ValueError, msgspec.MsgspecError, RecursionError):
                    broken += 1
            start += len(line)
        self._unread = set(self._places)
        if broken:
            logger.warning("%d lines of a batch's output are broken; their requests are submitted again", broken)

    def outcome(self, key: bytes, endpoint: Endpoint) -> Reply | Failure:
        """The reply to a request, or why there is none."""
        self._unread.discard(key)
        if (place := self._places.get(key)) is None:
            return _without_line(self._missing)
        self.file.seek(place[0])
        return _outcome(self.file.read(place[1]), endpoint)

    @property
    def is_used_up(self) -> bool:
        """Every line was asked for."""
        return not self._unread

    @property
    def is_closed(self) -> bool:
        """The file is gone."""
        return self.file.closed

    def close(self) -> None:
        """Delete the file."""
        self.file.close()


def _without_line(status: str) -> Failure:
    if status == "completed":
        return Failure("bad_response", "the batch's output has no line for it", is_passing=True)
    return Failure(f"batch_{status}", f"the batch was {status} before its turn came", is_passing=True)


def _outcome(line: bytes, endpoint: Endpoint) -> Reply | Failure:
    found = _decoded(line)
    if found.error is not None or found.response is None:
        error = found.error or _Error()
        reason = "batch_expired" if error.code == "batch_expired" else "batch_error"
        message = endpoint.redact(f"{error.code or 'no code'}: {error.message or 'no message'}")
        return Failure(reason, message, is_passing=True, raw=endpoint.raw(line))
    status, body = found.response.status_code, bytes(found.response.body)
    if status == 200:
        try:
            return endpoint.parse(body)
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            message = f"not a completion ({error}): {body[:100]!r}"
            return Failure("bad_response", endpoint.redact(message), is_passing=True, raw=endpoint.raw(body))
    code, text = parse_error(body)
    text = endpoint.redact(text)
    return Failure(failure_reason(status, code, text), text, is_passing(status) or not status, endpoint.raw(body))


def _decoded(line: bytes) -> _Line:
    """A line of an output file. Raises ``ValueError`` or ``MsgspecError``."""
    try:
        return msgspec.json.decode(line, type=_Line)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # lone surrogates (half an emoji) are all that json takes and msgspec does not
        whole = json.loads(line)
        if isinstance(whole, dict) and isinstance(whole.get("response"), dict):
            body = json.dumps(whole["response"].pop("body", None)).encode()
            found = msgspec.convert(whole, _Line)
            assert found.response is not None, "a mapping is one"
            found.response.body = msgspec.Raw(body)
            return found
        return msgspec.convert(whole, _Line)
