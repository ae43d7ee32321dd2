"""Orders of a collection that are made when they are asked for: like a text at hand, and what a head decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnflow.errors import SelectionError
from attnflow.records.head_names import head_name
from attnflow.records.shares import percent
from attnflow.records.survey import Survey
from attnflow.records.trace import Head
from attnflow.views.asked import Side
from attnflow.views.collected import kinds, numbers
from attnflow.views.collection import TextColumn, TextOrder


@dataclass(frozen=True)
class Extra:
    """An order, and the columns that come with it."""

    columns: tuple[TextColumn, ...]
    order: TextOrder
    side: Side
    """The model that it is of."""

    @property
    def name(self) -> str:
        """Of the order; another one of this name takes its place."""
        return self.order["name"]


def alike(side: Side, which: str, column: np.ndarray, sentence: str) -> Extra:
    """Texts by how much the attention of a model in them looks like that in a text at hand.

    Args:
        side: The model.
        which: Which heads count, in words.
        column: `[N]` likeness, as of `nearest`.
        sentence: How to read the order.
    """
    name, model = f"like_{side}", side.upper()
    title = f"Like the shown pair, {model}"
    says = f"Likeness of attention to that in the pair of One pair: the cosine, of {which} of {model}."
    order: TextOrder = {"name": name, "title": f"{title} ({which})", "sentence": f"{model}: {sentence}", "column": name}
    return Extra((numbers(name, title, says, column),), order, side)


def without_head(side: Side, head: Head, whole: Survey, less: Survey) -> Extra:
    """What a model decides otherwise once a head is switched off.

    Args:
        side: The model.
        head: The head.
        whole: What the model made of the texts with it.
        less: What it made of them without.

    Raises:
        SelectionError: If the model does not decide between classes.
    """
    if whole.probabilities is None or less.probabilities is None or whole.decision is None or less.decision is None:
        raise SelectionError(f"{whole.settings.model} does not decide between classes, so no head changes a decision.")
    off, name = f"{head_name(head)} of {side.upper()}", f"without_{side}"
    read = whole.usable & less.usable
    flipped = read & (whole.decision != less.decision)
    several = whole.settings.problem == "multi_label"
    moved = np.abs(whole.probabilities - less.probabilities)
    change = moved.mean(1) if several else moved.sum(1) / 2
    n, many = int(read.sum()), int(flipped.sum())
    known = flipped & (whole.gold >= 0)
    to_wrong = int((known & (whole.decision == whole.gold)).sum())
    to_right = int((known & (less.decision == whole.gold)).sum())
    labelled = f" {to_wrong:,} become wrong and {to_right:,} right." if known.any() else ""
    sentence = f"Without {off}, {many:,} of {n:,} decisions change ({percent(many / max(n, 1), 1)}).{labelled} " + (
        "First those whose probabilities change most." if many else "So there is nothing to show."
    )
    title = f"Decision changes without {off}"
    columns = (
        kinds(
            f"{name}_flips",
            title,
            "Whether the likeliest class is another one.",
            ("no", "yes"),
            np.where(read, flipped, -1),
        ),
        kinds(f"{name}_decision", f"Decision without {off}", "The likeliest class then.", whole.labels, less.decision),
        numbers(
            name,
            f"Change without {off}",
            "Total variation of the probabilities, from 0 to 1, of texts whose decision changes.",
            np.where(flipped, change, np.nan),
        ),
    )
    return Extra(columns, {"name": name, "title": title, "sentence": sentence, "column": name}, side)
