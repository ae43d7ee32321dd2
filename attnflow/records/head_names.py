"""How a head is written: `(layer, head)` in data, `L1 H4` for people, `0.3` where one text must name it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from attnflow.errors import SelectionError
from attnflow.records.trace import Head

_KEY = re.compile(r"(\d{1,3})\.(\d{1,3})", re.ASCII)


def head_name(head: Head) -> str:
    """For people, who count from 1.

    >>> head_name((0, 3))
    'L1 H4'
    """
    return f"L{head[0] + 1} H{head[1] + 1}"


def head_names(heads: Iterable[Head]) -> str:
    """Several, in their order.

    >>> head_names([(1, 0), (0, 3)])
    'L1 H4, L2 H1'
    """
    return ", ".join(head_name(head) for head in sorted(heads))


def head_key(head: Head) -> str:
    """As one text: values of a choice, and the address of the page.

    >>> head_key((0, 3))
    '0.3'
    """
    return f"{head[0]}.{head[1]}"


def is_head_key(text: str) -> bool:
    """Whether a text is one that `head_key` writes."""
    return bool(_KEY.fullmatch(text))


def head_of(key: object) -> Head:
    """Back from that text.

    >>> head_of("0.3")
    (0, 3)

    Raises:
        SelectionError: If it names no head.
    """
    found = _KEY.fullmatch(str(key))
    if not found:
        raise SelectionError(f"{str(key)[:40]!r} is not a head; give layer and head counted from 0, as in '0.3'.")
    return int(found[1]), int(found[2])
