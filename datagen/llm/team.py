"""Several LLMs behind one name: a pool, of which one is drawn for each request, and a fallback, tried in order.

UltraFeedback (arXiv 2310.01377) draws 4 of 17 models for each instruction: here sample k of a prompt goes to the k-th
of its draw, without putting back (Efraimidis and Spirakis 2006: the largest u^(1/weight) first). The draw depends on
the pipeline's seed and the messages alone, so a resumed run asks the same models again. Journal, price, sampling and
stats are the members' own: an answer paid for through a pool is the same answer outside of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datagen.errors import LLMError, ServerGone
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.prompts import Prompt
from datagen.record import Message
from datagen.rng import derive

Order = Callable[[Sequence[Message], int], Sequence[tuple[LLM, int]]]
"""For the messages and the number of the sample: the members to try, each with the number of its own sample."""


def pool(weights: Mapping[str, float], members: Mapping[str, LLM], seed: int) -> Order:
    """One member, drawn by weight."""

    def order(messages: Sequence[Message], sample: int) -> Sequence[tuple[LLM, int]]:
        rng = derive(seed, "pool", *((message.role, message.content) for message in messages))
        drawn = {name: math.log(1 - rng.random()) / weight for name, weight in weights.items()}
        ranked = sorted(drawn, key=drawn.__getitem__, reverse=True)
        turn, at = divmod(sample, len(ranked))
        return [(members[ranked[at]], turn)]

    return order


def fallback(members: Mapping[str, LLM]) -> Order:
    """All members, as they stand in the file."""
    return lambda messages, sample: [(member, sample) for member in members.values()]


class Team:
    """Stands where an ``LLM`` stands. Its members share a prompt pack; ``Reply.model`` says which of them answered."""

    def __init__(self, name: str, members: Sequence[LLM], order: Order) -> None:
        self.model = name
        self.members = members
        self.warned: set[str] = set()
        self._order = order

    @property
    def window(self) -> int:
        """How many records a stage should have under way."""
        windows = [member.window for member in self.members]
        return max(min(sum(windows), 4096), *windows)

    def prompt(self, name: str) -> Prompt:
        """The template of that name, from the pack that all members share."""
        return self.members[0].prompt(name)

    async def ask(
        self, name: str, /, *, sample: int = 0, sampling: dict[str, Any] | None = None, **variables: Any
    ) -> Reply:
        """One reply to the template ``name``; each member adds its own sampling."""
        messages = self.prompt(name).render(**variables)
        order = self._order(messages, sample)
        return await self._first(messages, [(member, member.sampling(name, sampling), k) for member, k in order])

    async def chat(self, messages: Sequence[Message], sampling: Sampling = Sampling(), sample: int = 0) -> Reply:
        """One reply. Raises the last member's ``LLMError`` or ``ServerGone``, and ``ConfigError``."""
        return await self._first(messages, [(member, sampling, k) for member, k in self._order(messages, sample)])

    async def _first(self, messages: Sequence[Message], tries: list[tuple[LLM, Sampling, int]]) -> Reply:
        if len(tries) > 1:  # who answered once is asked first: a resumed run reads what the run before it read
            tries.sort(key=lambda one: not one[0].has_answered(messages, one[1], one[2]))
        failure: LLMError | ServerGone | None = None
        for member, sampling, sample in tries:
            try:
                return await member.chat(messages, sampling, sample)
            except (LLMError, ServerGone) as error:
                failure = error
        assert failure is not None, "a team has members"
        raise failure
