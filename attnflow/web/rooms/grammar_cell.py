"""What was measured of heads over a treebank, and the cell of it that is chosen: a relation and a head of one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.errors import SelectionError
from attnflow.records.trace import Head
from attnflow.service.case import Case
from attnflow.stats.dependencies import DependencyResult
from attnflow.views.grammar_heads import GrammarModel, relations_of
from attnflow.views.grammar_words import head_does
from attnflow.views.payloads import SIDES, GrammarCell, Side
from attnflow.web import arguments
from attnflow.web.endpoints.checks import sent_head
from attnflow.web.rooms.reading import Collected
from attnflow.web.shared import Shown

VIEW = "grammar"
"""The tab, as the address names it."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The heads of one model or two over a treebank."""

    key: str
    """Of the collection."""
    refs: tuple[str, ...]
    """Of both models, with the very commits."""
    source: str
    """What the treebank is called."""
    models: tuple[GrammarModel, ...]
    """That of B comes after that of A."""

    @property
    def depth(self) -> int:
        """Layers of the deeper model."""
        return max(model.shape[0] for model in self.models)

    def of(self, case: Case) -> DependencyResult | None:
        """What was measured of the model of a case; None if it is another one."""
        for ref, model in zip(self.refs, self.models, strict=False):
            if ref == case.card.pinned:
                return model.found
        return None


@dataclass(frozen=True)
class At:
    """The cell that is chosen."""

    key: str
    side: Side
    relation: str
    head: Head
    """By the layers of its own model."""

    @property
    def cell(self) -> GrammarCell:
        """As the page knows it."""
        return {"key": self.key, "side": self.side, "relation": self.relation, "head": self.head}


def cell_of(measured: Measured, told: Any) -> At | None:
    """The cell that an event tells; None if it is about other texts than those that were measured.

    Raises:
        SelectionError: If there is no such model, relation or head.
    """
    key, side, relation, head = (_field(told, name) for name in GrammarCell.__annotations__)
    if key != measured.key:
        return None
    if side not in SIDES or SIDES.index(side) >= len(measured.models):
        raise SelectionError(f"side is {arguments.came(side)}; give the side of a model that was measured.")
    model = measured.models[SIDES.index(side)]
    if relation not in relations_of([model]) or not model.found.n[relation]:
        raise SelectionError(f"relation is {arguments.came(relation)}; give one that the table has.")
    own = sent_head(head, model.name, model.shape)
    return At(measured.key, cast("Side", side), relation, own)


def _field(told: Any, name: str) -> Any:
    return told.get(name) if isinstance(told, dict) else getattr(told, name, None)


def model_at(measured: Measured, at: At) -> GrammarModel:
    """The model of a cell."""
    return measured.models[SIDES.index(at.side)]


def said(measured: Measured, at: At) -> str:
    """What the chosen head does for the relation, in words, and what else it is known for."""
    model = model_at(measured, at)
    names = str(model.head_names[at.head])
    more = f" In short: {names}." if names else ""
    return f"In {at.side.upper()}, {head_does(model.found, at.relation, at.head)}{more}"


def on_page(measured: Measured, at: At) -> Head:
    """The head by the layers of the deeper model, as the page selects it."""
    return at.head[0] + measured.depth - model_at(measured, at).shape[0], at.head[1]


def by_itself(view: str, collected: Collected, source: str) -> bool:
    """Whether something is measured without being asked: of bundled models over a bundled source, with the tab open."""
    bundled = not collected.asked.sent and collected.asked.source == source
    return view == VIEW and bundled and bool(collected.refs) and all(ref in BUNDLED for ref in collected.refs)


def shows(shown: Shown | None, measured: Measured) -> bool:
    """Whether the page shows the models that were measured."""
    return shown is not None and (shown.a.ref, shown.b.ref) == measured.refs
