"""Slow, literal transcriptions of the definitions, which the fast code is tested against.

Nothing here is vectorised or shared with the package: each function is the sentence of the definition, in loops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

Edge = tuple[int, int, int]
"""(layer, query, key): token `query` of ring `layer + 1` attends to token `key` of ring `layer`."""


def attention_graph(
    attention: np.ndarray, tau: float, root: int, allowed: Iterable[tuple[int, int]] | None = None
) -> tuple[list[set[int]], dict[Edge, set[int]]]:
    """Attention Flows 4.1: rings 0 … L, and for each edge the set of its heads."""
    n_layers, n_heads, size, _ = attention.shape
    rings: list[set[int]] = [set() for _ in range(n_layers + 1)]
    edges: dict[Edge, set[int]] = {}
    rings[n_layers] = {root}
    for layer in range(n_layers - 1, -1, -1):
        for a in rings[layer + 1]:
            for b in range(size):
                for h in range(n_heads):
                    if (allowed is None or (layer, h) in allowed) and attention[layer, h, a, b] > tau:
                        rings[layer].add(b)
                        edges.setdefault((layer, a, b), set()).add(h)
    return rings, edges


def influence(attention: np.ndarray, tau: float, root: int, alpha: float) -> np.ndarray:
    """Attention Flows eq. 3 and 4 with layers counted from 0: `[L, T]`."""
    n_layers, _, size, _ = attention.shape
    _, edges = attention_graph(attention, tau, root)
    count = np.zeros((n_layers, size))
    for (layer, _, key), heads in edges.items():
        for _ in heads:
            count[layer, key] += 1
    result = np.zeros((n_layers, size))
    for layer in range(n_layers):
        for w in range(size):
            total = 0.0
            for m in range(layer, n_layers):
                total += alpha ** (n_layers - 1 - m) * count[m, w]
            result[layer, w] = total / (n_layers - layer)
    return result


def reach(
    rings: list[set[int]], edges: dict[Edge, set[int]], ring: int, token: int, head: int | None = None
) -> tuple[set[tuple[int, int]], set[Edge]]:
    """Attention Flows 4.4.1: every path through the token, written out one by one."""
    if token not in rings[ring]:
        return set(), set()
    nodes, used = {(ring, token)}, set()

    def away(level: int, node: int) -> Iterator[list[Edge]]:
        steps = [
            edge
            for edge, heads in edges.items()
            if edge[:2] == (level - 1, node) and (head is None or level != ring or head in heads)
        ]
        yield []
        for edge in steps:
            for rest in away(level - 1, edge[2]):
                yield [edge, *rest]

    def towards(level: int, node: int) -> Iterator[list[Edge]]:
        yield []
        for edge in [edge for edge in edges if (edge[0], edge[2]) == (level, node)]:
            for rest in towards(level + 1, edge[1]):
                yield [edge, *rest]

    for path in [*away(ring, token), *towards(ring, token)]:
        for layer, query, key in path:
            used.add((layer, query, key))
            nodes |= {(layer + 1, query), (layer, key)}
    return nodes, used


def merge_words(attention: np.ndarray, word: list[int]) -> np.ndarray:
    """Clark et al. 4.1: attention to a split word is summed, attention from it averaged."""
    n_layers, n_heads, _, _ = attention.shape
    size = max(word) + 1
    merged = np.zeros((n_layers, n_heads, size, size))
    for layer in range(n_layers):
        for h in range(n_heads):
            for query_word in range(size):
                queries = [i for i, w in enumerate(word) if w == query_word]
                for key_word in range(size):
                    keys = [i for i, w in enumerate(word) if w == key_word]
                    rows = [sum(float(attention[layer, h, i, j]) for j in keys) for i in queries]
                    merged[layer, h, query_word, key_word] = sum(rows) / len(rows)
    return merged
