"""The answer to a pair in one sentence and a table: what both models decide, and what differs on the way there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from attnflow.records.head_names import head_name
from attnflow.records.root import pooled_name
from attnflow.records.shares import percent
from attnflow.records.trace import SPECIAL, Head
from attnflow.records.words import told_apart
from attnflow.stats.differences import FlowDifferences, carrier, flow_differences
from attnflow.stats.flow import Flow, FlowPair
from attnflow.views.edge_kinds import QUANTITY
from attnflow.views.payloads import Answer, DifferenceRow, DifferenceTable
from attnflow.views.predicted import Decision

MOST_ROWS = 5
"""Of one table."""
_NAMED = 3
"""Words that the sentence names at most."""
_LEAST = 0.005
"""A change of influence that is nothing in whole per cents."""
NONE = "–"
"""Where a model has no such word or head."""


def answer(
    flows: FlowPair, predictions: Sequence[Decision | None], measured: Sequence[DifferenceTable] = ()
) -> tuple[Answer, list[DifferenceTable]]:
    """Say what two models decide on a text, and rank what differs between them.

    Args:
        flows: The flows of both models on common units, as they are drawn.
        predictions: What model A and model B decide; None of one that predicts nothing of the text.
        measured: Tables of what was measured of both, which stand before that of the rings.

    Returns:
        A few sentences; and tables of words, heads and rings, the largest difference first. Each row has what it
        selects on the page.
    """
    found = flow_differences(flows)
    names = told_apart(flows.pairing.text, flows.pairing.sentence.tolist())
    order = np.argsort(-np.abs(found.change), kind="stable").tolist()
    words = [unit for unit in order if is_word(flows.pairing, unit)]
    changed = [unit for unit in words if abs(found.change[unit]) >= _LEAST]
    parts = [_decisions(predictions), _words_told(found, changed[:_NAMED], names)]
    tables = [_word_table(found, words[:MOST_ROWS], names)]
    if changed:
        parts.append(carriers_told(flows, changed[0], names))
        tables.append(_head_table(flows, changed[0], names))
    return {"sentence": " ".join(filter(None, parts))}, [*tables, *measured, _ring_table(flows, found)]


class Units(Protocol):
    """Units that two models share."""

    @property
    def text(self) -> tuple[str, ...]:
        """`[U]`"""
        ...

    @property
    def sentence(self) -> NDArray[np.int8]:
        """`[U]`"""
        ...


def is_word(units: Units, unit: int) -> bool:
    """Whether a unit is a word: no special token, no punctuation."""
    return int(units.sentence[unit]) != SPECIAL and any(character.isalnum() for character in units.text[unit])


def _decisions(predictions: Sequence[Decision | None]) -> str:
    """What both decide, and how surely; models of different tasks each in words of their own."""
    a, b = predictions
    if a and b:
        if a.names and (a.verb, a.names) == (b.verb, b.names):
            return f"Both {a.verb} {a.what}: A with {a.sure}, B with {b.sure}."
        return f"{a.told('A')}, {b.told('B')}."
    for side, other, one in (("A", "B", a), ("B", "A", b)):
        if one:
            return f"{one.told(side)}; {other} predicts no class."
    return "Neither model predicts a class of this text."


def _words_told(found: FlowDifferences, words: Sequence[int], names: Sequence[str]) -> str:
    """Which words B looks at more or less than A."""
    told = []
    for how, units in (
        ("more", [unit for unit in words if found.change[unit] > 0]),
        ("less", [unit for unit in words if found.change[unit] < 0]),
    ):
        shares = [
            f"{names[unit]} – {percent(float(found.share_b[unit]))}, in A {percent(float(found.share_a[unit]))}"
            for unit in units
        ]
        if shares:
            told.append(f"{how} from {'; '.join(shares)}")
    if not told:
        return "The influence of all words is the same in both."
    return f"Of the influence on its decision, B has {'. It has '.join(told)}."


def carriers_told(flows: FlowPair, unit: int, names: Sequence[str]) -> str:
    """Through which head a word comes closest to the decision in each model; empty if it does so in neither."""
    told = []
    for side, one, place in (("A", flows.a, flows.pairing.in_a), ("B", flows.b, flows.pairing.in_b)):
        found = carrier(one, int(place[unit])) if place[unit] >= 0 else None
        if found:
            pooled = pooled_name(found.query, one.trace.tokens.unit, one.trace.pooling)
            reader = f"the {pooled}" if pooled else names[int(np.flatnonzero(place == found.query)[0])]
            told.append(f"in {side} by {head_name(found.head)} ({percent(found.weight)} of what {reader} attends to)")
    return f"{names[unit]} comes closest to the decision {', '.join(told)}." if told else ""


def _word_table(found: FlowDifferences, words: Sequence[int], names: Sequence[str]) -> DifferenceTable:
    rows: list[DifferenceRow] = [
        {
            "name": names[unit],
            "a": percent(float(found.share_a[unit])),
            "b": percent(float(found.share_b[unit])),
            "change": float(found.change[unit]),
            "select": {"word": unit},
        }
        for unit in words
    ]
    return {"kind": "word", "title": "Words", "about": "share of influence on the decision", "rows": rows}


def _head_table(flows: FlowPair, unit: int, names: Sequence[str]) -> DifferenceTable:
    """Heads by the attention that the ring above pays the word through them; layers by the deeper model."""
    depth, width = _most(flows, "n_layers"), _most(flows, "n_heads")
    paid = [
        _paid(one, int(place[unit]), depth, width)
        for one, place in ((flows.a, flows.pairing.in_a), (flows.b, flows.pairing.in_b))
    ]
    change = np.nan_to_num(paid[1]) - np.nan_to_num(paid[0])
    order = np.argsort(-np.abs(change), axis=None, kind="stable")[:MOST_ROWS]
    rows: list[DifferenceRow] = []
    for flat in order.tolist():
        head: Head = divmod(flat, width)
        if change[head] == 0:
            break
        a, b = (float(one[head]) for one in paid)
        rows.append(
            {
                "name": head_name(head),
                "a": NONE if np.isnan(a) else percent(a),
                "b": NONE if np.isnan(b) else percent(b),
                "change": float(change[head]),
                "select": {"head": head, "word": unit},
            }
        )
    about = f"strongest {QUANTITY[flows.a.trace.weights]} to {names[unit]} from the ring above"
    return {"kind": "head", "title": "Heads", "about": about, "rows": rows}


def _most(flows: FlowPair, name: str) -> int:
    return max(getattr(one.graph, name) for one in (flows.a, flows.b))


def _paid(one: Flow, token: int, depth: int, width: int) -> NDArray[np.float64]:
    """`[L, H]` by the deeper model: the most that a token of the ring above pays a token; NaN for heads not there."""
    paid = np.full((depth, width), np.nan)
    graph, attention = one.graph, one.trace.edges
    off = depth - graph.n_layers
    for layer in range(graph.n_layers):
        ring = graph.rings[layer + 1]
        values = attention[layer][:, ring, token].max(axis=1, initial=0) if token >= 0 else 0.0
        paid[off + layer, : graph.n_heads] = values
    return paid


def _ring_table(flows: FlowPair, found: FlowDifferences) -> DifferenceTable:
    """Rings by how many of their words only one model has; layers by the deeper model."""
    distance, depth = found.ring_distance, _most(flows, "n_layers")
    rows: list[DifferenceRow] = [
        {
            "name": f"after L{depth - 1 - below}" if below < depth - 1 else "input",
            "a": str(found.only_a[below]),
            "b": str(found.only_b[below]),
            "change": float(distance[below]),
            "select": None,
        }
        for below in np.argsort(-distance, kind="stable")[:MOST_ROWS].tolist()
    ]
    about = "words that only one model reaches, as a share of all of the ring"
    return {"kind": "ring", "title": "Rings", "about": about, "rows": rows}
