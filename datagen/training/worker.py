"""The process that trains: ``python -m datagen.training.worker spec.json``, started by ``launch``.

One process on a CPU or one GPU; where it sees several GPUs it starts itself again under ``accelerate launch``. Events
go to stdout as JSON lines; everything that libraries print goes to stderr, which is the stage's ``worker.log``.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import resource
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from datagen.errors import ConfigError
from datagen.llm import models
from datagen.training import adapters, checkpoints, method, rounds, settings, tokens
from datagen.training.method import Hardware, Method
from datagen.training.settings import Task


def main(spec_path: Path) -> int:
    """Train what the spec says and write ``result.json``; 2 for a mistake that the user can mend."""
    spec = json.loads(spec_path.read_bytes())
    out = Path(spec["out"])
    try:
        result: dict[str, Any] = _train(spec, out)
    except ConfigError as error:
        result = {"config_error": str(error)}
    if int(os.environ.get("RANK", "0")) == 0:
        temporary = out / ".result.json"
        temporary.write_text(json.dumps(result))
        temporary.replace(out / "result.json")
    return 2 if "config_error" in result else 0


def emit(event: str, **fields: Any) -> None:
    """One event for the parent."""
    if int(os.environ.get("RANK", "0")) == 0:
        _events.write(json.dumps({"event": event, **fields}) + "\n")
        _events.flush()


def ask(rows: list[Any]) -> Any:
    """The parent's answer to a question about these rows."""
    emit("ask", rows=rows)
    return _answers.get()


def _train(spec: dict[str, Any], out: Path) -> dict[str, Any]:
    import torch

    how = method.load(spec["method"])
    devices = torch.cuda.device_count() if not spec["args"].get("use_cpu") else 0
    if devices > 1 and "WORLD_SIZE" not in os.environ:
        _start_again(devices)
    hardware = _hardware(use_cpu=bool(spec["args"].get("use_cpu")))
    # Before the model and TRL, which take seconds to load: what the user can mend.
    options = {"trust_remote_code": bool(spec["args"].get("trust_remote_code"))}
    tokenizer = tokens.load_tokenizer(spec["base"], spec["chat_template"], options)
    if tokenizer.chat_template == tokens.PLAIN_TEMPLATE:
        emit("note", text="the base has no chat template; a plain one is used, and saved with the model")
    task = Task(how, *_size(how, spec, options), spec["peft"] is not None, spec["eval"] is not None)
    spec["quantization"] = adapters.quantization(spec["peft"], hardware)
    config, chosen = _config(spec, hardware, task, _stop(how, spec, tokenizer))
    limit = _limit(config, task)
    room = tokens.check_room(tokenizer, Path(spec["train"]), limit)
    emit("note", text=settings.described(chosen, hardware))
    if room["truncated_share"]:
        cut, lost = room["truncated_share"], room["no_room_share"]
        emit(
            "note", text=f"{limit} tokens are too few for {cut:.1%} of the rows; {lost:.1%} have no room to learn from"
        )
    spec |= {"room": limit, "context": task.context, "ask": ask}
    trainer = _trainer(how, spec, config, tokenizer)
    return {**_run(trainer, how, spec, out), **room, "parameters": task.parameters, "settings": chosen}


def _start_again(devices: int) -> NoReturn:
    emit("note", text=f"{devices} GPUs: accelerate launch, one process each")
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(devices)]
    os.dup2(_events.fileno(), 1)
    os.execv(sys.executable, [sys.executable, *launch, "-m", "datagen.training.worker", *sys.argv[1:]])


def _hardware(*, use_cpu: bool) -> Hardware:
    import torch
    from transformers.utils import is_flash_attn_2_available

    if use_cpu or not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        return Hardware("cpu")
    if not torch.cuda.is_available():
        return Hardware("mps")
    flash = torch.cuda.get_device_capability() >= (8, 0) and bool(is_flash_attn_2_available())
    sharded = any(os.environ.get(f"ACCELERATE_USE_{kind}") == "true" for kind in ("FSDP", "DEEPSPEED"))
    return Hardware("cuda", int(os.environ.get("WORLD_SIZE", "1")), torch.cuda.is_bf16_supported(), flash, sharded)


def _size(how: Method, spec: dict[str, Any], options: dict[str, Any]) -> tuple[int, int]:
    """Parameters, counted on a model without storage, and the context in tokens (0: not said)."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(spec["base"], **options)
    with torch.device("meta"):
        model = getattr(transformers, f"AutoModelFor{how.model}").from_config(config, **options)
    count = sum(parameter.numel() for parameter in model.parameters())
    if count < models.ONE_THREAD_BELOW and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    if spec["peft"] is not None:
        share = adapters.check_targets(how, spec["peft"], model)
        kind = spec["peft"].get("quantize") or "full precision"
        emit("note", text=f"adapters, {share:.2%} of the weights, on a base in {kind}")
    return count, int(getattr(config.get_text_config(), "max_position_embeddings", 0) or 0)


def _limit(config: Any, task: Task) -> int | None:
    """The tokens that a row may have: prompt and answer, or where answers are sampled the prompt alone."""
    if not task.method.samples:
        limit: int | None = config.max_length
        return limit
    return task.context - config.max_completion_length if task.context else None


def _stop(how: Method, spec: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """``eos_token``, where the template ends the assistant's turn with another token than the tokenizer's own."""
    if not how.masks_prompt or not spec["args"].get("assistant_only_loss", True):
        return {}
    template = tokens.training_template(tokenizer, spec["base"])
    stop = tokens.stop_token(tokenizer, template)
    return {"eos_token": stop} if stop else {}


def _config(spec: dict[str, Any], hardware: Hardware, task: Task, more: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import trl

    ours = {**settings.defaults(hardware, task), **more, "seed": spec["seed"]}
    chosen = settings.merged(ours, settings.loading(hardware, task), spec["args"])
    if task.method.samples:
        ppo = spec["options"].get("ppo")
        samples = ppo["samples"] if ppo else chosen["num_generations"]
        size = rounds.check_round(task.method.name, chosen, samples, hardware.devices)
        if ppo:  # for RLOOConfig, which wants groups of two and more; PPOTrainer puts its own back
            chosen |= {"num_generations": max(2, size), "num_generations_eval": 1}
    kind = getattr(trl, f"{task.method.trl}Config")
    try:
        return kind(output_dir=str(Path(spec["out"]) / "checkpoints"), **chosen), chosen
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError(f"training.{task.method.name}: args: {error}") from error


def _trainer(how: Method, spec: dict[str, Any], config: Any, tokenizer: Any) -> Any:
    import trl
    from datasets import Dataset, disable_progress_bars
    from transformers import PrinterCallback

    from datagen.training import lengths
    from datagen.training.metrics_log import MetricsLog

    disable_progress_bars()
    cache = str(Path(spec["out"]) / "cache")
    data = Dataset.from_json(spec["train"], cache_dir=cache)
    held_out = Dataset.from_json(spec["eval"], cache_dir=cache) if spec["eval"] else None
    common: dict[str, Any] = {
        "model": spec["base"],
        "args": config,
        "train_dataset": data,
        "eval_dataset": held_out,
        "processing_class": tokenizer,
        "peft_config": None if spec["peft"] is None else adapters.lora(how, spec["peft"]),
    }
    if spec["quantization"] is not None:
        common["quantization_config"] = spec["quantization"]
    if how.trainer:
        trainer = importlib.import_module(how.trainer).make(spec, **common)
    else:
        trainer = getattr(trl, f"{how.trl}Trainer")(**common)
    if not how.samples and config.train_sampling_strategy == "group_by_length":
        lengths.group(trainer)
    if spec["quantization"] is not None:
        adapters.widen(trainer.model)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(MetricsLog(Path(spec["out"]) / "metrics.jsonl", emit))
    return trainer


def _run(trainer: Any, how: Method, spec: dict[str, Any], out: Path) -> dict[str, Any]:
    import torch

    started = time.monotonic()
    checkpoint = checkpoints.last_complete(out / "checkpoints")
    if checkpoint:
        emit("note", text=f"going on from step {checkpoints.step_of(checkpoint)}")
    worked = time.process_time()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds, worked = time.monotonic() - started, time.process_time() - worked
    reported = importlib.import_module(how.report).report(trainer) if how.report else {}
    _save(trainer, how, spec, out)
    peak = torch.cuda.max_memory_allocated() >> 20 if torch.cuda.is_available() else 0
    return {
        "steps": trainer.state.global_step,
        "epochs": round(trainer.state.epoch or 0, 3),
        "resumed_from_step": checkpoints.step_of(checkpoint),
        "train_seconds": round(seconds, 2),
        "train_cpu_seconds": round(worked, 2),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "peak_gpu_memory_mb": peak,
        **reported,
    }


def _save(trainer: Any, how: Method, spec: dict[str, Any], out: Path) -> None:
    """The whole model as safetensors, in the base's own precision, adapters merged."""
    unfinished = out / "model.unfinished"
    if trainer.is_world_process_zero():
        shutil.rmtree(unfinished, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    trainer.save_model(str(out / "adapter" if spec["peft"] is not None else unfinished))
    if not trainer.is_world_process_zero():
        return
    model = _whole(how, spec, out / "adapter" if spec["peft"] is not None else None, unfinished)
    model.config.pad_token_id = trainer.processing_class.pad_token_id
    model.save_pretrained(unfinished)
    trainer.processing_class.save_pretrained(unfinished)
    (unfinished / "training_args.bin").unlink(missing_ok=True)  # a pickle
    shutil.rmtree(out / "model", ignore_errors=True)
    unfinished.rename(out / "model")


def _whole(how: Method, spec: dict[str, Any], adapter: Path | None, folder: Path) -> Any:
    import transformers

    kind = getattr(transformers, f"AutoModelFor{how.model}")
    remote: dict[str, Any] = {"trust_remote_code": bool(spec["args"].get("trust_remote_code"))}
    dtype = transformers.AutoConfig.from_pretrained(spec["base"], **remote).dtype or "float32"
    if how.model == "SequenceClassification":
        remote["num_labels"] = 1
    if adapter is None:
        model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True, **remote)
    else:
        model = adapters.merged(kind, spec["base"], adapter, spec["quantization"], **remote)
        model = model.to(dtype) if dtype != "float32" else model
    return model


def _follow_parent() -> None:
    """Take in the parent's answers, and end when it does: its end of our stdin closes.

    An orphan would write into the next run's checkpoints.
    """
    rest = b""
    while chunk := os.read(0, 2**16):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            _answers.put(json.loads(line))
    os._exit(1)


_events = sys.stdout
_answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

if __name__ == "__main__":
    _events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    threading.Thread(target=_follow_parent, daemon=True).start()
    sys.exit(main(Path(sys.argv[1])))
