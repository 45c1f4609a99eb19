"""How many tokens a text has for a model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from datagen.errors import ConfigError


@functools.lru_cache(maxsize=4)
def token_counter(model: str) -> Callable[[str], int]:
    """Counts tokens as a model's own tokenizer does, without special ones. Raises ``ConfigError``."""
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise ConfigError("counting tokens needs 'tokenizers': pip install 'datagen[transformers]'") from error
    path = Path(model) / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path)) if path.is_file() else Tokenizer.from_pretrained(model)
    except Exception as error:  # the Rust side raises no narrower class
        raise ConfigError(f"tokenizer {model}: cannot be loaded: {str(error).splitlines()[0]}") from error
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))
