"""What a stage does with a request that failed, or a reply that cannot be used: ``on_failure: drop | keep | stop``.

Not every dropped row is a failure: a low score or a duplicate is a verdict. The typed reasons below, and ``http_...``,
say that the LLM gave nothing to judge by.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from datagen.errors import StageError
from datagen.record import Record

OnFailure = Literal["drop", "keep", "stop"]
REASONS = {
    "truncated",
    "refused",
    "unparsed",
    "empty",
    "timeout",
    "connection",
    "bad_response",
    "context_length",
    "chat_template",
    "bad_request",
    "engine",
    "closed",
    "too_large",
    "batch_expired",
    "batch_error",
}


def is_failure(record: Record) -> bool:
    """Whether a record was dropped because an LLM failed."""
    why = record.dropped.reason.rpartition(":")[2] if record.dropped else ""
    of_a_part = why.rpartition("_")[2]  # a stage that asks several times says which reply: answer_truncated
    return why in REASONS or why.startswith("http_") or of_a_part in REASONS


def settled(record: Record, on_failure: OnFailure, stage: str) -> Record:
    """The record as the stage's user wants it.

    ``keep`` gives it back undropped, with reason and evidence (error, attempts, raw text) under the label ``failed``.
    Raises ``StageError`` for ``stop``.
    """
    if on_failure == "drop" or record.dropped is None or not is_failure(record):
        return record
    drop = record.dropped
    if on_failure == "stop":
        what = drop.evidence.get("raw") or drop.evidence.get("error") or ""
        raise StageError(f"{stage}: {drop.reason} on row {record.id}: {str(what)[:300]!r} (on_failure: stop)")
    kept = record.labelled(failed={"reason": drop.reason, **drop.evidence})
    return msgspec.structs.replace(kept, dropped=None)
