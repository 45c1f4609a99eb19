"""The narrow boundary that every LLM back end stands behind. A back end knows nothing of records or stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from datagen.record import Message


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How to sample one reply, in OpenAI's terms. ``None`` leaves the choice to the server."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    """Number of alternatives per token to return (0: the chosen token's log-probability alone)."""
    schema: dict[str, Any] | None = None
    """JSON schema that the reply must follow, where the server can enforce it."""
    choice: tuple[str, ...] = ()
    """Texts of which the reply must be one, where the server can enforce it (vLLM)."""
    extra: dict[str, Any] = {}
    """Further request fields, passed through as they are; one that is null is left out of the request."""

    def merged(self, other: dict[str, Any]) -> Sampling:
        """This sampling with the fields that ``other`` names replaced. Raises ``msgspec.ValidationError``."""
        return msgspec.convert({**msgspec.to_builtins(self), **other}, Sampling)


class Usage(msgspec.Struct, frozen=True):
    """Tokens that were read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class TokenLogprob(msgspec.Struct, frozen=True, omit_defaults=True):
    """One generated token, its log-probability (nats), and the most likely alternatives."""

    token: str
    logprob: float
    top: dict[str, float] = {}


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came back, unparsed. ``finish_reason`` is ``stop``, ``length`` (cut at max_tokens) or the server's word."""

    text: str
    finish_reason: str = "stop"
    usage: Usage = Usage()
    logprobs: tuple[TokenLogprob, ...] = ()
    model: str = ""
    """Who is credited with it; the client fills it in."""


class Backend(Protocol):
    """One model behind one endpoint."""

    model: str
    """Name that answers are credited to."""
    concurrency: int
    """Requests that it takes at once."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything about model and endpoint that can change a reply: part of the journal's key. No secrets."""
        ...

    async def chat(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> Reply:
        """One reply; ``sample`` numbers independent draws for the same messages. A back end bounds its own concurrency.

        Raises ``LLMError`` for this request, ``ConfigError`` for all.
        """
        ...

    async def close(self) -> None:
        """Free connections or memory; what is already paid for is waited for."""
        ...
