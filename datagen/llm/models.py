"""What a model's name means: the two models that ship with the package, a folder, or a name on the hub."""

from __future__ import annotations

import urllib.error
import urllib.request
from difflib import get_close_matches
from pathlib import Path

from datagen.errors import ConfigError

# Parameters. Small matrices gain little from a second thread, and where another program has a core, the threads that
# wait for each other at every step make it a hundred times slower (measured: 8 tokens/s for 800).
ONE_THREAD_BELOW = 20_000_000
_SHIPPED = Path(__file__).parent.parent / "tiny" / "models"
_HUB_TIMEOUT_S = 10.0
_ALIASES = {"tiny-teacher": "teacher", "tiny-base": "base"}


def resolve(name: str) -> str:
    """The absolute path of a shipped model or an existing folder; any other name, a hub name, as it is.

    Raises:
        ConfigError: a shipped model whose files are missing, a path to nothing, or a shipped model's name misspelt.
    """
    if alias := _ALIASES.get(name):
        folder = _SHIPPED / alias
        if not (folder / "config.json").is_file():
            raise ConfigError(f"model {name}: its files are missing from {folder}; reinstall datagen")
        return str(folder)
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return str(path.resolve())
    if path.is_dir():
        raise ConfigError(f"model {name}: the folder holds no config.json")
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise ConfigError(f"model {name}: no such folder; give one, a hub name, or {' or '.join(_ALIASES)}")
    if near := get_close_matches(name, _ALIASES, n=1, cutoff=0.8):
        raise ConfigError(f"model {name}: no such folder or shipped model; did you mean {near[0]}?")
    return name


def check_at_hand(path: str) -> None:
    """Raises ``ConfigError`` for a hub name that is not stored here while the hub cannot be reached.

    Told at once: transformers would try for two minutes first.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    if Path(path).exists():
        return
    try:
        if Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=path, repo_type="model")).exists():  # any revision
            return
        asked = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        urllib.request.urlopen(asked, timeout=_HUB_TIMEOUT_S).close()
    except urllib.error.HTTPError:
        return  # it is there, and will say itself what is wrong
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ConfigError(
            f"model {path}: no such folder, nor is it stored on this machine, and {constants.ENDPOINT} cannot be "
            f"reached ({reason}); give a folder, or {' or '.join(_ALIASES)}"
        ) from error
