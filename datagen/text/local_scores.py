"""What a model in this process says of records: how likely their text is, or what reward an answer gets.

Rows are batched by length, so that little is padding; a row's numbers depend on its batch in their last bits alone.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from datagen.errors import ConfigError
from datagen.llm import models
from datagen.llm.local_model import Head, Settings, best_device, opened
from datagen.record import Record

logger = logging.getLogger("datagen")
Layout = Literal["auto", "chat", "plain"]
"""How a record is written out: by the tokenizer's chat template (auto: if it has one), or its turns line by line."""

_ANSWER = "\ue000answer\ue000"  # stands for the answer while the template is laid out
_MOST_TOKENS, _MOST_LOGITS = 2**14, 2**27
_BLOCK = 1024


class Span(NamedTuple):
    """Tokens to be read, and those after them whose likelihood counts."""

    context: list[int]
    target: list[int]


class LocalModel:
    """A loaded model that scores; ``truncated`` counts the rows that were cut at ``limit`` tokens."""

    def __init__(
        self, model: str, head: Head = "CausalLM", *, layout: Layout = "auto", device: str, max_tokens: int | None
    ) -> None:
        device = best_device("transformers") if device == "auto" else device
        dtype = "float32" if device == "cpu" else "auto"
        settings = Settings(models.resolve(model), None, device, dtype, 1, 0, False, None)
        self._model, self.tokenizer, context = opened(settings, head)
        self.limit = min(context, max_tokens or context)
        self.truncated = 0
        self._device = device
        self._is_chat = layout == "chat" or (layout == "auto" and bool(self.tokenizer.chat_template))
        if self._is_chat and not self.tokenizer.chat_template:
            raise ConfigError(f"model {model}: its tokenizer has no chat template; use layout: plain")
        if not self.tokenizer.is_fast:
            raise ConfigError(f"model {model}: its tokenizer cannot say which characters a token stands for")
        special = (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id)
        self._start = [one for one in special if one is not None][:1]
        if not self._start:
            raise ConfigError(f"model {model}: its tokenizer has no token that begins or ends a text")

    def answer(self, record: Record) -> Span | str:
        """The answer after its prompt, or why it has no likelihood (a drop's reason)."""
        if not record.answers:
            return "no_answer"
        parts = self._parts(record)
        if parts is None:
            return "chat_template"
        ids, at = self._encoded(*parts)
        return self._cut(ids, at) if at < len(ids) else "empty"

    def whole(self, record: Record) -> Span | str:
        """Prompt and answer, all of which counts, or why it has no likelihood."""
        parts = self._parts(record)
        if parts is None:
            return "chat_template"
        ids, _ = self._encoded(*parts)
        return self._cut(ids, 1) if len(ids) > 1 else "empty"

    def alone(self, span: Span) -> Span:
        """The same target with nothing before it but what begins a text."""
        return Span(self._start, span.target)

    def losses(self, spans: Sequence[Span]) -> list[float]:
        """The mean negative log-likelihood of each target, in nats a token."""
        import torch
        from torch.nn.functional import cross_entropy

        found = [0.0] * len(spans)
        rows = [[*span.context, *span.target] for span in spans]
        most = max(1, _MOST_LOGITS // self._model.config.get_text_config().vocab_size)
        with torch.inference_mode():
            for batch in batches(rows, min(most, _MOST_TOKENS)):
                ids, mask = self._padded([rows[at] for at in batch])
                labels = torch.full_like(ids, -100)
                for row, at in enumerate(batch):
                    target = slice(len(spans[at].context), len(rows[at]))
                    labels[row, target] = ids[row, target]
                logits = self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
                loss = cross_entropy(logits.flatten(0, 1).float(), labels[:, 1:].flatten(), reduction="none")
                sums = loss.view(len(batch), -1).sum(1).tolist()
                for at, total in zip(batch, sums, strict=True):
                    found[at] = total / len(spans[at].target)
        return found

    def dialogue(self, record: Record, answer: str) -> list[int] | str:
        """The prompt with an answer, as reward models are trained on it, or why it has no reward."""
        text = self._rendered(record, answer)
        if text is None:
            return "chat_template"
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids if len(ids) <= self.limit else "too_long"

    def rewards(self, rows: Sequence[list[int]]) -> list[float]:
        """The scalar that the model's head gives each dialogue."""
        import torch

        found = [0.0] * len(rows)
        with torch.inference_mode():
            for batch in batches(rows, _MOST_TOKENS):
                ids, mask = self._padded([rows[at] for at in batch])
                rewards = self._model(input_ids=ids, attention_mask=mask).logits.squeeze(-1).float().tolist()
                for at, reward in zip(batch, rewards, strict=True):
                    found[at] = reward
        return found

    def _parts(self, record: Record) -> tuple[str, str] | None:
        """What stands before the answer, and the answer; None where the chat template refuses the record."""
        answer = well_formed(record.answer)
        if not self._is_chat:
            turns = "".join(f"{message.content}\n" for message in record.prompt)
            return well_formed(turns), answer
        text = self._rendered(record, _ANSWER)
        return None if text is None else (text.rpartition(_ANSWER)[0], answer)

    def _rendered(self, record: Record, answer: str) -> str | None:
        from jinja2 import TemplateError

        turns = [{"role": message.role, "content": message.content} for message in record.prompt]
        turns.append({"role": "assistant", "content": answer})
        try:
            return well_formed(self.tokenizer.apply_chat_template(turns, tokenize=False))
        except (TemplateError, TypeError, ValueError, LookupError):
            return None

    def _encoded(self, before: str, answer: str) -> tuple[list[int], int]:
        """The tokens of both, and where the answer's begin; one that stands for the end of the one too is its first."""
        found = self.tokenizer(before + answer, add_special_tokens=False, return_offsets_mapping=True)
        ids: list[int] = found["input_ids"]
        at = next((at for at, (_, end) in enumerate(found["offset_mapping"]) if end > len(before)), len(ids))
        start = self._start if self._start != ids[:1] else []
        return [*start, *ids], at + len(start)

    def _cut(self, ids: list[int], at: int) -> Span | str:
        self.truncated += len(ids) > self.limit
        return Span(ids[:at], ids[at : self.limit]) if at < self.limit else "no_room"

    def _padded(self, rows: Sequence[list[int]]) -> tuple[Any, Any]:
        """``input_ids`` and ``attention_mask``, padded on the right. Shapes: (rows, longest)"""
        import torch

        pad, longest = self.tokenizer.pad_token_id or 0, max(map(len, rows))
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self._device)
        return ids, mask


def blocks(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records in blocks within which they are batched by length."""
    rows = iter(records)
    while block := list(itertools.islice(rows, _BLOCK)):
        yield block


def say_truncated(stage: str, model: LocalModel) -> dict[str, int]:
    """How many rows were cut, for the log and the metrics."""
    if model.truncated:
        logger.warning("%s: %d rows were cut at %d tokens", stage, model.truncated, model.limit)
    return {"truncated_rows": model.truncated, "max_tokens": model.limit}


def batches(rows: Sequence[list[int]], most_tokens: int) -> Iterator[list[int]]:
    """Indices of rows of similar length that are at most so many tokens together, padding counted."""
    batch: list[int] = []
    for at in sorted(range(len(rows)), key=lambda at: len(rows[at])):
        if batch and (len(batch) + 1) * len(rows[at]) > most_tokens:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def well_formed(text: str) -> str:
    """The text with lone surrogates, which no tokenizer takes, replaced by U+FFFD."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
