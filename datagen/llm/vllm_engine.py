"""vLLM's engine with an event loop of its own, on one thread, from start to end: callers may come from any loop."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any, Literal

from datagen.errors import ConfigError, DatagenError, LLMError, StageError
from datagen.llm.base import Reply, Sampling
from datagen.llm.local_model import chat_tokens, room
from datagen.llm.vllm_processes import children, kill, watch
from datagen.llm.vllm_requests import reply, sampling_params, text_tokens
from datagen.record import Message

logger = logging.getLogger("datagen")
_ENVIRONMENT = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # to fork a process that has threads is a gamble
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    # What its processes would write at every start and end, and nobody can mend here.
    "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker,"
    "ignore::FutureWarning:vllm.triton_utils.dispatcher",
}
_starting = threading.Lock()  # an engine that starts measures the memory that is free


@dataclass(frozen=True)
class Settings:
    """What ``vllm`` was given, resolved; ``lora`` is the adapter's folder, or empty."""

    arguments: dict[str, Any]
    api: Literal["chat", "completions"]
    lora: str


class Engine:
    """One engine. It starts at once; requests wait until it is there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._closing = False
        self._closed = asyncio.Event()
        self._fatal: DatagenError | None = None
        self._engine: Any = None
        self._defaults: dict[str, Any] = {}
        self._lora: Any = None
        self._count = 0
        self._watch: subprocess.Popen[bytes] | None = None
        self._before: list[Any] | None = None
        """This process's children when the start began; None before and after it."""
        self._thread = threading.Thread(target=self._run, daemon=True, name="vllm")
        self._thread.start()

    async def ask(self, messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply:
        """One reply. Raises ``LLMError``, ``ConfigError`` and ``StageError`` (see ``VLLM.chat``)."""
        answer = asyncio.run_coroutine_threadsafe(self._reply(messages, sampling, sample), self._loop)
        return await asyncio.wrap_future(answer)

    def close(self) -> None:
        """Stop engine, processes and thread, also in the middle of a start."""
        self._closing = True
        self._loop.call_soon_threadsafe(self._closed.set)
        while self._thread.is_alive():
            if (before := self._before) is not None:
                kill(children(before))
            self._thread.join(0.2)

    def _run(self) -> None:
        try:
            with _starting:
                self._open()
        except DatagenError as error:
            self._fatal = error
        except Exception as error:  # noqa: BLE001 (a thread's end must reach those who wait for it)
            self._fatal = ConfigError(_not_started(error))
        self._loop.run_until_complete(self._until_closed())
        self._shut_down()
        self._loop.close()

    async def _until_closed(self) -> None:
        await self._closed.wait()
        await asyncio.sleep(0)  # what was asked last becomes a task
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _open(self) -> None:
        """Start the engine. Ctrl-C in a terminal reaches its processes too, which must leave it to this one."""
        os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
        if not logger.isEnabledFor(logging.DEBUG):
            os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        model = self._settings.arguments["model"]
        logger.info("vLLM's engine starts for %s; that takes half a minute or more", model)
        started = time.monotonic()
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.lora.request import LoRARequest
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        if self._settings.lora:
            self._lora = LoRARequest("lora", 1, self._settings.lora)
        resource_tracker.ensure_running()  # or it would be started below, and let interrupts through again
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._before = multiprocessing.active_children()
        try:
            if self._closing:
                raise LLMError("closed", "the LLM was closed")
            # The LLM class's context: its batch sizes are made for throughput, a server's for latency.
            arguments = AsyncEngineArgs(**self._settings.arguments)
            self._engine = AsyncLLM.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
            self._defaults = self._engine.model_config.get_diff_sampling_param()
            self._watch = watch(children(self._before))
        finally:
            self._before = None
        logger.info("vLLM's engine for %s is there after %.0f s", model, time.monotonic() - started)

    async def _reply(self, messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply:
        try:
            return await self._generated(messages, sampling, sample)
        except asyncio.CancelledError:
            if self._closing:
                raise LLMError("closed", "the LLM was closed") from None
            raise

    async def _generated(self, messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply:
        if self._fatal is not None:
            raise self._fatal
        from vllm.exceptions import VLLMError
        from vllm.v1.engine.exceptions import EngineDeadError

        tokenizer = self._engine.get_tokenizer()
        if self._settings.api == "chat":
            prompt = chat_tokens(tokenizer, messages, **(sampling.extra.get("chat_template_kwargs") or {}))
        else:
            prompt = text_tokens(tokenizer, messages)
        left = room(prompt, self._engine.model_config.max_model_len)
        wanted = sampling_params(sampling, sample, prompt, left, self._defaults)
        self._count += 1
        given = {"type": "token", "prompt_token_ids": prompt}
        try:
            async for output in self._engine.generate(given, wanted, str(self._count), lora_request=self._lora):
                final = output
        except EngineDeadError as error:
            raise StageError("vLLM's engine died; its own lines above say why") from error
        except VLLMError as error:
            raise _refused(error) from error
        return reply(final, sampling)

    def _shut_down(self) -> None:
        if self._engine is not None:
            self._engine.shutdown()
            self._engine = None
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()
            self._watch = None


def _refused(error: Exception) -> DatagenError:
    """What an error of vLLM's means for a request: what is wrong with its sampling is wrong with everyone's."""
    from vllm.exceptions import VLLMClientError, VLLMValidationError

    if isinstance(error, VLLMValidationError) and error.parameter:
        return ConfigError(f"use: vllm: {error}")
    if isinstance(error, VLLMClientError):
        return LLMError("bad_request", str(error))
    return LLMError("engine", f"vLLM gave this request up: {error.__cause__ or error}")


def _not_started(error: Exception) -> str:
    said = " ".join(str(error).split())[:500]
    if isinstance(error, ImportError):
        return f"use: vllm: {said}; run: pip install 'datagen[vllm]'"
    hint = (
        "vLLM's own lines above say why; gpu_memory_utilization and max_model_len bound its memory; "
        'a script needs if __name__ == "__main__":'
    )
    return f"use: vllm: the engine does not start: {type(error).__name__}: {said} ({hint})"
