"""What a pipeline will take, from a few records done for real: their replies are in the journal, so nothing is wasted.

Calls and tokens grow with the rows that a stage reads, or with its ``count``. The range is two standard errors: of the
tokens of a reply, and of the share of rows that the stages above kept. Time is calls times the mean time of a call over
what the LLM takes at once; rules and training are not in it. Two things overstate: a generator that asks in rounds does
a whole round even for a few rows, and in a sample larger than what the LLM takes at once calls wait in line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from datagen import runner
from datagen.pipeline import Input, Node, Pipeline, entries
from datagen.preview import preview
from datagen.progress import Progress
from datagen.store import Result, disk

_STANDARD_ERRORS = 2.0
_SIZED = ("mixtures.blend", "filters.select_diverse")


@dataclass(frozen=True)
class Estimate:
    """One stage of the whole run. ``usd`` and ``seconds`` are None where no price, or no time, is known.

    ``spread`` is half the range of tokens, money and time, as a share of them; ``variance`` that of the rows alone.
    """

    stage: str
    rows: float
    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    usd: float | None = None
    seconds: float | None = None
    spread: float = 0.0
    variance: float = 0.0


def estimate(pipeline: Pipeline, n: int, *, root: Path, progress: Progress | None = None) -> list[Estimate]:
    """Run ``n`` records and scale them up, stage by stage; training and evaluation are left out.

    Raises what a run raises, such as ``StageError`` where a filter keeps none of the records.
    """
    with disk(root):
        root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{pipeline.name}-estimate-", dir=root) as folder:  # no run can have such a name
        few = replace(preview(pipeline, n), name=Path(folder).name)
        sources = tuple(node for node in pipeline.nodes if node.stage.shape == "source")
        whole = replace(few, nodes=sources)
        sizes = {name: result.kept for name, result in runner.run(whole, root=root).results.items()}
        sample = runner.run(few, root=root, progress=progress).results
    found: dict[str, Estimate] = {}
    for node in few.nodes:
        original = pipeline.node(node.name)
        assert original is not None, "a preview only leaves stages out"
        found[node.name] = (
            Estimate(node.name, sizes[node.name])
            if node.name in sizes
            else _scaled(pipeline, node, original, sample, found)
        )
    return list(found.values())


def _scaled(
    pipeline: Pipeline, few: Node, original: Node, sample: dict[str, Result], found: dict[str, Estimate]
) -> Estimate:
    result = sample[few.name]
    above = [found[one.stage] for one in few.inputs if isinstance(one, Input)]
    count, few_count = original.arguments.get("count"), few.arguments.get("count")
    if isinstance(count, int) and isinstance(few_count, int):
        factor, variance = count / few_count, 0.0
    else:
        whole = sum(found[one.stage].rows * _share(sample[one.stage], one.part) for one in few.inputs)
        factor = whole / max(result.read, 1)
        variance = max((one.variance for one in above), default=0.0)
    replies = result.calls + result.replayed
    priced = all(entry.price is not None for entry in entries(original, pipeline.llms))
    return Estimate(
        result.name,
        rows=min(result.kept * factor, _most_rows(original)),
        calls=replies * factor,
        prompt_tokens=round(result.seen_prompt_tokens * factor),
        completion_tokens=round(result.seen_completion_tokens * factor),
        usd=result.seen_usd * factor if replies and priced else None,
        seconds=_seconds(pipeline, original, result, replies * factor),
        spread=_STANDARD_ERRORS * math.sqrt(variance + _token_variance(result, replies)),
        variance=variance + _kept_variance(result),
    )


def _most_rows(node: Node) -> float:
    """The rows that a mixture is asked for, by ``size`` or by ``counts``; of a few records it made fewer."""
    if node.stage.name not in _SIZED:
        return math.inf
    size, counts = node.arguments.get("size"), node.arguments.get("counts")
    if isinstance(size, int):
        return size
    given = list(counts.values()) if isinstance(counts, dict) else []
    return sum(given) if given and all(isinstance(count, int) for count in given) else math.inf


def _share(result: Result, part: str) -> float:
    """How much of a stage's rows a part of it is."""
    return result.parts[part] / result.kept if part else 1.0


def _seconds(pipeline: Pipeline, node: Node, result: Result, calls: float) -> float | None:
    if not result.calls:
        return None if calls else 0.0
    at_once = sum(int(entry.arguments.get("concurrency") or 1) for entry in entries(node, pipeline.llms))
    return calls * result.call_seconds / result.calls / at_once


def _token_variance(result: Result, replies: int) -> float:
    """Of the mean tokens of a reply, relative to its square."""
    if not result.seen_completion_tokens:
        return 0.0
    mean = result.seen_completion_tokens / replies
    return max(0.0, result.seen_squares / replies / mean**2 - 1) / replies


def _kept_variance(result: Result) -> float:
    """Of the share of rows kept, relative to its square (binomial)."""
    rows = result.kept + result.dropped
    return result.dropped / result.kept / rows if result.kept else 0.0
