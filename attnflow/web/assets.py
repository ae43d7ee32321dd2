"""The page's own scripts and styles, served under an address that names no folder of the machine."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import plotly

from attnflow.checkpoints.checkpoint import ASSETS
from attnflow.web.surface import ASSETS_AT

PAGE = ASSETS / "page"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
# In this order: each uses only what comes before it.
_OWN = (
    *("graph", "geometry", "selection", "panels", "chart", "strips", "heads", "scene", "rings", "highlight", "save"),
    *("context", "table", "tour", "pointer", "keyboard", "radial"),
)
SCRIPTS = (PLOTLY_JS, *(PAGE / f"{name}.js" for name in _OWN))
STYLES = (PAGE / "panels.css",)
_FILES = {path.name: path for path in (*SCRIPTS, *STYLES)}
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@dataclass(frozen=True)
class Asset:
    """One file, plain and packed."""

    media_type: str
    plain: bytes
    packed: bytes
    """The same with gzip."""


@cache
def asset(name: str, _changed_at: int = 0) -> Asset:
    """A file by its name; read and packed once for each of its versions.

    Raises:
        KeyError: If the page has no such file.
    """
    plain = _FILES[name].read_bytes()
    return Asset(_TYPES[_FILES[name].suffix], plain, gzip.compress(plain, 6, mtime=0))


def current(name: str) -> Asset | None:
    """A file as it is now; None if the page has no such file."""
    return asset(name, _FILES[name].stat().st_mtime_ns) if name in _FILES else None


def url(path: Path) -> str:
    """Address of a file, relative to the page, which may stand under any path; another one when the file changes."""
    version = hashlib.sha256(f"{path.stat().st_mtime_ns} {path.stat().st_size}".encode()).hexdigest()[:12]
    return f".{ASSETS_AT}{path.name}?v={version}"


def head() -> str:
    """Tags for all of them: no request leaves the page's origin."""
    styles = "".join(f'<link rel="stylesheet" href="{url(path)}">' for path in STYLES)
    return styles + "".join(f'<script src="{url(path)}"></script>' for path in SCRIPTS)
