from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import toy

from datagen import config
from datagen.errors import ConfigError
from datagen.llm.budget import Limits
from datagen.pipeline import Input, Pipeline
from datagen.record import encode, instruction


def built(stages: dict[str, Any], overrides: dict[str, Any] | None = None, **top: Any) -> Pipeline:
    llms = top.pop("llms", {"teacher": {"use": "toy:backend"}})
    return config.build({"name": "toy", "llms": llms, "stages": stages, **top}, overrides)


NUMBERS = {"use": "toy:numbers"}
ANSWERS = {"use": "toy:answer", "llm": "teacher"}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(encode(instruction(f"Say {n}", "x")) + b"\n" for n in range(4)))
    return path


def test_each_stage_reads_the_one_above_unless_told() -> None:
    stages = {"a": NUMBERS, "b": {"use": "toy:every"}, "c": {"use": "toy:every", "from": "a"}}
    pipeline = built({**stages, "d": {"use": "toy:every", "from": ["b", "c"]}})
    assert [node.inputs for node in pipeline.nodes] == [
        (),
        (Input("a"),),
        (Input("a"),),
        (Input("b"), Input("c")),
    ]


def test_a_job_makes_no_rows_so_the_stage_below_reads_the_one_above_it() -> None:
    job = {"use": "toy:train", "base": "some/model"}
    pipeline = built({"a": NUMBERS, "fit": job, "b": {"use": "toy:every"}})
    assert pipeline.nodes[2].inputs == (Input("a"),)


def test_a_part_of_a_stage_can_be_read() -> None:
    stages = {"a": NUMBERS, "h": {"use": "toy:halves"}, "b": {"use": "toy:every", "from": "h.even"}}
    assert built(stages).nodes[2].inputs == (Input("h", "even"),)


def test_shares_are_named_as_the_sources_are(rows: Path) -> None:
    given = {"a": 0.7, "h.even": 0.1, str(rows): 0.2}
    pipeline = built({"a": NUMBERS, "h": {"use": "toy:halves"}, "m": {"use": "toy:blend", "from": given}})
    node = pipeline.node("m")
    assert node is not None
    assert node.arguments["shares"] == {"a": 0.7, "h.even": 0.1, "rows": 0.2}
    assert [str(one) for one in node.inputs] == list(node.arguments["shares"])


def test_a_file_in_place_of_a_stage_becomes_a_source_once(rows: Path) -> None:
    second = rows.with_name("rows 2.jsonl")
    second.write_bytes(rows.read_bytes())
    pipeline = built({
        "a": {"use": "toy:every", "from": str(rows)},
        "b": {"use": "toy:every", "from": [str(rows), str(second)]},
        "rows": {"use": "toy:every"},
    })  # fmt: skip
    assert [node.name for node in pipeline.nodes] == ["rows1", "a", "rows_2", "b", "rows"]
    assert pipeline.nodes[3].inputs == (Input("rows1"), Input("rows_2"))


def test_files_are_found_beside_the_pipeline_file(rows: Path) -> None:
    path = rows.with_name("p.yaml")
    path.write_text("stages: {a: {use: sources.jsonl, path: rows.jsonl}}")
    pipeline = config.load(path)
    assert pipeline.name == "p"
    assert pipeline.nodes[0].arguments["path"] == str(rows)


def test_a_trained_stage_can_be_asked_and_trained_further() -> None:
    pipeline = built({
        "a": NUMBERS,
        "fit": {"use": "toy:train", "base": "some/model"},
        "more": {"use": "toy:train", "base": "fit", "from": "a"},
        "score": {"use": "toy:measure", "llm": "more", "from": "a"},
    })  # fmt: skip
    assert pipeline.nodes[2].arguments["base"] == "fit"
    assert pipeline.llms["more"].arguments["model"] == "more"


def test_an_llm_may_be_written_inline() -> None:
    inline = {"use": "toy:backend", "concurrency": 2, "sampling": {"temperature": 0}}
    pipeline = built({"a": NUMBERS, "b": {"use": "toy:answer", "llm": inline}}, llms={})
    assert pipeline.nodes[1].arguments["llm"] == "b-llm"
    assert pipeline.llms["b-llm"].sampling == {"temperature": 0}


def test_defaults_give_way_to_the_file_and_the_file_to_the_command_line() -> None:
    def k(raw: dict[str, Any], overrides: dict[str, Any]) -> Any:
        return built({"a": NUMBERS, "b": {"use": "toy:every", **raw}}, overrides).nodes[1].arguments["k"]

    assert k({}, {}) == 3
    assert k({"k": 5}, {}) == 5
    assert k({"k": 5}, {"stages.b.k": 7}) == 7


def test_the_resolved_file_holds_the_overrides_and_the_given_one_is_untouched() -> None:
    document = toy.pipeline(log="")
    before = copy.deepcopy(document)
    pipeline = config.build(document, {"stages.seeds.n": 3, "seed": 9})
    assert document == before
    assert pipeline.seed == pipeline.resolved["seed"] == 9
    assert pipeline.resolved["stages"]["seeds"]["n"] == 3


def test_a_prompt_is_named_in_full_by_its_last_part_or_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.j2").write_text("@@ user\nHi\n")
    stages = {"a": NUMBERS, "b": {**ANSWERS, "use": "generators.answer", "prompt": "answer"}}
    assert built(stages).nodes[1].arguments["prompt"] == "answer/answer"
    stages["b"]["prompt"] = "mine.j2"
    document = {"llms": {"teacher": {"use": "toy:backend"}}, "stages": stages}
    assert config.build(document, base=tmp_path).nodes[1].arguments["prompt"] == str(tmp_path / "mine.j2")


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, "needs a mapping with 'stages'"),
        ([1], "needs a mapping with 'stages'"),
        ({"stages": {}}, "needs a mapping with 'stages'"),
        ({"stages": ["a"]}, "stages: needs a mapping"),
        ({"stages": {"a": NUMBERS}, "llms": ["t"]}, "llms: needs a mapping"),
        ({"stagez": {"a": NUMBERS}}, "unknown key 'stagez'; allowed: name, seed, budget, llms, stages"),
        ({"stages": {"a": NUMBERS}, "seed": "x"}, "seed must be a whole number, not 'x'"),
        ({"stages": {"a": NUMBERS}, "name": "../x"}, "name '../x': begin with a letter"),
        ({"stages": {"a": NUMBERS}, "llms": {"t": "gpt"}}, "llms.t: needs a mapping with 'use'"),
        ({"stages": {"a": NUMBERS}, "llms": {"t": {"use": "gpt"}}}, "llms.t: no LLM back end 'gpt'"),
        ({"stages": {"a": NUMBERS}, "llms": {"t": {"use": ["x"]}}}, "llms.t: needs a mapping with 'use'"),
        ({"stages": {"a": NUMBERS}, "llms": {"t": {"use": "openai"}}}, "llms.t: needs 'model'"),
        (
            {"stages": {"a": NUMBERS}, "llms": {"t": {"use": "toy:backend", "sampling": {"temp": 1}}}},
            "llms.t: sampling: .*temp",
        ),
        (
            {"stages": {"a": NUMBERS}, "llms": {"t": {"use": "toy:backend", "prompts": "none/such"}}},
            "llms.t: prompts: no file 'none/such'",
        ),
        (
            {"stages": {"a": NUMBERS}, "llms": {"t": {"use": "scripted", "path": "none.jsonl"}}},
            "llms.t: path: no file 'none.jsonl'",
        ),
    ],
)
def test_a_wrong_top_level_is_one_line_that_says_where(document: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"^pipeline: .*{problem}"):
        config.build(document)


@pytest.mark.parametrize(
    ("name", "raw", "problem"),
    [
        ("b", "filters.length", "needs a mapping with 'use'"),
        ("b", {"llm": "teacher"}, "needs a mapping with 'use'"),
        ("b", {"use": "filters.lenght"}, "did you mean 'filters.length'"),
        ("b", {"use": "toy:every", "kk": 1}, "unknown key 'kk'.*allowed: k"),
        ("b", {"use": "toy:every", "k": "x"}, "k: 'x'"),
        ("b", {"use": "toy:every", "from": "z"}, r"from: 'z' is neither a stage above \(a\) nor a file"),
        ("b", {"use": "toy:every", "from": "c"}, "from: 'c'.*that stage stands below"),
        ("b", {"use": "toy:every", "from": []}, "from: names no rows"),
        ("b", {"use": "toy:every", "from": {"a": 1}}, "'from' with shares is for mixtures"),
        ("b", {"use": "toy:numbers", "from": "a"}, "takes no 'from'"),
        ("b", {"use": "toy:answer"}, "needs 'llm'"),
        ("b", {"use": "toy:answer", "llm": "techer"}, "llm: no LLM 'techer' .did you mean 'teacher'"),
        ("b", {"use": "toy:answer", "llm": "a"}, "llm: no LLM 'a'"),
        ("b", {"use": "toy:answer", "llm": {"use": "toy:backend", "x": 1}}, "llm: unknown key 'x'"),
        ("b", {"use": "toy:train", "base": "a"}, "base: 'a' is a stage that trains no model"),
        ("b", {"use": "toy:train", "base": "c"}, "base: 'c'.*that stage stands below"),
        ("b", {"use": "toy:answer", "llm": "student"}, "LLM student: 'c'.*that stage stands below"),
        ("b", {"use": "sources.jsonl", "path": "none.jsonl"}, "path: no file 'none.jsonl' in "),
        ("b", {"use": "toy:measure", "llm": "teacher", "against": "none"}, "against: 'none' is neither"),
        (
            "b",
            {"use": "generators.answer", "llm": "teacher", "prompt": "typo"},
            "prompt: prompt answer/typo: not found",
        ),
        ("teacher", {"use": "toy:every"}, "not a usable name"),
        ("b c", {"use": "toy:every"}, "not a usable name"),
        ("../b", {"use": "toy:every"}, "not a usable name"),
    ],
)
def test_a_wrong_stage_is_one_line_that_says_where(name: str, raw: Any, problem: str) -> None:
    below = {"use": "toy:train", "base": "some/model", "from": "a"}
    llms = {"teacher": {"use": "toy:backend"}, "student": {"use": "transformers", "model": "c"}}
    with pytest.raises(ConfigError, match=problem) as caught:
        built({"a": NUMBERS, name: raw, "c": below}, llms=llms)
    assert str(caught.value).startswith(f"pipeline: stages.{name}: ")
    assert "\n" not in str(caught.value)


def test_the_rows_of_a_job_cannot_be_read() -> None:
    with pytest.raises(ConfigError, match="from: 'fit' makes no rows"):
        built({"a": NUMBERS, "fit": {"use": "toy:train", "base": "x/y"}, "b": {"use": "toy:every", "from": "fit"}})


def test_the_first_stage_needs_rows() -> None:
    with pytest.raises(ConfigError, match="nothing above it makes rows; begin with a source"):
        built({"b": {"use": "toy:every"}})


def test_an_unknown_pipeline_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match="no pipeline file 'none'; shipped ones: "):
        config.load("none")


# repeat


def raft(**group: Any) -> dict[str, Any]:
    inner = {
        "answer": {"use": "toy:answer", "llm": "fit", "from": "a"},
        "short": {"use": "length", "of": "answer", "min_words": 1},
        "fit": {"use": "toy:train", "base": "fit"},
    }
    return {"a": NUMBERS, "rounds": {"repeat": 2, "first": {"fit": "tiny-base"}, "stages": inner, **group}}


def test_a_group_is_unrolled_and_its_names_mean_this_round_above_and_the_last_round_below() -> None:
    llms = {"tiny-base": {"use": "toy:backend"}}
    stages = {**raft(), "score": {"use": "toy:measure", "llm": "fit", "from": "short"}}
    pipeline = built(stages, llms=llms)
    names = ["a", "answer@1", "short@1", "fit@1", "answer@2", "short@2", "fit@2", "score"]
    assert [node.name for node in pipeline.nodes] == names
    nodes = {node.name: node for node in pipeline.nodes}
    assert nodes["answer@1"].arguments["llm"] == nodes["fit@1"].arguments["base"] == "tiny-base"
    assert nodes["answer@2"].arguments["llm"] == nodes["fit@2"].arguments["base"] == "fit@1"
    assert nodes["short@2"].inputs == (Input("answer@2"),)
    assert nodes["score"].arguments["llm"] == "fit@2"
    assert nodes["score"].inputs == (Input("short@2"),)


def test_only_references_are_renamed_in_a_group() -> None:
    pipeline = built(raft(), llms={"tiny-base": {"use": "toy:backend"}})
    node = pipeline.node("short@2")
    assert node is not None
    assert node.arguments["of"] == "answer"  # a value, though a stage of the group has that name


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ({"repeat": 0}, "needs 'repeat: N' with N >= 1"),
        ({"repeat": "x"}, "needs 'repeat: N'"),
        ({"stages": {}}, "needs 'repeat: N' with N >= 1, and 'stages'"),
        ({"frist": {}}, "unknown key 'frist'; a group takes: repeat, stages, first"),
        ({"first": {"typo": "a"}}, r"first: takes names of the group \(answer, short, fit\)"),
        ({"first": {}}, "stages.answer@1: llm: no LLM 'fit'"),
    ],
)
def test_a_wrong_group_is_one_line(group: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        built(raft(**group))


def test_what_a_stage_checks_by_itself_is_checked_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"instruction": "Say hello.", "output": "Hello"}\n')
    stages = {
        "rows": {"use": "sources.jsonl", "path": str(tmp_path / "rows.jsonl")},
        "sft": {"use": "training.sft", "base": "some/model", "args": {"lerning_rate": 1}},
    }
    with pytest.raises(ConfigError, match=r"stages\.sft: .*'lerning_rate'; did you mean learning_rate"):
        config.build({"name": "one", "stages": stages})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"budget": {"euros": 5}}, "budget: .*euros.*; such as {usd: 5"),
        ({"budget": {"calls": "many"}}, "budget.calls: 'many' is not a number that it can be; such as"),
        ({"budget": {"usd": 5}}, "budget.usd: llms.t has no price; add price: {input: 0.15"),
        ({"llms.t.price": {"input": 1}}, "price: .*output.*; such as {input: 0.15"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_an_error_at_once(settings: dict[str, Any], problem: str) -> None:
    llms = {"t": {"use": "openai", "base_url": "http://a/v1", "model": "m"}, "toy": {"use": "toy:backend"}}
    with pytest.raises(ConfigError, match=problem):
        built({"a": NUMBERS}, settings, llms=llms)
    priced = {"budget": {"usd": 5, "calls": 9}, "llms.t.price": {"input": 1, "output": 2}}
    assert built({"a": NUMBERS}, priced, llms=llms).budget == Limits(5, None, 9)
