"""From the name of a checkpoint to a folder with its files: the Hugging Face Hub and all that can go wrong with it.

Safety rules kept here: names are checked before anything is opened; the process's own token is never used; only
configuration, tokenizer and weight files are fetched; what a token opened is stored apart from public files, because
huggingface_hub falls back to cached files when the Hub refuses access.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2  # the HTTP library of huggingface_hub, whose errors reach us
import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from attnflow.errors import CheckpointError

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?")
_REVISION = re.compile(r"[\w][\w./-]{0,127}")
_TEXT_FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_TIMEOUT = 15.0

_UNREACHABLE = (httpx2.TransportError, OfflineModeIsEnabled, ConnectionError, TimeoutError)

T = TypeVar("T")


@dataclass(frozen=True)
class Location:
    """A commit of a repository on the Hub, looked up but not yet downloaded."""

    repo_id: str
    sha: str
    """Commit, 40 hexadecimal digits."""
    revision: str
    """The branch, tag or commit that was asked for."""
    token: str | None
    cache_dir: str | None
    """Where its files are kept; None is the shared cache of public files."""
    files: dict[str, int]
    """Size in bytes of each file; empty when the Hub could not be reached."""
    parameters: int | None
    """Number of parameters, where the Hub knows it."""

    @property
    def weight_files(self) -> list[str]:
        """The files that hold the weights: safetensors where there are any, else the `.bin` files."""
        for first in _WEIGHTS:
            if first in self.files:
                shards = re.compile(re.escape(first.split(".")[0]) + r"-\d+-of-\d+\." + first.split(".")[1])
                return [first, *(name for name in self.files if first.endswith(".json") and shards.fullmatch(name))]
        return []

    @property
    def wanted(self) -> list[str]:
        """All files that are downloaded."""
        return [*_TEXT_FILES, *(self.weight_files or [*_WEIGHTS, "model-*.safetensors"])]

    @property
    def wanted_bytes(self) -> int:
        """Their size."""
        return sum(self.files.get(name, 0) for name in self.wanted)


def check_repo_id(name: str) -> str:
    """Return a valid repository id, stripped.

    Raises:
        CheckpointError: If the text is no id such as `google-bert/bert-base-uncased`; a path never is.
    """
    name = name.strip() if isinstance(name, str) else ""
    if not _REPO_ID.fullmatch(name) or ".." in name or "--" in name:
        raise CheckpointError(
            f"{name[:100]!r} is not the name of a checkpoint; give a Hub id such as google-bert/bert-base-uncased."
        )
    return name


def locate(repo_id: str, revision: str | None = None, token: str | None = None) -> Location:
    """Ask the Hub for a commit and its list of files.

    This is asked before every load, because only the Hub can say whether this token may still read the repository.
    Without a network, a public repository that is in the cache is still found.

    Args:
        repo_id: Name of the repository.
        revision: Branch, tag or commit; the default branch if None.
        token: Access token of the person who asks. Without one the repository is asked for anonymously.

    Raises:
        CheckpointError: With one sentence for every refusal and failure.
    """
    repo_id = check_repo_id(repo_id)
    if revision is not None and (not isinstance(revision, str) or not _REVISION.fullmatch(revision)):
        raise CheckpointError(f"{str(revision)[:100]!r} is not a revision; give a branch, a tag or a commit.")
    try:
        info = huggingface_hub.HfApi().model_info(
            repo_id, revision=revision, timeout=_TIMEOUT, files_metadata=True, token=token or False
        )
    except _UNREACHABLE as error:
        return _locate_offline(repo_id, revision, error)
    except HfHubHTTPError as error:
        raise _refusal(repo_id, revision, error) from error
    except ValueError as error:
        raise CheckpointError(f"The Hub's answer about {repo_id} cannot be read; try again in a minute.") from error
    return Location(
        repo_id=info.id or repo_id,
        sha=info.sha or "",
        revision=revision or constants.DEFAULT_REVISION,
        token=token,
        cache_dir=_private_cache(token) if token and (info.private or info.gated) else None,
        files={file.rfilename: file.size or 0 for file in info.siblings or []},
        parameters=info.safetensors.total if info.safetensors else None,
    )


def read_config(location: Location) -> dict[str, Any]:
    """Download and parse `config.json`, so that a checkpoint can be refused before its weights are fetched.

    It is asked for by the name of its revision, because only then does the cache learn which commit that name stands
    for, and can answer without a network.
    """
    path = _guarded(
        location,
        lambda: huggingface_hub.hf_hub_download(
            location.repo_id,
            "config.json",
            revision=location.revision,
            token=location.token or False,
            cache_dir=location.cache_dir,
        ),
    )
    return parse_config(Path(path), location.repo_id)


def parse_config(path: Path, name: str) -> dict[str, Any]:
    """Parse a `config.json`.

    Raises:
        CheckpointError: If it is missing or no JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{name} has no readable config.json, so it is no Transformer checkpoint.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"The config.json of {name} is not an object, so it is no Transformer checkpoint.")
    return config


def download(location: Location) -> Path:
    """Fetch configuration, tokenizer and weights of a commit and return their folder."""
    return Path(
        _guarded(
            location,
            lambda: huggingface_hub.snapshot_download(
                location.repo_id,
                revision=location.sha,
                token=location.token or False,
                cache_dir=location.cache_dir,
                allow_patterns=location.wanted,
                local_files_only=not location.files,
            ),
        )
    )


def search_models(text: str, limit: int = 20) -> list[str]:
    """Ids of public checkpoints whose name contains a text, most downloaded first; empty if the Hub does not answer."""
    try:
        found = huggingface_hub.HfApi().list_models(
            search=text, filter="transformers", sort="downloads", limit=limit, token=False
        )
        return [model.id for model in found]
    except (*_UNREACHABLE, HfHubHTTPError, ValueError):
        return []  # a convenience: the box takes any id without it


def _private_cache(token: str) -> str:
    # One folder a token: what one person may read is never found by another's request.
    return str(Path(constants.HF_HUB_CACHE) / "private" / hashlib.sha256(token.encode()).hexdigest()[:32])


def _locate_offline(repo_id: str, revision: str | None, error: Exception) -> Location:
    try:
        folder = huggingface_hub.snapshot_download(
            repo_id, revision=revision, local_files_only=True, token=False, allow_patterns=["config.json"]
        )
    except (LocalEntryNotFoundError, OSError):
        raise CheckpointError(
            f"The Hugging Face Hub cannot be reached and {repo_id} is not in the cache of this machine; check the "
            "network, or choose one of the bundled checkpoints."
        ) from error
    sha = Path(folder).name
    return Location(repo_id, sha, sha, token=None, cache_dir=None, files={}, parameters=None)


def _guarded(location: Location, fetch: Callable[[], T]) -> T:
    """Run a download and say in one sentence what failed."""
    try:
        return fetch()
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise _refusal(location.repo_id, location.sha, error) from error
    except RemoteEntryNotFoundError as error:
        raise CheckpointError(
            f"{location.repo_id} lacks a file that a Transformer checkpoint needs ({_file_name(error)}); "
            "choose a repository that holds a model for the transformers library."
        ) from error
    except HfHubHTTPError as error:
        raise _refusal(location.repo_id, location.sha, error) from error
    except (*_UNREACHABLE, OSError) as error:
        raise CheckpointError(
            f"The download of {location.repo_id} broke off; try again, what has arrived is kept."
        ) from error


def _file_name(error: Exception) -> str:
    found = re.search(r"[\w.-]+\.(?:json|safetensors|bin|txt|model)", str(error))
    return found.group() if found else "config.json"


def _refusal(repo_id: str, revision: str | None, error: HfHubHTTPError) -> CheckpointError:
    status = error.response.status_code if getattr(error, "response", None) is not None else 0
    if isinstance(error, GatedRepoError):
        return CheckpointError(
            f"{repo_id} is gated: its authors give access on request; ask for it on its Hub page and sign in, "
            "or choose an open checkpoint."
        )
    if isinstance(error, RevisionNotFoundError):
        return CheckpointError(f"{repo_id} has no revision {revision!r}; leave the revision empty for the newest one.")
    if isinstance(error, RepositoryNotFoundError) or status in (401, 403, 404):
        return CheckpointError(
            f"There is no public checkpoint {repo_id} on the Hub; check the spelling, or whether it is private."
        )
    if status == 429:
        return CheckpointError(f"The Hub asks for fewer requests at the moment; wait a minute, then load {repo_id}.")
    return CheckpointError(
        f"The Hub answered with an error ({status or type(error).__name__}) for {repo_id}; try again in a minute."
    )
