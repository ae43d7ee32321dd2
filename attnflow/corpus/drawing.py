"""Draws rows at random from a source that is read once, in the proportions of their labels, and keeps few meanwhile."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST_STRATA = 1_000
"""A column with more values than this does not hold classes; what is drawn then does not look at them."""


@dataclass(frozen=True)
class Drawn(Generic[T]):
    """A row with the random number that it was given, and its place in the source."""

    number: float
    place: int
    row: T


class Drawing(Generic[T]):
    """A stratified random sample of rows that arrive one by one.

    Every row gets a random number, and of each label the rows with the lowest numbers are drawn: as many as are due to
    its share of all rows (largest remainder, at least one of each label if there is room). Of the rows so far only
    those are kept that can still be among them. As numbers do not depend on labels, `rows / n` of each label will be
    drawn of `n` rows, and some more than that are kept for chance: a few times `rows` in all, however many rows there
    are and in whatever order.

    Args:
        rows: How many to draw; all if None.
        seed: The same seed and the same rows in the same order give the same sample.
    """

    def __init__(self, rows: int | None, seed: int = 0) -> None:
        self.rows = rows
        self.seed = seed
        self.counts: Counter[str | None] = Counter()
        """Rows that were offered, by label; all under None once there are too many labels to be classes."""
        self.classes = True
        """Whether the labels are few enough to be classes."""
        self._kept: dict[str | None, list[Drawn[T]]] = {}
        self._highest: dict[str | None, float] = {}
        """The number above which a row of a label cannot be drawn any more; numbers are below 1."""
        self._random = random.Random(seed)
        self._offered = 0

    @property
    def offered(self) -> int:
        """Rows so far."""
        return self._offered

    @property
    def held(self) -> int:
        """Rows that are in memory."""
        return sum(map(len, self._kept.values()))

    def offer(self, row: T, label: str | None = None) -> None:
        """Take a row into account."""
        place, self._offered = self._offered, self._offered + 1
        label = label if self.classes else None
        if label not in self.counts and len(self.counts) > _MOST_STRATA:
            self._forget_classes()
            label = None
        self.counts[label] += 1
        number = self._random.random()
        if number > self._highest.get(label, 1.0):
            return
        kept = self._kept.setdefault(label, [])
        kept.append(Drawn(number, place, row))
        if self.rows is not None:
            most = self._most(label)
            if len(kept) > 2 * most:
                _keep_lowest(kept, most)
                self._highest[label] = kept[-1].number

    def drawn(self) -> list[T]:
        """The sample, in the order in which its rows arrived."""
        quotas = shares(self.counts, self.rows)
        found = [one for label, kept in self._kept.items() for one in _lowest(kept, quotas[label])]
        missing = sum(quotas.values()) - len(found)
        if missing:  # by a chance of less than one in a million: other labels fill up
            taken = {one.place for one in found}
            found += _lowest([one for kept in self._kept.values() for one in kept if one.place not in taken], missing)
        return [one.row for one in sorted(found, key=lambda one: one.place)]

    def _most(self, label: str | None) -> int:
        """How many rows of a label can still be drawn: those due to it, and five standard deviations more."""
        due = (self.rows or 0) * self.counts[label] / self._offered
        return math.ceil(due + 5 * math.sqrt(due) + 8)

    def _forget_classes(self) -> None:
        self.classes = False
        self.counts = Counter({None: self.counts.total()})
        everything = [one for kept in self._kept.values() for one in kept]
        if self.rows is not None:
            _keep_lowest(everything, self._most(None))
        self._kept, self._highest = {None: everything}, {}


def shares(counts: Counter[str | None], rows: int | None) -> dict[str | None, int]:
    """How many rows of each label are due to it among `rows`, by the largest remainder.

    Example:
        >>> shares(Counter({"yes": 60, "no": 39, "perhaps": 1}), 10)
        {'yes': 6, 'no': 3, 'perhaps': 1}
    """
    total = counts.total()
    if rows is None or rows >= total:
        return dict(counts)
    exact = {label: rows * count / total for label, count in counts.items()}
    least = 1 if rows >= len(counts) else 0
    given = {label: max(least, math.floor(share)) for label, share in exact.items()}
    for _ in range(rows - sum(given.values())):
        given[max(exact, key=lambda label: exact[label] - given[label])] += 1
    for _ in range(sum(given.values()) - rows):  # those that were raised to one are paid for
        given[max(exact, key=lambda label: (given[label] > least, given[label] - exact[label]))] -= 1
    return given


def _lowest(kept: list[Drawn[T]], most: int) -> list[Drawn[T]]:
    return sorted(kept, key=lambda one: one.number)[:most]


def _keep_lowest(kept: list[Drawn[T]], most: int) -> None:
    kept.sort(key=lambda one: one.number)
    del kept[most:]
