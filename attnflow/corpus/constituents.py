"""Finds the head word of a phrase in a tree that is written in brackets, as in the parse column of CoNLL-2012."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_PIECE = re.compile(r"\(([^\s()*]+)|(\*)|(\))|([^\s])")
_NOUN_PHRASES = frozenset({"NP", "NML", "NX", "WHNP", "NAC"})
_NOUNS = ("NN", "NNS", "NNP", "NNPS", "NX", "JJR")
_CLAUSES = ("VP", "VBD", "VBZ", "VBP", "VBG", "VBN", "VB", "MD", "S", "NP", "NML")
_DEEPEST = 500
"""Phrases in one another; far above those of any sentence, so that no file makes a reader keep more."""
_NO_HEADS = ("POS", ",", ".", ":", "``", "''", "-LRB-", "-RRB-")


@dataclass
class Phrase:
    """A constituent, or a single word with its part of speech."""

    label: str
    start: int
    end: int = -1
    children: list[Phrase] = field(default_factory=list["Phrase"])
    head: int = -1
    """Its head word once it was looked for, as it is that of the phrases around it, too."""


def head_in_tree(phrase: Phrase) -> int:
    """The head word of a phrase.

    Of a noun phrase by the rules of Collins (1999), but for the possessive `'s`, which is no head here: the last noun,
    else the first noun phrase, else the last adjective phrase, number or adjective, else its last word. Of any other
    phrase its first verb phrase or verb, else its last part.
    """
    path: list[Phrase] = []
    while phrase.children and phrase.head < 0:
        path.append(phrase)
        phrase = _head_child(phrase)
    head = phrase.head if phrase.children else phrase.start
    for one in path:
        one.head = head
    return head


def _head_child(phrase: Phrase) -> Phrase:
    parts = [one for one in phrase.children if one.label not in _NO_HEADS] or phrase.children
    back = parts[::-1]
    if phrase.label.split("-")[0] in _NOUN_PHRASES:
        orders = (
            (back, _NOUNS),
            (parts, ("NP", "NML", "WHNP")),
            (back, ("$", "ADJP", "PRN")),
            (back, ("CD",)),
            (back, ("JJ", "JJS", "RB", "QP")),
        )
    else:
        orders = tuple((parts, (label,)) for label in _CLAUSES)
    for among, labels in orders:
        for one in among:
            if one.label.split("-")[0] in labels:
                return one
    return back[0]


def phrases(bits: Sequence[str], tags: Sequence[str]) -> dict[tuple[int, int], Phrase]:
    """The phrases of a sentence by their first word and the one after their last; of equals the outermost.

    Args:
        bits: `[W]`: of each word what of the tree is written at it, such as `(S(NP*` or `*))`; the star is the word.
        tags: `[W]`: parts of speech.

    Returns:
        None of them if the brackets do not fit, or are deeper than those of any sentence.

    Example:
        >>> found = phrases(["(NP(NP*", "*)", "(PP*", "(NP*)))"], ["DT", "NN", "IN", "NNP"])
        >>> head_in_tree(found[0, 4])
        1
    """
    found: dict[tuple[int, int], Phrase] = {}
    open_ones: list[Phrase] = []
    for word, bit in enumerate(bits):
        for label, star, closing, wrong in _PIECE.findall(bit):
            if len(open_ones) > _DEEPEST:
                return {}
            if label:
                phrase = Phrase(label, word)
                if open_ones:
                    open_ones[-1].children.append(phrase)
                open_ones.append(phrase)
            elif star and open_ones:
                open_ones[-1].children.append(Phrase(tags[word], word, word + 1))
            elif closing and open_ones:
                done = open_ones.pop()
                done.end = word + 1
                found[done.start, done.end] = done
            elif star or closing or wrong:
                return {}
    return {} if open_ones else found
