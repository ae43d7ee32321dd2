"""Endpoints of Hidden Token Attribution."""

from __future__ import annotations

import math
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from attnflow.service.analyses.attribution import AGREEMENT, CONTRIBUTIONS, Comparison
from attnflow.service.analyses.common import HEAD, LAYER, check_head
from attnflow.service.workspace import workspace
from attnflow.views.rounding import rounded
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer, TokenAnswer
from attnflow.web.endpoints.checks import endpoint


class AttributionAnswer(TypedDict):
    """What one head's output owes to every token."""

    model: ModelAnswer
    tokens: list[TokenAnswer]
    wrt: str
    layer: int
    head: int
    contribution: list[list[float]]
    estimated: bool
    probes: int | None
    standard_error: list[list[float]] | None
    lower: list[list[float]] | None
    upper: list[list[float]] | None
    relative_error: float
    note: str


class CorrelationAnswer(TypedDict):
    """Attention against one kind of contribution, by layer and head; null where a correlation is not defined."""

    pearson: list[list[float | None]]
    spearman: list[list[float | None]]


class AgreementAnswer(TypedDict):
    """Attention against contribution."""

    model: ModelAnswer
    tokens: list[TokenAnswer]
    previous_layer: CorrelationAnswer
    input: CorrelationAnswer
    centre_of_mass: dict[str, list[float | None]]
    estimated: bool
    probes: int | None
    relative_error: float
    note: str


@endpoint(*CONTRIBUTIONS.parameters, LAYER, HEAD)
def hidden_token_attribution(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    *,
    wrt: Literal["input", "previous_layer"],
    layer: int,
    head: int,
    probes: int | None,
) -> AttributionAnswer:
    """Return how much of one head's output at each token (row) comes from each source token (column); rows sum to 1.

    The contribution of a source is the Frobenius norm of the Jacobian of the head's output with respect to it, as a
    share of the row (Hidden Token Attribution). Of an estimate, `standard_error` is what it is off by, and `lower` and
    `upper` are bounds that hold the exact value with 95 %: with few probes they are wide.
    """
    case = workspace.case(model, sentence_a, sentence_b)
    check_head(case.trace, layer, head)  # refuses a head that is not there
    found = case.ask(CONTRIBUTIONS, wrt=wrt, probes=probes)
    error = found.standard_error
    lower, upper = (None, None) if error is None else (_table(bound[layer, head]) for bound in found.bounds())
    return {
        "model": answers.model_answer(case.card),
        "tokens": answers.tokens_answer(case.trace.tokens),
        "wrt": wrt,
        "layer": layer,
        "head": head,
        "contribution": _table(found.values[layer, head]),
        "estimated": probes is not None,
        "probes": probes,
        "standard_error": None if error is None else _table(error[layer, head]),
        "lower": lower,
        "upper": upper,
        "relative_error": rounded(found.relative_error),
        "note": answers.case_note(case, _note(probes)),
    }


@endpoint()
def attention_vs_attribution(
    model: str, sentence_a: str, sentence_b: str = "", probes: int | None = 16
) -> AgreementAnswer:
    """Return how well the attention of each head agrees with its contributions, and where both lie on average.

    `pearson` and `spearman` are means over the tokens, by layer and head, of the correlation of attention with the
    contribution of the previous layer (exact) and of the input. `centre_of_mass` has for each layer the mean relative
    position, in tokens, of attention and of both contributions; below 0 is earlier in the text.

    Args:
        probes: Random probes per token to estimate the contributions of the input from; exact if null.
    """
    case = workspace.case(model, sentence_a, sentence_b)
    local = case.ask(AGREEMENT, wrt="previous_layer")
    from_input = case.ask(AGREEMENT, wrt="input", probes=probes)
    centres = {
        "attention": local.attention_centre,
        "previous_layer": local.contribution_centre,
        "input": from_input.contribution_centre,
    }
    return {
        "model": answers.model_answer(case.card),
        "tokens": answers.tokens_answer(case.trace.tokens),
        "previous_layer": _correlations(local),
        "input": _correlations(from_input),
        "centre_of_mass": {name: [_defined(value) for value in centre] for name, centre in centres.items()},
        "estimated": probes is not None,
        "probes": probes,
        "relative_error": rounded(from_input.relative_error),
        "note": answers.case_note(case, _note(probes)),
    }


def _correlations(found: Comparison) -> CorrelationAnswer:
    return {
        "pearson": [[_defined(value) for value in layer] for layer in found.pearson],
        "spearman": [[_defined(value) for value in layer] for layer in found.spearman],
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else rounded(value)


def _table(values: NDArray[np.floating]) -> list[list[float]]:
    return [[rounded(value) for value in row] for row in values]


def _note(probes: int | None) -> str:
    if probes is None:
        return "Exact."
    return (
        f"Contributions of the input are estimated from {probes} random probes per token; relative_error is the "
        "expected mean of |estimate - exact| / exact."
    )
