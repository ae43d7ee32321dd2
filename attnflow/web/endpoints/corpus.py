"""The endpoint of what the heads of a checkpoint do over a whole collection of texts."""

from __future__ import annotations

import math
from typing import Any, Literal, TypedDict

from attnflow.corpus.corpus_files import embedded
from attnflow.corpus.texts import BUNDLED
from attnflow.errors import SelectionError
from attnflow.records.corpus import CorpusStatistics
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.service.corpora import corpora
from attnflow.views.rounding import rounded
from attnflow.web import arguments
from attnflow.web.arguments import SentFile
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import endpoint
from attnflow.web.endpoints.opened_texts import (
    TextsAnswer,
    check_classes,
    opened_texts,
    split_pairs,
    telling,
    texts_answer,
)

USUAL = ("surface", "entropy", "positions", "patterns")


class GroupAnswer(TypedDict):
    """All texts, or those of one group."""

    group: str | None
    n: int
    heads: list[dict[str, Any]]


class HeadMapAnswer(TypedDict):
    """All heads in the plane by how differently they attend."""

    points: list[list[float]]
    stress: float


class CorpusAnswer(TypedDict):
    """What the heads of a checkpoint do over a collection."""

    model: ModelAnswer
    texts: TextsAnswer
    statistics: list[str]
    n: int
    cut: int
    failed: dict[str, str]
    units: dict[str, str]
    groups: list[GroupAnswer]
    map: HeadMapAnswer | None
    note: str


@endpoint(one_text=False)
def corpus_statistics(
    model: str,
    texts: str = BUNDLED,
    statistics: list[str] | None = None,
    rows: int = 200,
    group_by: str = "",
    columns: list[str] | None = None,
    name: str = "",
    split: str = "",
    revision: str = "",
    labels: list[str] | None = None,
    seed: int = 0,
    too_long: Literal["cut", "leave_out"] = "cut",
    file: SentFile | None = None,
) -> CorpusAnswer:
    """Return what every head of a checkpoint does over a collection: a row for each head, and for groups of texts.

    Args:
        statistics: Of "surface", "entropy", "attention_gradient", "head_distances", "positions",
            "contribution_positions", "agreement", "patterns" and "importance"; null for the four that cost least.
        group_by: A column of the texts: everything is told for each of its values, too; empty for all texts alone.
    """
    with opened_texts(texts, columns, rows, name, split, revision, seed, file) as (page, opened):
        check_classes(labels, model)
        wanted = list(USUAL) if statistics is None else statistics
        if len(set(wanted)) < len(wanted):
            raise SelectionError(f"statistics names {arguments.came(wanted)}; give each once.")
        card = ModelCard.of(open_checkpoint(model))
        with telling():
            found = corpora.statistics(
                opened,
                card.pinned,
                page,
                wanted,
                group_by=group_by or None,
                labels=split_pairs("labels", labels, "1=entailment"),
                too_long=too_long,
            )
        drawn = embedded(found)
        return {
            "model": answers.model_answer(card),
            "texts": texts_answer(opened),
            "statistics": [one for one, _ in found.settings.statistics],
            "n": found.n,
            "cut": found.cut,
            "failed": dict(list(found.failed.items())[:100]),
            "units": {
                "attention": "share",
                "entropy": "nats",
                "gradient": "units of the loss",
                "centre of mass": "tokens",
            },
            "groups": [
                {"group": None if group == "" else group, "n": _n(found, group), "heads": _heads(found, group)}
                for group in found.tables
            ],
            "map": None
            if drawn is None
            else {
                "points": [[rounded(x), rounded(y)] for x, y in drawn.points.tolist()],
                "stress": rounded(drawn.stress),
            },
            "note": " ".join(found.notes),
        }


def _n(found: CorpusStatistics, group: str) -> int:
    return found.n if group == "" else found.n_by_group[group]


def _heads(found: CorpusStatistics, group: str) -> list[dict[str, Any]]:
    return [{name: _number(value) for name, value in row.items()} for row in found.rows(group)]


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return rounded(value) if math.isfinite(value) else None
    return value
