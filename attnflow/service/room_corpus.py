"""What the heads of one model do over the texts of a room: what is quick of all texts, what is slow of some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from attnflow.corpus.measures import MEASURES
from attnflow.corpus.survey import TooLong
from attnflow.records.corpus import CorpusStatistics
from attnflow.service.case import open_checkpoint
from attnflow.service.collections import Opened, Page
from attnflow.service.corpora import corpora
from attnflow.service.grammar import OF_TREES, n_trees

QUICK = ("surface", "entropy", "head_distances", "positions", "patterns")
"""Statistics of the pass that records attention."""
SLOW = ("attention_gradient", "contribution_positions", "agreement", "importance")
"""Those that take a backward pass or derivatives."""
MOST_SLOW = 32
"""Texts that slow ones are taken over: of more, evenly spaced ones."""


@dataclass(frozen=True)
class AskedOf:
    """Which model is to read what, and how."""

    opened: Opened
    ref: str
    """A bundled reference or a Hub id, perhaps with `@` and a revision."""
    page: Page
    labels: Mapping[str, str | None]
    """The model's class by the label of the texts; those of other models are left out."""
    too_long: TooLong

    def quick(self, group_by: str | None) -> CorpusStatistics:
        """What is quick, of all texts and of each group; which relations heads follow, too, if all texts have trees."""
        trees = n_trees(self.opened.texts) == len(self.opened.texts)
        names = (*QUICK, OF_TREES) if trees else QUICK
        return corpora.statistics(self.opened, self.ref, self.page, names, group_by=group_by, **self._options())

    def slow(self) -> CorpusStatistics | None:
        """What is slow and this model can have, of some texts; None if it can have nothing of it."""
        names = [name for name in SLOW if name not in self.lacks()]
        if not names:
            return None
        rows, n = self.opened.texts, len(self.opened.texts)
        places = np.linspace(0, n - 1, min(n, MOST_SLOW)).round().astype(int)
        some = Opened(replace(rows, rows=tuple(rows[int(place)] for place in places)), self.opened.owner)
        return corpora.statistics(some, self.ref, self.page, names, **self._options())

    def lacks(self) -> dict[str, str]:
        """What is slow and this model cannot have, and why, as a sentence goes on after "because"."""
        checkpoint = open_checkpoint(self.ref)
        reasons = {name: MEASURES[name].lack(checkpoint) for name in SLOW}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _options(self) -> dict[str, Any]:
        head = open_checkpoint(self.ref).head
        own = head.labels if head.classifies_texts else ()
        labels = {label: name for label, name in self.labels.items() if own and (name is None or name in own)}
        return {"labels": labels, "too_long": self.too_long}
