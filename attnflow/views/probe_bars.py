"""How much of a treebank's trees probes read out of two models: bars beside what needs no such model, and training."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attnflow.records.parses import TrainingCurve
from attnflow.records.shares import between, percent
from attnflow.stats.proportion import Proportion
from attnflow.views.grammar_words import offset_told, share_told
from attnflow.views.head_points import GRID, LEGEND, numbers
from attnflow.views.payloads import ChartFigure, Side

CONTROL = "shuffled trees"
SAYS = {
    "right-branching": "Always the next word.",
    "fixed offset": "Always the word at the one distance that is best on the sentences learnt from.",
    "words and distances": "A classifier that sees the words and how far apart they are, and no attention.",
    "random weights": "The same probe on the model as before training, its embeddings kept.",
    "attention": "A linear combination of both directions of all heads.",
    "attention and words": "The same with weights that depend on the two words.",
    CONTROL: "The same probe learnt and scored on trees whose words were shuffled.",
}
"""What each row of the table is."""
SELECTIVITY = (
    "Selectivity is how much better a probe is on trees than on trees whose words were shuffled, where there is no "
    "grammar to be found: what it reaches there, it owes to its own weights and not to the model."
)
_WIDTH = 44
"""Letters of a line of what is told of a bar, which must fit on a phone."""


@dataclass(frozen=True, eq=False)
class ProbeModel:
    """The probe of one model, and what it is held against."""

    side: Side
    name: str
    kind: str
    found: Proportion
    """Governors that are right, in held-out sentences."""
    beside: tuple[tuple[str, Proportion], ...]
    """The rest of the table, by the names of `SAYS`; what comes closest to the probe first, the control last."""
    offset: int
    """The fixed one."""
    sentences: tuple[int, int, int]
    """Learnt from, looked at to know when to stop, and scored."""
    failed: int
    curve: TrainingCurve

    @property
    def rows(self) -> tuple[tuple[str, Proportion], ...]:
        """The probe first."""
        return ((self.kind, self.found), *self.beside)

    def of(self, name: str) -> Proportion:
        """One row."""
        return dict(self.rows)[name]


def probe_bars(models: Sequence[ProbeModel]) -> ChartFigure:
    """A bar for the probe of each model and for what it is held against, with intervals."""
    names = [name for name, _ in models[0].rows]
    labels = [_label(name, models[0]) for name in names]
    data: list[dict[str, Any]] = []
    for model in models:
        shares = [model.of(name) for name in names]
        ends = [share.interval for share in shares]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": f"{model.side.upper()} {model.name.rpartition('/')[2]}",
                "y": labels,
                "x": [round(share.share, 4) for share in shares],
                "marker": {"color": [f"@{model.side}:{70 if name == model.kind else 35}" for name in names]},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [round(high - share.share, 4) for share, (_, high) in zip(shares, ends, strict=True)],
                    "arrayminus": [round(share.share - low, 4) for share, (low, _) in zip(shares, ends, strict=True)],
                    "color": "@text",
                    "thickness": 1.2,
                    "width": 3,
                },
                "hovertemplate": [_hover(model, name) for name in names],
            }
        )
    told = " ".join([*(_told(model) for model in models), SELECTIVITY])
    return {
        "title": "Governors that the probe finds in sentences it has not seen",
        "alt": told,
        "note": told,
        "data": data,
        "layout": {
            "barmode": "group",
            "bargap": 0.25,
            "xaxis": {"tickformat": ".0%", "range": [0, 1.02], "fixedrange": True, **GRID},
            "yaxis": {"autorange": "reversed", "automargin": True, "fixedrange": True},
            "legend": {**LEGEND, "traceorder": "normal"},
            "margin": {"l": 20, "r": 14, "t": 40, "b": 30},
        },
        "height": 90 + 42 * len(names),
    }


def probe_curves(models: Sequence[ProbeModel]) -> ChartFigure:
    """How the probes were trained: after each epoch, the share found in sentences that only tell when to stop."""
    data: list[dict[str, Any]] = []
    for model in models:
        curve, epochs = model.curve, list(range(1, len(model.curve.loss) + 1))
        name = model.side.upper()
        losses = zip(numbers(curve.loss), numbers(curve.dev_loss), strict=True)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"{name} {model.name.rpartition('/')[2]}",
                "x": epochs,
                "y": numbers(curve.dev_uas),
                "line": {"color": f"@{model.side}", "width": 2},
                "marker": {
                    "color": f"@{model.side}",
                    "size": [11 if epoch == curve.best + 1 else 5 for epoch in epochs],
                    "line": {"color": "@text", "width": [2 * int(epoch == curve.best + 1) for epoch in epochs]},
                },
                "hovertemplate": [
                    f"{name}, epoch {epoch}{', kept' * int(epoch == curve.best + 1)}<br>"
                    f"{html.escape(percent(share, 1))} found<br>"
                    f"loss {own:.3f} nats, on these sentences {dev:.3f}<extra></extra>"
                    for epoch, share, (own, dev) in zip(epochs, curve.dev_uas, losses, strict=True)
                ],
            }
        )
    kept = " and ".join(f"{model.side.upper()} epoch {model.curve.best + 1}" for model in models)
    told = f"The large point is the epoch that was kept, that of the smallest loss: {kept}."
    return {
        "title": "Its training, on sentences that tell when to stop",
        "alt": told,
        "note": told,
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": "epoch"}, "dtick": _step(models), "fixedrange": True},
            "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "fixedrange": True, **GRID},
            "legend": LEGEND,
            "margin": {"l": 48, "r": 14, "t": 30, "b": 40},
        },
        "height": 220,
    }


def _step(models: Sequence[ProbeModel]) -> int:
    """Epochs between two numbers of the axis."""
    return 1 + max(len(model.curve.loss) for model in models) // 12


def _label(name: str, model: ProbeModel) -> str:
    if name == model.kind:
        return f"the probe: {name}"
    return "best fixed offset" if name == "fixed offset" else name


def _hover(model: ProbeModel, name: str) -> str:
    share = model.of(name)
    low, high = share.interval
    said = SAYS[name] if name != "fixed offset" else f"{SAYS[name][:-1]}: {offset_told(model.offset)}."
    lines = [
        f"{model.side.upper()}, {_label(name, model)}: {share_told(share)}",
        f"95 % interval {between(low, high)}, {share.n:,} words",
        *textwrap.wrap(said, _WIDTH),
    ]
    return f"{'<br>'.join(html.escape(line, quote=False) for line in lines)}<extra></extra>"


def _told(model: ProbeModel) -> str:
    """The numbers of one model in a few sentences."""
    low, high = model.found.interval
    learnt, _, scored = model.sentences
    untaught, control = model.of("words and distances"), model.of(CONTROL)
    points = 100 * (model.found.share - control.share)
    return (
        f"{model.side.upper()}: {share_told(model.found)} of {model.found.n:,} words (95 % interval "
        f"{between(low, high)}) in {scored:,} held-out sentences, learnt from {learnt:,}; "
        f"{_beside(model.found, untaught)} a classifier of words and distances that sees no attention "
        f"({share_told(untaught)}). Its selectivity is {points:.1f} points: on shuffled trees the same probe finds "
        f"{share_told(control)}."
    )


def _beside(found: Proportion, other: Proportion) -> str:
    """Whether it is more than another share; intervals that overlap leave that open."""
    (low, high), (other_low, other_high) = found.interval, other.interval
    return "more than" if low > other_high else "less than" if high < other_low else "not clearly different from"
