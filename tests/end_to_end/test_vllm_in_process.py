"""The vllm back end on the real engine, in a Python of its own; its replies against those of ``transformers``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import SOURCE, TESTS

from datagen import assets
from datagen.llm import models
from datagen.llm.base import Sampling
from datagen.llm.transformers import transformers
from datagen.record import Message
from datagen.stage import ModelName
from datagen.store import read_result

PYTHON = os.environ.get("DATAGEN_VLLM_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="DATAGEN_VLLM_PYTHON names no Python with vLLM; scripts/test-vllm makes one"),
]
ENGINE = {"dtype": "float32", "enforce_eager": True}
TASKS = (assets.folder("seeds") / "tiny_tasks.jsonl").read_text().splitlines()
PROMPTS = [json.loads(line)["instruction"] for line in TASKS[:40]]
GREEDY = {"temperature": 0, "max_tokens": 40}
SCHEMA = {
    "type": "object",
    "properties": {"animal": {"enum": ["cat", "dog"]}, "legs": {"type": "integer", "maximum": 9, "minimum": 0}},
    "required": ["animal", "legs"],
    "additionalProperties": False,
}


def started(folder: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    """A process of the Python that has vLLM, in a session of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{SOURCE}", "HF_HUB_OFFLINE": "1"}
    environment |= {"VLLM_CPU_KVCACHE_SPACE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [PYTHON, *words], cwd=folder, env=environment, text=True, start_new_session=True, **pipes, **options
    )


def ask_engine(folder: Path, groups: dict[str, Any], **entry: Any) -> dict[str, Any]:
    process = started(folder, str(Path(__file__).with_name("vllm_replies.py")))
    out, errors = process.communicate(json.dumps({"entry": {**ENGINE, **entry}, "groups": groups}), timeout=500)
    assert process.returncode == 0, errors[-3000:]
    assert is_gone(process), "the engine's processes are still there"
    replies: dict[str, Any] = json.loads(out)
    return replies


def in_session(leader: int) -> list[str]:
    """The processes of a session that still run, but for the one that waits for its leader's end."""
    listed = subprocess.run(["ps", "-eo", "sid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [args for session, state, args in rows if int(session) == leader and not state.startswith("Z")]


def is_gone(process: subprocess.Popen[str]) -> bool:
    """Whether nothing of its session is left, or will be in a moment."""
    deadline = time.monotonic() + 20
    while in_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not in_session(process.pid)


def ask_transformers(model: str) -> list[str]:
    async def replies() -> list[str]:
        backend = transformers(model=ModelName(model), device="cpu", threads=1)
        sampling = Sampling(**GREEDY)
        texts = [reply.text for reply in await asyncio.gather(*(backend.chat(ask(p), sampling) for p in PROMPTS))]
        await backend.close()
        return texts

    return asyncio.run(replies())


def ask(prompt: str) -> list[Message]:
    return [Message("user", prompt)]


def request(prompt: str, sample: int = 0, **sampling: Any) -> dict[str, Any]:
    return {"prompt": prompt, "sample": sample, "sampling": sampling}


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that one engine is asked: its start is what takes long."""
    sampled = [request(PROMPTS[0], sample, temperature=1.0, seed=7, max_tokens=24) for sample in range(4)]
    busy = [request(prompt, temperature=1.2, seed=number, max_tokens=60) for number, prompt in enumerate(PROMPTS)]
    groups = {
        "greedy": [request(prompt, **GREEDY) for prompt in PROMPTS],
        "alone": [sampled[0]],
        "beside others": [*sampled, *busy],
        "logprobs": [request(PROMPTS[0], temperature=0, max_tokens=24, logprobs=3)],
        "choice": [request(prompt, temperature=1.0, seed=1, choice=["yes", "no"]) for prompt in PROMPTS[:8]],
        "json": [request(prompt, temperature=1.0, seed=1, max_tokens=60, schema=SCHEMA) for prompt in PROMPTS[:8]],
        "regex": [request("go", temperature=0, max_tokens=9, extra={"structured_outputs": {"regex": "[0-9]{3}"}})],
        "cut": [request(PROMPTS[0], temperature=0, max_tokens=1)],
        "stopped": [request("Count from one to five.", temperature=0, max_tokens=40, stop=["e"])],
        "too long": [request("word " * 600, **GREEDY), request(PROMPTS[0], **GREEDY)],
    }
    return ask_engine(tmp_path_factory.mktemp("vllm"), groups, model="tiny-teacher")


def test_greedy_replies_are_those_of_the_transformers_back_end(replies: dict[str, Any]) -> None:
    texts = [reply["text"].removeprefix(" ") for reply in replies["greedy"]]  # vLLM decodes them behind their prompt
    assert texts == ask_transformers("tiny-teacher")


def test_a_seeded_reply_does_not_depend_on_its_batch_and_samples_differ(replies: dict[str, Any]) -> None:
    together = [reply["text"] for reply in replies["beside others"]]
    assert together[0] == replies["alone"][0]["text"]
    assert len(set(together[:4])) > 1


def test_logprobs_cover_the_text_and_hold_the_likeliest_tokens(replies: dict[str, Any]) -> None:
    reply = replies["logprobs"][0]
    assert "".join(one["token"] for one in reply["logprobs"]).strip() == reply["text"].strip()
    for one in reply["logprobs"]:
        assert len(one["top"]) == 3
        assert one["logprob"] == max(one["top"].values())


def test_a_choice_and_a_schema_and_a_regular_expression_bind_the_reply(replies: dict[str, Any]) -> None:
    assert {reply["text"] for reply in replies["choice"]} <= {"yes", "no"}
    for reply in replies["json"]:
        value = json.loads(reply["text"])
        assert value.keys() == {"animal", "legs"}
        assert "finish_reason" not in reply, "stop, which is the default and left out"
    assert len(replies["regex"][0]["text"]) == 3
    assert replies["regex"][0]["text"].isdecimal()


def test_why_a_reply_ended_is_told(replies: dict[str, Any]) -> None:
    assert (replies["cut"][0]["finish_reason"], replies["cut"][0]["usage"]["completion_tokens"]) == ("length", 1)
    assert "finish_reason" not in replies["stopped"][0], "stop, which is the default and left out"
    assert "e" not in replies["stopped"][0]["text"]
    assert replies["too long"][0] == {"error": "context_length"}
    assert replies["too long"][1]["text"] == replies["greedy"][0]["text"]


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks for it
def test_an_adapter_answers_as_the_model_that_it_is_merged_into(tmp_path: Path) -> None:
    peft, torch = pytest.importorskip("peft"), pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    teacher = models.resolve("tiny-teacher")
    base = AutoModelForCausalLM.from_pretrained(teacher, dtype=torch.float32)
    config = peft.LoraConfig(r=4, lora_alpha=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(base, config)
    adapted.save_pretrained(tmp_path / "adapter")
    adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    AutoTokenizer.from_pretrained(teacher).save_pretrained(tmp_path / "merged")
    groups = {"greedy": [request(prompt, **GREEDY) for prompt in PROMPTS]}
    replies = ask_engine(tmp_path, groups, model="tiny-teacher", lora=str(tmp_path / "adapter"))
    texts = [reply["text"].removeprefix(" ") for reply in replies["greedy"]]
    assert texts == ask_transformers(str(tmp_path / "merged"))
    assert texts != ask_transformers("tiny-teacher")


def quickstart(folder: Path, *words: str, **engine: Any) -> subprocess.Popen[str]:
    """The quickstart until it trains, which is not what this Python has the packages for."""
    whole = yaml.safe_load((assets.folder("pipelines") / "quickstart.yaml").read_text())
    names = list(whole["stages"])
    stages = {name: whole["stages"][name] for name in names[: names.index("graded") + 1]}
    (folder / "quickstart.yaml").write_text(yaml.safe_dump({**whole, "stages": stages}, sort_keys=False))
    entry = {"use": "vllm", "model": "tiny-teacher", "prompts": "tiny", **ENGINE, **engine}
    overrides = (f"llms.teacher={json.dumps(entry)}", "stages.tasks.count=60")
    return started(folder, "-m", "datagen", "run", "quickstart.yaml", *words, *overrides)


def wait_for_replies(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until the journal holds some."""
    deadline = time.monotonic() + 400
    journal = folder / "runs" / "journal.sqlite"
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
            if connection.execute("SELECT count(*) FROM replies").fetchone()[0]:
                return
    raise AssertionError(process.communicate()[1][-3000:])


def test_the_quickstart_generates_and_grades_in_process_and_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    process = quickstart(tmp_path)
    wait_for_replies(tmp_path, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "datagen: stopped" in errors
    assert "Traceback" not in errors, errors
    assert is_gone(process)

    process = quickstart(tmp_path)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors[-3000:]
    results = {
        path.parent.name.rpartition("-")[0]: read_result(path.parent) for path in tmp_path.glob("runs/*/*/stage.json")
    }
    assert results["tasks"].kept >= 40
    assert results["tasks"].replayed > 0
    assert 0 < results["graded"].kept <= results["clean"].kept
    assert results["graded"].reasons.keys() <= {"grade:low_score", "grade:unparsed", "grade:truncated"}


def test_interrupted_while_the_engine_starts_it_ends_at_once(tmp_path: Path) -> None:
    process = quickstart(tmp_path)
    while process.poll() is None and not any("EngineCore" in args for args in in_session(process.pid)):
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "datagen: stopped" in errors
    assert "Traceback" not in errors, errors
    assert is_gone(process)


def test_killed_it_takes_its_engine_along(tmp_path: Path) -> None:
    process = quickstart(tmp_path)
    wait_for_replies(tmp_path, process)
    process.kill()
    process.communicate(timeout=60)  # until its engine has closed the pipes, too
    assert is_gone(process)


def test_an_engine_that_does_not_start_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    process = quickstart(tmp_path, "-q", max_model_len=9000)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2, errors
    assert "use: vllm: the engine does not start" in errors.splitlines()[-1]
    assert "max_model_len" in errors.splitlines()[-1]
    assert is_gone(process)
