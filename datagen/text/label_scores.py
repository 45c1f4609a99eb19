"""How likely a classifier in this process holds a text to be what one of its labels says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from datagen.errors import ConfigError
from datagen.llm import models
from datagen.llm.local_model import Settings, best_device, opened
from datagen.text.local_scores import batches, well_formed

_MOST_TOKENS = 2**14


class LabelModel:
    """A loaded sequence classifier and the label that counts. Raises ``ConfigError``.

    Its probability is the sigmoid of the label's logit where the model has one label or says that several may hold at
    once (``problem_type: multi_label_classification``), else the softmax over all labels.
    """

    def __init__(self, model: str, label: str | None, *, device: str, max_tokens: int | None) -> None:
        device = best_device("transformers") if device == "auto" else device
        dtype = "float32" if device == "cpu" else "auto"
        settings = Settings(models.resolve(model), None, device, dtype, 1, 0, False, None)
        self._model, self._tokenizer, context = opened(settings, "SequenceClassification")
        if not self._tokenizer.is_fast:
            raise ConfigError(f"model {model}: its tokenizer cannot cut a text into windows")
        config = self._model.config
        self._at = _index(model, config.id2label, label)
        self._apart = config.num_labels == 1 or config.problem_type == "multi_label_classification"
        self._device = device
        self.window = min(context, max_tokens or context)

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Each text's probability of the label: of its windows of ``window`` tokens the highest; of no text 0."""
        rows, owners = self._windows([well_formed(text) for text in texts])
        found = [0.0] * len(texts)
        for batch in batches(rows, _MOST_TOKENS):
            for at, probability in zip(batch, self._probabilities([rows[at] for at in batch]), strict=True):
                worst = found[owners[at]]
                found[owners[at]] = probability if math.isnan(probability) or probability > worst else worst
        return found

    def _windows(self, texts: list[str]) -> tuple[list[list[int]], list[int]]:
        """Token ids, with the model's own special tokens, and which text each comes from."""
        full = [at for at, text in enumerate(texts) if text.strip()]
        if not full:
            return [], []
        cut: dict[str, Any] = {"truncation": True, "max_length": self.window, "return_overflowing_tokens": True}
        encoded = self._tokenizer([texts[at] for at in full], **cut)
        return encoded["input_ids"], [full[at] for at in encoded["overflow_to_sample_mapping"]]

    def _probabilities(self, rows: list[list[int]]) -> list[float]:
        import torch

        pad, longest = self._tokenizer.pad_token_id or 0, max(map(len, rows))
        ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self._device)
        with torch.inference_mode():
            logits = self._model(input_ids=ids, attention_mask=mask).logits.float()
        shares = torch.sigmoid(logits) if self._apart else torch.softmax(logits, dim=-1)
        probabilities: list[float] = shares[:, self._at].tolist()
        return probabilities


def _index(model: str, labels: dict[int, str], label: str | None) -> int:
    """Which of a model's labels is meant; one that has a single label needs no name for it."""
    if label is None and len(labels) == 1:
        return 0
    named = {name.casefold(): at for at, name in labels.items()}
    if label is None or label.casefold() not in named:
        given = "name the label that counts" if label is None else f"no label {label!r}"
        raise ConfigError(f"model {model}: {given}; it has: {', '.join(labels.values())}")
    return named[label.casefold()]
