"""PPO on TRL's RLOO trainer: what it samples and scores, with token advantages and a value model. For the worker alone.

Inherited are sampling (vLLM too), rewards, the reference model, adapters, checkpoints; replaced are the two methods
that turn samples into advantages and advantages into a loss. A mixture of experts gets no load-balancing loss.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from accelerate import PartialState
from peft import PeftModel, inject_adapter_in_model
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from trl import RLOOTrainer
from trl.trainer.utils import disable_dropout_in_model, pad, use_adapter

from datagen.errors import ConfigError
from datagen.training import adapters, ppo_math
from datagen.training.method import load
from datagen.training.online import prepared
from datagen.training.rewards import reward_functions

_VALUE_FILE = "value.safetensors"


@dataclass(frozen=True)
class Settings:
    """What RLOOConfig has no field for; see ``training.ppo``."""

    gamma: float
    lam: float
    value_clip: float
    vf_coef: float
    ptx_coef: float
    samples: int
    missing_eos_penalty: float


def make(spec: dict[str, Any], **common: Any) -> PPOTrainer:
    """The trainer for rows of ``prompt``. Raises ``ConfigError``."""
    options = spec["options"]
    chosen = Settings(**options["ppo"])
    args = common["args"]
    # RLOOConfig insists on two samples a prompt, for its baseline; PPO's is the value model.
    args.num_generations = args.num_generations_eval = chosen.samples
    # The value model's weights do not go through the policy's forward pass, where DDP would look for them.
    args.ddp_find_unused_parameters = False
    if "logging_steps" not in spec["args"]:  # a line for each round: without new samples there is no reward to log
        args.logging_steps = max(1, args.num_iterations * args.steps_per_generation // args.gradient_accumulation_steps)
    return PPOTrainer(
        **prepared(spec, common),
        reward_funcs=reward_functions(spec),
        chosen=chosen,
        value_model=_value_model(spec, common["processing_class"], args.model_init_kwargs["dtype"]),
        pretrain=_texts(options["pretrain"], common["processing_class"], spec["context"]),
    )


def _value_model(spec: dict[str, Any], tokenizer: Any, dtype: str) -> Any:
    """The reward model; or the base with a head of zeros, which promises nothing before it has learnt.

    Where the policy learns by adapters so does this, on weights as small as the policy's, and its head learns whole.
    """
    reward, peft, quantization = spec["options"]["reward"], spec["peft"], spec["quantization"]
    same = reward is not None and AutoTokenizer.from_pretrained(reward).get_vocab() == tokenizer.get_vocab()
    model = AutoModelForSequenceClassification.from_pretrained(
        reward if same else spec["base"], num_labels=1, dtype=dtype, use_safetensors=True,
        quantization_config=quantization, device_map=None if quantization is None else {"": PartialState().device},
    )  # fmt: skip
    if not same:
        torch.nn.init.zeros_(model.score.weight)
    if peft is not None:
        how = replace(load(spec["method"]), model="SequenceClassification")
        config = adapters.lora(how, peft)
        config.modules_to_save = None  # a wrapper, which the policy's own adapters would switch on and off
        model = inject_adapter_in_model(config, model, adapter_name="value")
        model.score.requires_grad_(True)
        adapters.widen(model)
    disable_dropout_in_model(model)
    return model if quantization is not None else model.to(PartialState().device)


def _texts(file: dict[str, str] | None, tokenizer: Any, context: int) -> list[Tensor]:
    """Token ids of the pretraining rows, cut to the context."""
    if file is None:
        return []
    texts = []
    for row in map(json.loads, Path(file["path"]).read_text(encoding="utf-8").splitlines()):
        if "messages" in row:
            ids = tokenizer.apply_chat_template(row["messages"], return_dict=True)["input_ids"]
        else:
            ids = [*tokenizer(row["text"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        texts.append(torch.tensor(ids[: context or None]))
    return texts


class PPOTrainer(RLOOTrainer):  # type: ignore[misc]
    """PPO with GAE, clipped losses, a penalty for divergence at each token, and PPO-ptx's term."""

    _tag_names = ("trl", "ppo")
    _name = "PPO"
    _paper = {"title": "Proximal Policy Optimization Algorithms", "id": "1707.06347"}  # noqa: RUF012 - TRL's shape

    def __init__(self, *, chosen: Settings, value_model: Any, pretrain: list[Tensor], **common: Any) -> None:
        super().__init__(**common)
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            raise ConfigError("training.ppo: FSDP and DeepSpeed split one model, and PPO trains two; use DDP")
        self.chosen = chosen
        self.pretrain = pretrain
        self.value_model = value_model
        # As a part of the policy it is optimised, clipped, zeroed and checkpointed with it. What is saved at the end is
        # read back as the policy's class, which leaves it behind.
        self.model.add_module("value_model", self.value_model)

    def _generate_single_turn(self, *args: Any) -> Any:
        """TRL's sampling, without the value model in sight: vLLM is sent every weight of the policy."""
        with self._policy_alone():
            return super()._generate_single_turn(*args)

    @contextlib.contextmanager
    def _policy_alone(self) -> Iterator[None]:
        del self.model.value_model
        try:
            yield
        finally:
            self.model.add_module("value_model", self.value_model)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Answers to the prompts, with what the losses need of the moment when they were sampled. (batch, seq) each."""
        prompts = [row["prompt"] for row in inputs]
        prompt_ids, answer_ids, answers = self._generate(prompts)
        batch = self._padded(prompt_ids, answer_ids)
        scores = self._scores(inputs, prompts, answers, answer_ids)
        counts = ~scores.isnan()
        if self.mask_truncated_completions:
            counts &= self._ended(answer_ids)
        mask = batch["completion_mask"].bool() & counts.unsqueeze(1)
        with torch.no_grad():
            old, values = self._log_probs(self.model, batch), self._values(batch)
            log_ratio = old - self._reference(batch) if self.beta else torch.zeros_like(old)
        rewards = ppo_math.token_rewards(scores.nan_to_num(), log_ratio, mask, beta=self.beta)
        found, returns = ppo_math.advantages(rewards, values, mask, discount=self.chosen.gamma, trace=self.chosen.lam)
        counted = self.accelerator.reduce(ppo_math.moments(found, mask), reduction="sum")
        self._note_samples(scores, log_ratio, values, returns, mask)
        self._note_texts(prompts, answers, scores, found)
        return {
            **batch,
            "learnt": mask,
            "old_log_probs": old,
            "old_values": values,
            "returns": returns,
            "advantages": ppo_math.whiten(found, mask, counted),
        }

    def _compute_loss(self, model: Any, inputs: dict[str, Tensor]) -> Tensor:
        mask = inputs["learnt"]
        log_probs, entropies = self._log_probs_and_entropies(model, inputs)
        policy, clipped = ppo_math.policy_loss(
            log_probs, inputs["old_log_probs"], inputs["advantages"], mask, clip=self.epsilon_low
        )
        value = ppo_math.value_loss(
            self._values(inputs), inputs["old_values"], inputs["returns"], mask, clip=self.chosen.value_clip
        )
        loss = policy + self.chosen.vf_coef * value
        noted = {"policy_loss": policy, "value_loss": value, "clip_ratio": clipped}
        if self.pretrain and self.model.training:
            noted["ptx_loss"] = self._pretraining_loss(model)
            loss = loss + self.chosen.ptx_coef * noted["ptx_loss"]
        self._note(**noted, entropy=ppo_math.masked_mean(entropies, mask))
        return loss

    def _padded(self, prompt_ids: list[list[int]], answer_ids: list[list[int]]) -> dict[str, Tensor]:
        """Prompts padded on the left, answers on the right, so that they meet; under the names that RLOO gives them."""
        padded = {}
        for name, rows, side in (("prompt", prompt_ids, "left"), ("completion", answer_ids, "right")):
            tensors = [torch.tensor(ids, device=self.accelerator.device) for ids in rows]
            ones = [torch.ones_like(ids) for ids in tensors]
            padded[f"{name}_ids"] = pad(tensors, padding_value=self._tokenizer.pad_token_id, padding_side=side)
            padded[f"{name}_mask"] = pad(ones, padding_value=0, padding_side=side)
        return padded

    def _scores(self, inputs: Any, prompts: Any, answers: Any, answer_ids: list[list[int]]) -> Tensor:
        """The reward of each answer, NaN where nobody could say. Shape: (batch,)"""
        everywhere: Tensor = self._calculate_rewards(inputs, prompts, answers, answer_ids)
        first = self.accelerator.process_index * len(prompts)
        each = everywhere[first : first + len(prompts)]
        scores: Tensor = (each * self.reward_weights.to(each.device)).nansum(dim=1)
        if self.reward_clip_range:
            scores = scores.clamp(*self.reward_clip_range)
        scores = scores - self.chosen.missing_eos_penalty * ~self._ended(answer_ids)
        known: Tensor = scores.masked_fill(each.isnan().all(dim=1), torch.nan)
        return known

    def _ended(self, answer_ids: list[list[int]]) -> Tensor:
        """Whether each answer came to its end. Shape: (batch,)"""
        return torch.tensor([ids[-1] in self.eos_token_ids for ids in answer_ids], device=self.accelerator.device)

    def _log_probs_and_entropies(self, model: Any, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        found = self._get_per_token_logps_and_entropies(
            model, *_joined(batch), batch["completion_ids"].size(1), compute_entropy=True
        )
        return found[0], found[1]

    def _log_probs(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = self._get_per_token_logps_and_entropies(
            model, *_joined(batch), batch["completion_ids"].size(1), self.args.per_device_train_batch_size
        )[0]
        return found

    def _reference(self, batch: dict[str, Tensor]) -> Tensor:
        if self.ref_model is not None:
            return self._log_probs(self.ref_model, batch)
        with use_adapter(self.accelerator.unwrap_model(self.model), adapter_name=None):
            return self._log_probs(self.model, batch)

    def _values(self, batch: dict[str, Tensor]) -> Tensor:
        """The value before each token of the answer: read where the policy predicts that token. Shape: (batch, seq)"""
        ids, attention = _joined(batch)
        found = []
        with self.accelerator.autocast():
            size = self.args.per_device_train_batch_size
            for part, seen in zip(torch.split(ids, size), torch.split(attention, size), strict=True):
                hidden = self.value_model.base_model(input_ids=part, attention_mask=seen, use_cache=False)[0]
                head = self.value_model.score
                found.append(head(hidden.to(head.weight.dtype)).squeeze(-1).float())
        return torch.cat(found)[:, -batch["completion_ids"].size(1) - 1 : -1]

    def _pretraining_loss(self, model: Any) -> Tensor:
        """Mean negative log-likelihood on a batch of pretraining text, the same after a resume."""
        part = self._step % self.args.gradient_accumulation_steps  # TRL's own count begins anew after a resume
        where = f"{self.args.seed} {self.state.global_step} {part} {self.accelerator.process_index}"
        rows = random.Random(where).choices(self.pretrain, k=self.args.per_device_train_batch_size)
        ids = pad_sequence(rows, batch_first=True, padding_value=self._tokenizer.pad_token_id)
        seen = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        ids, seen = ids.to(self.accelerator.device), seen.to(self.accelerator.device)
        labels = ids.masked_fill(seen == 0, -100)
        loss: Tensor = model(input_ids=ids, attention_mask=seen, labels=labels, use_cache=False).loss
        return loss

    def _note_samples(self, scores: Tensor, log_ratio: Tensor, values: Tensor, returns: Tensor, mask: Tensor) -> None:
        known = scores[~scores.isnan()]
        self._note(
            reward=known.mean() if len(known) else scores.new_zeros(()),
            reward_std=known.std() if len(known) > 1 else scores.new_zeros(()),
            kl=ppo_math.masked_mean(log_ratio, mask),
            kl_answer=(log_ratio * mask).sum(1).mean(),
            values=ppo_math.masked_mean(values, mask),
            value_error=ppo_math.masked_mean((returns - values).square(), mask).sqrt(),
        )

        for name, shares in self._pending_metrics.items():  # what reward functions say
            self._note(**{name: torch.tensor(shares, device=scores.device).mean()})
        self._pending_metrics.clear()

    def _note(self, **values: Tensor) -> None:
        noted = self._metrics["train" if self.model.training else "eval"]
        for name, value in values.items():
            noted[name].append(self.accelerator.gather(value.detach().float()).mean().item())

    def _note_texts(self, prompts: Any, answers: Any, scores: Tensor, found: Tensor) -> None:
        """What ``log_completions`` prints."""
        self._logs["prompt"].extend(prompts)
        self._logs["completion"].extend(answers)
        self._logs["rewards"]["reward"].extend(scores.tolist())
        self._logs["advantages"].extend(found.sum(1).tolist())

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        if not isinstance(self.model, PeftModel):
            super()._save(output_dir, state_dict)
            return
        with self._policy_alone():  # which saves its adapter only
            super()._save(output_dir)
        if self.args.should_save:
            assert output_dir is not None, "a checkpoint has a folder"
            learnt = {name: weight.data for name, weight in self.value_model.named_parameters() if weight.requires_grad}
            safetensors.torch.save_file(learnt, Path(output_dir) / _VALUE_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        if (path := Path(resume_from_checkpoint) / _VALUE_FILE).is_file():
            self.value_model.load_state_dict(safetensors.torch.load_file(path), strict=False)


def _joined(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Ids and attention of prompt and answer together. Shapes: (batch, prompt + seq)"""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    return ids, torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
