"""What each command does."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from datagen import config, runner
from datagen.document import parse_overrides, parse_settings, parse_value
from datagen.errors import ConfigError, StageError
from datagen.pipeline import Pipeline
from datagen.plugins import Stage, load_stage, nearest, stage_names
from datagen.preview import preview as cut_down
from datagen.progress import Progress
from datagen.report.plan import print_plan, print_preset
from datagen.report.show import print_outcome, print_preview, print_run, read_run
from datagen.report.trace import print_trace
from datagen.report.why import print_why
from datagen.store import DROPPED


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
    from datagen.serve import command, find_model

    model = find_model(options.model, options.root)
    extra = _split("--server-args", options.server_args)
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


def filter(options: argparse.Namespace) -> int:
    """``datagen filter``."""
    stages: dict[str, Any] = {}
    for path in options.data:
        stages[_free(stages, "data")] = {"use": "sources.jsonl", "path": path}
    start: dict[str, Any] = {"from": list(stages)} if len(stages) > 1 else {}
    for words in options.use:
        name, *settings = _split("--use", words) or [""]
        stage = load_stage(name)
        if stage.name.partition(".")[0] not in ("filters", stage.name):
            raise ConfigError(f"--use {name}: {stage.name} is no filter")
        stages[_free(stages, stage.method)] = {"use": stage.name, **start, **parse_settings(settings)}
        start = {}
    return _one_stage(options, stages)


def mix(options: argparse.Namespace) -> int:
    """``datagen mix``."""
    stages: dict[str, Any] = {}
    shares: dict[str, float | None] = {}
    settings: dict[str, Any] = {}
    titles: dict[str, str] = {}
    allowed = [name for name, one in load_stage("mixtures.blend").parameters.items() if one.kind != "rng"]
    for word in options.data:
        key, equals, value = word.partition("=")
        if equals and key.partition(".")[0] in allowed and not Path(key).is_file():
            _set(settings, key, parse_value(value, word))
            continue
        path, share = _path_and_share(word)
        if not Path(path).is_file():
            raise ConfigError(f"mix: no file {path!r}{nearest(path, allowed)}; settings: {', '.join(allowed)}")
        name = _free(stages, _source_name(path))
        stages[name] = {"use": "sources.jsonl", "path": path}
        shares[name], titles[name] = share, path
    if not shares:
        raise ConfigError("mix: name at least one file")
    stages["mixture"] = {"use": "mixtures.blend", "from": _inputs(shares, settings), **_named(settings, titles)}
    if options.plan:
        print_plan(config.build(_document(options, stages), where="mix"), titles, options.tokenizer)
        return 0
    if options.output is None:
        raise ConfigError("mix: say where the result goes with -o, or look at it with --plan")
    return _one_stage(options, stages)


def _inputs(shares: dict[str, float | None], settings: dict[str, Any]) -> Any:
    """Files with shares, 1 where none is given; or files alone where the settings say how much of each."""
    if settings.keys() & {"counts", "temperature", "rate_max", "preset"} and not any(
        share is not None for share in shares.values()
    ):
        return list(shares)
    return {name: 1.0 if share is None else share for name, share in shares.items()}


def _set(settings: dict[str, Any], key: str, value: Any) -> None:
    """``caps=5``, or ``caps.a.jsonl=5`` for one file, whose name may have dots in it."""
    name, dot, file = key.partition(".")
    if not dot:
        settings[name] = value
    elif isinstance(of_files := settings.setdefault(name, {}), dict):
        of_files[file] = value
    else:
        raise ConfigError(f"mix: {key}: {name} is {of_files!r} already")


def _source_name(path: str) -> str:
    """A file's name, as it may stand for its rows in a mixture."""
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in Path(path).name.partition(".")[0])
    return name if name[:1].isalpha() and name != "mixture" else f"data_{name}"


def _named(settings: dict[str, Any], titles: dict[str, str]) -> dict[str, Any]:
    """The settings, whose ``counts`` and ``caps`` may speak of files, with the names of their sources."""
    names = {path: name for name, path in titles.items()}
    return {
        key: {names.get(str(one), one): number for one, number in value.items()} if isinstance(value, dict) else value
        for key, value in settings.items()
    }


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
    return {"data": source, stage.method: {"use": stage.name, **parse_settings(options.settings)}}


def _one_stage(options: argparse.Namespace, stages: dict[str, Any]) -> int:
    """Run a pipeline that was typed rather than written, and put its result where the user wants it."""
    if options.output is not None and "format" in options:
        from datagen.report.publish import check as check_export

        check_export(options)
        _spare(options.output, stages)
        _license(options.licence, stages)
    pipeline = config.build(_document(options, stages), where=options.handler)
    outcome = runner.run(pipeline, root=options.root, progress=_progress(options))
    said = _written(options, pipeline, outcome)  # before anything is printed: `| head` ends the program
    print_outcome(outcome, rows=0)
    for line in said:
        print(line)
    return 0


def _written(options: argparse.Namespace, pipeline: Pipeline, outcome: runner.Outcome) -> list[str]:
    """Put the last stage's result where the user wants it; gives back what to say about it."""
    if options.output is None:
        return []
    last = pipeline.nodes[-1]
    if last.stage.shape != "job":
        from datagen.report.provenance import Provenance
        from datagen.report.publish import publish

        drops = [folder for folder in outcome.folders.values() if (folder / DROPPED).is_file()]
        return list(publish(options, outcome, last.name, partial(Provenance.of, pipeline), drops))
    made = outcome.folders[last.name] / "model"
    shutil.copytree(made if made.is_dir() else outcome.folders[last.name], options.output, dirs_exist_ok=True)
    return [f"wrote {options.output}"]


def _spare(output: Path, stages: dict[str, Any]) -> None:
    for stage in stages.values():
        if "path" in stage and output.exists() and Path(stage["path"]).exists() and output.samefile(stage["path"]):
            raise ConfigError(f"-o {output}: is the file that is read; name another, so that nothing is lost")


def _license(words: list[str], stages: dict[str, Any]) -> None:
    """``cc-by-4.0`` for all files, ``a.jsonl=cc-by-4.0`` for one."""
    for word in words:
        file, _, licence = word.rpartition("=")
        of = [stage for stage in stages.values() if "path" in stage and file in ("", stage["path"])]
        if not of or not licence:
            raise ConfigError(f"--licence {word}: takes a licence, or FILE=LICENCE for one of the files")
        for stage in of:
            stage["licence"] = licence


def _document(options: argparse.Namespace, stages: dict[str, Any]) -> dict[str, Any]:
    stem = "".join(
        c if c.isalnum() or c in "_-" else "_" for c in (options.output.stem if options.output else "result")
    )
    return {
        "name": f"{options.handler}-{stem}",
        "seed": options.seed,
        "llms": parse_overrides(options.llm),
        "stages": stages,
    }


def _split(option: str, words: str) -> list[str]:
    try:
        return shlex.split(words)
    except ValueError as error:
        raise ConfigError(f"{option} {words!r}: {error}") from error


def _path_and_share(word: str) -> tuple[str, float | None]:
    path, equals, text = word.rpartition("=")
    if not equals or Path(word).is_file():
        return word, None
    share = parse_value(text, word)
    if not isinstance(share, int | float):
        raise ConfigError(f"mix: {word!r}: the share {text!r} is no number")
    return path, float(share)


def _free(taken: dict[str, Any], name: str) -> str:
    return next(n for n in (f"{name}{i or ''}" for i in range(1000)) if n not in taken)


def _known(pipeline: Pipeline, until: str | None) -> str | None:
    names = [node.name for node in pipeline.nodes]
    if until is not None and until not in names:
        raise ConfigError(f"--until: no stage {until!r}; there are: {', '.join(names)}")
    return until


def _loaded(options: argparse.Namespace) -> Pipeline:
    return config.load(options.file, parse_overrides(options.overrides), tiny=options.tiny)


def _progress(options: argparse.Namespace) -> Progress:
    return Progress.chosen(quiet=options.quiet, json_log=options.json_log)
