"""What the vllm back end says to vLLM and makes of its replies; ``tests/end_to_end`` asks the real engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from datagen import config
from datagen.errors import ConfigError, LLMError
from datagen.keys import Keys
from datagen.llm.base import Reply, Sampling, TokenLogprob, Usage
from datagen.llm.vllm import OPERATIONAL, VLLM, vllm
from datagen.llm.vllm_arguments import argument_names
from datagen.llm.vllm_requests import reply, sampling_params, text_tokens
from datagen.plugins import check_arguments, load_backend, parameters
from datagen.stage import ModelName

from .conftest import ask

# The names and errors of vLLM's that requests are made of; the engine itself is not imitated.
PACKAGE = {
    "__init__.py": "",
    "engine/__init__.py": "",
    "engine/arg_utils.py": """
        raise ImportError("read, never imported")
        class EngineArgs:
            model: str = ""
            dtype: str = "auto"
            load_format: str = "auto"
            max_num_seqs: int = 1
            tensor_parallel_size: int = 1
            gpu_memory_utilization: float = 0.9
            structured_outputs_config: dict = {}
            tokenizer: str = ""
            revision: str = ""
            hf_token: str = ""
            _private: int = 0
            def from_cli(self): pass
        class AsyncEngineArgs(EngineArgs):
            enable_log_requests: bool = False
    """,
    "exceptions.py": """
        class VLLMValidationError(Exception): ...
    """,
    "sampling_params.py": """
        import enum
        from vllm.exceptions import VLLMValidationError
        RequestOutputKind = enum.Enum("RequestOutputKind", "FINAL_ONLY")
        class SamplingParams:
            def __init__(self, **fields):
                if fields.get("top_p") == 0:
                    raise VLLMValidationError("top_p must be in (0, 1], got 0.")
                if "min_q" in fields:
                    raise TypeError("Unexpected keyword argument 'min_q'")
                self.fields = fields
        class StructuredOutputsParams:
            def __init__(self, **fields):
                if len(fields) > 1:
                    raise VLLMValidationError("only one kind of structured outputs")
                self.fields = fields
    """,
}


@pytest.fixture(autouse=True)
def fake_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in PACKAGE.items():
        path = tmp_path / "packages" / "vllm" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix("        ") for line in text.splitlines()))
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    argument_names.cache_clear()
    yield
    argument_names.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        del sys.modules[name]


def asked(sampling: Sampling, sample: int = 0, **options: Any) -> dict[str, Any]:
    options = {"prompt": [5, 6], "room": 100, "defaults": {}, **options}
    fields: dict[str, Any] = sampling_params(sampling, sample, **options).fields
    return fields


def opened(model: Path, **arguments: Any) -> VLLM:
    return vllm(model=ModelName(str(model)), **arguments)


def test_a_request_says_what_sampling_says_and_leaves_the_rest_to_the_model() -> None:
    defaults = {"temperature": 0.6, "top_k": 20}
    fields = asked(Sampling(temperature=0.2, max_tokens=9, stop=("x",), extra={"min_p": 0.1}), defaults=defaults)
    assert {"temperature": 0.2, "top_k": 20, "max_tokens": 9, "stop": ["x"], "min_p": 0.1}.items() <= fields.items()
    assert fields["output_kind"].name == "FINAL_ONLY"
    assert not {"logprobs", "presence_penalty", "structured_outputs"} & fields.keys()
    assert asked(Sampling())["max_tokens"] == 100
    assert asked(Sampling(max_tokens=500), room=7)["max_tokens"] == 7
    assert asked(Sampling(extra={"chat_template_kwargs": {"enable_thinking": False}, "min_p": None})).keys() == {
        "max_tokens",
        "seed",
        "output_kind",
        "skip_clone",
    }


def test_the_seed_is_a_function_of_the_request_and_the_sample() -> None:
    seeds = [
        asked(Sampling(seed=seed), sample, prompt=prompt)["seed"]
        for seed, sample, prompt in [(1, 0, [5]), (1, 1, [5]), (2, 0, [5]), (None, 0, [5]), (None, 0, [6])]
    ]
    assert len(set(seeds)) == 5
    assert asked(Sampling(seed=1), prompt=[9])["seed"] == seeds[0]
    assert asked(Sampling(), prompt=[5])["seed"] == seeds[3]
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_schema_and_choice_become_one_constraint() -> None:
    assert asked(Sampling(schema={"type": "object"}))["structured_outputs"].fields == {"json": {"type": "object"}}
    assert asked(Sampling(choice=("yes", "no")))["structured_outputs"].fields == {"choice": ["yes", "no"]}
    regex = {"structured_outputs": {"regex": "[0-9]"}}
    assert asked(Sampling(extra=regex))["structured_outputs"].fields == {"regex": "[0-9]"}
    with pytest.raises(ConfigError, match="only one kind"):
        asked(Sampling(choice=("yes",), extra=regex))


@pytest.mark.parametrize(
    ("sampling", "said"),
    [
        (Sampling(top_p=0), "top_p must be in"),
        (Sampling(extra={"min_q": 1}), "min_q"),
        (Sampling(extra={"n": 2}), "n: cannot be set; ask for samples"),
    ],
)
def test_sampling_that_vllm_does_not_take_is_an_error_for_all(sampling: Sampling, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        asked(sampling)


def logprob(text: str, value: float, rank: int) -> SimpleNamespace:
    return SimpleNamespace(decoded_token=text, logprob=value, rank=rank)


def output(**completion: Any) -> SimpleNamespace:
    whole = {"text": "a b", "token_ids": [1, 2, 0], "finish_reason": "stop", "stop_reason": None, "logprobs": None}
    return SimpleNamespace(prompt_token_ids=[7, 8, 9, 9], outputs=[SimpleNamespace(**{**whole, **completion})])


def test_a_reply_has_its_text_its_end_and_its_tokens_counted() -> None:
    assert reply(output(), Sampling()) == Reply("a b", "stop", Usage(4, 3))
    assert reply(output(finish_reason="length"), Sampling()).finish_reason == "length"


def test_logprobs_are_those_of_the_text_with_the_likeliest_tokens() -> None:
    steps = [
        {1: logprob("a", -2.0, 3), 4: logprob("c", -0.5, 1), 5: logprob("d", -1.0, 2)},
        {2: logprob("�", -0.1, 1), 6: logprob("�", float("-inf"), 2)},
        {0: logprob("<end>", 0.0, 1)},
    ]
    found = reply(output(logprobs=steps), Sampling(logprobs=2)).logprobs
    assert found == (TokenLogprob("a", -2.0, {"c": -0.5, "d": -1.0}), TokenLogprob("�", -0.1, {"�": -0.1}))
    assert len(reply(output(logprobs=steps, finish_reason="length"), Sampling(logprobs=0)).logprobs) == 3
    assert len(reply(output(logprobs=steps, stop_reason="end"), Sampling(logprobs=0)).logprobs) == 3
    assert reply(output(logprobs=steps), Sampling(logprobs=0)).logprobs[0].top == {}


def test_a_request_that_the_engine_gave_up_is_a_failure_with_what_came() -> None:
    with pytest.raises(LLMError, match="abort") as caught:
        reply(output(finish_reason="abort"), Sampling())
    assert (caught.value.reason, caught.value.raw) == ("engine", "a b")


def test_raw_completions_are_the_bare_texts_and_an_empty_one_is_refused() -> None:
    tokenizer = SimpleNamespace(encode=lambda text: list(text.encode()))
    assert text_tokens(tokenizer, [*ask("a"), *ask("b")]) == list(b"a\n\nb")
    with pytest.raises(LLMError, match="empty"):
        text_tokens(tokenizer, ask(""))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"tensor_paralel_size": 2}, "did you mean 'tensor_parallel_size'"),
        ({"conurrency": 2}, "did you mean 'concurrency'"),
        ({"_private": 2}, "unknown key '_private'"),
        ({"max_num_seqs": 2}, "it is called concurrency here"),
        ({"hf_token": "secret"}, "HF_TOKEN"),
        ({"load_format": "pt"}, "pickles"),
        ({"lora": "nothing"}, "no file 'nothing'"),
        ({"concurrency": "many"}, "concurrency: 'many'"),
    ],
)
def test_a_wrong_key_is_found_before_any_work(entry: dict[str, Any], said: str) -> None:
    whole = {"use": "vllm", "model": "tiny-teacher", "tensor_parallel_size": 2, **entry}
    stages = {"rows": {"use": "toy:numbers"}, "answers": {"use": "generators.answer", "llm": "teacher"}}
    with pytest.raises(ConfigError, match=said):
        config.build({"llms": {"teacher": whole}, "stages": stages})


def test_without_vllm_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "packages" / "vllm" / "__init__.py").unlink()
    argument_names.cache_clear()
    with pytest.raises(ConfigError, match=r"not installed; run: pip install 'datagen\[vllm\]'"):
        vllm(model=ModelName("tiny-teacher"))


def test_the_identity_changes_with_all_that_can_change_a_reply_and_with_nothing_else(
    tiny_model: Path, tmp_path: Path
) -> None:
    plain = opened(tiny_model)
    for changed in ({"dtype": "float16"}, {"tensor_parallel_size": 2}, {"api": "completions"}, {"revision": "x"}):
        assert opened(tiny_model, **changed).identity != plain.identity
    for same in ({"gpu_memory_utilization": 0.4}, {"concurrency": 8}, {"enable_log_requests": True}):
        assert opened(tiny_model, **same).identity == plain.identity
    assert str(tiny_model) not in str(plain.identity)
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    before = opened(tiny_model, tokenizer=str(tokenizer)).identity
    (tokenizer / "tokenizer.json").write_text("{ }")
    assert opened(tiny_model, tokenizer=str(tokenizer)).identity != before


def test_an_adapter_is_part_of_the_identity_and_gets_room_for_its_rank(tiny_model: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    with pytest.raises(ConfigError, match=r"no adapter_config\.json"):
        opened(tiny_model, lora=adapter)
    (adapter / "adapter_config.json").write_text('{"r": 12}')
    with pytest.raises(ConfigError, match=r"no adapter_model\.safetensors"):
        opened(tiny_model, lora=adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"1")
    one = opened(tiny_model, lora=adapter)
    assert one.identity["engine"]["max_lora_rank"] == 16
    (adapter / "adapter_model.safetensors").write_bytes(b"22")
    assert opened(tiny_model, lora=adapter).identity != one.identity


def test_a_trained_stage_answers_on_vllm_where_a_stage_asks_for_it() -> None:
    stages = {
        "rows": {"use": "toy:numbers"},
        "sft": {"use": "toy:train", "base": "tiny-base"},
        "answers": {"use": "generators.answer", "llm": {"use": "vllm", "model": "sft", "dtype": "float32"}},
    }
    pipeline = config.build({"name": "p", "stages": stages})
    entry = pipeline.llms["answers-llm"]
    assert (entry.use, entry.arguments["model"], entry.arguments["dtype"]) == ("vllm", "sft", "float32")


def test_a_stage_is_made_anew_for_another_number_format_and_not_for_another_share_of_memory() -> None:
    def key(**engine: Any) -> str:
        teacher = {"use": "vllm", "model": "tiny-teacher", **engine}
        stages = {"rows": {"use": "toy:numbers"}, "answers": {"use": "generators.answer", "llm": "teacher"}}
        pipeline = config.build({"name": "p", "llms": {"teacher": teacher}, "stages": stages})
        return Keys(pipeline).of(pipeline.nodes[-1])

    assert key() == key(gpu_memory_utilization=0.5) == key(concurrency=3)
    assert key() != key(dtype="float32")


def test_what_a_stage_of_ours_says_is_operational_is_no_setting_that_makes_a_reply() -> None:
    assert not OPERATIONAL & {"dtype", "quantization", "max_model_len", "revision", "tokenizer", "seed", "hf_overrides"}


def test_further_keys_are_only_for_those_who_take_them() -> None:
    allowed = parameters(load_backend("vllm"))
    assert check_arguments("x", allowed, {"model": "m", "dtype": "auto"})["dtype"] == "auto"
    with pytest.raises(ConfigError, match="unknown key 'dtyp'"):
        check_arguments("x", parameters(load_backend("transformers")), {"model": "m", "dtyp": "auto"})
