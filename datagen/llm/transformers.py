"""A model in this process: requests that wait share its forward passes (Yu et al., Orca, OSDI 2022).

Each row is sampled from its own seed, so a reply does not depend on what else was in its batch, but for the rounding
of matrix products, which can differ in the last bits with a batch's size: float32, the default on a CPU, makes a token
flip where two are that close, about never; bfloat16 now and then. ``None`` as temperature or top_p means 1. Weights are
read from safetensors only.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError
from datagen.llm import models
from datagen.llm.base import Reply, Sampling
from datagen.llm.decode_thread import Request, work
from datagen.llm.local_model import Settings, best_device, check_folder, check_template, named
from datagen.record import Message
from datagen.stage import ModelName


class Transformers:
    """The object behind ``transformers``. The model is loaded, by a thread of its own, when the first request comes."""

    def __init__(self, settings: Settings, *, model: str, weights: str) -> None:
        self.model = model
        self.concurrency = settings.concurrency
        self._settings = settings
        self._weights = weights
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """The weights' digest (or a hub name and revision), number format and kind of device; not the path."""
        settings = self._settings
        kind = settings.device.partition(":")[0]
        return {"backend": "transformers", "weights": self._weights, "dtype": settings.dtype, "device": kind}

    async def chat(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> Reply:
        """One reply. Raises ``LLMError`` (``context_length``, ``chat_template``), ``ConfigError``, ``StageError``."""
        if sampling.schema is not None or sampling.choice or sampling.extra:
            raise ConfigError(
                "use: transformers takes neither schema, choice nor extra sampling fields; use: vllm or openai does"
            )
        if self._thread is None:
            self._thread = threading.Thread(target=work, args=(self._settings, self._queue), daemon=True, name="decode")
            self._thread.start()
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.put(Request(messages, sampling, sample, done))
        return await done

    async def close(self) -> None:
        """Stop the thread and free the model; requests under way fail."""
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None


def transformers(
    *,
    model: ModelName,
    concurrency: int = 64,
    device: str = "auto",
    dtype: str = "auto",
    max_batch_tokens: int = 131_072,
    trust_remote_code: bool = False,
    revision: str | None = None,
    threads: int | None = None,
) -> Transformers:
    """A causal language model with a chat template, in this process.

    ``device`` and ``dtype`` ``auto``: a GPU in the model's own format where there is one, else the CPU in float32.
    ``concurrency`` rows share a forward pass as long as prompts and replies, padded, stay within ``max_batch_tokens``.

    Raises:
        ConfigError: no such model, or one without a chat template or safetensors.
    """
    path = models.resolve(model)
    device = best_device("transformers") if device == "auto" else device
    dtype = "float32" if dtype == "auto" and device == "cpu" else dtype
    settings = Settings(path, revision, device, dtype, concurrency, max_batch_tokens, trust_remote_code, threads)
    if (folder := Path(path)).is_dir():
        check_folder(model, folder)
        check_template(model, folder)
    name, weights = named(model, path, revision)
    return Transformers(settings, model=name, weights=weights)
