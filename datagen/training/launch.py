"""A training run in its own process: a crash there is an error here, and its memory is free when it ends.

<out>/train.jsonl, eval.jsonl   the rows      <out>/metrics.jsonl   one line per logging step
<out>/checkpoints/              to go on from  <out>/worker.log     all that TRL and its libraries printed
<out>/model/                    the result, with a model card
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError, StageError
from datagen.llm.models import resolve
from datagen.stage import Rows
from datagen.training import card, checkpoints, settings
from datagen.training.adapters import check_peft
from datagen.training.method import Method
from datagen.training.rewards import Grader
from datagen.training.rows import Written, write_rows

_log = logging.getLogger("datagen.training")
_SAY_EVERY_S = 15.0
_LONGEST_LINE = 2**26  # a round of samples for a judge


async def train(
    method: Method,
    data: Rows,
    out: Path,
    *,
    base: str,
    args: dict[str, Any],
    peft: dict[str, Any] | None,
    eval_share: float,
    chat_template: Path | None,
    accelerate: str,
    keep_checkpoints: bool,
    rng: random.Random,
    options: dict[str, Any] = {},  # noqa: B006 - read only
    grader: Grader | None = None,
) -> dict[str, Any]:
    """Write the rows, train, write the card; the metrics. ``options`` are what a trainer of our own reads.

    ``grader`` answers the worker's questions about its samples here, where the LLMs and the journal are.

    Raises ``ConfigError`` and ``StageError``.
    """
    settings.check_args(method, args)
    check_peft(f"training.{method.name}", peft, args)
    folder = resolve(base)
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    seed = rng.getrandbits(31)
    written = write_rows(data, method.convert, out, eval_share=eval_share, rng=rng)
    if written.refused:
        _log.warning("left out: %s", ", ".join(f"{why} {count}" for why, count in written.refused.most_common()))
    spec = {
        "method": method.file,
        "base": folder,
        "train": str(out / "train.jsonl"),
        "eval": str(out / "eval.jsonl") if written.eval_rows else None,
        "out": str(out),
        "args": args,
        "peft": peft,
        "options": options,
        "chat_template": str(chat_template.resolve()) if chat_template else None,
        "seed": seed,
    }
    _begin(out, spec, written)
    result = await _run(out, accelerate, grader)
    metrics = _metrics(out, result, written)
    card.write(
        out / "model",
        method=method,
        base=base,
        folder=folder,
        spec=spec,
        written=written,
        metrics=metrics,
        settings=result["settings"],
    )
    if not keep_checkpoints:
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
    shutil.rmtree(out / "cache", ignore_errors=True)
    return metrics


def _begin(out: Path, spec: dict[str, Any], written: Written) -> None:
    """Write the spec; checkpoints of another spec or other rows are removed, since nothing can go on from them."""
    made_of = json.dumps([spec, written.digest], sort_keys=True)
    text = json.dumps({**spec, "digest": hashlib.sha256(made_of.encode()).hexdigest()}, indent=2)
    path = out / "spec.json"
    if not path.is_file() or path.read_text() != text:
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        (out / "metrics.jsonl").unlink(missing_ok=True)
    path.write_text(text)
    checkpoints.remove_incomplete(out / "checkpoints")
    (out / "result.json").unlink(missing_ok=True)


async def _run(out: Path, accelerate: str, grader: Grader | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "datagen.training.worker"]
    if accelerate:
        command = [sys.executable, "-m", "accelerate.commands.launch", *_accelerate(accelerate), *command[1:]]
    _log.info("training in its own process, under %s", "accelerate launch" if accelerate else "plain python")
    with (out / "worker.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            str(out / "spec.json"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=_environment(),
            limit=_LONGEST_LINE,
        )
        try:
            await _relay(process, grader)
            code = await process.wait()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    return _result(out, code)


def _accelerate(given: str) -> list[str]:
    """A config file for ``accelerate launch``, or one of those that TRL ships (``fsdp2``, ``zero3``, ...)."""
    shipped = settings.package("trl") / "accelerate_configs" / f"{given}.yaml"
    path = shipped if shipped.is_file() else Path(given)
    if not path.is_file():
        names = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.yaml")))
        raise ConfigError(f"accelerate: no file {given!r}; TRL ships: {names}")
    return ["--config_file", str(path)]


def _environment() -> dict[str, str]:
    quiet = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    return {**quiet, **os.environ}


async def _relay(process: asyncio.subprocess.Process, grader: Grader | None) -> None:
    assert process.stdout is not None, "stdout is a pipe"
    assert process.stdin is not None, "stdin is a pipe"
    said = time.monotonic()
    async for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event") == "note":
            _log.info("%s", event["text"])
        elif event.get("event") == "ask":
            assert grader is not None, "the worker asks only where options have a judge"
            process.stdin.write(json.dumps(await grader(event["rows"])).encode() + b"\n")
        elif event.get("event") == "step" and time.monotonic() - said >= _SAY_EVERY_S:
            said = time.monotonic()
            said_not = ("event", "step", "total", "tokens_per_s")
            named = [f"{name} {value:.3f}" for name, value in event.items() if name not in said_not]
            rate = event.get("tokens_per_s", "?")
            _log.info("step %d of %d, %s, %s tokens/s", event["step"], event["total"], ", ".join(named), rate)


def _result(out: Path, code: int) -> dict[str, Any]:
    path = out / "result.json"
    result: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    if "config_error" in result:
        raise ConfigError(result["config_error"])
    if code == 0 and result:
        return result
    lines = (out / "worker.log").read_text(errors="replace").strip().splitlines()
    last = lines[-1].strip() if lines else "it printed nothing"
    why = (
        f"killed by signal {-code}{' (out of memory?)' if code == -9 else ''}"
        if code < 0
        else f"exit code {code}: {last}"
    )
    raise StageError(
        f"training stopped, {why}; see {out / 'worker.log'}; the same command goes on from the last checkpoint"
    )


def _metrics(out: Path, result: dict[str, Any], written: Written) -> dict[str, Any]:
    log = out / "metrics.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    metrics: dict[str, Any] = {"train_loss": mean_loss(entries), "steps": result["steps"]}
    metrics |= {"tokens": max((entry.get("tokens", 0) for entry in entries), default=0)}
    metrics |= {"tokens_per_s": round(metrics["tokens"] / max(entries[-1]["seconds"], 1e-9)) if entries else 0}
    metrics |= {key: value for key, value in result.items() if key not in ("settings", "steps")}
    metrics |= {"rows": written.rows, "eval_rows": written.eval_rows, "refused": dict(written.refused)}
    for name in ("reward", "kl", "entropy"):
        logged = [entry[name] for entry in entries if entry.get(name) is not None]
        tenth = max(1, len(logged) // 10)
        metrics |= {f"{name}_first": _mean(logged[:tenth]), name: _mean(logged[-tenth:])} if logged else {}
    evaluated = [entry for entry in entries if "eval_loss" in entry]
    metrics |= {key: value for key, value in (evaluated[-1] if evaluated else {}).items() if key.startswith("eval_")}
    return metrics


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 6)


def mean_loss(entries: list[dict[str, Any]]) -> float | None:
    """The mean of the logged losses, each weighted by the steps since the log line before it; None without any.

    >>> mean_loss([{"step": 1, "loss": 4.0}, {"step": 4, "loss": 2.0}])
    2.5
    """
    total, before = 0.0, 0
    for entry in entries:
        if "loss" in entry:
            total += entry["loss"] * (entry["step"] - before)
            before = entry["step"]
    return round(total / before, 6) if before else None
