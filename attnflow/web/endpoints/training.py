"""The endpoint of recorded trainings: how each text was learnt, in an order, and how the training went."""

from __future__ import annotations

import math
from typing import Any, Literal, TypedDict

import numpy as np

from attnflow.corpus.data_map import REGIONS, map_order, regions
from attnflow.service.recordings import BUNDLED, recordings
from attnflow.views.rounding import rounded
from attnflow.web.endpoints.checks import endpoint
from attnflow.web.endpoints.opened_texts import window


class EpochAnswer(TypedDict):
    """How an epoch of the training went; null where nothing was recorded."""

    epoch: int
    accuracy: float | None
    loss: float | None


class LearntRow(TypedDict):
    """How a text was learnt; `gold_probability` is that of each epoch, null where nothing was recorded."""

    guid: str | int
    gold: int
    value: float
    region: str
    confidence: float
    variability: float
    correctness: int
    forgetfulness: int
    margin: float
    epochs: int
    gold_probability: list[float | None]


class DataMapAnswer(TypedDict):
    """The data map of a recorded training."""

    recording: str
    recordings: list[str]
    n: int
    epochs: list[EpochAnswer]
    counted: int
    regions: dict[str, int]
    units: dict[str, str]
    order: str
    quantity: str
    offset: int
    rows: list[LearntRow]
    notes: list[str]
    note: str


@endpoint(one_text=False)
def data_map(
    recording: str = BUNDLED,
    order: Literal["ambiguous", "hard_to_learn", "easy_to_learn", "likely_mislabelled"] = "ambiguous",
    burn_out: int | None = None,
    offset: int = 0,
    limit: int = 100,
) -> DataMapAnswer:
    """Return how the texts of a recorded training were learnt: confidence, variability and correctness of each.

    Args:
        recording: "demo/training", or one that the operator offers; `recordings` of the answer names all.
        order: Which texts come first: those of the highest variability ("ambiguous"), the lowest or highest confidence,
            or the lowest margin over all epochs ("likely_mislabelled").
        burn_out: Of the first how many epochs the map is, 2 or more; null for all.
    """
    part = window(offset, limit)
    found = recordings.map(recording.strip(), burn_out)
    ordered, where = map_order(found, order), regions(found)
    counts = np.bincount(where, minlength=len(REGIONS)).tolist()
    course = zip(found.epochs, found.accuracy().tolist(), found.loss().tolist(), strict=True)
    return {
        "recording": recording.strip(),
        "recordings": recordings.names(),
        "n": len(found),
        "epochs": [
            {"epoch": epoch, "accuracy": _number(accuracy), "loss": _number(loss)} for epoch, accuracy, loss in course
        ],
        "counted": int(found.counted.max()),
        "regions": dict(zip(REGIONS, counts, strict=True)),
        "units": {"loss": "nats", "margin": "logits", "confidence": "probability", "correctness": "epochs"},
        "order": order,
        "quantity": ordered.quantity,
        "offset": offset,
        "rows": [
            {
                "guid": found.guid[row],
                "gold": int(found.gold[row]),
                "value": rounded(value),
                "region": REGIONS[int(where[row])],
                "confidence": rounded(float(found.confidence[row])),
                "variability": rounded(float(found.variability[row])),
                "correctness": int(found.correctness[row]),
                "forgetfulness": int(found.forgetfulness[row]),
                "margin": rounded(float(found.margin[row])),
                "epochs": int(found.counted[row]),
                "gold_probability": [_number(one) for one in found.gold_probability[row].tolist()],
            }
            for row, value in zip(ordered.rows.tolist()[part], ordered.values.tolist()[part], strict=True)
        ],
        "notes": [note[:1000] for note in found.notes],
        "note": ordered.sentence,
    }


def _number(value: Any) -> float | None:
    return rounded(float(value)) if math.isfinite(value) else None
