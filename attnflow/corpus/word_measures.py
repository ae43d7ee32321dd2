"""Feeds the statistics of words with gold annotation: governors of trees, and antecedents of chains."""

from __future__ import annotations

import numpy as np

from attnflow.corpus.observed import Fed, Observed, Table, between_words, own_of
from attnflow.errors import SelectionError
from attnflow.records.texts import Text
from attnflow.stats.coreference import CoreferenceHeads, CoreferenceResult
from attnflow.stats.dependencies import DIRECTIONS, DependencyHeads, DependencyResult


def feed_dependencies(fed: Fed, seen: Observed) -> None:
    """Add the governors of each text."""
    own = own_of(fed, DependencyHeads)
    for text, encoding, tree in zip(seen.attention, seen.encodings, seen.trees, strict=True):
        if tree is None:
            raise SelectionError("It has no dependency tree.")
        words, here = between_words(text, encoding, tree, own.pooling)
        own.update(words, tree.governor, tree.relation, there=here)


def feed_coreference(fed: Fed, seen: Observed) -> None:
    """Add the antecedents of each text."""
    own = own_of(fed, CoreferenceHeads)
    for text, encoding, document in zip(seen.attention, seen.encodings, seen.documents, strict=True):
        if document is None:
            raise SelectionError("It has no coreference chains.")
        words, here = between_words(text, encoding, document, own.pooling)
        own.update(words, document.mentions, there=here)


def relations_table(found: DependencyResult) -> Table:
    """Of each head the governors that it finds, and which relations it follows best of all."""
    by_direction = found.accuracy["all"]
    return {f"governors: {direction}": by_direction[place] for place, direction in enumerate(DIRECTIONS)} | {
        "relations": found.followed()
    }


def antecedents_table(found: CoreferenceResult) -> Table:
    """Of each head the antecedents that it finds, by kind of mention; without kinds that do not occur."""
    return {f"antecedents: {kind}": np.asarray(found.accuracy[kind]) for kind, n in found.n.items() if n}


def lacks_tree(text: Text) -> bool:
    """Whether a text has no dependency tree."""
    return text.tree is None


def lacks_chains(text: Text) -> bool:
    """Whether a text has no chain of two mentions."""
    return text.document is None or not text.document.linked
