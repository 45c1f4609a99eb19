"""Drop prompts that a benchmark holds: shared n-grams (GPT-3 uses 13 words, Tulu 8), and short items as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from datagen.record import Record
from datagen.stage import Rows
from datagen.text.rouge import NoveltyPool, tokenize
from datagen.text.words import normal, scoped, words

_MIN_RUN = 5  # a shorter item may well occur inside an innocent prompt: it must be the whole prompt


@dataclass
class _Index:
    """What the benchmarks hold: every prompt, every n-gram, and the items shorter than n by their length."""

    prompts: dict[str, str] = field(default_factory=dict)
    ngrams: dict[str, str] = field(default_factory=dict)
    lengths: set[int] = field(default_factory=set)


def decontaminate(
    records: Iterable[Record], *, against: Rows, ngram: int = 13, rouge: float | None = None
) -> Iterator[Record]:
    """Records whose prompt (inputs and earlier turns included) shares nothing with the benchmark's prompts.

    Dropped: the same prompt after normalisation; a shared run of ``ngram`` words; a whole item of 5 to ``ngram`` - 1
    words inside the prompt; ROUGE-L above ``rouge`` where given. The evidence is the match and the benchmark's item.
    Holds the benchmark.
    """
    index = _indexed(against, ngram)
    items, pool = _pooled(against, rouge) if rouge is not None else ([], None)
    for record in records:
        text = scoped(record, "instruction")
        tokens = words(text)
        if (item := index.prompts.get(normal(text))) is not None:
            yield record.drop("decontaminate:same_prompt", matched=item, item=item)
        elif (run := _shared(tokens, index)) is not None:
            yield record.drop("decontaminate:ngram", matched=run, item=index.ngrams[run])
        elif pool and (near := pool.nearest(tokenize(text))):
            yield record.drop("decontaminate:similar", matched=items[near[0]], item=items[near[0]], similarity=near[1])
        else:
            yield record


def _indexed(against: Rows, ngram: int) -> _Index:
    index = _Index()
    for record in against:
        text = scoped(record, "instruction")
        tokens = words(text)
        index.prompts.setdefault(normal(text), text)
        n = min(ngram, len(tokens))
        if n >= min(_MIN_RUN, ngram):
            index.lengths.add(n)
            for run in _runs(tokens, n):
                index.ngrams.setdefault(run, text)
    return index


def _pooled(against: Rows, threshold: float) -> tuple[list[str], NoveltyPool]:
    items, pool = [scoped(record, "instruction") for record in against], NoveltyPool(threshold)
    for item in items:
        pool.add(tokenize(item))
    return items, pool


def _shared(tokens: list[str], index: _Index) -> str | None:
    return next((run for n in sorted(index.lengths) for run in _runs(tokens, n) if run in index.ngrams), None)


def _runs(tokens: list[str], n: int) -> Iterator[str]:
    return (" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
