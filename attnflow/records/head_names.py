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


def shape_told(n_layers: int, n_heads: int) -> str:
    """What heads a model has.

    >>> shape_told(6, 12)
    '6 layers of 12 heads'
    """
    return f"{n_layers} layer{'s' * (n_layers != 1)} of {n_heads} head{'s' * (n_heads != 1)}"


def no_head(model: str, head: Head, shape: tuple[int, int], deepest: int) -> str:
    """Why a model has no head where another one has, without the full stop.

    Args:
        model: Its name.
        head: Its layer counted by the deeper model.
        shape: Layers and heads of the model.
        deepest: Layers of the deeper model, beside whose last ones those of the model stand.

    >>> no_head("A", (5, 12), (6, 12), 6)
    'A has no L6 H13: it has 6 layers of 12 heads'
    >>> no_head("A", (0, 1), (4, 12), 6)
    'A has nothing beside L1 H2: it has 4 layers of 12 heads, which stand beside L3 to L6'
    """
    n_layers, n_heads = shape
    own = head[0] - (deepest - n_layers)
    has = f"it has {shape_told(n_layers, n_heads)}"
    if own >= 0:
        return f"{model} has no {head_name((own, head[1]))}: {has}"
    beside = f"L{deepest - n_layers + 1} to L{deepest}" if n_layers > 1 else f"L{deepest}"
    return f"{model} has nothing beside {head_name(head)}: {has}, which stand{'s' * (n_layers == 1)} beside {beside}"


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
