"""A guided tour of an attention flow in three steps: what each model looks at, and which head does it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.records.root import pooled_name, tokens_of
from attnflow.records.shares import percent
from attnflow.records.trace import SPECIAL
from attnflow.records.words import told_apart
from attnflow.stats.flow import Flow, FlowPair
from attnflow.views.edge_kinds import QUANTITY
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
    counts, root = _last_layer(one, place), _root(one, place)
    attended = [(int(counts[unit]), unit) for unit in np.flatnonzero(counts)]
    attended.sort(key=lambda entry: (-entry[0], entry[1]))
    names = ", ".join(f"{named[unit]} with {count}" for count, unit in attended[:3])
    pooled = pooled_name(one.graph.root, one.trace.tokens.unit, one.trace.pooling)
    heads = _heads(one) if pooled else f"its {_heads(one)}"
    seen = (
        f"{len(attended)} {'token' if len(attended) == 1 else 'tokens'}: {names} of {heads}"
        + (f", and {len(attended) - 3} more" if len(attended) > 3 else "")
        if attended
        else "nothing"
    )
    who = f"the {pooled}" if pooled else named[root[0]]
    return {
        "title": f"What {side.upper()} looks at",
        "text": f"In its last layer, {who} of model {side.upper()} attends above tau to {seen}.",
        "view": side,
        "selection": _at_root(root),
    }


def _strongest_head(flows: FlowPair, named: list[str]) -> TourStep | None:
    """The head of model B that attends most to the word that B, more than A, attends to with many heads."""
    sides = ((flows.a, flows.pairing.in_a), (flows.b, flows.pairing.in_b))
    a, b = (_last_layer(one, place) for one, place in sides)
    shares = [count / len(tokens_of(one.graph.root)) for count, (one, _) in zip((a, b), sides, strict=True)]
    wanted = np.where((b > 0) & (flows.pairing.sentence != SPECIAL), shares[1] - shares[0], -np.inf)
    if not np.isfinite(wanted).any():
        return None
    unit = int(np.argmax(wanted))
    graph = flows.b.graph
    edge = (graph.layer == graph.n_layers - 1) & (graph.key == flows.pairing.in_b[unit])
    row = graph.weights[edge].max(axis=0)
    head = int(np.argmax(row))
    name, most = named[unit], "at most " if isinstance(graph.root, tuple) else ""
    return {
        "title": "Which head does it",
        "text": (
            f"Head H{head + 1} of L{graph.n_layers}, the last layer of model B, gives {name} {most}"
            f"{percent(row[head])} of its {QUANTITY[flows.b.trace.weights]}. {int(b[unit])} of the {_heads(flows.b)} "
            f"of B attend to {name} above tau, and {int(a[unit])} of the {_heads(flows.a)} of A."
        ),
        "view": "b",
        "selection": _at_root(_root(*sides[1]), head),
    }


def _root(one: Flow, place: NDArray[np.int32]) -> list[int]:
    """The units that are the root of one model."""
    return np.flatnonzero(np.isin(place, tokens_of(one.graph.root))).tolist()


def _heads(one: Flow) -> str:
    """How many heads of the last layer attend from the root: those of each of its tokens, if it is several."""
    roots = tokens_of(one.graph.root)
    return f"{one.graph.n_heads} heads" if len(roots) == 1 else f"{one.graph.n_heads} heads of {len(roots)} tokens"


def _at_root(units: list[int], head: int | None = None) -> Selection:
    return {"ends": [{"depth": 0, "tokens": units}], "head": head, "model": None}


def _last_layer(one: Flow, place: NDArray[np.int32]) -> NDArray[np.float64]:
    """For each unit, with how many heads of the last layer the root attends to it."""
    return np.where(place >= 0, one.influence[-1][place], 0)
