"""Turns the cells of a label column into names of classes, or numbers, and matches these names to those of a model."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from attnflow.corpus.columns import listed
from attnflow.errors import SelectionError
from attnflow.records.texts import Texts

_WHOLE = re.compile(r"([+-]?\d+)\.0+")
_NUMBERED = re.compile(r"(?:label)?_?\d+", re.IGNORECASE)
_REMEMBERED = 1_000
"""Cells whose names are not found anew."""
_NO_LABEL = ("", "-")
"""A cell without a label; a dash is how SNLI and MultiNLI say that annotators did not agree."""


class Gold:
    """The labels of a column, looked at one after another.

    Numbers of classes become their names where the source tells them, and else names such as `"0"`. If all labels are
    numbers and one of them is no whole number, they are numbers.

    Args:
        classes: Names of the classes by their number, if the source tells them.
    """

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self.classes = tuple(classes)
        self.lists = 0
        """Cells with several labels, which is none that could be used."""
        self._known: dict[str, str | None] = {}
        self._numbers = True
        self._fraction = False

    def name(self, cell: object) -> str | None:
        """The name of the class in a cell, or the number as a text; None if there is no label."""
        if isinstance(cell, str) and cell in self._known:
            return self._known[cell]
        name = self._read(cell)
        if isinstance(cell, str) and len(self._known) < _REMEMBERED:
            self._known[cell] = name
        return name

    def _read(self, cell: object) -> str | None:
        if isinstance(cell, list) and len(cell) == 1:
            cell = cell[0]
        if isinstance(cell, (list, dict)):
            self.lists += 1
            return None
        text = _text_of(cell)
        if text is None or text in _NO_LABEL:
            return None
        if self.classes:
            if text in self.classes:
                return text
            number = _whole(text)
            if number is not None and number < 0:  # as in test sets whose labels are kept back
                return None
            return self.classes[number] if number is not None and number < len(self.classes) else text
        value = _number(text)
        self._numbers = self._numbers and value is not None
        self._fraction = self._fraction or (value is not None and not value.is_integer())
        return text

    @property
    def are_numbers(self) -> bool:
        """Whether labels are numbers that are predicted, not classes."""
        return self._numbers and self._fraction and not self.classes

    def value(self, name: str | None) -> str | float | None:
        """The label whose name `name` gave."""
        return float(name) if name is not None and self.are_numbers else name

    def names(self, seen: Collection[str]) -> tuple[str, ...]:
        """All classes: in the order of their numbers, or sorted, numbers by their value."""
        if self.are_numbers:
            return ()
        others = sorted(set(seen) - {*self.classes}, key=lambda name: (_number(name) is None, _number(name) or 0, name))
        return (*self.classes, *others)


def _text_of(cell: object) -> str | None:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    text = str(cell).strip()
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class LabelMatch:
    """Which class of a model each label of the texts is."""

    classes: Mapping[str, str]
    """The model's label by the texts' label."""
    unmatched: tuple[str, ...]
    """Labels of the texts that the model lacks: texts with these have no known answer for it."""
    unused: tuple[str, ...]
    """Labels of the model that no text has."""
    note: str
    """One sentence that says what was not matched and what to do; empty if everything was."""


def match_labels(
    texts: Texts, model_labels: Sequence[str], choice: Mapping[str, str | None] | None = None
) -> LabelMatch:
    """Match labels of texts to those of a model by their names, and never by their number.

    Names match if they differ only in case, spaces, hyphens and underscores, and not if two of either side would match
    the same. A model that has only `LABEL_0`, `LABEL_1`, … tells nothing about its classes: whoever knows them says so
    by `choice`.

    Args:
        texts: The texts.
        model_labels: The model's labels, in the order of its classes.
        choice: The model's label by the texts' label, or None for a label that is to have none; it comes first.

    Raises:
        SelectionError: If the choice names a label that there is not.
    """
    chosen = dict(choice or {})
    for ours, theirs in chosen.items():
        if ours not in texts.label_names:
            raise SelectionError(f"No text has the label {ours[:60]!r}; they have {listed(texts.label_names)}.")
        if theirs is not None and theirs not in model_labels:
            raise SelectionError(f"The model has no label {theirs[:60]!r}; it has {listed(model_labels)}.")
    by_name = _unambiguous(model_labels)
    own = _unambiguous(texts.label_names)
    found = {own[name]: by_name[name] for name in own if name in by_name and own[name] not in chosen}
    found |= {ours: theirs for ours, theirs in chosen.items() if theirs is not None}
    classes = {label: found[label] for label in texts.label_names if label in found}
    unmatched = tuple(label for label in texts.label_names if label not in classes and label not in chosen)
    unused = tuple(label for label in model_labels if label not in classes.values())
    return LabelMatch(classes, unmatched, unused, _note(unmatched, unused, model_labels))


def _unambiguous(labels: Sequence[str]) -> dict[str, str]:
    """Labels by their plain names, without those that share one."""
    plain = [re.sub(r"[\s_-]", "", label).casefold() for label in labels]
    return {name: label for name, label in zip(plain, labels, strict=True) if name and plain.count(name) == 1}


def _note(unmatched: Sequence[str], unused: Sequence[str], model_labels: Sequence[str]) -> str:
    if not unmatched:
        return ""
    if all(_NUMBERED.fullmatch(label) for label in model_labels):
        return (
            f"The labels of the texts ({listed(unmatched)}) are not matched, for the model's say nothing about its "
            f"classes ({listed(model_labels)}); choose which is which."
        )
    if all(_NUMBERED.fullmatch(label) for label in unmatched):
        return (
            f"The labels of the texts are numbers ({listed(unmatched)}) and are not matched to those of the model "
            f"({listed(unused or model_labels)}); choose which is which."
        )
    return (
        f"The model has no label {listed(unmatched)}; it has {listed(model_labels)}. Texts with such labels count as "
        "unlabelled, unless you choose which is which."
    )
