"""Drop prompts that say what a benchmark's item says, in other words or another language: LMSYS (arXiv 2311.04850).

By the cosine of sentence embeddings alone, or with the verdict of an LLM on the nearest items. Deviation: LMSYS shows
the LLM the k rows that are nearest to each item; here each row that is near any item is shown with the k items nearest
to it, since every leak has to go and not the nearest alone. A model that knows one language finds no translations.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from datagen.aio import ordered_map
from datagen.errors import ConfigError, LLMError
from datagen.filters.benchmarks import Item, Tally, items
from datagen.llm import trail
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import ModelName, NamedRows, PromptName, Rows
from datagen.text.embeddings import BLOCK, Encode
from datagen.text.encoder import Encoder, Precision
from datagen.text.parsing import DECISIONS, choose
from datagen.text.words import Scope, scoped

if TYPE_CHECKING:
    from datagen.text.embeddings import Vectors

_ROWS = 128  # whose cosines with all items are held at once
_NEAREST = 1


class Near(NamedTuple):
    """An item near a row, and their cosine."""

    item: Item
    similarity: float


async def decontaminate_meaning(
    records: Iterable[Record],
    *,
    against: NamedRows | Rows,
    model: ModelName,
    revision: str | None = None,
    threshold: float = 0.8,
    llm: LLM | None = None,
    nearest: int | None = None,
    prompt: PromptName = PromptName("decontaminate_meaning/same_problem"),
    scope: Scope = "instruction",
    precision: Precision = "float32",
    device: str = "auto",
    batch_size: int = 64,
) -> AsyncIterator[Record]:
    """Records whose cosine with every item of ``against`` (as in ``decontaminate``) is below ``threshold``.

    Those at or above it are dropped (``similar``); with ``llm`` only where it says of one of the ``nearest`` items (1)
    that it is the same problem (``rephrased``), or where what it said of one is not to be parsed (``unparsed``). The
    evidence is the benchmark, the item and its number there, the similarity and the LLM's words. Put
    ``decontaminate`` before it: copies are cheaper to find there. Holds a vector for each item.

    Raises:
        ConfigError: a threshold out of range, or a model that cannot be loaded.
    """
    check({"threshold": threshold, "batch_size": batch_size, "nearest": nearest, "llm": llm})
    encode = Encoder(model, revision=revision, device=device, batch_size=batch_size, precision=precision)
    known = items(against)
    tally = Tally(known, "decontaminate_meaning")
    pairs = _near(records, known, encode, threshold, scope, nearest or _NEAREST)

    async def judged(pair: tuple[Record, list[Near]]) -> Record:
        record, near = pair
        if llm is None or not near:
            return tally.dropped(record, "similar", near[0].item, similarity=near[0].similarity) if near else record
        with trail.following() as calls:
            return trail.link(await _verdict(record, scoped(record, scope), near, llm, prompt, tally), calls)

    async for record in ordered_map(judged, pairs, window=llm.window if llm else 1):
        yield record
    tally.report()


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for what no cosine or batch has, and for a number of items that nobody is shown."""
    if not 0 < arguments["threshold"] <= 1:
        raise ConfigError(f"decontaminate_meaning: threshold: {arguments['threshold']} is not above 0 and at most 1")
    if arguments["batch_size"] < 1:
        raise ConfigError(f"decontaminate_meaning: batch_size: {arguments['batch_size']} is not 1 or more")
    if (nearest := arguments["nearest"]) is not None and (nearest < 1 or arguments["llm"] is None):
        raise ConfigError(f"decontaminate_meaning: nearest: {nearest}: 1 or more, and with an llm that is asked")


def _near(
    records: Iterable[Record], known: list[Item], encode: Encode, threshold: float, scope: Scope, most: int
) -> Iterator[tuple[Record, list[Near]]]:
    """Each record with its nearest items at or above the threshold, nearest first. Reads ``BLOCK`` rows ahead."""
    held = encode([item.text for item in known]) if known else None
    rows = iter(records)
    while block := list(itertools.islice(rows, BLOCK)):
        if held is None:
            yield from ((record, []) for record in block)
            continue
        vectors = encode([scoped(record, scope) for record in block])
        for start in range(0, len(block), _ROWS):
            for at, cosines in enumerate(vectors[start : start + _ROWS] @ held.T, start):
                yield block[at], [Near(known[one], cosine) for one, cosine in _top(cosines, threshold, most)]


def _top(cosines: Vectors, threshold: float, most: int) -> list[tuple[int, float]]:
    """The highest at or above the threshold, the first among equals first."""
    import numpy as np

    above = np.flatnonzero(cosines >= threshold)
    order = above[np.argsort(-cosines[above], kind="stable")[:most]]
    return [(int(at), round(min(float(cosines[at]), 1.0), 4)) for at in order]


async def _verdict(record: Record, text: str, near: list[Near], llm: LLM, prompt: PromptName, tally: Tally) -> Record:
    """Dropped for the first item that the LLM says is the same problem, else for the first that it says nothing of."""
    template = llm.prompt(prompt)
    decide = choose(template.parser, DECISIONS, where=template.path)
    unclear: tuple[Near, str] | None = None
    for one in near:
        try:
            reply = await llm.ask(prompt, instruction=text, item=one.item.text)
        except LLMError as error:
            return record.drop(f"decontaminate_meaning:{error.reason}", **error.evidence)
        if (same := decide(reply.text)) is None:
            unclear = unclear or (one, reply.text)
        elif same:
            return tally.dropped(record, "rephrased", one.item, similarity=one.similarity, verdict=reply.text)
    if unclear is None:
        return record
    one, raw = unclear
    return tally.dropped(record, "unparsed", one.item, similarity=one.similarity, raw=raw)
