"""What stages hold: an LLM with its journal, its prompts and its sampling."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from datagen import prompts
from datagen.errors import LLMError
from datagen.llm import trail
from datagen.llm.base import Backend, Reply, Sampling, TokenLogprob
from datagen.llm.budget import Budget, Cost, Price, cost, most
from datagen.llm.journal import Journal, key
from datagen.prompts import Prompt
from datagen.record import Message
from datagen.rng import derive_seed

_REFUSED = {"refusal", "content_filter"}


@dataclass
class Stats:
    """What an LLM did since it was opened."""

    calls: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    longest: int = 0
    """Tokens of the longest reply."""
    seen_prompt_tokens: int = 0
    seen_completion_tokens: int = 0
    seen_squares: int = 0
    """Of all replies, replayed ones too: tokens, and the sum of the squares of their completion tokens."""
    seen_usd: float = 0.0
    """What all replies cost, or would without the journal."""
    call_seconds: float = 0.0
    """From asking to the reply, over all calls."""
    failures: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def count(self, reply: Reply, usd: float) -> None:
        """One call that was answered."""
        self.calls += 1
        self.prompt_tokens += reply.usage.prompt_tokens
        self.completion_tokens += reply.usage.completion_tokens
        self.usd += usd
        self.longest = max(self.longest, reply.usage.completion_tokens)
        if reply.finish_reason == "length":
            self.failures["truncated"] += 1

    def see(self, reply: Reply, usd: float) -> None:
        """One reply, paid for or replayed."""
        self.seen_usd += usd
        self.seen_prompt_tokens += reply.usage.prompt_tokens
        self.seen_completion_tokens += reply.usage.completion_tokens
        self.seen_squares += reply.usage.completion_tokens**2


class LLM:
    """One LLM entry of a pipeline, open: every reply is in the journal before anyone parses it.

    A sampled request (temperature not 0) carries a seed derived from the pipeline's seed and the request itself, so a
    reply does not depend on which stage, row or batch asked for it. Two equal requests are one call, and a call goes on
    when nobody waits for it any more: what is paid for is kept.
    """

    def __init__(
        self,
        backend: Backend,
        journal: Journal,
        *,
        pack: str = "",
        sampling: dict[str, Any] | None = None,
        seed: int = 0,
        price: Price | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.backend = backend
        self.journal = journal
        self.pack = pack
        self.overrides = sampling or {}
        self.seed = seed
        self.price = price
        self.stats = Stats()
        self.warned: set[str] = set()
        """Kinds of warnings that were given of this LLM: each is given once."""
        self._budget = budget
        self._prompts: dict[str, Prompt] = {}
        self._under_way: dict[bytes, asyncio.Task[Reply]] = {}

    @property
    def model(self) -> str:
        """The name that answers are credited to."""
        return self.backend.model

    @property
    def window(self) -> int:
        """How many records a stage should have under way so that one slow reply leaves no slot idle."""
        return max(min(16 * self.backend.concurrency, 4096), self.backend.concurrency)

    def prompt(self, name: str) -> Prompt:
        """The template of that name, from this LLM's own pack where it has one; its file is read once."""
        if (found := self._prompts.get(name)) is None:
            loaded = prompts.load(name, self.pack)
            sampling = loaded.sampling.merged(self.overrides)
            found = self._prompts[name] = replace(loaded, sampling=sampling)
        return found

    async def ask(
        self, name: str, /, *, sample: int = 0, sampling: dict[str, Any] | None = None, **variables: Any
    ) -> Reply:
        """One reply to the template ``name``. Sampling: the template's, then the LLM entry's, then ``sampling``."""
        return await self.chat(self.prompt(name).render(**variables), self.sampling(name, sampling), sample)

    def sampling(self, name: str, given: dict[str, Any] | None = None) -> Sampling:
        """How a reply to the template ``name`` is sampled: as it says, then the LLM entry, then ``given``."""
        chosen = self.prompt(name).sampling
        return chosen.merged(given) if given else chosen

    def has_answered(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> bool:
        """Whether the journal holds the reply."""
        return self.journal.get(self._identify(messages, sampling, sample)[2]) is not None

    async def chat(self, messages: Sequence[Message], sampling: Sampling = Sampling(), sample: int = 0) -> Reply:
        """One reply, from the journal if it was ever given before. Raises ``LLMError`` and ``ConfigError``.

        A refusal is stored like any reply, and raised as the failure that it is.
        """
        reply = await self._reply(messages, sampling, sample)
        self.stats.see(reply, self._usd(reply))
        if reply.finish_reason in _REFUSED:
            self.stats.failures["refused"] += 1
            raise LLMError("refused", f"{self.model} refused ({reply.finish_reason})", raw=reply.text)
        return msgspec.structs.replace(reply, model=self.model)

    async def _reply(self, messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply:
        messages, sampling, name = self._identify(messages, sampling, sample)
        trail.asked(name)
        if (stored := self.journal.get(name)) is not None:
            self.stats.replayed += 1
            return stored
        if (call := self._under_way.get(name)) is None:
            call = asyncio.create_task(self._call(name, messages, sampling, sample))
            self._under_way[name] = call
            call.add_done_callback(lambda done: self._over(name, done))
        return await asyncio.shield(call)

    def _over(self, name: bytes, call: asyncio.Task[Reply]) -> None:
        del self._under_way[name]
        if not call.cancelled():
            call.exception()  # or asyncio would report it where nobody waits any more

    def _identify(
        self, messages: Sequence[Message], sampling: Sampling, sample: int
    ) -> tuple[Sequence[Message], Sampling, bytes]:
        """The request as it will be sent, and its key in the journal."""
        try:
            return messages, *self._seeded(messages, sampling, sample)
        except UnicodeEncodeError:
            messages = [Message(message.role, _well_formed(message.content)) for message in messages]
            return messages, *self._seeded(messages, sampling, sample)

    def _seeded(self, messages: Sequence[Message], sampling: Sampling, sample: int) -> tuple[Sampling, bytes]:
        if sampling.seed is None and sampling.temperature != 0:
            seed = derive_seed(self.seed, msgspec.json.encode(list(messages)), sample) % 2**31
            sampling = msgspec.structs.replace(sampling, seed=seed)
        return sampling, key(self.backend.identity, messages, sampling, sample)

    async def _call(self, name: bytes, messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply:
        """One reply that is paid for, within the budget; it is settled once the reply is on disk."""
        if self._budget is None:
            return await self._paid(name, messages, sampling, sample)
        extra_body = self.backend.identity.get("extra_body", {})
        held, paid = most(messages, sampling, self.stats.longest, self.price, extra_body), Cost()
        await self._budget.hold(held)
        try:
            reply = await self._paid(name, messages, sampling, sample)
            paid = cost(reply.usage, self.price)
            return reply
        finally:
            self._budget.settle(held, paid)

    async def _paid(self, name: bytes, messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply:
        started = time.monotonic()
        try:
            reply = await self.backend.chat(messages, sampling, sample)
        except LLMError as error:
            self.stats.failures[error.reason] += 1
            raise
        self.stats.call_seconds += time.monotonic() - started
        usd = self._usd(reply)
        self.stats.count(reply, usd)
        try:
            return await self.journal.put(name, reply, model=self.model, usd=usd)
        except UnicodeEncodeError:
            return await self.journal.put(name, _encodable(reply), model=self.model, usd=usd)

    def _usd(self, reply: Reply) -> float:
        return self.price.of(reply.usage) if self.price else 0.0

    async def close(self) -> None:
        """Close the back end and give up what it did not answer; what came is on its way to the disk already."""
        await self.backend.close()
        for call in self._under_way.values():
            call.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)


def _well_formed(text: str) -> str:
    """The text with surrogate pairs joined and lone ones replaced by U+FFFD, so that it can be UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _encodable(reply: Reply) -> Reply:
    """The reply without lone surrogates (which a server that cuts an emoji in two can send)."""
    logprobs = tuple(
        TokenLogprob(
            _well_formed(one.token), one.logprob, {_well_formed(name): value for name, value in one.top.items()}
        )
        for one in reply.logprobs
    )
    return msgspec.structs.replace(reply, text=_well_formed(reply.text), logprobs=logprobs)
