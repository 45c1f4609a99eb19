"""The training script: a minute run saves a whole folder, the second stage goes on from it, and both losses fall."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from datagen.tiny import corpus, train
from datagen.tiny.generate import Model
from datagen.tiny.muon import orthogonal
from datagen.tiny.ranks import Ranks
from datagen.tiny.train import Run


def _run(which: str, out: Path, *, refine: bool = False) -> Run:
    run = Run(which, seed=0, minutes=60, out=out, chunks=1, refine=refine, ranks=Ranks(0, 1))
    run.go()
    return run


@pytest.mark.slow
def test_a_short_run_saves_a_model_that_a_second_stage_goes_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(corpus, "DOCS_PER_CHUNK", 60)
    monkeypatch.setattr(train, "OWN_TASKS", 9)
    first = _run("teacher", tmp_path / "teacher")
    assert isinstance(Model(tmp_path / "teacher").reply([[]], max_tokens=2)[0], str)
    second = _run("teacher", tmp_path / "teacher", refine=True)
    assert second.own
    assert second.step > 0
    assert first.vocabulary.get_vocab() == second.vocabulary.get_vocab()
    assert "own answers" in capsys.readouterr().out


def test_the_loss_falls_on_the_bases_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(corpus, "DOCS_PER_CHUNK", 60)
    run = Run("base", seed=0, minutes=60, out=tmp_path / "base", chunks=1, refine=False, ranks=Ranks(0, 1))
    batch = corpus.draw_chunk(run.vocabulary, "base", 0, 0, 0.0)[0]
    losses = [run.update(batch, 0.0)[0] for _ in range(12)]
    assert losses[-1] < losses[0]


def test_muons_update_has_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((24, 64), (64, 24)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape), steps=5))
        assert 0.5 < values.min() <= values.max() < 1.5
