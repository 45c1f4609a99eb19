from __future__ import annotations

from pathlib import Path

import pytest

from datagen.errors import ConfigError
from datagen.llm import models


def test_a_folder_becomes_absolute_and_a_hub_name_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert models.resolve("mine") == str(tmp_path / "mine")
    assert models.resolve("Qwen/Qwen3-0.6B") == "Qwen/Qwen3-0.6B"


@pytest.mark.parametrize("name", ["./nothing", "/no/such/model", "runs/a/model"])
def test_a_path_to_nothing_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        models.resolve(name)


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config\.json"):
        models.resolve(str(tmp_path))


def test_a_misspelt_shipped_model_is_not_looked_for_on_the_hub() -> None:
    with pytest.raises(ConfigError, match="did you mean tiny-base"):
        models.resolve("tiny-bse")
    assert models.resolve("someone/tiny-bse") == "someone/tiny-bse"
