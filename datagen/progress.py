"""What a run says while it works: one calm line per stage; plain lines where there is no terminal; JSON on request."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any, Literal

from datagen.llm.client import LLM
from datagen.report.diversity import line
from datagen.store import Result, Writer

Style = Literal["live", "plain", "json", "silent"]
Done = Callable[[], int]
"""How much of a stage's total is done."""
_INTERVAL_S: dict[str, float] = {"live": 0.2, "plain": 10.0, "json": 10.0}
_LOOK_BACK_S = 60.0


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
    def stage(self, name: str, total: int, done: Done | None, writer: Writer | None, llms: list[LLM]) -> Iterator[None]:
        """Report on a stage until it ends; ``total`` is 0 where nobody knows it."""
        if self.style == "silent":
            yield
            return
        over = threading.Event()
        tracker = _Tracker(name, total, done, writer, llms)
        reporter = threading.Thread(target=self._report, args=(over, tracker), daemon=True)
        reporter.start()
        try:
            yield
        finally:
            over.set()
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
                reasons=result.reasons,
                calls=result.calls,
                replayed=result.replayed,
                prompt_tokens=result.prompt_tokens,
                completion_tokens=result.completion_tokens,
                usd=round(result.usd, 6),
                seconds=result.seconds,
                metrics=result.metrics,
            )
        elif self.style != "silent":
            when = "done before" if event == "skipped" else f"{result.seconds:.1f} s"
            sys.stderr.write(f"{_mark(event)} {result.name:<14} {summary(result):<60} {when}\n")
            if result.diversity and event == "finished":
                sys.stderr.write(f"  {'':<14} {line(result.diversity)}\n")
            sys.stderr.flush()

    def _report(self, over: threading.Event, tracker: _Tracker) -> None:
        said = ""
        while not over.wait(_INTERVAL_S[self.style]):
            if self.style == "json":
                self._json("progress", **tracker.numbers())
            elif self.style == "plain":
                if (now := tracker.line()) != said:  # after two minutes time is told in minutes
                    sys.stderr.write(f"  {now}\n")
                    sys.stderr.flush()
                said = now
            else:
                sys.stderr.write(f"\r\x1b[2K… {_cut(tracker.line(), shutil.get_terminal_size().columns - 3)}")
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

    def __init__(self, name: str, total: int, done: Done | None, writer: Writer | None, llms: list[LLM]) -> None:
        self.name, self.total, self.done, self.writer, self.llms = name, total, done, writer, llms
        self.started = time.monotonic()
        self.before = self._llm_counts()
        self.failed_before = self._failures()
        self.seen = deque([(self.started, 0)])

    def _llm_counts(self) -> tuple[float, ...]:
        counted = ("calls", "replayed", "completion_tokens", "usd")
        return tuple(sum(getattr(llm.stats, name) for llm in self.llms) for name in counted)

    def _failures(self) -> Counter[str]:
        return sum((Counter(dict(llm.stats.failures)) for llm in self.llms), Counter[str]())

    def numbers(self) -> dict[str, Any]:
        now = time.monotonic()
        numbers: dict[str, Any] = {"stage": self.name, "seconds": round(now - self.started, 1)}
        if self.total and self.done:
            done = self.done()
            numbers |= {"done": done, "total": self.total}
            if (left := self._left_s(now, done)) is not None:
                numbers["left_s"] = left
        if self.writer:
            numbers |= {"kept": self.writer.kept, "dropped": self.writer.dropped}
        return numbers | (self._asked(now - self.started) if self.llms else {})

    def _asked(self, seconds: float) -> dict[str, Any]:
        calls, replayed, tokens, usd = (now - then for now, then in zip(self._llm_counts(), self.before, strict=True))
        asked: dict[str, Any] = {
            "replies": calls,
            "replayed": replayed,
            "replies_per_s": round(calls / seconds, 1),
            "tokens_per_s": round(tokens / seconds),
        }
        if any(llm.price for llm in self.llms):
            asked["usd"] = round(usd, 4)
        return {**asked, "failures": dict((self._failures() - self.failed_before).most_common())}

    def _left_s(self, now: float, done: int) -> int | None:
        """By the speed of the last minute: what the journal replays goes faster than what is asked after it."""
        self.seen.append((now, done))
        while len(self.seen) > 2 and now - self.seen[1][0] >= _LOOK_BACK_S:
            self.seen.popleft()
        then, before = self.seen[0]
        return round((now - then) * (self.total - done) / (done - before)) if done > before else None

    def line(self) -> str:
        """The most wanted first: a narrow terminal cuts the end."""
        n = self.numbers()
        parts = [self.name]
        parts += [f"{n['done']:,}/{n['total']:,}"] if "done" in n else [f"{n['kept']:,} rows"] if self.writer else []
        parts += [f"{duration(n['left_s'])} left"] if "left_s" in n else [f"{duration(n['seconds'])} so far"]
        if self.llms:
            parts.append(f"{n['replies_per_s']:,.1f} replies/s  {n['tokens_per_s']:,} tokens/s")
            parts += [f"${n['usd']:,.2f}"] if "usd" in n else []
            parts += [f"{n['replayed']:,} replayed"] if n["replayed"] else []
        if failures := n.get("failures"):
            parts.append("failed: " + ", ".join(f"{count:,} {reason}" for reason, count in failures.items()))
        parts += [f"{n['dropped']:,} dropped"] if n.get("dropped") else []
        return "  ".join(parts)


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever says it shortest."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"


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
