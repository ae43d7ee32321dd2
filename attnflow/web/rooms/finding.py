"""Finds texts: like the pair that *One pair* shows, and those whose decision changes when a head goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from attnflow.corpus.orders import Likeness, nearest
from attnflow.errors import SelectionError
from attnflow.records.head_names import head_name
from attnflow.records.survey import Survey
from attnflow.records.trace import Head
from attnflow.service.collections import collections
from attnflow.service.workspace import workspace
from attnflow.views.asked import Side
from attnflow.views.extra_orders import Extra, alike, without_head
from attnflow.views.payloads import SIDES
from attnflow.web import arguments
from attnflow.web.forms import Form, choice
from attnflow.web.rooms.reading import Collected, collected_of
from attnflow.web.settings import SelectedHead
from attnflow.web.shared import Shown, absent, cases_of, heads_of
from attnflow.web.wiring import CLICK, on, on_card

MOST_EXTRAS = 4
"""Orders that were asked for and are kept: one of each kind for each model."""
NO_MODELS = (
    "{} holds what models made of the texts, and not the models, so no head can be switched off; read the texts "
    "themselves with both models of the sidebar."
)


@dataclass(frozen=True)
class Alike:
    """By which heads texts are like the shown pair."""

    by: Likeness = choice(
        "model",
        [("All heads", "model"), ("Selected layer", "layer"), ("Selected head", "head")],
        label="Alike by",
        elem_id="alike-by",
    )


@dataclass(frozen=True)
class Parts:
    """Components that find texts."""

    alike: Form[Alike]
    find: gr.Button
    head: gr.Dropdown
    remove: gr.Button


def build() -> Parts:
    """Lay them out above the map."""
    with gr.Row(elem_id="texts-finding"):
        with gr.Column(min_width=380):
            alike = Form(Alike())
            alike.place()
            find = gr.Button("Texts like the shown pair", size="sm", elem_id="find-alike")
        with gr.Column(min_width=220):
            head = gr.Dropdown([], label="Head", elem_id="without-head", allow_custom_value=True)
            remove = gr.Button("Which decisions change without it", size="sm", elem_id="find-flips")
    return Parts(alike, find, head, remove)


def wire(parts: Parts, shown: gr.State, selected: Form[SelectedHead], collected: gr.State, filled: list[Any]) -> None:
    """Find when asked; `filled` are the status, what is shown, and the map."""
    on(parts.find.click, find_alike, [shown, selected, collected, parts.alike], filled, **CLICK)
    on_card(parts.remove.click, find_flips, [collected, parts.head], filled)


def head_choices(surveys: list[Survey]) -> list[tuple[str, str]]:
    """The heads of models that decide, as the box of heads offers them."""
    return [
        (f"{head_name((layer, head))} of {side.upper()}", f"{side} {layer} {head}")
        for side, one in reversed(list(zip(SIDES, surveys, strict=False)))
        if one.has_classes
        for layer in range(one.settings.n_layers)
        for head in range(one.settings.n_heads)
        if (layer, head) not in one.settings.pruned and (one.stacks is None or one.stacks.kind(layer, head))
    ]


def find_alike(shown: Shown | None, at: SelectedHead, collected: Collected | None, by: Alike) -> tuple[Any, Any, Any]:
    """The order of texts by their likeness to the shown pair, in each model that read both.

    Raises:
        SelectionError: If nothing is shown, no texts were read, or by other models.
    """
    collected = collected_of(collected)
    cases, surveys = cases_of(shown), collected.surveys()
    own = heads_of(*cases, at)
    found: list[Extra] = []
    lacking = ""
    for side, survey in zip(SIDES, surveys, strict=False):
        for case, head in zip(cases, own, strict=True):
            if (case.card.ref, case.card.sha) != (survey.settings.model, survey.settings.commit):
                continue
            if by.by != "model" and head is None:
                lacking = f"{absent(case, cases, at)}. Select a head of the model that read these texts."
                continue
            trace = workspace.without(case, survey.settings.pruned).trace
            order = nearest(survey, trace, by.by, layer=head[0] if head else None, head=head)
            found.append(alike(side, _which(by.by, head), order.column, order.sentence))
            break
    if not found and lacking:
        raise SelectionError(lacking)
    if not found:
        raise SelectionError(
            "One pair shows other models than those that read these texts; analyse the pair with the same models."
        )
    return _with(collected, found)


def find_flips(collected: Collected | None, head: str | None) -> Iterator[tuple[Any, Any, Any]]:
    """The texts whose decision changes when a head is switched off: one of the models reads them once more."""
    collected = collected_of(collected)
    side, at = _chosen(head)
    number = SIDES.index(side)
    if not collected.refs:
        raise SelectionError(NO_MODELS.format(collected.asked.source))
    yield f"{side.upper()} reads the texts without {head_name(at)} …", gr.skip(), gr.skip()
    less = collections.survey(
        collected.opened(),
        collected.refs[number],
        pruned=[*collected.pruned[number], at],
        labels=dict(collected.labels),
        too_long=collected.too_long,
    )
    yield _with(collected, [without_head(side, at, collected.survey(side), less)])


def _which(by: Likeness, head: Head | None) -> str:
    """Which heads count, in words."""
    if by == "model" or head is None:
        return "all heads"
    return head_name(head) if by == "head" else f"layer L{head[0] + 1}"


def _chosen(head: Any) -> tuple[Side, Head]:
    parts = head.split() if isinstance(head, str) else []
    if len(parts) != 3 or parts[0] not in SIDES or not all(one.isdecimal() and len(one) < 4 for one in parts[1:]):
        raise SelectionError(f"head is {arguments.came(head)}; choose one from the list.")
    return SIDES[SIDES.index(parts[0])], (int(parts[1]), int(parts[2]))


def _with(collected: Collected, found: list[Extra]) -> tuple[Any, Any, Any]:
    """Status, what is shown, and the map, with orders that were found; the last of them is the one that is shown."""
    names = {one.name for one in found}
    kept = (*(one for one in collected.extras if one.name not in names), *found)[-MOST_EXTRAS:]
    collected = replace(collected, extras=kept)
    ready = {"name": found[-1].name, "at": time.time()}
    return found[-1].order["sentence"], collected, gr.update(value=collected.payload(), ready=ready)
