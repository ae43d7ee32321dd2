"""The head that is marked in the tab *Corpus*: how it is chosen, what is known of it, and the text that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from attnflow.errors import SelectionError
from attnflow.records.head_names import head_name, no_head
from attnflow.records.shares import percent
from attnflow.records.trace import Head
from attnflow.service.head_examples import BROAD, HeadExamples
from attnflow.stats.surface import AMONG_SEPARATORS
from attnflow.views.corpus_findings import KIND_TITLES, head_told
from attnflow.views.corpus_model import ATTENTION, CorpusModel
from attnflow.views.payloads import SIDES, Selected, Side
from attnflow.web import arguments
from attnflow.web.endpoints.checks import sent_head
from attnflow.web.shared import Shown

NO_HEAD = "Click a point or a row: what is known of that head is told here, with a text that shows it."


@dataclass(frozen=True)
class At:
    """The head that is marked in the tab."""

    layer: int
    """Counted by the deeper of both models."""
    head: int
    side: Side
    """The model that it was chosen in."""


@dataclass(frozen=True, eq=False)
class Reached:
    """What was measured."""

    key: str
    """Of the collection, or of the runs that were opened."""
    refs: tuple[str, ...]
    models: tuple[CorpusModel, ...]
    examples: tuple[HeadExamples, ...]
    """Of each model; none of runs that were opened, which keep no texts."""

    def own(self, at: At | None) -> dict[Side, Head | None]:
        """The marked head of each model; None for a model without."""
        return {model.side: self._own(model, at) for model in self.models}

    def _own(self, model: CorpusModel, at: At | None) -> Head | None:
        if at is None:
            return None
        head = at.layer - self.depth + model.n_layers, at.head
        return head if model.has(head) else None

    def absent(self, model: CorpusModel, at: At) -> str:
        """Why a model has no head where one is marked, without the full stop."""
        shape = model.n_layers, model.n_heads
        return no_head(model.side.upper(), (at.layer, at.head), shape, self.depth)

    @property
    def depth(self) -> int:
        """Layers of the deeper model."""
        return max(model.n_layers for model in self.models)


def known(reached: Reached, at: At | None) -> str:
    """What is known of the marked head in both models, and where that of the model it was chosen in is seen best."""
    if at is None:
        return NO_HEAD
    own = reached.own(at)
    told = []
    for model in reached.models:
        head = own[model.side]
        told.append(f"{reached.absent(model, at)}." if head is None else head_told(model, head))
    try:
        return " ".join([*told, best_example(reached, at)[1]])
    except SelectionError as error:
        return " ".join([*told, str(error)])


def best_example(reached: Reached, at: At | None) -> tuple[int, str]:
    """The row of the text that shows the marked head best, and a sentence on what it shows.

    Raises:
        SelectionError: If none is marked, or there is no such text.
    """
    if at is None:
        raise SelectionError("No head is selected; click a point of a chart or a row of the table.")
    number, side = SIDES.index(at.side), at.side.upper()
    if number >= len(reached.examples):
        raise SelectionError(
            "Runs that were opened keep no texts; measure texts of this room to see one that shows it."
        )
    model, head = reached.models[number], reached.own(at)[at.side]
    if head is None:
        raise SelectionError(f"{reached.absent(model, at)}. So no text shows it; click one of its points.")
    names = model.names(head)
    does = names[0] if names else max(KIND_TITLES, key=lambda kind: _share(model, kind, head))
    found = reached.examples[number].of(head, does)
    if found is None:
        raise SelectionError(f"No text that One pair takes shows {head_name(head)} of {side}; read other texts.")
    row, share = found
    told = percent(share)
    what = f"its entropy is {told} of the most" if does == BROAD else f"{told} go to {KIND_TITLES[does]}"
    return row, f"In {side} text {row + 1:,} shows it best: there, {what}."


def _share(model: CorpusModel, kind: str, head: Head) -> float:
    """What a head that has no name may be shown by; separators count once."""
    values = model.table.get(ATTENTION + kind)
    return -1.0 if values is None or kind == AMONG_SEPARATORS else float(values[head])


def of_row(reached: Reached, event: gr.EventData) -> Selected:
    """The head of a row of the table.

    Raises:
        SelectionError: If it is none of the table's.
    """
    row = getattr(event, "row_value", None)
    names = row[:2] if isinstance(row, list) else None
    for model in reached.models:
        for layer in range(model.n_layers):
            for head in range(model.n_heads):
                if names == [model.side.upper(), head_name((layer, head))]:
                    return {"side": model.side, "head": (layer, head)}
    raise SelectionError(f"The row is {arguments.came(row)}; choose one of the table.")


def marked(reached: Reached, head: Any, side: Any) -> At:
    """The head of one model, by the layers of the deeper one.

    Raises:
        SelectionError: If there is no such head.
    """
    if side not in SIDES:
        raise SelectionError(f"side is {arguments.came(side)}; give 'a' or 'b'.")
    if SIDES.index(side) >= len(reached.models):
        raise SelectionError("Only one run is open, as that of model A; open two to compare.")
    model = reached.models[SIDES.index(side)]
    own = sent_head(head, model.name, (model.n_layers, model.n_heads))
    return At(own[0] + reached.depth - model.n_layers, own[1], side)


def shows(shown: Shown | None, reached: Reached) -> bool:
    """Whether the page shows the models that were measured."""
    return shown is not None and (shown.a.ref, shown.b.ref)[: len(reached.refs)] == reached.refs
