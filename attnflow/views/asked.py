"""What any panel may ask of the page by an event, and how the page's address tells a setting: part of `payloads`."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from attnflow.records.trace import Head

Side = Literal["a", "b"]
"""One of the two models."""
SIDES: tuple[Side, Side] = ("a", "b")


class LinkedSetting(TypedDict):
    """How the address of the page tells one setting."""

    name: str
    link: str
    """Its name in the address; empty if the address does not tell it."""
    unless: str
    """Name of the switch that chooses this setting while it is on, and so keeps it out; empty if none does."""
    plain: Any
    """The value that is left out."""


class Selected(TypedDict):
    """Event `select`: a head, a word, or both, which become the selected ones on the whole page."""

    head: NotRequired[Head]
    side: NotRequired[Side]
    """The model whose layers the head is counted by; the deeper one if left out."""
    word: NotRequired[int]
    """Its number among the units of the radial view."""
    piece: NotRequired[int]
    """Instead of the word: one of the pieces of the model of `side`."""
    own: NotRequired[int]
    """Instead of the word: one of the words or pieces of that model, whichever the page shows."""


class AtToken(TypedDict):
    """Event `at`: the prediction at one token is meant, which becomes the root in both models."""

    side: Side
    """The model whose token it is."""
    piece: int


class Pruned(TypedDict):
    """Event `prune`: all heads that are to be off. The property `confirmed` of the matrix: those that are."""

    a: list[Head]
    b: list[Head]


class OtherPair(TypedDict):
    """Event `analyse`: what is to be another of the pair; what is left out stays."""

    model_a: NotRequired[str]
    revision_a: NotRequired[str]
    model_b: NotRequired[str]
    revision_b: NotRequired[str]
    text_a: NotRequired[str]
    text_b: NotRequired[str]


class Export(TypedDict):
    """Event `export` of the radial view: a file of it, as a page with what is shown there, or exact numbers."""

    kind: Literal["html", "json", "csv"]
    dark: NotRequired[bool]
    """Whether the page is to be dark."""
    view: NotRequired[str]
    select: NotRequired[str]
    strongest: NotRequired[str]
    differing: NotRequired[str]
    """Each as the address of the page tells it."""


class ThresholdModel(TypedDict):
    """The rings of one model, from the decision outwards without that of the decision itself."""

    layers: int
    sizes: list[list[int]]
    """`[L, N]`: tokens of each ring at each of the thresholds offered."""
    now: list[int]
    """`[L]`: tokens of each ring as it is drawn."""
    tau: list[float]
    """`[L]`: the threshold of the attention that leads to each ring, as it is drawn."""


class ThresholdChoice(TypedDict):
    """The choice of one threshold for all layers."""

    taus: list[float]
    """`[N]`: those offered."""
    tau: float | None
    """The one that is chosen; null where each layer has its own."""
    most: int
    """Tokens that a ring can hold."""
    models: list[ThresholdModel]


class ChosenThreshold(TypedDict):
    """Event `choose` of that choice."""

    tau: float


class Work(TypedDict):
    """Property `work` of every panel: what it waits for, or why nothing came of it."""

    state: Literal["working", "done", "cancelled", "failed"]
    what: str
    """What is going on, or the sentence of what happened; empty once it is done."""
    share: NotRequired[float]
    """What is done, 0 to 1; left out before that is known."""
    rest: NotRequired[float]
    """Seconds that are left, about; left out while too little is done to tell."""


class LitTokens(TypedDict):
    """Property `lit` of maps and strips: where the selected word stands there; empty lists for none."""

    a: list[int]
    """Its pieces in model A."""
    b: list[int]
    """In B."""
    strip_a: list[int]
    """Its units in the strips of A, which are words or pieces."""
    strip_b: list[int]
    """In those of B."""
    strip_ab: list[int]
    """In those of the difference."""
