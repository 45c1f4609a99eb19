from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datagen import document
from datagen.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-5", 2e-5),
        ("1E5", 1e5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-3", -3),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("3.8.1", "3.8.1"),
        ("1e", "1e"),
        ("[1, a]", [1, "a"]),
        ("", None),
        ("012", 10),
    ],
)
def test_values_are_read_as_yaml_1_2_has_them_but_for_octal(text: str, value: Any) -> None:
    read = document.parse_overrides([f"a.b={text}"])["a.b"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1\nb: 2", "line 2: "),
        ("stages:\n  x: {use: a}\n  x: {use: b}\n", "line 3: 'x' stands here twice"),
        ("a: 1\n? [b]\n: 2\n", "line 2: a key is a name"),
        ("\t- a", "line 1: "),
        ("a: !!python/object:os.system {}", "line 1: could not determine a constructor"),
    ],
)
def test_a_malformed_file_is_one_line_with_its_number(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"p\.yaml: not valid YAML: {problem}") as caught:
        document.read(path)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid YAML"):
        document.read(tmp_path / "p.yaml")


@pytest.mark.parametrize("word", ["stages.tasks.count", "=5", "a=[1"])
def test_a_malformed_override_is_an_error(word: str) -> None:
    with pytest.raises(ConfigError, match=r"override|not valid YAML"):
        document.parse_overrides([word])


def test_overrides_change_a_copy() -> None:
    before = {"stages": {"a": {"use": "x"}}}
    after = document.overridden(before, {"stages.a.args.learning_rate": 1e-4, "seed": 3, "llms.t": {"use": "y"}}, "f")
    assert before == {"stages": {"a": {"use": "x"}}}
    assert after == {
        "stages": {"a": {"use": "x", "args": {"learning_rate": 1e-4}}},
        "seed": 3,
        "llms": {"t": {"use": "y"}},
    }


@pytest.mark.parametrize(
    ("dotted", "problem"),
    [
        ("stages.b.count", "no 'stages.b'; there are: a"),
        ("llms.t.model", "no 'llms.t'"),
        ("stages.a.use.x", "'stages.a.use' is no mapping"),
        ("seed.x", "'seed' is no mapping"),
    ],
)
def test_an_override_of_what_is_not_there_is_an_error(dotted: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        document.overridden({"seed": 1, "stages": {"a": {"use": "x"}}}, {dotted: 1}, "f")


def test_dotted_settings_of_one_stage_are_nested_and_numbers_are_numbers() -> None:
    words = ["base=x", "args.learning_rate=5e-4", "args.model.dtype=bfloat16"]
    settings = {"base": "x", "args": {"learning_rate": 5e-4, "model": {"dtype": "bfloat16"}}}
    assert document.parse_settings(words) == settings
    with pytest.raises(ConfigError, match=r"setting base\.x: 'base' is no mapping"):
        document.parse_settings(["base=x", "base.x=1"])
