"""A back end that answers by script: for tests, dry runs and examples, as a mock transport is in an HTTP library."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from datagen.errors import ConfigError, LLMError
from datagen.llm.base import Reply, Sampling, Usage
from datagen.record import Message

Answer = str | Reply | LLMError
Function = Callable[[Sequence[Message], Sampling, int], Answer]


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a script file: what a request that matches gets.

    ``match`` is a regular expression searched in the messages' text; ``reply`` may be a list, one for each ``sample``
    (and round again); ``error`` is the reason of an ``LLMError`` to raise instead.
    """

    match: str
    reply: str | list[str] = ""
    error: str = ""
    finish_reason: str = "stop"

    def answer(self, sample: int) -> Answer:
        """What this rule gives as its reply number ``sample``."""
        if self.error:
            return LLMError(self.error, f"scripted: {self.error}")
        text = self.reply if isinstance(self.reply, str) else self.reply[sample % len(self.reply)]
        return Reply(text, self.finish_reason)


class Scripted:
    """The object behind ``scripted``; ``requests`` counts the calls that reached it."""

    def __init__(self, function: Function, *, script: str, model: str, concurrency: int, latency_s: float) -> None:
        self.model = model
        self.concurrency = concurrency
        self.requests = 0
        self._function = function
        self._script = script
        self._latency_s = latency_s
        self._slots = asyncio.Semaphore(concurrency)

    @property
    def identity(self) -> dict[str, Any]:
        """The model's name and the script: an edited script is asked again."""
        return {"backend": "scripted", "model": self.model, "script": self._script}

    async def chat(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> Reply:
        """The scripted reply. Raises the script's ``LLMError``, or ``ConfigError`` where it holds nothing."""
        self.requests += 1
        answer = self._function(messages, sampling, sample)
        if self._latency_s:
            async with self._slots:
                await asyncio.sleep(self._latency_s)
        if isinstance(answer, LLMError):
            raise answer
        return answer if isinstance(answer, Reply) else Reply(answer, usage=_usage(messages, answer))

    async def close(self) -> None:
        """Nothing to free."""


def scripted(
    *,
    replies: Sequence[Answer] | None = None,
    path: Path | None = None,
    function: Function | None = None,
    concurrency: int = 64,
    latency_s: float = 0.0,
    model: str = "scripted",
) -> Scripted:
    """A back end that answers from exactly one of ``replies``, ``path`` or ``function``.

    ``replies`` are given in the order of the requests; ``path`` is a JSONL file of rules (see ``Rule``), first match
    wins; ``function(messages, sampling, sample)`` returns a text, a ``Reply`` or an ``LLMError`` to raise.

    Raises:
        ConfigError: none or several of the three, or a malformed script file.
    """
    if sum(source is not None for source in (replies, path, function)) != 1:
        raise ConfigError("scripted: give exactly one of replies, path and function")
    if replies is not None:
        function, script = _in_order(list(replies)), _digest(repr(replies).encode())
    elif path is not None:
        function, script = _by_rule(path)
    else:
        assert function is not None, "one of the three is given"
        script = f"{function.__module__}.{function.__qualname__}"
    return Scripted(function, script=script, model=model, concurrency=concurrency, latency_s=latency_s)


def _in_order(replies: list[Answer]) -> Function:
    waiting = iter(replies)

    def answer(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        for reply in waiting:
            return reply
        raise ConfigError(f"scripted: one more request than the {len(replies)} replies: {messages[-1].content[:80]!r}")

    return answer


def _by_rule(path: Path) -> tuple[Function, str]:
    try:
        data = path.read_bytes()
        rules = msgspec.json.Decoder(Rule).decode_lines(data)
        patterns = [(re.compile(rule.match, re.DOTALL), rule) for rule in rules]
    except (OSError, msgspec.MsgspecError, re.error) as error:
        raise ConfigError(f"scripted: {path}: {error}") from error

    def answer(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        text = "\n".join(message.content for message in messages)
        for pattern, rule in patterns:
            if pattern.search(text):
                return rule.answer(sample)
        raise ConfigError(f"scripted: {path}: no rule matches {messages[-1].content[:80]!r}")

    return answer, _digest(data)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _usage(messages: Sequence[Message], text: str) -> Usage:
    """Words stand for tokens."""
    return Usage(sum(len(message.content.split()) for message in messages), len(text.split()))
