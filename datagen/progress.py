"""What a run says while it works: one calm line per stage; plain lines where there is no terminal; JSON on request."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, Protocol

from datagen.llm.client import LLM
from datagen.report.diversity import line
from datagen.store import Result, Writer

Style = Literal["live", "plain", "json", "silent"]
_INTERVAL_S: dict[str, float] = {"live": 0.2, "plain": 10.0, "json": 10.0}


class _Read(Protocol):
    read: int


class Progress:
    """Reports to one stream (stderr). ``live`` redraws a line, ``plain`` and ``json`` write one every ten seconds."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self._drawn = False

    @classmethod
    def silent(cls) -> Progress:
        """No reports at all."""
        return cls("silent")

    @classmethod
    def chosen(cls, *, quiet: bool = False, json_log: bool = False) -> Progress:
        """The style that fits the flags and the terminal."""
        if json_log:
            return cls("json")
        return cls("silent" if quiet else "live" if sys.stderr.isatty() else "plain")

    @contextlib.contextmanager
    def stage(
        self, name: str, total: int, writer: Writer | None, llms: list[LLM], counted: _Read | None
    ) -> Iterator[None]:
        """Report on a stage until it ends."""
        if self.style == "silent":
            yield
            return
        done = threading.Event()
        tracker = _Tracker(name, total, writer, llms, counted)
        reporter = threading.Thread(target=self._report, args=(done, tracker), daemon=True)
        reporter.start()
        try:
            yield
        finally:
            done.set()
            reporter.join()
            self._clear()

    def finished(self, result: Result) -> None:
        """One line that stays: what the stage did."""
        self._final("finished", result)

    def skipped(self, result: Result) -> None:
        """One line: the stage was done before."""
        self._final("skipped", result)

    def _final(self, event: str, result: Result) -> None:
        if self.style == "json":
            self._json(
                event,
                stage=result.name,
                kept=result.kept,
                dropped=result.dropped,
                seconds=result.seconds,
                metrics=result.metrics,
            )
        elif self.style != "silent":
            when = "done before" if event == "skipped" else f"{result.seconds:.1f} s"
            sys.stderr.write(f"{_mark(event)} {result.name:<14} {summary(result):<60} {when}\n")
            if result.diversity and event == "finished":
                sys.stderr.write(f"  {'':<14} {line(result.diversity)}\n")
            sys.stderr.flush()

    def _report(self, done: threading.Event, tracker: _Tracker) -> None:
        while not done.wait(_INTERVAL_S[self.style]):
            if self.style == "json":
                self._json("progress", **tracker.numbers())
            elif self.style == "plain":
                sys.stderr.write(f"  {tracker.line()}\n")
                sys.stderr.flush()
            else:
                width = shutil.get_terminal_size().columns - 3
                sys.stderr.write(f"\r\x1b[2K… {tracker.line()[:width]}")
                sys.stderr.flush()
                self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[2K")
            self._drawn = False

    def _json(self, event: str, **fields: Any) -> None:
        sys.stderr.write(json.dumps({"time": round(time.time(), 3), "event": event, **fields}) + "\n")
        sys.stderr.flush()


class _Tracker:
    """Reads the counters of a stage that is running."""

    def __init__(self, name: str, total: int, writer: Writer | None, llms: list[LLM], counted: _Read | None) -> None:
        self.name, self.total, self.writer, self.llms, self.counted = name, total, writer, llms, counted
        self.started = time.monotonic()
        self.before = self._llm_counts()
        self.failed_before = self._failures()

    def _llm_counts(self) -> tuple[float, ...]:
        counted = ("calls", "replayed", "completion_tokens", "usd")
        return tuple(sum(getattr(llm.stats, name) for llm in self.llms) for name in counted)

    def _failures(self) -> Counter[str]:
        return sum((Counter(dict(llm.stats.failures)) for llm in self.llms), Counter[str]())

    def numbers(self) -> dict[str, Any]:
        seconds = time.monotonic() - self.started
        calls, replayed, tokens, usd = (now - then for now, then in zip(self._llm_counts(), self.before, strict=True))
        numbers: dict[str, Any] = {"stage": self.name, "total": self.total, "seconds": round(seconds, 1)}
        if self.writer:
            numbers |= {"kept": self.writer.kept, "dropped": self.writer.dropped}
        if self.counted and self.counted.read:
            numbers["read"] = self.counted.read
        done = numbers.get("kept", 0) + numbers.get("dropped", 0)
        if numbers.get("read") and 0 < done <= self.total:
            numbers["left_s"] = round(seconds * (self.total - done) / done)
        if self.llms:
            numbers |= {
                "replies": calls,
                "replayed": replayed,
                "replies_per_s": round(calls / seconds, 1),
                "tokens_per_s": round(tokens / seconds),
            }
            if any(llm.price for llm in self.llms):
                numbers["usd"] = round(usd, 4)
            numbers["failures"] = dict(self._failures() - self.failed_before)
        return numbers

    def line(self) -> str:
        n = self.numbers()
        parts = [f"{self.name:<14}"]
        if "read" in n:
            parts.append(f"read {n['read']:,}/{n['total']:,}")
        if self.writer:
            parts.append(f"kept {n['kept']:,}  dropped {n['dropped']:,}")
        if self.llms:
            parts.append(f"{n['replies']:,} replies  {n['replies_per_s']:.0f}/s  {n['tokens_per_s']:,} tokens/s")
            parts += [f"${n['usd']:.2f}"] if "usd" in n else []
            parts += [f"{count} {reason}" for reason, count in n["failures"].items()]
        left = [f"{n['left_s']} s left"] if "left_s" in n else []
        return "  ".join([*parts, f"{n['seconds']:.0f} s", *left])


def _mark(event: str) -> str:
    return "=" if event == "skipped" else "✓"


def summary(result: Result) -> str:
    """What a stage did, in a few words."""
    if result.shape == "job":
        numbers = [
            f"{key} {value:,}" if isinstance(value, int) else f"{key} {value:.3f}"
            for key, value in result.metrics.items()
            if isinstance(value, (int, float))
        ]
        return "  ".join(numbers[:4])
    text = f"{result.kept:,} rows" if result.shape == "source" else f"{result.kept:,} kept"
    if result.dropped:
        reasons = ", ".join(
            f"{reason.partition(':')[2]} {count:,}" for reason, count in list(result.reasons.items())[:3]
        )
        text += f", {result.dropped:,} dropped ({reasons})"
    if result.calls or result.replayed:
        text += f", {result.calls:,} calls" + (f" + {result.replayed:,} replayed" if result.replayed else "")
    if result.usd:
        text += f", ${result.usd:.2f}"
    return text
