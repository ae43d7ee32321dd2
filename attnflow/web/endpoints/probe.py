"""The endpoint of how much of a treebank's trees can be read out of a checkpoint's attention."""

from __future__ import annotations

from typing import Literal, TypedDict

from attnflow.corpus.probe_result import AttentionProbe
from attnflow.corpus.texts import TREEBANK
from attnflow.records.parses import Parse
from attnflow.records.trees import ROOT
from attnflow.service.case import ModelCard, open_checkpoint
from attnflow.service.probes import probes
from attnflow.stats.proportion import Proportion
from attnflow.views.probe_bars import SAYS
from attnflow.views.rounding import rounded
from attnflow.web.arguments import SentFile
from attnflow.web.endpoints import answers
from attnflow.web.endpoints.answers import ModelAnswer
from attnflow.web.endpoints.checks import endpoint
from attnflow.web.endpoints.opened_texts import TextsAnswer, opened_texts, telling, texts_answer
from attnflow.web.endpoints.shares import ends

NOTE = (
    "uas: share of the words of held-out sentences, punctuation left out, whose governor is found; as in Clark et al. "
    "(section 5, table 3) each word's best governor counts, tree or not. selectivity: uas minus that of the same probe "
    "on shuffled trees. Intervals are Wilson's at 95 %. parse: the most probable tree with one root."
)


class ProbeRow(TypedDict):
    """One row of the table; bars of a chart."""

    name: str
    says: str
    uas: float
    interval: list[float]
    n: int


class CurveAnswer(TypedDict):
    """How the probe was trained, a number an epoch."""

    loss: list[float]
    dev_loss: list[float]
    dev_uas: list[float]
    best: int


class ParseAnswer(TypedDict):
    """The tree of the sentence that was sent."""

    words: list[str]
    governor: list[int | None]
    probability: list[float]


class ProbeAnswer(TypedDict):
    """How well a probe does, and beside what."""

    model: ModelAnswer
    texts: TextsAnswer
    kind: str
    uas: float
    interval: list[float]
    n: int
    selectivity: float
    table: list[ProbeRow]
    offset: int
    sentences: dict[str, int]
    curve: CurveAnswer
    failed: dict[str, str]
    parse: ParseAnswer | None
    note: str


@endpoint(one_text=False)
def probe(
    model: str,
    treebank: str = TREEBANK,
    kind: Literal["attention", "attention and words"] = "attention",
    rows: int = 1000,
    sentence: str = "",
    name: str = "",
    split: str = "",
    revision: str = "",
    seed: int = 0,
    file: SentFile | None = None,
) -> ProbeAnswer:
    """Train a probe that finds each word's governor from a checkpoint's attention; return its score beside baselines.

    Args:
        treebank: "demo/sentences", or a data set of the Hub with files in CoNLL-U.
        kind: A linear combination of all heads ("attention"), or one whose weights depend on the two words, too.
        sentence: A sentence to parse with the probe; may be empty. A probe is kept, so asking again is quick.
        seed: The same seed draws the same texts, splits them the same way, and trains the same probe.
    """
    with opened_texts(treebank, None, rows, name, split, revision, seed, file, bundled=TREEBANK) as (page, opened):
        card = ModelCard.of(open_checkpoint(model))
        with telling():
            found = probes.probe(opened, card.pinned, page, kind, seed)
        parse = probes.parse(found, card.pinned, sentence) if sentence.strip() else None
        learnt, stopped, scored = found.sentences
        return {
            "model": answers.model_answer(card),
            "texts": texts_answer(opened),
            "kind": found.settings.kind,
            "uas": rounded(found.uas),
            "interval": ends(found.found),
            "n": found.n,
            "selectivity": rounded(found.selectivity),
            "table": [_row(name, share) for name, share in found.table()],
            "offset": found.offset,
            "sentences": {"learnt_from": learnt, "stopped_by": stopped, "scored": scored},
            "curve": _curve(found),
            "failed": dict(list(found.failed.items())[:100]),
            "parse": None if parse is None else _parse(parse),
            "note": NOTE,
        }


def _row(name: str, found: Proportion) -> ProbeRow:
    return {
        "name": name,
        "says": SAYS[name],
        "uas": rounded(found.share),
        "interval": ends(found),
        "n": found.n,
    }


def _curve(found: AttentionProbe) -> CurveAnswer:
    of = found.curve
    loss, dev_loss, dev_uas = ([rounded(float(one)) for one in part] for part in (of.loss, of.dev_loss, of.dev_uas))
    return {"loss": loss, "dev_loss": dev_loss, "dev_uas": dev_uas, "best": of.best}


def _parse(found: Parse) -> ParseAnswer:
    return {
        "words": list(found.words),
        "governor": [None if governor == ROOT else governor for governor in found.governor],
        "probability": [rounded(float(one)) for one in found.confidence],
    }
