"""What happens without heads: the curve as more and more are removed, and the effect of those that are."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from attnflow.records.trace import Tokens
from attnflow.records.words import told_apart
from attnflow.views.payloads import ChartFigure, Effect, Side
from attnflow.views.rounding import rounded, rounded_share


def curve_chart(
    fraction: NDArray[np.float64],
    chosen: NDArray[np.float64],
    random: NDArray[np.float64],
    *,
    title: str,
    order: str,
    measure: str,
    side: Side,
    n_heads: int,
    note: str = "",
) -> ChartFigure:
    """Describe the chart of a pruning curve.

    Args:
        fraction: `[S]`: share of the heads that are removed.
        chosen: `[S]`: the measure in the chosen order.
        random: `[R, S]`: the same in random orders.
        title: What the chart shows.
        order: Name of the chosen order.
        measure: Name of the measure.
        side: Which decides the colour.
        n_heads: How many heads there are.
        note: What else is to be said.
    """
    x = [rounded(100 * value) for value in fraction]
    mean = random.mean(0)
    spread = random.std(0, ddof=1) if len(random) > 1 else np.zeros_like(mean)
    low = [rounded(value) for value in np.maximum(mean - spread, random.min(0))]
    high = [rounded(value) for value in np.minimum(mean + spread, random.max(0))]
    hover = "%{x:.0f} % of " + f"{n_heads} heads removed<br>{measure} " + "%{y:.3f}<extra></extra>"
    data: list[dict[str, Any]] = [
        {"x": x + x[::-1], "y": high + low[::-1], "fill": "toself", "fillcolor": "@quiet:20", "line": {"width": 0},
         "mode": "lines", "hoverinfo": "skip", "name": "random, spread", "showlegend": False},
        {"x": x, "y": [rounded(value) for value in mean], "mode": "lines", "name": f"random, mean of {len(random)}",
         "line": {"color": "@quiet", "dash": "dot", "width": 2}, "hovertemplate": hover},
        {"x": x, "y": [rounded(value) for value in chosen], "mode": "lines+markers", "name": order,
         "line": {"color": f"@{side}", "width": 2.5}, "marker": {"size": 5}, "hovertemplate": hover},
    ]  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": "heads removed (%)"}, "range": [-1, 101], "gridcolor": "@line"},
        "yaxis": {"title": {"text": measure}, "gridcolor": "@line", "rangemode": "tozero"},
        "legend": {"orientation": "h", "y": 1.12, "x": 0},
    }
    alt = f"{title}: {measure} {chosen[0]:.2f} with all heads, {chosen[len(chosen) // 2]:.2f} without half of them."
    return {"title": title, "alt": alt, "data": data, "layout": layout, "height": 300, "note": note}


def effect(
    side: Side,
    name: str,
    tokens: Tokens,
    *,
    classes: list[tuple[str, float, float]],
    unit: Literal["probability", "score"],
    influence: tuple[NDArray[np.float64], NDArray[np.float64]],
    removed: int,
    shift: float,
    note: str = "",
) -> Effect:
    """Describe what switching heads off changed in one model.

    Args:
        side: The model.
        name: Name of the model.
        tokens: The words.
        classes: Label, number before and number after of each class.
        unit: What the numbers of the classes are.
        influence: `[T]` before, `[T]` after.
        removed: How many heads are off.
        shift: How far the root's embedding moved, in units of its length.
        note: Why there are no classes, if so.
    """
    before, after = influence
    kept = rounded_share if unit == "probability" else rounded
    return {
        "side": side,
        "name": name,
        "removed": removed,
        "shift": rounded(shift),
        "unit": unit,
        "classes": [{"label": label, "before": kept(b), "after": kept(a)} for label, b, a in classes],
        "text": list(tokens.text),
        "names": told_apart(tokens.text, tokens.sentence.tolist()),
        "sentence": tokens.sentence.tolist(),
        "before": [rounded(value) for value in before],
        "after": [rounded(value) for value in after],
        "note": note,
    }
