"""An exported folder on the hub. Only where the user asks for it; the token comes from ``HF_TOKEN`` alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

from datagen.errors import ConfigError, StageError
from datagen.report.containers import container

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_UPLOADED = ["README.md", "data/*.parquet"]


def check_push(output: Path, repo: str) -> None:
    """Raises ``ConfigError``: before any work, for what could not be pushed after it."""
    if not _NAME.fullmatch(repo):
        raise ConfigError(f"--push {repo}: takes USER/NAME, letters, digits, '-', '_' and '.'")
    if container(output) != "folder":
        raise ConfigError(f"--push: uploads a folder: give -o FOLDER, without a suffix, not {output}")
    if not os.environ.get("HF_TOKEN"):
        raise ConfigError("--push: set HF_TOKEN in the environment to a token that may write, and give it nowhere else")
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise ConfigError("--push needs huggingface_hub: pip install 'datagen[train]'") from error


def push(folder: Path, repo: str, *, public: bool) -> str:
    """Create the data set where it is not there, private unless ``public``, upload rows and card; its address.

    Raises ``ConfigError`` where a repository is there that is public and need not be, ``StageError`` for what the hub
    or the network refuses; the folder stays as it is, and the same command tries again.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    api = HfApi(token=os.environ["HF_TOKEN"])
    try:
        address = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        if not public and not api.repo_info(repo, repo_type="dataset").private:
            raise ConfigError(f"--push {repo}: is there and public; say --public to upload to it")
        api.upload_folder(
            repo_id=repo,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=_UPLOADED,
            delete_patterns=["data/*.parquet"],
            commit_message="Upload with datagen",
        )
    except HfHubHTTPError as error:
        why = error.server_message or str(error).partition("\n")[0]
        raise StageError(f"--push {repo}: the hub refuses: {why}; {folder} is written") from error
    except (HTTPError, OSError) as error:
        raise StageError(f"--push {repo}: the hub cannot be reached: {error}; {folder} is written") from error
    return str(address)
