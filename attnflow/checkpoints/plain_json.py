"""Reads JSON that a stranger wrote, within bounds, and says in words what a value is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_DEEPEST = 12
"""Objects and lists in one another; the files of a checkpoint have about five."""


def read_object(path: Path, *, most_bytes: int, most_values: int = 200_000) -> dict[str, Any]:
    """Parse a file that must hold a JSON object; see `read_json`."""
    found = read_json(path, most_bytes=most_bytes, most_values=most_values)
    if not isinstance(found, dict):
        raise ValueError(f"holds {kind_of(found)} where an object is due")
    return found


def read_json(path: Path, *, most_bytes: int, most_values: int = 200_000) -> Any:
    """Parse a file of JSON.

    Args:
        path: The file.
        most_bytes: It may not be larger.
        most_values: It may not hold many more values: small files of many values become large in memory.

    Raises:
        ValueError: With what is wrong, as the end of a sentence about the file.
    """
    try:
        if path.stat().st_size > most_bytes:
            raise ValueError(f"has {path.stat().st_size / 1e6:,.1f} MB; at most {most_bytes / 1e6:,.1f} are read")
        text = path.read_bytes()
    except OSError as error:
        raise ValueError("cannot be read") from error
    if text.count(b",") > most_values:
        raise ValueError(f"holds more than {most_values:,} values, which is more than it can need")
    try:
        found = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise ValueError("is no JSON") from error
    if _deeper(found, _DEEPEST):
        raise ValueError(f"is nested more than {_DEEPEST} deep")
    return found


def _deeper(value: Any, left: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inside) and (left == 0 or any(_deeper(item, left - 1) for item in inside))


def kind_of(value: Any) -> str:
    """What a value of JSON is, for a sentence.

    Example:
        >>> kind_of("3")
        'a text'
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list | tuple) else "an object"


def shown(value: Any) -> str:
    """A value for a sentence, however long it is.

    Example:
        >>> shown(200000000)
        '200,000,000'
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) < 10**15 else "a number of many digits"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
