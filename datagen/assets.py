"""Where the files that ship with the package lie: beside the code in a checkout, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The shipped folder ``prompts``, ``seeds`` or ``pipelines``."""
    packed = _PACKAGE / "_assets" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


def find(path: str, *bases: Path) -> Path | None:
    """The existing file or folder that a path means: as given, beside one of ``bases``, or shipped (``seeds/x``)."""
    given = Path(path).expanduser()
    shipped = (
        [folder(given.parts[0]).joinpath(*given.parts[1:])] if len(given.parts) > 1 and not given.is_absolute() else []
    )
    for candidate in [given, *(base / given for base in bases), *shipped]:
        if candidate.exists():
            return candidate
    return None
