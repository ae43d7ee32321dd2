"""Runs over a corpus that the operator of a machine offers, as the tab *Corpus* shows them."""

from __future__ import annotations

from collections.abc import Sequence

from attnflow.corpus.corpus_files import open_corpus
from attnflow.errors import SelectionError
from attnflow.records.corpus import CorpusStatistics
from attnflow.service import own_models
from attnflow.service.offered import corpora
from attnflow.service.room_corpus import QUICK
from attnflow.views.corpus_model import corpus_model
from attnflow.views.payloads import SIDES
from attnflow.web import arguments
from attnflow.web.rooms.corpus_head import Reached

KEPT = "kept: "
"""What the key of such runs begins with; that of a collection is hexadecimal."""
_NEEDED = [name for name in QUICK if name != "patterns"]
_SLOW = {"attention_gradient", "contribution_positions", "agreement"}


def open_kept(names: Sequence[str] | None) -> Reached:
    """Open one run as that of model A, or two as those of A and B.

    Args:
        names: As they are offered.

    Raises:
        SelectionError: If none, or more, are chosen, one is not offered, cannot be read, or lacks what the charts show.
    """
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not 0 < len(names) < 3:
        raise SelectionError(f"The runs to open are {arguments.came(names)}; choose one, or two to compare.")
    found = [open_corpus(corpora.folder(name)) for name in names]
    models = []
    for side, name, one in zip(SIDES, names, found, strict=False):
        lacking = [needed for needed in _NEEDED if needed not in one.results]
        if lacking:
            raise SelectionError(
                f"{name} has no {', '.join(lacking)}, which is shown here; run attnflow corpus with --statistics "
                f"{' '.join(_NEEDED)}, and more if you like."
            )
        models.append(corpus_model(side, one, one if _SLOW & set(one.results) else None))
    return Reached(f"{KEPT}{', '.join(names)}", tuple(map(_ref, found)), tuple(models), ())


def _ref(found: CorpusStatistics) -> str:
    """The model as the page names it."""
    name, commit = found.settings.model, found.settings.commit
    return name if own_models.own(name) else f"{name}@{commit}"
