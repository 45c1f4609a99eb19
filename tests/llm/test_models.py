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


@pytest.mark.parametrize("name", ["no-such-organisation/model", "no such name"])
def test_a_hub_name_is_told_at_once_where_the_hub_cannot_be_reached(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="comes with transformers")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=f"^model {name}: no such folder, nor is it stored on this machine, and"):
        models.check_at_hand(name)
    models.check_at_hand(str(tmp_path))
