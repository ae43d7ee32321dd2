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


def neighbours(edges: dict[Edge, set[int]], ring: int, token: int, step: int, head: int | None = None) -> set[int]:
    """Tokens of the next ring away from the root (step -1) or towards it (step 1) that a token is joined to."""
    if step < 0:
        return {
            k for (layer, q, k), h in edges.items() if (layer, q) == (ring - 1, token) and (head is None or head in h)
        }
    return {q for (layer, q, k) in edges if (layer, k) == (ring, token)}


def edge(ring: int, token: int, step: int, other: int) -> Edge:
    return (ring - 1, token, other) if step < 0 else (ring, other, token)


def reach(
    rings: list[set[int]], edges: dict[Edge, set[int]], ring: int, tokens: set[int], head: int | None = None
) -> tuple[set[tuple[int, int]], set[Edge]]:
    """Attention Flows 4.4.1: from the tokens, each way, first what is joined to each of them, then all that follows."""
    tokens = tokens & rings[ring]
    nodes, used = {(ring, token) for token in tokens}, set()
    if not tokens:
        return nodes, used
    for step in (-1, 1):
        common = set.intersection(*(neighbours(edges, ring, t, step, head if step < 0 else None) for t in tokens))
        used |= {edge(ring, t, step, other) for t in tokens for other in common}
        level, front = ring + step, common
        while front:
            nodes |= {(level, token) for token in front}
            steps = [(token, other) for token in front for other in neighbours(edges, level, token, step)]
            used |= {edge(level, token, step, other) for token, other in steps}
            level, front = level + step, {other for _, other in steps}
    return nodes, used


def paths_between(
    rings: list[set[int]],
    edges: dict[Edge, set[int]],
    inner: int,
    inner_tokens: set[int],
    outer: int,
    outer_tokens: set[int],
) -> tuple[set[tuple[int, int]], set[Edge]]:
    """Attention Flows 4.4.2: every path from an inner token outwards, written out one by one."""
    inner_tokens, outer_tokens = inner_tokens & rings[inner], outer_tokens & rings[outer]
    ends = {(inner, t) for t in inner_tokens} | {(outer, t) for t in outer_tokens}

    def walk(level: int, token: int) -> Iterator[list[tuple[int, int]]]:
        if level == outer:
            if token in outer_tokens:
                yield [(level, token)]
            return
        for other in neighbours(edges, level, token, -1):
            for rest in walk(level - 1, other):
                yield [(level, token), *rest]

    paths = [path for token in inner_tokens for path in walk(inner, token)]
    passed = {node for path in paths for node in path} - ends
    on_the_way = {
        node
        for node in passed
        if {path[0][1] for path in paths if node in path} == inner_tokens
        and {path[-1][1] for path in paths if node in path} == outer_tokens
    }
    nodes = ends | on_the_way
    used = {
        (low[0], high[1], low[1])
        for path in paths
        for high, low in zip(path, path[1:], strict=False)
        if high in nodes and low in nodes
    }
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
