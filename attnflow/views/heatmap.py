"""Heat maps of token against token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnflow.records.trace import Tokens
from attnflow.records.words import told_apart
from attnflow.views.payloads import HeatMap, MapTrace, Side


def attention_heatmap(
    values: NDArray[np.float32],
    tokens: Tokens,
    *,
    title: str,
    model: Side = "a",
    highest: float | None = None,
    quantity: str = "attention",
    source: str = "attended to (key)",
    start: int = 0,
) -> HeatMap:
    """Draw the attention of one head, or what it owes to the tokens.

    Args:
        values: `[T, T]` as `[query, key]`.
        tokens: What the axes stand for.
        title: What the map shows.
        model: Which decides the colour.
        highest: End of the colour scale; the largest value if None.
        quantity: Name of the values.
        source: Title of the axis of columns.
        start: Token whose attention is spelt out under the map until another is chosen.

    Returns:
        A Plotly figure in which rows attend, columns are attended to and the scale starts at 0, and its words.
    """
    trace: MapTrace = {
        "type": "heatmap",
        "z": _sent(values.astype(float)).tolist(),
        "zmin": 0,
        "zmax": float(values.max() if highest is None else highest),
        "colorbar": {"thickness": 10, "len": 0.6, "outlinewidth": 0, "title": {"text": quantity, "side": "right"}},
        "hovertemplate": f"%{{text}}<br>{quantity} %{{z:.3f}}<extra></extra>",
    }
    axis = {"showgrid": False, "zeroline": False, "ticks": "", "automargin": True}
    layout = {
        "xaxis": axis | {"side": "top", "tickangle": -60, "title": {"text": source}},
        "yaxis": axis
        | {
            "autorange": "reversed",
            "title": {"text": "attending (query)" if quantity == "attention" else "output at (query)"},
        },
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
    }
    return {
        "data": [trace],
        "layout": layout,
        "title": title,
        "names": list(tokens.text),
        "told": told_apart(tokens.text, tokens.sentence.tolist()),
        "model": model,
        "row": "What {} attends to" if quantity == "attention" else "What the output at {} owes to each token",
        "start": start,
    }


def _sent(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """With four decimals, but nothing above 0 as 0 nor below 1 as 1."""
    least, most = np.where(values > 0, 0.00001, -np.inf), np.where(values < 1, 0.9999, np.inf)
    return np.clip(np.round(values, 4), least, most)


def no_heatmap(title: str, model: Side) -> HeatMap:
    """In place of a map: why there is none.

    Args:
        title: The reason.
        model: Which has none.
    """
    return {
        "data": [], "layout": {}, "title": title, "names": [], "told": [], "model": model, "row": "", "start": 0
    }  # fmt: skip
