from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from datagen import serve
from datagen.cli import main
from datagen.errors import ConfigError
from datagen.llm import models


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The packages that are there."""
    names: set[str] = set()
    monkeypatch.setattr(serve, "_is_installed", names.__contains__)
    return names


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "runs" / "quickstart" / "sft-1" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    stages = {"sft": "sft-1", "rows": "rows-2"}
    (tmp_path / "runs" / "quickstart" / "run.json").write_text(json.dumps({"stages": stages}))
    return model


def test_a_model_is_a_stage_of_a_run_or_any_models_name(trained: Path) -> None:
    assert Path(serve.find_model("quickstart.sft", Path("runs"))).resolve() == trained
    assert serve.find_model("tiny-teacher", Path("runs")) == models.resolve("tiny-teacher")
    assert serve.find_model("Qwen/Qwen3-0.6B", Path("runs")) == "Qwen/Qwen3-0.6B"
    with pytest.raises(ConfigError, match="no stage 'dpo'; there are: sft, rows"):
        serve.find_model("quickstart.dpo", Path("runs"))
    with pytest.raises(ConfigError, match="rows has made no model"):
        serve.find_model("quickstart.rows", Path("runs"))


def test_vllm_serves_where_it_is_installed_and_transformers_elsewhere(installed: set[str]) -> None:
    with pytest.raises(ConfigError, match="no server is installed: pip install vllm"):
        serve.command("m", "name", host="127.0.0.1", port=1, extra=[])
    installed |= set(serve._TRANSFORMERS_NEEDS)
    server, words = serve.command("m", "name", host="127.0.0.1", port=1, extra=["--x"])
    assert (server, words[3:]) == ("transformers", ["serve", "m", "--host", "127.0.0.1", "--port", "1", "--x"])
    installed.add("vllm")
    server, words = serve.command("m", "name", host="127.0.0.1", port=1, extra=[])
    assert (server, words[3:7]) == ("vLLM", ["--model", "m", "--served-model-name", "name"])


def test_an_empty_folder_of_that_name_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "not_vllm").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not serve._is_installed("not_vllm")
    assert serve._is_installed("json")


def test_the_command_becomes_the_server_and_says_how_to_use_it(
    trained: Path, installed: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed.add("vllm")
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, words: became.append([path, *words]))
    main(["serve", "quickstart.sft", "--port", "81", "--server-args=--dtype float32"])
    assert became[0][:2] == [sys.executable, sys.executable]
    assert became[0][-4:] == ["--port", "81", "--dtype", "float32"]
    assert "{use: openai, base_url: 'http://127.0.0.1:81/v1', model: quickstart.sft}" in capsys.readouterr().out
