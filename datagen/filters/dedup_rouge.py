"""Self-Instruct's novelty filter (arXiv 2212.10560) over a stream: exact ROUGE-L F against everything kept so far.

Strictly above the threshold is dropped, with the floats of ``rouge_score``: what the code does, while the paper
says that less than 0.7 is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from datagen.record import Record
from datagen.text import rouge
from datagen.text.words import Scope, scoped, words

_TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"rouge": rouge.tokenize, "words": words}


def dedup_rouge(
    records: Iterable[Record],
    *,
    threshold: float = 0.7,
    scope: Scope = "task",
    tokens: Literal["rouge", "words"] = "rouge",
) -> Iterator[Record]:
    """Records that are novel; the others carry their nearest ``neighbour``, its id and the ``similarity``.

    Rows of one task with different inputs stand or fall together: the task is judged once, at its first row. ``rouge``
    sees ASCII letters and digits alone, as the originals do (a text without any is always novel); ``words`` sees every
    script. Holds the tokens of all that it kept.
    """
    pool = rouge.NoveltyPool(threshold)
    kept: list[tuple[str, str]] = []
    verdicts: dict[str, tuple[int, float] | None] = {}
    seen: set[str] = set()
    for record in records:
        text = scoped(record, scope)
        whole = scoped(record, "instruction") if scope == "task" else text
        if text in verdicts and whole not in seen:
            near = verdicts[text]
        else:
            found = _TOKENIZERS[tokens](text)
            near = verdicts[text] = pool.nearest(found)
            if near is None:
                pool.add(found)
                kept.append((text, record.id))
        seen.add(whole)
        if near is None:
            yield record
        else:
            neighbour, first = kept[near[0]]
            yield record.drop("dedup_rouge:similar", similarity=near[1], neighbour=neighbour, first=first)
