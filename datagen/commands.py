"""What each command does; those that run one stage on files are in ``one_stage``."""

from __future__ import annotations

import argparse
import os
from functools import partial

from datagen import config, runner
from datagen.document import parse_overrides
from datagen.errors import ConfigError, StageError
from datagen.pipeline import Pipeline
from datagen.plugins import Stage, load_stage, stage_names
from datagen.preview import preview as cut_down
from datagen.progress import Progress
from datagen.report.plan import print_preset
from datagen.report.show import print_outcome, print_preview, print_run, read_run
from datagen.report.trace import print_trace
from datagen.report.why import print_why


def run(options: argparse.Namespace) -> int:
    """``datagen run``."""
    pipeline = _loaded(options)
    outcome = runner.run(
        pipeline, root=options.root, progress=_progress(options), until=_known(pipeline, options.until)
    )
    print_outcome(outcome)
    return 0


def check(options: argparse.Namespace) -> int:
    """``datagen check``."""
    pipeline = _loaded(options)
    config.check_tiny(options.file)
    done = runner.check(pipeline, options.root)
    reads = {node.name: f"from {', '.join(map(str, node.inputs))}" if node.inputs else "" for node in pipeline.nodes}
    columns = [reads, [node.stage.name for node in pipeline.nodes], reads.values()]
    names, uses, inputs = (max(map(len, column)) for column in columns)
    for node in pipeline.nodes:
        state = "done before" if done[node.name] else "to do"
        print(f"{node.name:<{names}}  {node.stage.name:<{uses}}  {reads[node.name]:<{inputs}}  {state}")
        print_preset(node)
    print(f"{len(pipeline.nodes)} stages, all names, keys and files check out")
    return 0


def preview(options: argparse.Namespace) -> int:
    """``datagen preview``."""
    pipeline = _loaded(options)
    few = cut_down(pipeline, options.n)
    try:
        runner.run(few, root=options.root, progress=_progress(options))
    except StageError as error:
        print_preview(options.root, few, options.n)
        raise StageError(f"{error} (of the {options.n} records of the preview)") from error
    print_preview(options.root, few, options.n)
    return 0


def estimate(options: argparse.Namespace) -> int:
    """``datagen estimate``."""
    from datagen.estimate import estimate as estimated
    from datagen.report.estimate import print_estimates

    pipeline = _loaded(options)
    try:
        found = estimated(pipeline, options.n, root=options.root, progress=_progress(options))
    except StageError as error:
        what = str(error).partition("; see ")[0]  # the folder is gone
        raise StageError(f"{what} (of the {options.n} records of the estimate; datagen preview shows them)") from error
    names = {one.stage for one in found}
    print_estimates(found, [node.name for node in pipeline.nodes if node.name not in names], options.n)
    return 0


def show(options: argparse.Namespace) -> int:
    """``datagen show``."""
    print_run(options.root, options.run, stage=options.stage, rows=options.n)
    return 0


def export(options: argparse.Namespace) -> int:
    """``datagen export``."""
    from datagen.report.provenance import Provenance
    from datagen.report.publish import check, publish

    check(options)
    outcome, _ = read_run(options.root, options.run)
    there = [name for name, result in outcome.results.items() if result.shape != "job"]
    stage = options.stage or (there[-1] if there else "")
    if stage not in there:
        raise ConfigError(f"{outcome.folder}: no finished stage {stage!r} with rows; there are: {', '.join(there)}")
    made = partial(Provenance.saved, outcome.folder)
    for line in list(publish(options, outcome, stage, made, ())):
        print(line)
    return 0


def journal(options: argparse.Namespace) -> int:
    """``datagen journal``."""
    from datagen.report.journal import command

    return command(options)


def serve(options: argparse.Namespace) -> int:
    """``datagen serve``: this process becomes the server."""
    from datagen.one_stage import split
    from datagen.serve import command, find_model

    model = find_model(options.model, options.root)
    extra = split("--server-args", options.server_args)
    server, words = command(model, options.model, host=options.host, port=options.port, extra=extra)
    known_as = options.model if server == "vLLM" else model
    entry = f"{{use: openai, base_url: 'http://{options.host}:{options.port}/v1', model: {known_as}}}"
    print(f"{server} serves {options.model}; as an LLM entry: {entry}", flush=True)
    os.execv(words[0], words)
    return 0


def trace(options: argparse.Namespace) -> int:
    """``datagen trace``."""
    print_trace(options.root, options.run, options.id, most=options.n)
    return 0


def why(options: argparse.Namespace) -> int:
    """``datagen why``."""
    print_why(options.root, options.run, options.id)
    return 0


def list_stages(options: argparse.Namespace) -> int:
    """``datagen list``."""
    if options.stage:
        _print_stage(load_stage(options.stage))
        return 0
    names = stage_names()
    width = max(map(len, names))
    for name in names:
        print(f"{name:<{width}}  {load_stage(name).summary}")
    return 0


def _print_stage(stage: Stage) -> None:
    print(f"{stage.name}: {stage.summary}\n\n{stage.details}\n")
    for parameter in stage.parameters.values():
        if parameter.kind != "rng":
            default = "required" if parameter.required else f"default {parameter.default!r}"
            print(f"  {parameter.name:<20} {parameter.spelled:<24} {default}")


def _known(pipeline: Pipeline, until: str | None) -> str | None:
    names = [node.name for node in pipeline.nodes]
    if until is not None and until not in names:
        raise ConfigError(f"--until: no stage {until!r}; there are: {', '.join(names)}")
    return until


def _loaded(options: argparse.Namespace) -> Pipeline:
    return config.load(options.file, parse_overrides(options.overrides), tiny=options.tiny)


def _progress(options: argparse.Namespace) -> Progress:
    return Progress.chosen(quiet=options.quiet, json_log=options.json_log)
