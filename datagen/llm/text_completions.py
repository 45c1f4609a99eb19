"""OpenAI's raw completions on the wire, for base models: a prompt is bare text. No input or output here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from datagen.llm.base import Reply, Sampling, TokenLogprob
from datagen.llm.chat_completions import WireUsage, decode, sampling_fields
from datagen.record import Message


class _Logprobs(msgspec.Struct):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None


class _Choice(msgspec.Struct):
    text: str
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: WireUsage | None = None


_decoder = msgspec.json.Decoder(_Completion)


def request_body(model: str, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    """The body of a request, before extra fields: the messages' texts, a blank line between them."""
    prompt = "\n\n".join(message.content for message in messages)
    body = {"model": model, "prompt": prompt, **sampling_fields(sampling, max_tokens_field="max_tokens")}
    if sampling.logprobs is not None:
        body["logprobs"] = sampling.logprobs
    if sampling.schema is not None:
        body["structured_outputs"] = {"json": sampling.schema}
    return body


def parse_reply(data: bytes) -> Reply:
    """The reply in a response's body. Raises ``ValueError`` or ``MsgspecError`` where there is none."""
    completion = decode(_decoder, data)
    if not completion.choices:
        raise ValueError("no choices")
    choice = completion.choices[0]
    found = choice.logprobs or _Logprobs()
    tops = found.top_logprobs or [None] * len(found.tokens)
    logprobs = tuple(
        TokenLogprob(token, logprob, top or {})
        for token, logprob, top in zip(found.tokens, found.token_logprobs, tops, strict=True)
        if logprob is not None
    )
    usage = (completion.usage or WireUsage()).usage()
    return Reply(choice.text, choice.finish_reason or "stop", usage, logprobs)
