"""From the name of a checkpoint to a folder with its files: the Hugging Face Hub and all that can go wrong with it.

Safety rules kept here: names are checked before anything is opened; the process's own token is never used; only
configuration, tokenizer and weight files are fetched; what a token opened is stored apart from public files, because
huggingface_hub falls back to cached files when the Hub refuses access.
"""

from __future__ import annotations

import errno
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

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
from huggingface_hub.file_download import repo_folder_name

from attnflow import limits, progress
from attnflow.checkpoints import hub_storage, model_info, refusals
from attnflow.checkpoints.plain_json import read_object
from attnflow.checkpoints.references import check_repo_id, check_revision
from attnflow.checkpoints.repository_files import TEXT_FILES, WEIGHTS
from attnflow.errors import AttnflowError, CheckpointError

_LARGEST_CONFIG = 10**6
_TIMEOUT = 15.0
_TOLD_EVERY = 0.3

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
    hashes: dict[str, str] = field(default_factory=dict)
    """What the Hub says of the contents of each file: SHA-256 of a large one, the Git blob's SHA-1 of a small one."""
    license: str | None = None
    """As the model card names it."""
    task: str | None = None
    """Such as `text-classification`."""
    downloads: int | None = None
    """In the last 30 days."""
    subfolder: str = ""
    """Where in the repository the checkpoint is; names of files are those inside of it."""

    @property
    def name(self) -> str:
        """The repository, and the folder in it if there is one."""
        return f"{self.repo_id}/{self.subfolder}" if self.subfolder else self.repo_id

    def inside(self, subfolder: str) -> Location:
        """The same commit, but of the checkpoint in a folder of the repository.

        Raises:
            CheckpointError: If there is no such folder.
        """
        if not subfolder:
            return self
        start = subfolder + "/"
        within = {
            which: {name.removeprefix(start): value for name, value in known.items() if name.startswith(start)}
            for which, known in (("files", self.files), ("hashes", self.hashes))
        }
        if self.files and not within["files"]:
            raise CheckpointError(f"{self.name} has no folder {subfolder} at this revision; check the address.")
        whole = f"{self.subfolder}/{subfolder}" if self.subfolder else subfolder
        return replace(self, subfolder=whole, parameters=None, **within)

    def path(self, file: str) -> str:
        """What a file is called in the repository."""
        return f"{self.subfolder}/{file}" if self.subfolder else file

    @property
    def cache(self) -> Path:
        """The cache its files are kept in."""
        return Path(self.cache_dir or constants.HF_HUB_CACHE)

    @property
    def folder(self) -> Path:
        """Where all its commits are kept."""
        return self.cache / repo_folder_name(repo_id=self.repo_id, repo_type="model")

    @property
    def weight_files(self) -> list[str]:
        """The files that hold the weights: safetensors where there are any, else the `.bin` files."""
        for first in WEIGHTS:
            if first in self.files:
                shards = re.compile(re.escape(first.split(".")[0]) + r"-\d+-of-\d+\." + first.split(".")[1])
                return [first, *(name for name in self.files if first.endswith(".json") and shards.fullmatch(name))]
        return []

    @property
    def wanted(self) -> list[str]:
        """All files that are downloaded."""
        return [*TEXT_FILES, *(self.weight_files or [*WEIGHTS, "model-*.safetensors"])]

    @property
    def wanted_bytes(self) -> int:
        """Their size."""
        return sum(self.files.get(name, 0) for name in self.wanted)


def locate(repo_id: str, revision: str | None = None, token: str | None = None) -> Location:
    """Ask the Hub for a commit and its list of files.

    This is asked before every load, because only the Hub can say whether this token may still read the repository.
    While the Hub does not answer, a repository of the cache is still found if it was public within the last day.

    Args:
        repo_id: Name of the repository.
        revision: Branch, tag or commit; the default branch if None.
        token: Access token of the person who asks. Without one the repository is asked for anonymously.

    Raises:
        CheckpointError: With one sentence for every refusal and failure.
    """
    repo_id = check_repo_id(repo_id)
    check_revision(revision)
    try:
        info = model_info.ask(repo_id, revision, token, _TIMEOUT)
        if info.gated:  # anyone may see what is in it, and the cache would answer those who may no longer read it
            huggingface_hub.HfApi().auth_check(info.id, token=token or False)
    except refusals.UNREACHABLE as error:
        return _locate_offline(repo_id, revision, error)
    except HfHubHTTPError as error:
        raise _refusal(repo_id, revision, error, token) from error
    found = info.siblings or []
    location = Location(
        repo_id=check_repo_id(info.id),
        sha=info.sha or "",
        revision=revision or constants.DEFAULT_REVISION,
        token=token,
        cache_dir=_private_cache(token) if token and (info.private or info.gated) else None,
        files={file.rfilename: file.size or 0 for file in found},
        parameters=info.safetensors.total if info.safetensors else None,
        hashes={file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id or "" for file in found},
        license=model_info.license_of(info.tags or []),
        task=info.pipeline_tag,
        downloads=info.downloads,
    )
    hub_storage.note_use(location.folder)
    if info.private or info.gated:
        hub_storage.forget_public(_public_folder(info.id))
    else:
        hub_storage.note_public(location.folder)
    return location


def _public_folder(repo_id: str) -> Path:
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo_id, repo_type="model")


def read_config(location: Location) -> dict[str, Any]:
    """Download and parse `config.json`, so that a checkpoint can be refused before its weights are fetched."""
    with fetched(location, "config.json") as path:
        return parse_config(path, location.name)


@contextmanager
def fetched(location: Location, file: str) -> Iterator[Path]:
    """Download one small file; it stays on disk at least while this context lasts.

    It is asked for by the name of its revision, because only then does the cache learn which commit that name stands
    for, and can answer without a network.
    """
    if location.files.get(file, 0) > _LARGEST_CONFIG:
        raise CheckpointError(f"The {file} of {location.name} is larger than a configuration can be.")
    with hub_storage.holding(location.folder):
        path = _guarded(
            location,
            lambda: huggingface_hub.hf_hub_download(
                location.repo_id,
                location.path(file),
                revision=location.revision,
                token=location.token or False,
                cache_dir=location.cache_dir,
            ),
        )
        yield Path(path)


def parse_config(path: Path, name: str) -> dict[str, Any]:
    """Parse a `config.json`.

    Raises:
        CheckpointError: If it is missing or no JSON object.
    """
    try:
        return read_object(path, most_bytes=_LARGEST_CONFIG)
    except ValueError as error:
        raise CheckpointError(f"The config.json of {name} {error}, so it is no Transformer checkpoint.") from error


@contextmanager
def downloaded(location: Location) -> Iterator[Path]:
    """Fetch configuration, tokenizer and weights of a commit; they stay on disk at least while this context lasts.

    Raises:
        CheckpointError: If they cannot be fetched, arrive damaged, or find no room.
    """
    with hub_storage.using(Path(constants.HF_HUB_CACHE), location.folder, location.wanted_bytes, limits.DISK_BYTES):
        with _told(location):
            folder = Path(
                _guarded(
                    location,
                    lambda: huggingface_hub.snapshot_download(
                        location.repo_id,
                        revision=location.sha,
                        token=location.token or False,
                        cache_dir=location.cache_dir,
                        allow_patterns=[location.path(name) for name in location.wanted],
                        local_files_only=not location.files,
                    ),
                )
            )
            folder = folder / location.subfolder
        _check_contents(folder, location)
        progress.tell(f"Loading {location.repo_id} into memory", 1)
        yield folder


@contextmanager
def _told(location: Location) -> Iterator[None]:
    """Report, while a download lasts, how many bytes of it have arrived."""
    snapshot = location.folder / "snapshots" / location.sha / location.subfolder
    total = sum(location.files.get(name, 0) for name in location.wanted if not (snapshot / name).exists())
    if not total or not progress.wanted():
        yield
        return
    start, over = hub_storage.size(location.folder), threading.Event()

    def watch() -> None:
        while not over.wait(_TOLD_EVERY):
            arrived = min(max(hub_storage.size(location.folder) - start, 0), total)
            what = f"Downloading {location.repo_id}: {arrived / 1e6:,.1f} of {total / 1e6:,.1f} MB"
            progress.tell(what, arrived / total)

    watcher = threading.Thread(target=copy_context().run, args=(watch,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _check_contents(folder: Path, location: Location) -> None:
    """Compare what has arrived with what the Hub says of it; huggingface_hub only counts the bytes."""
    for name in location.wanted:
        path, expected = folder / name, location.hashes.get(name)
        if expected and path.exists() and _digest(path, expected) != expected:
            path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise CheckpointError(
                f"{name} of {location.repo_id} arrived damaged and was removed; try again to download it anew."
            )


def _digest(path: Path, like: str) -> str:
    with path.open("rb") as file:
        if len(like) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest()
        blob = file.read()
    return hashlib.sha1(b"blob %d\0" % len(blob) + blob, usedforsecurity=False).hexdigest()


def _private_cache(token: str) -> str:
    # One folder a token: what one person may read is never found by another's request.
    return str(Path(constants.HF_HUB_CACHE) / hub_storage.PRIVATE / hashlib.sha256(token.encode()).hexdigest()[:32])


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
    location = Location(repo_id, sha, sha, token=None, cache_dir=None, files={}, parameters=None)
    by_choice = isinstance(error, OfflineModeIsEnabled)  # who runs this machine answers for what is on it
    if not by_choice and not hub_storage.was_public(location.folder):
        raise CheckpointError(
            f"The Hugging Face Hub cannot be reached, and whether {repo_id} is still public was last asked more than a "
            "day ago; try again in a minute, or choose one of the bundled checkpoints."
        ) from error
    hub_storage.note_use(location.folder)
    return location


def _guarded(location: Location, fetch: Callable[[], T]) -> T:
    """Run a download and say in one sentence what failed."""
    try:
        return fetch()
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise _refusal(location.repo_id, location.sha, error, location.token) from error
    except RemoteEntryNotFoundError as error:
        raise CheckpointError(
            f"{location.repo_id} lacks a file that a Transformer checkpoint needs ({_file_name(error)}); "
            "choose a repository that holds a model for the transformers library."
        ) from error
    except HfHubHTTPError as error:
        raise _refusal(location.repo_id, location.sha, error, location.token) from error
    except (*refusals.UNREACHABLE, OSError) as error:
        refused = refusals.refusing(error)
        if refused is not None:
            raise _refusal(location.repo_id, location.sha, refused, location.token) from error
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise CheckpointError(
                f"The disk of this machine is full, so {location.repo_id} cannot be downloaded; choose a bundled "
                "checkpoint, or one that was loaded before."
            ) from error
        raise CheckpointError(
            f"The download of {location.repo_id} broke off; try again, the files that arrived whole are kept."
        ) from error


def _file_name(error: Exception) -> str:
    found = re.search(r"[\w.-]+\.(?:json|safetensors|bin|txt|model)", str(error))
    return found.group() if found else "config.json"


def _refusal(repo_id: str, revision: str | None, error: HfHubHTTPError, token: str | None) -> AttnflowError:
    """What a refusal of the Hub means; what it keeps from everyone is not served either while it is down."""
    if refusals.keeps_from_everyone(error, token):
        hub_storage.forget_public(_public_folder(repo_id))
    return refusals.explained(repo_id, revision, error, token)
