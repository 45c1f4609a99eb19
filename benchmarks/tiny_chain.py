"""Does grading help the student? AlpaGasus's claim in miniature, and what DPO adds: exact match over three seeds.

Arms, all on tiny-base with equal settings: SFT on all rows; on as many random rows as grading keeps; on the graded
rows; then DPO on the model's own samples (pipelines/preferences.yaml). Each seed redraws data, order and samples.
Outside comparison: the chance control (random rows), and the oracle's own share of right answers in each data set.
Run: .venv/bin/python benchmarks/tiny_chain.py [SEEDS] [--root runs]
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import yaml

import datagen
from datagen.assets import folder
from datagen.progress import Progress

ORACLE = "datagen.tiny.oracle:check"


def document(seed: int) -> dict[str, Any]:
    """The quickstart with two further arms."""
    pipeline = yaml.safe_load((folder("pipelines") / "quickstart.yaml").read_text())
    stages = pipeline["stages"]
    data = {name: stages[name] for name in list(stages)[: list(stages).index("graded") + 1]}
    sft = {key: value for key, value in stages["sft"].items() if key != "from"}
    for arm in ("clean", "graded"):
        data[f"sft_{arm}"] = {**sft, "from": arm}
        data[f"score_{arm}"] = _score(f"sft_{arm}", baseline="base" if arm == "clean" else "sft_clean")
    data["right"] = {"use": "evaluation.data_accuracy", "from": ["tasks", "clean", "graded"], "oracle": ORACLE}
    return {**pipeline, "name": f"chain-{seed}", "seed": seed, "stages": data}


def control(seed: int, size: int) -> dict[str, Any]:
    """As many random rows as grading kept."""
    pipeline = document(seed)
    stages = pipeline["stages"]
    sft = stages["sft_clean"]
    keep = {name: stages[name] for name in list(stages)[: list(stages).index("graded")]}
    keep["random"] = {"use": "mixtures.blend", "from": {"clean": 1.0}, "size": size}
    keep["sft_random"] = {**sft, "from": "random"}
    keep["score_random"] = _score("sft_random", baseline="base")
    return {**pipeline, "stages": keep}


def _score(model: str, baseline: str) -> dict[str, Any]:
    return {"use": "evaluation.exact_match", "from": "test", "model": model, "baseline": baseline, "oracle": ORACLE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=3)
    parser.add_argument("--root", type=Path, default=Path("runs"))
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    for seed in range(options.seeds):
        progress = Progress.chosen()
        run = datagen.run(document(seed), root=options.root, progress=progress).results
        chance = datagen.run(control(seed, run["graded"].kept), root=options.root, progress=progress).results
        preferences = datagen.run(
            "preferences", {"seed": seed, "name": f"preferences-{seed}"}, root=options.root, progress=progress
        ).results
        numbers = {
            "base": run["score_clean"].metrics["baseline"]["exact_match"],
            "SFT all": run["score_clean"].metrics["model"]["exact_match"],
            "SFT random": chance["score_random"].metrics["model"]["exact_match"],
            "SFT graded": run["score_graded"].metrics["model"]["exact_match"],
            "SFT half": preferences["score"].metrics["baseline"]["exact_match"],
            "SFT half + DPO": preferences["score"].metrics["model"]["exact_match"],
            "rows": run["clean"].kept,
            "graded rows": run["graded"].kept,
            **{f"right {name}": run["right"].metrics[name]["accuracy"] for name in ("tasks", "clean", "graded")},
        }
        for name, value in numbers.items():
            found.setdefault(name, []).append(value)
        print(
            f"seed {seed}: "
            + "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in numbers.items()),
            flush=True,
        )
    print(f"\n{'':<16} mean    spread (min to max) over {options.seeds} seeds")
    for name, values in found.items():
        print(f"{name:<16} {statistics.mean(values):.3f}   {min(values):.3f} to {max(values):.3f}")
    gains = [g - r for g, r in zip(found["SFT graded"], found["SFT random"], strict=True)]
    ratio = statistics.mean(found["SFT graded"]) / statistics.mean(found["SFT random"])
    print(f"graded / random at equal size: {ratio:.3f}  (per seed {', '.join(f'{gain:+.3f}' for gain in gains)})")


if __name__ == "__main__":
    main()
