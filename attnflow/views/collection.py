"""What the room *Many texts* and Python tell each other: part of `payloads`.

Texts are told by their row, from 0, in the order of the collection. `N` is their number.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from attnflow.views.asked import Side

Method = Literal["pca", "tsne", "umap"]


class TextColumn(TypedDict):
    """One attribute of every text, to filter, colour, sort and draw by."""

    name: str
    title: str
    kind: Literal["number", "kind"]
    """Kinds are few names, such as classes; whether something holds is the kinds `no` and `yes`."""
    help: str
    """What it is, in a sentence, with its unit."""
    kinds: list[str]
    """Names of the kinds; empty for numbers."""
    values: str
    """`[N]` little-endian as base64 text: float32, NaN where it is missing; of kinds uint16, 65535 where it is."""


class TextOrder(TypedDict):
    """Texts in an order that is worth looking at."""

    name: str
    title: str
    sentence: str
    """How to read it."""
    column: str
    """Name of the column that it is by, largest first; texts that lack it are not in it."""


class Decided(TypedDict):
    """The columns that a confusion matrix is counted from; both have the model's classes as their kinds."""

    side: Side
    gold: str
    decision: str


class TextTraining(TypedDict):
    """What a training recorded of the texts, epoch by epoch. `E` is the number of epochs."""

    recording: str
    epochs: list[int]
    """Their numbers, from 0."""
    counted: int
    """Of how many of them, the first ones, the data map is."""
    x: str
    """The column that the data map is drawn by from left to right: variability."""
    y: str
    """That from below: confidence."""
    colour: str
    """That which colours it: correctness."""
    region: str
    """Kinds: the region that each text lies in."""
    loss: str
    """`[N, E]` float32 as base64 text: -log of the label's probability, in nats; NaN where nothing was recorded."""
    right: str
    """`[N, E]` bytes as base64 text, 1 where the likeliest class was the label."""
    about: str
    """What is missing or does not match, in sentences; may be empty."""


class Collection(TypedDict):
    """A collection of texts as two models read it."""

    key: str
    """Names collection and models in events; another one is another figure."""
    texts: str
    """Names the texts: with the same ones, what a visitor selected and searched stays, and points move."""
    layouts: list[str]
    """Of each model, what tells its layouts from all others of these texts."""
    n: int
    source: str
    about: str
    """How many texts of how many, what was left out, cut or matched to no class, in sentences."""
    models: list[str]
    """Of A, or of A and B."""
    layers: list[int]
    """Of each model: hidden states are those of 0 (the input) to this one."""
    columns: list[TextColumn]
    orders: list[TextOrder]
    decided: list[Decided]
    methods: list[Method]
    """Projections that are installed."""
    fields: list[str]
    """What a row of the table has of its text: first text, second text, label, and what else its source says."""
    training: TextTraining | None
    """How the texts were learnt, if a recording of a training is shown."""


class LayoutOf(TypedDict):
    """Event `layout`: where the points of one plot lie is asked for."""

    key: str
    plot: Literal[0, 1]
    """Left or right."""
    side: Side
    of: Literal["hidden", "behaviour"]
    layer: int
    """Of hidden states, 0 to L."""
    method: Method


class Layout(LayoutOf):
    """Property `layout`: its answer."""

    points: str
    """`[N, 2]` float32 as base64 text; NaN for texts that were not read."""
    preserved: str
    """`[N]` float32: share of the neighbours of a text that are kept, 0 to 1."""
    trustworthiness: float | None
    continuity: float | None
    neighbours: int
    """How many these were measured with."""
    note: str
    """What else is to be said; may be empty."""


class Unlaid(LayoutOf):
    """Property `unlaid`: the answer where there is no such layout."""

    why: str
    """One sentence."""
    at: float
    """When, in seconds: the same can fail twice."""


class RowsOf(TypedDict):
    """Event `rows`: the texts of some rows are asked for, at most 200."""

    key: str
    rows: list[int]


class Rows(RowsOf):
    """Property `rows`: its answer."""

    cells: list[list[str]]
    """For each row its `fields`."""


class Search(TypedDict):
    """Event `search`: which texts hold some words, in capital or small letters."""

    key: str
    text: str


class Found(Search):
    """Property `found`: its answer."""

    rows: str
    """`[N]` bytes as base64 text, 1 where it does."""


class OpenText(TypedDict):
    """Event `open`: a text is to be opened in *One pair*."""

    key: str
    row: int


class KeepRows(TypedDict):
    """Event `keep`: rows are to be saved; the answer is the property `download`."""

    key: str
    rows: str
    """uint32 as base64 text, in the order of the table."""
    kind: Literal["csv", "parquet", "json"]
    """JSON has names and rows alone."""
    settings: str
    """Filters and order in words, which the file tells."""


class CollectionFile(TypedDict):
    """Property `download` of the map of texts."""

    name: str
    text: NotRequired[str]
    base64: NotRequired[str]
    at: float
    """When it was made, in seconds: the same file can be asked for twice."""


class Sliced(TypedDict):
    """Event `slice`: the rows that are left by filters and selection, for the parts of the room that follow them."""

    key: str
    rows: str
    """uint32 as base64 text."""
    told: str
    """Filters and selection in words."""


class ReadyOrder(TypedDict):
    """Property `ready` of the map of texts: an order that was asked for, and is to be shown."""

    name: str
    at: float
    """When it was made, in seconds: the same can be asked for twice."""


class FileAsked(TypedDict):
    """Which files of the visitor's own are taken in the place of a data set."""

    most: int
    """Bytes."""
    ends: list[str]
    """Of their names."""
    told: str
    """The same in a sentence."""


class FileSent(TypedDict):
    """Event `sent`: a file has been sent."""

    called: str
    """What the server calls it."""
