"""Being here puts this folder on the import path, so that pipelines in tests can say ``use: toy:numbers``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import datagen
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.scripted import Function, scripted


@pytest.fixture
def llm(tmp_path: Path) -> Iterator[Callable[[Function], LLM]]:
    """Makes an LLM that answers by a function."""
    journals: list[Journal] = []

    def make(function: Function) -> LLM:
        journals.append(Journal(tmp_path / f"journal-{len(journals)}.sqlite"))
        return LLM(scripted(function=function), journals[-1])

    yield make
    for journal in journals:
        journal.close()


@pytest.fixture
def run_toy(tmp_path: Path) -> Callable[..., Any]:
    """Runs a pipeline of toy stages (see ``toy.pipeline``) under ``tmp_path / "runs"``."""
    import toy

    def run(overrides: dict[str, Any] | None = None, *, root: str = "runs", **settings: Any) -> Any:
        document = toy.pipeline(log=str(tmp_path / "requests"), **settings)
        return datagen.run(document, overrides, root=tmp_path / root)

    return run
