"""The quickstart against vLLM's own server: the same file, with the LLM entry changed on the command line."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import run

from datagen.llm import models
from datagen.store import read_result

PYTHON = os.environ.get("DATAGEN_VLLM_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="DATAGEN_VLLM_PYTHON names no Python with vLLM; scripts/test-vllm makes one"),
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    log = (tmp_path_factory.mktemp("vllm") / "log").open("w")
    command = [PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", models.resolve("tiny-teacher")]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"]
    command += ["--max-model-len", "512", "--enforce-eager"]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    deadline = time.monotonic() + 400
    while True:
        assert process.poll() is None, Path(log.name).read_text()[-2000:]
        assert time.monotonic() < deadline, "the server did not start within 400 s"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).close()
            break
        except OSError:
            time.sleep(1)
    yield f"http://127.0.0.1:{port}/v1"
    process.terminate()
    process.wait(timeout=60)
    log.close()


def test_the_quickstart_generates_and_grades_through_a_vllm_server(tmp_path: Path, server: str) -> None:
    entry = f"llms.teacher={{use: openai, base_url: '{server}', model: tiny, prompts: tiny}}"
    code, errors = run(tmp_path, "run", "quickstart", "-q", "--until", "graded", entry, "stages.tasks.count=60")
    assert code == 0, errors
    results = {
        path.parent.name.rpartition("-")[0]: read_result(path.parent) for path in tmp_path.glob("runs/*/*/stage.json")
    }
    assert results["tasks"].kept >= 40
    assert results["tasks"].calls > 60
    assert 0 < results["graded"].kept <= results["clean"].kept
    assert results["graded"].reasons.keys() <= {"grade:low_score", "grade:unparsed", "grade:truncated"}
