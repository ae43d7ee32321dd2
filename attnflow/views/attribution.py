"""Charts of how attention and contribution agree: by head, by layer, and where in the text they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.records.trace import Head
from attnflow.views.head_points import GRID, LEGEND, MARGIN, head_points, head_selected, layer_axis, numbers
from attnflow.views.payloads import ChartFigure, Side

_Part = dict[str, Any]
NOTE = (
    "In BERT (Pascual et al. 2021) attention agrees with what a head takes from the previous layer, above 0.7 in all "
    "heads but two, and less and less with what it takes from the input: below 0.5 in most heads after four layers."
)


@dataclass(frozen=True)
class Model:
    """What the charts show of one model."""

    side: Side
    name: str
    local: NDArray[np.float64]
    """`[L, H]`: correlation of attention and the contribution of the previous layer; NaN where undefined."""
    wrt_input: NDArray[np.float64]
    """`[L, H]`: of attention and the contribution of the input."""
    centres: dict[str, NDArray[np.float64]]
    """For attention and each contribution the centre of mass of each layer, `[L]`."""
    selected: Head | None = None
    """The head that is marked."""


def overview(model: Model, measure: str) -> ChartFigure:
    """Correlation of attention and the contribution of the input as a table of layers and heads."""
    n_layers, n_heads = model.wrt_input.shape
    trace: _Part = {
        "type": "heatmap",
        "z": numbers(model.wrt_input),
        "x": [f"H{head + 1}" for head in range(n_heads)],
        "y": [f"L{layer + 1}" for layer in range(n_layers)],
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[0, f"@{model.side}:0"], [1, f"@{model.side}"]],
        "customdata": [
            [head_selected(model.side, (layer, head)) for head in range(n_heads)] for layer in range(n_layers)
        ],
        "xgap": 1,
        "ygap": 1,
        "colorbar": {"thickness": 10, "len": 0.7, "outlinewidth": 0},
        "hovertemplate": f"%{{y}} %{{x}}<br>{measure} %{{z:.2f}}<extra></extra>",
    }
    return {
        "title": f"{model.side.upper()} · agreement with the input",
        "alt": f"{model.name}: {measure} correlation by layer and head; median {_median(model.wrt_input)}.",
        "data": [trace],
        "layout": {
            "xaxis": {"side": "top", "showgrid": False, "ticks": ""},
            "yaxis": {"autorange": "reversed", "showgrid": False, "ticks": ""},
            "margin": {"l": 40, "r": 10, "t": 30, "b": 10},
            "shapes": [] if model.selected is None else [_frame(*model.selected)],
        },
        "height": 90 + 22 * n_layers,
    }


def strip(models: Sequence[Model], measure: str, *, local: bool) -> ChartFigure:
    """Every head as a point over its layer, and the median of each layer as a line."""
    deepest = max(len(model.local) for model in models)
    data = [
        trace
        for model in models
        for trace in head_points(
            model.side,
            model.local if local else model.wrt_input,
            measure=measure,
            selected=model.selected,
            paired=len(models) > 1,
        )
    ]
    what = "the previous layer" if local else "the input"
    medians = "; ".join(f"{m.side.upper()} {_median(m.local if local else m.wrt_input)}" for m in models)
    return {
        "title": f"Agreement of attention with {what}",
        "alt": f"{measure} correlation of each head by layer; median over all heads: {medians}.",
        "note": None if local else NOTE,
        "data": data,
        "layout": {
            "xaxis": layer_axis(deepest),
            "yaxis": {"title": {"text": f"{measure} correlation"}, "range": [_lowest(models), 1.05]} | GRID,
            "legend": LEGEND,
            "margin": MARGIN,
        },
        "height": 330,
    }


def centres(models: Sequence[Model]) -> ChartFigure:
    """Centre of mass of attention and of the input's contribution over the layers."""
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"{model.side.upper()} {name}",
            "x": list(range(1, len(values) + 1)),
            "y": numbers(values),
            "line": {"color": f"@{model.side}", "dash": "solid" if name == "attention" else "dot", "width": 2},
            "marker": {"color": f"@{model.side}", "size": 7},
            "hovertemplate": f"{model.side.upper()} {name}<br>L%{{x}}: %{{y:.1f}} tokens<extra></extra>",
        }
        for model in models
        for name, values in model.centres.items()
    ]
    return {
        "title": "Do heads look back or ahead?",
        "alt": "Centre of mass, in tokens relative to the attending token, by layer.",
        "note": (
            "Mean position, relative to the token itself, of what is attended to or contributes: below 0 is earlier in "
            "the text. One short pair says little: each far-off position occurs only a few times."
        ),
        "data": data,
        "layout": {
            "xaxis": layer_axis(max(len(values) for model in models for values in model.centres.values())),
            "yaxis": {"title": {"text": "tokens, earlier < 0 < later"}} | GRID,
            "legend": LEGEND,
            "margin": MARGIN,
        },
        "height": 330,
    }


def _frame(layer: int, head: int) -> _Part:
    """Marks a cell of the overview."""
    edges = {"x0": head - 0.5, "x1": head + 0.5, "y0": layer - 0.5, "y1": layer + 0.5}
    return {"type": "rect", **edges, "line": {"color": "@text", "width": 2}}


def _lowest(models: Sequence[Model]) -> float:
    """One scale for both strips, from 0 unless there is less."""
    least = min((np.nanmin(part, initial=0) for model in models for part in (model.local, model.wrt_input)), default=0)
    return float(np.floor(10 * least) / 10) - 0.02


def _median(values: NDArray[np.float64]) -> str:
    return "none" if np.isnan(values).all() else f"{np.nanmedian(values):.2f}"
