"""OpenAI's chat completions on the wire: a request's body, a reply's, an error's. No input or output here."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from datagen.llm.base import Reply, Sampling, TokenLogprob, Usage
from datagen.record import Message

_SAME_NAME = ("temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty")
_MAX_RETRY_AFTER_S = 900.0
_MOST_TOKENS = 2**53
_IMPOSSIBLE = -9999.0  # what vLLM's server writes for a logarithm of 0, which JSON has no number for
_PASSING = {408, 409, 425, 429}
_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|max_model_len|maximum model length|too many tokens"
    r"|prompt is too long|inputs. tokens",
    re.IGNORECASE,
)
T = TypeVar("T")


class _Top(msgspec.Struct):
    token: str
    logprob: float


class _Token(msgspec.Struct):
    token: str
    logprob: float
    top_logprobs: list[_Top] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class WireUsage(msgspec.Struct):
    """Tokens as a server counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def usage(self) -> Usage:
        """The counts; one that was not given, or can be no count, is 0."""
        counts = (self.prompt_tokens or 0, self.completion_tokens or 0)
        return Usage(*(count if 0 <= count <= _MOST_TOKENS else 0 for count in counts))


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: WireUsage | None = None


_decoder = msgspec.json.Decoder(_Completion)


def request_body(
    model: str, messages: Sequence[Message], sampling: Sampling, *, max_tokens_field: str
) -> dict[str, Any]:
    """The body of a request, before extra fields. What ``sampling`` leaves open is left to the server."""
    body = {"model": model, "messages": messages, **sampling_fields(sampling, max_tokens_field=max_tokens_field)}
    if sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    if sampling.schema is not None:
        schema = {"name": "reply", "schema": sampling.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def sampling_fields(sampling: Sampling, *, max_tokens_field: str) -> dict[str, Any]:
    """The fields that chat and raw completions spell alike."""
    fields = {name: value for name in _SAME_NAME if (value := getattr(sampling, name)) is not None}
    if sampling.max_tokens is not None:
        fields[max_tokens_field] = sampling.max_tokens
    if sampling.stop:
        fields["stop"] = sampling.stop
    if sampling.choice:
        fields["structured_outputs"] = {"choice": sampling.choice}
    return fields


def parse_reply(data: bytes) -> Reply:
    """The reply in a response's body. Raises ``ValueError`` or ``MsgspecError`` where there is none."""
    completion = decode(_decoder, data)
    if not completion.choices:
        raise ValueError("no choices")
    choice = completion.choices[0]
    text, finish = choice.message.content or "", choice.finish_reason or "stop"
    if choice.message.refusal and not text:
        text, finish = choice.message.refusal, "refusal"
    logprobs = (choice.logprobs.content if choice.logprobs else None) or ()
    return Reply(
        text,
        finish,
        (completion.usage or WireUsage()).usage(),
        tuple(TokenLogprob(t.token, t.logprob, {o.token: o.logprob for o in t.top_logprobs or ()}) for t in logprobs),
    )


def decode(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """What a server sent, as the decoder's type. Raises ``MsgspecError`` or ``ValueError``."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # json takes lone surrogates (half an emoji) and what Python's servers write for inf
        return msgspec.convert(json.loads(data, parse_constant=_constant), decoder.type)


def _constant(name: str) -> float:
    """A reply with an infinity in it could be stored, and never read again."""
    if name != "-Infinity":
        raise ValueError(f"{name} is no number")
    return _IMPOSSIBLE


def parse_error(data: bytes) -> tuple[str, str]:
    """Code and message of an error's body: OpenAI's form, a bare string (TGI, FastAPI), or whatever came."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", data[:1000].decode("utf-8", "replace")
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return "", str(error)
    return str(error.get("code", "")), str(error.get("message") or error.get("detail") or error)


def is_passing(status: int) -> bool:
    """Whether the same request may well succeed later."""
    return status in _PASSING or status >= 500


def failure_reason(status: int, code: str, message: str) -> str:
    """The typed reason of a request that was refused: ``context_length`` or ``http_<status>``."""
    is_too_long = status == 413 or code == "context_length_exceeded" or _TOO_LONG.search(message)
    return "context_length" if is_too_long else f"http_{status}"


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks us to wait; the header is a number or an HTTP date (RFC 9110, 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    try:
        return min(_MAX_RETRY_AFTER_S, max(0.0, float(value)))
    except ValueError:
        pass
    try:
        return min(_MAX_RETRY_AFTER_S, max(0.0, parsedate_to_datetime(value).timestamp() - time.time()))
    except ValueError:
        return 0.0
