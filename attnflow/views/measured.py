"""What differs between two models by what was measured of them: words by saliency, heads by importance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow.methods.saliency.common_units import on_common_units, shares
from attnflow.methods.saliency.results import Report, Saliency
from attnflow.records.head_names import head_name
from attnflow.records.shares import percent
from attnflow.records.trace import Head
from attnflow.records.words import told_apart
from attnflow.stats.flow import Flow, FlowPair
from attnflow.stats.mean_attention import normalise_importance, places
from attnflow.views.answer import MOST_ROWS, NONE, is_word
from attnflow.views.payloads import DifferenceRow, DifferenceTable


def saliency_table(flows: FlowPair, reports: Sequence[Report]) -> DifferenceTable | None:
    """Words by the change of their share of the saliency, by the most faithful method that answers for both.

    Args:
        flows: The flows of both models on common units.
        reports: What all methods say of each model.

    Returns:
        None if no method that was tested explains the same in both.
    """
    best = _most_faithful(reports)
    if best is None:
        return None
    answers, trust = best
    common = on_common_units([answers[0]], [answers[1]], flows.pairing.unit)
    a, b = (np.nan_to_num(shares(values))[0] for values in (common.a, common.b))
    known = [values[0] for values in (~np.isnan(common.a), ~np.isnan(common.b))]
    change, names = b - a, told_apart(common.text, common.sentence.tolist())
    # Units are the same ones in the same order, unless the flow is drawn on others.
    same = common.text == flows.pairing.text
    words = [unit for unit in np.argsort(-np.abs(change), kind="stable").tolist() if is_word(common, unit)]
    rows: list[DifferenceRow] = [
        {
            "name": names[unit],
            "a": percent(float(a[unit])) if known[0][unit] else NONE,
            "b": percent(float(b[unit])) if known[1][unit] else NONE,
            "change": float(change[unit]),
            "select": {"word": unit} if same else None,
        }
        for unit in words[:MOST_ROWS]
    ]
    about = f"share of the saliency by {answers[0].method.title}, {trust}"
    return {"kind": "word", "title": "Words", "about": about, "rows": rows}


def _most_faithful(reports: Sequence[Report]) -> tuple[tuple[Saliency, Saliency], str] | None:
    """What the method with the largest merit says of each model, and how far it may be trusted.

    Merit is the mean over the models that were tested; a method counts if both models answer by it.
    """
    a, b = ({one.method.name: one for one in report.answers} for report in reports)
    merits: dict[str, list[float]] = {}
    beaten: set[str] = set()
    for found in (report.faithfulness for report in reports):
        if found is None:
            continue
        for name, merit, beats in zip(found.names, found.merit.tolist(), found.beats_random.tolist(), strict=True):
            merits.setdefault(name, []).append(merit)
            if not beats:
                beaten.add(name)
    order = sorted(merits, key=lambda name: -sum(merits[name]) / len(merits[name]))
    same = reports[0].target == reports[1].target and reports[0].against == reports[1].against
    best = next((name for name in order if name in a and name in b and (same or not a[name].method.about_target)), None)
    if best is None:
        return None
    trust = "the most faithful here" if best == order[0] else "the most faithful that both models answer by"
    if best in beaten:
        trust = f"{trust}, but no better than a random ranking"
    return (a[best], b[best]), trust


def importance_table(
    flows: FlowPair, importance: Sequence[NDArray[np.float64]], by: str, *, same: bool
) -> DifferenceTable:
    """Heads by the change of their importance; layers by the deeper model.

    Args:
        flows: The flows of both models on common units.
        importance: `[L, H]` of each, raw.
        by: How it was measured, for a reader.
        same: Whether both are of one quantity; if not, places in the order of each model are compared.
    """
    depth, width = (max(values.shape[axis] for values in importance) for axis in (0, 1))
    scaled = [
        _at_root(normalise_importance(values, "all") if same else places(values), depth, width) for values in importance
    ]
    a, b = scaled
    change = b - a  # a head that only one model has changes nothing
    order = [int(flat) for flat in np.argsort(-np.abs(np.nan_to_num(change)), axis=None, kind="stable")[:MOST_ROWS]]
    rows: list[DifferenceRow] = []
    for flat in order:
        head: Head = divmod(flat, width)
        if np.nan_to_num(change[head]) == 0:
            break
        word = _looked_at(flows, head, depth)
        rows.append(
            {
                "name": head_name(head),
                "a": f"{a[head]:.2f}",
                "b": f"{b[head]:.2f}",
                "change": float(change[head]),
                "select": {"head": head} if word is None else {"head": head, "word": word},
            }
        )
    about = f"importance for the pair by {by}, 0 to 1" if same else f"place in the order by {by}, 0 to 1"
    return {"kind": "head", "title": "Heads", "about": about, "rows": rows}


def _at_root(values: NDArray[np.float64], depth: int, width: int) -> NDArray[np.float64]:
    """`[depth, width]`, aligned at the last layer; NaN for heads that are not there."""
    whole = np.full((depth, width), np.nan)
    whole[depth - values.shape[0] :, : values.shape[1]] = values
    return whole


def _looked_at(flows: FlowPair, head: Head, depth: int) -> int | None:
    """The word that the ring above attends to most by a head, in B or, where B has none, in A; None for none."""
    for one, place in ((flows.b, flows.pairing.in_b), (flows.a, flows.pairing.in_a)):
        paid = _paid(one, head, depth)
        if paid is None:
            continue
        units = [unit for unit in range(len(place)) if place[unit] >= 0 and is_word(flows.pairing, unit)]
        most, best = max(((float(paid[place[unit]]), -unit) for unit in units), default=(0.0, 0))
        if most > 0:
            return -best
    return None


def _paid(one: Flow, head: Head, depth: int) -> NDArray[np.floating] | None:
    """`[T]`: the most that a token of the ring above pays each token by a head; None if the model has not got it."""
    layer = head[0] - depth + one.graph.n_layers
    if layer < 0 or head[1] >= one.graph.n_heads:
        return None
    attention: NDArray[np.float32] = one.trace.edges[layer][head[1]]
    return attention[one.graph.rings[layer + 1]].max(axis=0, initial=0)
