"""GRPO, RLOO and PPO: the checks before any work, and real runs of a few seconds' training, each in its own process."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from killing import interrupt, training
from safetensors.torch import load_file

from datagen.errors import ConfigError
from datagen.llm.client import LLM
from datagen.record import Answer, Message, instruction
from datagen.training import grpo, ppo, reward, rloo

PROMPTS = [instruction(f"Say {word} {n}.") for n in range(8) for word in ("a", "bb", "ccc", "d")]
QUICK = {"per_device_train_batch_size": 16, "max_completion_length": 4, "learning_rate": 3e-3}
STAGES: dict[str, Any] = {"grpo": grpo.grpo, "rloo": rloo.rloo, "ppo": ppo.ppo}
CHECKS: dict[str, Any] = {"grpo": grpo.check, "rloo": rloo.check, "ppo": ppo.check}


@pytest.fixture(autouse=True)
def oracles(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module ``has_letter`` for this process and the worker: an answer is right if it has a small letter."""
    folder = tmp_path_factory.mktemp("oracles")
    (folder / "has_letter.py").write_text(
        "def check(instruction, answer):\n    return any('a' <= c <= 'z' for c in answer)\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{Path(__file__).parents[2]}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(name: str, out: Path, base: Path, **options: Any) -> dict[str, Any]:
    metrics: dict[str, Any] = asyncio.run(STAGES[name](PROMPTS, out, base=str(base), rng=random.Random(0), **options))
    return metrics


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", STAGES)
def test_without_a_reward_there_is_nothing_to_learn_from(name: str) -> None:
    given: dict[str, Any] = {"args": {}, "reward": None, "oracle": "", "judge": None}
    with pytest.raises(ConfigError, match=f"training.{name}: needs reward"):
        CHECKS[name](given)
    with pytest.raises(ConfigError, match="no function 'has_letter:chekc'"):
        CHECKS[name]({**given, "oracle": "has_letter:chekc"})
    with pytest.raises(ConfigError, match="did you mean temperature"):
        CHECKS[name]({**given, "oracle": "has_letter:check", "args": {"temprature": 1}})
    CHECKS[name]({**given, "oracle": "has_letter:check"})


def test_what_ppo_has_a_name_of_its_own_for_is_not_set_twice() -> None:
    for name, ours in (
        ("num_generations", "samples"),
        ("num_iterations", "ppo_epochs"),
        ("epsilon", "clip"),
        ("num_generations_eval", "samples"),
    ):
        with pytest.raises(ConfigError, match=rf"args\.{name}: use {ours}"):
            ppo.check({"args": {name: 2}, "oracle": "has_letter:check", "reward": None, "judge": None})
    for name, value in (("samples", 0), ("lam", 1.5), ("clip", -0.1)):
        with pytest.raises(ConfigError, match=f"{name}: must be from"):
            ppo.check({"args": {}, "oracle": "has_letter:check", "reward": None, "judge": None, name: value})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("grpo", {"samples": 4}), ("rloo", {"samples": 4}), ("ppo", {"eval_share": 0.25})],
)
def test_the_reward_rises_and_the_log_tells_what_it_cost(
    name: str, options: dict[str, Any], tiny_llama: Path, tmp_path: Path
) -> None:
    args = {**QUICK, "num_train_epochs": 16 if name == "ppo" else 12}
    metrics = run(name, tmp_path, tiny_llama, oracle="has_letter:check", args=args, **options)
    assert metrics["reward"] > metrics["reward_first"] + 0.3
    assert 0 < metrics["kl"] < 10
    entries = [entry for entry in log(tmp_path) if "loss" in entry]
    assert all({"reward", "kl", "entropy", "tokens", "tokens_per_s"} <= entry.keys() for entry in entries)
    assert ("eval_reward" in metrics) == ("eval_share" in options)
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.slow
def test_answers_that_were_cut_teach_nothing_where_that_is_wanted(tiny_llama: Path, tmp_path: Path) -> None:
    args = {**QUICK, "max_completion_length": 1, "num_train_epochs": 1, "mask_truncated_completions": True}
    run("ppo", tmp_path, tiny_llama, oracle="has_letter:check", args=args, missing_eos_penalty=1.0)
    cut = [entry for entry in log(tmp_path) if entry.get("completions/clipped_ratio") == 1]
    assert cut
    assert all(entry["value_loss"] == entry["policy_loss"] == 0 for entry in cut)


@pytest.mark.slow
def test_two_processes_train_one_policy(tiny_llama: Path, tmp_path: Path) -> None:
    options = {"oracle": "has_letter:check", "pretrain": PROMPTS, "args": {**QUICK, "num_train_epochs": 1}}
    alone = run("ppo", tmp_path, tiny_llama, **options)
    (tmp_path / "result.json").unlink()
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    worker = [*launch, "-m", "datagen.training.worker", str(tmp_path / "spec.json")]
    with subprocess.Popen(worker, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert "ready only once" not in process.stderr.read().decode(errors="replace")
    assert process.returncode == 0
    assert json.loads((tmp_path / "result.json").read_text())["steps"] * 2 == alone["steps"]


@pytest.mark.slow
def test_what_only_the_worker_can_see_is_still_the_users_mistake(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a reward model"):
        run("rloo", tmp_path, tiny_llama, reward=str(tiny_llama), args=QUICK)
    with pytest.raises(ConfigError, match="32 prompts, and one round of sampling takes 64"):
        run("rloo", tmp_path, tiny_llama, oracle="has_letter:check", args={**QUICK, "generation_batch_size": 256})
    with pytest.raises(ConfigError, match="no row has room"):
        run("rloo", tmp_path, tiny_llama, oracle="has_letter:check", args={**QUICK, "max_completion_length": 250})


@pytest.fixture(scope="module")
def reward_model(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that prefers letters to signs."""
    out = tmp_path_factory.mktemp("reward")
    pairs = [row.with_answers([Answer("aaa"), Answer("+++")]) for row in PROMPTS]
    args = {"per_device_train_batch_size": 8, "learning_rate": 3e-3, "num_train_epochs": 2}
    asyncio.run(reward.reward(pairs, out, base=str(tiny_llama), rng=random.Random(0), args=args, eval_share=0))  # type: ignore[arg-type]
    return out / "model"


@pytest.mark.slow
@pytest.mark.parametrize("peft", [None, {"r": 4}])
def test_a_killed_ppo_goes_on_with_the_value_model_it_had(
    peft: dict[str, int] | None, reward_model: Path, tiny_llama: Path, tmp_path: Path
) -> None:
    """With PPO-ptx's term and a reward model. A value model that began anew would end near the reward model."""
    args = {**QUICK, "num_train_epochs": 10, "save_steps": 8}
    options = {"reward": str(reward_model), "args": args, "peft": peft, "ptx_coef": 0.1, "vf_coef": 1.0}
    out = tmp_path / "ppo"
    command = training("ppo", PROMPTS, out, base=str(tiny_llama), **options)
    command[2] = command[2].replace("rng=", "pretrain=list(read_records(Path(rows))), rng=")
    step = interrupt(command, out, after=56, kill_parent=True)
    before = value_weights(out / "checkpoints" / f"checkpoint-{step}")

    metrics = run("ppo", out, tiny_llama, **options, pretrain=PROMPTS, keep_checkpoints=True)
    assert 56 <= metrics["resumed_from_step"] < metrics["steps"] == 80
    after, anew = value_weights(out / "checkpoints" / "checkpoint-80"), load_file(reward_model / "model.safetensors")
    if peft:  # the value model learns by adapters of its own, whose second half begins as zeros
        assert {"score.weight"} == {name for name in after if "lora" not in name}
        after = {name: weight for name, weight in after.items() if "lora_A" not in name}
        anew |= {name: weight * 0 for name, weight in after.items() if "lora" in name}
    moved, learnt = (sum(float((after[k] - other[k]).abs().sum()) for k in after) for other in (before, floats(anew)))
    assert moved < 0.7 * learnt
    entries = [entry for entry in log(out) if "loss" in entry]
    assert [entry["step"] for entry in entries] == list(range(4, 81, 4))
    tokens = [entry["tokens"] for entry in entries]
    assert tokens == sorted(set(tokens))
    assert entries[0]["ptx_loss"] > entries[-1]["ptx_loss"] > 0
    weights = load_file(out / "model" / "model.safetensors")
    assert not [name for name in weights if "value" in name or "lora" in name]


@pytest.mark.slow
def test_the_pretraining_text_of_a_step_is_the_same_after_a_resume() -> None:
    import torch

    from datagen.training.ppo_trainer import PPOTrainer

    def drawn(micro_step: int) -> list[Any]:
        found: list[Any] = []
        trainer = SimpleNamespace(
            args=SimpleNamespace(seed=0, gradient_accumulation_steps=2, per_device_train_batch_size=4),
            state=SimpleNamespace(global_step=7),
            accelerator=SimpleNamespace(process_index=0, device="cpu"),
            pretrain=[torch.tensor([n]) for n in range(100)],
            _tokenizer=SimpleNamespace(pad_token_id=0),
            _step=micro_step,
        )
        PPOTrainer._pretraining_loss(  # type: ignore[arg-type]
            trainer, lambda input_ids, **_: found.append(input_ids.tolist()) or SimpleNamespace(loss=0.0)
        )
        return found

    assert drawn(14) == drawn(0) != drawn(15) == drawn(1)


def value_weights(checkpoint: Path) -> dict[str, Any]:
    """Those of the value model, which a checkpoint of adapters keeps in a file of its own."""
    if (own := checkpoint / "value.safetensors").is_file():
        return floats(load_file(own))
    found = floats(load_file(checkpoint / "model.safetensors"))
    return {
        name.removeprefix("value_model."): value for name, value in found.items() if name.startswith("value_model.")
    }


def floats(weights: dict[str, Any]) -> dict[str, Any]:
    """In float32, as they were trained."""
    return {name: weight.float() for name, weight in weights.items()}


@pytest.mark.slow
def test_a_judge_is_asked_in_the_stages_own_process_and_pays_once(
    llm: Callable[..., LLM], tiny_llama: Path, tmp_path: Path
) -> None:
    def graded(messages: list[Message], sampling: Any, sample: int) -> str:
        answer = messages[-1].content.partition("<response>\n")[2].partition("\n</response>")[0]
        return "no idea" if "!" in answer else "5\nFine." if any(c.islower() for c in answer) else "1\nPoor."

    llm = llm(graded)
    args = {**QUICK, "num_train_epochs": 1}
    metrics = run("rloo", tmp_path / "first", tiny_llama, judge=llm, samples=4, args=args)
    assert 0.2 <= metrics["reward_first"] <= 1
    assert all(0 <= entry["judge/unscored"] < 1 for entry in log(tmp_path / "first"))
    calls = llm.stats.calls
    assert 0 < calls <= metrics["steps"] * 16
    again = run("rloo", tmp_path / "again", tiny_llama, judge=llm, samples=4, args=args, peft={"r": 4})
    assert again["reward_first"] == metrics["reward_first"]
    assert llm.stats.calls < 2 * calls
    assert (tmp_path / "again" / "adapter" / "adapter_model.safetensors").is_file()
