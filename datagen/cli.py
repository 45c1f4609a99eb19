"""The command line. Imports nothing heavy until a command needs it."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from datagen import __version__
from datagen.errors import ConfigError, DataError, DatagenError

_EXAMPLES = """\
examples:
  datagen run pipelines/quickstart.yaml                        the whole chain on the embedded models
  datagen run quickstart stages.tasks.count=500                with a setting changed
  datagen filter data.jsonl --use 'length min_words=3' --use dedup_rouge -o clean.jsonl
  datagen mix a.jsonl=0.7 b.jsonl=0.3 size=1000 -o mixed.jsonl
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 the work failed, 2 the user can mend it, 130 interrupted."""
    options = _parsed(argv)
    if options.handler is None:
        _parser().print_help()
        return 2
    _start_logging(verbose=options.verbose, quiet=options.quiet, as_json=options.json_log)
    try:
        module = importlib.import_module(f"datagen.{options.module}")
        code: int = getattr(module, options.handler)(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _say("stopped; what is done is kept, and the same command goes on from here", 130, options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit would fail again
        return 1
    except (DatagenError, OSError) as error:
        logging.getLogger("datagen").debug("", exc_info=True)
        return _say(error, 2 if isinstance(error, ConfigError | DataError) else 1, options)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options; ``key=value`` words may stand among them anywhere, which argparse by itself does not allow."""
    parser = _parser()
    options, words = parser.parse_known_args(argv)
    taking = next((name for name in ("overrides", "settings", "data") if isinstance(vars(options).get(name), list)), "")
    if words and (not taking or any(word.startswith("-") for word in words)):
        parser.error(f"unrecognized arguments: {' '.join(words)}")
    if words:
        getattr(options, taking).extend(words)
    return options


def _start_logging(*, verbose: bool, quiet: bool, as_json: bool) -> None:
    clear = "\r\x1b[2K" if sys.stderr.isatty() else ""  # the progress line may stand there
    level = logging.INFO if verbose else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else logging.Formatter(f"{clear}%(levelname)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    own = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    logging.getLogger("datagen").setLevel(own)


class _JsonLines(logging.Formatter):
    """A log line as an event among those of the progress."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        return _event(record.created, "log", level=record.levelname.lower(), message=record.getMessage())


def _event(when: float, event: str, **fields: object) -> str:
    import json

    return json.dumps({"time": round(when, 3), "event": event, **fields})


def _say(message: object, code: int, options: argparse.Namespace) -> int:
    line = " ".join(str(message).split())
    stopped = _event(time.time(), "stopped", message=line, exit=code) if options.json_log else f"datagen: {line}"
    sys.stderr.write(f"{stopped}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="datagen",
        description="Generate instruction data with LLMs, filter and mix it, and train on it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"datagen {__version__}")
    parser.set_defaults(handler=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _file_commands(commands)
    _one_stage_commands(commands)
    return parser


def _file_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _command(commands, "run", "run a pipeline file; finished stages and finished calls are not done again")
    run.add_argument("--until", metavar="STAGE", help="stop after this stage")
    check = _command(commands, "check", "check a pipeline file and show its plan, without doing anything")
    preview = _command(
        commands, "preview", "run a few records through the stages before training, and show what each did"
    )
    preview.add_argument("-n", type=int, default=3, metavar="N", help="records (default 3)")
    estimate = _command(commands, "estimate", "run a few records and say what the whole run will take")
    estimate.add_argument("-n", type=int, default=32, metavar="N", help="records (default 32)")
    for command in (run, check, preview, estimate):
        command.add_argument("file", help="a pipeline file, or the name of a shipped one")
        command.add_argument(
            "overrides", nargs="*", metavar="key=value", help="settings, such as stages.tasks.count=500"
        )
        command.add_argument(
            "--tiny", action="store_true", help="with the shipped models and small sizes, as the file's tiny: says"
        )
    show = _command(commands, "show", "show a run: the funnel, five rows, the scores, where everything lies")
    show.add_argument("run", nargs="?", default=None, help="a run's folder or name (default: the latest)")
    show.add_argument("--stage", help="show rows of this stage instead of the last one that made rows")
    show.add_argument("-n", type=int, default=5, metavar="N", help="rows to show (default 5)")
    exporting = _command(commands, "export", "write a run's rows in another format, with a data card, or to the hub")
    exporting.add_argument("run", help="a run's folder or name")
    exporting.add_argument("stage", nargs="?", help="which stage's rows (default: the last that made any)")
    exporting.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help=".jsonl, .json, .parquet, .arrow, or a hub folder",
    )
    _export_options(exporting)
    _journal_commands(
        _command(commands, "journal", "what the journal holds and what it cost; search, export, prune it")
    )
    serve = _command(commands, "serve", "serve a model over HTTP: vLLM where it is installed, else transformers")
    serve.add_argument("model", help="RUN.STAGE (quickstart.sft), a folder, a hub name, tiny-teacher or tiny-base")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument(
        "--server-args", default="", metavar="='--dtype float32 ...'", help="further options of the server"
    )
    trace = _command(
        commands, "trace", "print a row's ancestry down to the seeds, with the raw replies it was made from"
    )
    trace.add_argument("-n", type=int, default=20, metavar="N", help="rows to print (default 20)")
    why = _command(commands, "why", "say for each stage what became of a row: kept or dropped, why, the evidence")
    for command in (trace, why):
        command.add_argument("run", help="a run's folder or name")
        command.add_argument("id", help="the row's id, or how it begins; every line of a rows.jsonl begins with its id")
    listing = _command(commands, "list", "list all stages, or one stage's arguments")
    listing.add_argument("stage", nargs="?", help="a stage's name")


def _journal_commands(journal: argparse.ArgumentParser) -> None:
    actions = journal.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("stats", help="replies, tokens and money, by model and by run")
    grep = actions.add_parser("grep", help="show the replies that a regular expression matches")
    grep.add_argument("pattern")
    grep.add_argument("-n", type=int, default=None, metavar="N", help="stop after so many")
    export = actions.add_parser("export", help="write the raw replies as JSON lines")
    export.add_argument("-o", "--output", type=Path, required=True)
    prune = actions.add_parser("prune", help="delete replies; without --yes only say what would go")
    prune.add_argument("--older-than", type=float, default=None, metavar="DAYS")
    prune.add_argument("--yes", action="store_true", help="do it")
    for action in (grep, export, prune):
        action.add_argument("--model", default=None, metavar="NAME", help="only replies of this model")
    for action in actions.choices.values():
        action.add_argument("--root", type=Path, default=argparse.SUPPRESS, help="folder of the journal (default runs)")


def _one_stage_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    filtering = _command(commands, "filter", "filter one or more files: rows in = kept + dropped")
    filtering.add_argument("data", nargs="+", help="JSONL, JSON or Parquet, in any known format")
    filtering.add_argument(
        "--use",
        action="append",
        required=True,
        metavar="'STAGE key=value ...'",
        help="a filter and its settings; repeatable",
    )
    mixing = _command(commands, "mix", "mix files by share, count, temperature or preset")
    mixing.add_argument(
        "data", nargs="+", metavar="FILE[=SHARE] | key=value", help="files with shares, and settings such as size=1000"
    )
    mixing.add_argument("--plan", action="store_true", help="only show what each file would give, and its repeats")
    mixing.add_argument("--tokenizer", metavar="MODEL", help="whose tokens --plan counts (default: an estimate)")
    for name, verb in (
        ("generate", "generate rows from seed tasks"),
        ("train", "train on a file"),
        ("evaluate", "evaluate on a file"),
    ):
        command = _command(commands, name, verb)
        command.add_argument("stage", help=f"which method, such as {_METHODS[name]}")
        command.add_argument("data", help="JSONL, JSON or Parquet, in any known format")
        command.add_argument(
            "settings", nargs="*", metavar="key=value", help="the stage's settings (see `datagen list STAGE`)"
        )
    for name in ("filter", "mix", "generate", "train", "evaluate"):
        command = commands.choices[name]
        command.set_defaults(module="one_stage")
        command.add_argument(
            "-o", "--output", type=Path, required=name not in ("evaluate", "mix"), help="where the result goes"
        )
        command.add_argument(
            "--llm", action="append", default=[], metavar="NAME='{use: ..., ...}'", help="an LLM entry; repeatable"
        )
        command.add_argument("--seed", type=int, default=0)
        if name not in ("train", "evaluate"):
            _export_options(command)
            command.add_argument(
                "--licence", action="append", default=[], metavar="[FILE=]ID", help="of the files, for the data card"
            )


def _export_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format",
        default="records",
        choices=_FORMATS,
        metavar="FORMAT",
        help=f"of the output (default records): {', '.join(_FORMATS)}",
    )
    command.add_argument("--card", action="store_true", help="write a data card beside a file; a folder always has one")
    command.add_argument(
        "--push", default="", metavar="USER/NAME", help="upload the folder to the hub, private; the token is HF_TOKEN's"
    )
    command.add_argument("--public", action="store_true", help="with --push: for all to see")


_TRL = ("text", "prompt", "prompt-text", "completion", "completion-text", "preference", "preference-text",
        "preference-implicit", "preference-implicit-text", "unpaired", "unpaired-text")  # fmt: skip
_FORMATS = ("records", "messages", "alpaca", "sharegpt", *(f"trl-{name}" for name in _TRL))
_METHODS = {"generate": "self_instruct", "train": "sft", "evaluate": "exact_match"}


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help_text, description=help_text)
    command.set_defaults(module="commands", handler=name if name != "list" else "list_stages")
    command.add_argument(
        "--root", type=Path, default=Path("runs"), help="folder of runs and the journal (default runs)"
    )
    command.add_argument("-q", "--quiet", action="store_true", help="no progress and no notes, only warnings")
    command.add_argument("--json-log", action="store_true", help="progress as JSON lines on stderr")
    command.add_argument("-v", "--verbose", action="store_true", help="more log lines")
    return command


if __name__ == "__main__":
    sys.exit(main())
