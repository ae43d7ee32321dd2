"""The root: the token whose last embedding a score reads or, where it reads several, all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Root = int | tuple[int, ...]
"""The position of one token, or those of several whose last embeddings are read together, in ascending order. As an
index of an array it picks one row or several."""

Pooling = Literal["mean", "other"]
"""How several tokens are put together: all alike, as in a mean, or in another way."""


def as_root(tokens: Iterable[int]) -> Root:
    """The root that some tokens, at least one, form.

    Example:
        >>> as_root([3]), as_root([2, 0, 2])
        (3, (0, 2))
    """
    found = tuple(sorted({int(token) for token in tokens}))
    return found[0] if len(found) == 1 else found


def tokens_of(root: Root) -> tuple[int, ...]:
    """The tokens of a root, one or several.

    Example:
        >>> tokens_of(3), tokens_of((0, 2))
        ((3,), (0, 2))
    """
    return root if isinstance(root, tuple) else (root,)


def pooled_name(root: Root, unit: str = "piece", pooling: Pooling = "mean") -> str:
    """What several tokens that are read together are called; empty for a single one, which has a name of its own.

    Args:
        root: The root.
        unit: `piece` or `word`.
        pooling: How they are put together.

    Example:
        >>> pooled_name((0, 1, 2)), pooled_name((0, 1), "word", "other"), pooled_name(0)
        ('mean of 3 tokens', '2 words together', '')
    """
    if not isinstance(root, tuple):
        return ""
    several = f"{len(root)} {'words' if unit == 'word' else 'tokens'}"
    return f"mean of {several}" if pooling == "mean" else f"{several} together"
