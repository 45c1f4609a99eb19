from __future__ import annotations

import datagen


def test_the_public_names_are_few_and_these() -> None:
    assert datagen.__all__ == [
        "Answer",
        "ConfigError",
        "DataError",
        "DatagenError",
        "LLMError",
        "Message",
        "Record",
        "StageError",
        "load",
        "open_llm",
        "read",
        "run",
    ]
    assert all(hasattr(datagen, name) for name in datagen.__all__)


def test_every_error_is_a_datagen_error() -> None:
    for name in ("ConfigError", "DataError", "StageError", "LLMError"):
        assert issubclass(getattr(datagen, name), datagen.DatagenError)
