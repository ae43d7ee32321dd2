"""What `attnflow compare-heads` does: compares the heads of two models that follow a treebank, and prints the table."""

from __future__ import annotations

import sys

from attnflow.corpus.compared_heads import compare_dependency_heads
from attnflow.corpus.survey import TooLong
from attnflow.corpus.survey_command import ProgressLine, open_named_texts, say_reasons
from attnflow.records.head_names import head_name
from attnflow.records.shares import percent
from attnflow.runtime.load import load_checkpoint
from attnflow.stats.compared_dependencies import LEVEL, ComparedRelation, DependencyComparison
from attnflow.stats.dependencies import Found
from attnflow.stats.word_attention import Pooling


def run(
    model_a: str,
    model_b: str,
    ref: str,
    *,
    pooling: Pooling = "mean",
    subtypes: bool = True,
    name: str | None = None,
    split: str | None = None,
    rows: int | None = None,
    seed: int = 0,
    too_long: TooLong = "cut",
    max_tokens: int | None = None,
    device: str = "auto",
    dtype: str | None = None,
) -> None:
    """Compare two models and print the table; arguments as `attnflow compare-heads --help` tells them.

    Raises:
        AttnflowError: As `open_texts`, `load_checkpoint` and `compare_dependency_heads`.
    """
    texts = open_named_texts(ref, name, split, rows, seed, ())
    models = [load_checkpoint(model, device=device, dtype=dtype) for model in (model_a, model_b)]
    found = compare_dependency_heads(
        models[0],
        models[1],
        texts,
        pooling=pooling,
        subtypes=subtypes,
        too_long=too_long,
        max_tokens=max_tokens,
        progress=ProgressLine(),
    )
    print(file=sys.stderr)
    print(f"A: {models[0].name}, B: {models[1].name}; {found.n_sentences:,} sentences read by both.")
    say_reasons(dict(found.failed))
    _say_relations(found)


def _say_relations(found: DependencyComparison) -> None:
    """A row for each relation with enough words: the best head of each model, held out, and what chance says of it."""
    width = max(len(one.relation) for one in found.relations)
    print(
        "The best head of each, chosen on one half of the sentences and scored on the other; words that one alone "
        "finds; p of McNemar's exact test, by Holm for the number of relations:"
    )
    print(
        f"  {'relation':{width}} {'words':>7}  {'head of A':17}  {'head of B':17}  {'A - B':>7} {'only A':>7} "
        f"{'only B':>7}  {'p':>7}"
    )
    for one in found.relations:
        print(f"  {one.relation:{width}} {_row(one)}")
    if found.few:
        print(f"{found.few:,} relations have too few words, or none in one half of the sentences, and are left out.")
    if found.left_out:
        print(f"{found.left_out:,} words are left out: they or their governors have no token in one of the models.")
    differing = [one.relation for one in found.relations if one.differs]
    print(f"Different at {100 * LEVEL:.0f} % over all relations together: {', '.join(differing) or 'none'}.")


def _row(one: ComparedRelation) -> str:
    return (
        f"{one.n:7,}  {_head(one.a)}  {_head(one.b)}  {100 * one.difference:+7.1f} {one.only_a:7,} {one.only_b:7,}  "
        f"{one.p_corrected:7.2g}{' *' if one.differs else ''}"
    )


def _head(found: Found) -> str:
    assert found.layer is not None and found.head is not None, "a relation that is told has a best head"
    return f"{head_name((found.layer, found.head)):8} {percent(found.held_out.share, 1):>8}"
