"""Packages that attnflow can do without: imported when they are needed, with a sentence where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from attnflow.errors import SelectionError


def needed(module: str, package: str, extra: str = "texts") -> Any:
    """A module of an extra of this package, imported now.

    Args:
        module: Its full name.
        package: What it is installed by.
        extra: Which extra brings it.

    Raises:
        SelectionError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SelectionError(
            f"This needs {package}, which is not installed; install it with pip install 'attnflow[{extra}]'."
        ) from error
