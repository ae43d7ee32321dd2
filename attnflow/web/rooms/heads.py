"""The tab *Heads* of the room: what each head matters and looks at, over the texts that are left by the filters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from attnflow import progress
from attnflow.corpus.survey_join import head_statistics
from attnflow.errors import SelectionError
from attnflow.methods.heads.importance import ImportanceMethod
from attnflow.records.stacks import Stacks
from attnflow.service.case import open_checkpoint
from attnflow.service.collections import Opened, collections, decides
from attnflow.service.text_heads import importance_over
from attnflow.stats.mean_attention import normalise_importance
from attnflow.views.heads import MatrixSide, head_matrix
from attnflow.views.payloads import SIDES, Matrix
from attnflow.web.forms import Form, choice
from attnflow.web.panels import HeadMatrix
from attnflow.web.rooms.answers import Slice
from attnflow.web.rooms.reading import Collected, collected_of, models_of
from attnflow.web.wiring import on_card

TITLE = "Heads"
MOST_TEXTS = 256
"""Texts that heads are measured over: of more, evenly spaced ones."""
MOST_REMOVED = 32
"""Likewise, where every head is removed from the model in turn."""
INTRO = (
    "What each head matters and looks at, over the texts that filters and selection leave on the map; of more than "
    f"{MOST_TEXTS}, {MOST_TEXTS} that are evenly spaced. *Against the rest* shows what is more in these texts than in "
    "all others."
)
READING = {
    "taylor": "Sum over the head's weights of (gradient x weight)², for the loss of the label where known and else "
    "of the prediction. ",
    "gate": "How steeply the loss, of the label where it is known and else of the prediction, changes as the head's "
    "output is turned down. ",
    "ablation": "How much the loss, of the label where it is known and else of the prediction, rises when the head is "
    "removed: measured. ",
    "pattern": "Each picture is a head: rows attend, columns are attended to; the mean over the texts that have both "
    "positions.",
}


SCALE = "Shown from 0, the head that matters least, to 1."


@dataclass(frozen=True)
class Measured:
    """What the matrix shows."""

    show: str = choice(
        "importance",
        [("Importance", "importance"), ("Attention pattern", "pattern")],
        label="Show",
        elem_id="texts-heads-show",
    )
    method: ImportanceMethod = choice(
        "taylor",
        [("Gradient x weight", "taylor"), ("Gate", "gate"), ("Removal, of few texts", "ablation")],
        label="Importance by",
        elem_id="texts-heads-method",
    )
    over: str = choice(
        "slice",
        [("What is left", "slice"), ("All", "all"), ("Against the rest", "rest")],
        label="Over",
        elem_id="texts-heads-over",
    )


@dataclass(frozen=True)
class Parts:
    """Components of the tab."""

    measured: Form[Measured]
    measure: gr.Button
    status: gr.Markdown
    matrix: HeadMatrix


@dataclass(frozen=True)
class Found:
    """What was measured of the heads of one model over some texts."""

    name: str
    """Of the model."""
    values: NDArray[np.float64]
    """`[L, H]` importance, or `[L, H, T, T]` mean attention."""
    n: int
    stacks: Stacks | None = None
    """Of an encoder-decoder, how its two stacks are one model."""


def build() -> Parts:
    """Lay out the tab."""
    gr.Markdown(INTRO)
    with gr.Row():
        measured = Form(Measured())
        measured.place()
        measure = gr.Button("Measure the heads", elem_id="measure-heads", min_width=160)
    status = gr.Markdown(elem_id="texts-heads-status")
    return Parts(measured, measure, status, HeadMatrix(elem_id="texts-head-matrix", confirmed=None))


def wire(parts: Parts, collected: gr.State, sliced: gr.State) -> None:
    """Measure when asked: it runs both models, with a backward pass."""
    outputs = [parts.status, parts.matrix]
    on_card(parts.measure.click, measure, [collected, sliced, parts.measured], outputs)


def measure(collected: Collected | None, sliced: Slice | None, measured: Measured) -> tuple[str, Matrix]:
    """Importance or attention of every head of both models over some texts, and the difference."""
    collected = models_of(collected_of(collected))
    opened = collected.opened()
    rows, told = _rows(collected, sliced, measured.over, len(opened.texts))
    most = MOST_REMOVED if (measured.show, measured.method) == ("importance", "ablation") else MOST_TEXTS
    chosen = [_spaced(rows, most)]
    if measured.over == "rest":
        inside = set(rows)
        chosen.append(_spaced([row for row in range(len(opened.texts)) if row not in inside], most))
    found: list[list[Found]] = []
    for number, side in enumerate(SIDES):
        found.append([])
        for part, some in enumerate(chosen):
            begun, steps = number * len(chosen) + part, 2 * len(chosen)
            with progress.part(begun / steps, (begun + 1) / steps, side.upper()):
                found[-1].append(_measured(collected, opened, number, some, measured))
    count = f"{told} {len(chosen[0]):,} texts were run" + (f", and {len(chosen[1]):,} others." if chosen[1:] else ".")
    if measured.show == "pattern":
        return count, _patterns(collected, found)
    return count, _importance(collected, found, measured.method)


def _rows(collected: Collected, sliced: Slice | None, over: str, n: int) -> tuple[list[int], str]:
    """Which rows are meant, and what tells them."""
    if over == "all":
        return list(range(n)), "All texts."
    if sliced is None or sliced.key != collected.key or len(sliced.rows) in (0, n):
        if over == "rest":
            raise SelectionError("Nothing is set apart on the map; filter or select some texts there first.")
        return list(range(n)), "All texts, as nothing is set apart on the map."
    return sorted(sliced.rows), f"{sliced.told or 'What is left on the map'}: {len(sliced.rows):,} texts."


def _spaced(rows: list[int], most: int) -> tuple[int, ...]:
    """At most so many of some rows, evenly spaced."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)
    return tuple(rows[place] for place in places.tolist())


def _measured(collected: Collected, opened: Opened, number: int, rows: tuple[int, ...], measured: Measured) -> Found:
    """Of one model over some rows, which are read once more, with what each head does."""
    texts = replace(opened.texts, rows=tuple(opened.texts[row] for row in rows))
    ref, pruned, labels = collected.refs[number], collected.pruned[number], dict(collected.labels)
    checkpoint = open_checkpoint(ref)
    # Mean attention, which a survey adds up in the same pass, is not defined for two stacks; importance is.
    if measured.show == "importance" and (measured.method != "taylor" or checkpoint.stacks is not None):
        if not decides(checkpoint):
            return Found(checkpoint.name, np.full((checkpoint.n_layers, checkpoint.n_heads), np.nan), 0)
        how = {"pruned": pruned, "labels": labels, "too_long": collected.too_long}
        values, n = importance_over(texts, ref, measured.method, **how)
        return Found(checkpoint.name, values, n, checkpoint.stacks)
    survey = collections.survey(
        Opened(texts, opened.owner),
        ref,
        pruned=pruned,
        labels=labels,
        too_long=collected.too_long,
        heads=True,
    )
    statistics, name = head_statistics(survey), survey.settings.model
    if measured.show == "pattern":
        mean = statistics["mean_attention"]
        return Found(name, np.nan_to_num(np.asarray(mean.result())), mean.n)
    if "importance" not in statistics:
        shape = survey.settings.n_layers, survey.settings.n_heads
        return Found(name, np.full(shape, np.nan), 0)
    return Found(name, np.asarray(statistics["importance"].result()), statistics["importance"].n)


def _importance(collected: Collected, found: list[list[Found]], method: ImportanceMethod) -> Matrix:
    """Of both models, and B less A; or, against the rest, how much more each head matters in what is left."""
    sides, scaled = [], []
    for number, (side, parts) in enumerate(zip(SIDES, found, strict=True)):
        name = parts[0].name
        if any(one.n == 0 for one in parts):
            continue  # it has no task whose loss a head could matter for
        values = [normalise_importance(one.values, "all") for one in parts]
        shown = values[0] if len(parts) == 1 else values[0] - values[1]
        raw = parts[0].values if len(parts) == 1 else parts[0].values - parts[1].values
        scaled.append(values[0])
        note, stacks = f"{parts[0].n:,} texts.", parts[0].stacks
        sides.append(MatrixSide(side, name, collected.pruned[number], None, note, shown, raw, stacks=stacks))
    signed = len(found[0]) > 1
    if not sides:
        raise SelectionError(
            "Neither model has a trained head for whole texts, so no head matters for a loss; show patterns."
        )
    alike = len({(parts[0].values.shape, parts[0].stacks) for parts in found}) == 1
    if not signed and len(scaled) == 2 and alike:
        change = scaled[1] - scaled[0]
        both = set(collected.pruned[0]) & set(collected.pruned[1])
        colours = "Purple: it matters more in B; turquoise: more in A."
        sides.append(
            MatrixSide("difference", "B less A", both, None, colours, change, change, stacks=found[0][0].stacks)
        )
    missing = (
        "" if len(scaled) == 2 else " A model without a trained head for whole texts has no loss, and is left out."
    )
    title = "Importance of each head" + (": what is left, less the rest" if signed else "")
    return head_matrix(sides, title=title, note=READING[method] + SCALE + missing, measured="importance", signed=signed)


def _patterns(collected: Collected, found: list[list[Found]]) -> Matrix:
    """Mean attention of both models; or, against the rest, where it is stronger in what is left."""
    sides = []
    for number, (side, parts) in enumerate(zip(SIDES, found, strict=True)):
        mean = parts[0].values
        if len(parts) > 1:
            size = min(one.values.shape[-1] for one in parts)
            mean = np.maximum(mean[..., :size, :size] - parts[1].values[..., :size, :size], 0)
        highest = mean.max((2, 3))
        name = parts[0].name
        note = f"{parts[0].n:,} texts."
        sides.append(MatrixSide(side, name, collected.pruned[number], None, note, highest, highest, mean))
    title = "Mean attention of each head" + (": more in what is left than in the rest" if len(found[0]) > 1 else "")
    return head_matrix(sides, title=title, note=READING["pattern"], measured="strongest attention")
