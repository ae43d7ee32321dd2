"""Training dynamics on disk, in the files of allenai/cartography: one for each epoch, a line of JSON for each text."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from attnflow.corpus.part_files import Folder, LocalFolder, open_folder
from attnflow.errors import SelectionError
from attnflow.records.dynamics import Dynamics, Guid, listed, texts_in_words

_NAME = re.compile(r"dynamics_epoch_(\d{1,9})(?:\.part_(\d{1,6})_of_(\d{1,6}))?\.jsonl(?:\.gz)?")
_INSIDE = "training_dynamics"
"""Where cartography keeps the files, inside the folder of a training."""

Record = tuple[list[float], int]
"""Logits and gold class of a text."""


def file_name(epoch: int, process: int = 0, processes: int = 1, compress: bool = False) -> str:
    """What the file of an epoch is called; of several processes each has one of its own."""
    part = f".part_{process}_of_{processes}" if processes > 1 else ""
    return f"dynamics_epoch_{epoch}{part}.jsonl{'.gz' * compress}"


def recorded_epochs(folder: Folder) -> dict[int, list[str]]:
    """The files of each epoch that has some, epochs rising."""
    found: dict[int, list[str]] = {}
    for name in folder.names():
        if match := _NAME.fullmatch(name):
            found.setdefault(int(match[1]), []).append(name)
    return dict(sorted(found.items()))


def write_epoch(folder: Folder, name: str, epoch: int, records: Mapping[Guid, Record]) -> None:
    """Write an epoch, or a process's part of one, as a whole, in the place of what was recorded of it before.

    Raises:
        SelectionError: If it cannot be written; what was there before is kept.
    """
    lines = (
        json.dumps({"guid": guid, f"logits_epoch_{epoch}": logits, "gold": gold}) + "\n"
        for guid, (logits, gold) in records.items()
    )
    content = "".join(lines).encode()
    folder.write(name, gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


def read_epoch(folder: Folder, name: str, epoch: int) -> dict[Guid, Record]:
    """What a file that `write_epoch` wrote holds, without what is damaged or missing."""
    found = _Epoch(epoch)
    found.read(folder, [name])
    return {guid: (logits, gold) for guid, (logits, gold) in found.records.items() if gold is not None}


def open_dynamics(folder: str | os.PathLike[str]) -> Dynamics:
    """Read what was recorded of a training: by `TrainingDynamics`, by cartography, or by whoever writes its files.

    Args:
        folder: That of the files `dynamics_epoch_N.jsonl` (or `.jsonl.gz`), or one with a folder `training_dynamics`.

    Raises:
        SelectionError: If there are none, or they are not of one set of texts and labels.
    """
    place, names = _find(folder)
    epochs = [_Epoch(number) for number in names]
    for epoch in epochs:
        epoch.read(place, names[epoch.number])
    notes = [note for epoch in epochs for note in epoch.notes]
    absent = max(names) + 1 - len(names)
    if absent:  # a number may be large, so no more are made than are told
        first = list(itertools.islice((epoch for epoch in range(max(names)) if epoch not in names), 3))
        more = f" and {absent - len(first):,} more" if absent > len(first) else ""
        notes.insert(0, f"There is no file of epoch {listed(first)}{more}: the map is of the others.")
    return _joined(place, [epoch for epoch in epochs if epoch.records], notes)


def _find(ref: str | os.PathLike[str]) -> tuple[Folder, dict[int, list[str]]]:
    remote = isinstance(ref, str) and "://" in ref
    if not remote and not Path(ref).expanduser().is_dir():
        raise SelectionError(
            f"There is no folder {Path(ref).name or ref}; give the one that training dynamics were recorded in."
        )
    folder = open_folder(ref)
    names = recorded_epochs(folder)
    if not names and isinstance(folder, LocalFolder) and (folder.place / _INSIDE).is_dir():
        folder = LocalFolder(folder.place / _INSIDE)
        names = recorded_epochs(folder)
    if not names:
        raise SelectionError(
            f"{folder} holds no training dynamics; there should be dynamics_epoch_0.jsonl, dynamics_epoch_1.jsonl …"
        )
    return folder, names


@dataclass
class _Epoch:
    """What the files of one epoch hold."""

    number: int
    records: dict[Guid, tuple[list[float], int | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    relabelled: dict[Guid, tuple[int, int]] = field(default_factory=dict)
    """Texts with two gold classes, and which."""

    def read(self, folder: Folder, names: Sequence[str]) -> None:
        """Take in its files, parts of several processes among them."""
        damaged: list[str] = []
        numberless: list[Guid] = []
        again: set[Guid] = set()
        for name in names:
            here: set[Guid] = set()  # of one file, for the processes of a training may share texts
            for line_number, line in enumerate(_lines(folder.read(name)), 1):
                record = None if line is None else self._record(line)
                if record is None:
                    damaged.append(f"line {line_number} of {name}")
                elif not all(map(math.isfinite, record[1])):
                    numberless.append(record[0])
                else:
                    guid, logits, gold = record
                    if guid in here:
                        again.add(guid)
                    here.add(guid)
                    before = self.records[guid][1] if guid in self.records else None
                    if before is not None and gold is not None and before != gold:
                        self.relabelled.setdefault(guid, (before, gold))
                    self.records[guid] = logits, gold
        if again:
            self.notes.append(
                f"Epoch {self.number} has {texts_in_words(len(again))} more than once, of which the last record "
                f"counts: {listed(sorted(again, key=str))}."
            )
        if damaged:
            self.notes.append(
                f"{len(damaged):,} line{'s' * (len(damaged) != 1)} of epoch {self.number} cannot be read as "
                f"records and {'are' if len(damaged) != 1 else 'is'} left out: {listed(damaged)}."
            )
        if numberless:
            self.notes.append(
                f"In epoch {self.number} the logits of {texts_in_words(len(numberless))} are no numbers, and left out: "
                f"{listed(numberless)}."
            )
        parts = [(int(match[2]), int(match[3])) for name in names if (match := _NAME.fullmatch(name)) and match[2]]
        for of in {of for _, of in parts}:
            absent = sorted(set(range(of)) - {part for part, other in parts if other == of})
            if absent and len(names) == of - len(absent):
                self.notes.append(f"Of the {of} parts of epoch {self.number} there is no part {listed(absent)}.")

    def _record(self, line: bytes) -> tuple[Guid, list[float], int | None] | None:
        try:
            told: Any = json.loads(line)
            guid, logits, gold = told["guid"], told[f"logits_epoch_{self.number}"], told.get("gold")
            values = [float(value) for value in logits]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None
        whole = isinstance(gold, int) and not isinstance(gold, bool)
        named = isinstance(guid, (int, str)) and not isinstance(guid, bool)
        return (guid, values, gold) if named and len(values) > 1 and (whole or gold is None) else None


def _lines(content: bytes | None) -> Iterator[bytes | None]:
    """Lines that are not empty; None in the end of what could not be read to its own."""
    if content is None:
        yield None
        return
    if not content.startswith(b"\x1f\x8b"):
        yield from (line for line in content.splitlines() if line.strip())
        return
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        try:
            yield from (line for line in file if line.strip())
        except (EOFError, OSError, zlib.error):
            yield None


def _joined(place: Folder, epochs: Sequence[_Epoch], notes: Sequence[str]) -> Dynamics:
    rows: dict[Guid, int] = {}
    gold: dict[Guid, int] = {}
    relabelled: dict[Guid, str] = {}
    for epoch in epochs:
        for guid, (one, other) in epoch.relabelled.items():
            relabelled[guid] = f"class {str(one)[:20]} and {str(other)[:20]} in epoch {epoch.number}"
        for guid, (_, label) in epoch.records.items():
            rows.setdefault(guid, len(rows))
            if label is not None and gold.setdefault(guid, label) != label:
                told = f"class {str(gold[guid])[:20]} at first and {str(label)[:20]} in epoch {epoch.number}"
                relabelled.setdefault(guid, told)
    if not rows:
        raise SelectionError(f"{place} holds no record that can be used ({' '.join(notes)}); record anew.")
    if relabelled:
        first = next(iter(relabelled))
        raise SelectionError(
            f"{len(relabelled):,} of {texts_in_words(len(rows))} have more than one gold class ({first}: "
            f"{relabelled[first]}), so the files are of several trainings, or several texts have one name; record each "
            "training in a folder of its own, and each text under a name of its own."
        )
    unlabelled = [guid for guid in rows if guid not in gold]
    if unlabelled:
        raise SelectionError(
            f"{texts_in_words(len(unlabelled))} without a gold class, {listed(unlabelled)}; add a field `gold`."
        )
    widths = {len(logits): guid for epoch in epochs for guid, (logits, _) in epoch.records.items()}
    if len(widths) > 1:
        told = " and ".join(f"{width} (text {guid})" for width, guid in sorted(widths.items())[:3])
        raise SelectionError(f"Texts of {place} have {told} logits; they must be of one model and its classes.")
    (n_classes,) = widths
    outside = [guid for guid in rows if not 0 <= gold[guid] < n_classes]
    if outside:
        raise SelectionError(
            f"{texts_in_words(len(outside))} with a gold class that is none of the model's {n_classes}, counted from 0 "
            f"(text {outside[0]}: {str(gold[outside[0]])[:20]}); give the labels that the model was trained with."
        )
    logits = np.full((len(rows), len(epochs), n_classes), np.nan)
    for column, epoch in enumerate(epochs):
        where = [rows[guid] for guid in epoch.records]
        logits[where, column] = [values for values, _ in epoch.records.values()]
    return Dynamics(
        tuple(rows),
        tuple(epoch.number for epoch in epochs),
        logits,
        np.array([gold[guid] for guid in rows], np.int64),
        tuple(notes),
    )
