"""Where the files that come with attnflow lie: in the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "assets"

ASSETS = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "assets"
"""The folder of the bundled checkpoints, `demo`, and of the page's scripts and styles, `page`."""

PAGE = ASSETS / "page"
"""The scripts, styles and markup of the panels."""
