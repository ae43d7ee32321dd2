"""What can be measured over a corpus: each statistic by its name, what it is fed with, and who cannot have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.observed import SOURCES, Fed, Observed, Table, own_of
from attnflow.corpus.word_measures import (
    antecedents_table,
    feed_coreference,
    feed_dependencies,
    lacks_chains,
    lacks_tree,
    relations_table,
)
from attnflow.errors import SelectionError
from attnflow.methods.heads.attention_gradient import batch_gradient, check_loss, predicts_masked_words
from attnflow.methods.heads.importance import HeadImportance
from attnflow.records.corpus import ByContribution, CorpusSettings
from attnflow.records.texts import Text
from attnflow.runtime.batch import batches
from attnflow.runtime.token_scores import roots_of
from attnflow.stats.agreement import Agreement
from attnflow.stats.attention_gradient import AttentionGradient
from attnflow.stats.coreference import CoreferenceHeads
from attnflow.stats.dependencies import DependencyHeads
from attnflow.stats.entropy import AttentionEntropy
from attnflow.stats.head_distances import HeadDistances
from attnflow.stats.mean_attention import MeanAttention
from attnflow.stats.patterns import Patterns
from attnflow.stats.relative_positions import RelativePositions
from attnflow.stats.statistic import Statistic
from attnflow.stats.surface import SurfaceStatistics

_GRADIENT_TOKENS = 1024
"""Tokens of one pass that is differentiated."""
_SCORES_AT_ONCE = 50_000_000
"""Of a language model, which gives one for each token and entry of its vocabulary."""


@dataclass(frozen=True)
class Measure:
    """One statistic that a run over a corpus may be asked for."""

    name: str
    says: str
    """What it tells, in one sentence."""
    kinds: Mapping[str, type[Statistic]]
    """Its accumulators."""
    update: Callable[[Fed, Observed], None]
    result: Callable[[Fed, CorpusSettings], Any]
    table: Callable[[Any], Table]
    """What of a result is one number for each head."""
    lack: Callable[[Checkpoint], str | None] = lambda checkpoint: None
    """Why a model cannot have it, as a sentence goes on after "because"; None if it can."""
    slow: bool = False
    """Whether it takes more than the pass that records attention."""
    needs: str = ""
    """What it needs of a text beside its words, as a sentence goes on after "no text has"."""
    lacks: Callable[[Text], bool] = lambda text: False
    """Whether a text lacks that."""

    @property
    def version(self) -> int:
        """Of what its accumulators keep."""
        return sum(kind.version for kind in self.kinds.values())

    def start(self, settings: CorpusSettings) -> dict[str, Statistic]:
        """Its accumulators, empty."""
        return {name: _empty(kind, settings) for name, kind in self.kinds.items()}


def _empty(kind: type[Statistic], settings: CorpusSettings) -> Statistic:
    if kind is HeadImportance:
        return HeadImportance(method=settings.importance or "taylor")
    if kind is DependencyHeads:
        return DependencyHeads(pooling=settings.pooling or "mean")
    if kind is CoreferenceHeads:
        return CoreferenceHeads(pooling=settings.pooling or "mean", candidates=settings.candidates or "before")
    return kind()


def _feed_gradient(fed: Fed, seen: Observed) -> None:
    checkpoint, most = seen.checkpoint, _GRADIENT_TOKENS
    if checkpoint.head.kind in ("masked-lm", "causal-lm"):
        most = min(most, _SCORES_AT_ONCE // checkpoint.n_entries)
    for rows in batches(checkpoint, seen.encodings, most):
        encodings = [seen.encodings[row] for row in rows]
        labels = None if predicts_masked_words(checkpoint) else [seen.labels[row] for row in rows]
        found = batch_gradient(checkpoint, encodings, labels, seed=seen.settings.seed)
        tokens = [encoding.tokens for encoding in encodings]
        own_of(fed, AttentionGradient).update(found.gradient, found.attention, tokens, lengths=found.lengths)


def _feed_patterns(fed: Fed, seen: Observed) -> None:
    sentence = np.zeros((len(seen.encodings), seen.attention.shape[-1]), np.int64)
    for row, encoding in zip(sentence, seen.encodings, strict=True):
        row[: len(encoding.tokens)] = encoding.tokens.sentence
    own_of(fed, Patterns).update(seen.attention, sentence, lengths=seen.lengths)


def _feed_contribution_positions(fed: Fed, seen: Observed) -> None:
    for wrt in SOURCES:
        for values in seen.contributions(wrt):
            own_of(fed, RelativePositions, wrt).update(values)


def _feed_agreement(fed: Fed, seen: Observed) -> None:
    for wrt in SOURCES:
        for text, values in zip(seen.attention, seen.contributions(wrt), strict=True):
            size = values.shape[-1]
            own_of(fed, Agreement, wrt).update(text[:, :, :size, :size], values)


def _both(fed: Fed, settings: CorpusSettings) -> ByContribution[Any]:
    found = {wrt: fed[wrt].result() for wrt in SOURCES}
    return ByContribution(found["previous_layer"], found["input"], settings.probes)


def _kinds_table(prefix: str) -> Callable[[Any], Table]:
    return lambda found: {f"{prefix}: {kind}": found.mean[..., place] for place, kind in enumerate(found.kinds)}


def _no_layers(checkpoint: Checkpoint) -> str | None:
    return None if checkpoint.steerable else "its layers cannot be told from its other parts"


def _no_loss(checkpoint: Checkpoint) -> str | None:
    try:
        check_loss(checkpoint)
    except SelectionError:
        return "it has no trained task head with a loss"
    return None


def _no_label_loss(checkpoint: Checkpoint) -> str | None:
    return None if checkpoint.head.classifies_texts else "it has no trained head that decides about whole texts"


def _single(
    name: str,
    says: str,
    kind: type[Statistic],
    update: Callable[[Any, Observed], object],
    table: Callable[[Any], Table],
    lack: Callable[[Checkpoint], str | None] = lambda checkpoint: None,
    slow: bool = False,
) -> Measure:
    """A measure with one accumulator."""
    return Measure(
        name,
        says,
        {"": kind},
        lambda fed, seen: (update(fed[""], seen), None)[1],
        lambda fed, settings: fed[""].result(),
        table,
        lack,
        slow,
    )


MEASURES: dict[str, Measure] = {
    one.name: one
    for one in (
        _single(
            "surface",
            "What each head attends to, by kind of token.",
            SurfaceStatistics,
            lambda own, seen: own.update(seen.attention, [e.tokens for e in seen.encodings], lengths=seen.lengths),
            _kinds_table("attention"),
        ),
        _single(
            "entropy",
            "How broadly each head attends, over all tokens and from the root alone.",
            AttentionEntropy,
            lambda own, seen: own.update(
                seen.attention, roots_of(seen.checkpoint, seen.encodings, seen.batch.token_scores), lengths=seen.lengths
            ),
            lambda found: {"entropy": found.whole, "entropy of the root": found.root},
        ),
        Measure(
            "attention_gradient",
            "How much the loss would move with an attention weight, by kind of token.",
            {"": AttentionGradient},
            _feed_gradient,
            lambda fed, settings: fed[""].result(),
            _kinds_table("gradient"),
            _no_loss,
            slow=True,
        ),
        _single(
            "head_distances",
            "How differently every two heads attend.",
            HeadDistances,
            lambda own, seen: own.update(seen.attention, lengths=seen.lengths),
            lambda found: {},
        ),
        _single(
            "positions",
            "Where, relative to a token, each head attends to.",
            RelativePositions,
            lambda own, seen: own.update(seen.attention, lengths=seen.lengths),
            lambda found: {"centre of mass": found.centre_by_head},
        ),
        Measure(
            "contribution_positions",
            "Where, relative to a token, the contributions to each head's output lie.",
            dict.fromkeys(SOURCES, RelativePositions),
            _feed_contribution_positions,
            _both,
            lambda found: {
                "centre of mass: previous layer": found.previous_layer.centre_by_head,
                "centre of mass: input": found.input.centre_by_head,
            },
            _no_layers,
            slow=True,
        ),
        Measure(
            "agreement",
            "How well each head's attention agrees with the contributions to its output.",
            dict.fromkeys(SOURCES, Agreement),
            _feed_agreement,
            _both,
            lambda found: {
                "pearson: previous layer": found.previous_layer.pearson,
                "spearman: previous layer": found.previous_layer.spearman,
                "pearson: input": found.input.pearson,
                "spearman: input": found.input.spearman,
            },
            _no_layers,
            slow=True,
        ),
        Measure(
            "patterns",
            "The pattern of each head's maps: vertical, diagonal, both, block or heterogeneous.",
            {"": Patterns},
            _feed_patterns,
            lambda fed, settings: fed[""].result(),
            lambda found: {"pattern": np.array(found.pattern)},
        ),
        _single(
            "mean_attention",
            "The attention of each head, averaged position by position.",
            MeanAttention,
            lambda own, seen: own.update(seen.attention, lengths=seen.lengths),
            lambda found: {},
        ),
        _single(
            "importance",
            "How much each head matters for the decision.",
            HeadImportance,
            lambda own, seen: own.update(seen.checkpoint, seen.encodings, seen.labels),
            lambda found: {"importance": found.mean},
            _no_label_loss,
            slow=True,
        ),
        Measure(
            "dependencies",
            "How often the word that each head chooses is the governor, by relation; of a treebank.",
            {"": DependencyHeads},
            feed_dependencies,
            lambda fed, settings: fed[""].result(),
            relations_table,
            needs="a dependency tree, which dependencies needs; open a treebank in CoNLL-U",
            lacks=lacks_tree,
        ),
        Measure(
            "coreference",
            "How often the word that each head chooses for a mention is an antecedent; of texts with chains.",
            {"": CoreferenceHeads},
            feed_coreference,
            lambda fed, settings: fed[""].result(),
            antecedents_table,
            needs="a chain of two mentions, which coreference needs; open CoNLL-2012, GAP or JSON Lines with chains",
            lacks=lacks_chains,
        ),
    )
}
"""By the name that programs call it by."""
StatisticName = Literal[
    "surface",
    "entropy",
    "attention_gradient",
    "head_distances",
    "positions",
    "contribution_positions",
    "agreement",
    "patterns",
    "mean_attention",
    "importance",
    "dependencies",
    "coreference",
]


def choose(names: Sequence[str], checkpoint: Checkpoint) -> tuple[Measure, ...]:
    """The measures of these names, in the order of `MEASURES`.

    Raises:
        SelectionError: If there is none of that name, or the model cannot have it.
        UnsupportedArchitectureError: If it is an encoder-decoder that is read whole.
    """
    wanted = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in wanted if name not in MEASURES]
    if unknown or not wanted:
        came = f"There is no statistic {str(unknown[0])[:60]!r}" if unknown else "There is no statistic to compute"
        raise SelectionError(f"{came}; choose {', '.join(MEASURES)}.")
    checkpoint.check_one_stack("Statistics over many texts")
    for name in wanted:
        if (reason := MEASURES[name].lack(checkpoint)) is not None:
            raise SelectionError(f"{checkpoint.name} cannot have {name}, because {reason}; leave {name} out.")
    return tuple(measure for name, measure in MEASURES.items() if name in wanted)
