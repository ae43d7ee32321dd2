"""How well the heads of one model follow the grammar of a treebank, with the names of these heads."""

from __future__ import annotations

from attnflow.checkpoints.checkpoint import BUNDLED
from attnflow.corpus.survey import TooLong
from attnflow.corpus.texts import TREEBANK
from attnflow.records.corpus import CorpusStatistics
from attnflow.records.texts import Texts
from attnflow.service.collections import Asked, Opened, Page, collections
from attnflow.service.corpora import corpora

OF_TREES = "dependencies"
MEASURED = ("surface", "entropy", OF_TREES)
"""The first two are what heads have their names by."""


def n_trees(texts: Texts) -> int:
    """How many texts have a dependency tree."""
    return sum(text.tree is not None for text in texts)


def grammar(opened: Opened, ref: str, page: Page, too_long: TooLong = "cut") -> CorpusStatistics:
    """Measure the heads of a model over a treebank, or recall it.

    Args:
        opened: Texts, some of which have trees.
        ref: A bundled reference or a Hub id, perhaps with `@` and a revision.
        page: For whom.
        too_long: What becomes of a text with more tokens than fit.

    Raises:
        SelectionError: If no text has a tree.
        AttnflowError: If the model cannot be opened or run.
    """
    return corpora.statistics(opened, ref, page, MEASURED, too_long=too_long)


def bundled_grammar(ref: str) -> CorpusStatistics | None:
    """The same of a bundled model over the bundled sentences, which takes no longer than a moment; None of others."""
    if ref not in BUNDLED:
        return None
    page = Page()
    return grammar(collections.open(Asked(source=TREEBANK), page), ref, page)
