"""A model folder or hub name: checked, told apart by its weights' digest, loaded; prompts in its tokens."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datagen.errors import ConfigError, LLMError
from datagen.llm import models
from datagen.record import Message

_HASHED = ("*.safetensors", "*config.json", "tokenizer*", "*.jinja", "*_tokens*.json", "vocab.*", "merges.txt", "*.py")
Head = Literal["CausalLM", "SequenceClassification"]
_loading = threading.Lock()  # transformers changes global state while it loads: two at once spoil each other's weights


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


def check_folder(model: str, folder: Path) -> None:
    """Raises ``ConfigError`` for a folder whose weights may hold code."""
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"model {model}: no .safetensors file in {folder}; other formats can hold code and are not read"
        )


def check_template(model: str, folder: Path) -> None:
    """Raises ``ConfigError`` for a folder without a chat template."""
    config = folder / "tokenizer_config.json"
    inline = config.is_file() and b'"chat_template"' in config.read_bytes()
    if not inline and not (folder / "chat_template.jinja").is_file():
        raise ConfigError(
            f"model {model}: its tokenizer has no chat template, so it cannot be asked; train it to chat first"
        )


def digest(folder: Path) -> str:
    """Digest of all files that make the model answer as it does, whatever the folder is called."""
    total = hashlib.sha256()
    for file in sorted({file for pattern in _HASHED for file in folder.glob(pattern) if file.is_file()}):
        status = file.stat()
        total.update(f"{file.name} {_file_digest(file, status.st_size, status.st_mtime_ns)}\n".encode())
    return total.hexdigest()


def named(model: str, path: str, revision: str | None) -> tuple[str, str]:
    """Whom answers of ``model``, found at ``path``, are credited to, and what tells its weights apart from others."""
    folder = Path(path)
    if not folder.is_dir():
        return model, f"{path}@{revision or 'main'}"
    weights = digest(folder)
    return model if model != path and not Path(model).exists() else f"{folder.name}@{weights[:8]}", weights


def best_device(use: str) -> str:
    """``cuda`` where there is a GPU, else ``cpu``. Raises ``ConfigError`` where torch is not installed."""
    try:
        import torch
    except ImportError as error:
        raise ConfigError(f"use: {use} needs torch; run: pip install 'datagen[{use}]'") from error
    return "cuda" if torch.cuda.is_available() else "cpu"


def chat_tokens(tokenizer: Any, messages: Sequence[Message], **options: Any) -> list[int]:
    """The messages through the model's chat template (which ``options`` are for), in tokens. Raises ``LLMError``."""
    from jinja2 import TemplateError

    chat = [{"role": message.role, "content": message.content} for message in messages]
    fixed = {"add_generation_prompt": True, "tokenize": True, "return_dict": False}
    try:
        tokens: list[int] = tokenizer.apply_chat_template(chat, **{**options, **fixed})
    except (TemplateError, ValueError) as error:  # ValueError: there is none
        raise LLMError("chat_template", f"the model's chat template does not take these messages: {error}") from error
    return tokens


def room(prompt: Sequence[int], context: int) -> int:
    """Tokens that the context leaves for a reply. Raises ``LLMError`` where it leaves none."""
    if (left := context - len(prompt)) < 1:
        raise LLMError("context_length", f"{len(prompt)} prompt tokens, and a context of {context}")
    return left


@functools.lru_cache(maxsize=256)
def _file_digest(file: Path, size: int, mtime_ns: int) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load(settings: Settings) -> tuple[Any, Any, int]:
    """A model that can be asked, its tokenizer and its context length in tokens. Raises ``ConfigError``."""
    model, tokenizer, context = opened(settings)
    if not tokenizer.chat_template:
        raise ConfigError(f"model {settings.path}: its tokenizer has no chat template, so it cannot be asked")
    return model, tokenizer, context


def opened(settings: Settings, head: Head = "CausalLM") -> tuple[Any, Any, int]:
    """A model with that head, its tokenizer and its context length in tokens. Raises ``ConfigError``."""
    try:
        import torch
        from safetensors import SafetensorError
        from transformers.utils import logging
    except ImportError as error:
        raise ConfigError(f"use: transformers: {error}; run: pip install 'datagen[transformers]'") from error
    logging.disable_progress_bar()
    try:
        with _loading:
            model, tokenizer = _read_model(settings, head)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ConfigError(f"model {settings.path}: cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    if settings.threads or model.num_parameters() < models.ONE_THREAD_BELOW:
        torch.set_num_threads(settings.threads or 1)
    return model, tokenizer, _context_length(model.config, tokenizer)


def _read_model(settings: Settings, head: Head) -> tuple[Any, Any]:
    import transformers
    from transformers import AutoTokenizer

    models.check_at_hand(settings.path)
    common = {"revision": settings.revision, "trust_remote_code": settings.trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(settings.path, **common)
    model, report = getattr(transformers, f"AutoModelFor{head}").from_pretrained(
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
