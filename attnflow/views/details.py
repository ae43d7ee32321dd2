"""What is known of the selected word and head: influence of the word, map and strongest lines of the head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow.records.head_names import head_name
from attnflow.records.shares import percent
from attnflow.records.trace import Head, Tokens
from attnflow.records.words import told_apart
from attnflow.stats.differences import flow_differences
from attnflow.stats.flow import FlowPair
from attnflow.views.answer import carriers_told
from attnflow.views.heads import thumbnails
from attnflow.views.packed import packed
from attnflow.views.payloads import SIDES, Details, DetailsHead, HeadLine

_LINES = 3
"""Of a head that are told."""
MAP = 48
"""Most pixels along a side of the map of a head."""


@dataclass(frozen=True)
class SelectedHeadOf:
    """The selected head of one model, or what stands for it."""

    name: str
    """Of the model."""
    tokens: Tokens
    head: Head | None
    """None where the model has no such head."""
    absent: str
    """Why, in a sentence; empty where it has one."""
    attention: NDArray[np.floating] | None
    """`[H, T, T]`: of its layer."""
    pruned: Sequence[Head]
    """Which heads of the model are off."""
    without: str | None
    """What changes without the head; None while it is measured."""
    grammar: str = ""
    """Which relations of a treebank it follows, in a sentence, where that was measured."""


def details(flows: FlowPair, word: int | None, at: Head, sides: Sequence[SelectedHeadOf]) -> Details:
    """Describe what is selected.

    Args:
        flows: The flows of both models as they are drawn.
        word: The selected unit, if one is.
        at: The selected head, its layer counted by the deeper model.
        sides: That head in A and in B.
    """
    return {
        "word": "" if word is None else _word_told(flows, word),
        "head": head_name(at),
        "sides": [_side(index, side) for index, side in enumerate(sides)],
    }


def _word_told(flows: FlowPair, word: int) -> str:
    """The influence of a word in both models, its place among all of them, and the head that carries it.

    Empty for a word that these units do not have: it was selected in others.
    """
    if not 0 <= word < len(flows.pairing.text):
        return ""
    found = flow_differences(flows)
    names = told_apart(flows.pairing.text, flows.pairing.sentence.tolist())
    shares = []
    for side, share, place in (("A", found.share_a, flows.pairing.in_a), ("B", found.share_b, flows.pairing.in_b)):
        if place[word] < 0:
            shares.append(f"{side} has no such token")
        elif share[word] == 0:
            shares.append(f"none in {side}")
        else:
            rank = 1 + int(np.count_nonzero(share > share[word]))
            shares.append(f"{percent(float(share[word]))} in {side} (number {rank} of {np.count_nonzero(place >= 0)})")
    told = f"{names[word]}: of the influence on the decision {' and '.join(shares)}."
    return " ".join(filter(None, [told, carriers_told(flows, word, names)]))


def _side(index: int, side: SelectedHeadOf) -> DetailsHead:
    described: DetailsHead = {
        "side": SIDES[index],
        "name": side.name,
        "head": side.head,
        "absent": side.absent,
        "off": side.head is not None and side.head in side.pruned,
        "pruned": sorted(side.pruned),
        "without": side.without,
        "grammar": side.grammar,
        "size": 0,
        "pixels": "",
        "lines": [],
    }
    if side.head is not None and side.attention is not None:
        picture = thumbnails(side.attention[None], MAP)[0, side.head[1]]
        described["size"] = picture.shape[-1]
        described["pixels"] = packed(picture)
        described["lines"] = _strongest(side.attention[side.head[1]], side.tokens)
    return described


def _strongest(attention: NDArray[np.floating], tokens: Tokens) -> list[HeadLine]:
    """The strongest attention that a head pays, one line for each token that is attended to."""
    names = told_apart(tokens.text, tokens.sentence.tolist())
    best = attention.argmax(axis=0)  # for each token who attends to it most
    weight = attention[best, np.arange(len(best))]
    order = np.argsort(-weight, kind="stable")[:_LINES].tolist()
    return [{"query": names[int(best[key])], "key": names[key], "share": percent(float(weight[key]))} for key in order]
