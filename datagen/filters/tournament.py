"""Keep the best rows by a tournament: a judge says which of two is better, and Bradley and Terry's model ranks all.

A judge is surer of a comparison than of a number, and its scale cannot drift. Two rows are always shown in both orders,
and a judge that contradicts itself has called a tie (MT-Bench, arXiv 2306.05685). The rounds are those of a Swiss
tournament: rows with as many points meet, so that a few games a row tell near equals apart.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from datagen import findings
from datagen.aio import ordered_map
from datagen.errors import ConfigError, LLMError
from datagen.filters.pairing import swiss_pairs
from datagen.filters.selection import Limits, Selection, check_share, report
from datagen.llm import judge, trail
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import PromptName
from datagen.text.bradley_terry import strengths

_POINTS = {"first": (1.0, 0.0), "second": (0.0, 1.0), "tie": (0.5, 0.5)}


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for no round, and a share that is none."""
    check_share("tournament: keep_top", arguments["keep_top"])
    if arguments["rounds"] is not None and arguments["rounds"] < 1:
        raise ConfigError(
            f"tournament: rounds: {arguments['rounds']} is not 1 or more (null: everybody meets everybody)"
        )


async def tournament(
    records: Iterable[Record],
    *,
    llm: LLM,
    rng: random.Random,
    prompt: PromptName = PromptName("grade/tournament"),
    rounds: int | None = 5,
    keep_top: float = 0.5,
    expected: bool = False,
    control: bool = True,
) -> AsyncIterator[Record]:
    """The ``keep_top`` share of the rows that win most, by prompt and first answer; the log-strength is ``strength``.

    Each round pairs rows with as many points that have not met; ``rounds: null`` lets everybody meet everybody. A game
    is two requests, so that n rows cost n requests a round. A game whose verdict cannot be read does not count; a row
    all of whose games were such is dropped with the last of them. A prompt with ``layout: pointwise`` grades each row
    instead, by ``expected`` grades if asked, and the higher grade wins. Holds all rows; ``control`` as in ``grade``.
    """
    check({"rounds": rounds, "keep_top": keep_top})
    rows = list(records)
    table = _Table(rows, llm, prompt, expected)
    if rounds is None:
        await table.play(list(itertools.combinations(table.players, 2)))
    for _ in range(rounds or 0):
        await table.play(swiss_pairs(table.players, table.points, table.met, rng))
    found = strengths(table.games, len(rows))
    selection = Selection("tournament", Limits(share=keep_top), rng if control else None, number="strength")
    for at, record in enumerate(rows):
        judged = trail.link(table.judged(at, record, round(found[at], 4)), table.calls[at])
        for one in selection.take(judged, None if judged.dropped else judged.answers[0].scores["strength"]):
            yield one
    for one in selection.rest():
        yield one
    report("tournament", strength=selection.distribution.deciles())
    findings.report(table.summary())


class _Game(NamedTuple):
    one: int
    two: int
    verdict: judge.Verdict | LLMError
    calls: list[str]


class _Table:
    """Who met whom, and how it ended."""

    def __init__(self, rows: Sequence[Record], llm: LLM, prompt: str, expected: bool) -> None:
        self.players = [at for at, record in enumerate(rows) if record.answers]
        self.games: dict[tuple[int, int], tuple[float, float]] = {}
        self.met: list[set[int]] = [set() for _ in rows]
        self.points = [0.0] * len(rows)
        self.calls: list[list[str]] = [[] for _ in rows]
        self._results: list[list[float]] = [[] for _ in rows]
        self._failures: dict[int, tuple[str, dict[str, Any]]] = {}
        self._consistent = 0
        self._rows, self._llm, self._prompt, self._expected = rows, llm, prompt, expected

    async def play(self, pairs: Sequence[tuple[int, int]]) -> None:
        """One round, all of its games at once."""
        async for game in ordered_map(self._game, pairs, window=self._llm.window):
            for at in (game.one, game.two):
                self.calls[at] += game.calls
            self.met[game.one].add(game.two)
            self.met[game.two].add(game.one)
            self._count(game)

    def judged(self, at: int, record: Record, strength: float) -> Record:
        """The row with its strength, or dropped because it has none."""
        if not record.answers:
            return record.drop("tournament:no_answer")
        results = self._results[at]
        if not results:
            reason, evidence = self._failures.get(at, ("no_game", {}))
            return record.drop(f"tournament:{reason}", **evidence)
        note = f"won {results.count(1.0)}, tied {results.count(0.5)}, lost {results.count(0.0)}"
        best = record.answers[0].scored("strength", strength, note)
        return msgspec.structs.replace(record, answers=(best, *record.answers[1:]))

    def summary(self) -> dict[str, Any]:
        """Games that count, and the share of them in which both orders agreed."""
        games = len(self.games)
        return {"games": games, "consistent": round(self._consistent / games, 4)} if games else {}

    async def _game(self, pair: tuple[int, int]) -> _Game:
        with trail.following() as calls:
            try:
                verdict: judge.Verdict | LLMError = await self._verdict(*(self._rows[at] for at in pair))
            except LLMError as error:
                verdict = error
        return _Game(*pair, verdict, calls)

    async def _verdict(self, one: Record, two: Record) -> judge.Verdict:
        template = self._llm.prompt(self._prompt)
        if template.layout != "pointwise":
            shown = [{"prompt": record.prompt, "answer": record.answer} for record in (one, two)]
            return await judge.both_orders(self._llm, self._prompt, *shown)
        rubric = template.grade or "grade/accuracy"
        asked = (judge.grade(self._llm, rubric, row.prompt, row.answer, self._expected) for row in (one, two))
        first, second = await asyncio.gather(*asked)
        return judge.by_grades(first, second)

    def _count(self, game: _Game) -> None:
        failure = _failure(game.verdict)
        if failure is not None:
            self._failures |= dict.fromkeys((game.one, game.two), failure)
            return
        assert isinstance(game.verdict, judge.Verdict), "an error is a failure"
        points = _POINTS[game.verdict.winner]
        self.games[game.one, game.two] = points
        self._consistent += game.verdict.consistent
        for at, point in zip((game.one, game.two), points, strict=True):
            self.points[at] += point
            self._results[at].append(point)


def _failure(verdict: judge.Verdict | LLMError) -> tuple[str, dict[str, Any]] | None:
    if isinstance(verdict, LLMError):
        return verdict.reason, verdict.evidence
    return ("unparsed", {"raw": list(verdict.replies)}) if verdict.winner == "unparsed" else None
