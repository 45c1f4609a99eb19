"""``peft:`` on every stage: what is refused before any work, and real QLoRA trainings, each in its own process."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from datagen.errors import ConfigError
from datagen.record import Answer, instruction
from datagen.training.adapters import check_peft, quantization
from datagen.training.method import Hardware

STAGES = ("sft", "dpo", "reward", "grpo", "rloo", "ppo")
ROWS = [
    instruction(f"Say {word} {n}.").with_answers([Answer("yes"), Answer("no")]) for n in range(4) for word in "abcd"
]
NEEDED: dict[str, Any] = {"args": {}, "loss_type": "sigmoid", "label_smoothing": 0.0, "reward": "x", "oracle": "",
                          "judge": None}  # fmt: skip
needs_bitsandbytes = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)


def of(name: str) -> Any:
    return importlib.import_module(f"datagen.training.{name}")


@needs_bitsandbytes
@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"peft": {"rank": 8}}, "peft: unknown field 'rank'"),
        ({"peft": {"r": 0}}, r"peft\.r: must be a whole number above 0, not 0"),
        ({"peft": {"quantize": "fp4"}}, r"peft\.quantize: must be nf4 or int8, not 'fp4'"),
        ({"peft": {"quantize": "nf4", "init_lora_weights": "pissa"}}, "init_lora_weights: pissa needs"),
        ({"args": {"model_init_kwargs": {"quantization_config": {}}}}, "use peft: {quantize: nf4}"),
    ],
)
def test_what_adapters_cannot_be_is_refused_on_every_stage(name: str, wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"training\.{name}: .*{problem}"):
        of(name).check({**NEEDED, **wrong})
    of(name).check({**NEEDED, "peft": {"r": 4, "quantize": "nf4"}})


def test_without_bitsandbytes_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else real(name))
    with pytest.raises(ConfigError, match=r"pip install 'datagen\[qlora\]'"):
        check_peft("training.sft", {"quantize": "nf4"}, {})
    check_peft("training.sft", {"r": 8}, {})


@needs_bitsandbytes
def test_vllm_is_not_sent_quantised_weights() -> None:
    with pytest.raises(ConfigError, match="use_vllm"):
        check_peft("training.grpo", {"quantize": "nf4"}, {"use_vllm": True})
    check_peft("training.grpo", {}, {"use_vllm": True})


@pytest.mark.parametrize("hardware", [Hardware("mps"), Hardware("cuda", devices=2, sharded=True)])
def test_a_base_is_quantised_only_where_that_works(hardware: Hardware) -> None:
    with pytest.raises(ConfigError, match="quantize"):
        quantization({"quantize": "nf4"}, hardware)
    assert quantization({"r": 8}, hardware) is None
    assert quantization(None, hardware) is None


_LOADED = """
import sys, torch, transformers as t
from peft import PeftModel
kind, model, base, adapter = getattr(t, "AutoModelFor" + sys.argv[1]), *sys.argv[2:]
more = {"num_labels": 1} if sys.argv[1] == "SequenceClassification" else {}
chat = [{"role": "user", "content": "Say a 1."}, {"role": "assistant", "content": "yes"}]
tokenizer = t.AutoTokenizer.from_pretrained(model)
x = tokenizer.apply_chat_template(chat, return_dict=True, return_tensors="pt")
whole = kind.from_pretrained(model, use_safetensors=True, dtype="float32")
assert not hasattr(whole.config, "quantization_config") and whole(**x).logits.isfinite().all()
parts = PeftModel.from_pretrained(kind.from_pretrained(base, dtype="float32", **more), adapter)
print((whole(**x).logits - parts(**x).logits).abs().max().item())
"""


@needs_bitsandbytes
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(("name", "kind"), [*((name, "nf4") for name in STAGES), ("sft", "int8")])
def test_a_quantised_base_learns_and_is_read_by_plain_transformers_and_peft(
    name: str, kind: str, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "has_letter.py").write_text("def check(instruction, answer):\n    return 'a' in answer\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    args = {"per_device_train_batch_size": 8, "logging_steps": 1, "learning_rate": 1e-2}
    online = name in ("grpo", "rloo", "ppo")
    more: dict[str, Any] = {"oracle": "has_letter:check"} if online else {}
    args |= {"max_completion_length": 3, "max_steps": 4} if online else {"num_train_epochs": 4}
    peft = {"r": 4, "quantize": kind}
    metrics = asyncio.run(
        getattr(of(name), name)(
            ROWS, tmp_path / "out", base=str(tiny_llama), rng=random.Random(0), args=args, peft=peft, **more
        )
    )
    assert metrics["steps"] >= 4
    if not online:
        log = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
        losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in log if '"loss": ' in line]
        assert losses[-1] < losses[0]
    loads = "SequenceClassification" if name == "reward" else "CausalLM"
    folders = [str(tmp_path / "out" / "model"), str(tiny_llama), str(tmp_path / "out" / "adapter")]
    command = [sys.executable, "-c", _LOADED, loads, *folders]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1  # the base in its own precision is near the quantised one
