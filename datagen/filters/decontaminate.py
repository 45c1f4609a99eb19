"""Drop prompts that a benchmark holds: shared n-grams (GPT-3, arXiv 2005.14165, takes 13 words; Tulu 3, 2411.15124, 8).

Short items count as a whole, so that an n longer than an item misses nothing. Deviation from GPT-3: an n-gram that
occurs often in the training data still counts; from Tulu 3: rows are dropped, whatever share of the benchmark they hit.
What says the same in other words, or in another language, shares no n-gram: see ``decontaminate_meaning``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from datagen.errors import ConfigError
from datagen.filters.benchmarks import Tally, items
from datagen.record import Record
from datagen.stage import NamedRows, Rows
from datagen.text.overlap import overlap
from datagen.text.rouge import NoveltyPool, tokenize
from datagen.text.words import Scope, scoped

_BLOCK = 1024


def decontaminate(
    records: Iterable[Record],
    *,
    against: NamedRows | Rows,
    ngram: int = 13,
    coverage: float = 0.0,
    rouge: float | None = None,
    scope: Scope = "instruction",
) -> Iterator[Record]:
    """Records whose prompt (inputs and earlier turns included) shares nothing with the benchmarks' prompts.

    ``against`` names a stage or a file, several in a list, or benchmarks: ``{gsm8k: path/test.jsonl, bbh: folder}``,
    read by the presets ``seeds/benchmarks/*.yaml``. Dropped: the same text after normalisation (``same_prompt``); a
    shared run of ``ngram`` words, or a whole item of 5 to ``ngram`` - 1 words inside the text, where more than
    ``coverage`` of the item's words lie in such runs (``ngram``; 0: GPT-3's rule; 0.5 with ``ngram: 8``: Tulu 3's);
    ROUGE-L above ``rouge`` where given (``similar``). The evidence is the benchmark, the item and its number there,
    and the match; of several items the one covered most. The run's report counts rows and items by benchmark.
    ``scope`` is of the records; of the benchmarks it is always the prompt. Holds the benchmarks; reads ``_BLOCK`` rows
    ahead.
    """
    known = items(against)
    texts = [item.text for item in known]
    shared, pool = overlap(texts, ngram, coverage), None if rouge is None else _pool(texts, rouge)
    tally = Tally(known, "decontaminate")
    rows = iter(records)
    while block := list(itertools.islice(rows, _BLOCK)):
        contents = [scoped(record, scope) for record in block]
        for record, text, match in zip(block, contents, shared.matches(contents), strict=True):
            if match is not None:
                why, found = ("same_prompt" if match.whole else "ngram"), known[match.item]
                yield tally.dropped(record, why, found, matched=match.shared, coverage=match.coverage)
            elif pool is not None and (near := pool.nearest(tokenize(text))):
                yield tally.dropped(record, "similar", known[near[0]], similarity=near[1])
            else:
                yield record
    tally.report()


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for an n-gram without words, or a share that is none."""
    if arguments["ngram"] < 1:
        raise ConfigError(f"ngram: an n-gram has at least 1 word, not {arguments['ngram']}")
    if not 0 <= arguments["coverage"] < 1:
        raise ConfigError(f"coverage: {arguments['coverage']} is no share of an item's words from 0 to below 1")
    if arguments["rouge"] is not None:
        NoveltyPool(arguments["rouge"])


def _pool(texts: list[str], threshold: float) -> NoveltyPool:
    pool = NoveltyPool(threshold)
    for text in texts:
        pool.add(tokenize(text))
    return pool
