"""The choice of one threshold: how many tokens each ring would hold at every one of them."""

from __future__ import annotations

import numpy as np

from attnflow.stats.flow import Flow, FlowPair
from attnflow.stats.ring_sizes import ring_sizes
from attnflow.views.payloads import ThresholdChoice, ThresholdModel

TAUS = np.arange(96) / 100
"""What the page offers."""


def threshold_choice(flows: FlowPair, tau: float | None) -> ThresholdChoice:
    """Describe the choice.

    Args:
        flows: The flows as they are drawn.
        tau: The threshold of all layers; None if each has its own.
    """
    sides = [_model(one) for one in (flows.a, flows.b)]
    return {
        "taus": TAUS.tolist(),
        "tau": tau,
        "most": max(one.graph.n_tokens for one in (flows.a, flows.b)),
        "models": sides,
    }


def _model(one: Flow) -> ThresholdModel:
    """Rings from the decision outwards, without that of the decision itself."""
    return {
        "layers": one.graph.n_layers,
        "sizes": ring_sizes(one.limits, TAUS).T[-2::-1].tolist(),
        "now": one.graph.rings.sum(axis=1)[-2::-1].tolist(),
        "tau": [float(f"{value:.3g}") for value in one.graph.tau[::-1]],
    }
