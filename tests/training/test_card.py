from collections import Counter
from pathlib import Path

from datagen.training import card
from datagen.training.rows import Written
from datagen.training.sft import METHOD


def make(folder: Path, base: str, where: str, **spec: object) -> str:
    folder.mkdir(exist_ok=True)
    written = Written(rows=1234, digest="abc", sources=Counter({"self_instruct": 1000, "a|b\n# x": 234}))
    settings = {"learning_rate": 1e-3}
    metrics = {"train_loss": 1.5, "steps": 10, "eval_loss": None}
    given = {"seed": 7, "peft": None, **spec}
    card.write(
        folder, method=METHOD, base=base, folder=where, spec=given, written=written, metrics=metrics, settings=settings
    )
    return (folder / "README.md").read_text()


def test_a_card_states_data_settings_and_metrics(tmp_path: Path) -> None:
    text = make(tmp_path / "m", "Qwen/Qwen3-0.6B-Base", "Qwen/Qwen3-0.6B-Base", peft={"r": 8})
    for expected in ("1,234 rows", "`abc`", "| self_instruct | 1,000 |", "| train_loss | 1.5 |", '"r": 8', "Seed 7"):
        assert expected in text
    assert "Wind tunnel" not in text
    assert "eval_loss" not in text


def test_a_source_name_cannot_break_out_of_its_cell(tmp_path: Path) -> None:
    assert "| a\\|b # x | 234 |" in make(tmp_path / "m", "b", "b")


def test_a_descendant_of_tiny_base_says_that_it_is_a_wind_tunnel(tmp_path: Path) -> None:
    first = tmp_path / "sft"
    assert "Wind tunnel" in make(first, "tiny-base", "/x/tiny/models/base")
    assert "Wind tunnel" in make(tmp_path / "dpo", str(first), str(first))


def test_a_card_does_not_tell_where_things_lie_on_this_machine(tmp_path: Path) -> None:
    assert card.display_name("/home/someone/runs/sft-1234/model") == "sft-1234/model"
    assert card.display_name("/usr/lib/datagen/tiny/models/base") == "tiny-base"
    assert str(tmp_path) not in make(tmp_path / "m", str(tmp_path / "base"), str(tmp_path / "base"))
