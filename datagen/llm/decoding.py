"""Continuous batching: rows join and leave between the forward passes of one decode loop."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from datagen.errors import ConfigError
from datagen.llm.base import Reply, TokenLogprob, Usage
from datagen.llm.slot_cache import ATTENTION, SlotCache
from datagen.llm.token_sampling import Choice, choose, logprobs

_PREFILL_TOKENS_CPU = 1024  # what stays in a core's cache reads prompts a quarter faster (measured, 2.5M weights)
_PREFILL_TOKENS_GPU = 16384


@dataclass(eq=False)
class Row:
    """One request that is decoded: ``prompt`` are its tokens; the reply goes to ``done``."""

    prompt: list[int]
    choice: Choice
    max_tokens: int
    stop: tuple[str, ...]
    done: asyncio.Future[Reply]
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: str = ""
    text: str = ""

    @property
    def length(self) -> int:
        """Tokens that lie in the cache before the next step."""
        return len(self.prompt) - 1 + len(self.choice.tokens)

    @property
    def last(self) -> int:
        """The token that the next step reads."""
        return self.choice.tokens[-1] if self.choice.tokens else self.prompt[-1]

    def reply(self) -> Reply:
        """What the caller gets."""
        usage = Usage(len(self.prompt), len(self.choice.tokens))
        return Reply(self.text, self.finish_reason, usage, tuple(self.logprobs))


class Decoder:
    """The rows under way on one model."""

    def __init__(self, model: Any, tokenizer: Any, *, slots: int, max_batch_tokens: int) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.slots = slots
        self.max_batch_tokens = max_batch_tokens
        self.rows: list[Row] = []
        self._cache = SlotCache(slots)
        self._ends = _end_tokens(model, tokenizer)

    def fits(self, row: Row, joining: Sequence[Row]) -> bool:
        """Whether a row can join those that decode and those about to; one alone always can."""
        others = [*self.rows, *joining]
        longest = max(len(one.prompt) + one.max_tokens for one in [row, *others])
        return not others or (len(others) < self.slots and (len(others) + 1) * longest <= self.max_batch_tokens)

    @torch.inference_mode()
    def join(self, rows: Sequence[Row]) -> None:
        """Read the prompts, but for their last token, in batches of similar length."""
        limit = _PREFILL_TOKENS_CPU if self.model.device.type == "cpu" else _PREFILL_TOKENS_GPU
        for group in _similar(sorted(rows, key=lambda row: len(row.prompt)), limit):
            self._prefill([row.prompt[:-1] for row in group])
            self.rows.extend(group)

    @torch.inference_mode()
    def step(self) -> list[Row]:
        """One more token for every row; gives back, and lets go of, those that are finished."""
        rows, device = self.rows, self.model.device
        logits = self._forward([row.last for row in rows], [row.length for row in rows], device)
        wanted = [row.choice.logprobs for row in rows if row.choice.logprobs is not None]
        raw = logits.clone() if wanted else logits
        tokens = choose(logits, [row.choice for row in rows])
        if wanted:
            self._keep_logprobs(raw, tokens, max(wanted))
        for row, token in zip(rows, tokens, strict=True):
            self._extend(row, token)
        finished = [row for row in rows if row.finish_reason]
        for row in finished:
            self._leave(row)
        return finished

    def _prefill(self, prompts: list[list[int]]) -> None:
        """Fill the slots after those in use. Padding lies to the right, where causal attention never sees it."""
        width = max(map(len, prompts))
        self._cache.reserve(width + 1)
        if width:
            self._cache.begin_prefill(len(self.rows))
            padded = [tokens + [0] * (width - len(tokens)) for tokens in prompts]
            ids = torch.tensor(padded, device=self.model.device)
            self.model.base_model(input_ids=ids, past_key_values=self._cache, use_cache=True)

    def _forward(self, tokens: list[int], lengths: list[int], device: torch.device) -> torch.Tensor:
        """Logits (batch, vocabulary), float32, of the token after the given ones."""
        span = max(lengths) + 1
        self._cache.reserve(span)
        positions = torch.tensor(lengths, device=device)
        self._cache.begin_step(positions, span)
        hidden = torch.arange(span, device=device) > positions[:, None]
        mask = torch.zeros(hidden.shape, dtype=self.model.dtype, device=device)
        mask.masked_fill_(hidden, torch.finfo(self.model.dtype).min)
        output = self.model(
            input_ids=torch.tensor(tokens, device=device)[:, None],
            position_ids=positions[:, None],
            attention_mask=mask[:, None, None, :],
            past_key_values=self._cache,
            use_cache=True,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits.float()

    def _extend(self, row: Row, token: int) -> None:
        if row.done.cancelled():
            row.finish_reason = "cancelled"
            return
        ended = token in self._ends
        if not ended:
            row.choice.tokens.append(token)
        cut = self._stop_position(row) if row.stop and not ended else None
        if not ended and cut is None and len(row.choice.tokens) < row.max_tokens:
            return
        row.finish_reason = "stop" if ended or cut is not None else "length"
        row.text = self._text(row.choice.tokens)[:cut]

    def _stop_position(self, row: Row) -> int | None:
        """Where the first stop string begins in the text so far. Looks at the last tokens first: each holds a byte."""
        longest = max(len(stop.encode()) for stop in row.stop)
        tail = self._text(row.choice.tokens[-longest - 4 :])
        if not any(stop in tail for stop in row.stop):
            return None
        text = self._text(row.choice.tokens)
        return min((at for stop in row.stop if (at := text.find(stop)) >= 0), default=None)

    def _keep_logprobs(self, logits: torch.Tensor, tokens: list[int], count: int) -> None:
        own, best = logprobs(logits, tokens, count)
        for row, token, logprob, alternatives in zip(self.rows, tokens, own, best, strict=True):
            if row.choice.logprobs is None or token in self._ends:
                continue
            top: dict[str, float] = {}
            for other, value in list(alternatives.items())[: row.choice.logprobs]:
                top[self._token_name(other, top)] = value
            row.logprobs.append(TokenLogprob(self._token_name(token), logprob, top))

    def _token_name(self, token: int, taken: Container[str] = ()) -> str:
        """The token's text; the vocabulary's own name for part of a character, or where another reads the same."""
        text: str = self.tokenizer.decode([token])
        if "\ufffd" in text or text in taken:
            return str(self.tokenizer.convert_ids_to_tokens(token))
        return text

    def _leave(self, row: Row) -> None:
        """The last row takes the slot of the one that leaves."""
        slot, last = self.rows.index(row), self.rows.pop()
        if last is not row:
            self._cache.move(len(self.rows), slot, last.length)
            self.rows[slot] = last

    def _text(self, tokens: list[int]) -> str:
        text: str = self.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    @torch.inference_mode()
    def prepare(self) -> None:
        """Switch the model to our attention, and compare with its own forward pass.

        Raises:
            ConfigError: a model that keeps its past in another way.
        """
        tokens = [1 + i % 7 for i in range(9)]
        expected = self.model(input_ids=torch.tensor([tokens], device=self.model.device)).logits[0, -1].float()
        if self.model.config._attn_implementation == "sdpa":
            self.model.set_attn_implementation(ATTENTION)
        self._prefill([tokens[:7]])
        self._forward(tokens[7:8], [7], self.model.device)
        found = self._forward(tokens[8:], [8], self.model.device)[0]
        if not torch.allclose(found, expected, rtol=0.05, atol=0.05 * float(expected.std())):
            raise ConfigError(
                f"{type(self.model).__name__}: its attention is not of the plain kind that use: transformers batches;"
                " use: vllm, or openai with a server"
            )


def _similar(rows: Sequence[Row], limit: int) -> list[list[Row]]:
    """Rows, sorted by length, in groups that waste little on padding and fit one forward pass."""
    groups: list[list[Row]] = []
    for row in rows:
        width = len(row.prompt)
        group = groups[-1] if groups else []
        if group and width <= 2 * len(group[0].prompt) + 16 and (len(group) + 1) * width <= limit:
            group.append(row)
        else:
            groups.append([row])
    return groups


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    return {end for end in [*ends, tokenizer.eos_token_id] if end is not None}
