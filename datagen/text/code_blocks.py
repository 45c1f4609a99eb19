"""The Python in an answer, and whether it is Python at all."""

from __future__ import annotations

import re
import warnings

_FENCE = re.compile(r"^ {0,3}(```+|~~~+)[ \t]*+([\w+#.-]*+)[^\n`]*+\n(.*?)(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.M | re.S)
_PYTHON = {"python", "py", "python3", "py3"}
_LONGEST = 200_000


def python_code(answer: str) -> str | None:
    """The fenced blocks marked as Python, one after another; else those without a mark; None where there is none.

    A block that begins with ``>>>`` is a transcript and left out.
    """
    blocks = [(found[2].lower(), found[3]) for found in _FENCE.finditer(answer.replace("\r\n", "\n"))]
    blocks = [(mark, text) for mark, text in blocks if text.strip() and not text.lstrip().startswith(">>>")]
    marked = [text for mark, text in blocks if mark in _PYTHON]
    return "\n".join(marked or [text for mark, text in blocks if not mark]) or None


def syntax_error(code: str) -> str | None:
    """What keeps the code from compiling, with its line, or None. Nothing is run."""
    if len(code) > _LONGEST:
        return f"{len(code)} characters; at most {_LONGEST} are compiled"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "answer.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, MemoryError, RecursionError) as error:  # null bytes, lone surrogates, thousands of brackets
        return f"{type(error).__name__}: {error}"[:300]
    return None
