"""Joins what a training recorded to a collection of texts, as the map of texts shows it."""

from __future__ import annotations

from attnflow.corpus.data_map import REGIONS, MapOrder, map_order, regions, rows_of_texts
from attnflow.records.texts import Texts
from attnflow.service.recordings import ABOUT, recordings, told_notes
from attnflow.views.training import ReadyTexts, Training, training

TITLES: dict[MapOrder, str] = {
    "ambiguous": "Ambiguous in training",
    "hard_to_learn": "Hard to learn",
    "likely_mislabelled": "Likely mislabelled (training)",
}
"""The orders of the data map that the table offers."""


def learnt(texts: Texts, recording: str, burn_out: int | None = None) -> Training:
    """How the texts of a collection were learnt in a recorded training.

    Args:
        texts: The collection.
        recording: What `recordings` call it.
        burn_out: Of the first how many epochs the data map is; of all if None.

    Raises:
        SelectionError: If there is no such recording, it has fewer than two epochs, or no text of it is one of these.
    """
    found = recordings.map(recording, burn_out)
    rows, notes = rows_of_texts(found, texts)
    orders = [(by, title, map_order(found, by)) for by, title in TITLES.items()]
    return training(
        recording,
        found,
        rows,
        regions(found),
        REGIONS,
        [ReadyTexts(by, title, order.column, order.quantity, order.sentence) for by, title, order in orders],
        [*filter(None, [ABOUT.get(recording)]), *notes, *told_notes(found)],
    )
