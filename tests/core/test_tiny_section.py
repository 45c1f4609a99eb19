"""``--tiny``: a file's own settings for the shipped models and small sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toy
import yaml

import datagen
from datagen import config
from datagen.cli import main
from datagen.errors import ConfigError
from datagen.pipeline import Pipeline


def document(**tiny: Any) -> dict[str, Any]:
    return {**toy.pipeline(log=""), "tiny": {key.replace("__", "."): value for key, value in tiny.items()}}


def argument(pipeline: Pipeline, stage: str, name: str) -> Any:
    node = pipeline.node(stage)
    assert node is not None
    return node.arguments[name]


def test_the_section_is_laid_over_the_file_under_the_command_line_and_named() -> None:
    given = document(stages__seeds__n=3, stages__fewer__k=2, stages__more={"use": "toy:every", "k": 9})
    tiny = config.build(given, {"stages.fewer.k": 5}, tiny=True)
    assert tiny.name == "toy-tiny"
    assert [argument(tiny, "seeds", "n"), argument(tiny, "fewer", "k"), argument(tiny, "more", "k")] == [3, 5, 9]
    assert "tiny" not in tiny.resolved
    assert config.build(given, {"name": "mine"}, tiny=True).name == "mine"


def test_without_the_flag_the_section_does_nothing() -> None:
    plain = config.build(document(stages__seeds__n=3))
    assert plain.name == "toy"
    assert argument(plain, "seeds", "n") == 20
    assert plain.resolved == toy.pipeline(log="")


def test_the_section_itself_is_not_for_the_command_line() -> None:
    with pytest.raises(ConfigError, match="give the setting itself"):
        config.build(document(), {"tiny.stages.seeds.n": 4}, tiny=True)


def test_a_stage_that_is_replaced_keeps_its_place() -> None:
    tiny = config.build(document(stages__seeds={"use": "toy:numbers", "n": 2}), tiny=True)
    assert [node.name for node in tiny.nodes] == ["seeds", "answers", "fewer", "graded"]


@pytest.mark.parametrize("section", [None, [], 3, {3: 4}])
def test_a_section_that_is_missing_or_no_mapping_is_said_with_what_it_looks_like(section: Any) -> None:
    given = {**toy.pipeline(log=""), "tiny": section} if section is not None else toy.pipeline(log="")
    with pytest.raises(ConfigError, match=r"tiny.*stages\.tasks\.count: 500"):
        config.build(given, tiny=True)


@pytest.mark.parametrize(
    ("tiny", "wrong"),
    [
        ({"stages.sedes.n": 3}, "no 'stages.sedes'"),
        ({"stages.seeds.m": 3}, "unknown key 'm'"),
        ({"llms.teacher": {"use": "nothing"}}, "nothing"),
    ],
)
def test_check_finds_a_mistake_in_the_section_without_the_flag_and_run_does_not_mind_it(
    tiny: dict[str, Any], wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump({**toy.pipeline(log=""), "tiny": tiny}, sort_keys=False))
    assert main(["check", str(path), "--root", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert wrong in error
    assert "(tiny)" in error
    assert main(["run", str(path), "-q", "--root", str(tmp_path)]) == 0


@pytest.mark.parametrize("command", ["run", "check", "preview", "estimate"])
def test_every_command_on_a_file_takes_the_flag(command: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(document(stages__seeds__n=5), sort_keys=False))
    assert main([command, str(path), "--tiny", "-q", "--root", str(tmp_path)]) == 0
    if command in ("run", "preview"):
        assert (tmp_path / ("toy-tiny" if command == "run" else "toy-tiny-preview") / "run.json").is_file()


def test_from_python(tmp_path: Path) -> None:
    outcome = datagen.run(document(stages__seeds__n=5), root=tmp_path, tiny=True)
    assert outcome.folder.name == "toy-tiny"
    assert outcome.results["seeds"].kept == 5
