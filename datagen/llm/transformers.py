"""A model in this process: requests that wait share its forward passes (Yu et al., Orca, OSDI 2022).

Each row is sampled from its own seed, so a reply does not depend on what else was in its batch, but for the rounding
of matrix products, which can differ in the last bits with a batch's size: float32, the default on a CPU, makes a token
flip where two are that close, about never; bfloat16 now and then. ``None`` as temperature or top_p means 1. Weights are
read from safetensors only.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import queue
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datagen.errors import ConfigError, DatagenError, LLMError, StageError
from datagen.llm import models
from datagen.llm.base import Reply, Sampling
from datagen.record import Message
from datagen.rng import derive
from datagen.stage import ModelName

if TYPE_CHECKING:
    from datagen.llm.decoding import Decoder, Row

_DEFAULT_MAX_TOKENS = 1024
_GATHER_S = 0.003
_PATIENCE_STEPS = 8
_HASHED = ("*.safetensors", "*config.json", "tokenizer*", "*.jinja", "*_tokens*.json", "vocab.*", "merges.txt", "*.py")
_loading = threading.Lock()  # transformers changes global state while it loads: two at once spoil each other's weights


# Small matrices gain little from a second thread, and where another program has a core, the threads that wait for each
# other at every step make it a hundred times slower (measured: 8 tokens/s for 800).
_ONE_THREAD_BELOW = 20_000_000


@dataclass(frozen=True)
class Settings:
    """What ``transformers`` was given, resolved."""

    path: str
    revision: str | None
    device: str
    dtype: str
    concurrency: int
    max_batch_tokens: int
    trust_remote_code: bool
    threads: int | None


@dataclass(frozen=True, eq=False)
class _Request:
    messages: Sequence[Message]
    sampling: Sampling
    sample: int
    done: asyncio.Future[Reply]


class Transformers:
    """The object behind ``transformers``. The model is loaded, by a thread of its own, when the first request comes."""

    def __init__(self, settings: Settings, *, model: str, weights: str) -> None:
        self.model = model
        self.concurrency = settings.concurrency
        self._settings = settings
        self._weights = weights
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
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
            self._thread = threading.Thread(
                target=_work, args=(self._settings, self._queue), daemon=True, name="decode"
            )
            self._thread.start()
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.put(_Request(messages, sampling, sample, done))
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
    device = _best_device() if device == "auto" else device
    dtype = "float32" if dtype == "auto" and device == "cpu" else dtype
    settings = Settings(path, revision, device, dtype, concurrency, max_batch_tokens, trust_remote_code, threads)
    folder = Path(path)
    if not folder.is_dir():
        return Transformers(settings, model=model, weights=f"{path}@{revision or 'main'}")
    _check_folder(model, folder)
    digest = _digest(folder)
    name = model if model != path and not Path(model).exists() else f"{folder.name}@{digest[:8]}"
    return Transformers(settings, model=name, weights=digest)


def _best_device() -> str:
    try:
        import torch
    except ImportError as error:
        raise ConfigError("use: transformers needs torch; run: pip install 'datagen[transformers]'") from error
    return "cuda" if torch.cuda.is_available() else "cpu"


def _check_folder(model: str, folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"model {model}: no .safetensors file in {folder}; other formats can hold code and are not read"
        )
    config = folder / "tokenizer_config.json"
    inline = config.is_file() and b'"chat_template"' in config.read_bytes()
    if not inline and not (folder / "chat_template.jinja").is_file():
        raise ConfigError(
            f"model {model}: its tokenizer has no chat template, so it cannot be asked; train it to chat first"
        )


def _digest(folder: Path) -> str:
    """Digest of all files that make the model answer as it does, whatever the folder is called."""
    digest = hashlib.sha256()
    for file in sorted({file for pattern in _HASHED for file in folder.glob(pattern) if file.is_file()}):
        status = file.stat()
        digest.update(f"{file.name} {_file_digest(file, status.st_size, status.st_mtime_ns)}\n".encode())
    return digest.hexdigest()


@functools.lru_cache(maxsize=256)
def _file_digest(file: Path, size: int, mtime_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _work(settings: Settings, requests: queue.SimpleQueue[_Request | None]) -> None:
    """The thread: load, then decode until told to stop. An error goes to everyone who waits, and to later callers."""
    worker = None
    try:
        worker = _Worker(settings, requests)
        while worker.turn():
            pass
        worker.fail(LLMError("closed", "the LLM was closed"))
        return
    except DatagenError as error:
        fatal = error
    except Exception as error:  # noqa: BLE001 (a thread's end must reach those who wait for it, or they wait for ever)
        fatal = StageError(
            f"use: transformers: {type(error).__name__}: {error}; a smaller concurrency needs less memory"
        )
    if worker is not None:
        worker.fail(fatal)
    while (request := requests.get()) is not None:
        _settle([(request.done, fatal)])


class _Worker:
    """Requests in, replies out; everything here runs on the worker's thread."""

    def __init__(self, settings: Settings, requests: queue.SimpleQueue[_Request | None]) -> None:
        self._requests = requests
        self._decoder, self._tokenizer, self._context = _load(settings)
        self._waiting: deque[Row] = deque()
        self._patience = 0

    def turn(self) -> bool:
        """Take in requests, let rows join, one step. False when told to stop."""
        running = self._collect()
        if joining := self._joining():
            self._decoder.join(joining)
        if self._decoder.rows:
            _settle([(row.done, row.reply()) for row in self._decoder.step()])
        return running

    def _collect(self) -> bool:
        """Move what has come to ``_waiting``; an idle worker waits for a first request and for those on its heels."""
        idle = not self._decoder.rows and not self._waiting
        arrived: list[_Request | None] = []
        with suppress(queue.Empty):
            if idle:
                arrived.append(self._requests.get())
            while None not in arrived and len(arrived) < 16 * self._decoder.slots:
                wait = idle and len(arrived) < self._decoder.slots
                arrived.append(self._requests.get(block=wait, timeout=_GATHER_S if wait else None))
        for request in arrived:
            if request is not None and not request.done.cancelled():
                self._accept(request)
        return None not in arrived

    def _accept(self, request: _Request) -> None:
        try:
            self._waiting.append(_row(request, self._tokenizer, self._context))
        except DatagenError as error:
            _settle([(request.done, error)])

    def _joining(self) -> list[Row]:
        """The rows that join now: the longest waiting first, and several together, as each reading of prompts costs."""
        free = self._decoder.slots - len(self._decoder.rows)
        enough = min(max(1, self._decoder.slots // 8), max(1, len(self._waiting)))
        self._patience += 1
        if not self._waiting or not free or (self._decoder.rows and free < enough and self._patience < _PATIENCE_STEPS):
            return []
        self._patience = 0
        joining: list[Row] = []
        while self._waiting and self._decoder.fits(self._waiting[0], joining):
            row = self._waiting.popleft()
            if not row.done.cancelled():
                joining.append(row)
        return joining

    def fail(self, error: DatagenError) -> None:
        """Tell everyone who waits."""
        rows = [*self._decoder.rows, *self._waiting]
        self._decoder.rows.clear()
        self._waiting.clear()
        _settle([(row.done, error) for row in rows])


def _load(settings: Settings) -> tuple[Decoder, Any, int]:
    """Decoder, tokenizer and context length. Raises ``ConfigError``."""
    try:
        import torch
        from safetensors import SafetensorError
        from transformers.utils import logging

        from datagen.llm.decoding import Decoder
    except ImportError as error:
        raise ConfigError(f"use: transformers: {error}; run: pip install 'datagen[transformers]'") from error
    logging.disable_progress_bar()
    try:
        with _loading:
            model, tokenizer = _read_model(settings)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ConfigError(f"model {settings.path}: cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    if settings.threads or model.num_parameters() < _ONE_THREAD_BELOW:
        torch.set_num_threads(settings.threads or 1)
    if not tokenizer.chat_template:
        raise ConfigError(f"model {settings.path}: its tokenizer has no chat template, so it cannot be asked")
    decoder = Decoder(model, tokenizer, slots=settings.concurrency, max_batch_tokens=settings.max_batch_tokens)
    decoder.prepare()
    return decoder, tokenizer, _context_length(model.config, tokenizer)


def _read_model(settings: Settings) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    common = {"revision": settings.revision, "trust_remote_code": settings.trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(settings.path, **common)
    model, report = AutoModelForCausalLM.from_pretrained(
        settings.path, dtype=settings.dtype, use_safetensors=True, output_loading_info=True, **common
    )
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"the weights lack {len(missing)} tensors, such as {missing[0]}")
    return model.to(settings.device).eval(), tokenizer


def _context_length(config: Any, tokenizer: Any) -> int:
    """Positions that every layer attends to in full: past a sliding window our cache would see too much."""
    text = config.get_text_config()
    limits = [text.max_position_embeddings, tokenizer.model_max_length]
    if getattr(text, "use_sliding_window", True) and (window := getattr(text, "sliding_window", None)):
        limits.append(window)
    return int(min(limits))


def _row(request: _Request, tokenizer: Any, context: int) -> Row:
    """The request in tokens. Raises ``LLMError``."""
    from jinja2 import TemplateError

    from datagen.llm.decoding import Row

    chat = [{"role": message.role, "content": message.content} for message in request.messages]
    try:
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False)
    except TemplateError as error:
        raise LLMError("chat_template", f"the model's chat template refuses these messages: {error}") from error
    room = context - len(prompt)
    if room < 1:
        raise LLMError("context_length", f"{len(prompt)} prompt tokens, and a context of {context}")
    sampling = request.sampling
    max_tokens = min(room, sampling.max_tokens or _DEFAULT_MAX_TOKENS)
    return Row(prompt, _choice(sampling, prompt, request.sample), max_tokens, sampling.stop, request.done)


def _choice(sampling: Sampling, prompt: list[int], sample: int) -> Any:
    """How the reply is sampled; without a seed the prompt is the seed: a reply is a function of its request."""
    from datagen.llm.token_sampling import Choice

    seed = sampling.seed if sampling.seed is not None else prompt
    return Choice(
        rng=derive("sampling", seed, sample),
        temperature=1.0 if sampling.temperature is None else sampling.temperature,
        top_p=1.0 if sampling.top_p is None else sampling.top_p,
        top_k=max(0, sampling.top_k or 0),
        presence_penalty=sampling.presence_penalty or 0.0,
        frequency_penalty=sampling.frequency_penalty or 0.0,
        logprobs=sampling.logprobs,
    )


def _settle(outcomes: Sequence[tuple[asyncio.Future[Reply], Reply | DatagenError]]) -> None:
    for loop in {done.get_loop() for done, _ in outcomes}:
        mine = [outcome for outcome in outcomes if outcome[0].get_loop() is loop]
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_resolve, mine)


def _resolve(outcomes: Sequence[tuple[asyncio.Future[Reply], Reply | DatagenError]]) -> None:
    for done, outcome in outcomes:
        if done.done():
            continue
        if isinstance(outcome, Reply):
            done.set_result(outcome)
        else:
            done.set_exception(outcome)
