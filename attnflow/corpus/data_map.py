"""The data map of a recorded training: its texts in the orders in which to look at them, and those of a region."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attnflow.bundled import ASSETS
from attnflow.corpus.dynamics_files import open_dynamics
from attnflow.corpus.orders import Order
from attnflow.errors import SelectionError
from attnflow.records.dynamics import DataMap, Guid, listed
from attnflow.records.texts import Text
from attnflow.stats.data_map import make_map

MapOrder = Literal["ambiguous", "hard_to_learn", "easy_to_learn", "likely_mislabelled"]
RECORDED = {"demo/training": ASSETS / "demo" / "dynamics"}
"""The recording in this package: what `demo/finetuned` came to say of the texts of that name while it was trained."""
REGIONS = ("easy to learn", "ambiguous", "hard to learn")
"""The parts of a data map, as `regions` numbers them."""


def data_map(folder: str | os.PathLike[str], *, burn_out: int | None = None, include_ci: bool = False) -> DataMap:
    """How each text of a recorded training was learnt: confidence, variability, correctness, forgetfulness.

    Equal to `train_dy_filtering.py` of allenai/cartography on the same files. What is missing in them is in `notes`.

    Args:
        folder: What `TrainingDynamics` or cartography recorded, or a folder with `training_dynamics` in it;
            `demo/training` for the recording in this package.
        burn_out: Of the first how many epochs the map is; of all if None.
        include_ci: Widen variability by the uncertainty of the variance: `sqrt(var + var^2 / (n - 1))`.

    Raises:
        SelectionError: If it holds fewer than two epochs that can be used, or not of one set of texts and labels.

    Example:
        >>> found = data_map("dynamics")  # doctest: +SKIP
        >>> map_order(found, "likely_mislabelled").rows[:10]  # doctest: +SKIP
    """
    place = RECORDED.get(folder, folder) if isinstance(folder, str) else folder
    return make_map(open_dynamics(place), burn_out, include_ci)


def map_order(found: DataMap, by: MapOrder) -> Order:
    """Texts of a data map in an order to look at them; rows are those of the map.

    *Ambiguous* texts have the highest variability: the model could not settle. *Hard to learn* ones have the lowest
    confidence, *easy to learn* ones the highest. *Likely mislabelled* ones have the lowest mean margin: over the whole
    training another class stood furthest above the gold one (the area under the margin; Pleiss et al. 2020).

    Args:
        found: The map.
        by: Which.

    Raises:
        SelectionError: If there is no such order.
    """
    match by:
        case "ambiguous":
            column, quantity = found.variability, "variability of the gold class"
            sentence = "First the texts on which the model changed its mind most from epoch to epoch."
        case "hard_to_learn":
            column, quantity = 1 - found.confidence, "1 - confidence in the gold class"
            sentence = "First the texts whose label the model believed least over the whole training."
        case "easy_to_learn":
            column, quantity = found.confidence, "confidence in the gold class"
            sentence = "First the texts whose label the model believed most over the whole training."
        case "likely_mislabelled":
            column, quantity = -found.margin, "how far another class was above the gold one, in logits"
            sentence = "First the texts for which another class stood furthest above the label: the label may be wrong."
        case _:
            raise SelectionError(f"There is no order by {str(by)[:60]!r}; choose {', '.join(get_args(MapOrder))}.")
    rows = np.argsort(-column, kind="stable")
    return Order(rows, column[rows], column, quantity, sentence)


def map_region(found: DataMap, by: MapOrder, share: float = 1 / 3) -> tuple[Guid, ...]:
    """The names of the texts of a region: the first of an order, a third of all texts as in the paper.

    Where texts were recorded under their row, `datasets.Dataset.select` takes them.

    Args:
        found: The map.
        by: Which order.
        share: How many of all texts, above 0 and up to 1; rounded up.

    Raises:
        SelectionError: If there is no such order, or the share is none.
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise SelectionError(f"The share of the texts is {str(share)[:60]!r}; give a number above 0 and up to 1.")
    rows = map_order(found, by).rows[: math.ceil(share * len(found) - 1e-9)]
    return tuple(found.guid[row] for row in rows.tolist())


def regions(found: DataMap) -> NDArray[np.int64]:
    """`[N]`: in which of `REGIONS` each text of a data map lies, one for each.

    *Ambiguous* is the third of the texts of the highest variability; of the rest, *easy to learn* are those whose label
    the model believed with one half or more on average. `map_region` gives the regions of the paper, a third of all
    texts each, which overlap.

    Args:
        found: The map.
    """
    where = np.where(found.confidence >= 0.5, REGIONS.index("easy to learn"), REGIONS.index("hard to learn"))
    where[found.rows_of(map_region(found, "ambiguous"))] = REGIONS.index("ambiguous")
    return where


def rows_of_texts(found: DataMap, texts: Sequence[Text]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Where the texts of a collection are in a data map, by their names; -1 where one is not. And what does not match.

    Args:
        found: The map.
        texts: The collection.

    Raises:
        SelectionError: If no name matches, or a label of the collection stands for several classes of the map.
    """
    rows = found.rows_of(text.guid for text in texts)
    missing = [text.guid for text, row in zip(texts, rows.tolist(), strict=True) if row < 0]
    if len(missing) == len(texts):
        raise SelectionError(
            f"None of the {len(texts):,} texts ({listed(missing)}) is in the data map, whose texts are called "
            f"{listed(found.guid)}; record with texts= so that names match."
        )
    classes: dict[object, dict[int, int]] = {}
    for text, row in zip(texts, rows.tolist(), strict=True):
        if row >= 0 and text.label is not None:
            counts = classes.setdefault(text.label, {})
            gold = int(found.gold[row])
            counts[gold] = counts.get(gold, 0) + 1
    notes: list[str] = []
    if missing:
        notes.append(f"{len(missing):,} of {len(texts):,} texts are not in the data map: {listed(missing)}.")
    more = len(found) - int((rows >= 0).sum())
    if more:
        notes.append(f"{more:,} of the {len(found):,} texts of the data map are not in this collection.")
    for label, counts in classes.items():
        usual = max(counts, key=lambda gold: counts[gold])
        other = sum(counts.values()) - counts[usual]
        if other:
            notes.append(
                f"The training had other labels: {other:,} of {sum(counts.values()):,} texts labelled "
                f"{str(label)[:60]} had another class than {usual}."
            )
    return rows, tuple(notes)
