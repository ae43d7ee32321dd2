"""Statistics of heads over collections, for visitors: each computed once, within the limits of this machine."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

from attnflow import limits, progress
from attnflow.cache import BoundedCache
from attnflow.checkpoints.random_weights import random_weights as with_random_weights
from attnflow.corpus.compared_heads import compare_dependency_heads
from attnflow.corpus.corpus_statistics import corpus_settings, corpus_statistics
from attnflow.corpus.survey import TooLong
from attnflow.errors import SelectionError
from attnflow.records.corpus import CorpusStatistics
from attnflow.service.case import open_checkpoint
from attnflow.service.collections import Opened, Page
from attnflow.service.long_work import long_work
from attnflow.service.places import Places
from attnflow.service.workspace import workspace
from attnflow.stats.compared_dependencies import DependencyComparison
from attnflow.stats.coreference import Candidates
from attnflow.stats.word_attention import Pooling

ONE_BY_ONE = ("mean_attention",)
"""What only the library gives: an array for every two positions."""


class Corpora:
    """What was computed of collections, bounded in memory.

    Args:
        most_bytes: Of it.
        places: Who computes now.
        most_seconds: Seconds after which one computation is ended.
    """

    def __init__(self, *, most_bytes: int, places: Places, most_seconds: float) -> None:
        self._kept: BoundedCache[CorpusStatistics] = BoundedCache(
            most_bytes, lambda found: 3 * sum(array.nbytes for array in found.states.values()) + 10_000
        )
        self._comparisons: BoundedCache[DependencyComparison] = BoundedCache(
            most_bytes // 20, lambda found: 2_000 * len(found.relations) + 300 * len(found.failed) + 1_000
        )
        self._places, self._most_seconds = places, most_seconds

    def forget(self, owner: str) -> None:
        """Drop what is kept for a page alone."""
        for kept in (self._kept, self._comparisons):
            kept.forget(lambda key: cast("tuple[str | None, object]", key)[0] == owner)

    def statistics(
        self,
        opened: Opened,
        ref: str,
        page: Page,
        names: Sequence[str],
        *,
        group_by: str | None = None,
        labels: Mapping[str, str | None] | None = None,
        too_long: TooLong = "cut",
        pooling: Pooling = "mean",
        candidates: Candidates = "before",
        random_weights: bool = False,
    ) -> CorpusStatistics:
        """Compute statistics of a model's heads over texts, or recall them.

        Args:
            opened: The texts.
            ref: A bundled reference or a Hub id, perhaps with `@` and a revision. Never a local path.
            page: For whom.
            names: Of the statistics.
            group_by: A column of the texts.
            labels: The model's class by the label of the texts.
            too_long: What becomes of a text with more tokens than fit.
            pooling: What a word of several tokens attends to, for `dependencies` and `coreference`.
            candidates: Which words a head chooses antecedents from.
            random_weights: Whether the model's weights are random ones instead of its own.

        Raises:
            AttnflowError: With one sentence for whatever is wrong with the texts, the checkpoint or the names.
        """
        refused = [name for name in names if name in ONE_BY_ONE]
        if refused:
            raise SelectionError(f"{refused[0]} is too large for an answer; use the library, or leave it out.")
        checkpoint = open_checkpoint(ref)
        options: dict[str, Any] = {
            "group_by": group_by,
            "labels": labels,
            "too_long": too_long,
            "max_tokens": limits.MAX_TOKENS,
            "pooling": pooling,
            "candidates": candidates,
        }
        settings, _ = corpus_settings(checkpoint, opened.texts, names, **options)

        def compute() -> CorpusStatistics:
            with self._reading(opened, page, checkpoint.name) as listen:
                own = with_random_weights(checkpoint) if random_weights else checkpoint
                return corpus_statistics(own, opened.texts, names, progress=listen, **options)

        return self._kept.get((opened.owner, settings, random_weights), compute)

    def compared(
        self,
        opened: Opened,
        ref_a: str,
        ref_b: str,
        page: Page,
        *,
        pooling: Pooling = "mean",
        subtypes: bool = True,
        too_long: TooLong = "cut",
    ) -> DependencyComparison:
        """Compare the heads of two models that follow a treebank, or recall it.

        Args:
            opened: The treebank.
            ref_a: The first model, as in `statistics`.
            ref_b: The second.
            page: For whom.
            pooling: What a word of several tokens attends to.
            subtypes: Whether subtypes of relations are told by themselves.
            too_long: What becomes of a sentence with more tokens than fit.

        Raises:
            AttnflowError: With one sentence for whatever is wrong with the texts or the checkpoints.
        """
        model_a, model_b = open_checkpoint(ref_a), open_checkpoint(ref_b)
        options: dict[str, Any] = {"pooling": pooling, "subtypes": subtypes, "too_long": too_long}

        def compute() -> DependencyComparison:
            with self._reading(opened, page, model_a.name, model_b.name) as listen:
                return compare_dependency_heads(
                    model_a, model_b, opened.texts, progress=listen, max_tokens=limits.MAX_TOKENS, **options
                )

        key = (opened.owner, opened.texts.fingerprint, model_a.key, model_b.key, *options.values())
        return self._comparisons.get(key, compute)

    def _reading(self, opened: Opened, page: Page, *models: str) -> AbstractContextManager[progress.Listener]:
        """Room and time for one reading of texts, and what is told how far it has come."""
        if opened.owner is not None:
            weakref.finalize(page, self.forget, page.name)
        advice = "ask for fewer rows, or for fewer statistics"
        return long_work(self._places, self._most_seconds, "one reading", advice, *models)


corpora = Corpora(
    most_bytes=limits.COLLECTION_CACHE_BYTES // 4,
    places=workspace.places,
    most_seconds=limits.MAX_SURVEY_SECONDS,
)
"""Those of the app: page and endpoints share them."""
