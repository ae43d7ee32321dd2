"""How often the best heads of two models find antecedents, as bars beside rules that need no model."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from attnflow.records.corpus import CorpusStatistics
from attnflow.records.head_names import head_name
from attnflow.stats.antecedents import RULES, Rule
from attnflow.stats.coreference import ALL, CoreferenceResult
from attnflow.stats.dependencies import LEAST
from attnflow.stats.proportion import Proportion
from attnflow.views.grammar_words import share_told
from attnflow.views.head_points import GRID, LEGEND, head_selected
from attnflow.views.payloads import ChartFigure, Side

KINDS_TOLD = {ALL: "all", "pronoun": "pronouns", "proper": "names", "nominal": "nouns"}
RULES_TOLD: dict[Rule, str] = {
    "nearest": "nearest mention",
    "head match": "same head word",
    "sieves": "four sieves",
}
_SHADES = ("@quiet:25", "@quiet:45", "@quiet:65")
"""Of the rules, the better ones darker; none so dark that its interval is not seen."""


@dataclass(frozen=True, eq=False)
class ChainsModel:
    """The heads of one model over texts with coreference chains."""

    side: Side
    name: str
    n: int
    """Texts that were read."""
    cut: int
    failed: int
    found: CoreferenceResult

    @classmethod
    def of(cls, side: Side, measured: CorpusStatistics) -> ChainsModel:
        """Of statistics with `coreference`."""
        name, failed = measured.settings.model, len(measured.failed)
        return cls(side, name, measured.n, measured.cut, failed, measured["coreference"])


def coreference_bars(models: Sequence[ChainsModel]) -> ChartFigure:
    """A bar for the best head of each model and for each rule, by kind of mention; what is held out, with intervals."""
    first = models[0].found
    kinds = [kind for kind in (ALL, *first.kinds) if first.n[kind]]
    x = [KINDS_TOLD[kind] for kind in kinds]
    data: list[dict[str, Any]] = []
    for model in models:
        best = [model.found.best(kind) for kind in kinds]
        bar = _bar(f"best head of {model.side.upper()}", f"@{model.side}:70", x, [one.held_out for one in best])
        bar["text"] = [head_name((one.layer, one.head)) for one in best]
        bar["customdata"] = [head_selected(model.side, (one.layer, one.head)) for one in best]
        bar["hovertemplate"] = [
            f"{model.side.upper()} {text}<br>{_shown(one.held_out)} held out<extra></extra>"
            for text, one in zip(bar["text"], best, strict=True)
        ]
        data.append(bar)
    for rule, shade in zip(RULES, _SHADES, strict=True):
        data.append(_bar(RULES_TOLD[rule], shade, x, [first.baseline(rule, kind) for kind in kinds]))
    told = " ".join([*(_told(model, kinds) for model in models), _rules_told(first, kinds)])
    return {
        "title": "Who is meant? Antecedents found, by kind of mention",
        "alt": told,
        "note": f"{told} A click on a bar selects its head on the whole page.",
        "data": data,
        "layout": {
            "barmode": "group",
            "xaxis": {"fixedrange": True},
            "yaxis": {"title": {"text": "antecedents found"}, "tickformat": ".0%", "range": [0, 1.08], **GRID},
            "legend": LEGEND,
            "margin": {"l": 55, "r": 10, "t": 50, "b": 50},
        },
        "height": 360,
    }


def _bar(name: str, colour: str, x: list[str], shares: Sequence[Proportion]) -> dict[str, Any]:
    known = [share if share.n else None for share in shares]  # of what nothing is known there is no bar
    return {
        "type": "bar",
        "name": name,
        "x": x,
        "y": [share and round(share.share, 4) for share in known],
        "marker": {"color": colour},
        "textposition": "none",
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [share and round(share.interval[1] - share.share, 4) for share in known],
            "arrayminus": [share and round(share.share - share.interval[0], 4) for share in known],
            "color": "@text",
            "thickness": 1.2,
            "width": 3,
        },
        "hovertemplate": [f"{name}<br>{_shown(share)}<extra></extra>" for share in shares],
    }


def _shown(share: Proportion) -> str:
    """A share as Plotly writes it, for which `<` begins a tag."""
    return html.escape(share_told(share), quote=False)


def _told(model: ChainsModel, kinds: Sequence[str]) -> str:
    """What the best heads of a model find, in a sentence."""
    best = {kind: model.found.best(kind) for kind in kinds}
    parts = [
        f"{head_name((one.layer, one.head))} {share_told(one.held_out)} of {_counted(kind, model.found.n[kind])}"
        for kind, one in best.items()
        if one.held_out.n
    ]
    if not parts:
        return f"{model.side.upper()}: nothing is held out, as all cases are in one half of the texts."
    return f"{model.side.upper()}, in held-out texts, finds the antecedents of: {', '.join(parts)}."


def _rules_told(found: CoreferenceResult, kinds: Sequence[str]) -> str:
    """What rules find, and of which kinds there are too few cases."""
    rules = ", ".join(f"{RULES_TOLD[rule]} {share_told(found.baseline(rule))}" for rule in RULES)
    few = [_of(kind) for kind in kinds if found.n[kind] < LEAST]
    return f"Without a model, of all: {rules}." + (f" Too few to say much: {', '.join(few)}." if few else "")


def _counted(kind: str, n: int) -> str:
    return f"all {n:,} mentions" if kind == ALL else f"{n:,} {KINDS_TOLD[kind]}"


def _of(kind: str) -> str:
    return "all mentions" if kind == ALL else KINDS_TOLD[kind]
