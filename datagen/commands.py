"""What each command does."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from datagen import config, runner
from datagen.config import Pipeline
from datagen.errors import ConfigError
from datagen.plugins import load_stage, stage_names
from datagen.progress import Progress
from datagen.report.export import export
from datagen.report.show import print_outcome, print_preview, print_run


def run(options: argparse.Namespace) -> int:
    """``datagen run``."""
    pipeline = config.load(options.file, config.parse_overrides(options.overrides))
    outcome = runner.run(
        pipeline, root=options.root, progress=_progress(options), until=_known(pipeline, options.until)
    )
    print_outcome(outcome)
    return 0


def check(options: argparse.Namespace) -> int:
    """``datagen check``."""
    pipeline = config.load(options.file, config.parse_overrides(options.overrides))
    done = runner.check(pipeline, options.root)
    for node in pipeline.nodes:
        inputs = ", ".join(f"{i.stage}.{i.part}" if i.part else i.stage for i in node.inputs)
        state = "done before" if done[node.name] else "to do"
        print(f"{node.name:<16} {node.stage.name:<28} {'from ' + inputs if inputs else '':<28} {state}")
    print(f"{len(pipeline.nodes)} stages, all names, keys and files check out")
    return 0


def preview(options: argparse.Namespace) -> int:
    """``datagen preview``."""
    pipeline = config.load(options.file, config.parse_overrides(options.overrides))
    few = runner.preview(pipeline, options.n)
    outcome = runner.run(few, root=options.root, progress=_progress(options))
    print_preview(outcome, options.n)
    return 0


def show(options: argparse.Namespace) -> int:
    """``datagen show``."""
    print_run(options.root, options.run, stage=options.stage, rows=options.n)
    return 0


def list_stages(options: argparse.Namespace) -> int:
    """``datagen list``."""
    if options.stage:
        stage = load_stage(options.stage)
        print(f"{stage.name}: {stage.summary}")
        for parameter in stage.parameters.values():
            if parameter.kind != "rng":
                kind = (
                    parameter.kind
                    if parameter.kind != "value"
                    else getattr(parameter.annotation, "__name__", str(parameter.annotation))
                )
                default = "required" if parameter.required else f"default {parameter.default!r}"
                print(f"  {parameter.name:<20} {kind:<24} {default}")
        return 0
    for name in stage_names():
        print(f"{name:<28} {load_stage(name).summary}")
    return 0


def filter(options: argparse.Namespace) -> int:
    """``datagen filter``."""
    stages: dict[str, Any] = {"data": {"use": "sources.jsonl", "path": options.data}}
    for words in options.use:
        name, *settings = shlex.split(words)
        stage = load_stage(name)
        stages[_free(stages, stage.method)] = {"use": stage.name, **config.parse_overrides(settings)}
    return _one_stage(options, stages)


def mix(options: argparse.Namespace) -> int:
    """``datagen mix``."""
    stages: dict[str, Any] = {}
    shares: dict[str, float] = {}
    settings: dict[str, Any] = {}
    for word in options.data:
        path, equals, value = word.rpartition("=")
        if not equals:
            path, value = word, "1"
        if Path(path).exists():
            name = _free(stages, "".join(c if c.isalnum() else "_" for c in Path(path).stem) or "data")
            name = name if name[0].isalpha() else f"data_{name}"
            stages[name] = {"use": "sources.jsonl", "path": path}
            shares[name] = float(yaml.safe_load(value))
        else:
            settings |= config.parse_overrides([word])
    if not shares:
        raise ConfigError("mix: none of these files exists: " + ", ".join(options.data))
    stages["mixture"] = {"use": "mixtures.blend", "from": shares, **settings}
    return _one_stage(options, stages)


def generate(options: argparse.Namespace) -> int:
    """``datagen generate``."""
    return _one_stage(options, _with_data(options))


def train(options: argparse.Namespace) -> int:
    """``datagen train``."""
    return _one_stage(options, _with_data(options))


def evaluate(options: argparse.Namespace) -> int:
    """``datagen evaluate``."""
    return _one_stage(options, _with_data(options))


def _with_data(options: argparse.Namespace) -> dict[str, Any]:
    stage = load_stage(options.stage)
    source = {"use": "sources.jsonl", "path": options.data}
    return {"data": source, stage.method: {"use": stage.name, **config.parse_overrides(options.settings)}}


def _one_stage(options: argparse.Namespace, stages: dict[str, Any]) -> int:
    """Run a pipeline that was typed rather than written, and put its result where the user wants it."""
    stem = "".join(
        c if c.isalnum() or c in "_-" else "_" for c in (options.output.stem if options.output else "result")
    )
    document = {
        "name": f"{options.handler}-{stem}",
        "seed": options.seed,
        "llms": config.parse_overrides(options.llm),
        "stages": stages,
    }
    pipeline = config.build(document, where=f"datagen {options.handler}")
    outcome = runner.run(pipeline, root=options.root, progress=_progress(options))
    print_outcome(outcome, rows=0)
    last = pipeline.nodes[-1].name
    if options.output is None:
        return 0
    if pipeline.nodes[-1].stage.shape == "job":
        made = outcome.folders[last] / "model"
        shutil.copytree(made if made.is_dir() else outcome.folders[last], options.output, dirs_exist_ok=True)
        print(f"wrote {options.output}")
        return 0
    for line in export(outcome, options.output, options.format):
        print(line)
    return 0


def _free(taken: dict[str, Any], name: str) -> str:
    return next(n for n in (f"{name}{i or ''}" for i in range(1000)) if n not in taken)


def _known(pipeline: Pipeline, until: str | None) -> str | None:
    names = [node.name for node in pipeline.nodes]
    if until is not None and until not in names:
        raise ConfigError(f"--until: no stage {until!r}; there are: {', '.join(names)}")
    return until


def _progress(options: argparse.Namespace) -> Progress:
    if not options.quiet and not options.json_log:
        sys.stdout.flush()
    return Progress.chosen(quiet=options.quiet, json_log=options.json_log)
