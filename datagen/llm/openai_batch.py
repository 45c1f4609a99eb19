"""OpenAI's batch API: the same replies within 24 hours, at half the price.

Requests that wait are gathered into a file of up to ``max_requests``, which is submitted when it is full or when none
has come for ``quiet_s``. No process has to stay for the replies: what was submitted is on disk (see ``batch_record``),
and the same request attaches to the batch that holds it, after a day and a reboot too. A reply that was journaled
through ``openai`` is the same reply here. A request whose batch expired or was cancelled, or that failed in passing,
goes into another batch, ``max_attempts`` in all, counted over all processes.

Each question that depends on an answer is another batch: this back end is for stages that ask about one record after
the other, not for loops with many rounds.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from datagen.errors import ConfigError, LLMError
from datagen.llm.base import Reply, Sampling
from datagen.llm.batch_api import Batch, BatchApi
from datagen.llm.batch_gather import Gather, Lines, Sizes
from datagen.llm.batch_output import Output
from datagen.llm.batch_record import BatchRecord, Submitted
from datagen.llm.endpoint import Api, Endpoint, check_address, check_environment, check_limits, endpoint
from datagen.llm.journal import key
from datagen.record import Message

logger = logging.getLogger("datagen")
_MOST_REQUESTS = 50_000
_MOST_MB = 200


class OpenAIBatch:
    """The object behind ``openai_batch``."""

    def __init__(
        self,
        endpoint: Endpoint,
        sizes: Sizes,
        submitted: Path,
        *,
        concurrency: int,
        poll_s: float,
        timeout_s: float,
        max_attempts: int,
    ) -> None:
        self.model = endpoint.model
        self.concurrency = concurrency
        self._endpoint = endpoint
        self._sizes = sizes
        self._poll_s = poll_s
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts
        self._path = submitted
        self._loop: asyncio.AbstractEventLoop | None = None
        self._record: BatchRecord

    @property
    def identity(self) -> dict[str, Any]:
        """Address, model and extra body fields, as of ``openai``: what was asked there is not asked again here."""
        return self._endpoint.identity

    async def chat(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> Reply:
        """One reply, from the batch that holds the request already or from one to come.

        Raises:
            ConfigError: what no retry can mend: no server, a wrong key, a batch that the server refuses.
            LLMError: ``context_length``, ``http_<status>``, ``batch_expired``, ``batch_cancelled``, ``batch_error``,
                ``bad_response`` or ``too_large``.
            StageError: its server went away and does not come back (``ServerGone``), or a file cannot be written.
        """
        self._open()
        name = key(self.identity, messages, sampling, sample)
        line = _line(name, self._endpoint.path, self._endpoint.body(messages, sampling))
        while True:
            if (batch := self._record.find(name)) is None:
                await self._gather.add(name, line)
                continue
            if (output := await self._output(batch)) is None:
                continue
            outcome = output.outcome(name, self._endpoint)
            self._let_go(batch.label, output)
            if isinstance(outcome, Reply):
                return outcome
            if not outcome.is_passing or batch.tries >= self._max_attempts:
                raise LLMError(outcome.reason, outcome.message, attempts=batch.tries, raw=outcome.raw)
            await self._gather.add(name, line)

    async def close(self) -> None:
        """Leave the batches to the server: the same requests attach to them when they are asked again."""
        if self._loop is not asyncio.get_running_loop():
            return
        self._loop = None
        self._gather.close()
        waiting = [task for task in self._followed.values() if not task.done()]
        if waiting:
            logger.warning("batches that go on at the server: %d; the same command takes them up", len(waiting))
        for task in waiting:
            task.cancel()
        for result in await asyncio.gather(*self._followed.values(), return_exceptions=True):
            if isinstance(result, Output):
                result.close()
        await self._api.close()
        self._record.close()

    def _open(self) -> None:
        """Begin on the running event loop (a notebook may start several, one after the other)."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None:
            self._record.close()
        self._record = BatchRecord(self._path)
        self._api = BatchApi(self._endpoint, self._timeout_s)
        self._loop = loop
        self._gather = Gather(self._sizes, self._submit)
        self._followed: dict[str, asyncio.Task[Output | None]] = {}
        self._queued: set[str] = set()

    def _submit(self, lines: Lines) -> None:
        """Put a file on record, and send it on its way."""
        label = secrets.token_hex(12)
        self._record.intend(label, lines)
        self._follow(label, self._submitted(label, b"".join(lines.values()), len(lines)))

    def _follow(self, label: str, work: Coroutine[Any, Any, Output | None]) -> None:
        def over(done: asyncio.Task[Output | None]) -> None:
            if done.cancelled() or done.exception() is not None:  # heard here, if nobody waits for it any more
                self._followed.pop(label, None)

        self._followed[label] = asyncio.ensure_future(work)
        self._followed[label].add_done_callback(over)

    async def _output(self, batch: Submitted) -> Output | None:
        """What a batch brought, once it is over; None where it never ran."""
        while True:
            if batch.label not in self._followed:
                self._follow(batch.label, self._resumed(batch))
            output = await asyncio.shield(self._followed[batch.label])
            if output is None or not output.is_closed:
                return output

    def _let_go(self, label: str, output: Output) -> None:
        """Delete an output that was read to its end; whoever still wants a line of it downloads it again."""
        if output.is_used_up and not output.is_closed:
            output.close()
            del self._followed[label]

    async def _submitted(self, label: str, lines: bytes, count: int) -> Output | None:
        file = await self._api.upload(lines)
        batch = await self._api.create(file, label)
        self._record.confirm(label, batch.id)
        logger.info("batch %s: %s requests submitted; asking for it every %g s", batch.id, f"{count:,}", self._poll_s)
        return await self._ended(label, batch)

    async def _resumed(self, batch: Submitted) -> Output | None:
        """A batch of an earlier process, which may have been killed before the server's answer was on record."""
        ask = self._api.state(batch.id) if batch.id else self._api.find(batch.label, batch.created)
        found = await ask
        if found is None or found.status == "failed":
            self._never_ran(batch.label)
            return None
        self._record.confirm(batch.label, found.id)
        return await self._ended(batch.label, found)

    async def _ended(self, label: str, batch: Batch) -> Output | None:
        while not batch.is_over:
            await asyncio.sleep(self._poll_s)
            batch = await self._api.state(batch.id)
        if batch.status == "failed":
            await self._refused(label, batch)
            return None
        level = logging.INFO if batch.status == "completed" else logging.WARNING
        logger.log(level, "batch %s: %s", batch.id, batch.status)
        output = Output()
        try:
            for file in (batch.output_file_id, batch.error_file_id):
                if file:
                    await self._api.download(file, output.file)
            output.index(batch.status)
        except BaseException:
            output.close()
            raise
        return output

    async def _refused(self, label: str, batch: Batch) -> None:
        """A batch that failed as a whole ran nothing: it waits for room in the server's queue, or the run stops."""
        problems = (batch.errors.data if batch.errors else None) or ()
        text = "; ".join(f"{one.code}: {one.message}" for one in problems[:3]) or "no reason given"
        text = self._endpoint.redact(f"batch {batch.id} was refused: {text}")
        is_full = any(one.code == "token_limit_exceeded" for one in problems)
        behind = {label, *self._queued}
        ahead = [task for other, task in self._followed.items() if other not in behind and not task.done()]
        if not is_full or not ahead:
            self._record.forget(label)
            raise ConfigError(f"{text}; nothing of it was run" + ("; lower max_requests, or wait" if is_full else ""))
        logger.info("%s; it waits for the batches before it", text)
        self._queued.add(label)
        await asyncio.wait(ahead, return_when=asyncio.FIRST_COMPLETED)
        self._queued.discard(label)
        self._never_ran(label)

    def _never_ran(self, label: str) -> None:
        """Its requests are to be gathered anew."""
        self._record.forget(label)
        del self._followed[label]


def _line(name: bytes, path: str, body: bytes) -> bytes:
    asked = {"custom_id": name.hex(), "method": "POST", "url": f"/v1{path}", "body": msgspec.Raw(body)}
    return msgspec.json.encode(asked) + b"\n"


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a malformed URL, or a secret that stands in the file."""
    check_address(arguments["base_url"], arguments["headers"] or {})


def ready(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a key that is not in the environment."""
    check_environment(arguments)


def openai_batch(
    *,
    model: str,
    base_url: str = "https://api.openai.com/v1",
    api: Api = "chat",
    api_key_env: str = "OPENAI_API_KEY",
    concurrency: int = _MOST_REQUESTS,
    max_requests: int = _MOST_REQUESTS,
    max_file_mb: int = _MOST_MB,
    quiet_s: float = 10.0,
    poll_s: float = 60.0,
    timeout_s: float = 600.0,
    max_attempts: int = 3,
    headers: dict[str, str] | None = None,
    extra_body: dict[str, Any] | None = None,
    submitted: str = "runs/batches.sqlite",
) -> OpenAIBatch:
    """A model behind OpenAI's batch API, or a server that speaks it.

    ``concurrency`` is how many records a stage has under way, and so the most that a batch can hold: several times
    ``max_requests`` for several batches at once, at the cost of the memory of so many records. A batch may hold 50,000
    requests and 200 MB; where an account may queue only so many tokens, a smaller ``max_requests`` fits.
    ``max_attempts`` counts batches; ``timeout_s`` is that of one upload or download. ``submitted`` is the file of what
    was submitted, to be kept beside the journal. ``api``, ``headers`` and ``extra_body`` are as of ``openai``; the
    ``price`` of the entry is that of batches.

    Raises:
        ConfigError: a malformed URL, a limit out of range, or a key that is needed and not in the environment.
    """
    check_limits(concurrency=concurrency, max_requests=max_requests, max_file_mb=max_file_mb, max_attempts=max_attempts)
    for name, value, most in (("max_requests", max_requests, _MOST_REQUESTS), ("max_file_mb", max_file_mb, _MOST_MB)):
        if value > most:
            raise ConfigError(f"{name}: {value} is more than the {most} that a batch may hold")
    for name, seconds in (("poll_s", poll_s), ("quiet_s", quiet_s)):
        if seconds <= 0:
            raise ConfigError(f"{name}: {seconds} is not above 0")
    return OpenAIBatch(
        endpoint(base_url, model, api, api_key_env, headers or {}, extra_body or {}),
        Sizes(max_requests, max_file_mb * 10**6, quiet_s),
        Path(submitted),
        concurrency=concurrency,
        poll_s=poll_s,
        timeout_s=timeout_s,
        max_attempts=max_attempts,
    )
