"""The trees that the probes of two models read out of one sentence, as arcs over its words."""

from __future__ import annotations

from collections.abc import Sequence

from attnflow.records.parses import Parse
from attnflow.records.shares import percent
from attnflow.records.trees import ROOT
from attnflow.views.grammar import ParsedArc, ParsedTree, ParsedTrees
from attnflow.views.payloads import Side


def probe_trees(parses: Sequence[tuple[Side, str, Parse]], kind: str) -> ParsedTrees:
    """What is drawn.

    Args:
        parses: Of each model its side, its name and what its probe reads out of the sentence.
        kind: Of the probes.
    """
    known = any(parse.gold is not None for _, _, parse in parses)
    where = (
        "Above the words: the tree of the treebank. Below: what the probe reads out of the model; it learnt from most "
        "sentences of the treebank, and knows these better than others."
        if known
        else "No tree of this sentence is known: these are read out of the models by their probes."
    )
    return {
        "told": f"{where} The number at an arc is its probability in percent, the marked word is the root.",
        "kind": kind,
        "trees": [_tree(*one) for one in parses],
    }


def _tree(side: Side, name: str, parse: Parse) -> ParsedTree:
    sure, gold = parse.confidence, parse.gold
    arcs = list[ParsedArc]()
    for word, to in enumerate(parse.governor):
        if to != ROOT:
            right = None if gold is None else gold[word] == to
            arcs.append({"word": word, "to": to, "probability": round(float(sure[word]), 4), "right": right})
    told = f"{parse.words[parse.root]} is the root ({percent(sure[parse.root])})."
    if gold is not None:
        n_right = sum(own == true for own, true in zip(parse.governor, gold, strict=True))
        told = f"{n_right} of {len(parse)} governors are those of the treebank. {told}"
    return {
        "side": side,
        "name": name,
        "words": list(parse.words),
        "root": parse.root,
        "arcs": arcs,
        "gold": [{"word": word, "to": to} for word, to in enumerate(gold or ()) if to != ROOT],
        "told": told,
    }
