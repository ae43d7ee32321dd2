"""A trace whose attention graph takes its edges from anything: contributions are computed where they are needed."""

from __future__ import annotations

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.methods.hta.attribution import hidden_token_attribution
from attnflow.records.trace import Encoding, Trace
from attnflow.stats.edges import check_weights, with_weights


def run_with_weights(checkpoint: Checkpoint, encoding: Encoding, trace: Trace, weights: str) -> Trace:
    """Let the attention graph of a trace take its edges from attention or from contributions; see `with_weights`.

    Args:
        checkpoint: Whose trace it is.
        encoding: Of which text.
        trace: The recorded run.
        weights: `attention`, `norm` or `previous_layer`.

    Raises:
        SelectionError: If there is no such kind.
        UnsupportedArchitectureError: If the architecture does not allow it.
    """
    kind = check_weights(weights)
    contributions = (
        hidden_token_attribution(checkpoint, encoding, wrt=kind, pruned=trace.pruned)
        if kind == "previous_layer"
        else None
    )
    return with_weights(trace, kind, contributions)
