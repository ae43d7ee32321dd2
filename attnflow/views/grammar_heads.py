"""How well heads find the governors of each relation: what map, table and file of the tab *Grammar* hold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.records.corpus import CorpusStatistics
from attnflow.records.head_names import head_name
from attnflow.stats.dependencies import ALL, DIRECTIONS, LEAST, DependencyResult, Found
from attnflow.stats.proportion import Proportion
from attnflow.views.csv_text import csv_text
from attnflow.views.grammar import Grammar, GrammarBest, GrammarFile, GrammarModelFigure, GrammarRow, GrammarShare
from attnflow.views.grammar_beside import NOTHING, Beside, difference
from attnflow.views.grammar_words import finds
from attnflow.views.packed import packed
from attnflow.views.payloads import Side

_STEPS = 10_000
"""In which accuracies are sent."""


@dataclass(frozen=True, eq=False)
class GrammarModel:
    """The heads of one model over a treebank."""

    side: Side
    name: str
    n: int
    """Sentences that were read."""
    cut: int
    failed: int
    found: DependencyResult
    head_names: NDArray[Any]
    """`[L, H]`: what each head is called by what it attends to, and the relations that it follows; may be empty."""

    @classmethod
    def of(cls, side: Side, measured: CorpusStatistics) -> GrammarModel:
        """Of statistics with `dependencies`, `surface` and `entropy`."""
        found: DependencyResult = measured["dependencies"]
        named, followed = measured.table["name"], measured.table["relations"]
        both = [
            "; ".join(filter(None, (str(own), relations and f"follows {relations}")))
            for own, relations in zip(named.ravel().tolist(), followed.ravel().tolist(), strict=True)
        ]
        names = np.array(both, dtype=object).reshape(named.shape)
        return cls(side, measured.settings.model, measured.n, measured.cut, len(measured.failed), found, names)

    @property
    def shape(self) -> tuple[int, int]:
        """Layers and heads."""
        layers, heads = self.found.right.shape[-2:]
        return layers, heads


def relations_of(models: Sequence[GrammarModel]) -> list[str]:
    """All relations, those of most cases first; before them `ALL` of them together."""
    known = {name for model in models for name in model.found.relations}
    most = {name: max(model.found.n.get(name, 0) for model in models) for name in known}
    return [ALL, *sorted(known, key=lambda name: (-most[name], name))]


def grammar(key: str, models: Sequence[GrammarModel]) -> Grammar:
    """What the map draws.

    Args:
        key: Of the collection.
        models: One or two.
    """
    relations = relations_of(models)
    return {
        "key": key,
        "least": LEAST,
        "directions": list(DIRECTIONS),
        "relations": [{"name": name, "finds": finds(name)} for name in relations],
        "models": [_figure(model, relations) for model in models],
    }


def best_heads(key: str, models: Sequence[GrammarModel], beside: Beside = NOTHING) -> GrammarBest:
    """What the table holds.

    Args:
        key: Of the collection.
        models: One or two.
        beside: What stands beside their heads.
    """
    relations = relations_of(models)
    # One whose cases are all in one half of the sentences has none that is held out, and no row.
    rows = [
        _row(model, name, beside)
        for name in relations
        for model in models
        if model.found.n.get(name) and model.found.best(name).held_out.n
    ]
    return {
        "key": key,
        "least": LEAST,
        "rows": rows,
        "compared": beside.compared is not None,
        "random": bool(beside.random),
        "notes": beside.notes,
    }


def _figure(model: GrammarModel, relations: Sequence[str]) -> GrammarModelFigure:
    layers, heads = model.shape
    accuracy = np.zeros((len(relations), layers * heads), "<u2")
    direction = np.zeros((len(relations), layers * heads), np.uint8)
    for place, name in enumerate(relations):
        if model.found.n.get(name):
            both = model.found.accuracy[name].reshape(len(DIRECTIONS), -1)
            accuracy[place] = np.round(_STEPS * both.max(axis=0))
            direction[place] = both.argmax(axis=0)
    known = [model.found.n.get(name, 0) for name in relations]
    return {
        "side": model.side,
        "name": model.name,
        "layers": layers,
        "heads": heads,
        "cases": known,
        "steps": _STEPS,
        "accuracy": packed(accuracy),
        "direction": packed(direction),
        "offset": [
            model.found.baseline(name).on_all.share if n else 0.0 for name, n in zip(relations, known, strict=True)
        ],
        "best": [_column(model, name) if n else -1 for name, n in zip(relations, known, strict=True)],
        "names": model.head_names.ravel().tolist(),
    }


def _column(model: GrammarModel, name: str) -> int:
    best = model.found.best(name)
    assert best.layer is not None and best.head is not None, "as a head has"
    return best.layer * model.shape[1] + best.head


def _row(model: GrammarModel, name: str, beside: Beside) -> GrammarRow:
    control = beside.control(model.side, name)
    best, offset = model.found.best(name), model.found.baseline(name)
    assert best.layer is not None and best.head is not None and best.direction and offset.offset is not None
    return {
        "relation": name,
        "finds": finds(name),
        "side": model.side,
        "n": model.found.n[name],
        "head": (best.layer, best.head),
        "direction": best.direction,
        "held_out": _share(best.held_out),
        "on_all": _share(best.on_all),
        "offset": offset.offset,
        "offset_held_out": _share(offset.held_out),
        "offset_on_all": _share(offset.on_all),
        "compared": difference(beside.difference(name)),
        "random": None if control is None else _share(control.held_out),
    }


def _share(of: Proportion) -> GrammarShare:
    low, high = of.interval
    return {"share": round(of.share, 4), "low": round(low, 4), "high": round(high, 4)}


def grammar_file(models: Sequence[GrammarModel], beside: Beside = NOTHING) -> GrammarFile:
    """The table as CSV: what is chosen and scored on all, and held out, of heads and of offsets; what stands beside."""
    header = ["relation", "model", "checkpoint", "cases", "best head", "direction", "best offset"]
    for what in ("head", "offset", *["random weights"] * bool(beside.random)):
        for how in ("held out", "on all"):
            header += [f"{what}, {how}", f"{what}, {how}, low", f"{what}, {how}, high"]
    header += ["A - B, points", "p, McNemar, Holm"] * (beside.compared is not None)
    rows = []
    for name in relations_of(models):
        for model in models:
            if not model.found.n.get(name):
                continue
            row, best, offset = _row(model, name, beside), model.found.best(name), model.found.baseline(name)
            told: list[Any] = [
                name,
                model.side.upper(),
                model.name,
                row["n"],
                head_name(row["head"]),
                row["direction"],
                row["offset"],
            ]
            told += [*_ends(best), *_ends(offset)]
            if beside.random:
                control = beside.control(model.side, name)
                told += [""] * 6 if control is None else _ends(control)
            if beside.compared is not None:
                differs = row["compared"]
                told += ["", ""] if differs is None else [differs["points"], float(f"{differs['p']:.6g}")]
            rows.append(told)
    return {"name": "grammar.csv", "text": csv_text(header, rows), "at": time.time()}


def _ends(found: Found) -> list[float | str]:
    """Both shares with the ends of their intervals; nothing of no cases."""
    return [
        float(f"{value:.6g}") if share.n else ""
        for share in (found.held_out, found.on_all)
        for value in (share.share, *share.interval)
    ]
