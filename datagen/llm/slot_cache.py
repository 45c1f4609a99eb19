"""Keys and values of the rows that are being decoded, each in a slot of one buffer.

Row i's tokens lie at positions 0..length-1 of slot i, so rows of any length share a forward pass, one can join or leave
without moving the others, and a step copies nothing but its own token (transformers' ``DynamicCache`` copies all).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

_MIN_LENGTH = 128
ATTENTION = "datagen_slots"
"""Name of ``attend`` among transformers' attention functions."""


class SlotCache:
    """A model's ``past_key_values``. Keys and values of a layer: (slots, heads, length, dim)."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.length = _MIN_LENGTH
        self.layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._first = 0
        self._positions: torch.Tensor | None = None
        self._span = 0

    def begin_prefill(self, first: int) -> None:
        """The next forward pass fills slots ``first``, ``first + 1``, ... from position 0."""
        self._first, self._positions = first, None

    def begin_step(self, positions: torch.Tensor, span: int) -> None:
        """The next forward pass adds one token to slot i at ``positions[i]`` (batch,) and sees ``span`` positions."""
        self._positions, self._span = positions, span
        self._index: torch.Tensor | None = None

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values, (batch, heads, new, dim); gives back all that attention may look at."""
        if layer_idx == len(self.layers):
            self.layers.append((self._empty_like(key), self._empty_like(value)))
        keys, values = self.layers[layer_idx]
        if self._positions is None:
            rows = slice(self._first, self._first + key.shape[0])
            keys[rows, :, : key.shape[2]] = key
            values[rows, :, : key.shape[2]] = value
            return key, value
        if self._index is None:
            self._index = self._flat_index(self._positions, key.shape[1])
        keys.view(-1, keys.shape[3]).index_copy_(0, self._index, key.reshape(-1, key.shape[3]))
        values.view(-1, values.shape[3]).index_copy_(0, self._index, value.reshape(-1, value.shape[3]))
        batch = len(self._positions)
        return keys[:batch, :, : self._span], values[:batch, :, : self._span]

    def _flat_index(self, positions: torch.Tensor, heads: int) -> torch.Tensor:
        """Where each row's and head's new token lies in a layer's buffer, seen as (slots * heads * length, dim)."""
        lanes = torch.arange(len(positions) * heads, device=positions.device).view(-1, heads)
        return (lanes * self.length + positions[:, None]).flatten()

    def move(self, source: int, target: int, length: int) -> None:
        """Copy a row's first ``length`` positions to another slot."""
        for keys, values in self.layers:
            keys[target, :, :length] = keys[source, :, :length]
            values[target, :, :length] = values[source, :, :length]

    def reserve(self, length: int) -> None:
        """Make room for rows of that length."""
        if length <= self.length:
            return
        while self.length < length:
            self.length *= 2
        self.layers = [(self._grown(keys), self._grown(values)) for keys, values in self.layers]

    def _empty_like(self, new: torch.Tensor) -> torch.Tensor:
        # Zeros: attention multiplies masked positions by 0, which rubbish that reads as NaN would survive.
        return new.new_zeros(self.slots, new.shape[1], self.length, new.shape[3])

    def _grown(self, old: torch.Tensor) -> torch.Tensor:
        grown = self._empty_like(old)
        grown[:, :, : old.shape[2]] = old
        return grown

    # What models ask of a cache, beside ``update``. Masks and positions of a step are given to them ready-made.

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens seen before a prefill."""
        return 0

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """Position of a prefill's first token."""
        return 0

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Length and offset of what a prefill attends to: itself."""
        return query_length, 0

    def get_max_length(self, layer_idx: int | None = None) -> int:
        """Unbounded."""
        return -1

    is_compileable = False
    is_sliding = (False,)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one new token a row, as two batched products on the cache where it lies; sdpa for everything else.

    Faster than sdpa for a step on a CPU, and heads that share keys need no copies of them.
    """
    batch, heads, new, dim = query.shape
    if new != 1 or attention_mask is None:
        output: torch.Tensor = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )[0]
        return output, None
    shared, span = key.shape[1], key.shape[2]
    scaled = (query * (dim**-0.5 if scaling is None else scaling)).reshape(batch * shared, heads // shared, dim)
    scores = torch.bmm(scaled, key.reshape(batch * shared, span, dim).transpose(1, 2)).view(batch, heads, span)
    weights = (scores + attention_mask[:, 0]).softmax(-1, dtype=torch.float32).to(query.dtype)
    mixed = torch.bmm(weights.view(batch * shared, heads // shared, span), value.reshape(batch * shared, span, -1))
    return mixed.view(batch, 1, heads, -1), None


AttentionInterface.register(ATTENTION, attend)
