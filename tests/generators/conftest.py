from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.scripted import Function, scripted


@pytest.fixture
def llm(tmp_path: Path) -> Iterator[Callable[[Function], LLM]]:
    """An LLM that replies by a function, with a journal of its own."""
    journals: list[Journal] = []

    def opened(function: Function) -> LLM:
        journals.append(Journal(tmp_path / f"journal-{len(journals)}.sqlite"))
        return LLM(scripted(function=function), journals[-1])

    yield opened
    for journal in journals:
        journal.close()
