"""One part of a corpus: reads its texts with a model, feeds the statistics, and can be kept as a file."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.encoded_text import encoded
from attnflow.corpus.measures import MEASURES, Measure
from attnflow.corpus.observed import Observed
from attnflow.errors import CheckpointError, NoRoomError, SelectionError, TextError, UnsupportedArchitectureError, brief
from attnflow.methods.objective import Label
from attnflow.records.corpus import CorpusSettings
from attnflow.records.survey import class_of
from attnflow.records.texts import Text
from attnflow.records.trace import Encoding
from attnflow.runtime.batch import batches
from attnflow.runtime.memory import within_memory
from attnflow.stats.statistic import Statistic

Accumulators = dict[tuple[str, str, str], Statistic]
"""By group, measure, and name within the measure."""


@dataclass(frozen=True, eq=False)
class Part:
    """What came of some texts; parts that are merged in their order are the whole."""

    read: Mapping[str, int]
    """By group: texts that were read."""
    cut: int
    """Texts among them that were too long, and were cut."""
    failed: tuple[tuple[str, str], ...]
    """Name of each text that could not be read, and why."""
    accumulators: Accumulators
    """Those of groups with a text."""

    def to_bytes(self, settings: CorpusSettings) -> bytes:
        """As the content of a file."""
        told = {
            "settings": asdict(settings),
            "read": self.read,
            "cut": self.cut,
            "failed": self.failed,
            "accumulators": list(self.accumulators),
        }
        content = io.BytesIO()
        arrays = states_of(self.accumulators.values())
        np.savez(content, told=np.frombuffer(json.dumps(told).encode(), np.uint8), allow_pickle=False, **arrays)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes | None, settings: CorpusSettings) -> Part | None:
        """Of such a content; None if there is none, or it is damaged or of other settings."""
        if content is None:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file}
            told = json.loads(arrays.pop("told").tobytes())
            if told["settings"] != json.loads(json.dumps(asdict(settings))):
                return None
            accumulators = accumulators_from([tuple(key) for key in told["accumulators"]], arrays)
            failed = tuple((str(guid), str(reason)) for guid, reason in told["failed"])
            return cls({str(k): int(v) for k, v in told["read"].items()}, int(told["cut"]), failed, accumulators)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, SelectionError):
            return None


def states_of(statistics: Iterable[Statistic]) -> dict[str, Any]:
    """Their states in one dictionary: the number of each and a dot before every name."""
    return {f"{number}.{name}": array for number, one in enumerate(statistics) for name, array in one.state().items()}


def accumulators_from(keys: Sequence[tuple[str, str, str]], states: Mapping[str, NDArray[Any]]) -> Accumulators:
    """Back from what `states_of` made of accumulators with these keys.

    Raises:
        SelectionError: If a state is damaged, or of another version.
        KeyError: If there is no such measure.
    """
    own: list[dict[str, NDArray[Any]]] = [{} for _ in keys]
    for name, array in states.items():
        number, _, rest = name.partition(".")
        own[int(number)][rest] = array
    return {key: MEASURES[key[1]].kinds[key[2]].from_state(state) for key, state in zip(keys, own, strict=True)}


def merge_into(whole: Accumulators, part: Accumulators) -> None:
    """Add what a part has seen."""
    for key, statistic in part.items():
        if key in whole:
            whole[key].merge(statistic)
        else:
            whole[key] = statistic


def compute_part(
    checkpoint: Checkpoint,
    texts: Sequence[Text],
    groups: Sequence[str],
    settings: CorpusSettings,
    done: Callable[[int], object] = lambda texts: None,
) -> Part:
    """Read some texts of a collection.

    Args:
        checkpoint: The model that the settings speak of.
        texts: The texts of this part.
        groups: `[N]`: the group of each.
        settings: Of the whole run.
        done: Is told now and then how many of these texts have been read.

    Raises:
        UnsupportedArchitectureError: If the model cannot be recorded. What is wrong with one text is noted instead.
    """
    return _Reader(checkpoint, texts, groups, settings, done).result()


class _Reader:
    """A part while it is read."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        texts: Sequence[Text],
        groups: Sequence[str],
        settings: CorpusSettings,
        done: Callable[[int], object],
    ) -> None:
        self.checkpoint, self.texts, self.groups, self.settings = checkpoint, texts, groups, settings
        self.measures: list[Measure] = [MEASURES[name] for name, _ in settings.statistics]
        self.labels, self.done = dict(settings.labels), done
        self.encodings: dict[int, Encoding] = {}
        self.failed: dict[int, str] = {}
        self.found: Accumulators = {}

    def result(self) -> Part:
        """Read everything."""
        for row, text in enumerate(self.texts):
            progress.go_on()
            self._encode(row, text)
        finished = len(self.failed)
        read: dict[str, int] = {}
        for group in self.settings.groups:
            rows = [row for row in self.encodings if self.groups[row] == group]
            for numbers in batches(self.checkpoint, [self.encodings[row] for row in rows]):
                self._read(group, [rows[number] for number in numbers])
                finished += len(numbers)
                self.done(finished)
            if count := sum(row not in self.failed for row in rows):
                read[group] = count
        cut = sum(one.cut > 0 for row, one in self.encodings.items() if row not in self.failed)
        failed = tuple((self.texts[row].guid, self.failed[row]) for row in sorted(self.failed))
        return Part(read, cut, failed, self.found)

    def _encode(self, row: int, text: Text) -> None:
        """Cut a text into tokens, or note why that cannot be."""
        found = encoded(self.checkpoint, text, self.settings.too_long, self.settings.max_tokens)
        if isinstance(found, str):
            self.failed[row] = found
        else:
            self.encodings[row] = found

    def _read(self, group: str, rows: list[int]) -> None:
        """Run the model on texts of similar length, or, if something is wrong with one, on each alone.

        They are added to accumulators of their own first, so that no statistic has a text that another has not.
        """
        try:
            with within_memory(self.checkpoint.name):
                fed = self._fed(group, rows)
        except UnsupportedArchitectureError:
            raise
        except (CheckpointError, NoRoomError, TextError, SelectionError, RuntimeError) as error:  # the last of torch
            if len(rows) == 1:
                self.failed[rows[0]] = brief(error) if isinstance(error, RuntimeError) else str(error)
            else:
                for row in rows:
                    self._read(group, [row])
            return
        merge_into(self.found, fed)

    def _fed(self, group: str, rows: list[int]) -> Accumulators:
        seen = Observed(
            self.checkpoint,
            self.settings,
            [self.encodings[row] for row in rows],
            [self._label(row) for row in rows],
            [self.texts[row].tree for row in rows],
            [self.texts[row].document for row in rows],
        )
        fed: Accumulators = {}
        for measure in self.measures:
            own = measure.start(self.settings)
            with progress.untold():
                measure.update(own, seen)
            fed |= {(group, measure.name, name): statistic for name, statistic in own.items()}
        return fed

    def _label(self, row: int) -> Label:
        """The class that the label of a text stands for; of regressions the number."""
        label, head = self.texts[row].label, self.checkpoint.head
        if not head.classifies_texts or head.problem == "regression":
            number = head.classifies_texts and isinstance(label, int | float) and not isinstance(label, bool)
            return label if number else None
        return class_of(label, head.labels, self.labels)
