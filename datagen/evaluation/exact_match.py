"""Exact match on held-out prompts: the share of answers that equal a reference, or that an oracle calls right.

Answers are compared as SQuAD compares them (arXiv 1606.05250) but for its removal of articles and inner punctuation,
which would make wrong answers right where spelling is the task.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from datagen.aio import ordered_map
from datagen.errors import ConfigError
from datagen.evaluation.asking import answer_or_reason, check_reached, first_rows
from datagen.evaluation.statistics import paired_difference, proportion
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import FunctionName, PromptName, Rows
from datagen.text.oracles import Oracle, load_oracle

_END = re.compile(r"[\s.!。!]+$")


@dataclass
class Item:
    """One test row: what each model answered, and whether it was right (None: cannot be said)."""

    record: Record
    answers: dict[str, str]
    reasons: dict[str, str]
    right: dict[str, bool | None]

    @property
    def scored(self) -> bool:
        """Every model's answer could be judged."""
        return None not in self.right.values()


async def exact_match(
    data: Rows,
    out: Path,
    *,
    model: LLM,
    baseline: LLM | None = None,
    oracle: FunctionName | None = None,
    prompt: PromptName = PromptName("answer/answer"),
    by: str = "skill",
    ignore_case: bool = True,
    max_tokens: int = 256,
    limit: int | None = None,
) -> dict[str, Any]:
    """Each model's share of right answers at temperature 0, and their paired difference; items go to ``scores.jsonl``.

    Right is what equals any of a row's answers, or, with ``oracle`` (``module:function`` of instruction and answer),
    what that calls right. A failed request is a wrong answer, and is counted by its reason; a row that cannot be judged
    is counted as ``unscored``. ``by`` names a label to break the scores down by.

    Raises:
        ConfigError: no rows, no reference answers and no oracle, or an oracle that cannot be found.
        StageError: every request to a model failed.
    """
    judge = load_oracle(oracle) if oracle else None
    llms = {"model": model} if baseline is None else {"model": model, "baseline": baseline}
    items = []
    with (out / "scores.jsonl").open("wb") as file:
        ask = partial(_item, llms, str(prompt), judge, ignore_case, max_tokens)
        async for item in ordered_map(ask, first_rows(data, limit), window=model.window):
            items.append(item)
            file.write(msgspec.json.encode(_line(item)) + b"\n")
    for name, llm in llms.items():
        check_reached(llm, [item.reasons.get(name, "") for item in items])
    scored = [item for item in items if item.scored]
    if not scored:
        raise ConfigError("exact_match: no row has a reference answer or is known to the oracle; nothing can be scored")
    return summarize(items, scored, llms, by)


async def _item(
    llms: dict[str, LLM], prompt: str, oracle: Oracle | None, ignore_case: bool, max_tokens: int, record: Record
) -> Item:
    replies = await asyncio.gather(*(answer_or_reason(llm, prompt, record, max_tokens) for llm in llms.values()))
    answers = {name: text for name, (text, _) in zip(llms, replies, strict=True)}
    reasons = {name: reason for name, (_, reason) in zip(llms, replies, strict=True) if reason}
    right = {name: judged(record, text, oracle, ignore_case) for name, text in answers.items()}
    if any(verdict is not None for verdict in right.values()):
        right |= dict.fromkeys(reasons, False)
    return Item(record, answers, reasons, right)


def judged(record: Record, answer: str, oracle: Oracle | None = None, ignore_case: bool = True) -> bool | None:
    """Whether an answer is right; None where neither a reference nor the oracle can say."""
    if oracle is not None:
        return oracle(record.instruction, answer)
    if not record.answers:
        return None
    return normalized(answer, ignore_case) in {normalized(gold.content, ignore_case) for gold in record.answers}


def normalized(text: str, ignore_case: bool = True) -> str:
    """Unicode NFKC, single spaces, no full stop at the end, and in lower case.

    >>> normalized(" The  Cat. ")
    'the cat'
    """
    text = _END.sub("", " ".join(unicodedata.normalize("NFKC", text).split()))
    return text.casefold() if ignore_case else text


def summarize(items: list[Item], scored: list[Item], llms: dict[str, LLM], by: str) -> dict[str, Any]:
    """The metrics of a list of items, of which ``scored`` could be judged."""
    metrics: dict[str, Any] = {name: _score(scored, name) | {"name": llm.model} for name, llm in llms.items()}
    metrics = {"exact_match": metrics["model"]["exact_match"], "n": len(scored), **metrics}
    if "baseline" in llms:
        metrics["gain"] = paired_difference(*([float(bool(i.right[name])) for i in scored] for name in llms))
    metrics["unscored"] = len(items) - len(scored)
    metrics["failures"] = {n: dict(Counter(i.reasons[n] for i in items if n in i.reasons)) for n in llms}
    metrics["by"] = {by: _breakdown(scored, llms, by)}
    return metrics


def _score(items: list[Item], name: str) -> dict[str, Any]:
    found = proportion(sum(bool(item.right[name]) for item in items), len(items))
    return {"exact_match": round(found["share"], 4), "n": len(items), "stderr": round(found["stderr"], 4)}


def _breakdown(items: list[Item], llms: dict[str, LLM], by: str) -> dict[str, dict[str, Any]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        if by in item.record.labels:
            groups.setdefault(str(item.record.labels[by]), []).append(item)
    return {
        group: {"n": len(rows), **{name: round(sum(bool(i.right[name]) for i in rows) / len(rows), 4) for name in llms}}
        for group, rows in sorted(groups.items())
    }


def _line(item: Item) -> dict[str, Any]:
    return {
        "id": item.record.id,
        "prompt": item.record.prompt,
        "answers": item.answers,
        "right": item.right,
        "gold": [answer.content for answer in item.record.answers],
        "labels": item.record.labels,
        **({"failures": item.reasons} if item.reasons else {}),
    }
