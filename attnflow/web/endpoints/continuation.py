"""The endpoint that lets a language model write on."""

from __future__ import annotations

from typing import TypedDict

from attnflow.service.analyses.continuation import CONTINUATION
from attnflow.service.workspace import workspace
from attnflow.views.rounding import rounded
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import checked_heads, endpoint


class WrittenToken(TypedDict):
    """A token that was written."""

    piece: str
    probability: float


class ContinuationAnswer(TypedDict):
    """Answer of `continuation`."""

    model: ModelAnswer
    sentence_a: str
    sentence_b: str
    written: str
    tokens: list[WrittenToken]
    ended: bool
    pruned: list[list[int]]
    note: str


@endpoint(*CONTINUATION.parameters)
def continuation(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    *,
    most: int,
    pruned: list[list[int]] | None = None,
) -> ContinuationAnswer:
    """Return what a language model writes after a text, each time the likeliest token, until it ends.

    An encoder-decoder goes on with its target, which is `sentence_b`; a decoder with the last sentence. Both sentences
    of the answer hold what was written, so that they can be sent to any other endpoint.
    """
    case = workspace.case(model, sentence_a, sentence_b, checked_heads("pruned", pruned))
    found = case.ask(CONTINUATION, most=most)
    return {
        "model": answers.model_answer(case.card),
        "sentence_a": found.text_a,
        "sentence_b": found.text_b or "",
        "written": found.written,
        "tokens": [
            {"piece": piece, "probability": rounded(chance)}
            for piece, chance in zip(found.piece, found.probability.tolist(), strict=True)
        ],
        "ended": found.ended,
        "pruned": answers.pruned_answer(case),
        "note": answers.case_note(case),
    }
