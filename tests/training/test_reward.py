"""A real reward model, trained in its own process: about ten seconds."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from datagen.record import Answer, instruction
from datagen.training.reward import reward

SCORE = (
    "import sys; from transformers import AutoModelForSequenceClassification as M, AutoTokenizer as T\n"
    "t, m = T.from_pretrained(sys.argv[1]), M.from_pretrained(sys.argv[1], use_safetensors=True)\n"
    "for text in sys.argv[2:]:\n"
    "    chat = [{'role': 'user', 'content': 'Say a 99.'}, {'role': 'assistant', 'content': text}]\n"
    "    x = t.apply_chat_template(chat, return_dict=True, return_tensors='pt')\n"
    "    print(m(**x).logits.item())"
)


@pytest.mark.slow
@pytest.mark.parametrize("peft", [None, {"r": 8}])
def test_rankings_of_two_and_three_teach_one_order_that_plain_transformers_reads(
    peft: dict[str, int] | None, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    asked = [instruction(f"Say {word} {n}.") for n in range(16) for word in ("a", "bb", "ccc")]
    rows = [row.with_answers([Answer("yes"), Answer("so so"), Answer("no")]) for row in asked[::2]]
    rows += [row.with_answers([Answer("so so"), Answer("no")]) for row in asked[1::2]]
    args = {"per_device_train_batch_size": 8, "logging_steps": 1, "learning_rate": 3e-3, "num_train_epochs": 8}
    metrics = asyncio.run(
        reward(rows, tmp_path, base=str(tiny_llama), rng=random.Random(0), args=args, peft=peft, eval_share=0.2)  # type: ignore[arg-type]
    )
    assert metrics["accuracy"] > 0.9
    assert metrics["eval_accuracy"] > 0.9
    assert metrics["calibration_error"] < 0.3
    assert metrics["pairs"] == sum(one["pairs"] for one in metrics["calibration"])
    command = [sys.executable, "-c", SCORE, str(tmp_path / "model"), "yes", "so so", "no"]
    scores = list(map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()))
    assert scores == sorted(scores, reverse=True)
    assert "AutoModelForSequenceClassification" in (tmp_path / "model" / "README.md").read_text()
