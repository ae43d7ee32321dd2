"""The frozen records that every part of attnflow exchanges, with the axes of their arrays.

Axes, one letter each, everywhere: `L` layers, `H` heads, `T` tokens, `D` model width, `K` head width, `C` classes.
Layers and heads count from 0; people are shown `L1`, `H1`. Arrays are NumPy, on the CPU, and must not be written to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import SelectionError
from attnflow.lazy import lazy
from attnflow.records.estimates import mean_relative_error, share_bounds
from attnflow.records.root import Pooling, Root, tokens_of
from attnflow.records.stacks import Stacks
from attnflow.records.token_scores import TokenScores

SPECIAL = -1
"""Value of `Tokens.sentence` for a token that stands for no text: `[CLS]`, `[SEP]`, `<s>`."""

AGAIN = 2
"""What is added to `Tokens.sentence` where the decoder of a classifier reads a text that its encoder has read."""

Head = tuple[int, int]
"""A head as `(layer, head)`, both from 0."""
Weights = Literal["attention", "norm", "previous_layer"]
"""What an edge of the attention graph is taken from: attention, the norm of what a head writes for it, or what the
head's output owes to it as it enters the layer (Hidden Token Attribution)."""
WEIGHTS: tuple[Weights, ...] = ("attention", "norm", "previous_layer")


@dataclass(frozen=True)
class Tokens:
    """The units along a `T` axis: the pieces of one tokenizer or, after merging, words."""

    text: tuple[str, ...]
    """What a reader sees."""
    piece: tuple[str, ...]
    """The entries of the vocabulary; for a word, its pieces joined by a space."""
    sentence: NDArray[np.int8]
    """`[T]`: 0 or 1 for the first or second sentence, `SPECIAL` for special tokens; `AGAIN` more where a decoder reads
    them again."""
    word: NDArray[np.int32]
    """`[T]`: the word a token belongs to, counted over the whole pair; each special token is a word of its own."""
    span: NDArray[np.int32]
    """`[T, 2]`: the characters of its sentence, `(0, 0)` for special tokens."""
    unit: Literal["piece", "word"] = "piece"
    n_source: int | None = None
    """How many of them, the first, an encoder reads, whose decoder reads the others; None where one model reads all."""

    def __post_init__(self) -> None:
        size = len(self.text)
        shapes = (len(self.piece), *self.sentence.shape, *self.word.shape, *self.span.shape)
        if shapes != (size, size, size, size, 2):
            raise ValueError(f"axes of Tokens do not agree: {size} texts, but {shapes}")

    def __len__(self) -> int:
        return len(self.text)

    @property
    def in_target(self) -> NDArray[np.bool_]:
        """`[T]`: the tokens that a decoder reads beside its encoder."""
        size = len(self)
        return np.arange(size) >= (size if self.n_source is None else self.n_source)


@dataclass(frozen=True)
class Encoding:
    """A sentence pair as one tokenizer sees it."""

    text_a: str
    text_b: str | None
    tokens: Tokens
    inputs: dict[str, NDArray[np.int64]]
    """What the model is called with, each `[T]`: `input_ids`, `attention_mask`, perhaps `token_type_ids`."""
    separator: str | None = None
    """What was put between the sentences where the tokenizer has no format for pairs; None where it has one, and
    empty where it has nothing to separate them with."""
    cut: int = 0
    """How many tokens were left out at the end of the sentences because there was no room for them."""
    one_kind: bool = False
    """Whether the tokenizer numbers the sentences beyond what the model has embeddings for, so that all tokens are
    given as of the first kind."""
    chat: bool = False
    """Whether it is a conversation in the tokenizer's chat template; what that wrote are special tokens."""
    position: int | None = None
    """The token whose prediction is meant, for a checkpoint that predicts something of each; None for the usual one."""

    def at(self, position: int | None) -> Encoding:
        """The same text, of which the prediction at one token is meant; at the usual one if None.

        Raises:
            SelectionError: If there is no such token.

        Example:
            >>> from attnflow import encode, load_checkpoint
            >>> encode(load_checkpoint("demo/finetuned"), "Anna met Paul.").at(3).position
            3
        """
        size = len(self.tokens)
        if position is not None and not (is_whole(position) and 0 <= position < size):
            raise SelectionError(f"position is {position!r}; this text has {size} tokens, so give 0 to {size - 1}.")
        return replace(self, position=None if position is None else int(position))


@dataclass(frozen=True)
class Trace:
    """Everything recorded while one checkpoint read one encoding."""

    tokens: Tokens
    attention: NDArray[np.float32]
    """`[L, H, T, T]` as `[layer, head, query, key]`; rows sum to 1."""
    hidden: NDArray[np.float32]
    """`[L + 1, T, D]`: what enters each layer, and last what leaves the model."""
    head_output: NDArray[np.float32]
    """`[L, T, H, K]`: the heads' outputs before the output projection; zero for pruned heads."""
    root: Root
    """The position whose last embedding the task reads; where it reads several, as a mean does, all of them."""
    scores: NDArray[np.float32] | None = None
    """`[C]` logits, or None without a trained classification head."""
    probabilities: NDArray[np.float64] | None = None
    """`[C]`, or None where the scores are no classification (a single regression score) or missing."""
    labels: tuple[str, ...] = ()
    """Names of the classes."""
    pruned: frozenset[Head] = frozenset()
    pooling: Pooling = "mean"
    """How several tokens of the root are put together."""
    value_norms: NDArray[np.float32] | None = None
    """`[L, H, T]`: norm of each token's value, its bias included, times the head's part of the output projection; of
    pruned heads too. None where the architecture does not tell it, and on words."""
    no_value_norms: str = ""
    """Why there are none, as a clause."""
    token_scores: TokenScores | None = None
    """What a trained head says of each token: classes, or the ends of an answer. None of other heads, and on words."""
    weights: Weights = "attention"
    """What edges of the attention graph are taken from."""
    stacks: Stacks | None = None
    """Of an encoder-decoder, how its two stacks are one model."""
    contributions: NDArray[np.float32] | None = None
    """`[L, H, T, T]` as `[layer, head, query, source]`: those weights, where they are not attention itself; rows sum to
    1, or to 0 where a head gives nothing. `with_weights` puts them here."""

    def __post_init__(self) -> None:
        layers, heads, size, keys = self.attention.shape
        if not size == keys == len(self.tokens) == self.hidden.shape[1] == self.head_output.shape[1]:
            raise ValueError(f"token axes of Trace do not agree: {len(self.tokens)} tokens, {self.attention.shape}")
        if self.hidden.shape[0] != layers + 1 or self.head_output.shape[::2] != (layers, heads):
            raise ValueError(f"layer or head axes of Trace do not agree: {self.hidden.shape}, {self.head_output.shape}")
        if not all(0 <= token < size for token in tokens_of(self.root)) or self.root == ():
            raise ValueError(f"the root of a Trace of {size} tokens is {self.root}")
        if self.token_scores is not None and len(self.token_scores.scores) != size:
            raise ValueError(f"token axes of Trace do not agree: {size} tokens, {self.token_scores.scores.shape}")
        if (self.scores is None) != (not self.labels):
            raise ValueError("scores and labels of a Trace come together")
        if (self.weights == "attention") != (self.contributions is None):
            raise ValueError("contributions of a Trace and the name of their kind come together")
        if self.stacks is not None and self.tokens.n_source is None:
            raise ValueError("a Trace of two stacks has tokens of which it is told how many are the source")
        if self.edges.shape != self.attention.shape:
            raise ValueError(f"axes of contributions and attention do not agree: {self.edges.shape}")

    @property
    def edges(self) -> NDArray[np.float32]:
        """`[L, H, T, T]` as `[layer, head, query, key]`: what edges of the attention graph are taken from."""
        return self.paid if self.contributions is None else self.contributions

    @lazy
    def paid(self) -> NDArray[np.float32]:
        """`[L, H, T, T]`: attention alone; 0 where a token takes no part in a layer, or a layer has no such head."""
        if self.stacks is None:
            return self.attention
        rows = present_heads(self)[:, :, None] & ~carried_tokens(self)[:, None]
        return self.attention * rows[..., None]

    @property
    def n_layers(self) -> int:
        """`L`"""
        return self.attention.shape[0]

    @property
    def n_heads(self) -> int:
        """`H`"""
        return self.attention.shape[1]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        more = (self.value_norms, self.contributions)
        known = self.attention.nbytes + self.hidden.nbytes + self.head_output.nbytes
        known += 0 if self.stacks is None else self.attention.nbytes  # `paid` is kept beside
        scored = () if self.token_scores is None else (self.token_scores.scores, self.token_scores.probabilities)
        return known + sum(array.nbytes for array in (*more, *scored) if array is not None)


@dataclass(frozen=True)
class Attribution:
    """What every head's output at every token owes to every source token: Hidden Token Attribution."""

    tokens: Tokens
    values: NDArray[np.float32]
    """`[L, H, T, T]` as `[layer, head, query, source]`; rows sum to 1, or to 0 where the output depends on nothing."""
    wrt: Literal["input", "previous_layer"]
    """What the sources are: the model's input after the embeddings, or the input of the head's own layer."""
    probes: int | None = None
    """Random directions per source token that the values are estimated from; None if they are exact."""
    standard_error: NDArray[np.float32] | None = None
    """`[L, H, T, T]` of an estimate, measured on its own probes, without bias; None if the values are exact."""
    pruned: frozenset[Head] = frozenset()
    root: Root | None = None
    """The position whose last embedding the task reads, or several; None if unknown."""
    stacks: Stacks | None = None
    """Of an encoder-decoder, how its two stacks are one model."""

    def __post_init__(self) -> None:
        if self.values.shape[2:] != (len(self.tokens),) * 2:
            raise ValueError(f"token axes of Attribution do not agree: {len(self.tokens)}, {self.values.shape}")
        if (self.probes is None) != (self.standard_error is None):
            raise ValueError("probes and standard error of an Attribution come together")

    @property
    def edges(self) -> NDArray[np.float32]:
        """`[L, H, T, T]`: the values, as what edges of a graph are taken from."""
        return self.values

    @property
    def n_layers(self) -> int:
        """`L`"""
        return self.values.shape[0]

    @property
    def n_heads(self) -> int:
        """`H`"""
        return self.values.shape[1]

    @property
    def relative_error(self) -> float:
        """Expected mean of `|estimate - exact| / exact` over all values; 0 if exact."""
        return 0.0 if self.standard_error is None else mean_relative_error(self.values, self.standard_error)

    def bounds(self, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds `[L, H, T, T]`, lower and upper, that hold an exact value with a probability.

        Raises:
            SelectionError: If the level is no probability.
        """
        if not 0 < level < 1:
            raise SelectionError(f"level is {level!r}; give a probability between 0 and 1, such as 0.95.")
        if self.standard_error is None or self.probes is None:
            return self.values.astype(np.float64), self.values.astype(np.float64)
        return share_bounds(self.values, self.standard_error, self.probes, level)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays in bytes."""
        return self.values.nbytes + (0 if self.standard_error is None else self.standard_error.nbytes)


def carried_tokens(run: Trace | Attribution) -> NDArray[np.bool_]:
    """`[L, T]`: the tokens that take no part in a layer; in models of one stack there are none."""
    if run.stacks is None or run.tokens.n_source is None:
        return np.zeros((run.n_layers, len(run.tokens)), bool)
    return run.stacks.carried(run.tokens.n_source, len(run.tokens))


def present_heads(run: Trace | Attribution) -> NDArray[np.bool_]:
    """`[L, H]`: the heads that there are; in models of one stack all of them."""
    return np.ones((run.n_layers, run.n_heads), bool) if run.stacks is None else run.stacks.present()


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number; a truth value is none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_heads(heads: Iterable[Head], n_layers: int, n_heads: int) -> frozenset[Head]:
    """Return heads as a set after checking that all of them exist.

    Raises:
        SelectionError: If one is no pair of whole numbers, or out of range.
    """
    checked: set[Head] = set()
    pairs: list[tuple[object, ...]]
    try:
        pairs = [tuple(head) for head in heads]
    except TypeError:
        pairs = [(heads,)]
    for pair in pairs:
        layer, head = pair if len(pair) == 2 else (None, None)
        if not (is_whole(layer) and is_whole(head) and 0 <= layer < n_layers and 0 <= head < n_heads):
            raise SelectionError(
                f"{list(pair)!r} is not a head of this checkpoint; give [layer, head] with a layer from 0 to "
                f"{n_layers - 1} and a head from 0 to {n_heads - 1}."
            )
        checked.add((int(layer), int(head)))
    return frozenset(checked)
