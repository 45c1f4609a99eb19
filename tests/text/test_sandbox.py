from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from datagen.text.sandbox import Limits, Outcome, run_python, why_not_shut_in

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space are Linux's")
shut_in = pytest.mark.skipif(why_not_shut_in() is not None, reason="no user namespaces here")
LIMITS = Limits(cpu_s=1, wall_s=20, memory_mib=512, shut_in=why_not_shut_in() is None)


def ran(*parts: str, limits: Limits = LIMITS) -> Outcome:
    return run_python(list(parts), limits)


def test_it_tells_the_end_of_a_program_from_leaving_before_it() -> None:
    assert ran("x = 1", "assert x == 1").ending == "end"
    assert ran("raise SystemExit(0)", "assert False").ending == "exit"


def test_an_error_comes_with_its_last_line_and_the_end_of_stderr() -> None:
    found = ran("def f():\n    return 1 / 0\n", "f()")
    assert found.ending == "error"
    assert found.last_line == "ZeroDivisionError: division by zero"
    assert "test_1.py" in found.stderr
    assert ran("raise SystemExit(3)").last_line == "exit status 3"
    assert ran("import os; os.abort()").last_line == "died of SIGABRT"
    assert ran("import os; os.kill(os.getpid(), 15)").last_line == "died of SIGTERM"
    assert ran("import os; os.kill(os.getpid(), 9)").ending == "memory"


@pytest.mark.parametrize("status", [130, 137, 147, 200, 255])
def test_a_status_above_128_is_an_error_and_no_signal(status: int) -> None:
    found = ran(f"raise SystemExit({status})")
    assert (found.ending, found.last_line) == ("error", f"exit status {status}")


@linux
def test_time_and_memory_are_limited() -> None:
    assert ran("while True: pass").ending == "timeout"
    assert ran("import time; time.sleep(60)", limits=Limits(wall_s=0.8, shut_in=LIMITS.shut_in)).ending == "timeout"
    assert ran("x = bytearray(2 << 30)").ending == "memory"


def test_what_it_left_running_is_killed_and_does_not_hold_up_the_verdict() -> None:
    code = "import os, time\nif os.fork() == 0:\n    os.setsid() if {} else None\n    time.sleep(60)\n"
    assert ran(code.format(False)).ending == "end"
    assert ran(code.format(LIMITS.shut_in)).ending == "end"


def test_output_is_cut_and_input_is_empty() -> None:
    found = ran("import sys\nfor n in range(20_000): print('x' * 50); sys.stderr.write(f'{n} ' * 5)")
    assert found.ending == "end"
    assert len(found.stderr) <= 4096
    assert found.stderr.endswith("19999 ")
    assert ran("input()").last_line.startswith("EOFError")


def test_nothing_of_the_environment_or_the_open_files_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "hush")
    with Path(__file__).open() as held:
        os.set_inheritable(held.fileno(), True)
        code = (
            f"import os\nassert 'MY_API_KEY' not in os.environ\nassert os.listdir('.') == []\nos.fstat({held.fileno()})"
        )
        assert ran(code).last_line == "OSError: [Errno 9] Bad file descriptor"


@shut_in
def test_shut_in_it_reaches_neither_network_nor_files_nor_processes(tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_text("kept")
    assert "Read-only" in ran(f"open({str(target)!r}, 'w')").last_line
    assert "Read-only" in ran(f"import os; os.remove({str(target)!r})").last_line
    assert target.read_text() == "kept"
    assert "unreachable" in ran("import socket; socket.create_connection(('127.0.0.1', 9), 2)").last_line
    assert ran(f"import os; os.kill({os.getpid()}, 0)").last_line.startswith("ProcessLookupError")
    assert ran(f"import os; assert not os.path.exists('/proc/{os.getpid()}/environ')").ending == "end"
    assert ran("open('mine', 'w').write('x')").ending == "end"
    assert ran("f = open('big', 'wb')\nfor _ in range(99): f.write(bytes(1 << 20))").ending == "error"
    assert ran("import os; os.setuid(0)").ending == "error"


@shut_in
def test_it_has_no_capability_left_over_the_namespace_it_is_in() -> None:
    code = "status = open('/proc/self/status').read()\nassert 'CapEff:\\t0000000000000000' in status\n"
    assert ran(f"{code}assert 'NoNewPrivs:\\t1' in status").ending == "end"


def test_the_order_of_a_set_is_the_same_in_every_run() -> None:
    code = "raise SystemExit(' '.join({'a', 'b', 'c', 'd', 'e', 'f'}))"
    assert ran(code).last_line == ran(code).last_line
