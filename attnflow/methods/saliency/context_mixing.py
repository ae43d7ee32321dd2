"""What the tokens that leave each layer owe to those that enter it, by length of their parts and by Value Zeroing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.records.root import Root, tokens_of
from attnflow.records.trace import Encoding, Head
from attnflow.runtime.residual_path import LayerWays, layer_ways
from attnflow.runtime.rest_of_layer import LayerRun, layer_runs, leaving_as_it_is, leaving_layer

_PAIRS_AT_ONCE = 8192
"""Tokens without the value of another one whose vectors are held at once: a long text has a million such pairs."""


def part_lengths(checkpoint: Checkpoint, encoding: Encoding, pruned: frozenset[Head]) -> list[NDArray[np.float64]]:
    """How long a part of what leaves a layer for each token is each source's.

    Args:
        checkpoint: The model to run.
        encoding: A pair encoded for it.
        pruned: Heads that are switched off.

    Returns:
        For each layer `[T, T]` as `[query, source]`.

    Raises:
        UnsupportedArchitectureError: If the architecture does not tell the parts.
    """
    runs, ways = layer_runs(checkpoint, encoding, pruned), layer_ways(checkpoint, encoding, pruned)
    return [_lengths(run, way).cpu().numpy() for run, way in zip(runs, ways, strict=True)]


def value_changes(
    checkpoint: Checkpoint, encoding: Encoding, pruned: frozenset[Head], root: Root
) -> list[NDArray[np.float64]]:
    """By how much, in cosine distance, each token leaves a layer changed if a source's value is 0 in all of its heads.

    Args:
        checkpoint: The model to run.
        encoding: A pair encoded for it.
        pruned: Heads that are switched off.
        root: What is read at the end: of the last layer nothing else is computed.

    Returns:
        For each layer `[T, T]` as `[query, source]`.

    Raises:
        UnsupportedArchitectureError: If the architecture does not tell its values, or mixes tokens after its attention.
    """
    runs = layer_runs(checkpoint, encoding, pruned)
    everyone = range(len(encoding.tokens))
    return [
        _changes(checkpoint, encoding, run, tokens_of(root) if run is runs[-1] else everyone).cpu().numpy()
        for run in runs
    ]


def _lengths(run: LayerRun, ways: LayerWays) -> torch.Tensor:
    """`[T, T]` as `[query, source]`: how long the part of what leaves a layer for the query is that is the source's.

    The part is `a_i M (sum_h alpha_hij v_hj W_h)`, and `b_i N x_i` more where the source is the query, with the maps
    `M` and `N` of the ways and their factors `a` and `b`. Its square is a quadratic form in what the heads pay, so
    that no vector is made for each query and source.
    """
    n_heads, size, _ = run.value.shape
    by_head = ways.projection.unflatten(1, (n_heads, -1)).double()  # [D, H, K]
    written = ways.heads.of(torch.einsum("htk,dhk->thd", run.value.double(), by_head))
    paid = run.paid.double().permute(2, 1, 0)  # [source, query, H]
    squares = ((paid @ (written @ written.mT)) * paid).sum(-1).T.clamp(min=0)  # [query, source]
    factor = ways.heads.factor.double().expand(size, 1)
    lengths = squares.sqrt() * factor.abs()
    own = (paid.diagonal().T[:, None] @ written)[:, 0] * factor
    own = own + ways.residual.of(run.entering.double()) * ways.residual.factor.double()
    return lengths.diagonal_scatter(own.norm(dim=-1))


def _changes(checkpoint: Checkpoint, encoding: Encoding, run: LayerRun, queries: Iterable[int]) -> torch.Tensor:
    """`[T, T]` as `[query, source]`: by how much, in cosine distance, the query leaves a layer changed.

    The layer's input stays as it is, so that without the value of a token its attention is the same but for what is
    paid to the token times the value: nothing but the rest of the layer is run again, and that only for queries that
    pay the token something.
    """
    size, device = len(run.entering), run.entering.device
    asked = torch.zeros(size, dtype=torch.bool, device=device)
    asked[list(queries)] = True
    whole, spare = leaving_as_it_is(checkpoint, encoding, run)
    before = normalize(whole.double(), dim=-1)
    changes = torch.zeros(size, size, dtype=torch.float64, device=device)
    pairs = ((run.paid != 0).any(0) & asked[:, None]).nonzero()
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):  # none where all heads are off
        query, source = pairs[start : start + _PAIRS_AT_ONCE].unbind(1)
        lost = run.paid[:, query, source].T[..., None] * run.value[:, source].transpose(0, 1)  # [N, H, K]
        left = leaving_layer(checkpoint, encoding, run, query, run.head_output[query] - lost, spare=spare)
        # 1 - cos as half the squared distance of the unit vectors, which does not round a small change away.
        changes[query, source] = (normalize(left.double(), dim=-1) - before[query]).square().sum(-1) / 2
    return changes
