"""Every head of a model as a point over its layer: what charts of heads share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnflow.records.head_names import head_name
from attnflow.records.trace import Head
from attnflow.views.payloads import Selected, Side

GRID = {"gridcolor": "@line", "zerolinecolor": "@quiet"}
LEGEND = {"orientation": "h", "y": 1, "yanchor": "bottom"}
MARGIN = {"l": 55, "r": 10, "t": 30, "b": 40}
Middle = Literal["median", "mean"]


def head_points(
    side: Side,
    values: NDArray[np.float64],
    *,
    measure: str,
    selected: Head | None = None,
    middle: Middle = "median",
    paired: bool = True,
) -> list[dict[str, Any]]:
    """Every head as a point over its layer, and the middle of each layer as a line.

    Args:
        side: Which model; of two, A stands to the left and B to the right of their layer.
        values: `[L, H]`, NaN for a head that has none.
        measure: What they are, before the number of a point that is pointed at.
        selected: The head that is marked.
        middle: What the line is of.
        paired: Whether the other model stands beside it.
    """
    n_layers, n_heads = values.shape
    centre = np.arange(1, n_layers + 1) + (0.18 * (1 if side == "b" else -1) if paired else 0)
    heads = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    spread = np.linspace(-0.12, 0.12, n_heads) if n_heads > 1 else np.zeros(1)
    name = side.upper()
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"heads of {name}",
            "showlegend": False,
            "x": np.round(centre[:, None] + spread, 3).ravel().tolist(),
            "y": numbers(values.ravel()),
            "text": [head_name(head) for head in heads],
            "customdata": [head_selected(side, head) for head in heads],
            "marker": {
                "color": f"@{side}:55",
                "size": 7,
                "line": {"color": "@text", "width": [2 * (head == selected) for head in heads]},
            },
            "hovertemplate": f"{name} %{{text}}<br>{measure} %{{y:.2f}}<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"{middle} of {name}",
            "x": np.round(centre, 3).tolist(),
            "y": numbers(middles(values, middle)),
            "line": {"color": f"@{side}", "width": 2},
            "marker": {"symbol": "line-ew", "size": 16, "line": {"width": 3, "color": f"@{side}"}},
            "hovertemplate": f"{name} {middle} %{{y:.2f}}<extra></extra>",
        },
    ]


def head_selected(side: Side, head: Head) -> Selected:
    """What a click on a head selects."""
    return {"side": side, "head": head}


def layer_axis(count: int) -> dict[str, Any]:
    """The axis of layers, of so many."""
    return {
        "tickvals": list(range(1, count + 1)),
        "ticktext": [f"L{layer}" for layer in range(1, count + 1)],
        "range": [0.5, count + 0.5],
        "showgrid": False,
        "zeroline": False,
    }


def middles(values: NDArray[np.float64], middle: Middle) -> NDArray[np.float64]:
    """`[L]`: of each layer; NaN where no head has a value."""
    found = np.nanmedian if middle == "median" else np.nanmean
    return np.array([np.nan if np.isnan(row).all() else found(row) for row in values])


def numbers(values: NDArray[np.floating]) -> list[Any]:
    """As JSON has them: null for what is not defined."""
    rounded = np.round(values.astype(float), 4).astype(object)
    rounded[~np.isfinite(values)] = None
    return rounded.tolist()
