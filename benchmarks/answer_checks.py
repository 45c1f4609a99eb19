"""What the checks that need no LLM say of public data, and what they cost: one command, two minutes of one core.

    python benchmarks/answer_checks.py DATA    # a folder with humaneval, gsm8k, alpaca_52k and ifeval

HumanEval's own solutions must pass their tests, and fail them with every ``return`` negated. GSM8K's answers are right
but for the slips of those who wrote them, so that nearly every equation called wrong is either a slip or a false alarm:
they are printed, to be read. Of Alpaca's rows those with personal data or secrets are counted, beside what a bare
pattern for addresses of mail counts. IFEval's arguments must all be read.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from datagen.filters.arithmetic import arithmetic
from datagen.filters.code_runs import code_runs
from datagen.filters.constraints import constraints
from datagen.filters.personal_data import personal_data
from datagen.filters.secrets import secrets
from datagen.record import Record, instruction
from datagen.text.personal_data import KINDS
from datagen.text.sums import equations


def cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def judged(title: str, records: list[Record], stage: Callable[[list[Record]], Iterable[Record]]) -> list[Record]:
    """The dropped records, after a line with the counts and the cost."""
    before, started = cpu_s(), time.monotonic()
    found = list(stage(records))
    cpu, wall = cpu_s() - before, time.monotonic() - started
    dropped = [record for record in found if record.dropped]
    why = dict(Counter(record.dropped.reason for record in dropped if record.dropped))
    rate = len(records) / cpu if cpu else 0
    print(
        f"{title}: {len(records)} rows, {len(dropped)} dropped {why}, {cpu:.1f} CPU s ({rate:.0f} rows/s), {wall:.1f} s"
    )
    return dropped


def human_eval(folder: Path) -> list[Record]:
    rows = []
    with gzip.open(folder / "humaneval" / "HumanEval.jsonl.gz", "rt") as file:
        for line in map(json.loads, file):
            code = f"```python\n{line['prompt']}{line['canonical_solution']}\n```"
            tests = f"{line['test']}\ncheck({line['entry_point']})"
            rows.append(instruction(line["prompt"], code, labels={"tests": tests}))
    return rows


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    folder = parser.parse_args().data

    solutions = human_eval(folder)
    negated = [
        instruction(r.instruction, r.answer.replace("return ", "return not "), labels=r.labels) for r in solutions
    ]
    for title, rows in (("HumanEval's solutions", solutions), ("the same, each return negated", negated)):
        judged(title, rows, lambda rows: code_runs(rows, mode="passes", concurrency=2, cpu_s=20, wall_s=120))

    maths = [line for part in ("train", "test") for line in lines(folder / "gsm8k" / f"{part}.jsonl")]
    rows = [instruction(str(line["question"]), str(line["answer"]), labels={"gold": line["answer"]}) for line in maths]
    print(f"GSM8K: {sum(1 for row in rows for _ in equations(row.answer))} equations are read")
    for record in judged("GSM8K's answers", rows, lambda rows: arithmetic(rows, reference="gold")):
        assert record.dropped is not None
        print("   ", record.dropped.evidence.get("wrong", record.dropped.evidence))

    alpaca = json.loads((folder / "alpaca_52k" / "alpaca_data.json").read_text(encoding="utf-8"))
    texts = [instruction(f"{row['instruction']}\n{row['input']}", row["output"]) for row in alpaca]
    found = judged("Alpaca, personal data of every kind", texts, lambda rows: personal_data(rows, kinds=KINDS))
    kinds = Counter(kind for record in found if record.dropped for kind in record.dropped.evidence["found"])
    bare = sum(bool(re.search(r"\S+@\S+\.\w+", f"{row.instruction}\n{row.answer}")) for row in texts)
    print(f"    rows by kind {dict(kinds)}; a bare pattern for mail: {bare} rows")
    judged("Alpaca, secrets", texts, secrets)

    asked = [
        instruction(str(line["prompt"]), "Some reply, in words.", labels=line)
        for line in lines(folder / "ifeval" / "input_data.jsonl")
    ]
    judged("IFEval, one reply to all", asked, lambda rows: constraints(rows, strictness="loose"))


if __name__ == "__main__":
    main()
