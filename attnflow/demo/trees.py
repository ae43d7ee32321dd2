"""Dependency trees that are composed node by node, laid out as sentences and written as CoNLL-U.

A `Node` keeps its dependents to the left and to the right in order, so whatever is composed is a projective tree by
construction; positions and heads only appear when the tree is laid out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

GLUED = frozenset({".", ",", "?", "'s"})
"""Forms that are written without a blank before them."""
NOMINAL_PARTS = frozenset({"det", "amod", "nummod", "nmod:poss", "compound"})
"""Relations of left dependents that belong to the mention of a noun."""


@dataclass(frozen=True)
class Node:
    """One word with its dependents, in the order in which they are written."""

    form: str
    upos: str
    lemma: str
    left: tuple[tuple[str, "Node"], ...] = ()
    right: tuple[tuple[str, "Node"], ...] = ()
    entity: str | None = None
    decides: bool = False

    def add(self, left: Iterable[tuple[str, "Node"]] = (), right: Iterable[tuple[str, "Node"]] = ()) -> "Node":
        """Return a copy with outer dependents: `left` goes before all others, `right` after all others."""
        return replace(self, left=(*left, *self.left), right=(*self.right, *right))

    def marked(self, decides: bool = True) -> "Node":
        """Return a copy that counts (or not) as a word that decides the label."""
        return replace(self, decides=decides)


Dependent = tuple[str, Node]


@dataclass(frozen=True)
class Word:
    """One word of a laid-out sentence; `head` counts words from 1, 0 is the root."""

    form: str
    lemma: str
    upos: str
    head: int
    deprel: str
    space_after: bool


@dataclass(frozen=True)
class Span:
    """Words `start` to `end` (exclusive) of a text that mention `entity`."""

    entity: str
    start: int
    end: int


@dataclass(frozen=True)
class Sentence:
    """A sentence with its tree, its mentions and the positions of its deciding words, all counted from 0."""

    words: tuple[Word, ...]
    mentions: tuple[Span, ...]
    deciding: tuple[int, ...]

    @property
    def text(self) -> str:
        """The sentence as it is written."""
        return "".join(word.form + " " * word.space_after for word in self.words).rstrip()

    def conllu(self, sent_id: str) -> str:
        """Return the sentence as one CoNLL-U block, ending with an empty line."""
        lines = [f"# sent_id = {sent_id}", f"# text = {self.text}"]
        for number, word in enumerate(self.words, start=1):
            misc = "_" if word.space_after else "SpaceAfter=No"
            columns = (number, word.form, word.lemma, word.upos, "_", "_", word.head, word.deprel, "_", misc)
            lines.append("\t".join(map(str, columns)))
        return "\n".join(lines) + "\n\n"


@dataclass
class _Placed:
    """A node while it is being laid out: its position and the position of its head."""

    node: Node
    deprel: str
    head: "_Placed | None"
    position: int = -1
    mention_start: int = -1


def _place(node: Node, deprel: str, head: _Placed | None, out: list[_Placed]) -> _Placed:
    """Append `node` and its dependents to `out` in written order."""
    placed = _Placed(node, deprel, head)
    start = None
    for relation, child in node.left:
        first = len(out)
        _place(child, relation, placed, out)
        start = (first if start is None else start) if relation in NOMINAL_PARTS else None
    placed.position = len(out)
    placed.mention_start = placed.position if start is None else start
    out.append(placed)
    for relation, child in node.right:
        _place(child, relation, placed, out)
    return placed


def lay_out(root: Node, end: str = ".") -> Sentence:
    """Return the tree as a sentence: first letter in upper case, `end` as its last word.

    Example:
        >>> lay_out(Node("sleeps", "VERB", "sleep", left=(("nsubj", Node("Anna", "PROPN", "Anna")),))).text
        'Anna sleeps.'
    """
    placed: list[_Placed] = []
    _place(root.add(right=[("punct", Node(end, "PUNCT", end))]), "root", None, placed)
    words = []
    for item in placed:
        following = placed[item.position + 1].node.form if item.position + 1 < len(placed) else None
        form = item.node.form if item.position else item.node.form[0].upper() + item.node.form[1:]
        head = item.head.position + 1 if item.head else 0
        words.append(Word(form, item.node.lemma, item.node.upos, head, item.deprel, following not in GLUED))
    mentions = [Span(p.node.entity, p.mention_start, p.position + 1) for p in placed if p.node.entity is not None]
    deciding = [p.position for p in placed if p.node.decides]
    return Sentence(tuple(words), tuple(mentions), tuple(deciding))
