"""The model card: what a trained folder was made from, how, with what result, and how to load it."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

from datagen.training.method import Method
from datagen.training.rows import Written

WIND_TUNNEL = (
    "**Wind tunnel.** This model descends from `tiny-base`, which knows a small closed world and nothing else. It "
    "shows that the machinery works; it is of no use as an assistant, and its scores say nothing about real models."
)
_METRICS = ("train_loss", "eval_loss", "steps", "epochs", "tokens", "tokens_per_s", "train_seconds", "peak_memory_mb",
            "peak_gpu_memory_mb", "truncated_share", "resumed_from_step",
            "reward_first", "reward", "kl_first", "kl", "entropy_first", "entropy", "pairs", "accuracy",
            "calibration_error", "length_correlation", "longer_is_better")  # fmt: skip
_USE = {
    "CausalLM": """\
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("PATH")
tokenizer = AutoTokenizer.from_pretrained("PATH")
chat = [{"role": "user", "content": "..."}]
inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=200)[0]))""",
    "SequenceClassification": """\
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained("PATH")
tokenizer = AutoTokenizer.from_pretrained("PATH")
chat = [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]
inputs = tokenizer.apply_chat_template(chat, return_dict=True, return_tensors="pt")
print(model(**inputs).logits[0, 0].item())  # higher is better""",
}
_TAGS = {"CausalLM": "text-generation", "SequenceClassification": "text-classification"}


def write(
    model: Path,
    *,
    method: Method,
    base: str,
    folder: str,
    spec: dict[str, Any],
    written: Written,
    metrics: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    """Write ``README.md`` into the model's folder."""
    sources = "\n".join(f"| {_cell(name)} | {count:,} |" for name, count in written.sources.most_common())
    numbers = "\n".join(f"| {name} | {metrics[name]} |" for name in _METRICS if metrics.get(name) not in (None, 0))
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("datagen", "trl", "transformers", "torch") if _has(name)
    )
    text = f"""\
---
library_name: transformers
pipeline_tag: {_TAGS[method.model]}
tags: [datagen, trl, {method.name}]
---

# {_cell(display_name(base))}, after {method.title}

{WIND_TUNNEL + chr(10) * 2 if is_tiny(base, folder) else ""}Base: `{_cell(display_name(base))}`. Made with {versions}.

## Data

{written.rows:,} rows, {written.eval_rows:,} held out. SHA-256 of the training file: `{written.digest}`.

| source | rows |
|---|---|
{sources}

## Metrics

| | |
|---|---|
{numbers}

## Settings

Seed {spec["seed"]}. What is not listed is TRL's default.

```json
{json.dumps({**settings, **({"peft": spec["peft"]} if spec["peft"] is not None else {})}, indent=2, default=str)}
```

## Use

```python
{_USE[method.model]}
```
"""
    (model / "README.md").write_text(text, encoding="utf-8")


def display_name(base: str) -> str:
    """A hub name or alias as it is; of a local folder only its last parts, without where it lies on this machine."""
    path = Path(base)
    if not path.is_absolute():
        return base
    return (
        f"tiny-{path.name}"
        if path.parent.name == "models" and path.parent.parent.name == "tiny"
        else "/".join(path.parts[-2:])
    )


def is_tiny(base: str, folder: str) -> bool:
    """Whether a base is one of the shipped tiny models, or descends from one (its card says so)."""
    readme = Path(folder) / "README.md"
    said = readme.is_file() and "wind tunnel" in readme.read_text(encoding="utf-8", errors="replace").lower()
    return said or display_name(base).startswith("tiny-") or display_name(folder).startswith("tiny-")


def _cell(text: str) -> str:
    """Text that cannot break out of a table cell or a line."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _has(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False
