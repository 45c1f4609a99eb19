"""Every error the toolkit raises.

DatagenError
├── ConfigError      the user can mend it: a key, a path, a value, a credential; the CLI exits 2
├── DataError        a file holds something that cannot be read as records; the CLI exits 2
├── StageError       a stage could not finish (training crashed, disk full); the CLI exits 1
│   └── ServerGone   an LLM's server went away and stays away
└── LLMError         one request failed after its retries; carries the typed reason
"""

from __future__ import annotations

from typing import Any


class DatagenError(Exception):
    """Base of all errors raised on purpose."""


class ConfigError(DatagenError):
    """A mistake in what the user asked for, found before any work where possible."""


class DataError(DatagenError):
    """A data file that cannot be used."""


class StageError(DatagenError):
    """A stage that could not finish; what it had done so far stays on disk."""


class ServerGone(StageError):
    """An LLM's server that answered before and is gone; the same command goes on when it is back."""


class LLMError(DatagenError):
    """One request that failed for good.

    ``reason`` is short and typed (``http_429``, ``timeout``, ``context_length``, ...): it becomes the drop reason of
    the record that asked. ``raw`` is what the server sent, where it sent anything.
    """

    def __init__(self, reason: str, message: str, *, attempts: int = 1, raw: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.attempts = attempts
        self.raw = raw

    @property
    def evidence(self) -> dict[str, Any]:
        """What a dropped record keeps of it."""
        evidence: dict[str, Any] = {"error": str(self), "attempts": self.attempts}
        return {**evidence, "raw": self.raw} if self.raw else evidence
