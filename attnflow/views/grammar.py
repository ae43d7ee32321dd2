"""What the page tells of heads that follow grammar: part of `payloads`."""

from __future__ import annotations

from typing import TypedDict

from attnflow.records.trace import Head
from attnflow.views.asked import Side


class GrammarShare(TypedDict):
    """A share of cases, with its 95 % interval."""

    share: float
    low: float
    high: float


class GrammarRelation(TypedDict):
    """One relation of a treebank, or all of them together."""

    name: str
    finds: str
    """What finding its governor means, as a sentence goes on after "finds"."""


class GrammarModelFigure(TypedDict):
    """How well every head of one model finds governors; `R` relations."""

    side: Side
    name: str
    layers: int
    heads: int
    cases: list[int]
    """`[R]`"""
    steps: int
    """What `accuracy` is to be divided by."""
    accuracy: str
    """`[R, L * H]` in the better direction, as base64 text of little-endian uint16."""
    direction: str
    """`[R, L * H]`: which direction that is, as base64 text of bytes."""
    offset: list[float]
    """`[R]`: accuracy of the best fixed offset."""
    best: list[int]
    """`[R]`: the head that finds most, as `layer * H + head`; -1 where there is no case."""
    names: list[str]
    """`[L * H]`: what each head is called; often empty."""


class GrammarDifference(TypedDict):
    """How much more A finds than B for a relation, on the same words."""

    points: float
    """A less B, in hundredths of the cases."""
    p: float
    """McNemar's, with Holm's correction."""
    differs: bool


class GrammarRow(TypedDict):
    """The best head of one model for a relation, and the best offset."""

    relation: str
    finds: str
    """What finding its governor means, as a sentence goes on after "finds"."""
    side: Side
    n: int
    head: Head
    direction: str
    held_out: GrammarShare
    """Each half of the sentences scored by what is best on the other half."""
    on_all: GrammarShare
    """Chosen on all sentences and scored on all, as in the paper."""
    offset: int
    offset_held_out: GrammarShare
    offset_on_all: GrammarShare
    compared: GrammarDifference | None
    """None if both models were not compared, or have too few cases."""
    random: GrammarShare | None
    """The best head with random weights, held out; None if that was not asked for."""


class Grammar(TypedDict):
    """Relations against heads of one model or two."""

    key: str
    """Of the treebank and the models."""
    least: int
    """Cases from which on a relation is spoken of."""
    directions: list[str]
    relations: list[GrammarRelation]
    """`[R]`: all together first, then those of most cases."""
    models: list[GrammarModelFigure]


class GrammarBest(TypedDict):
    """The table of the best heads."""

    key: str
    least: int
    """Cases from which on a relation is spoken of."""
    rows: list[GrammarRow]
    compared: bool
    """Whether both models were compared."""
    random: bool
    """Whether random weights stand beside."""
    notes: list[str]
    """What these two columns are, as far as there are any."""


class GrammarCell(TypedDict):
    """Event `cell` of map and table, and their property `chosen`: a head of a model, by its own layers; a relation."""

    key: str
    side: Side
    relation: str
    head: Head


class GrammarFile(TypedDict):
    """Property `download` of the table: a file for the visitor's browser."""

    name: str
    text: str
    at: float
    """When it was made, in seconds: the same file can be asked for twice."""


class Arc(TypedDict):
    """From a word to another one of its sentence, by their numbers."""

    word: int
    to: int


class GrammarChoice(Arc):
    """What a head chose for a word."""

    right: bool


class GrammarSentence(TypedDict):
    """A sentence with what is right and what a head chose."""

    row: int
    """In the collection."""
    words: list[str]
    gold: list[Arc]
    """From each word of the relation to its governor."""
    chosen: list[GrammarChoice]
    """From the same words, in the same order, but those for which the head chose none."""


class GrammarSentences(TypedDict):
    """Sentences on which a head is right, and on which it is wrong."""

    cell: GrammarCell
    told: str
    relation: str
    """As it stands at the arcs; empty for all relations."""
    right: list[GrammarSentence]
    """All of its choices are."""
    wrong: list[GrammarSentence]
    """Some of its choices are."""


class OpenSentence(TypedDict):
    """Event `open`: a sentence to be shown in *One pair*, with the head that is chosen."""

    row: int


class ParsedArc(Arc):
    """From a word to what a probe takes for its governor."""

    probability: float
    """From 0 to 1."""
    right: bool | None
    """None where the true one is not known."""


class ParsedTree(TypedDict):
    """The tree that a probe reads out of one model."""

    side: Side
    name: str
    words: list[str]
    root: int
    arcs: list[ParsedArc]
    """Of all words but the root."""
    gold: list[Arc]
    """True ones; empty where they are not known."""
    told: str


class ParsedTrees(TypedDict):
    """What the probes of one model or two read out of a sentence."""

    told: str
    kind: str
    trees: list[ParsedTree]
