"""Self-Instruct's novelty filter (arXiv 2212.10560) over a stream: exact ROUGE-L F against everything kept so far.

Strictly above the threshold is dropped, with the floats of ``rouge_score``: what the code does, while the paper
says that less than 0.7 is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datagen.filters.duplicates import Keep, novel, preferring
from datagen.record import Record
from datagen.stage import Rows
from datagen.text import rouge
from datagen.text.words import Scope, words

_TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"rouge": rouge.tokenize, "words": words}


def dedup_rouge(
    records: Iterable[Record],
    *,
    threshold: float = 0.7,
    scope: Scope = "task",
    keep: Keep = "first",
    against: Rows | None = None,
    tokens: Literal["rouge", "words"] = "rouge",
) -> Iterator[Record]:
    """Records that are novel to what was kept and to ``against``; the others carry their nearest ``neighbour``.

    With it come the ``similarity`` and the neighbour's id (``first``). Rows of one task with different inputs stand or
    fall together. ``keep`` says which of similar rows stays: they are judged in that order, and a dropped row is no
    neighbour of later ones. ``rouge`` sees ASCII letters and digits alone, as the originals do (a text without any is
    always novel); ``words`` sees every script. Holds the tokens of all that it kept.
    """
    pool = _Texts(rouge.NoveltyPool(threshold), _TOKENIZERS[tokens])

    def first_stays(rows: Iterable[Record]) -> Iterator[Record]:
        return novel(rows, pool, reason="dedup_rouge:similar", scope=scope, against=against or ())

    return preferring(records, keep, first_stays)


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a threshold that no similarity can have."""
    rouge.NoveltyPool(arguments["threshold"])


@dataclass
class _Texts:
    """A novelty pool of texts."""

    pool: rouge.NoveltyPool
    tokenize: Callable[[str], list[str]]

    def fill(self, texts: Sequence[str]) -> None:
        for text in texts:
            self.pool.add(self.tokenize(text))

    def admit(self, texts: Sequence[str]) -> list[tuple[int, float] | None]:
        return self.pool.admit([self.tokenize(text) for text in texts])
