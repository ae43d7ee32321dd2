"""What a model predicts of a text, whatever its task: what is decided, of which token, and what else is likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.checkpoints.task_head import TaskHead
from attnflow.records.root import tokens_of
from attnflow.records.shares import percent
from attnflow.records.token_scores import ENDS, AnswerEnds, ExpectedTokens, Span, TokenClasses
from attnflow.records.trace import AGAIN, SPECIAL, Encoding, Tokens, Trace
from attnflow.records.words import Unit, quoted, told_apart, unseen
from attnflow.views.class_scores import class_scores
from attnflow.views.payloads import ClassScore, TokenPrediction
from attnflow.views.rounding import rounded, rounded_share

_SURE = 0.5
"""Probability above which one of several labels is given."""


@dataclass(frozen=True)
class Decision:
    """What a model decides, for sentences such as *A labels “Paul” as “name” (99 %)*."""

    verb: str
    """What models do with it: `decide`, `label “Paul” as`."""
    names: tuple[str, ...]
    """What it decides for; several labels may be given at once, or none."""
    sure: str
    """How surely."""

    @property
    def what(self) -> str:
        """Its names as a sentence has them."""
        return " and ".join(map(quoted, self.names)) or "no label"

    @property
    def title(self) -> str:
        """Its names as a heading has them."""
        return ", ".join(unseen(name) or name for name in self.names) or "no label"

    def told(self, subject: str) -> str:
        """What one model does."""
        first, _, rest = self.verb.partition(" ")
        return f"{subject} {' '.join(filter(None, (f'{first}s', rest)))} {self.what} ({self.sure})"


@dataclass(frozen=True)
class Predicted:
    """What one model predicts of a text."""

    decided: Decision | None = None
    """None where it predicts nothing."""
    classes: tuple[ClassScore, ...] = ()
    """What it decides between, of the text or at the token that is meant; of words and answers the likeliest."""
    about: str = ""
    """What these are scores of, where that is not the text as a whole, and what must be known of them."""
    tokens: tuple[TokenPrediction, ...] = ()
    """What it predicts at other tokens."""


def predicted(
    head: TaskHead, trace: Trace, encoding: Encoding, expected: ExpectedTokens | None = None, unit: Unit = "piece"
) -> Predicted:
    """Say what a model predicts of a text.

    Args:
        head: What it was trained for.
        trace: What it did; its root is the token that is meant.
        encoding: The text.
        expected: What a language model expects.
        unit: Whether tokens are shown by themselves, or one for each word, as that word: the first or, of a model of
            the next token, the last.
    """
    if trace.scores is not None:
        return _of_text(head, class_scores(trace) or [])
    shown = _Shown.of(trace, encoding, unit)
    if isinstance(trace.token_scores, TokenClasses):
        return _of_token(trace.token_scores, shown)
    if isinstance(trace.token_scores, AnswerEnds):
        return _of_answer(trace.token_scores, shown, encoding)
    return Predicted() if expected is None else _of_expected(expected, shown)


def decision_of(head_problem: str, classes: Sequence[ClassScore]) -> Decision | None:
    """What classes of a whole text come to; None without any."""
    if not classes:
        return None
    best = max(classes, key=lambda one: one["score"])
    chance = best["probability"]
    if chance is None:
        return Decision("decide", (best["label"],), f"score {best['score']:.3g}")
    if head_problem != "multi_label":
        return Decision("decide", (best["label"],), percent(chance))
    given = sorted((one for one in classes if (one["probability"] or 0) > _SURE), key=lambda one: -one["score"])
    if not given:
        return Decision("give", (), f"{quoted(best['label'])} has {percent(chance)}")
    return Decision(
        "give", tuple(one["label"] for one in given), " and ".join(percent(one["probability"] or 0) for one in given)
    )


def rescored(found: Predicted, spans: Sequence[Span], scored: AnswerEnds) -> tuple[ClassScore, ...]:
    """The same answers by other scores, such as those without some heads."""
    now = (scored.span(one.start, one.end) for one in spans)
    return tuple(_score(was["label"], one.score, one.probability) for was, one in zip(found.classes, now, strict=True))


def _of_text(head: TaskHead, classes: list[ClassScore]) -> Predicted:
    about = "Each label is given or not by itself: above 50 % it is. They need not add up to 100 %."
    return Predicted(decision_of(head.problem, classes), tuple(classes), about * (head.problem == "multi_label"))


@dataclass(frozen=True)
class _Shown:
    """How the tokens of a text are shown: by themselves, or each as the word that it belongs to."""

    tokens: Tokens
    unit: Unit
    at: int
    """The token that is meant."""
    text: tuple[str, ...]
    """`[T]`: what a reader sees."""
    name: tuple[str, ...]
    """`[T]`: how a sentence names it."""

    @classmethod
    def of(cls, trace: Trace, encoding: Encoding, unit: Unit) -> _Shown:
        """The tokens of a trace."""
        tokens, at = trace.tokens, tokens_of(trace.root)[0]
        text, of_unit = tokens.text, tuple(range(len(tokens)))
        if unit == "word":
            of_unit = tuple(tokens.word.tolist())
            text = tuple(_word_text(tokens, encoding, token) for token in range(len(tokens)))
        first = {one: token for token, one in reversed(list(enumerate(of_unit)))}
        units = sorted(first)
        named = told_apart([text[first[one]] for one in units], [int(tokens.sentence[first[one]]) for one in units])
        names = dict(zip(units, named, strict=True))
        return cls(tokens, unit, at, text, tuple(names[one] for one in of_unit))

    def of_texts(self, *, last: bool = False) -> list[int]:
        """Tokens of the sentences, or of each word the first or the last."""
        texts = [token for token in range(len(self.tokens)) if self.tokens.sentence[token] != SPECIAL]
        if self.unit == "piece":
            return texts
        order = texts if last else texts[::-1]  # of those of a word the latest stays
        return sorted({int(self.tokens.word[token]): token for token in order}.values())

    def told(self, token: int, label: str, probability: float, *, of: int | None = None) -> TokenPrediction:
        """What is predicted at a token, of this or another one."""
        return {
            "token": token,
            "text": self.text[token if of is None else of],
            "label": label,
            "probability": rounded_share(probability),
            "meant": token == self.at,
        }


def _of_token(found: TokenClasses, shown: _Shown) -> Predicted:
    at, best = shown.at, found.predicted
    classes = tuple(
        _score(label, found.scores[at, index], found.probabilities[at, index])
        for index, label in enumerate(found.labels)
    )
    tokens = tuple(
        shown.told(token, found.labels[best[token]], float(found.probabilities[token, best[token]]))
        for token in shown.of_texts()
    )
    sure = percent(float(found.probabilities[at, best[at]]))
    decided = Decision(f"label {shown.name[at]} as", (found.labels[best[at]],), sure)
    return Predicted(decided, classes, f"Classes of {shown.name[at]}:", tokens)


def _of_answer(found: AnswerEnds, shown: _Shown, encoding: Encoding) -> Predicted:
    spans, at = found.spans, shown.at
    classes = tuple(_score(span_text(encoding, found, span), span.score, span.probability) for span in spans)
    best = spans[0]
    ends = ((best.start, 0), (best.end, 1))
    tokens = tuple(
        shown.told(token, ENDS[end], float(found.probabilities[token, end]), of=token - found.n_before)
        for token, end in ends
    )
    about = "Likeliest answers, each with the product of the probabilities of its start and its end."
    if found.n_before:
        about += " The scores of a word are read where the decoder would write it: at the token before."
    if at not in (best.start, best.end):
        (start, end), name = found.probabilities[at], shown.name[at - found.n_before]
        about += f" An answer starts at {name} with {percent(start)} and ends there with {percent(end)}."
    if found.no_answer > best.probability:
        about += (
            f" Both ends at the first token have {percent(found.no_answer)}, more than any answer: a model that was "
            "trained with questions that cannot be answered says so by that."
        )
    return Predicted(Decision("answer", (classes[0]["label"],), percent(best.probability)), classes, about, tokens)


def _of_expected(found: ExpectedTokens, shown: _Shown) -> Predicted:
    at, causal = shown.at, found.following is not None
    places = set(shown.of_texts(last=True)) if causal else set(found.position.tolist())
    tokens = tuple(
        shown.told(token, found.text[place][0], float(found.probabilities[place, 0]))
        for place, token in enumerate(found.position.tolist())
        if token in places
    )
    row, name = found.row(at), shown.name[at]
    if row is None:
        return Predicted(tokens=tokens)
    classes = tuple(
        _score(text, score, chance)
        for text, score, chance in zip(found.text[row], found.scores[row], found.probabilities[row], strict=True)
    )
    about = f"Expected after {name}:" if causal else f"Expected in place of {name}:"
    if found.following is not None and found.rank is not None and found.rank[row]:
        about = (
            f"Expected after {name}, where {quoted(shown.tokens.text[at + 1])} really follows, with "
            f"{percent(found.following[row], 1)} (rank {found.rank[row]:,}):"
        )
    verb = f"continue {name} with" if causal else f"fill {name} with"
    decided = Decision(verb, (found.text[row][0],), percent(float(found.probabilities[row, 0])))
    return Predicted(decided, classes, about, tokens)


def span_text(encoding: Encoding, found: AnswerEnds, span: Span) -> str:
    """An answer as it is written in the second sentence."""
    return _written(encoding, 1, encoding.tokens.span[found.tokens(span)])


def _word_text(tokens: Tokens, encoding: Encoding, token: int) -> str:
    """The word that a token belongs to, as it is written."""
    part = int(tokens.sentence[token])
    if part == SPECIAL:
        return tokens.text[token]
    return _written(encoding, part, tokens.span[(tokens.word == tokens.word[token]) & (tokens.sentence == part)])


def _written(encoding: Encoding, part: int, spans: NDArray[np.int32]) -> str:
    """What a sentence has from the first to the last character of some tokens, `[N, 2]`."""
    return (encoding.text_a, encoding.text_b or "")[part % AGAIN][int(spans[:, 0].min()) : int(spans[:, 1].max())]


def _score(label: str, score: Any, probability: Any) -> ClassScore:
    return {"label": label, "score": rounded(score), "probability": rounded_share(probability)}
