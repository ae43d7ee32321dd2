"""What a visitor sets on the page, each described once: the pair, how the flow is drawn, and which head is selected.

A field is all there is of a setting: its control stands in the sidebar, events read it by its name, and the address of
the page keeps it, from what is written here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import gradio as gr

from attnflow.records.head_names import head_key, head_name, head_of, is_head_key
from attnflow.records.trace import Head, Weights
from attnflow.records.words import Unit
from attnflow.views.edge_kinds import TITLES, WHY_ATTENTION
from attnflow.web.forms import choice, number, setting, switch
from attnflow.web.model_box import full_ref, model_box, revision_box

DECISION = -1
"""Value of the choice of a root: what each model's task reads."""
READ_BY_TASK = ("What each task reads", DECISION)
"""That choice."""


def _text_box(value: str, label: str, elem_id: str) -> gr.Textbox:
    return gr.Textbox(value, label=label, info="Ctrl and Enter: analyse", elem_id=elem_id, lines=2, max_lines=6)


CUT_BOX, MORE = "Cut a text that is too long", "More settings"
"""A box, and what it is behind."""
CUT_WAY = f"tick “{CUT_BOX}” under {MORE}"
"""How the page is asked to cut a text, as the refusal of one that is too long tells it."""


@dataclass(frozen=True)
class Pair:
    """Two models and the sentences that both read."""

    model_a: str = setting("", partial(model_box, label="Model A"), link="model_a")
    revision_a: str = setting("", partial(revision_box, label="Revision of A"), link="revision_a", more=True)
    model_b: str = setting("", partial(model_box, label="Model B"), link="model_b")
    revision_b: str = setting("", partial(revision_box, label="Revision of B"), link="revision_b", more=True)
    text_a: str = setting("", partial(_text_box, label="First sentence", elem_id="text-a"), link="a")
    text_b: str = setting("", partial(_text_box, label="Second sentence (may be empty)", elem_id="text-b"), link="b")
    truncate: bool = switch(False, link="cut", label=CUT_BOX, elem_id="truncate", more=True)
    chat: bool = switch(False, link="chat", label="Apply the chat template", elem_id="chat", more=True)

    @property
    def refs(self) -> tuple[str, str]:
        """References to both checkpoints."""
        return full_ref(self.model_a, self.revision_a), full_ref(self.model_b, self.revision_b)


def _root_box(value: int) -> gr.Dropdown:
    info = "Where a model predicts something of each token, that of this one is shown and explained."
    return gr.Dropdown([READ_BY_TASK], value=value, label="Start from", info=info, elem_id="root", interactive=True)


def _heads_box(value: list[str]) -> gr.Dropdown:
    return gr.Dropdown(
        [], value=value, multiselect=True, label="Only these heads", info="All if empty.", elem_id="heads"
    )


def _linked_root(text: str) -> int | None:
    """Whether there is such a token is seen once the pair is analysed."""
    return int(text) if text.isdecimal() and len(text) < 5 else None


def _named(keys: list[str]) -> list[tuple[str, str]]:
    return [(head_name(head_of(key)), key) for key in keys]


def _linked_heads(text: str) -> list[str] | None:
    return [key for key in text.split(",") if is_head_key(key)] or None


@dataclass(frozen=True)
class Settings:
    """How the attention flow is drawn."""

    tau: float = number(
        0.1, 0, 0.95, 0.01, link="tau", unless="auto",
        label="One threshold tau", info="Attention up to tau makes no edge.", elem_id="tau",
    )  # fmt: skip
    auto: bool = switch(True, label="Choose thresholds by layer", elem_id="auto-tau")
    unit: Unit = choice(
        "word", [("Words", "word"), ("Word pieces", "piece")], link="unit", label="Show", elem_id="unit"
    )
    root: int = setting(
        DECISION, _root_box, link="root", read=_linked_root, offers=lambda root: [(str(root), root)], more=True
    )
    """Unit to start from, or `DECISION`."""
    heads: tuple[str, ...] = setting((), _heads_box, link="heads", read=_linked_heads, offers=_named, more=True)
    """Keys of the heads that may carry edges (`head_key`), by the layers of the page; all if empty."""
    weights: Weights = choice(
        "attention", [(title, kind) for kind, title in TITLES.items()], link="edges", more=True,
        label="Edges", info=WHY_ATTENTION, elem_id="weights",
    )  # fmt: skip
    hide_special: bool = switch(False, link="hide", label="Hide special tokens", elem_id="hide-special", more=True)
    alpha: float = number(
        0.5, 0.05, 1, 0.05, link="alpha", more=True,
        label="Decay alpha", info="How much each earlier layer counts.", elem_id="alpha",
    )  # fmt: skip


@dataclass(frozen=True)
class SelectedHead:
    """The head that is selected on the whole page; its layer is counted by the deeper model."""

    layer: int = setting(
        0, lambda at: gr.Dropdown([("L1", 0)], value=at, label="Selected layer", elem_id="layer", min_width=120)
    )
    head: int = setting(
        0, lambda at: gr.Dropdown([("H1", 0)], value=at, label="Selected head", elem_id="head", min_width=120)
    )


def _unseen_box(value: str) -> gr.Textbox:
    return gr.Textbox(value, visible=False)


@dataclass(frozen=True)
class LinkedHeads:
    """Heads in the address of the page: keys (`head_key`), with commas between them.

    Which heads there are comes with an analysis, and which are off is kept on the server. So neither can be set by the
    address at once: it fills these unseen boxes, which the first analysis reads, and which follow the page after that.
    """

    selected: str = setting("", _unseen_box, link="head")
    """The selected one, by the layers of the deeper model; empty for the first."""
    off_a: str = setting("", _unseen_box, link="off_a")
    """Those that are switched off, by the layers of their model."""
    off_b: str = setting("", _unseen_box, link="off_b")

    @classmethod
    def of(cls, at: SelectedHead, a: Iterable[Head], b: Iterable[Head]) -> LinkedHeads:
        """What the address tells of a selected head and of what is off in each model."""
        selected = "" if at == SelectedHead() else head_key((at.layer, at.head))
        return cls(selected, *(",".join(map(head_key, sorted(heads))) for heads in (a, b)))

    @property
    def at(self) -> SelectedHead:
        """The selected head, whether a model has it or not."""
        return SelectedHead(*head_of(self.selected)) if is_head_key(self.selected) else SelectedHead()

    @property
    def off(self) -> tuple[list[Head], list[Head]]:
        """What is off in each model, whether it has it or not; what is no key is left out."""
        a, b = ([head_of(key) for key in text.split(",") if is_head_key(key)] for text in (self.off_a, self.off_b))
        return a, b
