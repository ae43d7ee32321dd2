"""Sentences of a treebank with their true governors and with those that a head chose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from attnflow.records.head_names import head_name
from attnflow.records.trees import Sentence
from attnflow.stats.dependencies import ALL, DIRECTIONS, Direction
from attnflow.views.grammar import GrammarCell, GrammarSentence, GrammarSentences

SHORT = 6
"""Words of a sentence below which it shows little: those come last."""


def grammar_sentences(
    cell: GrammarCell,
    direction: Direction,
    trees: Sequence[Sentence],
    rows: Sequence[int],
    words: Sequence[NDArray[np.integer]],
    chosen: Sequence[NDArray[np.integer]],
    n_with: int,
) -> GrammarSentences:
    """What is drawn of a head's choices: sentences where all are right, where some are wrong, in order of length.

    Args:
        cell: Which head of which model, and the relation.
        direction: Which word of two is looked at.
        trees: The sentences.
        rows: The number of each in its collection.
        words: For each `[case]`: words of the relation.
        chosen: For each `[case]`: what the head takes for their governors; -1 for none.
        n_with: Sentences of the collection that have the relation.
    """
    right, wrong = list[GrammarSentence](), list[GrammarSentence]()
    order = sorted(range(len(trees)), key=lambda number: (len(trees[number]) < SHORT, len(trees[number])))
    for number in order:
        governor = trees[number].governor
        pairs = list(zip(words[number].tolist(), chosen[number].tolist(), strict=True))
        sentence: GrammarSentence = {
            "row": int(rows[number]),
            "words": list(trees[number].words),
            "gold": [{"word": word, "to": governor[word]} for word, _ in pairs],
            "chosen": [{"word": word, "to": to, "right": to == governor[word]} for word, to in pairs if to >= 0],
        }
        (right if all(to == governor[word] for word, to in pairs) else wrong).append(sentence)
    name, relation = head_name(cell["head"]), cell["relation"]
    of = f" of {n_with:,}" if n_with != len(trees) else ""
    looks = (
        "the word that each of these attends to most"
        if direction == DIRECTIONS[0]
        else "the word that attends most to each of these"
    )
    what = "all words" if relation == ALL else f"{relation}"
    return {
        "cell": cell,
        "told": (
            f"{len(trees):,}{of} sentences with {what}. Above the words: the true governor. Below: what {name} of "
            f"{cell['side'].upper()} chooses, {looks}."
        ),
        "relation": "" if relation == ALL else relation,
        "right": right,
        "wrong": wrong,
    }
