"""A guided tour of an attention flow in three steps: what each model looks at, and which head does it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.records.trace import SPECIAL
from attnflow.records.words import told_apart
from attnflow.stats.flow import Flow, FlowPair
from attnflow.views.payloads import Selection, Side, TourStep


def tour(flows: FlowPair) -> list[TourStep]:
    """Describe the steps.

    Args:
        flows: The flows of two models on common units.
    """
    pairing = flows.pairing
    names = told_apart(pairing.text, pairing.sentence.tolist())
    steps = [_step("a", flows.a, pairing.in_a, names), _step("b", flows.b, pairing.in_b, names)]
    head = _strongest_head(flows, names)
    return [*steps, head] if head else steps


def _step(side: Side, one: Flow, place: NDArray[np.int32], named: list[str]) -> TourStep:
    """What the root of one model attends to in the last layer."""
    graph = one.graph
    counts = _last_layer(one, place)
    attended = [(int(counts[unit]), unit) for unit in np.flatnonzero(counts)]
    attended.sort(key=lambda entry: (-entry[0], entry[1]))
    names = ", ".join(f"{named[unit]} with {count}" for count, unit in attended[:3])
    root = int(np.flatnonzero(place == graph.root)[0])
    seen = (
        f"{len(attended)} {'token' if len(attended) == 1 else 'tokens'}: {names} of its {graph.n_heads} heads"
        + (f", and {len(attended) - 3} more" if len(attended) > 3 else "")
        if attended
        else "nothing"
    )
    return {
        "title": f"What model {side.upper()} looks at",
        "text": f"In its last layer, {named[root]} of model {side.upper()} attends above tau to {seen}.",
        "view": side,
        "selection": _at_root(root),
    }


def _strongest_head(flows: FlowPair, named: list[str]) -> TourStep | None:
    """The head of model B that attends most to the word that B, more than A, attends to with many heads."""
    a, b = (_last_layer(one, place) for one, place in ((flows.a, flows.pairing.in_a), (flows.b, flows.pairing.in_b)))
    wanted = np.where((b > 0) & (flows.pairing.sentence != SPECIAL), b - a, -np.inf)
    if not np.isfinite(wanted).any():
        return None
    unit = int(np.argmax(wanted))
    graph = flows.b.graph
    edge = (graph.layer == graph.n_layers - 1) & (graph.key == flows.pairing.in_b[unit])
    row = graph.weights[edge][0]
    head = int(np.argmax(row))
    root = int(np.flatnonzero(flows.pairing.in_b == graph.root)[0])
    name = named[unit]
    return {
        "title": "Which head does it",
        "text": (
            f"Head H{head + 1} of L{graph.n_layers}, the last layer of model B, gives {name} {row[head]:.0%} of its "
            f"attention. {int(b[unit])} of the {graph.n_heads} heads of B attend to {name} above tau, "
            f"and {int(a[unit])} of the {flows.a.graph.n_heads} of A."
        ),
        "view": "b",
        "selection": _at_root(root, head),
    }


def _at_root(unit: int, head: int | None = None) -> Selection:
    return {"ends": [{"depth": 0, "tokens": [unit]}], "head": head, "model": None}


def _last_layer(one: Flow, place: NDArray[np.int32]) -> NDArray[np.float64]:
    """For each unit, with how many heads of the last layer the root attends to it."""
    return np.where(place >= 0, one.influence[-1][place], 0)
