"""What one model made of every text of a collection: one row a text, in the order of the texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnflow.lazy import lazy
from attnflow.records.stacks import Stacks
from attnflow.records.trace import Head

Problem = Literal["single_label", "multi_label", "regression"]
"""What the scores of a head are: of classes of which one is right, of which several may be, or numbers."""
Gold = str | float | None
"""The label of a text as its source tells it."""
Row = TypeVar("Row")


@dataclass(frozen=True)
class SurveySettings:
    """All that the numbers of a survey depend on; two surveys with the same settings are the same."""

    model: str
    commit: str
    """Of the Hub, or a hash of the files."""
    precision: str
    texts: str
    """Fingerprint of the collection."""
    n: int
    """Texts of the collection."""
    columns: tuple[str | None, ...]
    """Names of the columns that were read as first text, second text, label and name of a text; empty if unknown."""
    pruned: tuple[Head, ...]
    """Heads that were switched off."""
    tau: tuple[float, ...] | None
    """Threshold of each layer; None where each text has its own (`ring_tau`)."""
    too_long: Literal["cut", "leave_out"]
    """What became of a text with more tokens than fit."""
    max_tokens: int | None
    """How many fit; None for any number."""
    n_layers: int
    n_heads: int
    width: int
    labels: tuple[str, ...]
    """Names of the classes; empty where the model does not score whole texts."""
    problem: Problem
    kinds: tuple[str, ...]
    """The kinds of token whose shares of attention make up the behaviour, of `stats.attention_kinds.KINDS`."""
    heads: bool = False
    """Whether the attention of every head was averaged, too."""
    importance: Literal["taylor", "gate"] | None = None
    """The method by which the importance of every head was measured; None if it was not."""
    importance_labels: tuple[tuple[str, str], ...] = ()
    """The class that each label stood for in it."""
    stacks: tuple[int, int, int] | None = None
    """Of an encoder-decoder that was read whole: layers of its encoder, of its decoder, and heads of each attention."""
    part_size: int = 256
    """Texts that were run together; what is padded, and so the last digits, depend on it."""
    version: int = 1
    """Of the meaning of the numbers."""


@dataclass(frozen=True, eq=False)
class SurveyedWords:
    """How many heads attend to each word of each text on the way to the decision, all texts in one row of `M` words.

    The words of text `i` are those from `offsets[i]` to `offsets[i + 1]`; special tokens are not among them.
    What the decoder of a classifier reads again is the same word: heads that attend to either are counted.
    """

    offsets: NDArray[np.int64]
    """`[N + 1]`"""
    sentence: NDArray[np.int8]
    """`[M]`: 0 or 1, for the first or second text of a pair."""
    start: NDArray[np.int32]
    """`[M]`: the character of its sentence at which a word begins."""
    attended: NDArray[np.int32]
    """`[L, M]`: `c[l, w]` of Attention Flows, eq. 3, in the attention graph over words. Above 0 where ring `l` holds
    the word, unless it only passed through a layer of the other stack of an encoder-decoder."""

    def of(self, text: int) -> slice:
        """Where the words of a text are."""
        return slice(int(self.offsets[text]), int(self.offsets[text + 1]))


@dataclass(frozen=True, eq=False)
class Survey:
    """What one model made of `N` texts.

    A text that could not be used keeps its row: its numbers are NaN, its decision is -1, it has no words, and `reasons`
    says why.
    """

    settings: SurveySettings
    guids: tuple[str, ...]
    """`[N]`: names of the texts."""
    gold_labels: tuple[Gold, ...]
    """`[N]`: labels as the source tells them."""
    scores: NDArray[np.float32] | None
    """`[N, C]` logits, or None for a model without a trained head that scores whole texts."""
    length: NDArray[np.int32]
    """`[N]`: tokens that the model read; 0 for what was not read."""
    cut: NDArray[np.int32]
    """`[N]`: tokens that were left out at the end, as there was no room for them."""
    hidden: NDArray[np.float16]
    """`[L + 1, N, D]`: the root as it enters each layer and, last, as it leaves the model; of a root of several tokens
    the mean. Of an encoder-decoder that is read whole it is a token of the decoder, which passes the layers of the
    encoder as it is: up to the first of the decoder, its embedding stands. Numbers beyond what half precision holds are
    its largest, 65504."""
    behaviour: NDArray[np.float32]
    """`[N, F]`: the shares of attention of every head, `F` = layer x head x kind, the last fastest; the mean over the
    tokens that attend through it (`attention_shares`)."""
    words: SurveyedWords
    label_map: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The class of the model that each label of the source stands for; those that are not here stand for none."""
    reasons: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    """By row: why a text could not be used, in a sentence."""
    head_state: Mapping[str, NDArray[np.generic]] = field(default_factory=lambda: MappingProxyType({}))
    """States of `MeanAttention` and `HeadImportance`, each name after the statistic's and a dot; empty if not asked."""

    def __post_init__(self) -> None:
        size = len(self.guids)
        shapes = {len(self.gold_labels), len(self.length), len(self.cut), len(self.behaviour), self.hidden.shape[1]}
        shapes |= {len(self.words.offsets) - 1, size if self.scores is None else len(self.scores)}
        if shapes != {size} or self.hidden.shape[0] != self.settings.n_layers + 1:
            raise ValueError(f"axes of a Survey of {size} texts do not agree: {sorted(shapes)}, {self.hidden.shape}")

    def __len__(self) -> int:
        return len(self.guids)

    @property
    def labels(self) -> tuple[str, ...]:
        """`[C]`: names of the model's classes."""
        return self.settings.labels

    @property
    def stacks(self) -> Stacks | None:
        """Of an encoder-decoder that was read whole, how its two stacks are one model."""
        return None if self.settings.stacks is None else Stacks(*self.settings.stacks)

    @property
    def has_classes(self) -> bool:
        """Whether the model decides between classes."""
        return self.scores is not None and self.settings.problem != "regression"

    @lazy
    def usable(self) -> NDArray[np.bool_]:
        """`[N]`: whether a text was read."""
        return self.length > 0

    @lazy
    def probabilities(self) -> NDArray[np.float64] | None:
        """`[N, C]`: of each class; they sum to 1, unless several classes may be right. None without classes."""
        if self.scores is None or not self.has_classes:
            return None
        scores = self.scores.astype(np.float64)
        if self.settings.problem == "multi_label":
            return np.exp(-_log_of_no(scores))
        return np.exp(_log_softmax(scores))

    @lazy
    def decision(self) -> NDArray[np.int64] | None:
        """`[N]`: the likeliest class, -1 where there is none; None without classes."""
        if self.scores is None or not self.has_classes:
            return None
        return np.where(self.usable, np.where(np.isnan(self.scores), -np.inf, self.scores).argmax(1), -1)

    @property
    def decision_names(self) -> tuple[str | None, ...]:
        """`[N]`: the name of the likeliest class, None where there is none."""
        if self.decision is None:
            return (None,) * len(self)
        indices: list[int] = self.decision.tolist()
        return tuple(self.labels[index] if index >= 0 else None for index in indices)

    @lazy
    def confidence(self) -> NDArray[np.float64]:
        """`[N]`: the probability of the decision; NaN where there is none."""
        if self.probabilities is None or self.decision is None:
            return np.full(len(self), np.nan)
        return np.where(self.usable, self.probabilities[np.arange(len(self)), self.decision], np.nan)

    @lazy
    def gold(self) -> NDArray[np.int64]:
        """`[N]`: the class of the model that the label of a text names, -1 where it names none or there is none."""
        known = {label: class_of(label, self.labels, self.label_map) for label in set(self.gold_labels)}
        found = [known[label] if self.has_classes else None for label in self.gold_labels]
        return np.array([-1 if index is None else index for index in found], np.int64)

    @property
    def known(self) -> NDArray[np.bool_]:
        """`[N]`: whether the gold class of a text is known and the model has decided."""
        return self.usable & (self.gold >= 0)

    @property
    def right(self) -> NDArray[np.bool_]:
        """`[N]`: whether the decision is known to be the gold class."""
        return self.known & (self.decision == self.gold if self.decision is not None else False)

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """`[N]`: whether the decision is known not to be the gold class."""
        return self.known & ~self.right

    @lazy
    def loss(self) -> NDArray[np.float64]:
        """`[N]`: `-log p` of the gold class in nats, or a number's squared error; NaN where the label is unknown."""
        found = np.full(len(self), np.nan)
        if self.scores is None:
            return found
        scores = self.scores.astype(np.float64)
        if self.settings.problem == "regression":
            return (scores[:, 0] - _numbers(self.gold_labels)) ** 2 if scores.shape[1] == 1 else found
        of_classes = _log_of_no(scores) if self.settings.problem == "multi_label" else -_log_softmax(scores)
        return np.where(self.known, of_classes[np.arange(len(self)), self.gold], np.nan)

    @lazy
    def entropy(self) -> NDArray[np.float64]:
        """`[N]`: of the decision, `-sum p ln p` over the classes, in nats; NaN without classes.

        Where several classes may be right, it is the sum of the entropies of all yes-or-no decisions.
        """
        if self.probabilities is None:
            return np.full(len(self), np.nan)
        p = self.probabilities
        shares = np.stack([p, 1 - p]) if self.settings.problem == "multi_label" else p[None]
        logarithm = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        return -(shares * logarithm).sum((0, 2)) + 0.0

    @property
    def unmatched(self) -> Mapping[str, int]:
        """Labels of the source that name no class of the model, and how many texts have them."""
        if not self.has_classes:
            return {}
        rows = zip(self.gold_labels, self.gold.tolist(), strict=True)
        return dict(Counter(str(label) for label, index in rows if label is not None and index < 0))

    @property
    def shares(self) -> NDArray[np.float32]:
        """`[N, L, H, kind]`: the behaviour with its axes."""
        of = self.settings
        return self.behaviour.reshape(len(self), of.n_layers, of.n_heads, len(of.kinds))

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        words = self.words.offsets, self.words.sentence, self.words.start, self.words.attended
        scores = () if self.scores is None else (self.scores,)
        arrays = (self.length, self.cut, self.hidden, self.behaviour, *scores, *words, *self.head_state.values())
        return sum(array.nbytes for array in arrays)

    def influence(self, text: int, layer: int = 0, alpha: float = 0.5) -> NDArray[np.float64]:
        """`[W]`: classification influence of each word of a text from a layer on, in units of heads.

        Args:
            text: Its row.
            layer: The first layer that counts; 0 takes all in, the last ones most.
            alpha: Decay for each layer further from the root.

        Reference:
            Attention Flows, eq. 4, over words.
        """
        depth = self.settings.n_layers
        decay = alpha ** np.arange(depth - 1 - layer, -1, -1.0)
        return decay @ self.words.attended[layer:, self.words.of(text)] / (depth - layer)


def class_of(label: Gold, classes: Sequence[str], label_map: Mapping[str, str]) -> int | None:
    """The number of the class that a label stands for; None if it stands for none. Numbers are names, too."""
    name = None if label is None else label_map.get(str(label))
    return classes.index(name) if name in classes else None


def _numbers(labels: Sequence[Gold]) -> NDArray[np.float64]:
    """`[N]`: labels that are numbers, NaN for others."""
    return np.array([label if isinstance(label, int | float) else np.nan for label in labels], np.float64)


def _log_of_no(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """`-log p` of each class by itself; missing scores stay missing."""
    with np.errstate(invalid="ignore"):
        return np.logaddexp(0, -scores)


def _log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = scores - scores.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
