"""The filters that a program can decide: code_runs, arithmetic, json_valid, constraints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datagen.errors import ConfigError
from datagen.filters.arithmetic import arithmetic
from datagen.filters.code_runs import check as check_code_runs
from datagen.filters.code_runs import code_runs
from datagen.filters.constraints import constraints
from datagen.filters.json_valid import json_valid
from datagen.record import Record, encode, instruction
from datagen.text import sandbox
from datagen.text.code_blocks import python_code, syntax_error


def row(answer: str, /, **labels: Any) -> Record:
    return instruction("Do it.", answer, labels=labels)


def fenced(code: str, mark: str = "python", **labels: Any) -> Record:
    return row(f"Here it is:\n```{mark}\n{code}\n```\nDone.", **labels)


def reasons(records: Any) -> list[str | None]:
    return [record.dropped.reason if record.dropped else None for record in records]


def evidence(record: Record) -> dict[str, Any]:
    assert record.dropped is not None
    return record.dropped.evidence


def run(rows: list[Record], **options: Any) -> list[Record]:
    return list(code_runs(rows, unguarded=sandbox.why_not_shut_in() is not None, concurrency=2, **options))


def test_code_that_does_not_compile_is_dropped_and_nothing_runs_unless_asked(tmp_path: Path) -> None:
    rows = [fenced("print(1)"), fenced("print(1"), fenced(f"open({str(tmp_path / 'x')!r}, 'w')"), row("No code.")]
    found = run(rows)
    assert reasons(found) == [None, "code_runs:syntax", None, "code_runs:no_code"]
    assert evidence(found[1])["error"] == "line 1: '(' was never closed"
    assert list(tmp_path.iterdir()) == []
    assert reasons(run(rows[3:], keep_without=True)) == [None]


def test_code_is_run_and_the_reason_is_typed() -> None:
    rows = [
        fenced("import sys; sys.exit(0)"),
        fenced("1 / 0"),
        fenced("x = bytearray(4 << 30)"),
        fenced("while True: pass"),
        fenced("assert 1 + 1 == 3, 'sum'"),
        fenced("print('ok')"),
    ]
    found = run(rows, mode="runs", cpu_s=1, memory_mib=512)
    failed = ["error", "memory", "timeout", "error"]
    assert reasons(found) == [None, *(f"code_runs:{why}" for why in failed), None]
    assert evidence(found[1])["error"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in evidence(found[1])["stderr"]
    assert evidence(found[4])["error"] == "AssertionError: sum"
    assert [record.id for record in found] == [record.id for record in rows]


def test_code_passes_the_tests_of_its_row_or_is_dropped() -> None:
    add = "def add(a, b):\n    return a + b\n\nif __name__ == '__main__':\n    print(input())"
    rows = [
        fenced(add, tests="assert add(1, 2) == 3"),
        fenced(add, tests=["assert add(1, 2) == 3", "assert add(1, 1) == 3"]),
        fenced("import sys; sys.exit(0)", tests="assert False"),
        fenced(add),
        fenced(add, tests="assert ("),
        fenced(add, tests=[1]),
    ]
    found = run(rows, mode="passes")
    assert reasons(found) == [
        None,
        "code_runs:error",
        "code_runs:error",
        "code_runs:no_tests",
        "code_runs:bad_tests",
        "code_runs:no_tests",
    ]
    assert evidence(found[2])["error"] == "it left before its tests"


def test_code_runs_refuses_limits_that_are_none_and_a_machine_without_walls(monkeypatch: pytest.MonkeyPatch) -> None:
    usual: dict[str, Any] = {"mode": "runs", "cpu_s": 1, "wall_s": 1.0, "memory_mib": 99, "concurrency": None}
    with pytest.raises(ConfigError, match="cpu_s: 0 is no limit"):
        check_code_runs({**usual, "cpu_s": 0, "unguarded": False})
    monkeypatch.setattr("datagen.filters.code_runs.why_not_shut_in", lambda: "Operation not permitted")
    with pytest.raises(ConfigError, match=r"\(Operation not permitted\).*unguarded: true"):
        check_code_runs({**usual, "unguarded": False})
    found = list(code_runs([fenced("1 / 0"), fenced("x = 1")], mode="runs", unguarded=True))
    assert reasons(found) == ["code_runs:error", None]
    assert evidence(found[0])["unguarded"] == ["network", "files", "processes"]


def test_the_python_of_an_answer_is_its_marked_blocks_else_its_unmarked_ones() -> None:
    assert python_code("```python\na\n```\n```\nout\n```\n```py\nb\n```") == "a\n\nb\n"
    assert python_code("```\na\n```\nand ```b```") == "a\n"
    assert python_code("```js\na\n```") is None
    assert python_code("~~~python\na") == "a"
    assert python_code("```python\n>>> 1\n1\n```") is None
    assert python_code("prose alone") is None
    assert reasons(run([row("x = 1")], of="answer")) == [None]


@pytest.mark.parametrize(
    "code", ["(" * 99_999, "-" * 99_999 + "1", "a" + ".b" * 60_000, "a\0b", "x = '\ud800'", "x" * 300_000]
)
def test_code_that_would_break_a_compiler_is_no_code(code: str) -> None:
    assert syntax_error(code)


def test_arithmetic_drops_wrong_equations_and_wrong_final_answers() -> None:
    rows = [
        row("5 * 3 = <<5*3=15>>15\n#### 15", answer="15"),
        row("5 * 3 = 16", answer="16"),
        row("It is 14.", answer=15),
        row("Nothing.", answer="15"),
        row("It is 14."),
    ]
    found = list(arithmetic(rows, reference="answer"))
    wrong = ["wrong_equation", "final_answer", "no_final_answer"]
    assert reasons(found) == [None, *(f"arithmetic:{why}" for why in wrong), None]
    assert evidence(found[1]) == {"wrong": [{"equation": "5 * 3 = 16", "comes_to": "15"}], "count": 1}
    assert evidence(found[2]) == {"found": "14", "expected": 15}
    assert reasons(arithmetic(rows)) == [None, "arithmetic:wrong_equation", None, None, None]
    assert reasons(arithmetic(rows[1:2], equations=False)) == [None]


JSON_ANSWERS = {
    '{"a": 1}': None,
    "3": None,
    'Here:\n```json\n{"a": 1}\n```': None,
    "": "no_json",
    "Sure!": "not_json",
    "{'a': 1}": "not_json",
    '{"a": NaN}': "not_json",
    '{"a": 1, "a": 2}': "not_json",
    "[" * 99_999: "not_json",
    "```\n1\n```\n```\n2\n```": "several_blocks",
    "9" * 5000: None,
}


def test_an_answer_is_json_or_dropped_with_where_it_breaks() -> None:
    found = list(json_valid([row(answer) for answer in JSON_ANSWERS]))
    assert reasons(found) == [why and f"json_valid:{why}" for why in JSON_ANSWERS.values()]
    assert evidence(found[5])["error"].startswith("line 1, column 2: Expecting property name")
    assert reasons(json_valid([row("{}"), row("```\n{}\n```")], of="fenced")) == ["json_valid:no_json", None]
    assert reasons(json_valid([row("```\n{}\n```")], of="answer")) == ["json_valid:not_json"]
    assert reasons(json_valid([instruction("Do it.")])) == ["json_valid:no_json"]


def test_json_has_the_keys_and_fits_the_schema(tmp_path: Path) -> None:
    pytest.importorskip("jsonschema")
    rows = [row('{"a": 1}'), row('{"b": 1}'), row("[1]"), row('{"a": "x"}')]
    assert reasons(json_valid(rows, required=("a",))) == [None, *["json_valid:missing_keys"] * 2, None]
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"type": "object", "properties": {"a": {"type": "integer"}}}))
    found = list(json_valid(rows, schema=path))
    assert reasons(found) == [None, None, *["json_valid:schema"] * 2]
    assert evidence(found[3]) == {"error": "'x' is not of type 'integer'", "at": "$.a"}
    path.write_text('{"type": "thing"}')
    with pytest.raises(ConfigError, match=r"is no JSON schema: 'thing'"):
        list(json_valid(rows, schema=path))
    path.write_text('{"$ref": "http://localhost:9/other.json"}')
    with pytest.raises(ConfigError, match="refers to another document"):
        list(json_valid(rows, schema=path))


def test_constraints_are_read_from_the_rows_own_labels() -> None:
    asked = {"instruction_id_list": ["punctuation:no_comma", "startend:quotation"], "kwargs": [{}, {}]}
    rows = [row('"Yes."', **asked), row("Yes, no.", **asked), row("Yes, no."), row("x", instruction_id_list=["a:b"])]
    found = list(constraints(rows))
    assert reasons(found) == [None, "constraints:not_followed", None, "constraints:unreadable"]
    assert [one["id"] for one in evidence(found[1])["failed"]] == asked["instruction_id_list"]
    assert evidence(found[1])["of"] == 2
    assert reasons(constraints([row('Sure:\n"Yes."', **asked)], strictness="loose")) == [None]
    assert [encode(record) for record in found] == [encode(record) for record in constraints(rows)]
