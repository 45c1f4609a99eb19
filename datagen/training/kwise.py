"""TRL's RewardTrainer on rankings of any length. Imported by the worker alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from trl import RewardTrainer


def make(spec: dict[str, Any], **common: Any) -> RewardTrainer:
    """The trainer for rows of ``prompt`` and ``answers``, best first."""
    pad_id = common["processing_class"].pad_token_id
    return KwiseTrainer(**common, data_collator=lambda rows: collate([row["answer_ids"] for row in rows], pad_id))


def kwise_loss(rewards: Tensor, counts: Tensor) -> Tensor:
    """Mean over prompts of ``-1/C(K,2) sum_{w better than l} log sigmoid(r_w - r_l)`` (arXiv 2203.02155, eq. 1).

    Args:
        rewards: of all prompts' answers one after the other, best first. Shape: (answers,)
        counts: K of each prompt, at least 2. Shape: (prompts,)
    """
    return torch.stack([-logsigmoid(better - worse).mean() for better, worse in pairs(rewards, counts)]).mean()


def pairs(rewards: Tensor, counts: Tensor) -> list[tuple[Tensor, Tensor]]:
    """For each prompt the better and the worse answers' rewards, pair by pair. Shapes: (K (K - 1) / 2,) each"""
    found = []
    for ranked in torch.split(rewards, counts.tolist()):
        better, worse = torch.triu_indices(len(ranked), len(ranked), offset=1)
        found.append((ranked[better], ranked[worse]))
    return found


def collate(rankings: list[list[list[int]]], pad_id: int) -> dict[str, Tensor]:
    """All answers of all prompts, padded on the right: ``input_ids``, ``attention_mask`` (answers, seq); ``counts``."""
    rows = [torch.tensor(ids) for ranking in rankings for ids in ranking]
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "input_ids": pad(rows, batch_first=True, padding_value=pad_id),
        "attention_mask": pad([torch.ones_like(row) for row in rows], batch_first=True),
        "counts": torch.tensor([len(ranking) for ranking in rankings]),
    }


class KwiseTrainer(RewardTrainer):  # type: ignore[misc]
    """RewardTrainer with the K-wise loss, which for two answers is its own."""

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        def encoded(row: dict[str, Any]) -> dict[str, Any]:
            dialogues = [[*row["prompt"], *answer] for answer in row["answers"]]
            return {"answer_ids": processing_class.apply_chat_template(dialogues, return_dict=True)["input_ids"]}

        def fits(row: dict[str, Any]) -> bool:
            return args.max_length is None or max(map(len, row["answer_ids"])) <= args.max_length

        return dataset.map(encoded, remove_columns=dataset.column_names).filter(fits)

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["answer_ids"]

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The K-wise loss; logs what RewardTrainer logs."""
        outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
        rewards = outputs.logits.squeeze(-1)
        loss = kwise_loss(rewards, inputs["counts"])
        if self.args.center_rewards_coefficient is not None:
            centred = [(better + worse).square().mean() for better, worse in pairs(rewards, inputs["counts"])]
            loss = loss + self.args.center_rewards_coefficient * torch.stack(centred).mean()
        self._note(rewards.detach(), inputs)
        return (loss, outputs) if return_outputs else loss

    def _note(self, rewards: Tensor, inputs: dict[str, Tensor]) -> None:
        mode = "train" if self.model.training else "eval"
        noted = self._metrics[mode]
        if mode == "train":
            self._total_train_tokens += int(self.accelerator.gather(inputs["attention_mask"].sum()).sum())
        noted["num_tokens"] = [self._total_train_tokens]
        margins = torch.cat([better - worse for better, worse in pairs(rewards, inputs["counts"])])
        values = {"accuracy": (margins > 0).float().mean(), "margin": margins.mean(), "mean_reward": rewards.mean()}
        for name, value in values.items():
            noted[name].append(self.accelerator.gather(value).mean().item())
