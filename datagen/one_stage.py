"""The commands that run one stage, or a few filters, on files: a pipeline that is typed rather than written."""

from __future__ import annotations

import argparse
import shlex
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from datagen import config, runner
from datagen.document import parse_overrides, parse_settings, parse_value
from datagen.errors import ConfigError
from datagen.pipeline import Pipeline
from datagen.plugins import load_stage, nearest
from datagen.progress import Progress
from datagen.report.plan import print_plan
from datagen.report.show import print_outcome
from datagen.store import DROPPED


def filter(options: argparse.Namespace) -> int:
    """``datagen filter``."""
    stages: dict[str, Any] = {}
    for path in options.data:
        stages[_free(stages, "data")] = {"use": "sources.jsonl", "path": path}
    start: dict[str, Any] = {"from": list(stages)} if len(stages) > 1 else {}
    for words in options.use:
        name, *settings = split("--use", words) or [""]
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
    outcome = runner.run(
        pipeline, root=options.root, progress=Progress.chosen(quiet=options.quiet, json_log=options.json_log)
    )
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


def split(option: str, words: str) -> list[str]:
    """Words as a shell would have them. Raises ``ConfigError``."""
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
