"""What the parts of the page share: the visitor's state, the components above the tabs, and when a tab is filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from attnflow.errors import SelectionError
from attnflow.records.head_names import head_name, no_head
from attnflow.records.trace import Head
from attnflow.service.bounds import reading
from attnflow.service.case import Case
from attnflow.service.workspace import workspace
from attnflow.views.payloads import Pruned
from attnflow.web.endpoints.checks import whole_number
from attnflow.web.forms import Form
from attnflow.web.panels import Panel, Thresholds
from attnflow.web.settings import CUT_WAY, SelectedHead, Settings
from attnflow.web.wiring import Source, Verb, components, on_card

NO_HEADS: Pruned = {"a": [], "b": []}
"""To switch all heads on again."""


@dataclass(frozen=True)
class ShownModel:
    """One of the two models as the page shows it."""

    ref: str
    """With the very commit, unless it is bundled."""
    key: tuple[object, ...]
    """Under which its case is kept."""
    pruned: frozenset[Head] = frozenset()
    cut: bool = False
    """Whether its text was cut to what it takes."""
    position: int | None = None
    """The token whose prediction is meant; None for the usual one."""


@dataclass(frozen=True)
class Shown:
    """What the page shows, kept on the server for one visitor; traces themselves stay in the bounded cache."""

    a: ShownModel
    b: ShownModel
    text_a: str
    text_b: str
    chat: bool = False
    """Whether chat templates were applied."""

    @classmethod
    def of(cls, a: Case, b: Case) -> Shown:
        """What is shown of two cases of one pair."""
        model_a, model_b = (
            ShownModel(
                case.card.pinned,
                case.at(None).key,
                case.trace.pruned,
                bool(case.encoding.cut),
                case.encoding.position,
            )
            for case in (a, b)
        )
        return cls(model_a, model_b, a.encoding.text_a, a.encoding.text_b or "", a.encoding.chat)

    @property
    def pair(self) -> tuple[str, str, str, str]:
        """Both models and both sentences, whatever is switched off."""
        return self.a.ref, self.b.ref, self.text_a, self.text_b

    @property
    def asked(self) -> tuple[object, ...]:
        """The pair, and the tokens whose predictions are meant."""
        return *self.pair, self.a.position, self.b.position

    def cases(self) -> tuple[Case, Case]:
        """Both cases, from memory if they are still there."""
        return self._run(self.a), self._run(self.b)

    def _run(self, model: ShownModel) -> Case:
        with reading(truncate=model.cut, chat=self.chat, way=CUT_WAY):
            case = workspace.recall(model.key) or workspace.case(model.ref, self.text_a, self.text_b, model.pruned)
        return case.at(model.position)


def cases_of(shown: Shown | None) -> tuple[Case, Case]:
    """Both cases that are shown.

    Raises:
        SelectionError: If nothing has been analysed.
    """
    if shown is None:
        raise SelectionError(
            "Nothing has been analysed yet, or so long ago that the server has forgotten it; press Analyse."
        )
    return shown.cases()


def missing_layers(case: Case, cases: Sequence[Case]) -> int:
    """How many layers fewer a model has than the deeper one: by so many its layers are off on the page."""
    return max(one.card.n_layers for one in cases) - case.card.n_layers


def layer_choices(a: Case, b: Case) -> list[tuple[str, int]]:
    """Layers by the deeper model; the other one is aligned with it at the root."""
    most = max(a.card.n_layers, b.card.n_layers)
    names = []
    for layer in range(most):
        own = [layer - missing_layers(case, (a, b)) for case in (a, b)]
        both = " · ".join(f"{name} L{index + 1}" for name, index in zip("AB", own, strict=True) if index >= 0)
        names.append((f"L{layer + 1}" if own[0] == own[1] else both, layer))
    return names


def heads_of(a: Case, b: Case, at: SelectedHead) -> tuple[Head | None, Head | None]:
    """The head of each model that is meant by the one that is selected; None for a model that has no such head.

    Raises:
        SelectionError: If neither model has it.
    """
    layer, head = whole_number("layer", at.layer), whole_number("head", at.head)
    most = max(a.card.n_layers, b.card.n_layers)
    if not 0 <= layer < most or not 0 <= head < max(a.card.n_heads, b.card.n_heads):
        raise SelectionError(f"There is no head {head_name((layer, head))} on this page; choose one from the list.")
    own = [(layer - missing_layers(case, (a, b)), head) for case in (a, b)]
    found = [at if at[0] >= 0 and head < case.card.n_heads else None for at, case in zip(own, (a, b), strict=True)]
    return found[0], found[1]


def absent(case: Case, cases: Sequence[Case], at: SelectedHead) -> str:
    """Why a model has no head where the selected one is, without the full stop."""
    card, deepest = case.card, max(one.card.n_layers for one in cases)
    return no_head(card.ref, (at.layer, at.head), (card.n_layers, card.n_heads), deepest)


@dataclass(frozen=True)
class Page:
    """What every tab may read and fill."""

    shown: gr.State
    """`Shown`, or None before the first analysis."""
    open_tab: gr.State
    """Title of the tab that is open."""
    selected: Form[SelectedHead]
    word: gr.State
    """Number of the selected word among the units of the radial view, or None."""
    settings: Form[Settings]
    drawn: list[Component]
    """What the settings of the flow draw, in the order of `flow.draw`."""
    thresholds: Thresholds
    """Where one threshold can be chosen by the tokens in each ring."""
    grammar: gr.State
    """`rooms.grammar_cell.Measured`, or None before heads were measured over a treebank."""
    remembered: dict[str, Any]
    """The event that keeps the address of the page up to date."""
    select: Verb
    """Asked for with a `verbs.Selection`; panels send `payloads.Selected`."""
    at: Verb
    """Asked for with the unit of the radial view that is to be the root, or `settings.DECISION`."""
    prune: Verb
    """Asked for with `payloads.Pruned`."""
    analyse: Verb
    """Asked for with `payloads.OtherPair`."""
    compare: Verb
    """Asked for with anything, once more was measured of both models: the tables of what differs take it up."""
    what_if: Verb
    """The same; where it fails, the boxes hold again what is shown."""

    def when_open(
        self,
        tab: str,
        function: Callable[..., Any],
        sources: Sequence[Source],
        outputs: Sequence[Component],
        card: Panel | None = None,
    ) -> Any:
        """Fill a tab when it is opened, and while it is open whenever what is shown or what it reads changes.

        Args:
            tab: Title of the tab.
            function: Called with `Shown` and a value or record for each source; returns or yields values for the
                outputs.
            sources: What it reads of the page.
            outputs: Components of the tab.
            card: The panel that waits; the first of the outputs if None.
        """

        def open_now(open_tab: str, shown: Shown | None, *rest: Any) -> bool:
            return open_tab == tab and shown is not None

        def fill(open_tab: str, *rest: Any) -> Any:
            return function(*rest)

        read = [self.open_tab, self.shown, *sources]
        # Gradio gives each class of component its events when it makes it, so that `Component` itself has none.
        changes = [component.change for component in components(read)]  # pyright: ignore[reportAttributeAccessIssue]
        return on_card(changes, fill, read, outputs, card, when=open_now)
