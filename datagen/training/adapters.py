"""``peft:`` of a stage: fields of a ``LoraConfig`` (arXiv 2106.09685), and ``quantize`` for QLoRA (2305.14314).

``quantize: nf4`` loads the frozen base in 4 bits with double quantisation, ``int8`` in 8. Deviation from QLoRA: the
adapters are kept in float32, where TRL rounds them to bf16, so that small updates are not rounded away.
"""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError
from datagen.training.method import Hardware, Method
from datagen.training.settings import annotated, check_names, package

_QUANTIZE = ("nf4", "int8")
_PLAIN_STARTS = (True, False, "gaussian", "orthogonal")  # the others take the base's weights apart, in full precision


def check_peft(where: str, peft: dict[str, Any] | None, args: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for an unknown field, no bitsandbytes, or what a quantised base cannot be had with."""
    if "quantization_config" in (args.get("model_init_kwargs") or {}):
        raise ConfigError(f"{where}: args.model_init_kwargs.quantization_config: use peft: {{quantize: nf4}}")
    if peft is None:
        return
    check_names(f"{where}: peft", peft, {*_lora_fields(), "quantize"})
    if not (isinstance(peft.get("r", 8), int) and peft.get("r", 8) > 0):
        raise ConfigError(f"{where}: peft.r: must be a whole number above 0, not {peft['r']!r}")
    if (kind := peft.get("quantize")) is None:
        return
    if kind not in _QUANTIZE:
        raise ConfigError(f"{where}: peft.quantize: must be {' or '.join(_QUANTIZE)}, not {kind!r}")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ConfigError(f"{where}: peft.quantize needs bitsandbytes: pip install 'datagen[qlora]'")
    if (start := peft.get("init_lora_weights", True)) not in _PLAIN_STARTS:
        raise ConfigError(f"{where}: peft.init_lora_weights: {start} needs the weights that quantize takes away")
    if args.get("use_vllm"):
        raise ConfigError(f"{where}: args.use_vllm: vLLM cannot be sent quantised weights; leave out peft.quantize")


@functools.cache
def _lora_fields() -> frozenset[str]:
    """Read from the source: importing peft takes seconds."""
    peft = package("peft")
    classes = {"LoraConfig", "PeftConfig", "PeftConfigMixin"}
    return frozenset(
        name for file in ("tuners/lora/config.py", "config.py") for name in annotated(peft / file, classes)
    )


def lora(how: Method, peft: dict[str, Any]) -> Any:
    """The ``LoraConfig``: by default all linear layers. Raises ``ConfigError`` for values that peft does not take."""
    from peft import LoraConfig

    ours: dict[str, Any] = {"task_type": "CAUSAL_LM", "target_modules": "all-linear"}
    if how.model == "SequenceClassification":  # its head is new, and an adapter beside random weights learns little
        ours |= {"task_type": "SEQ_CLS", "modules_to_save": ["score"]}
    options = {name: value for name, value in peft.items() if name != "quantize"}
    try:
        return LoraConfig(**{**ours, **options})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"training.{how.name}: peft: {error}") from error


def check_targets(how: Method, peft: dict[str, Any], model: Any) -> float:
    """The share of the weights that will be trained, on a model without storage, which is changed.

    Raises ``ConfigError`` for ``target_modules`` that the model does not have.
    """
    from peft import get_peft_model

    try:
        trainable, everything = get_peft_model(model, lora(how, peft)).get_nb_trainable_parameters()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"training.{how.name}: peft: {str(error).splitlines()[0]}") from error
    return float(trainable / everything)


def quantization(peft: dict[str, Any] | None, hardware: Hardware) -> Any:
    """How to load the base, or None for its own precision. Raises ``ConfigError`` where that cannot be."""
    if peft is None or not peft.get("quantize"):
        return None
    if hardware.kind == "mps":
        raise ConfigError("peft.quantize: bitsandbytes has no kernels for Apple GPUs; leave it out")
    if hardware.sharded:
        raise ConfigError("peft.quantize: not under FSDP or DeepSpeed, which would split quantised weights; use DDP")
    from transformers import BitsAndBytesConfig

    if peft["quantize"] == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["lm_head", "score"])
    computed = "float32" if hardware.kind == "cpu" else "bfloat16" if hardware.bf16 else "float16"
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed, llm_int8_skip_modules=["lm_head", "score"],
    )  # fmt: skip


def widen(model: Any) -> None:
    """Have what is trained in float32, whatever the frozen weights are in."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def merged(kind: Any, base: str, adapter: Path, how_quantized: Any, **options: Any) -> Any:
    """The base with the adapter added to its weights, in float32.

    A quantised base is taken as it was trained on, its weights written out again: the model that is saved is the one
    whose loss was logged.
    """
    from peft import PeftModel

    quantized = {} if how_quantized is None else {"quantization_config": how_quantized}
    model = kind.from_pretrained(base, dtype="float32", use_safetensors=True, **quantized, **options)
    if how_quantized is not None:
        model = model.dequantize()
        model.float()
    return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
