"""The page's own scripts and styles, served under an address that names no folder of the machine."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import plotly

from attnflow.bundled import PAGE
from attnflow.web.surface import ASSETS_AT

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
FIRST_SEEN = ("shared", "predictions", "sentence", "radial", "thresholds")
"""Folders of the modules that the page needs at once; those of other tabs come when they are opened."""
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@dataclass(frozen=True)
class Asset:
    """One file, plain and packed."""

    media_type: str
    plain: bytes
    packed: bytes
    """The same with gzip."""


@cache
def files() -> dict[str, Path]:
    """Every file that is served, by its name below the version."""
    own = {path.relative_to(PAGE).as_posix(): path for path in sorted(PAGE.rglob("*")) if path.suffix in _TYPES}
    return {name: path for name, path in own.items() if not name.endswith(".d.ts")} | {PLOTLY_JS.name: PLOTLY_JS}


@cache
def version() -> str:
    """Of all files together: modules import each other by relative addresses, so one version is in the path of all.

    It is that of their contents: the times of files that a package brings may be the same in each release.
    """
    told = hashlib.sha256()
    for name, path in files().items():
        told.update(f"{name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return told.hexdigest()[:12]


@cache
def asset(name: str) -> Asset:
    """A file by its name, read and packed once.

    Raises:
        KeyError: If the page has no such file.
    """
    path = files()[name]
    plain = path.read_bytes()
    return Asset(_TYPES[path.suffix], plain, gzip.compress(plain, 6, mtime=0))


def current(place: str) -> Asset | None:
    """A file by its version and name; None if the page has no such file in this version."""
    own, _, name = place.partition("/")
    return asset(name) if own == version() and name in files() else None


def url(name: str) -> str:
    """Address of a file, relative to the page, which may stand under any path; another one when any file changes."""
    return f".{ASSETS_AT}{version()}/{name}"


@cache
def head() -> str:
    """Tags for what every page needs: no request leaves its origin.

    The modules of the first view are asked for at once, not one after the other as they import each other; Plotly, by
    far the largest file, only when nothing else is to do: the first view has no chart of it.
    """
    modules = [name for name in files() if name.endswith(".js") and name.split("/")[0] in FIRST_SEEN]
    return "".join(
        [
            f'<link rel="stylesheet" href="{url("panels.css")}">',
            *(f'<link rel="modulepreload" href="{url(module)}">' for module in modules),
            f'<link rel="prefetch" as="script" href="{url(PLOTLY_JS.name)}">',
        ]
    )
