"""The endpoint of which heads of a checkpoint follow the grammar of a treebank."""

from __future__ import annotations

from typing import Any, Literal, TypedDict, cast

from attnflow import progress
from attnflow.corpus.texts import TREEBANK
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.service.corpora import corpora
from attnflow.stats.dependencies import ALL, LEAST, DependencyResult, Found
from attnflow.web.arguments import SentFile
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import endpoint
from attnflow.web.endpoints.opened_texts import PROGRESS, TextsAnswer, opened_texts, texts_answer
from attnflow.web.endpoints.shares import ShareAnswer, share_answer

NOTE = (
    "accuracy: chosen on all sentences and scored on all, as in Clark et al.; held_out: each half of the sentences "
    "scored by what is best on the other. Intervals are Wilson's at 95 %. Relations with fewer than "
    f"{LEAST} cases are left out."
)


class HeadFound(TypedDict):
    """The head that finds most governors."""

    layer: int
    head: int
    direction: str
    accuracy: ShareAnswer
    held_out: ShareAnswer


class OffsetFound(TypedDict):
    """The fixed offset that does."""

    offset: int
    accuracy: ShareAnswer
    held_out: ShareAnswer


class RelationAnswer(TypedDict):
    """One relation of the treebank, or "all" but punctuation."""

    relation: str
    n: int
    best: HeadFound
    baseline: OffsetFound


class GrammarAnswer(TypedDict):
    """Which heads follow which relations."""

    model: ModelAnswer
    texts: TextsAnswer
    pooling: str
    sentences: int
    failed: dict[str, str]
    left_out: int
    relations: list[RelationAnswer]
    note: str


@endpoint(one_text=False)
def dependency_heads(
    model: str,
    treebank: str = TREEBANK,
    rows: int = 200,
    pooling: Literal["mean", "first"] = "mean",
    subtypes: bool = True,
    name: str = "",
    split: str = "",
    revision: str = "",
    seed: int = 0,
    too_long: Literal["cut", "leave_out"] = "cut",
    file: SentFile | None = None,
) -> GrammarAnswer:
    """Return for each relation of a treebank the head whose choice is most often the governor, and the best offset.

    Args:
        treebank: "demo/sentences", or a data set of the Hub with files in CoNLL-U.
        pooling: What a word of several tokens attends to: the "mean" of them, or what the "first" does.
        subtypes: Whether relations such as nsubj:pass are told by themselves; if not, they count under nsubj.
    """
    with opened_texts(treebank, None, rows, name, split, revision, seed, file, bundled=TREEBANK) as (page, opened):
        card = ModelCard.of(open_checkpoint(model))
        with progress.reporting(lambda what, share: PROGRESS(share, desc=what)):
            found = corpora.statistics(opened, card.pinned, page, ["dependencies"], pooling=pooling, too_long=too_long)
        result = cast("DependencyResult", found["dependencies"])
        told = result if subtypes else result.universal()
        names = sorted((one for one in told.relations if told.n[one] >= LEAST), key=lambda one: -told.n[one])
        return {
            "model": answers.model_answer(card),
            "texts": texts_answer(opened),
            "pooling": told.pooling,
            "sentences": told.n_sentences,
            "failed": dict(list(found.failed.items())[:100]),
            "left_out": told.left_out,
            "relations": [_relation(told, one) for one in (ALL, *names) if told.n[one]],
            "note": NOTE,
        }


def _relation(found: DependencyResult, name: str) -> RelationAnswer:
    best, baseline = found.best(name), found.baseline(name)
    return {
        "relation": name,
        "n": found.n[name],
        "best": cast(
            "HeadFound", {"layer": best.layer, "head": best.head, "direction": best.direction, **_shares(best)}
        ),
        "baseline": cast("OffsetFound", {"offset": baseline.offset, **_shares(baseline)}),
    }


def _shares(found: Found) -> dict[str, Any]:
    return {"accuracy": share_answer(found.on_all), "held_out": share_answer(found.held_out)}
