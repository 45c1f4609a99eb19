"""A request in vLLM's terms, and what comes back in ours. No engine here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datagen.errors import ConfigError, LLMError
from datagen.llm.base import Reply, Sampling, TokenLogprob, Usage
from datagen.record import Message
from datagen.rng import derive_seed

_SAME_NAME = ("temperature", "top_p", "top_k", "max_tokens", "presence_penalty", "frequency_penalty", "logprobs")
_NOT_PASSED = {
    "n": "ask for samples, one a request",
    "output_kind": "replies are read whole",
    "detokenize": "replies are texts",
}
_IMPOSSIBLE = -9999.0  # what vLLM's server writes for a logarithm of 0, which a stored reply has no number for


def text_tokens(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """The messages' bare texts, a blank line between them, in tokens. Raises ``LLMError`` where there are none."""
    tokens: list[int] = list(tokenizer.encode("\n\n".join(message.content for message in messages)))
    if not tokens:
        raise LLMError("bad_request", "the prompt is empty")
    return tokens


def sampling_params(
    sampling: Sampling, sample: int, prompt: Sequence[int], room: int, defaults: Mapping[str, Any]
) -> Any:
    """vLLM's ``SamplingParams``; ``room`` is the number of tokens that the context leaves for the reply.

    What ``sampling`` leaves open is taken from ``defaults``. The seed depends on the request's own, or without one on
    the prompt, and on ``sample``: a reply is a function of its request. Raises ``ConfigError``.
    """
    from vllm.exceptions import VLLMValidationError
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    given = {name: value for name in _SAME_NAME if (value := getattr(sampling, name)) is not None}
    fields = {**defaults, **given, **_extra(sampling.extra)}
    fields["max_tokens"] = min(room, fields.get("max_tokens") or room)
    fields["seed"] = derive_seed("sampling", sampling.seed if sampling.seed is not None else prompt, sample)
    if sampling.stop:
        fields["stop"] = list(sampling.stop)
    try:
        if (constraint := _constraint(sampling, fields.pop("structured_outputs", None))) is not None:
            fields["structured_outputs"] = constraint
        return SamplingParams(**fields, output_kind=RequestOutputKind.FINAL_ONLY, skip_clone=True)
    except (VLLMValidationError, TypeError, ValueError) as error:
        raise ConfigError(f"use: vllm: sampling: {error}") from error


def reply(output: Any, sampling: Sampling) -> Reply:
    """The reply in a finished ``RequestOutput``. Raises ``LLMError`` where the engine gave it up."""
    completion = output.outputs[0]
    finish = completion.finish_reason or "stop"
    if finish in ("abort", "error"):
        raise LLMError("engine", f"vLLM ended this request ({finish})", raw=completion.text)
    steps = completion.logprobs or ()
    if finish == "stop" and not isinstance(completion.stop_reason, str):
        steps = steps[:-1]  # the end token, which is no part of the text
    count = sampling.logprobs or 0
    logprobs = tuple(_logprob(token, step, count) for token, step in zip(completion.token_ids, steps, strict=False))
    usage = Usage(len(output.prompt_token_ids), len(completion.token_ids))
    return Reply(completion.text, finish, usage, logprobs)


def _extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that are passed through; the chat template's are the prompt's."""
    for name in _NOT_PASSED.keys() & extra.keys():
        raise ConfigError(f"sampling.extra: {name}: cannot be set; {_NOT_PASSED[name]}")
    return {name: value for name, value in extra.items() if value is not None and name != "chat_template_kwargs"}


def _constraint(sampling: Sampling, extra: Mapping[str, Any] | None) -> Any:
    """Schema, choice, and what ``extra`` may say (a regular expression, a grammar); vLLM allows one of them."""
    from vllm.sampling_params import StructuredOutputsParams

    fields = dict(extra or {})
    if sampling.schema is not None:
        fields["json"] = sampling.schema
    if sampling.choice:
        fields["choice"] = list(sampling.choice)
    return StructuredOutputsParams(**fields) if fields else None


def _logprob(token: int, alternatives: Mapping[int, Any], count: int) -> TokenLogprob:
    """The chosen token and the ``count`` likeliest ones, best first; of tokens that read the same, the likelier."""
    top: dict[str, float] = {}
    for one in sorted(alternatives.values(), key=lambda one: int(one.rank)):
        if one.rank <= count:
            top.setdefault(one.decoded_token, max(one.logprob, _IMPOSSIBLE))
    chosen = alternatives[token]
    return TokenLogprob(chosen.decoded_token, max(chosen.logprob, _IMPOSSIBLE), top)
