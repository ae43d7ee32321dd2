"""Endpoints of the attention flow."""

from __future__ import annotations

from typing import Literal

from attnflow.records.trace import Weights
from attnflow.service.analyses.edges import WEIGHTS, edges_of_case
from attnflow.service.workspace import workspace
from attnflow.stats.flow import compare_flows, flow
from attnflow.web.endpoints.checks import checked_heads, endpoint
from attnflow.web.endpoints.graphs import CompareAnswer, FlowAnswer, comparison_answer, flow_answer


@endpoint(WEIGHTS)
def attention_flow(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    tau: float | list[float] | Literal["by_layer"] = 0.1,
    alpha: float = 0.5,
    pruned: list[list[int]] | None = None,
    root: int | None = None,
    heads: list[list[int]] | None = None,
    *,
    weights: Weights,
) -> FlowAnswer:
    """Return the attention graph of a checkpoint on a sentence pair, built backwards from the token its task reads.

    Args:
        tau: Attention must be above this threshold to make an edge; from 0 to below 1. One number, one for each layer,
            or "by_layer" for the thresholds that the page starts with, which leave no ring empty and none too full.
        alpha: Decay of influence for each layer further from the decision; above 0, at most 1.
        root: Position of the token to start from, counted from 0; what the task reads, one token or several, if left
            out.
        heads: Heads that may carry edges as [layer, head]; all if left out.
    """
    case = workspace.case(model, sentence_a, sentence_b, checked_heads("pruned", pruned))
    allowed = None if heads is None else checked_heads("heads", heads)
    threshold = None if tau == "by_layer" else tau
    return flow_answer(case, flow(edges_of_case(case, weights), threshold, alpha, root=root, heads=allowed), alpha)


@endpoint(WEIGHTS)
def compare_attention_flow(
    model_a: str,
    model_b: str,
    sentence_a: str,
    sentence_b: str = "",
    tau: float | Literal["by_layer"] = 0.1,
    alpha: float = 0.5,
    root: int | None = None,
    heads: list[list[int]] | None = None,
    *,
    weights: Weights,
) -> CompareAnswer:
    """Return the attention graphs of two checkpoints on one sentence pair, and what they share.

    Checkpoints that cut the text into the same pieces are compared piece by piece, others word by word. The lists
    `shared`, `only_a` and `only_b` hold unit numbers for each ring, counted from the decision outwards.

    Args:
        model_a: Hub id of the first checkpoint, with "@revision" if needed, or "demo/pretrained".
        model_b: Hub id of the second checkpoint, or "demo/finetuned".
        tau: Attention must be above this threshold to make an edge; from 0 to below 1; or "by_layer" for the thresholds
            that the page starts with, by layer and model.
        alpha: Decay of influence for each layer further from the decision; above 0, at most 1.
        root: Number of the unit to start from, counted from 0; what each task reads, one or several, if left out.
        heads: Heads that may carry edges as [layer, head], by the layers of the deeper model; all if left out.
    """
    a, b = (workspace.case(model, sentence_a, sentence_b) for model in (model_a, model_b))
    allowed = None if heads is None else checked_heads("heads", heads)
    threshold = None if tau == "by_layer" else tau
    trace_a, trace_b = (edges_of_case(case, weights) for case in (a, b))
    flows = compare_flows(trace_a, trace_b, threshold, alpha, root=root, heads=allowed)
    return comparison_answer(a, b, flows, alpha)
