"""Drop prompts that a benchmark holds: shared n-grams (GPT-3, arXiv 2005.14165, takes 13 words; Tulu 3, 2411.15124, 8).

Short items count as a whole, so that an n longer than an item misses nothing. Deviation from GPT-3: an n-gram that
occurs often in the training data still counts; from Tulu 3: rows are dropped, whatever share of the benchmark they hit.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import Rows
from datagen.text.engine import numba_is_wanted
from datagen.text.rouge import NoveltyPool, tokenize
from datagen.text.words import Scope, normal, scoped, words

if TYPE_CHECKING:
    from datagen.text.screen import Screen

logger = logging.getLogger("datagen")

_MIN_RUN = 5  # a shorter item may well occur inside an innocent prompt: it must be the whole prompt
_BLOCK = 1024


def decontaminate(
    records: Iterable[Record],
    *,
    against: Rows,
    ngram: int = 13,
    coverage: float = 0.0,
    rouge: float | None = None,
    scope: Scope = "instruction",
) -> Iterator[Record]:
    """Records whose prompt (inputs and earlier turns included) shares nothing with the benchmark's prompts.

    Dropped: the same text after normalisation; a shared run of ``ngram`` words, or a whole item of 5 to ``ngram`` - 1
    words inside the text, where more than ``coverage`` of the item's words lie in such runs (0: GPT-3's rule; 0.5 with
    ``ngram: 8``: Tulu 3's); ROUGE-L above ``rouge`` where given. The evidence is the match, the benchmark's item and
    its ``source``, by which the log counts at the end. ``scope`` is of the records; of the benchmark it is always the
    prompt. Holds the benchmark; reads ``_BLOCK`` rows ahead.
    """
    index = _Index(against, ngram, coverage, rouge)
    counts: Counter[str] = Counter()
    rows = iter(records)
    while block := list(itertools.islice(rows, _BLOCK)):
        texts = [scoped(record, scope) for record in block]
        for record, text, suspect in zip(block, texts, index.suspects(texts), strict=True):
            match = index.match(text, suspect)
            if match is None:
                yield record
            else:
                reason, evidence = match
                counts[f"{evidence.get('source', 'benchmark')} {reason}"] += 1
                yield record.drop(f"decontaminate:{reason}", **evidence)
    found = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    logger.info("decontaminate: %s", found or "nothing found")


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for an n-gram without words, or a share that is none."""
    if arguments["ngram"] < 1:
        raise ConfigError(f"ngram: an n-gram has at least 1 word, not {arguments['ngram']}")
    if not 0 <= arguments["coverage"] < 1:
        raise ConfigError(f"coverage: {arguments['coverage']} is no share of an item's words from 0 to below 1")
    if arguments["rouge"] is not None:
        NoveltyPool(arguments["rouge"])


class _Index:
    """What the benchmark holds: every prompt, every n-gram, and the items shorter than n."""

    def __init__(self, against: Rows, ngram: int, coverage: float, rouge: float | None) -> None:
        self._items = [(scoped(record, "instruction"), record.source) for record in against]
        self._tokens = [words(text) for text, _ in self._items]
        self._ngram, self._coverage = ngram, coverage
        self._prompts: dict[str, int] = {}
        self._runs: dict[str, list[int]] = {}
        self._sizes: set[int] = set()
        for at, ((text, _), tokens) in enumerate(zip(self._items, self._tokens, strict=True)):
            self._prompts.setdefault(normal(text, tokens), at)
            if (n := min(ngram, len(tokens))) >= min(_MIN_RUN, ngram):
                self._sizes.add(n)
                for run in _runs(tokens, n):
                    self._runs.setdefault(run, []).append(at)
        self._screen = _screen(self._tokens, ngram)
        self._pool = None if rouge is None else _pool([text for text, _ in self._items], rouge)

    def suspects(self, texts: list[str]) -> list[bool]:
        """Which texts may be, or share a run with, an item."""
        return self._screen.suspects(texts) if self._screen else [True] * len(texts)

    def match(self, text: str, suspect: bool) -> tuple[str, dict[str, Any]] | None:
        """Why a text is dropped, and the evidence."""
        if suspect and (at := self._prompts.get(normal(text))) is not None:
            return "same_prompt", self._evidence(at, self._items[at][0])
        if suspect and (found := self._covered(words(text))) is not None:
            at, run, share = found
            return "ngram", {**self._evidence(at, run), "coverage": share}
        if self._pool is not None and (near := self._pool.nearest(tokenize(text))):
            return "similar", {**self._evidence(near[0], self._items[near[0]][0]), "similarity": near[1]}
        return None

    def _evidence(self, at: int, matched: str) -> dict[str, Any]:
        text, source = self._items[at]
        return {"matched": matched, "item": text, **({"source": source} if source else {})}

    def _covered(self, tokens: list[str]) -> tuple[int, str, float] | None:
        """The first item that is covered far enough, the run that led to it, and how far."""
        runs = (run for n in sorted(self._sizes) for run in _runs(tokens, n))
        shared = dict.fromkeys(run for run in runs if run in self._runs)
        for run in shared:
            for at in self._runs[run]:
                if (share := self._share(self._tokens[at], shared)) > self._coverage:
                    return at, run, share
        return None

    def _share(self, item: list[str], shared: Mapping[str, None]) -> float:
        """The share of an item's words that lie in shared runs."""
        n, covered = min(self._ngram, len(item)), set[int]()
        for begin, run in enumerate(_runs(item, n)):
            if run in shared:
                covered.update(range(begin, begin + n))
        return len(covered) / len(item)


def _pool(texts: list[str], threshold: float) -> NoveltyPool:
    pool = NoveltyPool(threshold)
    for text in texts:
        pool.add(tokenize(text))
    return pool


def _screen(items: list[list[str]], ngram: int) -> Screen | None:
    """Tells most texts that share nothing; None where numba is not installed."""
    if not numba_is_wanted("auto"):
        return None
    from datagen.text.screen import Screen

    return Screen([(tokens, min(ngram, len(tokens))) for tokens in items if tokens], longest=ngram)


def _runs(tokens: list[str], n: int) -> Iterator[str]:
    return (" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
