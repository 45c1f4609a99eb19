import subprocess
import sys

import pytest

from datagen.errors import ConfigError
from datagen.training.dpo import METHOD as DPO
from datagen.training.method import Hardware
from datagen.training.settings import Task, check_args, config_fields, defaults, described, loading, merged
from datagen.training.sft import METHOD as SFT

CPU = Hardware("cpu")
GPU = Hardware("cuda", devices=2, bf16=True, flash_attention=True)
TINY = Task(SFT, 1_000_000, 256)
BIG = Task(SFT, 8_000_000_000, 32768)


def test_an_unknown_field_is_refused_with_close_matches() -> None:
    with pytest.raises(ConfigError, match=r"unknown field 'learning_rat'.*learning_rate"):
        check_args(SFT, {"learning_rat": 1e-3})


def test_fields_that_are_not_the_users_say_what_to_do_instead() -> None:
    with pytest.raises(ConfigError, match="HF_TOKEN"):
        check_args(SFT, {"hub_token": "secret"})
    with pytest.raises(ConfigError, match="output_dir"):
        check_args(DPO, {"output_dir": "x"})


def test_fields_of_all_three_classes_are_known() -> None:
    for method, own in ((SFT, "assistant_only_loss"), (DPO, "loss_weights")):
        assert {own, "gradient_checkpointing", "learning_rate", "neftune_noise_alpha"} <= config_fields(method.trl)
    assert "beta" not in config_fields("SFT")


def test_the_check_imports_neither_torch_nor_trl() -> None:
    code = (
        "import sys; from datagen.training import sft, dpo, settings\n"
        "settings.check_args(sft.METHOD, {'packing': True})\n"
        "assert not {'torch', 'trl', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_fields_read_from_source_are_those_of_the_classes() -> None:
    code = (
        "import dataclasses, trl; from datagen.training.settings import config_fields\n"
        "for m in ('SFT', 'DPO', 'Reward', 'GRPO', 'RLOO'):\n"
        "    fields = dataclasses.fields(getattr(trl, m + 'Config'))\n"
        "    real = {f.name for f in fields if not f.name.startswith('_')}\n"
        "    assert real == config_fields(m), (m, real ^ config_fields(m))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_small_model_on_a_cpu_trains_in_fp32_without_packing_or_checkpointing() -> None:
    chosen = defaults(CPU, TINY)
    assert (chosen["use_cpu"], chosen["bf16"], chosen["packing"], chosen["gradient_checkpointing"]) == (
        True, False, False, False
    )  # fmt: skip
    assert chosen["max_length"] == 256
    assert chosen["train_sampling_strategy"] == "group_by_length"
    assert loading(CPU, TINY)["attn_implementation"] == "sdpa"


def test_a_big_model_on_gpus_packs_and_reaches_the_same_batch_on_any_number() -> None:
    chosen = defaults(GPU, BIG)
    assert (chosen["bf16"], chosen["packing"], chosen["gradient_checkpointing"]) == (True, True, True)
    for devices in (1, 2, 4):
        chosen = defaults(Hardware("cuda", devices, True, True), BIG)
        assert chosen["per_device_train_batch_size"] * chosen["gradient_accumulation_steps"] * devices == 32


def test_adapters_learn_ten_times_faster_on_frozen_bf16_weights() -> None:
    task = Task(SFT, 8_000_000_000, 0, adapter=True)
    assert defaults(GPU, task)["learning_rate"] == pytest.approx(2e-4)
    assert loading(GPU, task)["dtype"] == "bfloat16"
    assert loading(GPU, BIG)["dtype"] == "float32"


def test_the_users_settings_win_and_what_contradicts_them_gives_way() -> None:
    chosen, model = defaults(CPU, TINY), loading(CPU, TINY)
    packed = merged(chosen, model, {"packing": True, "model_init_kwargs": {"attn_implementation": "eager"}})
    assert packed["packing"]
    assert "train_sampling_strategy" not in packed
    assert packed["model_init_kwargs"] == {"use_safetensors": True, "dtype": "float32", "attn_implementation": "eager"}
    assert merged(defaults(GPU, BIG), model, {"max_length": None})["packing"] is False
    assert merged(defaults(GPU, BIG), model, {"fp16": True})["bf16"] is False
    assert "packing" not in merged(defaults(CPU, Task(DPO, 1, 8)), model, {"max_length": None})


def test_the_choices_fit_in_one_line() -> None:
    line = described(merged(defaults(GPU, BIG), loading(GPU, BIG), {}), GPU)
    assert line.startswith("2 GPU, bf16, flash_attention_2, packing, assistant_only_loss")
    assert "batch 32" in line
    assert "\n" not in line
