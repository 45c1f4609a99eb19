"""Which family a model is of, by its name: a judge favours answers of its own kind (arXiv 2306.05685, section 3.3)."""

from __future__ import annotations

import re

# What makers put before the family's name, and names that one family goes by.
_BEFORE = re.compile(r"^(?:meta|microsoft|google|openai|nvidia|ibm)[-_ ]")
_SAME = {"chatgpt": "gpt", "o": "gpt", "codellama": "llama", "codegemma": "gemma", "codestral": "mistral",
         "mixtral": "mistral", "ministral": "mistral", "qwq": "qwen"}  # fmt: skip


def family(model: str) -> str:
    """The first letters of a model's name without its owner; empty where there are none.

    >>> family("Qwen/Qwen2.5-Coder-7B-Instruct"), family("Qwen/Qwen3-8B"), family("meta-llama/Meta-Llama-3-8B")
    ('qwen', 'qwen', 'llama')
    """
    name = _BEFORE.sub("", model.rstrip("/").rpartition("/")[2].casefold())
    letters = re.match(r"[^\W\d_]+", name)
    return _SAME.get(letters[0], letters[0]) if letters else ""
