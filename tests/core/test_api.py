from __future__ import annotations

from pathlib import Path

import pytest

import datagen


def test_read_takes_any_known_format(tmp_path: Path) -> None:
    path = tmp_path / "alpaca.json"
    path.write_text('[{"instruction": "Add.", "input": "1 1", "output": "2"}]')
    (record,) = datagen.read(path)
    assert (record.instruction, record.answer) == ("Add.\n1 1", "2")


def test_a_pipeline_is_loaded_with_overrides_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("stages: {a: {use: 'toy:numbers'}}")
    pipeline = datagen.load(tmp_path / "p.yaml", {"stages.a.n": 3})
    assert pipeline.nodes[0].arguments["n"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["p.yaml"]


async def test_an_llm_can_be_opened_for_a_stage_function(tmp_path: Path) -> None:
    from datagen.generators.answer import answer
    from datagen.record import instruction

    llm = datagen.open_llm(use="toy:backend", concurrency=2, journal=tmp_path / "j.sqlite", sampling={"max_tokens": 9})
    (record,) = await answer(instruction("Say 1"), llm=llm)
    assert record.answers[0].model == "toy"
    await llm.close()
    llm.journal.close()


def test_open_llm_checks_its_arguments() -> None:
    with pytest.raises(datagen.ConfigError, match=r"open_llm\(toy:backend\): unknown key 'x'"):
        datagen.open_llm(use="toy:backend", x=1)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        datagen.nothing  # noqa: B018
