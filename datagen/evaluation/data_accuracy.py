"""How much of the DATA is right, by an oracle: what each filter did to it, which no one can measure on open data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from datagen.errors import ConfigError
from datagen.evaluation.statistics import proportion
from datagen.record import Record
from datagen.stage import FunctionName, Rows
from datagen.text.oracles import Oracle, load_oracle


def data_accuracy(sources: Mapping[str, Rows], out: Path, *, oracle: FunctionName) -> dict[str, Any]:
    """For each named row set, the share of all rows whose first answer is right; each row goes to ``checked.jsonl``.

    The rest is ``wrong``, ``unanswerable`` (the oracle cannot say), or has ``no_answer``. Where rows have two answers,
    ``decided_pairs`` counts those of which exactly one is right, and ``right_first`` is the share of them that put the
    right one first: what a judge's order is worth.

    Raises:
        ConfigError: an oracle that cannot be found, or row sets without any row.
    """
    check = load_oracle(oracle)
    counts: dict[str, Counter[str]] = {name: Counter() for name in sources}
    with (out / "checked.jsonl").open("wb") as file:
        for name, rows in sources.items():
            for record in rows:
                verdict = verdict_on(record, check)
                counts[name][verdict] += 1
                counts[name][_order(record, check)] += 1
                line = {"rows": name, "id": record.id, "verdict": verdict}
                line |= {"instruction": record.instruction, "answer": record.answer}
                file.write(msgspec.json.encode(line) + b"\n")
    if not any(counts.values()):
        raise ConfigError("data_accuracy: no rows in any of: " + ", ".join(sources))
    return {name: _summary(count) for name, count in counts.items()}


def verdict_on(record: Record, oracle: Oracle) -> str:
    """``right``, ``wrong``, ``unanswerable`` or ``no_answer``."""
    if not record.answers:
        return "no_answer"
    right = oracle(record.instruction, record.answer)
    return "unanswerable" if right is None else "right" if right else "wrong"


def _order(record: Record, oracle: Oracle) -> str:
    """``right_first`` or ``right_second`` of two answers, or ``undecided``."""
    marks = [oracle(record.instruction, answer.content) for answer in record.answers[:2]]
    if sorted(map(bool, marks)) != [False, True]:
        return "undecided"
    return "right_first" if marks[0] else "right_second"


def _summary(count: Counter[str]) -> dict[str, Any]:
    verdicts = {name: count[name] for name in ("right", "wrong", "unanswerable", "no_answer")}
    n = sum(verdicts.values())
    found = proportion(count["right"], n)
    summary = {"accuracy": round(found["share"], 4), "stderr": round(found["stderr"], 4), "n": n, **verdicts}
    if decided := count["right_first"] + count["right_second"]:
        summary |= {"decided_pairs": decided, "right_first": round(count["right_first"] / decided, 4)}
    return summary
