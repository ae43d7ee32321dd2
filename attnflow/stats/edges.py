"""What the edges of an attention graph are taken from: attention, or how much a source contributes to a head.

All kinds are `[L, H, T, T]` rows that sum to 1, so that rings, influence and tracing mean the same with each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError, UnsupportedArchitectureError
from attnflow.records.trace import WEIGHTS, Attribution, Trace, Weights, carried_tokens


def check_weights(weights: str) -> Weights:
    """Return a kind of edge.

    Raises:
        SelectionError: If there is none of that name.
    """
    if weights not in WEIGHTS:
        raise SelectionError(f"weights is {weights!r}; give 'attention', 'norm' or 'previous_layer'.")
    return weights


def with_weights(trace: Trace, weights: str, contributions: Attribution | None = None) -> Trace:
    """Let the attention graph of a trace take its edges from something else than attention.

    Args:
        trace: A recorded run, on the pieces that it was recorded on.
        weights: `attention`; `norm`: the norm of attention times value times the head's part of the output projection,
            divided by the row's sum; or `previous_layer`: what each head's output owes to the input of its own layer.
        contributions: For `previous_layer`, `hidden_token_attribution(…, wrt="previous_layer")` of the same run.

    Returns:
        The same run with other `edges`. All else, its attention too, stays as it is. Rows of pruned heads are defined
        by norm, and 0 in the previous layer; they carry no edges by either.

    Raises:
        SelectionError: If there is no such kind, or its contributions are missing or not of this run.
        UnsupportedArchitectureError: If the architecture does not tell the norms of values.

    Reference:
        `norm`: Kobayashi et al. 2020, *Attention is Not Only a Weight*, eq. 4, `||alpha f(x)||` with
        `f(x) = (x W_V + b_V) W_O`: the bias of the value belongs to it, that of the output projection to no source.
        Head by head, as the edges are. What follows in the layer, residual and layer norm, is not in it.
        `previous_layer`: Pascual, Brunner and Wattenhofer, *Telling BERT's Full Story*, eq. 1.
    """
    kind = check_weights(weights)
    if contributions is not None and kind != "previous_layer":
        raise SelectionError(f"contributions come with weights {kind!r}; give them with 'previous_layer' alone.")
    if kind == "attention":
        return trace if trace.weights == kind else replace(trace, weights=kind, contributions=None)
    if kind == "norm":
        return replace(trace, weights=kind, contributions=_norm_rows(trace))
    if contributions is None:
        raise SelectionError(
            "A trace does not hold contributions to the previous layer; compute them with "
            "hidden_token_attribution(checkpoint, encoding, wrt='previous_layer') and give these."
        )
    _check_previous_layer(contributions)
    same = contributions.tokens.piece == trace.tokens.piece and contributions.values.shape == trace.attention.shape
    if not same or contributions.pruned != trace.pruned:
        raise SelectionError("These contributions are of another run; give those of the same text, model and heads.")
    return replace(trace, weights=kind, contributions=contributions.values)


def edges_of(trace_or_values: Trace | Attribution, weights: str | None) -> Trace | Attribution:
    """What a graph is built from, of the kind that is asked for; None: attention, or what was chosen for the trace.

    Raises:
        SelectionError: If there is no such kind, or it cannot be had from what is given.
        UnsupportedArchitectureError: If the architecture does not tell the norms of values.
    """
    if isinstance(trace_or_values, Attribution):
        if weights not in (None, "previous_layer"):
            raise SelectionError(f"weights is {weights!r}, but contributions are given; give a trace for that.")
        _check_previous_layer(trace_or_values)
        return trace_or_values
    if weights is None or check_weights(weights) == trace_or_values.weights:
        return trace_or_values
    return with_weights(trace_or_values, weights)


def _norm_rows(trace: Trace) -> NDArray[np.float32]:
    """`[L, H, T, T]`; 0 where a token takes no part in a layer."""
    rows = norm_rows(trace.attention, _norms_of(trace))
    return np.where(carried_tokens(trace)[:, None, :, None], np.float32(0), rows)


def norm_rows(attention: NDArray[np.floating], value_norms: NDArray[np.floating]) -> NDArray[np.float32]:
    """Shares of each source in what heads write, by norm.

    Args:
        attention: `[L, H, T, T]`
        value_norms: `[L, H, T]`

    Returns:
        `[L, H, T, T]`: rows sum to 1, or to 0 where nothing is written.
    """
    paid = attention.astype(np.float64) * value_norms[..., None, :]
    total = paid.sum(axis=-1, keepdims=True)
    return np.divide(paid, total, out=np.zeros_like(paid), where=total > 0).astype(np.float32)


def _norms_of(trace: Trace) -> NDArray[np.float32]:
    if trace.value_norms is None:
        reason = trace.no_value_norms or "its trace was made without them"
        raise UnsupportedArchitectureError(
            f"The norms of values times the output projection cannot be told: {reason}. Use weights='attention' or "
            "'previous_layer'."
        )
    return trace.value_norms


def _check_previous_layer(contributions: Attribution) -> None:
    if contributions.wrt != "previous_layer":
        raise SelectionError(
            "The sources of these contributions are the model's input, and edges join one layer to the next; compute "
            "them with wrt='previous_layer'."
        )
