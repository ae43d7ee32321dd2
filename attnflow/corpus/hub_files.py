"""Finds data sets of the Hub, and reads parts of their files at one commit without keeping anything on disk.

Safety rules kept here: names are checked before anything is asked; the process's own token is never used; nothing of a
data set is run or written down, so that what one person may read is never found by another's request.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, RemoteEntryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_backoff

from attnflow import progress
from attnflow.checkpoints import refusals
from attnflow.checkpoints.model_info import is_commit
from attnflow.checkpoints.references import DATA_SET, Reference, check_repo_id
from attnflow.errors import TextsError

CONVERTED = "refs/convert/parquet"
"""The branch in which the Hub keeps data sets as Parquet, whatever form their authors gave them."""
_TIMEOUT = 15.0
_TRIES = 3
_AT_ONCE = 1 << 20
"""Bytes of a text file that are fetched at a time."""
_LARGEST_CARD = 1 << 20


@dataclass(frozen=True)
class Repository:
    """A commit of a data set on the Hub."""

    repo_id: str
    sha: str
    token: str | None
    files: Mapping[str, int]
    """Size in bytes of each file."""

    def inside(self, folder: str) -> Repository:
        """The same commit, but only the files in a folder.

        Raises:
            TextsError: If there is none.
        """
        files = {name: size for name, size in self.files.items() if name.startswith(folder + "/")}
        if not files:
            raise TextsError(f"{self.repo_id} has no folder {folder} at this revision; check the address.")
        return replace(self, files=files)

    def open(self, file: str) -> BinaryIO:
        """A file, of which only what is read is fetched."""
        return cast(BinaryIO, io.BufferedReader(RemoteFile(self, file), _AT_ONCE))

    def open_anywhere(self, file: str) -> BinaryIO:
        """A file that is read at many places, a piece of the asked-for size at a time."""
        return cast(BinaryIO, RemoteFile(self, file))

    def card(self) -> str:
        """Its `README.md`, or as much of it as can matter; empty if there is none."""
        if "README.md" not in self.files:
            return ""
        with self.open("README.md") as file:
            return file.read(_LARGEST_CARD).decode("utf-8", errors="replace")


def locate(reference: Reference, token: str | None = None) -> Repository:
    """Ask the Hub for a commit of a data set, and whether it may be read with this token.

    Args:
        reference: What was asked for.
        token: Access token of the person who asks; without one it is asked for anonymously.

    Raises:
        TextsError: With one sentence for every refusal and failure.
    """
    with _told(reference.repo_id, reference.revision, token):
        found = _ask(reference.repo_id, reference.revision, token)
    return found.inside(reference.subfolder) if reference.subfolder else found


def locate_converted(repository: Repository) -> Repository | None:
    """The commit in which the Hub keeps a data set as Parquet, if it does."""
    with _told(repository.repo_id, CONVERTED, repository.token):
        try:
            return _ask(repository.repo_id, CONVERTED, repository.token)
        except RevisionNotFoundError:
            return None


def _ask(repo_id: str, revision: str | None, token: str | None) -> Repository:
    api, access = huggingface_hub.HfApi(), token or False
    try:
        info = api.dataset_info(repo_id, revision=revision, timeout=_TIMEOUT, files_metadata=True, token=access)
        files = {file.rfilename: file.size or 0 for file in info.siblings or []}
        sound = is_commit(info.sha) and all(isinstance(name, str) and isinstance(files[name], int) for name in files)
    except HfHubHTTPError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # no JSON, or JSON about something else
        raise TextsError(f"The Hub's answer about {repo_id} cannot be read; try again in a minute.") from error
    if not sound:
        raise TextsError(f"The Hub's answer about {repo_id} cannot be read; try again in a minute.")
    if info.gated:  # anyone may see what is in it
        api.auth_check(info.id, repo_type="dataset", token=access)
    return Repository(check_repo_id(info.id, DATA_SET), info.sha or "", token, files)


@contextmanager
def _told(repo_id: str, revision: str | None, token: str | None) -> Iterator[None]:
    """Say in one sentence what the Hub refuses, or that it does not answer."""
    try:
        yield
    except RemoteEntryNotFoundError as error:
        raise TextsError(f"A file of {repo_id} is not there any more; try again.") from error
    except HfHubHTTPError as error:
        raise refusals.explained(repo_id, revision, error, token, DATA_SET) from error
    except refusals.UNREACHABLE as error:
        raise TextsError(
            f"The Hugging Face Hub cannot be reached, so {repo_id} cannot be read; check the network, or open "
            "demo/pairs or a file."
        ) from error


class RemoteFile(io.RawIOBase):
    """A file of a commit on the Hub; what is read is fetched, and nothing else."""

    def __init__(self, repository: Repository, file: str) -> None:
        self._repository = repository
        self._file = file
        self._size = repository.files[file]
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is fetched."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        """Fetch as many bytes as fit."""
        into = memoryview(buffer).cast("B")  # pyright: ignore[reportArgumentType]: anything with a buffer
        wanted = min(len(into), self._size - self._at)
        if wanted <= 0:
            return 0
        progress.go_on()
        got = self._fetch(into[:wanted])
        self._at += got
        return got

    def _fetch(self, into: memoryview) -> int:
        repository = self._repository
        url = huggingface_hub.hf_hub_url(repository.repo_id, self._file, repo_type="dataset", revision=repository.sha)
        headers = build_hf_headers(token=repository.token or False)
        headers["Range"] = f"bytes={self._at}-{self._at + len(into) - 1}"
        headers["Accept-Encoding"] = "identity"  # so that what arrives is no larger than what was asked for
        with _told(repository.repo_id, repository.sha, repository.token):
            answer = http_backoff(
                "GET", url, headers=headers, timeout=_TIMEOUT, max_retries=_TRIES, follow_redirects=True
            )
            hf_raise_for_status(answer)
        if len(answer.content) != len(into):
            raise TextsError(f"The Hub did not send the part of {self._file} that was asked for; try again later.")
        into[:] = answer.content
        return len(into)
