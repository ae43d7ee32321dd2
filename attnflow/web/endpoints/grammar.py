"""The endpoint of which heads of a checkpoint follow the grammar of a treebank."""

from __future__ import annotations

from typing import Literal, TypedDict, cast

from attnflow.corpus.texts import TREEBANK
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.stats.dependencies import ALL, LEAST, DependencyResult
from attnflow.web.arguments import SentFile
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import endpoint
from attnflow.web.endpoints.opened_texts import TextsAnswer, opened_texts, telling, texts_answer
from attnflow.web.endpoints.shares import HeadFound, ShareAnswer, head_found, share_answer, with_control

NOTE = (
    "accuracy: chosen on all sentences and scored on all, as in Clark et al.; held_out: each half of the sentences "
    "scored by what is best on the other, null if one half has no case. Intervals are Wilson's at 95 %. Relations with "
    f"fewer than {LEAST} cases are left out. random: the best head of the same architecture with random weights."
)


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
    random: HeadFound | None
    """Of the same architecture with random weights; None if that was not asked for."""


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
    random_weights: bool = False,
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
        random_weights: Whether the best head of the same architecture with random weights is told, too: what the shape
            of the model and positions alone give.
    """
    with opened_texts(treebank, None, rows, name, split, revision, seed, file, bundled=TREEBANK) as (page, opened):
        card = ModelCard.of(open_checkpoint(model))
        with telling():
            found, results = with_control(
                "dependencies",
                opened,
                card.pinned,
                page,
                random_weights=random_weights,
                pooling=pooling,
                too_long=too_long,
            )
        both = cast("list[DependencyResult]", results)
        told, *controls = both if subtypes else [one.universal() for one in both]
        control = controls[0] if controls else None
        names = sorted((one for one in told.relations if told.n[one] >= LEAST), key=lambda one: -told.n[one])
        return {
            "model": answers.model_answer(card),
            "texts": texts_answer(opened),
            "pooling": told.pooling,
            "sentences": told.n_sentences,
            "failed": dict(list(found.failed.items())[:100]),
            "left_out": told.left_out,
            "relations": [_relation(told, control, one) for one in (ALL, *names) if told.n[one]],
            "note": NOTE,
        }


def _relation(found: DependencyResult, control: DependencyResult | None, name: str) -> RelationAnswer:
    baseline = found.baseline(name)
    assert baseline.offset is not None, "it is an offset"
    there = control is not None and (name == ALL or name in control.relations)
    return {
        "relation": name,
        "n": found.n[name],
        "best": head_found(found.best(name)),
        "baseline": {
            "offset": baseline.offset,
            "accuracy": share_answer(baseline.on_all),
            "held_out": share_answer(baseline.held_out),
        },
        "random": head_found(control.best(name)) if control is not None and there else None,
    }
