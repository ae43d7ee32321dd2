"""What the edges of a case's attention graph are taken from."""

from __future__ import annotations

from typing import Literal

from attnflow.records.trace import Trace
from attnflow.service.analyses.attribution import CONTRIBUTIONS
from attnflow.service.case import Case
from attnflow.service.registry import Parameter
from attnflow.stats.edges import check_weights, with_weights

WEIGHTS = Parameter(
    "weights",
    Literal["attention", "norm", "previous_layer"],
    "attention",
    'What edges are, and tau is compared with: "attention"; "norm", the length of what a head writes for a token as a '
    'share of its row; or "previous_layer", what its output owes to the token as it enters the layer (a share, too).',
)


def edges_of_case(case: Case, weights: str) -> Trace:
    """The trace of a case with such edges; contributions are computed once and kept.

    Raises:
        SelectionError: If there is no such kind.
        UnsupportedArchitectureError: If the architecture does not allow it.
    """
    kind = check_weights(weights)
    contributions = case.ask(CONTRIBUTIONS, wrt=kind) if kind == "previous_layer" else None
    return with_weights(case.trace, kind, contributions)
