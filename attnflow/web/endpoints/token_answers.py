"""What is predicted at single tokens, as plain JSON: classes, ends of an answer, expected tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from attnflow.records.token_scores import ENDS, AnswerEnds, TokenClasses
from attnflow.service.analyses.expected import EXPECTED, expects
from attnflow.service.case import Case
from attnflow.views.predicted import span_text
from attnflow.views.rounding import rounded
from attnflow.web.endpoints.answers import ClassAnswer


class TokenPredictionAnswer(TypedDict):
    """What is predicted at one token: of a language model the likeliest words, and the one that really follows."""

    token: int
    """Where it is read."""
    text: str
    """That of the token or, of an encoder-decoder that answers questions, of the one that the decoder would write."""
    predictions: list[ClassAnswer]
    following: float | None
    """Probability of the token that really follows; null where none does."""
    rank: int | None
    """Its rank, 1 for the likeliest."""


class SpanAnswer(TypedDict):
    """An answer to a question, whose scores are read from the token `start` to the token `end`, both included."""

    start: int
    end: int
    text: str
    score: float
    probability: float


def by_token(case: Case) -> list[TokenPredictionAnswer] | None:
    """What is predicted at each token, or at the one that is meant; None of a checkpoint without such predictions."""
    scored, wanted = case.trace.token_scores, case.encoding.position
    if expects(case):
        return [one for one in _expected(case) if wanted in (None, one["token"])]
    if scored is None:
        return None
    labels, n_before = (scored.labels, 0) if isinstance(scored, TokenClasses) else (ENDS, scored.n_before)
    return [
        {
            "token": token,
            "text": case.trace.tokens.text[token - n_before],
            "predictions": _predictions(labels, scored.scores[token], scored.probabilities[token]),
            "following": None,
            "rank": None,
        }
        for token in (range(n_before, case.n_tokens) if wanted is None else [wanted])
    ]


def spans(case: Case) -> list[SpanAnswer] | None:
    """The best answers, if it is a checkpoint that answers questions."""
    scored = case.trace.token_scores
    if not isinstance(scored, AnswerEnds):
        return None
    return [
        {
            "start": one.start,
            "end": one.end,
            "text": span_text(case.encoding, scored, one),
            "score": rounded(one.score),
            "probability": rounded(one.probability),
        }
        for one in scored.spans
    ]


def no_answer(case: Case) -> float | None:
    """The probability of both ends at the first token."""
    scored = case.trace.token_scores
    return rounded(scored.no_answer) if isinstance(scored, AnswerEnds) else None


def _expected(case: Case) -> list[TokenPredictionAnswer]:
    found, told = case.ask(EXPECTED), list[TokenPredictionAnswer]()
    for row, token in enumerate(found.position.tolist()):
        rank = None if found.rank is None else int(found.rank[row]) or None
        following = None if rank is None or found.following is None else rounded(found.following[row])
        told.append(
            {
                "token": token,
                "text": case.trace.tokens.text[token],
                "predictions": _predictions(found.text[row], found.scores[row], found.probabilities[row]),
                "following": following,
                "rank": rank,
            }
        )
    return told


def _predictions(labels: Sequence[str], scores: NDArray[np.float32], chances: NDArray[np.float64]) -> list[ClassAnswer]:
    return [
        {"label": label, "score": rounded(score), "probability": rounded(chance)}
        for label, score, chance in zip(labels, scores, chances, strict=True)
    ]
