"""Which texts to look at first: where two models differ most, what is like a text at hand, what may be mislabelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from attnflow.corpus.word_pairing import common_words, influence_distance, ring_distance
from attnflow.errors import SelectionError
from attnflow.records.survey import Survey
from attnflow.records.trace import Head, Trace, check_heads, is_whole
from attnflow.stats.attention_kinds import attention_shares

Difference = Literal["decision", "influence", "graph", "behaviour", "loss"]
Likeness = Literal["model", "layer", "head"]


@dataclass(frozen=True)
class Order:
    """Texts in an order, and the number that they are ordered by. Texts that have no such number are left out."""

    rows: NDArray[np.int64]
    """`[K]`: rows of the survey, first what is to be looked at first; equal ones as they come in the texts."""
    values: NDArray[np.float64]
    """`[K]`: the number of each of these rows."""
    column: NDArray[np.float64]
    """`[N]`: the same number of all texts in their own order, NaN where there is none."""
    quantity: str
    """What the number is, in a few words."""
    sentence: str
    """How to read the order."""


def most_different(survey_a: Survey, survey_b: Survey, by: Difference = "decision") -> Order:
    """Texts in the order of how much two models differ on them, most first.

    `decision`: the total variation of the probabilities, `1/2 sum |p_a - p_b|`; classes are matched by name. Where
    several classes may be right, the mean of `|p_a - p_b|`. `loss`: `|loss_a - loss_b|` in nats. `influence`: the total
    variation of both influence profiles over the words, each with sum 1. `graph`: `1 - Jaccard` of the two sets of
    (ring, word), rings counted from the root. `behaviour`: 1 - cosine of the shares of attention, for models of one
    shape. Words are those of both tokenizers, and special tokens are none.

    Args:
        survey_a: What model A made of some texts.
        survey_b: What model B made of the same.
        by: What to compare.

    Raises:
        SelectionError: If the texts are not the same, or the models have nothing of that kind to compare.
    """
    if by not in get_args(Difference):
        raise SelectionError(f"There is no difference by {str(by)[:60]!r}; choose {', '.join(get_args(Difference))}.")
    _check_same_texts(survey_a, survey_b)
    match by:
        case "decision":
            column, quantity = _decision_change(survey_a, survey_b), "change of the decision, from 0 to 1"
            sentence = (
                "First the texts whose decision changes most from A to B: 1 if both are certain of other classes."
            )
        case "loss":
            column, quantity = abs(survey_a.loss - survey_b.loss), "difference of the losses"
            sentence = "First the texts of which one model thinks much better than the other, by their label."
        case "influence":
            column, quantity = _over_words(survey_a, survey_b, by), "distance of influence, from 0 to 1"
            sentence = "First the texts in which A and B come to their decision by other words: 1 if they share none."
        case "graph":
            column, quantity = _over_words(survey_a, survey_b, by), "distance of the attention graphs, from 0 to 1"
            sentence = "First the texts whose words stand in other rings in A and in B: 1 if no ring shares a word."
        case "behaviour":
            column, quantity = _behaviour_change(survey_a, survey_b), "distance of behaviour, from 0 to 1"
            sentence = "First the texts in which the heads of A and of B look at other kinds of tokens."
    return _ordered(column, quantity, sentence)


def nearest(
    survey: Survey, trace: Trace, by: Likeness = "model", *, layer: int | None = None, head: Head | None = None
) -> Order:
    """Texts in the order of how much attention in them looks like that in a text at hand, most alike first.

    The cosine of the shares of attention (`Survey.behaviour`) of the whole model, of one layer or of one head.

    Args:
        survey: What a model made of many texts.
        trace: What the same model made of one, which may be among them.
        by: Which heads count.
        layer: The layer, where one counts.
        head: The head `(layer, head)`, where one counts.

    Raises:
        SelectionError: If the trace is of a model of another shape, or there is no such layer or head.
    """
    of = survey.settings
    if (trace.n_layers, trace.n_heads, trace.stacks) != (of.n_layers, of.n_heads, survey.stacks):
        raise SelectionError(
            f"The text was read by {trace.n_layers} layers x {trace.n_heads} heads, the survey is of {of.n_layers} x "
            f"{of.n_heads}; give a trace of {of.model}."
        )
    place = _place(survey, by, layer, head)
    own = attention_shares(trace, of.kinds)[place].ravel()
    shares = survey.shares[(slice(None), *place)].reshape(len(survey), -1)
    which = {"model": "all heads look", "layer": "the heads of this layer look", "head": "this head looks"}[by]
    return _ordered(
        _cosine(shares, own[None]),
        "likeness of attention, the cosine",
        f"First the texts in which {which} at the same kinds of tokens as in the text at hand.",
    )


def likely_mislabelled(*surveys: Survey) -> Order:
    """Texts on which all of some models are wrong by the label, in the order of how sure the least sure of them is.

    A label that no model believes may be wrong itself, or the text hard in a way that both have not learnt.

    Args:
        *surveys: Of the same texts by one or more models that decide between classes.

    Raises:
        SelectionError: If there is none, the texts are not the same, or a model does not decide between classes.
    """
    if not surveys:
        raise SelectionError("There is no survey; give one or more.")
    for one in surveys:
        _check_same_texts(surveys[0], one)
        _check_classes(one)
    sure = np.min([one.confidence for one in surveys], axis=0)
    wrong = np.all([one.wrong for one in surveys], axis=0)
    who = "the model is" if len(surveys) == 1 else "both models are" if len(surveys) == 2 else "all models are"
    return _ordered(
        np.where(wrong, sure, np.nan),
        "confidence in another class" + " of the less sure model" * (len(surveys) > 1),
        f"First the texts of which {who} surest, and wrong by the label: the label may be, too.",
    )


@dataclass(frozen=True)
class Confusion:
    """How often each gold class was decided to be each class."""

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    """`[C, C]`, as `[gold, decision]`."""
    unmatched: Mapping[str, int]
    """Texts whose label names no class of the model, by label; they are not among the counts."""
    unlabelled: int
    """Texts without a label, likewise."""
    unusable: int
    """Texts that were not read, likewise."""

    @property
    def accuracy(self) -> float:
        """The share of right decisions; NaN where there is none."""
        n = int(self.counts.sum())
        return float(np.trace(self.counts) / n) if n else float("nan")


def confusion(survey: Survey, rows: Sequence[int] | NDArray[np.integer] | None = None) -> Confusion:
    """Count decisions by gold class.

    Args:
        survey: Of a model that decides between classes.
        rows: Which texts count; all if None.

    Raises:
        SelectionError: If the model does not decide between classes, or there is no such row.
    """
    _check_classes(survey)
    assert survey.decision is not None, "checked"
    try:
        chosen = np.arange(len(survey))[slice(None) if rows is None else np.asarray(rows, np.int64)]
    except IndexError as error:
        raise SelectionError(f"There is a row beyond the {len(survey)} texts; give rows from 0.") from error
    counts = np.zeros((len(survey.labels),) * 2, np.int64)
    known = chosen[survey.known[chosen]]
    np.add.at(counts, (survey.gold[known], survey.decision[known]), 1)
    read = chosen[survey.usable[chosen]].tolist()
    other = [survey.gold_labels[row] for row in read if survey.gold[row] < 0]
    named = [str(label) for label in other if label is not None]
    return Confusion(
        survey.labels,
        counts,
        {label: named.count(label) for label in dict.fromkeys(named)},
        len(other) - len(named),
        len(chosen) - len(read),
    )


def _ordered(column: NDArray[np.float64], quantity: str, sentence: str) -> Order:
    there = np.flatnonzero(~np.isnan(column))
    rows = there[np.argsort(-column[there], kind="stable")]
    return Order(rows, column[rows], column, quantity, sentence)


def _check_same_texts(a: Survey, b: Survey) -> None:
    if a.settings.texts != b.settings.texts:
        raise SelectionError(
            f"The surveys of {a.settings.model} and {b.settings.model} are of other texts; survey the same ones."
        )


def _check_classes(survey: Survey) -> None:
    if not survey.has_classes:
        raise SelectionError(
            f"{survey.settings.model} has no trained head that decides between classes, so nothing can be said of its "
            "decisions; choose a checkpoint that was trained for it."
        )


def _decision_change(a: Survey, b: Survey) -> NDArray[np.float64]:
    for one in (a, b):
        _check_classes(one)
    assert a.probabilities is not None and b.probabilities is not None, "checked"
    names_a, names_b = ([name.strip().casefold() for name in one.labels] for one in (a, b))
    if sorted(names_a) != sorted(names_b) or len(set(names_a)) < len(names_a):
        raise SelectionError(
            f"{a.settings.model} decides between {', '.join(a.labels[:10])}, and {b.settings.model} between "
            f"{', '.join(b.labels[:10])}; decisions can be compared between the same classes only."
        )
    change = abs(a.probabilities - b.probabilities[:, [names_b.index(name) for name in names_a]])
    several = "multi_label" in (a.settings.problem, b.settings.problem)
    return change.mean(1) if several else change.sum(1) / 2


def _behaviour_change(a: Survey, b: Survey) -> NDArray[np.float64]:
    shapes = [(one.settings.n_layers, one.settings.n_heads) for one in (a, b)]
    if shapes[0] == shapes[1] and a.settings.stacks != b.settings.stacks:
        raise SelectionError(
            f"Heads of {a.settings.model} and {b.settings.model} are not of the same kinds (encoder, decoder, cross), "
            "so they cannot be set side by side; compare by influence or graph."
        )
    if shapes[0] != shapes[1]:
        raise SelectionError(
            f"{a.settings.model} has {shapes[0][0]} x {shapes[0][1]} heads and {b.settings.model} {shapes[1][0]} x "
            f"{shapes[1][1]}, so their heads cannot be set side by side; compare by influence or graph."
        )
    common = [kind for kind in a.settings.kinds if kind in b.settings.kinds]
    vectors = [one.shares[..., [one.settings.kinds.index(kind) for kind in common]] for one in (a, b)]
    return 1 - _cosine(*(one.reshape(len(one), -1) for one in vectors))


def _over_words(a: Survey, b: Survey, by: Literal["influence", "graph"]) -> NDArray[np.float64]:
    column = np.full(len(a), np.nan)
    for row in np.flatnonzero(a.usable & b.usable).tolist():
        both = common_words(a, b, row)
        column[row] = influence_distance(a, b, row, both) if by == "influence" else ring_distance(a, b, row, both)
    return column


def _cosine(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """`[N]`: of rows; NaN where one has no length."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1))


def _place(survey: Survey, by: str, layer: int | None, head: Head | None) -> tuple[int, ...]:
    """Where, among `[L, H, kind]`, the shares that count are."""
    of = survey.settings
    if by == "model":
        return ()
    if by == "head" and head is not None:
        place, stacks = next(iter(check_heads([head], of.n_layers, of.n_heads))), survey.stacks
        if stacks is not None and stacks.kind(*place) is None:
            raise SelectionError(
                f"Head {head!r} is not there: the encoder of {of.model} has no cross-attention; choose one of the "
                f"first {stacks.n_heads} in its layers."
            )
        return place
    if by == "layer" and is_whole(layer) and 0 <= layer < of.n_layers:
        return (int(layer),)
    if by not in get_args(Likeness):
        raise SelectionError(f"There is no likeness by {str(by)[:60]!r}; choose {', '.join(get_args(Likeness))}.")
    wanted = f"layer, from 0 to {of.n_layers - 1}" if by == "layer" else "head, as (layer, head)"
    raise SelectionError(f"Likeness by {by} needs a {wanted}; {layer if by == 'layer' else head!r} came.")
