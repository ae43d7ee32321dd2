"""Saliency of one text in one or two models: token strips, how faithful each explanation is, how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnflow.checkpoints.task_head import HeadKind
from attnflow.methods.saliency.common_units import on_common_units, shares
from attnflow.methods.saliency.method import Method
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.results import Faithfulness, Report, on_scale
from attnflow.records.words import entry_text, quoted, told_apart
from attnflow.views.payloads import ChartFigure, Saliency, SaliencyMethod, SaliencyModel, Side
from attnflow.views.rounding import rounded

AGAINST, FOR = "#d6604d", "#3b7dd8"
"""Red and blue: told apart by colour-blind people, too. Orange is what both models share."""


@dataclass(frozen=True)
class ExplainedModel:
    """One model of the page and what is known of it."""

    side: Side
    name: str
    report: Report | None
    problem: str = ""
    """Why there is no report."""
    kind: HeadKind = "sequence-classification"
    """What it was trained for."""


_PLACES: dict[HeadKind, str] = {
    "token-classification": "for",
    "question-answering": "at",
    "masked-lm": "in place of",
    "causal-lm": "after",
    "seq2seq-lm": "after",
}
"""How a prediction is related to the token that it is made at."""
_WORDS: frozenset[HeadKind] = frozenset(("masked-lm", "causal-lm", "seq2seq-lm"))
"""Whose predictions are words, which stand in quotes: *score of “is” after “a”*."""


def strips(sides: Sequence[ExplainedModel], unit: str, notes: Sequence[dict[str, str]]) -> Saliency:
    """Describe the token strips.

    Args:
        sides: The models.
        unit: `piece` or `word`; pieces of a word add up.
        notes: For each model a sentence under the strip of each method.

    Returns:
        What a reader must know of each method, and the strips of each model. Where both explain the same score, a third
        entry holds what is more in B than in A, in shares. And the method that stands up best on this text: it is what
        is shown first.
    """
    told = [one.report for one in sides if one.report]
    models = [_strip(one, unit, note) for one, note in zip(sides, notes, strict=True)]
    if len(told) == 2 and told[0].target == told[1].target is not None:
        models += _difference(told[0], told[1], unit)
    shown = {answer.method.name for report in told for answer in report.answers}
    methods = [_method(method) for name, method in METHODS.items() if name in shown]
    return {"methods": methods, "models": models, "best": _most_faithful(told)}


def _most_faithful(told: Sequence[Report]) -> str:
    """The method with the largest merit, the mean over the models that were measured; empty if none is, or not yet."""
    merits: dict[str, list[float]] = {}
    for found in filter(None, (report.faithfulness for report in told if report.complete)):
        for name, merit in zip(found.names, found.merit.tolist(), strict=True):
            merits.setdefault(name, []).append(merit)
    return max(merits, key=lambda name: sum(merits[name]) / len(merits[name]), default="")


def _method(method: Method) -> SaliencyMethod:
    return {
        "name": method.name,
        "title": method.title,
        "signed": method.signed,
        "measures": method.measures,
        "ignores": method.ignores,
        "source": method.source,
    }


def _strip(one: ExplainedModel, unit: str, notes: dict[str, str]) -> SaliencyModel:
    if one.report is None:
        return {
            "side": one.side,
            "name": one.name,
            "about": "",
            "problem": one.problem,
            "text": [],
            "names": [],
            "sentence": [],
            "lines": [],
        }
    report = one.report
    common = on_common_units(report.answers, report.answers, unit)
    spoken = told_apart(common.text, common.sentence.tolist())
    faithful = report.faithfulness
    names = [answer.method.name for answer in report.answers]
    return {
        "side": one.side,
        "name": one.name,
        "about": _about(one, report, spoken, unit),
        "problem": report.missing,
        "verdict": report.verdict,
        "text": list(common.text),
        "names": spoken,
        "sentence": common.sentence.tolist(),
        "lines": list(common.lines),
        "values": _values(names, common.a),
        "scaled": _scaled(names, common.a),
        "notes": notes,
        "beats": dict(zip(faithful.names, faithful.beats_random.tolist(), strict=True)) if faithful else {},
        "absent": {name: report.absent(method) for name, method in METHODS.items() if name not in names},
    }


def target_told(target: str, kind: HeadKind) -> str:
    """What is explained, as a sentence names it: a class, or an entry of a vocabulary without its marks."""
    return quoted(entry_text(target)) if kind in _WORDS else target


def _about(one: ExplainedModel, report: Report, spoken: Sequence[str], unit: str) -> str:
    """What is explained, and of which token, where the model predicts something of each."""
    if not report.target:
        return "no score: only where the model looks"
    at, against = "", f", against {target_told(report.against, one.kind)}" if report.against else ""
    if report.position is not None and one.kind in _PLACES:
        place = report.position if unit == "piece" else int(report.answers[0].tokens.word[report.position])
        again = one.kind == "question-answering" and report.answers[0].tokens.n_source is not None
        at = f" {'after' if again else _PLACES[one.kind]} {spoken[place]}"
    return f"score of {target_told(report.target, one.kind)}{at}{against}"


def _difference(a: Report, b: Report, unit: str) -> list[SaliencyModel]:
    """What is more in B than in A, by the methods that answer for both; nothing if there is none."""
    of_b = {answer.method.name: answer for answer in b.answers}
    of_a = [answer for answer in a.answers if answer.method.name in of_b]
    both = [answer.method.name for answer in of_a]
    if not both:
        return []
    common = on_common_units(of_a, [of_b[name] for name in both], unit)
    more = shares(common.b) - shares(common.a)
    difference: SaliencyModel = {
        "side": "ab",
        "name": "B minus A",
        "about": "share of the saliency: blue is more in B, red more in A",
        "problem": "",
        "text": list(common.text),
        "names": told_apart(common.text, common.sentence.tolist()),
        "sentence": common.sentence.tolist(),
        "lines": list(common.lines),
        "values": _values(both, more),
        "scaled": _scaled(both, more),
        "notes": {},
        "beats": {},
    }
    return [difference]


def _values(names: Sequence[str], values: np.ndarray) -> dict[str, list[float | None]]:
    """By method; None where a model has no such unit."""
    return {name: [None if np.isnan(v) else rounded(v) for v in row] for name, row in zip(names, values, strict=True)}


def _scaled(names: Sequence[str], values: np.ndarray) -> dict[str, list[float]]:
    """By method, from -1 to 1."""
    return {name: np.round(on_scale(np.nan_to_num(row)), 3).tolist() for name, row in zip(names, values, strict=True)}


def faithfulness_chart(sides: Sequence[ExplainedModel]) -> ChartFigure | None:
    """Merit of every method as a point, and what random rankings reach as a band; None if nothing was measured."""
    measured = [(one, one.report.faithfulness) for one in sides if one.report and one.report.faithfulness]
    if not measured:
        return None
    names = [name for name in METHODS if any(name in found.names for _, found in measured)]
    titles = [METHODS[name].title for name in names]
    data, shapes, alone = [], [], len(measured) == 1
    for one, found in measured:
        low, high = found.random_bounds
        band = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": low, "x1": high}
        shapes.append({**band, "line": {"width": 0}, "fillcolor": f"@{one.side}:14", "layer": "below"})
        data.append(_points(one, found, names, 0 if alone else {"a": -0.12, "b": 0.12}[one.side]))
    return {
        "title": "Which explanation may be believed here?",
        "alt": " ".join(f"Model {one.side.upper()}: {one.report.verdict}" for one, _ in measured if one.report),
        "note": "Merit: what the prediction loses without the top words, minus what it loses with nothing but them, "
        "averaged over 10, 20 and 50 % of the words and two ways of removing them. Further right is better. "
        f"{'The band is' if alone else 'The bands are'} where nine of ten random rankings lie: a point inside or left "
        "of it is no better than chance.",
        "height": 90 + 34 * len(titles),
        "data": data,
        "layout": {
            "xaxis": {
                "title": {"text": f"merit, in {measured[0][1].unit}"},
                "zeroline": True,
                "zerolinecolor": "@line",
            },
            "yaxis": {
                "tickvals": list(range(len(titles))),
                "ticktext": titles,
                "range": [len(titles) - 0.5, -0.5],
                "automargin": True,
                "gridcolor": "@line",
                "zeroline": False,
            },
            "showlegend": not alone,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            "margin": {"l": 10, "r": 12, "t": 30, "b": 44},
            "shapes": shapes,
        },
    }


def _points(one: ExplainedModel, found: Faithfulness, names: Sequence[str], offset: float) -> dict[str, Any]:
    """A model's methods, each in the row of its name."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{one.side.upper()}: {target_told(found.target, one.kind)}",
        "x": [rounded(value) for value in found.merit],
        "y": [names.index(name) + offset for name in found.names],
        "marker": {
            "color": f"@{one.side}",
            "size": 11,
            "symbol": ["circle" if beats else "circle-open" for beats in found.beats_random.tolist()],
        },
        "customdata": [
            [
                METHODS[name].title,
                *(rounded(float(values[row].mean())) for values in (found.comprehensiveness, found.sufficiency)),
            ]
            for row, name in enumerate(found.names)
        ],
        "hovertemplate": "%{customdata[0]}: merit %{x}<br>comprehensiveness %{customdata[1]}"
        "<br>sufficiency %{customdata[2]}<extra></extra>",
    }


def rank_correlation_matrix(one: ExplainedModel) -> ChartFigure | None:
    """How far the methods agree in one model; None if there is nothing to compare."""
    if one.report is None or len(one.report.answers) < 2:
        return None
    titles = [answer.method.title for answer in one.report.answers]
    places = list(range(len(titles)))
    axis = {"tickvals": places, "ticktext": titles, "showgrid": False, "zeroline": False, "automargin": True}
    return {
        "title": f"Do the methods agree? Model {one.side.upper()}",
        "note": "Rank correlation over the words: 1 is the same order, 0 no relation, -1 the opposite order. The "
        "pieces of a word add up. Methods without a sign are compared by magnitude.",
        "height": 150 + 32 * len(titles),
        "least": 170 + 24 * len(titles),
        "data": [
            {
                "type": "heatmap",
                "z": [
                    [None if np.isnan(v) else round(float(v), 2) for v in row] for row in one.report.rank_correlation
                ],
                "zmin": -1,
                "zmax": 1,
                "colorscale": [[0, AGAINST], [0.5, "@page"], [1, FOR]],
                "showscale": False,
                "texttemplate": "%{z:.1f}",
                "textfont": {"size": 9},
                "xgap": 1,
                "ygap": 1,
                "hovertemplate": "%{y} and %{x}: %{z}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {**axis, "tickangle": -90, "side": "top"},
            "yaxis": {**axis, "autorange": "reversed"},
            "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        },
    }
