"""The endpoint that compares the heads of two checkpoints which follow the relations of a treebank."""

from __future__ import annotations

from typing import Literal, TypedDict

from attnflow.corpus.texts import TREEBANK
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.service.corpora import corpora
from attnflow.stats.compared_dependencies import ComparedRelation
from attnflow.views.rounding import rounded
from attnflow.web.arguments import SentFile
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import endpoint
from attnflow.web.endpoints.opened_texts import TextsAnswer, opened_texts, telling, texts_answer
from attnflow.web.endpoints.shares import HeadFound, head_found

NOTE = (
    "Each half of the sentences is scored by the head that is best on the other half, of each model; n words have a "
    "token in both. only_a, only_b: words whose governor only A, or only B, finds. p: McNemar's exact test; "
    "p_corrected: Holm's correction for the number of relations, below 0.05 where differs is true."
)


class ComparedAnswer(TypedDict):
    """One relation of the treebank, or "all" but punctuation."""

    relation: str
    n: int
    a: HeadFound
    b: HeadFound
    difference: float
    only_a: int
    only_b: int
    p: float
    p_corrected: float
    differs: bool


class ComparisonAnswer(TypedDict):
    """Two models on one treebank."""

    model_a: ModelAnswer
    model_b: ModelAnswer
    texts: TextsAnswer
    pooling: str
    sentences: int
    failed: dict[str, str]
    left_out: int
    few: int
    relations: list[ComparedAnswer]
    note: str


@endpoint(one_text=False)
def compare_dependency_heads(
    model_a: str,
    model_b: str,
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
) -> ComparisonAnswer:
    """Return for each relation of a treebank the best head of two checkpoints, and whether they differ beyond chance.

    Args:
        model_a: The first checkpoint, as model elsewhere.
        model_b: The second checkpoint.
        treebank: "demo/sentences", or a data set of the Hub with files in CoNLL-U.
        pooling: What a word of several tokens attends to: the "mean" of them, or what the "first" does.
        subtypes: Whether relations such as nsubj:pass are told by themselves; if not, they count under nsubj.
    """
    with opened_texts(treebank, None, rows, name, split, revision, seed, file, bundled=TREEBANK) as (page, opened):
        card_a, card_b = (ModelCard.of(open_checkpoint(model)) for model in (model_a, model_b))
        with telling():
            found = corpora.compared(
                opened, card_a.pinned, card_b.pinned, page, pooling=pooling, subtypes=subtypes, too_long=too_long
            )
        return {
            "model_a": answers.model_answer(card_a),
            "model_b": answers.model_answer(card_b),
            "texts": texts_answer(opened),
            "pooling": pooling,
            "sentences": found.n_sentences,
            "failed": dict(found.failed[:100]),
            "left_out": found.left_out,
            "few": found.few,
            "relations": [_relation(one) for one in found.relations],
            "note": NOTE,
        }


def _relation(one: ComparedRelation) -> ComparedAnswer:
    return {
        "relation": one.relation,
        "n": one.n,
        "a": head_found(one.a),
        "b": head_found(one.b),
        "difference": rounded(one.difference),
        "only_a": one.only_a,
        "only_b": one.only_b,
        "p": rounded(one.p),
        "p_corrected": rounded(one.p_corrected),
        "differs": one.differs,
    }
