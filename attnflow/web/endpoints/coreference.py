"""The endpoint of which heads of a checkpoint find the antecedents of mentions."""

from __future__ import annotations

from typing import Literal, TypedDict, cast

from attnflow.corpus.texts import CHAINS
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.stats.antecedents import RULES
from attnflow.stats.coreference import ALL, CoreferenceResult
from attnflow.web.arguments import SentFile
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import endpoint
from attnflow.web.endpoints.opened_texts import TextsAnswer, opened_texts, telling, texts_answer
from attnflow.web.endpoints.shares import ShareAnswer, head_accuracies, share_answer, with_control

NOTE = (
    "accuracy: chosen on all texts and scored on all, as in Clark et al.; held_out: each half of the texts scored "
    "by what is best on the other, null if one half has no case. Intervals are Wilson's at 95 %. baselines need no "
    "model; sieves: the nearest mention with the same words, else with the same head word, else of agreeing number, "
    "gender and person, else any. left_out: mentions that, or all whose antecedents, are behind the end of a "
    "text that was cut."
)


class AntecedentHeadFound(TypedDict):
    """The head that finds most antecedents."""

    layer: int
    head: int
    accuracy: ShareAnswer
    held_out: ShareAnswer


class MentionsAnswer(TypedDict):
    """Mentions of one kind, or "all"."""

    kind: str
    n: int
    best: AntecedentHeadFound
    best_of_all: ShareAnswer
    """Of the head that is best over all kinds."""
    baselines: dict[str, ShareAnswer]
    random: AntecedentHeadFound | None
    """Of the same architecture with random weights; None if that was not asked for."""
    heads: list[list[float]]
    """`[L][H]`: the share of antecedents that each head finds."""


class CoreferenceAnswer(TypedDict):
    """Which heads find antecedents."""

    model: ModelAnswer
    texts: TextsAnswer
    candidates: str
    pooling: str
    documents: int
    cut: int
    failed: dict[str, str]
    left_out: int
    kinds: list[MentionsAnswer]
    note: str


@endpoint(one_text=False)
def coreference_heads(
    model: str,
    documents: str = CHAINS,
    rows: int = 200,
    candidates: Literal["before", "mentions", "all"] = "before",
    pooling: Literal["mean", "first"] = "mean",
    random_weights: bool = False,
    name: str = "",
    split: str = "",
    revision: str = "",
    seed: int = 0,
    too_long: Literal["cut", "leave_out"] = "cut",
    file: SentFile | None = None,
) -> CoreferenceAnswer:
    """Return for each kind of mention the head whose choice is most often an antecedent, and three rules to beat.

    Args:
        documents: "demo/coreference", or a data set of the Hub with files in CoNLL-2012 or GAP.
        candidates: Which words a head chooses from: all "before" the mention, those of other "mentions" before it, or
            "all" others of the text.
        pooling: What a word of several tokens attends to: the "mean" of them, or what the "first" does.
        random_weights: Whether the best head of the same architecture with random weights is told, too: what the shape
            of the model and positions alone give.
    """
    with opened_texts(documents, None, rows, name, split, revision, seed, file, bundled=CHAINS) as (page, opened):
        card = ModelCard.of(open_checkpoint(model))
        with telling():
            found, results = with_control(
                "coreference",
                opened,
                card.pinned,
                page,
                random_weights=random_weights,
                pooling=pooling,
                candidates=candidates,
                too_long=too_long,
            )
        result, *controls = cast("list[CoreferenceResult]", results)
        control = controls[0] if controls else None
        return {
            "model": answers.model_answer(card),
            "texts": texts_answer(opened),
            "candidates": result.candidates,
            "pooling": result.pooling,
            "documents": result.n_documents,
            "cut": found.cut,
            "failed": dict(list(found.failed.items())[:100]),
            "left_out": result.left_out,
            "kinds": [_mentions(result, control, kind) for kind in (ALL, *result.kinds) if result.n[kind]],
            "note": NOTE,
        }


def _mentions(found: CoreferenceResult, control: CoreferenceResult | None, kind: str) -> MentionsAnswer:
    over_all = found.best(ALL)
    return {
        "kind": kind,
        "n": found.n[kind],
        "best": _head(found, kind),
        "best_of_all": share_answer(found.at(over_all.layer, over_all.head, kind)),
        "baselines": {rule: share_answer(found.baseline(rule, kind)) for rule in RULES},
        "random": _head(control, kind) if control is not None and control.n[kind] else None,
        "heads": head_accuracies(found.accuracy[kind]),
    }


def _head(found: CoreferenceResult, kind: str) -> AntecedentHeadFound:
    best = found.best(kind)
    return {
        "layer": best.layer,
        "head": best.head,
        "accuracy": share_answer(best.on_all),
        "held_out": share_answer(best.held_out),
    }
