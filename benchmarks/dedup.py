"""The exact dedup filters beside what else does the same: time ratios in one run, on real rows, gated on equal results.

1. ROUGE-L novelty (``--pool alpaca`` or ``stream``): our pool in both engines, rapidfuzz over all pairs, `rouge_score`.
   The reference is sampled: its seconds a pair on random pairs (seed 0), times the pairs that the filter must look at.
2. Word 5-gram Jaccard at 0.7: our join, and rensa and datasketch (MinHash, 128 permutations, LSH) where installed, with
   their recall and precision against our pairs, which are checked against all pairs on the first 2,000 rows.
3. ``growth``: our ROUGE-L pool over a long stream (``--pool FILE``: a JSON list of texts), CPU seconds as it grows,
   as a ratio to the plain way of tokenising the same texts.
4. ``template``: pools whose rows are all made from one long text, the worst case of a prefix filter.
5. ``kernel``: 10,000 rows of the stream, every decision, maximum and neighbour against `rouge_score` itself.
6. ``chain``: ``datagen filter`` over the Alpaca rows with all filters that need no model, CPU seconds of each.
7. ``minhash``: Jaccard by MinHash beside exact search, ``--rows`` above 52,002 with ``--pool``: recall, time, memory.

Run: .venv/bin/python benchmarks/dedup.py DATA [--rows 52002] [--parts rouge,ngram] [--pool alpaca|stream|FILE]
DATA holds alpaca_52k/alpaca_data.json, pools/stream.json, gsm8k/test.jsonl and bbh/*.json. CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from datagen.filters.duplicates import Pool
from datagen.text.jaccard import jaccard_pool
from datagen.text.minhash import minhash_pool
from datagen.text.ngrams import ngrams
from datagen.text.rouge import NoveltyPool, tokenize

T = TypeVar("T")
_RUN = re.compile("[a-z0-9]+")
Near = tuple[int, float]
BLOCK = 1024


def timed(work: Callable[[], T], *, times: int = 1) -> tuple[float, T]:
    """CPU seconds, the least of so many times, and what the work gave."""
    least = float("inf")
    for _ in range(times):
        started = time.process_time()
        result = work()
        least = min(least, time.process_time() - started)
    return least, result


def alpaca(data: Path) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads((data / "alpaca_52k/alpaca_data.json").read_text())
    return rows


def pool_of(data: Path, pool: str) -> list[str]:
    if pool == "alpaca":
        return [row["instruction"] for row in alpaca(data)]
    texts: list[str] = json.loads((data / "pools/stream.json" if pool == "stream" else Path(pool)).read_text())
    return texts


def admit(pool: NoveltyPool | Pool, items: Sequence[T]) -> list[Near | None]:
    return [near for at in range(0, len(items), BLOCK) for near in pool.admit(items[at : at + BLOCK])]  # type: ignore[arg-type]


def rouge(data: Path, rows: int, pool: str) -> None:
    texts = pool_of(data, pool)[:rows]
    admit(NoveltyPool(0.7, "numba"), [["warm"]])
    tokenising, lists = timed(lambda: [tokenize(text) for text in texts])
    by_regex, _ = timed(lambda: [_RUN.findall(text.lower()) for text in texts])
    ours = NoveltyPool(0.7, "numba")
    joining, verdicts = timed(lambda: admit(ours, lists))
    total = tokenising + joining
    pairs = pairs_looked_at(verdicts)
    print(f"rouge, {pool}, {len(texts):,} rows, {verdicts.count(None):,} kept, {pairs:.3g} pairs")
    print(
        f"  ours: tokens {tokenising:.2f} s, join {joining:.2f} s, in all {total / by_regex:.1f} times the"
        f" {by_regex:.2f} s of re.findall"
    )
    queries = random.Random(0).sample(lists, min(2000, len(lists)))
    searching, _ = timed(lambda: [ours.nearest(one) for one in queries])
    adding, _ = timed(lambda: [ours.add(one) for one in queries])
    closest, _ = timed(lambda: [ours.closest(one) for one in queries])
    each = [seconds / len(queries) * 1e6 for seconds in (searching, adding, closest)]
    print("  one row: nearest {:.0f} us, add {:.0f} us, closest however far {:.0f} us".format(*each))
    few = lists[:5000]
    portable, same = timed(lambda: admit(NoveltyPool(0.7, "portable"), few))
    print(f"  {len(few):,} rows without numba: {portable:.1f} s, same answers: {same == verdicts[: len(few)]}")
    kept = [one for one, near in zip(lists, verdicts, strict=True) if near is None]
    a_pair, sampled = rapidfuzz_pair_s(kept)
    print(
        f"  rapidfuzz, all pairs (extrapolated from {sampled:,} pairs): {a_pair * pairs:.1f} s,"
        f" ratio {a_pair * pairs / total:.0f}"
    )
    if find_spec("rouge_score"):
        a_pair, sampled = reference_pair_s(kept)
        ratio = a_pair * pairs / total
        print(f"  rouge_score (extrapolated from {sampled:,} pairs): {a_pair * pairs:,.0f} s, ratio {ratio:,.0f}")


def growth(data: Path, rows: int, pool: str) -> None:
    texts = pool_of(data, pool)[:rows]
    admit(NoveltyPool(0.7, "numba"), [["warm"]])
    ours, plain, tokenising, joining, kept = NoveltyPool(0.7, "numba"), 0.0, 0.0, 0.0, 0
    print(f"growth, {pool}: re.findall, our tokens and join in CPU s; the last two over the first")
    print("      rows       kept  findall   tokens     join  ratio  peak MB")
    for at in range(0, len(texts), BLOCK):
        seconds, lists = timed(lambda at=at: [tokenize(text) for text in texts[at : at + BLOCK]])  # type: ignore[misc]
        tokenising += seconds
        plain += timed(lambda at=at: [_RUN.findall(text.lower()) for text in texts[at : at + BLOCK]])[0]  # type: ignore[misc]
        seconds, verdicts = timed(lambda lists=lists: ours.admit(lists))  # type: ignore[misc]
        joining, kept, done = joining + seconds, kept + verdicts.count(None), at + len(lists)
        if done == len(texts) or any(at < size <= done for size in (10_000, 30_000, 100_000, 300_000)):
            times = f"{plain:8.2f} {tokenising:8.2f} {joining:8.2f} {(tokenising + joining) / plain:6.1f}"
            print(f"{done:10,} {kept:10,} {times} {peak_mb():8,.0f}", flush=True)


def template(_: Path, rows: int, __: str) -> None:
    """Rows of a 120-word text of which a share is replaced by words of a small or large vocabulary."""
    admit(NoveltyPool(0.7, "numba"), [["warm"]])
    for share, vocabulary in ((0.25, 5000), (0.3, 50), (0.36, 50), (0.36, 5000)):
        rng = random.Random(0)
        lists = [
            [f"s{rng.randrange(vocabulary)}" if rng.random() < share else f"t{at}" for at in range(120)]
            for _ in range(rows)
        ]
        for size in (rows // 4, rows // 2, rows):
            seconds, verdicts = timed(lambda size=size, lists=lists: admit(NoveltyPool(0.7, "numba"), lists[:size]))  # type: ignore[misc]
            print(
                f"template, {share:.0%} of 120 words from {vocabulary}: {size:,} rows, {verdicts.count(None):,} kept,"
                f" {seconds:.2f} s"
            )


def kernel(data: Path, rows: int, pool: str) -> None:
    """LCS by `rouge_score` for each pair whose lengths and common words leave the threshold in reach."""
    from rouge_score import rouge_scorer

    lists = [tokenize(text) for text in pool_of(data, pool)[:rows]]
    ours, kept, wrong, looked_at = NoveltyPool(0.7, "numba"), list[list[str]](), 0, 0
    bags, postings = list[Counter[str]](), dict[str, list[int]]()
    for one in lists:
        bag, n, scores = Counter(one), len(one), dict[int, float]()
        # More words than may differ are looked up, so that one of them at least is shared.
        words_of = sorted(bag, key=lambda word: len(postings.get(word, ())))
        spare, chosen = n - 0.7 * n / 1.3, list[str]()
        while words_of and sum(bag[word] for word in chosen) <= spare:
            chosen.append(words_of.pop(0))
        for other in {at for word in chosen for at in postings.get(word, ())}:
            m = len(kept[other])
            if 2 * sum(min(count, bags[other][word]) for word, count in bag.items()) >= 0.7 * (n + m) - 1e-6:
                looked_at += 1
                scores[other] = rouge_scorer._score_lcs(kept[other], one).fmeasure
        found = ours.neighbours(one)
        (near,) = ours.admit([one])
        best = max(scores.items(), key=lambda item: (item[1], -item[0]), default=(-1, 0.0))
        wrong += found != sorted(item for item in scores.items() if item[1] >= 0.7)
        wrong += near != (best if best[1] > 0.7 else None)
        if best[1] <= 0.7:
            for word in bag:
                postings.setdefault(word, []).append(len(kept))
            kept.append(one)
            bags.append(bag)
    print(f"kernel, {pool}: {len(lists):,} rows, {looked_at:,} pairs by rouge_score, {wrong} rows judged otherwise")


def minhash(data: Path, rows: int, pool: str) -> None:
    """Each search in a process of its own, since memory is compared; rows of the pool and edited copies."""
    found = {}
    for search in ("exact", "minhash"):
        command = [sys.executable, __file__, str(data), "--rows", str(rows), "--pool", pool, "--search", search]
        found[search] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        one = found[search]
        print(
            f"{search}, {one['rows']:,} rows, {len(one['dropped']):,} dropped: {one['seconds']:.2f} s, memory"
            f" {one['own_mb']:,.0f} MB of its own, with pages of the file {one['peak_mb']:,.0f} MB, both above the"
            f" start's; {one['false']} dropped rows are less than 0.7 similar to their neighbour"
        )
    exact, near = set(found["exact"]["dropped"]), set(found["minhash"]["dropped"])
    recall = len(near & exact) / max(1, len(exact))
    print(f"  recall of dropped rows {recall:.5f}, dropped by minhash alone {len(near - exact)}")


def searched(data: Path, rows: int, pool: str, search: str) -> None:
    """What one search makes of the rows, as JSON."""
    of_alpaca = [f"{r['instruction']}\n{r['input']}\n{r['output']}" for r in alpaca(data)]
    base = of_alpaca if pool == "alpaca" else pool_of(data, pool)
    texts = edited(base, rows, random.Random(0))
    make = minhash_pool if search == "minhash" else jaccard_pool
    admit(make(0.7, "word", 5, "numba"), ["warm"])
    index = make(0.7, "word", 5, "numba")
    before, own_before, own = peak_mb(), own_mb(), 0.0
    seconds, verdicts = 0.0, list[Near | None]()
    for at in range(0, len(texts), BLOCK):
        took, found = timed(lambda at=at: index.admit(texts[at : at + BLOCK]))  # type: ignore[misc]
        seconds, own = seconds + took, max(own, own_mb())
        verdicts += found
    kept = [text for text, near in zip(texts, verdicts, strict=True) if near is None]
    dropped = [(at, near) for at, near in enumerate(verdicts) if near is not None]
    sample = random.Random(0).sample(dropped, min(5000, len(dropped)))
    pairs = [(near, ngrams(texts[at], "word", 5), ngrams(kept[near[0]], "word", 5)) for at, near in sample]
    wrong = sum(near[1] != len(a & b) / len(a | b) or near[1] < 0.7 for near, a, b in pairs)
    result = {"rows": len(texts), "dropped": [at for at, _ in dropped], "seconds": seconds, "false": wrong}
    print(json.dumps({**result, "own_mb": own - own_before, "peak_mb": max(0.0, peak_mb() - before)}))


def own_mb() -> float:
    """Resident memory that no file holds (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


CHAIN = ("dedup_exact", "dedup_rouge", "dedup_ngram", "decontaminate against={}", "language keep=[en]")


def chain(data: Path, rows: int, _: str) -> None:
    """Each filter as a process of its own, one that keeps everything for comparison; and all in one."""
    with tempfile.TemporaryDirectory() as folder:
        file, exam = Path(folder, "alpaca.json"), Path(folder, "exam.jsonl")
        file.write_text(json.dumps(alpaca(data)[:rows]))
        exam.write_text("".join(json.dumps({"instruction": item}) + "\n" for item in exam_items(data)))
        uses = [use.format(exam) for use in CHAIN]
        for use in uses:  # machine code is compiled once
            filtered(file, [use])
        print(f"chain, {rows:,} rows, CPU seconds with start, reading and writing")
        for use in ["length min_words=0", *uses]:
            print(f"  {use.split()[0]:<14} {filtered(file, [use]):6.2f} s", flush=True)
        print(f"  all in one     {filtered(file, uses):6.2f} s")


def filtered(file: Path, uses: Sequence[str]) -> float:
    """CPU seconds of one ``datagen filter``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = [part for use in uses for part in ("--use", use)]
    command = [
        sys.executable,
        "-m",
        "datagen",
        "filter",
        str(file),
        *options,
        "-o",
        str(file.with_suffix(".out.jsonl")),
    ]
    with tempfile.TemporaryDirectory() as root:  # the stages of an earlier call would count as done
        subprocess.run([*command, "--root", root, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def exam_items(data: Path) -> list[str]:
    items = [json.loads(line)["question"] for line in (data / "gsm8k/test.jsonl").read_text().splitlines()]
    for path in sorted((data / "bbh").glob("*.json")):
        items += [example["input"] for example in json.loads(path.read_text())["examples"]]
    return items


def pairs_looked_at(verdicts: Sequence[Near | None]) -> int:
    """Each row against all that was kept before it."""
    kept = pairs = 0
    for near in verdicts:
        pairs += kept
        kept += near is None
    return pairs


def rapidfuzz_pair_s(lists: list[list[str]]) -> tuple[float, int]:
    from rapidfuzz import process
    from rapidfuzz.distance import LCSseq

    ids: dict[str, int] = {}
    packed = ["".join(chr(ids.setdefault(token, len(ids) + 1)) for token in one) for one in lists]
    rng = random.Random(0)
    queries = rng.sample(packed, min(200, len(packed)))
    seconds, _ = timed(lambda: process.cdist(queries, packed, scorer=LCSseq.similarity, workers=1))
    return seconds / len(queries) / len(packed), len(queries) * len(packed)


def reference_pair_s(lists: list[list[str]]) -> tuple[float, int]:
    """The part of rouge_score that both original filters call, on tokens: what costs nearly all of their time."""
    from rouge_score import rouge_scorer

    rng = random.Random(0)
    pairs = [(rng.choice(lists), rng.choice(lists)) for _ in range(6000)]
    seconds, _ = timed(lambda: [rouge_scorer._score_lcs(one, other) for one, other in pairs])
    return seconds / len(pairs), len(pairs)


def ngram(data: Path, rows: int, _: str) -> None:
    rng = random.Random(0)
    texts = edited([f"{r['instruction']}\n{r['input']}\n{r['output']}" for r in alpaca(data)], rows, rng)
    admit(jaccard_pool(0.7, "word", 5, "numba"), ["warm"])
    ours, verdicts = timed(lambda: admit(jaccard_pool(0.7, "word", 5, "numba"), texts), times=3)
    print(f"ngram, {len(texts):,} rows, {len(texts) - verdicts.count(None):,} dropped: {len(texts) / ours:,.0f} rows/s")
    few = texts[:2000]
    print(f"  2,000 rows as by brute force: {brute_force(few) == verdicts[: len(few)]}")
    portable, same = timed(lambda: admit(jaccard_pool(0.7, "word", 5, "portable"), texts))
    print(f"  without numba {len(texts) / portable:,.0f} rows/s, same decisions and floats: {same == verdicts}")
    sets = [[" ".join(map(str, gram)) for gram in ngrams(text, "word", 5)] for text in texts]
    for name, peer in (("rensa", rensa_pairs), ("datasketch", datasketch_pairs)):
        if not find_spec(name):
            print(f"  {name}: not installed")
            continue
        shingling, _ = timed(lambda: [word_shingles(text) for text in texts], times=3)
        seconds, found = timed(lambda peer=peer: peer(sets), times=3)  # type: ignore[misc]
        truth = {(i, j) for i, j in found if jaccard(sets[i], sets[j]) >= 0.7}
        paired = {at for pair in truth for at in pair}
        missed = sum(near is not None and at not in paired for at, near in enumerate(verdicts))
        total = shingling + seconds
        print(
            f"  {name}: {len(texts) / total:,.0f} rows/s ({shingling:.1f} s of it Python shingles), ratio"
            f" {total / ours:.1f}; precision {len(truth) / max(1, len(found)):.3f},"
            f" rows dropped by us that it pairs with none: {missed}"
        )


def edited(texts: list[str], rows: int, rng: random.Random) -> list[str]:
    """Every sixth row, or more for want of texts, a copy of another with up to a tenth of its words changed."""
    made = texts[: rows - rows // 6]
    originals = len(made)
    for _ in range(rows - originals):
        parts = made[rng.randrange(originals)].split()
        for _ in range(rng.randrange(1 + len(parts) // 10)):
            parts[rng.randrange(len(parts))] = rng.choice(("one", "other", "word"))
        made.append(" ".join(parts))
    rng.shuffle(made)
    return made


def word_shingles(text: str) -> list[str]:
    tokens = text.lower().split()
    return [" ".join(tokens[at : at + 5]) for at in range(max(1, len(tokens) - 4))]


def jaccard(one: Sequence[str], other: Sequence[str]) -> float:
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a | b else 0.0


def brute_force(texts: list[str]) -> list[Near | None]:
    kept: list[set[tuple[object, ...]]] = []
    verdicts: list[Near | None] = []
    for text in texts:
        grams = ngrams(text, "word", 5)
        scores = [len(grams & one) / len(grams | one) if grams and one else 0.0 for one in kept]
        best = max(scores, default=0.0)
        verdicts.append((scores.index(best), best) if best >= 0.7 else None)
        kept += [grams] if best < 0.7 else []
    return verdicts


def rensa_pairs(sets: list[list[str]]) -> set[tuple[int, int]]:
    from rensa import RMinHash, RMinHashLSH

    lsh, pairs = RMinHashLSH(threshold=0.7, num_perm=128, num_bands=32), set()
    for at, one in enumerate(sets):
        sketch = RMinHash(num_perm=128, seed=0)
        sketch.update(one)
        pairs |= {(other, at) for other in lsh.query(sketch)}
        lsh.insert(at, sketch)
    return pairs


def datasketch_pairs(sets: list[list[str]]) -> set[tuple[int, int]]:
    from datasketch import MinHash, MinHashLSH

    lsh, pairs = MinHashLSH(threshold=0.7, num_perm=128), set()
    for at, sketch in enumerate(MinHash.generator([[t.encode() for t in one] for one in sets], num_perm=128)):
        pairs |= {(other, at) for other in lsh.query(sketch)}
        lsh.insert(at, sketch)
    return pairs


PARTS = {
    "rouge": rouge,
    "ngram": ngram,
    "growth": growth,
    "template": template,
    "kernel": kernel,
    "minhash": minhash,
    "chain": chain,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=52_002)
    parser.add_argument("--parts", default="rouge,ngram")
    parser.add_argument("--pool", default="alpaca", help="alpaca, stream, or a JSON file with a list of texts")
    parser.add_argument("--search", choices=("exact", "minhash"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        searched(options.data, options.rows, options.pool, options.search)
        return
    for part in options.parts.split(","):
        PARTS[part](options.data, options.rows, options.pool)
    print(f"peak memory {peak_mb():,.0f} MB")


if __name__ == "__main__":
    main()
