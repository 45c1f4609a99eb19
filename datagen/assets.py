"""Where the files that ship with the package lie: beside the code in a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_FOLDERS = ("prompts", "seeds", "pipelines")


def folder(name: str) -> Path:
    """The shipped folder ``prompts``, ``seeds`` or ``pipelines``."""
    packed = _PACKAGE / "_assets" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


def find(path: str, *bases: Path) -> Path | None:
    """The existing file or folder that a path means: as given, beside one of ``bases``, or shipped (``seeds/x``)."""
    given = Path(path).expanduser()
    first, *rest = given.parts or ("",)
    shipped = [folder(first).joinpath(*rest)] if first in _FOLDERS else []
    for candidate in [given, *(base / given for base in bases), *shipped]:
        if candidate.exists():
            return candidate
    return None
