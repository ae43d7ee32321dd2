"""What `attnflow data-map` does: the data map of a recorded training in words, and a file of all its texts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np

from attnflow.corpus.data_map import REGIONS, MapOrder, data_map, map_order, regions
from attnflow.errors import SelectionError
from attnflow.records.dynamics import DataMap, texts_in_words
from attnflow.records.shares import percent


def run(
    folder: str,
    *,
    first: int | None = None,
    include_ci: bool = False,
    order: str = "likely_mislabelled",
    most: int = 10,
    out: str | None = None,
) -> None:
    """Print the data map; arguments as `attnflow data-map --help` tells them.

    Raises:
        SelectionError: As `data_map`; or if the file cannot be written.
    """
    if most < 0:
        raise SelectionError(f"--most is {most}; give a whole number, 0 for none.")
    found = data_map(folder, burn_out=first, include_ci=include_ci)
    ordered = map_order(found, cast("MapOrder", order))
    counted, where = int(found.counted.max()), regions(found)
    of = f", the first {counted} of them counting" if counted < len(found.epochs) else ""
    print(f"{texts_in_words(len(found))}, {len(found.epochs)} epochs{of}.")
    for note in found.notes:
        print(note)
    print("epoch  accuracy   loss (nats)")
    for epoch, accuracy, loss in zip(found.epochs, found.accuracy().tolist(), found.loss().tolist(), strict=True):
        print(f"{epoch + 1:5}  {percent(accuracy, 1):>8}  {loss:12.4f}")
    counts = np.bincount(where, minlength=len(REGIONS)).tolist()
    print("; ".join(f"{name}: {count:,}" for name, count in zip(REGIONS, counts, strict=True)) + ".")
    if most:
        print(ordered.sentence)
        for row in ordered.rows[:most].tolist():
            print(
                f"  {found.guid[row]}: confidence {found.confidence[row]:.3f}, variability "
                f"{found.variability[row]:.3f}, right in {found.correctness[row]} of {found.counted[row]}"
            )
    if out is not None:
        lines = (json.dumps(told(found, row, where)) + "\n" for row in ordered.rows.tolist())
        try:
            Path(out).expanduser().write_text("".join(lines), encoding="utf-8")
        except OSError as error:
            raise SelectionError(f"{out} cannot be written ({error.strerror}); give another file.") from error
        print(f"All {texts_in_words(len(found))} are in {out}.")


def told(found: DataMap, row: int, where: np.ndarray) -> dict[str, Any]:
    """What a data map says of a text, by name."""
    return {
        "guid": found.guid[row],
        "gold": int(found.gold[row]),
        "confidence": float(found.confidence[row]),
        "variability": float(found.variability[row]),
        "correctness": int(found.correctness[row]),
        "forgetfulness": int(found.forgetfulness[row]),
        "margin": float(found.margin[row]),
        "epochs": int(found.counted[row]),
        "region": REGIONS[int(where[row])],
        "gold_probability": [None if math.isnan(one) else float(one) for one in found.gold_probability[row]],
    }
