"""What a head that scores each token says of a text: classes of tokens, the ends of an answer, or expected tokens.

Axes are named as in `records.trace`, and `P` is positions of which something is expected, `K` the likeliest of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LONGEST_ANSWER = 30
"""Pieces that an answer has at most: as in BERT's own program for SQuAD."""
ENDS = ("start", "end")
"""The two scores that a head for question answering gives each token."""
_SPANS = 5


@dataclass(frozen=True)
class TokenClasses:
    """Classes of a head for token classification."""

    labels: tuple[str, ...]
    """`[C]`"""
    scores: NDArray[np.float32]
    """`[T, C]` logits."""
    probabilities: NDArray[np.float64]
    """`[T, C]`: the softmax over the classes of each token; rows sum to 1."""

    def __post_init__(self) -> None:
        if self.scores.shape != self.probabilities.shape or self.scores.shape[1:] != (len(self.labels),):
            raise ValueError(f"axes of TokenClasses do not agree: {len(self.labels)} labels, {self.scores.shape}")

    @property
    def predicted(self) -> NDArray[np.intp]:
        """`[T]`: the likeliest class of each token."""
        return self.scores.argmax(axis=1)


@dataclass(frozen=True)
class Span:
    """An answer: the tokens from one position to another, both included."""

    start: int
    end: int
    score: float
    """The sum of both logits."""
    probability: float
    """The product of the probabilities of its two ends, as if these were independent."""


@dataclass(frozen=True)
class AnswerEnds:
    """Where the answer to a question begins and ends, by a head for question answering.

    The scores of a token are read at that token or, in an encoder-decoder, where its decoder would write it, `n_before`
    later; so are those of spans.
    """

    scores: NDArray[np.float32]
    """`[T, 2]` logits of each token as the start and as the end (`ENDS`); minus infinity where nothing is scored."""
    probabilities: NDArray[np.float64]
    """`[T, 2]`: the softmax over all tokens of the text, as in training; columns sum to 1."""
    spans: tuple[Span, ...]
    """The likeliest answers, the best first: in the context, no longer than `LONGEST_ANSWER`; none without one."""
    n_before: int = 0
    """How many tokens stand before the first whose scores are read: in an encoder-decoder those of the encoder."""

    def __post_init__(self) -> None:
        if self.scores.shape != self.probabilities.shape or self.scores.shape[1:] != (len(ENDS),):
            raise ValueError(f"axes of AnswerEnds do not agree: {self.scores.shape}, {self.probabilities.shape}")

    def span(self, start: int, end: int) -> Span:
        """An answer from one token to another, by these scores."""
        score = float(self.scores[start, 0]) + float(self.scores[end, 1])
        return Span(start, end, score, float(self.probabilities[start, 0] * self.probabilities[end, 1]))

    def tokens(self, span: Span) -> slice:
        """The tokens that an answer holds."""
        return slice(span.start - self.n_before, span.end + 1 - self.n_before)

    @property
    def no_answer(self) -> float:
        """The probability of both ends at the first token, which means that there is no answer, if that was trained."""
        return float(self.probabilities[self.n_before].prod())


@dataclass(frozen=True)
class ExpectedTokens:
    """The likeliest tokens by a language model: after each token, or in place of each mask."""

    position: NDArray[np.intp]
    """`[P]`: the tokens whose last embedding is read: all of them for a causal model, the masks for a masked one."""
    entry: NDArray[np.int64]
    """`[P, K]`: entries of the vocabulary, the likeliest first."""
    text: tuple[tuple[str, ...], ...]
    """`[P, K]`: what a reader sees of them."""
    scores: NDArray[np.float32]
    """`[P, K]` logits."""
    probabilities: NDArray[np.float64]
    """`[P, K]`: the softmax over the whole vocabulary."""
    following: NDArray[np.float64] | None = None
    """`[P]`: the probability of the token that really follows, NaN at the last one; None for masks."""
    rank: NDArray[np.int64] | None = None
    """`[P]`: how many entries are at least as likely as that one, itself included: 1 for the likeliest; 0 at the last
    token; None for masks."""

    def __post_init__(self) -> None:
        shapes = {self.entry.shape, self.scores.shape, self.probabilities.shape}
        if len(shapes) != 1 or self.entry.shape[0] != len(self.position) or len(self.text) != len(self.position):
            raise ValueError(f"axes of ExpectedTokens do not agree: {len(self.position)} positions, {shapes}")

    def row(self, position: int) -> int | None:
        """The row of a token; None if nothing is expected there."""
        found = np.flatnonzero(self.position == position)
        return int(found[0]) if len(found) else None


TokenScores = TokenClasses | AnswerEnds
"""What is recorded with a trace: the scores of all tokens."""


def softmax(scores: NDArray[np.floating], axis: int) -> NDArray[np.float64]:
    """Probabilities of logits along an axis, in double precision."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


def answer_ends(
    scores: NDArray[np.float32], context: NDArray[np.bool_], longest: int = LONGEST_ANSWER, n_before: int = 0
) -> AnswerEnds:
    """The answers that start and end scores give.

    Args:
        scores: `[T, 2]` logits.
        context: `[T]`, or as many as there are tokens to answer with: those that an answer may hold, one after another.
        longest: Tokens of an answer at most.
        n_before: How many tokens stand before the first whose scores are read (`AnswerEnds`).

    Returns:
        With the best spans `start <= end < start + longest` in the context, by the product of the two probabilities; of
        equal ones the earlier, then the shorter first.

    Reference:
        Devlin et al. 2019, section 4.2: a span's score is the sum of its ends' logits, and the best has `start <= end`.
    """
    inside = np.flatnonzero(context) + n_before
    first = np.repeat(np.arange(len(inside)), longest)  # as many pairs as answers can be, however long the context is
    last = first + np.tile(np.arange(longest), len(inside))
    near = last < len(inside)
    start, end = inside[first[near]], inside[last[near]]
    both = scores[start, 0].astype(np.float64) + scores[end, 1]
    best = np.argsort(-both, kind="stable")[:_SPANS]
    found = AnswerEnds(scores, softmax(scores, axis=0), (), n_before)
    return replace(found, spans=tuple(found.span(int(start[at]), int(end[at])) for at in best.tolist()))
