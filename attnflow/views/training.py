"""How texts were learnt, as the map of texts draws it: columns, orders, and their answers epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.records.dynamics import DataMap
from attnflow.views.collected import kinds, numbers
from attnflow.views.collection import TextColumn, TextOrder, TextTraining
from attnflow.views.packed import packed

VARIABILITY, CONFIDENCE, CORRECTNESS = "learnt_variability", "learnt_confidence", "learnt_correctness"
REGION = "learnt_region"


@dataclass(frozen=True)
class ReadyTexts:
    """An order of texts by how they were learnt."""

    name: str
    title: str
    column: NDArray[np.float64]
    """`[M]`, of the texts of the map."""
    quantity: str
    sentence: str


@dataclass(frozen=True)
class Training:
    """What a recorded training tells of a collection of texts."""

    columns: tuple[TextColumn, ...]
    orders: tuple[TextOrder, ...]
    part: TextTraining


def training(
    recording: str,
    found: DataMap,
    rows: NDArray[np.int64],
    where: NDArray[np.int64],
    regions: Sequence[str],
    orders: Iterable[ReadyTexts],
    notes: Iterable[str] = (),
) -> Training:
    """Describe how the texts of a collection were learnt.

    Args:
        recording: What the recording is called.
        found: Its data map, of `M` texts.
        rows: `[N]`: where each text of the collection is in the map, -1 where it is not.
        where: `[M]`: the region of each text of the map, as a number of `regions`.
        regions: Names of the regions.
        orders: Orders of the texts of the map.
        notes: What is missing or does not match, in sentences.
    """
    there, counted = rows >= 0, f"{int(found.counted.max())} epochs" if len(found) else "0 epochs"

    def of(values: NDArray[np.generic]) -> NDArray[np.float64]:
        return np.where(there, np.asarray(values, np.float64)[rows], np.nan)

    most = "1000 if it never was right"
    columns = [
        numbers(
            CONFIDENCE,
            "Confidence in training",
            f"Mean probability of the label over {counted} of the training, from 0 to 1.",
            of(found.confidence),
        ),
        numbers(
            VARIABILITY,
            "Variability in training",
            f"Standard deviation of the probability of the label over {counted}, from 0 to 0.5.",
            of(found.variability),
        ),
        numbers(
            CORRECTNESS,
            "Correctness",
            f"In how many of {counted} the likeliest class was the label.",
            of(found.correctness),
        ),
        numbers(
            "learnt_forgetfulness",
            "Forgetfulness",
            f"How often the text was wrong after it had been right; {most}.",
            of(found.forgetfulness),
        ),
        kinds(REGION, "Region of the data map", _REGION, regions, np.where(there, where[rows], -1)),
    ]
    ready = list[TextOrder]()
    for one in orders:
        name = f"learnt_{one.name}"
        says = f"{one.quantity[:1].upper()}{one.quantity[1:]}, over {counted} of the training."
        columns.append(numbers(name, one.title, says, of(one.column)))
        ready.append({"name": name, "title": one.title, "sentence": one.sentence, "column": name})
    probability = np.where(there[:, None], found.gold_probability[rows], np.nan)
    loss = -np.log(np.maximum(probability, np.finfo(np.float32).tiny))
    missing = int((~there).sum())
    about = [f"{recording}: {int(there.sum()):,} of {len(rows):,} texts were recorded." if missing else "", *notes]
    part: TextTraining = {
        "recording": recording,
        "epochs": list(found.epochs),
        "counted": int(found.counted.max()) if len(found) else 0,
        "x": VARIABILITY,
        "y": CONFIDENCE,
        "colour": CORRECTNESS,
        "region": REGION,
        "loss": packed(loss.astype("<f4")),
        "right": packed((there[:, None] & found.right[rows]).astype(np.uint8)),
        "about": " ".join(filter(None, about)),
    }
    return Training(tuple(columns), tuple(ready), part)


_REGION = (
    "Ambiguous: the third of the recorded texts of the highest variability; of the rest, easy to learn those whose "
    "label the model believed with one half or more on average."
)
