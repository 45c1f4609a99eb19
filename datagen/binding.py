"""A stage's arguments as its function wants them: LLMs open, references resolved to rows and folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError
from datagen.llm import models
from datagen.llm.budget import Budget
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.team import Team, fallback, pool
from datagen.pipeline import Node, entries
from datagen.plugins import check_ready, load_backend, open_backend, parameters
from datagen.rng import derive
from datagen.store import Store


class Binding:
    """The LLMs of one run, opened when a stage first wants them, and the journal that they share."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._journal: Journal | None = None
        self._budget: Budget | None = None
        self._open: dict[str, LLM] = {}

    def check_ready(self, nodes: Iterable[Node]) -> None:
        """Raises ``ConfigError`` where an LLM of a stage to come lacks what it needs, such as a key."""
        for node in nodes:
            for entry in () if self._store.is_done(node) else entries(node, self._store.pipeline.llms):
                try:
                    check_ready(entry.use, dict(entry.arguments))
                except ConfigError as error:
                    raise ConfigError(f"llms.{entry.name}: {error}") from error

    def llms(self, node: Node) -> list[LLM]:
        """The LLMs that a stage asks, each once; the members of a pool or fallback in its place."""
        return [self._llm(entry.name) for entry in entries(node, self._store.pipeline.llms)]

    def arguments(self, node: Node) -> dict[str, Any]:
        """Everything that the stage's function takes by keyword."""
        resolve: dict[str, Callable[[Any], Any]] = {
            "llm": self._llm_or_team,
            "rows": self._store.rows,
            "named_rows": lambda named: {name: self._store.rows(one) for name, one in named.items()},
            "path": Path,
            "model": lambda name: models.resolve(self._store.model(name)),
        }
        arguments: dict[str, Any] = {}
        for name, parameter in node.stage.parameters.items():
            value = node.arguments.get(name)
            if parameter.kind == "rng":
                value = derive(self._store.pipeline.seed, node.name)
            elif parameter.kind in resolve and value is not None:
                value = resolve[parameter.kind](value)
            arguments[name] = value
        return arguments

    async def close_llms(self) -> None:
        """Free what the LLMs hold; the next stage that wants one opens it again."""
        while self._open:
            await self._open.popitem()[1].close()

    async def close(self) -> None:
        """Close LLMs and journal."""
        await self.close_llms()
        if self._journal is not None:
            self._journal.close()

    def _llm_or_team(self, name: str) -> LLM | Team:
        entry = self._store.pipeline.llms[name]
        if not entry.members:
            return self._llm(name)
        members = {member: self._llm(member) for member in entry.members}
        seed = self._store.pipeline.seed
        order = pool(entry.members, members, seed) if entry.use == "pool" else fallback(members)
        return Team(name, list(members.values()), order)

    def _llm(self, name: str) -> LLM:
        if name not in self._open:
            entry = self._store.pipeline.llms[name]
            arguments = dict(entry.arguments)
            for key, parameter in parameters(load_backend(entry.use)).items():
                if parameter.kind == "model" and arguments[key] is not None:
                    arguments[key] = self._store.model(arguments[key])
            journal = self._opened_journal()
            backend = open_backend(entry.use, arguments)
            backend.model = str(entry.arguments.get("model") or backend.model)
            self._open[name] = LLM(
                backend,
                journal,
                pack=entry.prompts,
                sampling=dict(entry.sampling),
                seed=self._store.pipeline.seed,
                price=entry.price,
                budget=self._budget,
            )
        return self._open[name]

    def _opened_journal(self) -> Journal:
        """The journal, and with it the budget: what was spent before is there."""
        if self._journal is None:
            pipeline = self._store.pipeline
            self._journal = Journal(self._store.root / "journal.sqlite", pipeline.sample_of or pipeline.name)
            self._budget = Budget(pipeline.budget, self._journal.spent()) if pipeline.budget else None
        return self._journal
