"""What does each filter do to the share of right answers, where an oracle knows them?

2,400 rows of the quickstart's pipeline on the tiny world; every filter on the same rows. Outside comparison: as many
random rows (of `grade`), and the oracle itself. "right": share of the kept rows whose answer is right; "right kept" and
"bad dropped": of all right rows, and of all wrong or unanswerable ones; AUC: how well the filter's number orders right
before bad rows, whatever its threshold (0.5 is chance; below it, right rows have the lower number). The 300 rows that
train the classifier are among those that it is measured on; its own held-out numbers are in the last line.
Run: .venv/bin/python benchmarks/filters_oracle.py [--root runs] [--seed 0] [--share 0.6] [--write FOLDER]
"""

from __future__ import annotations

import argparse
import resource
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

import datagen
from datagen.assets import folder
from datagen.progress import Progress
from datagen.record import Record, read_records
from datagen.runner import Outcome
from datagen.tiny.oracle import check

LABELLED = 300
BASE = {"model": "tiny-base", "layout": "plain"}
TEACHER = {"model": "tiny-teacher"}


def arms(share: float) -> dict[str, tuple[dict[str, Any], str]]:
    """For each arm its stage, and the score that it goes by."""
    middle, low = [(1 - share) / 2, (1 + share) / 2], [0.0, share]
    graded = {"llm": "teacher", "expected": True}
    ppl, ifd = {"use": "filters.perplexity"}, {"use": "filters.ifd"}
    labels = {"use": "filters.classifier", "labels": "labels", "keep_top": share}
    return {
        "dedup_exact": ({"use": "filters.dedup_exact"}, ""),
        "dedup_rouge": ({"use": "filters.dedup_rouge", "threshold": 0.7, "scope": "all"}, ""),
        "length": ({"use": "filters.length", "of": "answer", "min_words": 1, "max_words": 10}, ""),
        "grade": ({"use": "filters.grade", **graded, "min_score": 4.5}, "accuracy"),
        "grade_top": ({"use": "filters.grade", **graded, "keep_top": share}, "accuracy"),
        "tournament": ({"use": "filters.tournament", **graded, "keep_top": share}, "strength"),
        "classifier": (labels, "classifier"),
        "ifd_teacher": ({**ifd, **TEACHER, "keep_top": share}, "ifd"),
        "ifd_base": ({**ifd, **BASE, "keep_top": share}, "ifd"),
        "ppl_low_teacher": ({**ppl, **TEACHER, "quantiles": low}, "perplexity"),
        "ppl_mid_teacher": ({**ppl, **TEACHER, "quantiles": middle}, "perplexity"),
        "ppl_low_base": ({**ppl, **BASE, "quantiles": low}, "perplexity"),
        "ppl_all_base": ({**ppl, **BASE, "quantiles": low, "of": "all"}, "perplexity"),
    }


def document(seed: int, share: float) -> dict[str, Any]:
    """The quickstart up to its clean rows, then every filter on these."""
    pipeline = yaml.safe_load((folder("pipelines") / "quickstart.yaml").read_text())
    stages = {name: pipeline["stages"][name] for name in ("test", "seeds", "tasks", "sized", "unique", "clean")}
    stages["sample"] = {"use": "mixtures.blend", "from": {"clean": 1.0}, "size": LABELLED}
    stages["labels"] = {"use": "filters.grade", "llm": "teacher", "expected": True, "min_score": 0.0}
    stages |= {name: {**stage, "from": "clean"} for name, (stage, _) in arms(share).items()}
    stages["chance"] = {"use": "filters.length", "from": "grade.random"}
    llms = {"teacher": pipeline["llms"]["teacher"]}
    return {"name": f"filters-{seed}", "seed": seed, "llms": llms, "stages": stages}


def is_right(record: Record) -> bool:
    """Whether the oracle accepts the row's answer; what it cannot answer is not right."""
    return bool(check(record.instruction, record.answer))


def auc(rows: Iterable[Record], score: str) -> float | None:
    """The share of pairs, one right and one bad, in which the right one has the higher number; a tie is half."""
    known = [(r.answers[0].scores[score], is_right(r)) for r in rows if r.answers and score in r.answers[0].scores]
    values = sorted({value for value, _ in known})
    right, bad = (dict.fromkeys(values, 0) for _ in range(2))
    for value, truth in known:
        (right if truth else bad)[value] += 1
    below = won = 0.0
    for value in values:
        won += right[value] * (below + bad[value] / 2)
        below += bad[value]
    pairs = sum(right.values()) * sum(bad.values())
    return won / pairs if pairs else None


def report(outcome: Outcome, share: float) -> None:
    """The table."""
    clean = list(read_records(outcome.folders["clean"] / "rows.jsonl"))
    right = sum(map(is_right, clean))
    bad = len(clean) - right
    print(f"\n{'':<16} {'rows':>6} {'right':>7} {'right kept':>11} {'bad dropped':>12} {'AUC':>6}")
    print(f"{'all':<16} {len(clean):>6,} {right / len(clean):>7.3f} {1:>11.3f} {0:>12.3f}")
    for name, score in {"chance": "", **{name: score for name, (_, score) in arms(share).items()}}.items():
        place = outcome.folders[name]
        kept = list(read_records(place / "rows.jsonl"))
        kept_right = sum(map(is_right, kept))
        ordered = auc([*kept, *read_records(place / "dropped.jsonl")], score) if score else None
        print(
            f"{name:<16} {len(kept):>6,} {kept_right / len(kept):>7.3f} {kept_right / right:>11.3f} "
            f"{1 - (len(kept) - kept_right) / bad:>12.3f} {f'{ordered:.3f}' if ordered is not None else '':>6}"
        )
    print(f"oracle: {right:,} right, {bad:,} bad")
    seen = {name: value for name, value in outcome.results["classifier"].metrics.items() if isinstance(value, float)}
    print(f"classifier on labelled rows that it did not see: {seen}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.6, help="what the filters that rank keep")
    parser.add_argument("--write", type=Path, help="a folder for the rows that each arm keeps, to train on")
    options = parser.parse_args()
    outcome = datagen.run(document(options.seed, options.share), root=options.root, progress=Progress.chosen())
    report(outcome, options.share)
    print("\nseconds: " + ", ".join(f"{name} {outcome.results[name].seconds:.1f}" for name in arms(options.share)))
    print(f"CPU seconds in all: {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f}")
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        for name in ("clean", "chance", *arms(options.share)):
            shutil.copyfile(outcome.folders[name] / "rows.jsonl", options.write / f"{name}.jsonl")
        print(f"wrote the rows of each arm to {options.write}/")


if __name__ == "__main__":
    main()
