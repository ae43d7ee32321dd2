"""What `attnflow probe` does: trains a probe on a treebank, and prints it beside what it is to be held against."""

from __future__ import annotations

import sys

from attnflow.corpus.attention_probe import attention_probe
from attnflow.corpus.probe_result import AttentionProbe
from attnflow.corpus.survey_command import ProgressLine, open_named_texts, say_reasons
from attnflow.records.parses import Parse
from attnflow.records.shares import between, percent
from attnflow.records.trees import ROOT
from attnflow.runtime.load import load_checkpoint


def run(
    model: str,
    ref: str,
    *,
    words: bool = False,
    vectors: str | None = None,
    parse: str | None = None,
    name: str | None = None,
    split: str | None = None,
    rows: int | None = None,
    seed: int = 0,
    max_tokens: int | None = None,
    device: str = "auto",
    dtype: str | None = None,
) -> None:
    """Train a probe and print the table; arguments as `attnflow probe --help` tells them.

    Raises:
        AttnflowError: As `open_texts`, `load_checkpoint` and `attention_probe`.
    """
    texts = open_named_texts(ref, name, split, rows, seed, ())
    checkpoint = load_checkpoint(model, device=device, dtype=dtype)
    found = attention_probe(
        checkpoint, texts, words=words, vectors=vectors, seed=seed, max_tokens=max_tokens, progress=ProgressLine()
    )
    print(file=sys.stderr)
    _say_table(found)
    say_reasons(found.failed)
    if parse is not None:
        _say_parse(found.parse(parse))


def _say_table(found: AttentionProbe) -> None:
    """Table 3 of Clark et al., with intervals, and the control below it."""
    learnt, stopped, scored = found.sentences
    print(
        f"Governors of {found.n:,} words of {scored:,} sentences, punctuation left out; learnt from {learnt:,} "
        f"sentences, stopped by {stopped:,} others in epoch {len(found.curve.loss)}:"
    )
    told = {
        "fixed offset": f"fixed offset {found.offset:+d}",
        "random weights": f"random weights, {found.settings.kind}",
    }
    rows = [(told.get(name, name), share) for name, share in found.table()]
    width = max(len(name) for name, _ in rows)
    print(f"  {'model':{width}}       UAS  95 % interval")
    for name, share in rows:
        low, high = share.interval
        print(f"  {name:{width}}  {percent(share.share, 1):>8}  {between(low, high)}")
    print(f"Selectivity, {found.settings.kind} minus shuffled trees: {100 * found.selectivity:.1f} points.")


def _say_parse(found: Parse) -> None:
    print("The most probable tree:")
    width = max(map(len, found.words))
    for word, governor, sure in zip(found.words, found.governor, found.confidence, strict=True):
        print(f"  {word:{width}}  <- {'(root)' if governor == ROOT else found.words[governor]}  {percent(sure)}")
