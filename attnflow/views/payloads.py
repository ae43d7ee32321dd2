"""What the page and Python tell each other as JSON: the value of each panel, its properties, and the events it sends.

`assets/page/payloads.d.ts` says the same to the scripts and is written from here (`python -m tests.payload_types`).

Layers, heads, tokens and classes count from 0; a head is `[layer, head]`. Rings of the radial view are counted by their
depth: 0 is the root, and depth `d` of a model of `L` layers holds what leaves layer `L - d - 1`. Axes are named as in
`records`, and `E` is edges. What is not defined is null: JSON has no NaN.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from attnflow.records.trace import Head
from attnflow.views.asked import SIDES as SIDES
from attnflow.views.asked import AtToken as AtToken
from attnflow.views.asked import ChosenThreshold as ChosenThreshold
from attnflow.views.asked import Export as Export
from attnflow.views.asked import LinkedSetting as LinkedSetting
from attnflow.views.asked import LitTokens as LitTokens
from attnflow.views.asked import OtherPair as OtherPair
from attnflow.views.asked import Pruned as Pruned
from attnflow.views.asked import Selected as Selected
from attnflow.views.asked import Side as Side
from attnflow.views.asked import ThresholdChoice as ThresholdChoice
from attnflow.views.asked import ThresholdModel as ThresholdModel
from attnflow.views.asked import Work as Work
from attnflow.views.collection import Collection as Collection
from attnflow.views.collection import CollectionFile as CollectionFile
from attnflow.views.collection import Decided as Decided
from attnflow.views.collection import FileAsked as FileAsked
from attnflow.views.collection import FileSent as FileSent
from attnflow.views.collection import Found as Found
from attnflow.views.collection import KeepRows as KeepRows
from attnflow.views.collection import Layout as Layout
from attnflow.views.collection import LayoutOf as LayoutOf
from attnflow.views.collection import OpenText as OpenText
from attnflow.views.collection import ReadyOrder as ReadyOrder
from attnflow.views.collection import Rows as Rows
from attnflow.views.collection import RowsOf as RowsOf
from attnflow.views.collection import Search as Search
from attnflow.views.collection import Sliced as Sliced
from attnflow.views.collection import TextColumn as TextColumn
from attnflow.views.collection import TextOrder as TextOrder
from attnflow.views.collection import TextTraining as TextTraining
from attnflow.views.collection import Unlaid as Unlaid
from attnflow.views.grammar import Arc as Arc
from attnflow.views.grammar import Grammar as Grammar
from attnflow.views.grammar import GrammarBest as GrammarBest
from attnflow.views.grammar import GrammarCell as GrammarCell
from attnflow.views.grammar import GrammarChoice as GrammarChoice
from attnflow.views.grammar import GrammarDifference as GrammarDifference
from attnflow.views.grammar import GrammarFile as GrammarFile
from attnflow.views.grammar import GrammarModelFigure as GrammarModelFigure
from attnflow.views.grammar import GrammarRelation as GrammarRelation
from attnflow.views.grammar import GrammarRow as GrammarRow
from attnflow.views.grammar import GrammarSentence as GrammarSentence
from attnflow.views.grammar import GrammarSentences as GrammarSentences
from attnflow.views.grammar import GrammarShare as GrammarShare
from attnflow.views.grammar import OpenSentence as OpenSentence
from attnflow.views.grammar import ParsedArc as ParsedArc
from attnflow.views.grammar import ParsedTree as ParsedTree
from attnflow.views.grammar import ParsedTrees as ParsedTrees
from attnflow.views.matrix_cells import Matrix as Matrix
from attnflow.views.matrix_cells import MatrixHalf as MatrixHalf
from attnflow.views.selected import Details as Details
from attnflow.views.selected import DetailsHead as DetailsHead
from attnflow.views.selected import HeadLine as HeadLine
from attnflow.views.strip import ClassScore as ClassScore
from attnflow.views.strip import ModelMoments as ModelMoments
from attnflow.views.strip import Prediction as Prediction
from attnflow.views.strip import ReadMoment as ReadMoment
from attnflow.views.strip import SentenceFigure as SentenceFigure
from attnflow.views.strip import SentenceModel as SentenceModel
from attnflow.views.strip import TokenPrediction as TokenPrediction
from attnflow.views.strip import TrainingMoment as TrainingMoment

# ---- the radial view


class Edges(TypedDict):
    """Edges of an attention graph, packed; the last four are base64 text of little-endian bytes."""

    count: list[int]
    """`[L]`: edges of each layer; they follow each other in this order."""
    bytes: Literal[1, 2]
    """Of one number in `query` and `key`."""
    query: str
    """`[E]`: the token that attends."""
    key: str
    """`[E]`: the token attended to."""
    heads: str
    """`[E, ceil(H / 8)]` bytes: the set of heads of each edge, head 0 in the lowest bit."""
    weight: str
    """For each edge and each of its heads the attention, in 255ths."""


class RadialModel(TypedDict):
    """The attention graph of one model; its tokens are numbered in the list of all units."""

    name: str
    layers: int
    encoder: int
    """How many of its layers, the first, are an encoder's; 0 where all are of one stack."""
    heads: int
    root: list[int]
    """The token that the score reads or, where it reads several, all of them: then they stand around a centre."""
    centre: str
    """What several tokens that are read together are called; empty for one."""
    tau: list[float]
    """`[L]`: attention above it makes an edge of a layer, to three digits."""
    rings: list[list[int]]
    """`[L + 1]`: the tokens of rings 0 (what enters the first layer) to L (the root)."""
    edges: Edges


class End(TypedDict):
    """Tokens of one ring."""

    depth: int
    tokens: list[int]


class Selection(TypedDict):
    """What is lit in the radial view: what tokens of a ring depend on in common, or the paths between two rings."""

    ends: list[End]
    """One or two."""
    head: int | None
    """The head by which the tokens of the first end read; null for all."""
    model: int | None
    """0 or 1; null for both."""


class TourStep(TypedDict):
    """One step of the guided tour."""

    title: str
    text: str
    view: Side
    selection: Selection


class Radial(TypedDict):
    """The radial view of one or two models."""

    unit: Literal["piece", "word"]
    text: list[str]
    """`[T]`: what a reader sees of each unit of both models."""
    names: list[str]
    """`[T]`: how a sentence names them: in quotes, repeated words told apart."""
    piece: list[str]
    """`[T]`: the entry of the vocabulary."""
    sentence: list[int]
    """`[T]`: 0 or 1, -1 for special tokens; 2 and 3 where a decoder reads both again."""
    lines: list[int]
    """The units with which a line begins, besides the first: of the second sentence, and of what a decoder reads."""
    threshold: str
    """What attention must exceed to make an edge, in words."""
    models: list[RadialModel]
    tour: NotRequired[list[TourStep]]


class Lit(TypedDict):
    """Property `selected` of the radial view: the word that was selected, and perhaps one of its heads."""

    word: int
    head: Head | None
    """By the layers of the deeper model."""
    at: float
    """When, in seconds: the same can be selected twice."""


class Download(TypedDict):
    """Property `download` of the radial view: a file for the visitor's browser."""

    name: str
    text: str
    at: float
    """When it was made, in seconds: the same file can be asked for twice."""


# ---- what differs


class DifferenceRow(TypedDict):
    """One thing that differs between two models."""

    name: str
    a: str
    b: str
    change: float
    """From -1 to 1: more in B than in A; of rings the share that differs."""
    select: Selected | None
    """What it selects on the page."""


class DifferenceTable(TypedDict):
    """Things of one kind, the largest difference first."""

    kind: Literal["word", "head", "ring"]
    """Of words and heads a model has more or less; rings only differ."""
    title: str
    about: str
    """What the numbers are."""
    rows: list[DifferenceRow]


class Answer(TypedDict):
    """What two models decide, and what changes between them."""

    sentence: str


# ---- heads


class ClassChange(TypedDict):
    """One class without and with some heads."""

    label: str
    before: float
    after: float


class Effect(TypedDict):
    """What switching heads off changed in one model."""

    side: Side
    name: str
    removed: int
    """How many heads are off."""
    shift: float
    """How far the root's embedding moved, in units of its length."""
    unit: Literal["probability", "score"]
    """Of the classes."""
    classes: list[ClassChange]
    text: list[str]
    names: list[str]
    """`[T]`: how a sentence names them: in quotes, repeated words told apart."""
    sentence: list[int]
    before: list[float]
    """`[T]`: influence in heads."""
    after: list[float]
    note: str


# ---- maps and charts


class MapTrace(TypedDict):
    """The heat map as Plotly takes it."""

    type: Literal["heatmap"]
    z: list[list[float]]
    """`[T, T]` as `[query, key]`, rows sum to 1."""
    zmin: float
    zmax: float
    colorbar: dict[str, Any]
    hovertemplate: str


class HeatMap(TypedDict):
    """Token against token, and a sentence under it for one row."""

    data: list[MapTrace]
    """One; none where there is no map, which the title says."""
    layout: dict[str, Any]
    title: str
    names: list[str]
    """`[T]`: both axes; as many are written as there is room for."""
    told: list[str]
    """`[T]`: how a sentence names them: in quotes, repeated words told apart."""
    model: Side
    row: str
    """What a row says of the token in place of `{}`."""
    start: int
    """Token whose row is told first."""


class ChartFigure(TypedDict):
    """A Plotly chart with colours by name, such as `@a`; see `assets/page/chart/chart.js`.

    The `customdata` of a point is a `Selected`, or nothing: it is what a click selects.
    """

    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    alt: NotRequired[str]
    note: NotRequired[str | None]
    height: NotRequired[int]
    """Pixels."""
    least: NotRequired[int]
    """Pixels of width that it needs; where there is less it is scrolled sideways."""


# ---- saliency


class SaliencyMethod(TypedDict):
    """What a reader must know of a method."""

    name: str
    title: str
    signed: bool
    measures: str
    ignores: str
    source: str


class SaliencyModel(TypedDict):
    """The token strips of one model, or of the difference (`ab`); by method, `values` and `scaled` are `[T]`."""

    side: Literal["a", "b", "ab"]
    name: str
    about: str
    problem: str
    """Why there are no strips, or not all; may be empty."""
    text: list[str]
    names: list[str]
    """`[T]`: how a sentence names them: in quotes, repeated words told apart."""
    sentence: list[int]
    lines: list[int]
    """As of `Radial`."""
    verdict: NotRequired[str]
    values: NotRequired[dict[str, list[float | None]]]
    """In the method's own unit; null where the model has no such unit."""
    scaled: NotRequired[dict[str, list[float]]]
    """-1 to 1."""
    notes: NotRequired[dict[str, str]]
    beats: NotRequired[dict[str, bool]]
    """Whether it is better than random rankings of the words."""
    absent: NotRequired[dict[str, str]]
    """Why a method has no strip, as a sentence."""


class Saliency(TypedDict):
    """Token strips of both models."""

    methods: list[SaliencyMethod]
    models: list[SaliencyModel]
    best: str
    """Name of the method that stands up best on this text; empty if that was not measured."""


PAYLOADS: dict[str, Any] = {
    "AnswerPanel": Answer,
    "DetailsPanel": Details,
    "Differences": list[DifferenceTable],
    "Predictions": list[Prediction],
    "SentenceView": SentenceFigure,
    "RadialView": Radial,
    "Thresholds": ThresholdChoice,
    "AttentionMap": HeatMap,
    "HeadMatrix": Matrix,
    "Moments": list[ModelMoments],
    "Note": str,
    "PruneEffect": list[Effect],
    "SaliencyStrips": Saliency,
    "Chart": ChartFigure,
    "GrammarHeads": Grammar,
    "GrammarTable": GrammarBest,
    "GrammarExamples": GrammarSentences,
    "ProbeTrees": ParsedTrees,
    "TextFile": FileAsked,
    "TextMap": Collection,
    "TextMoments": list[ModelMoments],
}
"""The value of each panel, by the name of its class."""
