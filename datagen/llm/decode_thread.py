"""The thread that decodes: requests come over a queue, wait for room, join the running batch, and are answered.

Everything but ``Request`` and ``work`` runs on that thread alone.
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datagen.errors import DatagenError, LLMError, StageError
from datagen.llm.base import Reply, Sampling
from datagen.llm.local_model import Settings, chat_tokens, load, room
from datagen.record import Message
from datagen.rng import derive

if TYPE_CHECKING:
    from datagen.llm.decoding import Decoder, Row

_DEFAULT_MAX_TOKENS = 1024
_GATHER_S = 0.003
_PATIENCE_STEPS = 8


@dataclass(frozen=True, eq=False)
class Request:
    """One reply that somebody waits for."""

    messages: Sequence[Message]
    sampling: Sampling
    sample: int
    done: asyncio.Future[Reply]


def work(settings: Settings, requests: queue.SimpleQueue[Request | None]) -> None:
    """The thread: load, then decode until told to stop. An error goes to everyone who waits, and to later callers."""
    worker = None
    try:
        worker = _Worker(settings, requests)
        while worker.turn():
            pass
        worker.fail(LLMError("closed", "the LLM was closed"))
        return
    except DatagenError as error:
        fatal = error
    except Exception as error:  # noqa: BLE001 (a thread's end must reach those who wait for it, or they wait for ever)
        fatal = StageError(
            f"use: transformers: {type(error).__name__}: {error}; a smaller concurrency needs less memory"
        )
    if worker is not None:
        worker.fail(fatal)
    while (request := requests.get()) is not None:
        _settle([(request.done, fatal)])


class _Worker:
    """Requests in, replies out."""

    def __init__(self, settings: Settings, requests: queue.SimpleQueue[Request | None]) -> None:
        self._requests = requests
        self._decoder, self._tokenizer, self._context = _opened(settings)
        self._waiting: deque[Row] = deque()
        self._patience = 0

    def turn(self) -> bool:
        """Take in requests, let rows join, one step. False when told to stop."""
        running = self._collect()
        if joining := self._joining():
            self._decoder.join(joining)
        if self._decoder.rows:
            _settle([(row.done, row.reply()) for row in self._decoder.step()])
        return running

    def _collect(self) -> bool:
        """Move what has come to ``_waiting``; an idle worker waits for a first request and for those on its heels."""
        idle = not self._decoder.rows and not self._waiting
        arrived: list[Request | None] = []
        with suppress(queue.Empty):
            if idle:
                arrived.append(self._requests.get())
            while None not in arrived and len(arrived) < 16 * self._decoder.slots:
                wait = idle and len(arrived) < self._decoder.slots
                arrived.append(self._requests.get(block=wait, timeout=_GATHER_S if wait else None))
        for request in arrived:
            if request is not None and not request.done.cancelled():
                self._accept(request)
        return None not in arrived

    def _accept(self, request: Request) -> None:
        try:
            self._waiting.append(_row(request, self._tokenizer, self._context))
        except DatagenError as error:
            _settle([(request.done, error)])

    def _joining(self) -> list[Row]:
        """The rows that join now: the longest waiting first, and several together, as each reading of prompts costs."""
        free = self._decoder.slots - len(self._decoder.rows)
        enough = min(max(1, self._decoder.slots // 8), max(1, len(self._waiting)))
        self._patience += 1
        if not self._waiting or not free or (self._decoder.rows and free < enough and self._patience < _PATIENCE_STEPS):
            return []
        self._patience = 0
        joining: list[Row] = []
        while self._waiting and self._decoder.fits(self._waiting[0], joining):
            row = self._waiting.popleft()
            if not row.done.cancelled():
                joining.append(row)
        return joining

    def fail(self, error: DatagenError) -> None:
        """Tell everyone who waits."""
        rows = [*self._decoder.rows, *self._waiting]
        self._decoder.rows.clear()
        self._waiting.clear()
        _settle([(row.done, error) for row in rows])


def _opened(settings: Settings) -> tuple[Decoder, Any, int]:
    model, tokenizer, context = load(settings)  # first: it says what to install where torch is missing
    from datagen.llm.decoding import Decoder

    decoder = Decoder(model, tokenizer, slots=settings.concurrency, max_batch_tokens=settings.max_batch_tokens)
    decoder.prepare()
    return decoder, tokenizer, context


def _row(request: Request, tokenizer: Any, context: int) -> Row:
    """The request in tokens. Raises ``LLMError``."""
    from datagen.llm.decoding import Row

    prompt = chat_tokens(tokenizer, request.messages)
    left = room(prompt, context)
    sampling = request.sampling
    max_tokens = min(left, sampling.max_tokens or _DEFAULT_MAX_TOKENS)
    return Row(prompt, _choice(sampling, prompt, request.sample), max_tokens, sampling.stop, request.done)


def _choice(sampling: Sampling, prompt: list[int], sample: int) -> Any:
    """How the reply is sampled; without a seed the prompt is the seed: a reply is a function of its request."""
    from datagen.llm.token_sampling import Choice

    seed = sampling.seed if sampling.seed is not None else prompt
    return Choice(
        rng=derive("sampling", seed, sample),
        temperature=1.0 if sampling.temperature is None else sampling.temperature,
        top_p=1.0 if sampling.top_p is None else sampling.top_p,
        top_k=max(0, sampling.top_k or 0),
        presence_penalty=sampling.presence_penalty or 0.0,
        frequency_penalty=sampling.frequency_penalty or 0.0,
        logprobs=sampling.logprobs,
    )


def _settle(outcomes: Sequence[tuple[asyncio.Future[Reply], Reply | DatagenError]]) -> None:
    for loop in {done.get_loop() for done, _ in outcomes}:
        mine = [outcome for outcome in outcomes if outcome[0].get_loop() is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_resolve, mine)


def _resolve(outcomes: Sequence[tuple[asyncio.Future[Reply], Reply | DatagenError]]) -> None:
    for done, outcome in outcomes:
        if done.done():
            continue
        if isinstance(outcome, Reply):
            done.set_result(outcome)
        else:
            done.set_exception(outcome)
