"""Charts of what heads do over a corpus: the figures of Clark et al. and of Pascual et al., for two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnflow.records.head_names import head_name
from attnflow.records.trace import Head
from attnflow.views import corpus_findings as findings
from attnflow.views.corpus_findings import KIND_TITLES, beside
from attnflow.views.corpus_model import ATTENTION, FAR, CorpusModel
from attnflow.views.head_points import GRID, LEGEND, MARGIN, head_points, head_selected, layer_axis, middles, numbers
from attnflow.views.payloads import ChartFigure, Side

_Part = dict[str, Any]
Marked = Mapping[Side, Head | None]
"""The head of each model that is marked."""
NOBODY: Marked = {"a": None, "b": None}
MOST_GROUPS = 6
"""Lines of groups of one model; of more they could not be told apart."""
_DASHES = ("dot", "dash", "dashdot", "longdash", "longdashdot", "5px,2px")
FOLLOWS = "follows grammar"
"""In the legend: a head that has no other name, and follows relations of a treebank."""
_SYMBOLS = {
    "self": "square",
    "previous": "triangle-left",
    "next": "triangle-right",
    "first": "diamond",
    "separator": "x",
    "punctuation": "cross",
    "broad": "star",
    FOLLOWS: "hexagram",
    "": "circle",
}
"""A mark for each name of a head."""
GRADIENTS = "Gradient of the loss by attention"
_GRADIENTS = {"separator": "solid", "punctuation": "dot", "else": "dash"}


def attention_by_kind(models: Sequence[CorpusModel], kind: str, marked: Marked = NOBODY) -> ChartFigure:
    """Attention to a kind of token: each head a point over its layer, the mean of a layer a line."""
    have = [model for model in models if ATTENTION + kind in model.table]
    told = beside([findings.attention_to(model, kind) for model in models], findings.BERT_KINDS.get(kind, ""))
    title = f"Attention to {KIND_TITLES[kind]}"
    data = [
        trace
        for model in have
        for trace in head_points(
            model.side,
            model.table[ATTENTION + kind],
            measure="attention",
            selected=marked[model.side],
            middle="mean",
            paired=len(models) > 1,
        )
    ]
    highest = max((float(np.nanmax(model.table[ATTENTION + kind])) for model in have), default=1.0)
    top = min(1.02, 1.1 * highest + 0.02)
    return _by_layer(models, title, told, data, {"title": {"text": "share of attention"}, "range": [-0.01, top]})


def entropy(models: Sequence[CorpusModel], marked: Marked = NOBODY) -> ChartFigure:
    """How broadly each head attends, and with a dotted line how broadly the root does."""
    data: list[_Part] = []
    for model in models:
        data += head_points(
            model.side,
            model.table["entropy"],
            measure="entropy",
            selected=marked[model.side],
            middle="mean",
            paired=len(models) > 1,
        )
        root = middles(model.table["entropy of the root"], "mean")
        data.append(_line(model.side, f"root of {model.side.upper()}", root, "dot", "%{y:.2f} nats"))
    told = beside([findings.entropy(model) for model in models], findings.BERT_ENTROPY)
    top = max(model.most for model in models) * 1.05
    return _by_layer(models, "Entropy of attention", told, data, {"title": {"text": "nats"}, "range": [-0.05, top]})


def positions(model: CorpusModel, layer: int, marked: Marked = NOBODY) -> ChartFigure:
    """Where, relative to a token, the heads of one layer attend to: a line for each."""
    side, name, found = model.side, model.side.upper(), marked[model.side]
    title = f"{name} · L{layer + 1}: where its heads look"
    if layer >= model.n_layers:
        return missing(title, findings.positions(model, layer))
    data: list[_Part] = []
    for head in range(model.n_heads):
        at = (layer, head)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": head_name(at),
                "showlegend": False,
                "x": model.offset.tolist(),
                "y": numbers(model.at_offset[at]),
                "customdata": [head_selected(side, at)] * len(model.offset),
                "line": {"color": f"@{side}" if at == found else f"@{side}:45", "width": 4 if at == found else 1.5},
                "hovertemplate": f"{name} {head_name(at)}<br>%{{x:+d}} tokens: %{{y:.2f}}<extra></extra>",
            }
        )
    rare = len(model.offset) < 2 * FAR + 1
    more = ["Left out: positions that fewer than a tenth of the tokens have."] * rare
    told = beside([findings.positions(model, layer), *more], findings.BERT_POSITIONS)
    return {
        "title": title,
        "alt": told,
        "note": told,
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": "tokens, earlier < 0 < later"}, "range": [-FAR, FAR]} | GRID,
            "yaxis": {"title": {"text": "mean attention"}, "rangemode": "tozero"} | GRID,
            "margin": {"l": 55, "r": 10, "t": 10, "b": 45},
        },
        "height": 300,
    }


def centres(models: Sequence[CorpusModel]) -> ChartFigure:
    """Centre of mass by layer: of attention, of contributions if measured, and of each group of texts."""
    data: list[_Part] = []
    for model in models:
        dashes = iter(_DASHES)
        for name, values in model.centre.items():
            dash = "solid" if name == "attention" else next(dashes)
            data.append(_line(model.side, f"{model.side.upper()} {name}", values, dash, "%{y:+.1f} tokens"))
        for name, values in list(model.centre_by_group.items())[:MOST_GROUPS]:
            data.append(
                _line(model.side, f"{model.side.upper()} {name[:40]}", values, next(dashes, "dot"), "%{y:+.1f}")
            )
    left = max(len(model.centre_by_group) for model in models) - MOST_GROUPS
    more = [f"The first {MOST_GROUPS} groups are drawn, {left} are not."] if left > 0 else []
    told = beside([*(findings.centre(model) for model in models), *more], findings.BERT_CENTRE)
    return _by_layer(
        models, "Do heads look back or ahead?", told, data, {"title": {"text": "tokens, earlier < 0 < later"}}
    )


def head_map(model: CorpusModel, marked: Marked = NOBODY) -> ChartFigure:
    """The heads in the plane: alike ones lie together, later layers are darker, marks tell names."""
    heads = [(layer, head) for layer in range(model.n_layers) for head in range(model.n_heads)]
    name, found = model.side.upper(), marked[model.side]
    by_name: dict[str, list[int]] = {}
    for number, head in enumerate(heads):
        by_name.setdefault((model.names(head) or (FOLLOWS if model.follows(head) else "",))[0], []).append(number)
    order = [own for own in _SYMBOLS if own in by_name]
    data: list[_Part] = []
    for own in order:
        rows = by_name[own]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": own or "no name",
                "x": numbers(model.map.points[rows, 0]),
                "y": numbers(model.map.points[rows, 1]),
                "text": [_named(model, heads[row]) for row in rows],
                "customdata": [head_selected(model.side, heads[row]) for row in rows],
                "marker": {
                    "symbol": _SYMBOLS[own],
                    "size": 9,
                    "color": [heads[row][0] + 1 for row in rows],
                    "cmin": 1,
                    "cmax": max(2, model.n_layers),
                    "colorscale": [[0, f"@{model.side}:25"], [1, f"@{model.side}"]],
                    "showscale": own == order[0],
                    "colorbar": {
                        "title": {"text": "layer"},
                        "thickness": 8,
                        "len": 0.8,
                        "outlinewidth": 0,
                        "dtick": max(1, round(model.n_layers / 6)),
                    },
                    "line": {"color": "@text", "width": [2.5 if heads[row] == found else 0.4 for row in rows]},
                },
                "hovertemplate": f"{name} %{{text}}<extra></extra>",
            }
        )
    told = beside([findings.head_map(model)], findings.BERT_MAP)
    axis = {"showticklabels": False, "zeroline": False, "showgrid": False, "ticks": ""}  # directions mean nothing
    return {
        "title": f"{name} · heads that attend alike lie together",
        "alt": told,
        "note": told,
        "data": data,
        "layout": {
            "xaxis": axis,
            "yaxis": {**axis, "scaleanchor": "x"},
            "legend": LEGEND,
            "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
        },
        "height": 380,
    }


def _named(model: CorpusModel, head: Head) -> str:
    """A head with its names and the relations that it follows."""
    follows = model.follows(head)
    told = [*model.names(head), *([f"follows {follows}"] if follows else [])]
    return ": ".join(filter(None, [head_name(head), ", ".join(told)]))


def gradients(models: Sequence[CorpusModel]) -> ChartFigure:
    """How much the loss would move with an attention weight, by layer and kind of token."""
    data = [
        _line(
            model.side,
            f"{model.side.upper()} {KIND_TITLES[kind]}",
            np.where(model.gradient[:, place] > 0, model.gradient[:, place], np.nan),
            _GRADIENTS[kind],
            "%{y:.2e}",
            exact=True,
        )
        for model in models
        if model.gradient is not None
        for place, kind in enumerate(model.gradient_kinds)
    ]
    told = beside([findings.gradient(model) for model in models], findings.BERT_GRADIENT)
    axis = {"title": {"text": "|d loss / d attention|"}, "type": "log", "exponentformat": "power"}
    return _by_layer(models, GRADIENTS, told, data, axis)


def correlations(models: Sequence[CorpusModel], source: str) -> ChartFigure:
    """How attention agrees with contributions of a source: a box for each layer, each head a point."""
    data: list[_Part] = []
    for model in models:
        values = model.table.get(f"pearson: {source}")
        if values is None:
            continue
        heads = [(layer, head) for layer in range(model.n_layers) for head in range(model.n_heads)]
        data.append(
            {
                "type": "box",
                "name": model.side.upper(),
                "x": [layer + 1 for layer, _ in heads],
                "y": numbers(values.ravel()),
                "text": [head_name(head) for head in heads],
                "customdata": [head_selected(model.side, head) for head in heads],
                "boxpoints": "all",
                "jitter": 0.5,
                "pointpos": 0,
                "fillcolor": f"@{model.side}:15",
                "line": {"color": f"@{model.side}", "width": 1.5},
                "marker": {"color": f"@{model.side}:60", "size": 4},
                "hoveron": "points",
                "hovertemplate": f"{model.side.upper()} %{{text}}<br>Pearson %{{y:.2f}}<extra></extra>",
            }
        )
    bert = findings.BERT_LOCAL if source == "previous layer" else findings.BERT_INPUT
    told = beside([findings.agreement(model, source) for model in models], bert)
    figure = _by_layer(models, agreement_title(source), told, data, {"title": {"text": "Pearson"}})
    figure["layout"]["boxmode"] = "group"
    return figure


def agreement_title(source: str) -> str:
    """Of the chart of correlations with contributions of a source."""
    return f"Agreement of attention with the {source}"


def missing(title: str, why: str) -> ChartFigure:
    """In place of a chart: why there is none."""
    hidden = {"visible": False}
    return {
        "title": title,
        "note": why,
        "data": [],
        "layout": {"xaxis": hidden, "yaxis": hidden, "margin": {"l": 0, "r": 0, "t": 0, "b": 0}},
        "height": 10,
    }


def _by_layer(
    models: Sequence[CorpusModel], title: str, told: str, data: list[_Part], axis: Mapping[str, Any]
) -> ChartFigure:
    """A chart over the layers of the deepest model; without anything to draw, what is told of it."""
    if not data:
        return missing(title, told)
    return {
        "title": title,
        "alt": told,
        "note": told,
        "data": data,
        "layout": {
            "xaxis": layer_axis(max(model.n_layers for model in models)),
            "yaxis": {**axis, **GRID},
            "legend": LEGEND,
            "margin": MARGIN,
        },
        "height": 330,
    }


def _line(side: Side, name: str, values: Any, dash: str, number: str, *, exact: bool = False) -> _Part:
    """A number for each layer; a name that the texts gave stands in no template, which is shown as it is."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(range(1, len(values) + 1)),
        "y": [float(value) if np.isfinite(value) else None for value in values] if exact else numbers(values),
        "line": {"color": f"@{side}", "dash": dash, "width": 2},
        "marker": {"color": f"@{side}", "size": 5},
        "hovertemplate": f"%{{fullData.name}}<br>L%{{x}}: {number}<extra></extra>",
    }
