from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datagen.errors import LLMError
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.scripted import Function, scripted


@pytest.fixture
def make_llm(tmp_path: Path) -> Iterator[Callable[..., LLM]]:
    """Opens scripted LLMs that share one journal: from a function, or a table from last user turns to answers."""
    journal = Journal(tmp_path / "journal.sqlite")

    def make(script: Function | dict[str, str | LLMError], *, name: str = "model") -> LLM:
        def look_up(messages, sampling, sample):  # type: ignore[no-untyped-def]
            assert sampling.temperature == 0
            return script[messages[-1].content]  # type: ignore[index]

        function = look_up if isinstance(script, dict) else script
        function.__qualname__ = name
        return LLM(scripted(function=function, model=name), journal)

    yield make
    journal.close()
