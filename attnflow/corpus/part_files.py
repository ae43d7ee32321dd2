"""Files of long work that is done in parts: each is whole or not there, on this machine or anywhere fsspec reaches.

A file is written under another name, flushed to the disk and put in its place. So a part may be computed twice, by two
processes at once, or by one that is killed: what has its name is what was finished.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from attnflow.errors import SelectionError, brief
from attnflow.extras import needed

PLAN = "plan.json"
"""What is being computed; written first."""


class Folder(Protocol):
    """Where files of one run lie. It can be pickled, so that other processes write there."""

    def read(self, name: str) -> bytes | None:
        """A file, None if it is not there or cannot be read."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place.

        Raises:
            SelectionError: If it cannot be written; nothing is left of it.
        """
        ...

    def names(self) -> list[str]:
        """The files that are there."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there and can be removed."""
        ...


class LocalFolder:
    """A folder of this machine, or one that it has mounted.

    Args:
        place: Its path; made if it is not there.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self.place = Path(place).expanduser()
        try:
            self.place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SelectionError(
                f"The folder {self.place} cannot be made ({brief(error)}); choose another one."
            ) from error

    def __str__(self) -> str:
        return str(self.place)

    def read(self, name: str) -> bytes | None:
        """See `Folder`."""
        with suppress(OSError):
            return (self.place / name).read_bytes()
        return None

    def write(self, name: str, content: bytes) -> None:
        """See `Folder`."""
        with writing(self.place / name) as file:
            file.write(content)

    def names(self) -> list[str]:
        """See `Folder`."""
        with suppress(OSError):
            return sorted(path.name for path in self.place.iterdir())
        return []

    def remove(self, name: str) -> None:
        """See `Folder`."""
        with suppress(OSError):
            (self.place / name).unlink()


class RemoteFolder:
    """A folder of a store that fsspec reaches, such as `s3://bucket/run`, by the store's own package and settings.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        with self._told("reached"):
            self._store.makedirs(self._top, exist_ok=True)

    def __str__(self) -> str:
        return self.url

    @property
    def _store(self) -> Any:
        """Kept by fsspec for each process."""
        return needed("fsspec", "fsspec").core.url_to_fs(self.url)[0]

    @property
    def _top(self) -> str:
        return needed("fsspec", "fsspec").core.url_to_fs(self.url)[1]

    def read(self, name: str) -> bytes | None:
        """See `Folder`."""
        with suppress(OSError):
            return self._store.cat_file(f"{self._top}/{name}")
        return None

    def write(self, name: str, content: bytes) -> None:
        """See `Folder`."""
        partial = f"{self._top}/.{name}.{secrets.token_hex(4)}.partial"
        with self._told("written to"):
            self._store.pipe_file(partial, content)
            self._store.mv(partial, f"{self._top}/{name}")

    def names(self) -> list[str]:
        """See `Folder`."""
        with suppress(OSError):
            self._store.invalidate_cache(self._top)
            return sorted(path.rpartition("/")[2] for path in self._store.ls(self._top, detail=False))
        return []

    def remove(self, name: str) -> None:
        """See `Folder`."""
        with suppress(OSError):
            self._store.rm_file(f"{self._top}/{name}")

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ImportError, ValueError) as error:
            raise SelectionError(
                f"{self.url} cannot be {what} ({brief(error)}); what was finished before is kept: look at the "
                "address and its rights, and run it again."
            ) from error


def open_folder(ref: str | os.PathLike[str]) -> Folder:
    """The folder of a path or of an address such as `s3://bucket/run`; it is made if it is not there.

    Raises:
        SelectionError: If it cannot be made or reached.
    """
    return RemoteFolder(ref) if isinstance(ref, str) and "://" in ref else LocalFolder(ref)


def begin(folder: Folder, plan: Mapping[str, Any], what: str) -> None:
    """Write down what is to be computed, unless it is there and the same.

    Args:
        folder: Where.
        plan: What JSON can write, with `model` in it.
        what: What is computed, as in "holds another survey".

    Raises:
        SelectionError: If the folder holds something else, or cannot be written to.
    """
    before = folder.read(PLAN)
    if before is None:
        folder.write(PLAN, json.dumps(plan, indent=1).encode())
        return
    found, wanted = _object(before), json.loads(json.dumps(plan))
    if found != wanted:
        other = [name for name in wanted if name not in found or found[name] != wanted[name]]
        raise SelectionError(
            f"{folder} holds another {what}, of {str(found.get('model'))[:80]}, which differs in "
            f"{', '.join(other) or 'its version'}; choose another folder."
        )


def remove_parts(folder: Folder) -> None:
    """Remove the files of parts, which are no longer needed, and what a killed process left half written."""
    for name in folder.names():
        if name.startswith("part-") or (name.startswith(".") and name.endswith(".partial")):
            folder.remove(name)


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place when this context ends without an error, and leaves nothing if it does not.

    Raises:
        SelectionError: If it cannot be written, because the disk is full or for another reason.
    """
    with placing(path) as partial, partial.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def placing(path: Path) -> Iterator[Path]:
    """The path of an empty file beside another, whose place it takes in the end; see `writing`."""
    partial = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        os.close(handle)
        partial = Path(name)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise SelectionError(
            f"{path} cannot be written ({brief(error)}); what was finished before is kept: make room, or choose "
            "another folder, and run it again."
        ) from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
