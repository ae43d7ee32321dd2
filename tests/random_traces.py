"""Traces of no model: random attention over made-up tokens, for the analyses that need nothing but arrays."""

from __future__ import annotations

import numpy as np

from attnflow import Tokens, Trace


def random_trace(
    seed: int,
    n_layers: int,
    n_heads: int,
    size: int,
    *,
    attention: np.ndarray | None = None,
    concentration: float = 0.3,
    word: list[int] | None = None,
    pruned: frozenset[tuple[int, int]] = frozenset(),
) -> Trace:
    """Draw rows of attention from a Dirichlet distribution; a smaller concentration makes them sharper."""
    rng = np.random.default_rng(seed)
    if attention is None:
        attention = rng.dirichlet(np.full(size, concentration), size=(n_layers, n_heads, size))
    tokens = Tokens(
        text=tuple(f"t{i}" for i in range(size)),
        piece=tuple(f"t{i}" for i in range(size)),
        sentence=np.asarray([-1, *([0] * (size // 2)), *([1] * size)][:size], np.int8),
        word=np.asarray(range(size) if word is None else word, np.int32),
        span=np.asarray([(2 * i, 2 * i + 1) for i in range(size)], np.int32),
    )
    return Trace(
        tokens=tokens,
        attention=attention.astype(np.float32),
        hidden=rng.normal(size=(n_layers + 1, size, 6)).astype(np.float32),
        head_output=rng.normal(size=(n_layers, size, n_heads, 2)).astype(np.float32),
        root=0,
        pruned=pruned,
    )
