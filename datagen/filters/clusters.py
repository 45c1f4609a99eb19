"""Near-duplicate clusters: how many there are, how large, and the largest, for the run's report.

Every dropped row names the row that stayed, and only rows that stayed are ever named. So the union of all these pairs
are stars, each around the first of its rows that was judged: a count by that row's id is the whole union-find.
"""

from __future__ import annotations

import logging
from collections import Counter

from datagen import findings

logger = logging.getLogger("datagen")

_LARGEST = 3
_WORDS, _CHARACTERS = 8, 60


class Clusters:
    """Counts the rows that name one ``first``. Holds a number for each cluster, and some words of the largest."""

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._sizes: Counter[str] = Counter()
        """With the row that stayed."""
        self._begins: dict[str, str] = {}
        """The first words of the largest so far; a size only grows, so that one too small once comes back."""

    def add(self, first: str, text: str) -> None:
        """A row was dropped for the one with the id ``first``, whose text this is, but for its normal form."""
        self._sizes[first] = size = self._sizes.get(first, 1) + 1
        if first in self._begins:
            return
        if len(self._begins) == _LARGEST:
            least = min(self._begins, key=lambda id: self._sizes[id])
            if self._sizes[least] >= size:
                return
            del self._begins[least]
        self._begins[first] = " ".join(text.split()[:_WORDS])[:_CHARACTERS]

    def report(self) -> None:
        """Tell the run and the log, where there are any; sizes go by powers of two."""
        if not self._sizes:
            return
        rows, number = self._sizes.total() - len(self._sizes), len(self._sizes)
        largest = sorted(self._begins, key=lambda id: -self._sizes[id])
        text = "%s: %d rows in %d clusters, each around the row they name; the largest: %d around %s"
        logger.info(text, self._reason, rows, number, self._sizes[largest[0]] - 1, largest[0])
        table: dict[str, dict[str, int | str]] = {}
        octaves: dict[int, list[int]] = {}
        for size in self._sizes.values():
            octaves.setdefault(size.bit_length() - 1, []).append(size)
        for octave in sorted(octaves):
            name = f"{2**octave} to {2 ** (octave + 1) - 1} rows"
            table[name] = {"clusters": len(octaves[octave]), "rows": sum(octaves[octave])}
        for place, id in enumerate(largest, 1):
            table[f"largest {place}"] = {"rows": self._sizes[id], "first": id, "begins": self._begins[id]}
        findings.report({"clusters": number, "rows_in_clusters": rows + number, **table})
