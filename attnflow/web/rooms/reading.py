"""Reads a collection with both models of the sidebar, and tells how far it has come and what is in the way."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, cast

import gradio as gr

from attnflow import limits
from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.corpus.data_map import RECORDED
from attnflow.corpus.gold import match_labels
from attnflow.corpus.texts import BUNDLED as BUNDLED_PAIRS
from attnflow.corpus.texts import BUNDLED_TEXTS
from attnflow.errors import AttnflowError, GoneError, SelectionError
from attnflow.progress import part, tell
from attnflow.records.shares import percent
from attnflow.records.survey import Survey, SurveySettings
from attnflow.records.texts import Texts
from attnflow.records.trace import Head
from attnflow.service import own_models
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.service.collections import Asked, Opened, Page, collections, methods
from attnflow.views.asked import Side
from attnflow.views.collected import Ranking, collection, meta_names
from attnflow.views.collection import Collection
from attnflow.views.extra_orders import Extra
from attnflow.views.payloads import SIDES
from attnflow.views.training import Training
from attnflow.web.rooms.chosen import COLUMNS, NONE, Chosen, column_choices
from attnflow.web.rooms.learnt import learnt
from attnflow.web.settings import Pair
from attnflow.web.shared import Shown

CANCELLED = "Cancelled: what was read of a public collection is kept, and goes on when asked for."
_OPENING, _COMPARING = 0.05, 0.05
_READING = (1 - _OPENING - _COMPARING) / 2
"""About the share of the work that opening, comparing, and reading by one of the models take."""
COMMIT = re.compile("[0-9a-f]{40}")
PRESS = "Press *Read them with both models* to see these texts."
TITLES = {
    "decision": ("change", "Change of the decision"),
    "influence": ("influence_change", "Change of influence"),
    "graph": ("graph_change", "Change of the attention graph"),
    "mislabelled": ("mislabelled", "Likely mislabelled"),
}
"""Column and title of each order of the service."""


@dataclass(frozen=True)
class Collected:
    """What the room shows, kept on the server for one visitor; texts and surveys stay in bounded caches."""

    key: str
    asked: Asked
    refs: tuple[str, ...]
    """Of both models, with the very commits; none where a folder that is offered holds what they made of the texts."""
    named: tuple[str, str, str, str]
    """Model and revision of A and of B, as they were asked for."""
    pruned: tuple[tuple[Head, ...], ...]
    labels: tuple[tuple[str, str | None], ...]
    too_long: Literal["cut", "leave_out"]
    page: Page = field(compare=False)
    extras: tuple[Extra, ...] = field(default=(), compare=False)
    """Orders that were asked for since."""
    training: Training | None = field(default=None, compare=False)
    """How the texts were learnt, if that was asked for since."""
    ways: tuple[tuple[tuple[SurveySettings, ...], ...], ...] = field(default=((), ()), compare=False)
    """Of each model, for every moment of its training that was shown since: the moments by which one came to it first,
    it last. The way to the one that is shown now is the last."""

    def opened(self) -> Opened:
        """The texts, from memory if they are still there."""
        return collections.open(self.asked, self.page)

    def surveys(self) -> list[Survey]:
        """What both models made of them, likewise."""
        opened = self.opened()
        return [self._survey(opened, number) for number in range(len(self.pruned))]

    def survey(self, side: str) -> Survey:
        """What one model made of them, likewise.

        Raises:
            SelectionError: If only the other one read them.
        """
        number = "ab".index(side)
        if number >= len(self.pruned):
            raise SelectionError(f"Only one model has read these texts, so there is no model {side.upper()}.")
        return self._survey(self.opened(), number)

    def _survey(self, opened: Opened, number: int) -> Survey:
        if opened.surveys:
            return _mapped(opened.surveys[number], self.labels)
        return collections.survey(
            opened,
            self.refs[number],
            pruned=self.pruned[number],
            labels=dict(self.labels),
            too_long=self.too_long,
        )

    def payload(self, surveys: Sequence[Survey] | None = None) -> Collection:
        """What the map of texts draws; what both models made of them need not be asked for if it is at hand."""
        surveys = self.surveys() if surveys is None else surveys
        layouts = [
            _named([asdict(settings) for settings in (*self.moments_before(side), one.settings)])
            for side, one in zip(SIDES, surveys, strict=False)
        ]
        return _payload(self.key, self.opened(), surveys, self.extras, self.training, layouts)

    def moments_before(self, side: Side) -> tuple[SurveySettings, ...]:
        """The moments of its training by which one came to what is shown of a model; none if no other was shown."""
        ways = self.ways[SIDES.index(side)]
        return ways[-1][:-1] if ways else ()


@dataclass(frozen=True)
class Step:
    """What the room shows after a step of reading; None for what stays."""

    status: str
    reading: bool = True
    collected: Collected | None = None
    payload: Collection | None = None
    texts: Texts | None = None
    matches: Matches | None = None
    more: bool = False
    """Whether the texts are those of before, of which more is known."""


@dataclass(frozen=True)
class Matches:
    """Which class each label of the texts stands for, where not all do by their names."""

    labels: tuple[str, ...]
    classes: tuple[str, ...]
    """Those of both models."""
    chosen: Mapping[str, str]


def read(
    chosen: Chosen,
    pair: Pair,
    shown: Shown | None,
    page: Page,
    labels: Sequence[tuple[str, str | None]] = (),
    burn_out: int | None = None,
) -> Iterator[Step]:
    """Open the texts and read them with both models; what is wrong is told in the last step.

    Texts that come with a recorded training get its data map, of the first `burn_out` epochs.
    """
    try:
        yield from _read(chosen, pair, shown, page, labels, burn_out)
    except GoneError:
        raise
    except AttnflowError as error:
        yield Step(str(error), reading=False)


def _read(
    chosen: Chosen,
    pair: Pair,
    shown: Shown | None,
    page: Page,
    labels: Sequence[tuple[str, str | None]],
    burn_out: int | None,
) -> Iterator[Step]:
    asked, too_long = chosen.asked(), chosen.too_long
    yield Step(f"Opening {asked.source} …")
    with part(0, _OPENING):
        tell("Opening the texts", 0)
        opened = collections.open(asked, page, anew=True)
    told = told_of(opened.texts)
    if opened.surveys:
        yield _of_folder(asked, opened, pair, page, labels)
        return
    yield Step(f"{told} A reads them …", texts=opened.texts)
    refs, pruned, surveys = list[str](), list[tuple[Head, ...]](), list[Survey]()
    labels = [(label, name) for label, name in labels if label in opened.texts.label_names]
    for number, ref in enumerate(pair.refs):
        side = "AB"[number]
        card = ModelCard.of(open_checkpoint(ref))
        refs.append(card.pinned)
        pruned.append(_pruned(shown, number, card.pinned))

        with part(_OPENING + number * _READING, _OPENING + (number + 1) * _READING, side):
            surveys.append(
                collections.survey(
                    opened,
                    card.pinned,
                    pruned=pruned[-1],
                    labels=dict(labels),
                    too_long=cast('Literal["cut", "leave_out"]', too_long),
                )
            )
        if number == 0:
            right = _right(surveys[0])
            yield Step(f"{told} A has read them{right}. B reads them …")
    tell("Comparing", 1 - _COMPARING)
    key = key_of(surveys)
    collected = Collected(
        key,
        asked,
        (refs[0], refs[1]),
        (pair.model_a, pair.revision_a, pair.model_b, pair.revision_b),
        (pruned[0], pruned[1]),
        tuple(labels),
        cast('Literal["cut", "leave_out"]', too_long),
        page,
        training=learnt(opened.texts, asked.source, burn_out) if asked.source in RECORDED else None,
    )
    yield Step("", False, collected, collected.payload(), opened.texts, _matches(opened.texts, surveys, labels))


def _of_folder(asked: Asked, opened: Opened, pair: Pair, page: Page, labels: Sequence[tuple[str, str | None]]) -> Step:
    """What the room shows of surveys that were made elsewhere; One pair then takes models of the Hub alone."""
    texts = opened.texts
    labels = [(label, name) for label, name in labels if label in texts.label_names]
    surveys = [_mapped(one, labels) for one in opened.surveys]
    named = [pair.model_a, pair.revision_a, pair.model_b, pair.revision_b]
    for number, one in enumerate(surveys):
        here = own_models.own(one.settings.model)
        if here is not None:
            named[2 * number : 2 * number + 2] = here[0], here[1] or ""
        elif "/" in one.settings.model and COMMIT.fullmatch(one.settings.commit):
            named[2 * number : 2 * number + 2] = one.settings.model, one.settings.commit
    model_a, revision_a, model_b, revision_b = named
    key, pruned = key_of(surveys), tuple(one.settings.pruned for one in surveys)
    collected = Collected(
        key, asked, (), (model_a, revision_a, model_b, revision_b), pruned, tuple(labels), "cut", page
    )
    return Step("", False, collected, _payload(key, opened, surveys), texts, _matches(texts, surveys, labels))


def _mapped(survey: Survey, labels: Sequence[tuple[str, str | None]]) -> Survey:
    """A survey with other classes for some labels, as far as its model has them."""
    chosen = {label: name for label, name in labels if name is None or name in survey.labels}
    kept = {label: name for label, name in {**survey.label_map, **chosen}.items() if name is not None}
    return survey if kept == dict(survey.label_map) else replace(survey, label_map=kept)


def may_begin(chosen: Chosen, pair: Pair) -> bool:
    """Whether the room may read without being asked: only what is bundled, which takes seconds."""
    plain = Chosen(source=chosen.source if chosen.source in BUNDLED_TEXTS else BUNDLED_PAIRS)
    recorded = chosen.source in RECORDED and chosen == replace(plain, rows=chosen.rows)
    return (chosen == plain or recorded) and all((own_models.own(ref) or [""])[0] in BUNDLED for ref in pair.refs)


def told_of(texts: Texts) -> str:
    """How many texts there are, and which column is what."""
    names = {"first text": texts.columns.text_a, "second text": texts.columns.text_b, "label": texts.columns.label}
    named = ", ".join(f"{what}: {name[:60]}" for what, name in names.items() if name is not None)
    return f"{texts.counted} ({named})."


def column_updates(texts: Texts) -> list[Any]:
    """Updates of the boxes of columns: what there is to choose, and what was guessed."""
    own = [getattr(texts.columns, name) for name in (*COLUMNS.values(), "guid")]
    choices = column_choices(dict.fromkeys([*(name for name in own if name), *meta_names(texts)]))
    read_as = (getattr(texts.columns, name) or "none" for name in COLUMNS.values())
    return [gr.update(choices=choices, info=f"read: {name[:40]}") for name in read_as]


def _right(survey: Survey) -> str:
    known = int(survey.known.sum())
    return f" and is right on {percent(int(survey.right.sum()) / known)} of {known:,} labelled ones" if known else ""


def _pruned(shown: Shown | None, number: int, pinned: str) -> tuple[Head, ...]:
    """The heads that are switched off on the page, if it shows the same model."""
    if shown is None:
        return ()
    model = (shown.a, shown.b)[number]
    return tuple(sorted(model.pruned)) if model.ref == pinned else ()


def key_of(surveys: Sequence[Survey]) -> str:
    """The same for the same texts, models, switched-off heads and meaning of labels."""
    told = [[asdict(one.settings), sorted(one.label_map.items())] for one in surveys]
    return _named(told)


def _named(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _payload(
    key: str,
    opened: Opened,
    surveys: Sequence[Survey],
    extras: Sequence[Extra] = (),
    training: Training | None = None,
    layouts: Sequence[str] = (),
) -> Collection:
    orders = collections.orders(opened, surveys)
    rankings = [Ranking(*TITLES[name], order.column, order.quantity, order.sentence) for name, order in orders.items()]
    return collection(
        key,
        opened.texts,
        surveys,
        rankings,
        methods=methods(),
        more_columns=[*(column for one in extras for column in one.columns), *(training.columns if training else ())],
        more_orders=[*(one.order for one in extras), *(training.orders if training else ())],
        training=training.part if training else None,
        layouts=layouts,
    )


def _matches(texts: Texts, surveys: Sequence[Survey], labels: Sequence[tuple[str, str | None]]) -> Matches | None:
    """What there is to match by hand: labels that a model which decides has not, unless there are too many."""
    deciding = [one for one in surveys if one.has_classes]
    if not deciding or not texts.label_names or len(texts.label_names) > limits.MAX_MATCHED_LABELS:
        return None
    whole = all(not match_labels(texts, one.labels).unmatched for one in deciding)
    if whole and not labels:
        return None
    classes = tuple(dict.fromkeys(name for one in deciding for name in one.labels))
    found: dict[str, str] = {}
    for one in deciding:
        found = {**one.label_map, **found}
    return Matches(texts.label_names, classes[:200], found)


def checked_labels(names: Sequence[str] | None, classes: Sequence[Any]) -> list[tuple[str, str | None]]:
    """Which class each label stands for, from the boxes of the room.

    Args:
        names: Labels that the boxes are about, in their order.
        classes: What the boxes hold.
    """
    return [
        (label, None if name == NONE else name)
        for label, name in zip(names or (), classes, strict=False)
        if isinstance(name, str) and name
    ]


def collected_of(collected: Collected | None) -> Collected:
    """What the room shows.

    Raises:
        SelectionError: If it shows nothing.
    """
    if collected is None:
        raise SelectionError("No texts have been read yet, or the server has forgotten them; read them again.")
    return collected


def models_of(collected: Collected) -> Collected:
    """The same, of which the models are there to be measured.

    Raises:
        SelectionError: If a folder holds what models made of the texts, and not the models.
    """
    if not collected.refs:
        raise SelectionError(
            f"{collected.asked.source} holds what models made of the texts, and not the models, whose heads could be "
            "measured; read the texts themselves with both models of the sidebar."
        )
    return collected
