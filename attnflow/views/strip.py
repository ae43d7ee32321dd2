"""What stands above the tabs, decisions and the influence of the words: part of `payloads`."""

from __future__ import annotations

from typing import TypedDict

from attnflow.views.asked import Side


class TrainingMoment(TypedDict):
    """A checkpoint of a training."""

    revision: str
    """What the pair names it by; empty for the end."""
    label: str
    commit: str
    """On the Hub; empty for what lies on this machine."""


class ModelMoments(TypedDict):
    """The training that a model comes from."""

    side: Side
    name: str
    moments: list[TrainingMoment]
    """First to last."""
    at: int | None
    """Which of them is shown; null if it is another revision."""


class ReadMoment(TypedDict):
    """Event `read`: the texts are to be read by a model at another moment of its training."""

    side: Side
    revision: str
    """As of a `TrainingMoment`."""


class ClassScore(TypedDict):
    """One class of a prediction."""

    label: str
    score: float
    probability: float | None
    """0 to 1; null where the scores are no distribution."""


class TokenPrediction(TypedDict):
    """What a model predicts at one of its tokens: a class, an end of an answer, or the likeliest word."""

    token: int
    """Its number among the pieces of its model."""
    text: str
    label: str
    probability: float
    """0 to 1"""
    meant: bool
    """Whether it is the token whose prediction is shown and explained: the root."""


class Prediction(TypedDict):
    """What one model is and predicts."""

    name: str
    facts: str
    decided: str
    """Empty where it predicts nothing."""
    classes: list[ClassScore]
    """What it decides between, or the likeliest of it: of the text, or at the token that is meant."""
    about: str
    """What these are scores of, where it is not the text as a whole."""
    tokens: list[TokenPrediction]
    """What it predicts at each token, if it does; event `at` means another one."""
    writes: bool
    """Whether it can write on: events `write_a` and `write_b` let model A or B do so."""
    note: str


class SentenceModel(TypedDict):
    """Influence of the words in one model."""

    name: str
    layers: int
    root: list[int]
    """The token that the score reads, or several."""
    classes: list[ClassScore] | None
    """Null without a trained classification head."""
    off: int
    """How many heads are switched off."""
    influence: list[list[float | None]]
    """`[L, T]`, in heads; null where the model has no such token."""


class SentenceFigure(TypedDict):
    """The sentence view of one or two models."""

    text: list[str]
    names: list[str]
    """`[T]`: how a sentence names them: in quotes, repeated words told apart."""
    sentence: list[int]
    """`[T]`: 0 or 1, -1 for special tokens; 2 and 3 where a decoder reads both again."""
    lines: list[int]
    """The units with which a line begins, besides the first: of the second sentence, and of what a decoder reads."""
    threshold: str
    texts: list[str]
    """Both sentences; the second may be empty."""
    spans: list[tuple[int, int] | None]
    """`[T]`: where in its sentence the word of each unit stands, in UTF-16 code units; null if it stands for none."""
    mask: str
    """What masks a word in both models; empty if they have nothing in common."""
    models: list[SentenceModel]
