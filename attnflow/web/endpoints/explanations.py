"""Endpoints that tell what each token has to do with a score, and how far that may be trusted."""

from __future__ import annotations

from typing import Literal, TypedDict

import numpy as np

from attnflow.errors import SelectionError
from attnflow.methods.saliency.common_units import on_common_units, shares
from attnflow.methods.saliency.erasure import WAYS
from attnflow.methods.saliency.results import Report, Saliency
from attnflow.records.shares import percent
from attnflow.service.analyses.saliency import REPORT, SALIENCY
from attnflow.service.case import Case, tokens_meant
from attnflow.service.workspace import workspace
from attnflow.views.rounding import rounded
from attnflow.web.endpoints.answers import (
    ModelAnswer,
    TokenAnswer,
    case_note,
    model_answer,
    pruned_answer,
    sentence_number,
    tokens_answer,
)
from attnflow.web.endpoints.checks import checked_heads, endpoint


class MethodAnswer(TypedDict):
    """A saliency method."""

    name: str
    title: str
    signed: bool
    measures: str
    ignores: str
    source: str


class SaliencyAnswer(TypedDict):
    """What each token has to do with a score, by one method."""

    model: ModelAnswer
    tokens: list[TokenAnswer]
    method: MethodAnswer
    target: str | None
    against: str | None
    pruned: list[list[int]]
    values: list[float]
    standard_error: list[float] | None
    relative_error: float
    total: float | None
    bias_share: float
    residual: float | None
    notes: dict[str, str | float]
    note: str


class MeritAnswer(TypedDict):
    """How faithful one explanation is; a list over fractions for each way of removal."""

    method: str
    comprehensiveness: dict[str, list[float]]
    sufficiency: dict[str, list[float]]
    merit: float
    beats_random: bool


class FaithfulnessAnswer(TypedDict):
    """How faithful all explanations of one prediction are."""

    model: ModelAnswer
    target: str
    unit: str
    whole: float
    baseline: str
    ranked: str
    fractions: list[float]
    pruned: list[list[int]]
    methods: list[MeritAnswer]
    random_merit: list[float]
    agreement: list[list[float | None]]
    verdict: str
    note: str


class SharedUnitAnswer(TypedDict):
    """A unit that both models are compared on; values are None where a model has no such unit."""

    text: str
    sentence: int | None
    value_a: float | None
    value_b: float | None
    share_a: float | None
    share_b: float | None


class CompareSaliencyAnswer(TypedDict):
    """What two models say of the same class on one text."""

    unit: str
    units: list[SharedUnitAnswer]
    a: SaliencyAnswer
    b: SaliencyAnswer
    note: str


_MERIT = (
    "Comprehensiveness: what the target loses without the top words (large is good). Sufficiency: what it loses with "
    "nothing but them (small is good). Merit: comprehensiveness - sufficiency, averaged (related to AOPC); "
    "random_merit is the same for random rankings, and what beats them is above all but 5 % of such. The pieces of a "
    "word add up. A word is removed by a token in its place, or by keeping all others from attending to it."
)


@endpoint(*SALIENCY.parameters)
def saliency(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    *,
    method: str,
    target: str,
    against: str,
    pruned: list[list[int]] | None = None,
    position: int | None = None,
) -> SaliencyAnswer:
    """Return what each token has to do with a score of the model, by one method."""
    case = workspace.case(model, sentence_a, sentence_b, checked_heads("pruned", pruned), position)
    return saliency_answer(case, case.ask(SALIENCY, method=method, target=target, against=against))


@endpoint(*REPORT.parameters)
def faithfulness(
    model: str,
    sentence_a: str,
    sentence_b: str = "",
    *,
    target: str,
    pruned: list[list[int]] | None = None,
    unit: Literal["word", "piece"],
    position: int | None = None,
) -> FaithfulnessAnswer:
    """Return which explanations of a prediction may be believed on this text, by removing the words they name."""
    case = workspace.case(model, sentence_a, sentence_b, checked_heads("pruned", pruned), position)
    return faithfulness_answer(case, reported(case, target, unit=unit))


@endpoint(*SALIENCY.parameters)
def compare_saliency(
    model_a: str,
    model_b: str,
    sentence_a: str,
    sentence_b: str = "",
    *,
    method: str,
    target: str = "",
    against: str,
    position: int | None = None,
) -> CompareSaliencyAnswer:
    """Return what each unit of a text has to do with the same class in two models, on units that both share.

    Args:
        model_a: Hub id such as "google-bert/bert-base-uncased", with "@revision" if needed, or "demo/finetuned".
        model_b: The same for the second model.
        target: Class or token that both models have; what the second model predicts if empty.
        position: Number of the unit of the answer whose prediction is meant, from 0, of checkpoints that predict
            something of each; with the same tokenizer the number of the token. Left out, what each usually predicts.
    """
    case_a, case_b = (workspace.case(model, sentence_a, sentence_b) for model in (model_a, model_b))
    cases = [case_a, case_b]
    if position is not None:
        tokens = tokens_meant((case_a, case_b), position, "piece", "position")
        cases = [_at(case, token, position) for case, token in zip(cases, tokens, strict=True)]
    b = cases[1].ask(SALIENCY, method=method, target=target, against=against)
    a = cases[0].ask(SALIENCY, method=method, target=target or (b.target or ""), against=against)
    common = on_common_units([a], [b])
    columns = [column[0] for column in (common.a, common.b, shares(common.a), shares(common.b))]
    return {
        "unit": common.unit,
        "units": [
            {
                "text": text,
                "sentence": sentence_number(part),
                "value_a": _number(value_a),
                "value_b": _number(value_b),
                "share_a": _number(share_a),
                "share_b": _number(share_b),
            }
            for text, part, value_a, value_b, share_a, share_b in zip(
                common.text, common.sentence, *columns, strict=True
            )
        ],
        "a": saliency_answer(cases[0], a),
        "b": saliency_answer(cases[1], b),
        "note": "A share is a value over the sum of the magnitudes of all values of its model, so shares compare "
        "although the scores of two models have no common unit.",
    }


def _at(case: Case, token: int | None, position: int) -> Case:
    if token is None:
        raise SelectionError(f"position is {position}, a unit that {case.card.ref} does not have; give one of both.")
    return case.at(token)


def reported(case: Case, target: str = "", against: str = "", unit: str = "word") -> Report:
    """What all methods say of a case and how faithful they are, where there is a prediction.

    Raises:
        SelectionError: If there is none.
    """
    found = case.ask(REPORT, target=target, against=against, unit=unit)
    if found.faithfulness is None:
        raise SelectionError(found.missing)
    return found


def saliency_answer(case: Case, found: Saliency) -> SaliencyAnswer:
    """One explanation as plain JSON."""
    method, error = found.method, found.standard_error
    return {
        "model": model_answer(case.card),
        "tokens": tokens_answer(found.tokens),
        "method": {
            "name": method.name,
            "title": method.title,
            "signed": method.signed,
            "measures": method.measures,
            "ignores": method.ignores,
            "source": method.source,
        },
        "target": found.target,
        "against": found.against,
        "pruned": pruned_answer(case),
        "values": [rounded(value) for value in found.values],
        "standard_error": None if error is None else [rounded(value) for value in error],
        "relative_error": rounded(found.relative_error),
        "total": None if found.total is None else rounded(found.total),
        "bias_share": rounded(found.bias_share),
        "residual": None if found.residual is None else rounded(found.residual),
        "notes": {name: value if isinstance(value, str) else rounded(value) for name, value in found.notes.items()},
        "note": case_note(case, sum_note(found)),
    }


def sum_note(found: Saliency) -> str:
    """What the values add up to, what is missing, and how far off they are if they are estimated."""
    if found.standard_error is not None:
        return (
            f"The values add up to 1. They are estimated from {found.notes['probes']} random probes, and off by "
            f"{percent(found.relative_error)} on average."
        )
    if found.total is None:
        return "The values of this method promise no sum."
    parts = f"The values add up to {found.values.sum():.3g} of {found.total:.3g}"
    if found.bias_share:
        parts += f"; biases take {found.bias_share:.3g}"
    return f"{parts}; {abs(found.residual or 0.0):.2g} is missing."


def faithfulness_answer(case: Case, found: Report) -> FaithfulnessAnswer:
    """How faithful all explanations are, as plain JSON."""
    measured = found.faithfulness
    assert measured is not None and found.target is not None
    return {
        "model": model_answer(case.card),
        "target": found.target,
        "unit": measured.unit,
        "whole": rounded(measured.whole),
        "baseline": measured.baseline,
        "ranked": measured.ranked,
        "fractions": list(measured.fractions),
        "pruned": pruned_answer(case),
        "methods": [
            {
                "method": name,
                "comprehensiveness": _by_way(measured.comprehensiveness[row]),
                "sufficiency": _by_way(measured.sufficiency[row]),
                "merit": rounded(measured.merit[row]),
                "beats_random": bool(measured.beats_random[row]),
            }
            for row, name in enumerate(measured.names)
        ],
        "random_merit": [rounded(value) for value in measured.random_merit],
        "agreement": [[_number(value) for value in row] for row in found.rank_correlation],
        "verdict": found.verdict,
        "note": case_note(case, _MERIT),
    }


def _by_way(values: np.ndarray) -> dict[str, list[float]]:
    return {way: [rounded(value) for value in row] for way, row in zip(WAYS, values, strict=True)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else rounded(value)
