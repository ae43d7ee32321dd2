"""What each token has to do with a score, and which explanation may be believed."""

from __future__ import annotations

from attnflow.methods.saliency.erasure import passes
from attnflow.methods.saliency.explain import Saliency, find_method, saliency
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.report import Report, report
from attnflow.records.words import Unit
from attnflow.service.analyses.work import forward
from attnflow.service.case import Case
from attnflow.service.registry import Analysis, Parameter

PREDICTED = ""
"""Value of a target that stands for what the checkpoint predicts."""


def _explained(case: Case, method: str, target: str, against: str) -> Saliency:
    return saliency(
        case.checkpoint,
        case.encoding,
        target=target or None,
        method=method,
        against=against or None,
        pruned=case.pruned,
    )


def _reported(case: Case, target: str, against: str, unit: Unit = "word") -> Report:
    return report(
        case.checkpoint,
        case.encoding,
        target=target or None,
        against=against or None,
        pruned=case.pruned,
        methods=affordable_methods(case),
        unit=unit,
    )


def affordable_methods(case: Case) -> tuple[str, ...]:
    """The methods that together are no more work than one request may be: without the costliest, but never none."""
    assert case.workspace is not None, "only a workspace knows how much one request may be"
    most = case.workspace.most_operations - passes(len(METHODS)) * forward(case)
    names = sorted(METHODS, key=lambda name: METHODS[name].passes(case.n_tokens))
    while len(names) > 1 and sum(METHODS[name].passes(case.n_tokens) for name in names) * forward(case) > most:
        names.pop()
    return tuple(name for name in METHODS if name in names)


def _one_work(case: Case, method: str, target: str, against: str) -> float:
    return find_method(method).passes(case.n_tokens) * forward(case)


def _all_work(case: Case, target: str, against: str, unit: Unit = "word") -> float:
    methods = affordable_methods(case)
    explaining = sum(METHODS[name].passes(case.n_tokens) for name in methods)
    return (explaining + passes(len(methods))) * forward(case)


METHOD = Parameter(
    "method",
    str,
    "integrated_gradients",
    f"{', '.join(list(METHODS)[:-1])} or {list(METHODS)[-1]}.",
    {method.name: method.title for method in METHODS.values()},
)
TARGET = Parameter(
    "target",
    str,
    PREDICTED,
    "Class, or for language models a token, whose score is explained; what the model predicts if empty.",
)
AGAINST = Parameter("against", str, "", "Second class or token, whose score is subtracted; none if empty.")
UNIT = Parameter(
    "unit",
    Unit,
    "word",
    "What is ranked and removed: word, whose value is the sum over its pieces, or piece.",
    {"word": "Words", "piece": "Pieces"},
)

SALIENCY = Analysis(
    name="saliency",
    says="What each token has to do with a score of the model, by one method.",
    parameters=(METHOD, TARGET, AGAINST),
    compute=_explained,
    work=_one_work,
    of_prediction=True,
)
REPORT = Analysis(
    name="faithfulness",
    says="What all methods say of a score, and which of them may be believed on this text.",
    parameters=(TARGET, AGAINST, UNIT),
    compute=_reported,
    work=_all_work,
    of_prediction=True,
)
