"""Refusals found on XSTest's human labels, beside the string matching that XSTest publishes.

The English rules were developed on the even rows of each model (counted from 0); the odd rows were counted after each
revision, but never read. Both compare as XSTest does: full and partial refusals against compliance. Further models are
measured where their two files lie in the folder.
Run: .venv/bin/python benchmarks/refusal.py DATA/xstest
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

from datagen.text.refusal import find_refusal

LABELS = {"1_full_compliance": "", "2_full_refusal": "full", "3_partial_refusal": "partial"}


def score(pairs: list[tuple[bool, bool]]) -> str:
    counts = Counter(pairs)
    found, missed, false = counts[True, True], counts[True, False], counts[False, True]
    return f"{found:>6}{missed:>7}{false:>6}  {2 * found / (2 * found + missed + false):.3f}"


def main() -> None:
    print(f"{'':<18}{'rows':<6}{'':<8}{'found':>6}{'missed':>7}{'false':>6}  F1")
    for path in sorted(Path(sys.argv[1]).glob("*_streval.csv")):
        model = path.stem.removeprefix("xstest_v2_completions_").removesuffix("_streval")
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        kinds = [find_refusal(row["completion"], row["prompt"]) for row in rows]
        ours = [kind is not None and kind.kind in ("full", "partial", "moralising") for kind in kinds]
        theirs = [bool(LABELS[row["strmatch_label"]]) for row in rows]
        truth = [LABELS[row["final_label"]] for row in rows]
        for name, part in (("even", slice(0, None, 2)), ("odd", slice(1, None, 2)), ("all", slice(None))):
            for side, said in (("ours", ours), ("strings", theirs)):
                pairs = [(bool(label), one) for label, one in zip(truth[part], said[part], strict=True)]
                print(f"{model:<18}{name:<6}{side:<8}{score(pairs)}")
        told = Counter((label, kind.kind) for label, kind in zip(truth, kinds, strict=True) if label and kind)
        print(f"{model:<18}told apart: " + ", ".join(f"{a} as {b} {told[a, b]}" for a, b in sorted(told)))


if __name__ == "__main__":
    main()
