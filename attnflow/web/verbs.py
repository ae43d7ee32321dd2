"""What any panel may ask of the page by an event: to select a head or word, to switch heads off, to open another pair.

A private event still answers direct requests, so what it is sent is checked here like input of the API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import gradio as gr
import numpy as np

from attnflow.errors import SelectionError
from attnflow.records.trace import Head
from attnflow.service.analyses.common import check_head
from attnflow.service.case import Case
from attnflow.stats.alignment import pair_traces, pieces_of
from attnflow.views.payloads import SIDES, OtherPair, Pruned
from attnflow.web import arguments
from attnflow.web.endpoints.checks import checked_head, checked_heads, whole_number
from attnflow.web.panels import Panel, RadialView
from attnflow.web.settings import Settings
from attnflow.web.shared import Page, Shown, cases_of, missing_layers


@dataclass(frozen=True)
class Selection:
    """What becomes the selected head and word; None for what stays."""

    head: Head | None = None
    """Its layer is counted by the deeper model, as on the whole page."""
    word: int | None = None
    """Its number among the units of the radial view."""
    in_rings: bool = False
    """Whether it was selected in the radial view itself."""


def connect(panel: Panel, page: Page) -> None:
    """Do what a panel asks for by those of its events that are verbs."""
    for name, verb, find, sources in (
        ("select", page.select, find_selection, [page.settings]),
        ("at", page.at, find_token, [page.settings]),
        ("prune", page.prune, find_pruned, []),
        ("analyse", page.analyse, find_pair, []),
        ("what_if", page.what_if, find_pair, []),
    ):
        if name in panel.EVENTS:
            verb.on(getattr(panel, name), find, sources)


def find_selection(shown: Shown | None, settings: Settings, event: gr.EventData) -> Selection:
    """What an event of the kind `payloads.Selected` selects.

    Raises:
        SelectionError: If it names no head or word, or a head that its model has not.
    """
    cases = cases_of(shown)
    head, word, side, piece, own = (getattr(event, name, None) for name in ("head", "word", "side", "piece", "own"))
    if piece is not None or own is not None:
        word = _word_of(cases, side, piece, own, settings)
    if head is None and word is None:
        raise SelectionError("Nothing was selected; give a head, a word, or both.")
    if head is not None:
        head = checked_head("head", head)
        if side is not None:
            if side not in SIDES:
                raise SelectionError(f"side is {arguments.came(side)}; give 'a' or 'b'.")
            case = cases[SIDES.index(side)]
            layer, number = check_head(case.trace, *head)
            head = layer + missing_layers(case, cases), number
    return Selection(
        head,
        None if word is None else whole_number("word", word),
        isinstance(getattr(event, "target", None), RadialView),
    )


def _word_of(cases: tuple[Case, Case], side: Any, piece: Any, own: Any, settings: Settings) -> int:
    """The unit of the radial view that a piece, or word, of a model belongs to.

    Raises:
        SelectionError: If there is no such piece or word.
    """
    if side not in SIDES:
        raise SelectionError(f"side is {arguments.came(side)}; give 'a' or 'b'.")
    tokens = cases[SIDES.index(side)].trace.tokens
    by_word = piece is None and settings.unit == "word"
    number = whole_number("piece", own if piece is None else piece)
    found = np.flatnonzero(tokens.word == number) if by_word else np.arange(len(tokens))[number : number + 1]
    if number < 0 or not len(found):
        raise SelectionError(f"There is no word {number} in this text; choose one that is shown.")
    pairing = pair_traces(cases[0].trace, cases[1].trace, settings.unit)
    units, place = ((pairing.a, pairing.in_a), (pairing.b, pairing.in_b))[SIDES.index(side)]
    return next(
        unit
        for unit, token in enumerate(place.tolist())
        if token >= 0 and int(found[0]) in pieces_of(token, units.tokens, tokens)
    )


def find_token(shown: Shown | None, settings: Settings, event: gr.EventData) -> int:
    """The unit of the radial view that the token of an event of the kind `payloads.AtToken` belongs to.

    Raises:
        SelectionError: If there is no such token.
    """
    return _word_of(cases_of(shown), getattr(event, "side", None), getattr(event, "piece", None), None, settings)


def find_pruned(shown: Shown | None, event: gr.EventData) -> Pruned:
    """The heads that an event of the kind `payloads.Pruned` wants to be off; whether they exist is checked by the run.

    Raises:
        SelectionError: If they are no heads.
    """
    return {"a": checked_heads("a", getattr(event, "a", None)), "b": checked_heads("b", getattr(event, "b", None))}


def find_pair(shown: Shown | None, event: gr.EventData) -> OtherPair:
    """What an event of the kind `payloads.OtherPair` changes of the pair.

    Raises:
        SelectionError: If something is no text, or too long.
    """
    given = {name: getattr(event, name, None) for name in OtherPair.__annotations__}
    wanted = {name: arguments.checked(name, text, str) for name, text in given.items() if text is not None}
    return cast("OtherPair", wanted)
