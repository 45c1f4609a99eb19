"""Real training runs, each in its own process: about ten seconds of start-up apiece."""

from __future__ import annotations

import asyncio
import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from killing import interrupt, training

from datagen.errors import ConfigError, StageError
from datagen.record import Answer, Record, instruction
from datagen.training.dpo import dpo
from datagen.training.sft import sft

pytestmark = pytest.mark.slow
ROWS = [
    instruction(f"Say {word} {number}.", word, source="seed") for number in range(8) for word in ("a", "bb", "ccc", "d")
]
QUICK = {"per_device_train_batch_size": 8, "logging_steps": 1, "learning_rate": 1e-2}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def train(rows: list[Record], out: Path, base: Path, **options: Any) -> dict[str, Any]:
    return asyncio.run(sft(rows, out, base=str(base), rng=random.Random(0), **options))  # type: ignore[arg-type]


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def say(model: Path, prompt: str) -> str:
    """What the saved model answers, greedily, in a fresh process with nothing but transformers."""
    code = (
        "import sys; from transformers import AutoModelForCausalLM as M, AutoTokenizer as T\n"
        "t, m = T.from_pretrained(sys.argv[1]), M.from_pretrained(sys.argv[1], use_safetensors=True)\n"
        "chat = [{'role': 'user', 'content': sys.argv[2]}]\n"
        "x = t.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors='pt')\n"
        "y = m.generate(**x, max_new_tokens=8, do_sample=False)[0][x['input_ids'].shape[1]:]\n"
        "print(t.decode(y, skip_special_tokens=True))"
    )
    done = subprocess.run([sys.executable, "-c", code, model, prompt], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_sft_learns_and_its_model_loads_in_a_fresh_process(tiny_llama: Path, tmp_path: Path) -> None:
    rows = [
        *[instruction(f"Question {number}", "yes", source="seed") for number in range(64)],
        instruction("no answer"),
    ]
    args = {**QUICK, "num_train_epochs": 12}
    metrics = train(rows, tmp_path, tiny_llama, args=args, eval_share=0.1)
    losses = [entry["loss"] for entry in log(tmp_path) if "loss" in entry]
    assert losses[-1] < 0.2 < 4 < losses[0]
    assert (metrics["rows"] + metrics["eval_rows"], metrics["refused"]) == (64, {"no_answer": 1})
    assert metrics["eval_loss"] < 0.5
    assert metrics["tokens"] > 0 < metrics["tokens_per_s"]
    assert metrics["peak_memory_mb"] > 100
    assert say(tmp_path / "model", "Question 99") == "yes"
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja", "README.md"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    assert not (tmp_path / "checkpoints").exists()
    assert not (tmp_path / "cache").exists()


def test_a_killed_training_goes_on_from_its_checkpoint(tiny_llama: Path, tmp_path: Path) -> None:
    out = tmp_path / "sft"
    args = {**QUICK, "num_train_epochs": 40, "save_steps": 5}
    command = training("sft", ROWS, out, base=str(tiny_llama), args=args)

    killed_at = interrupt(command, out, after=5, kill_parent=True)
    killed_again_at = interrupt(command, out, after=killed_at + 5, kill_parent=False)
    assert killed_again_at > killed_at

    torn = out / "checkpoints" / "checkpoint-159"
    torn.mkdir()
    metrics = train(ROWS, out, tiny_llama, args=args)
    assert metrics["steps"] == 160
    assert killed_again_at <= metrics["resumed_from_step"] < 160
    steps = [entry["step"] for entry in log(out)]
    assert steps == sorted(set(steps)) == list(range(1, 161))
    seconds = [entry["seconds"] for entry in log(out)]
    assert seconds == sorted(seconds)
    assert say(out / "model", "Say bb 99.")


def test_dpo_prefers_what_was_chosen_and_an_adapter_is_merged(tiny_llama: Path, tmp_path: Path) -> None:
    pairs = [row.with_answers([Answer("yes"), Answer("no")]) for row in ROWS]
    refused = [ROWS[0].with_answers([Answer("x"), Answer("x")]), ROWS[1]]
    args = {**QUICK, "num_train_epochs": 4}
    peft = {"r": 4}
    metrics = asyncio.run(
        dpo([*pairs, *refused], tmp_path, base=str(tiny_llama), rng=random.Random(0), args=args, peft=peft)  # type: ignore[arg-type]
    )
    assert metrics["refused"] == {"equal_answers": 1, "fewer_than_two_answers": 1}
    entries = [entry for entry in log(tmp_path) if "loss" in entry]
    assert entries[0]["loss"] == pytest.approx(0.6931, abs=1e-3)  # ln 2: policy and reference are still the same
    assert entries[-1]["accuracy"] == 1.0
    assert (tmp_path / "adapter").is_dir()
    assert (tmp_path / "model" / "model.safetensors").is_file()
    assert say(tmp_path / "model", "Say a 1.") is not None


def test_what_only_the_worker_can_see_is_still_the_users_mistake(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no row has room"):
        train(ROWS, tmp_path, tiny_llama, args={"max_length": 8})
    with pytest.raises(ConfigError, match="cosinus is not a valid"):
        train(ROWS, tmp_path, tiny_llama, args={"lr_scheduler_type": "cosinus"})


def test_a_crash_in_training_is_one_line_that_names_the_log(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"worker\.log"):
        train(ROWS, tmp_path, tiny_llama, args={**QUICK, "optim": "lomo"})


def test_cdpo_stops_where_the_labels_are_right_as_often_as_it_thinks(tiny_llama: Path, tmp_path: Path) -> None:
    """Smoothed by eps, the loss is least at sigmoid(margin) = 1 - eps; plain DPO would go on for ever."""
    pairs = [row.with_answers([Answer("yes"), Answer("no")]) for row in ROWS]
    args = {**QUICK, "num_train_epochs": 12, "learning_rate": 3e-3, "lr_scheduler_type": "constant"}
    options = {"loss_type": "cdpo", "label_smoothing": 0.3, "args": args}
    asyncio.run(dpo(pairs, tmp_path, base=str(tiny_llama), rng=random.Random(0), **options))  # type: ignore[arg-type]
    entries = [entry for entry in log(tmp_path) if "loss" in entry]
    assert entries[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert entries[-1]["loss"] == pytest.approx(-0.3 * math.log(0.3) - 0.7 * math.log(0.7), abs=0.02)
    assert entries[-1]["margin"] == pytest.approx(math.log(0.7 / 0.3), abs=0.3)
