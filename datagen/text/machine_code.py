"""How the kernels are compiled. What they call stays in their own file: numba's cache notices changes in that alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compiled at its first call, and kept on disk for the next process."""
    done: F = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return done
