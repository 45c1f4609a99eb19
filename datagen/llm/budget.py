"""What a run may spend: money, tokens, calls. It stops before the line is crossed, with nothing in flight.

Before a call its most expensive outcome is set aside: a token for each byte of the prompt, and ``max_tokens`` of reply,
also where it stands among the extra fields (where it is open, the longest reply so far and at least 4,096 tokens; there
alone the line can be crossed). A call that does not fit waits for what is in flight to cost less than was set aside; it
fails when nothing is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from datagen.errors import ConfigError
from datagen.llm.base import Sampling, Usage
from datagen.record import Message

_OPEN_REPLY_TOKENS = 4096
_TEMPLATE_TOKENS = 64
_REPLY_LIMITS = ("max_tokens", "max_completion_tokens")
_NOTHING: Mapping[str, Any] = {}


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be spent in all, over all resumes; ``calls: 0`` replays and asks nothing."""

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """USD for a million tokens."""

    input: float
    output: float

    def of(self, usage: Usage) -> float:
        """USD for these tokens."""
        return (self.input * usage.prompt_tokens + self.output * usage.completion_tokens) / 1e6


class Cost(NamedTuple):
    """Money, tokens and calls together."""

    usd: float = 0.0
    tokens: int = 0
    calls: int = 0

    def plus(self, other: Cost, sign: int = 1) -> Cost:
        """The sum, or the difference for ``sign=-1``."""
        return Cost(self.usd + sign * other.usd, self.tokens + sign * other.tokens, self.calls + sign * other.calls)

    def __str__(self) -> str:
        return f"${self.usd:.4f}, {self.tokens:,} tokens, {self.calls:,} calls"


def cost(usage: Usage, price: Price | None) -> Cost:
    """What one call cost."""
    return Cost(price.of(usage) if price else 0.0, usage.prompt_tokens + usage.completion_tokens, 1)


def most(
    messages: Sequence[Message],
    sampling: Sampling,
    longest: int,
    price: Price | None,
    extra_body: Mapping[str, Any] = _NOTHING,
) -> Cost:
    """The most that a call can cost; ``longest`` is the longest reply so far, in tokens.

    A schema, choices and extra fields may be put into the prompt, tools for one: their JSON counts as a part of it.
    """
    prompt = sum(len(message.content.encode("utf-8", "replace")) + _TEMPLATE_TOKENS for message in messages)
    beside = [one for one in (sampling.schema, sampling.choice, sampling.extra, extra_body) if one]
    prompt += sum(len(msgspec.json.encode(one)) for one in beside)
    fields = {"max_tokens": sampling.max_tokens, **extra_body, **sampling.extra}
    given = [limit for name in _REPLY_LIMITS if isinstance(limit := fields.get(name), int)]
    return cost(Usage(prompt, max(given, default=max(longest, _OPEN_REPLY_TOKENS))), price)


class Budget:
    """The spending of one run against its limits."""

    def __init__(self, limits: Limits, spent: Cost = Cost()) -> None:
        self.spent = spent
        self._limits = limits
        self._held = Cost()
        self._waiting: deque[tuple[Cost, asyncio.Future[bool]]] = deque()

    async def hold(self, asked: Cost) -> None:
        """Set so much aside for one call, as soon as it fits. Raises ``ConfigError`` when it never will."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, turn))
        self._admit()
        try:
            fits = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.settle(asked, Cost())
            raise
        if not fits:
            raise ConfigError(
                f"budget ({self._spelled()}): spent {self.spent}; the next call may cost {asked}. "
                "Raise the budget and run the same command again: it goes on from here"
            )

    def settle(self, held: Cost, paid: Cost) -> None:
        """A call is over: count what it cost in place of what was set aside."""
        self._held = self._held.plus(held, -1)
        self.spent = self.spent.plus(paid)
        self._admit()

    def _admit(self) -> None:
        """Let those that wait go, in order, or tell them that they never will."""
        while self._waiting:
            asked, turn = self._waiting[0]
            if not turn.done():
                fits = self._fits(asked)
                if not fits and self._held.calls:
                    return
                if fits:
                    self._held = self._held.plus(asked)
                turn.set_result(fits)
            self._waiting.popleft()

    def _fits(self, asked: Cost) -> bool:
        whole = self.spent.plus(self._held).plus(asked)
        limits = (self._limits.usd, self._limits.tokens, self._limits.calls)
        return all(limit is None or value <= limit for value, limit in zip(whole, limits, strict=True))

    def _spelled(self) -> str:
        given = msgspec.structs.asdict(self._limits).items()
        return ", ".join(f"{name}: {value:,}" for name, value in given if value is not None)
