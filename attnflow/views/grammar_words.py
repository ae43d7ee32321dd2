"""What a head that follows a relation does, in words: what it finds, how often, and what finds as much without it."""

from __future__ import annotations

from attnflow.records.head_names import head_name
from attnflow.records.shares import between, percent
from attnflow.records.trace import Head
from attnflow.stats.dependencies import ALL, DIRECTIONS, LEAST, DependencyResult, Direction
from attnflow.stats.proportion import Proportion

_FINDS = {
    ALL: "a word's governor",
    "acl": "the noun that a clause describes",
    "acl:relcl": "the noun that a relative clause describes",
    "advcl": "the verb that an adverbial clause belongs to",
    "advmod": "the word that an adverb describes",
    "amod": "the adjective's noun",
    "appos": "the noun that an apposition explains",
    "aux": "the auxiliary's verb",
    "aux:pass": "the passive auxiliary's verb",
    "case": "the preposition's noun",
    "cc": "the word that the conjunction adds",
    "ccomp": "the verb that a clause completes",
    "clf": "the classifier's numeral or noun",
    "compound": "the noun that a compound is of",
    "compound:prt": "the particle's verb",
    "conj": "the first of the words that are joined",
    "cop": "what the copula says of its subject",
    "csubj": "the verb whose subject is a clause",
    "det": "the determiner's noun",
    "discourse": "the word that an interjection goes with",
    "dislocated": "the verb of a word that stands outside of its clause",
    "expl": "the verb of an expletive such as “there”",
    "fixed": "the first word of a fixed expression",
    "flat": "the first word of a name",
    "goeswith": "the first part of a word that is written apart",
    "iobj": "the indirect object's verb",
    "list": "the first item of a list",
    "mark": "the verb of the clause that a marker opens",
    "nmod": "the noun that another noun describes",
    "nmod:poss": "the possessor's noun",
    "nsubj": "the subject's verb",
    "nsubj:pass": "the passive subject's verb",
    "nummod": "the number's noun",
    "obj": "the object's verb",
    "obl": "the verb of a phrase such as “in May”",
    "obl:agent": "the passive verb of an agent such as “by Anna”",
    "orphan": "the word that stands for a verb left out",
    "parataxis": "the clause that another one stands beside",
    "punct": "the punctuation mark's word",
    "reparandum": "the word that corrects another one",
    "vocative": "the verb of a sentence that calls somebody",
    "xcomp": "the verb that another verb completes",
}
"""By relation of Universal Dependencies; after "finds"."""
_NUMBERS = ("", "one word", "two words", "three words", "four words", "five words")


def finds(relation: str) -> str:
    """What finding the governor of a relation means, as a sentence goes on after "finds".

    >>> finds("det"), finds("nmod:tmod"), finds("pobj")
    ("the determiner's noun", 'the noun that another noun describes', 'the governor of “pobj”')
    """
    return _FINDS.get(relation) or _FINDS.get(relation.partition(":")[0]) or f"the governor of “{relation[:40]}”"


def offset_told(offset: int) -> str:
    """A fixed offset in words.

    >>> offset_told(1), offset_told(-2)
    ('one word ahead', 'two words back')
    """
    return f"{_NUMBERS[abs(offset)]} {'ahead' if offset > 0 else 'back'}"


def share_told(share: Proportion) -> str:
    """A share in percent with one decimal.

    >>> share_told(Proportion(1, 8))
    '12.5 %'
    >>> share_told(Proportion(0, 0))
    'none of 0 cases'
    """
    if not share.n:
        return "none of 0 cases"
    return percent(share.share, 1)


def best_direction(found: DependencyResult, relation: str, head: Head) -> tuple[Direction, Proportion]:
    """The direction in which a head finds more governors of a relation, and how many it finds."""
    by_direction = found.accuracy[relation][:, head[0], head[1]]
    n = found.n[relation]
    place = int(by_direction.argmax())
    return DIRECTIONS[place], Proportion(round(float(by_direction[place]) * n), n)


def head_does(found: DependencyResult, relation: str, head: Head) -> str:
    """What one head does for a relation, in a few sentences, with its interval and the best offset beside it."""
    direction, share = best_direction(found, relation, head)
    best, offset = found.best(relation), found.baseline(relation)
    assert offset.offset is not None, "as a baseline has"
    low, high = share.interval
    name, of_offset = head_name(head), offset.on_all
    interval = f"{share_told(share)} of {share.n:,} cases (95 % interval {between(low, high)})"
    looking = f"always looking {offset_told(offset.offset)} finds {share_told(of_offset)}"
    if share.right > of_offset.right:
        told = f"{name} finds {finds(relation)}: {interval}, where {looking}."
    else:
        told = f"{name} does not follow this relation: it chooses {finds(relation)} in {interval}, while {looking}."
    how = (
        "Its choice is the word that the dependent attends to most."
        if direction == DIRECTIONS[0]
        else "Its choice is the word that attends to the dependent most."
    )
    more = [told, how]
    if (best.layer, best.head) == head and best.direction == direction:
        n_choices = found.right[0, 0].size if len(found.relations) else 0
        more.append(
            f"It is the best of {n_choices:,} (every head, both ways); chosen on one half of the sentences and scored "
            f"on the other, the best finds {share_told(best.held_out)}, the best offset {share_told(offset.held_out)}."
        )
    if share.n < LEAST:
        more.append(f"With fewer than {LEAST} cases this says little.")
    return " ".join(more)


def followed_by(found: DependencyResult, head: Head) -> list[str]:
    """Relations that a head follows best of all, and better than any offset on held-out sentences; most cases first."""
    names = [name for name in found.relations if found.n[name] >= LEAST]
    kept = []
    for name in sorted(names, key=lambda name: -found.n[name]):
        best, offset = found.best(name), found.baseline(name)
        if (best.layer, best.head) == head and best.held_out.right > offset.held_out.right:
            kept.append(name)
    return kept


def known_of(found: DependencyResult, head: Head, source: str) -> str:
    """What a treebank tells of a head, for whoever looks at one pair; empty if it follows no relation.

    Told are the three relations that it leads most over the best offset, punctuation only where there is nothing else.
    """

    def lead(name: str) -> tuple[bool, float]:
        return name.partition(":")[0] != "punct", found.best(name).held_out.share - found.baseline(name).held_out.share

    told = []
    for name in sorted(followed_by(found, head), key=lead, reverse=True)[:3]:
        _, share = best_direction(found, name, head)
        offset = share_told(found.baseline(name).on_all)
        told.append(f"{finds(name)} ({name}) in {share_told(share)} of {share.n:,} cases, best offset {offset}")
    return f"Over {source} it finds {'; '.join(told)}." if told else ""


def overview(found: DependencyResult, name: str) -> str:
    """How many relations have a head that follows them, and which is followed most."""
    spoken = [one for one in found.relations if found.n[one] >= LEAST and one.partition(":")[0] != "punct"]
    lead = {one: found.best(one).held_out.share - found.baseline(one).held_out.share for one in spoken}
    followed = [one for one in spoken if lead[one] > 0]
    if not spoken:
        return f"{name}: no relation has {LEAST} cases; read more sentences."
    told = (
        f"{name}: {len(followed)} of {len(spoken)} relations with at least {LEAST} cases have a head that beats every "
        "fixed offset"
    )
    if not followed:
        return told + "."
    top = max(followed, key=lambda one: lead[one])
    best = found.best(top)
    assert best.layer is not None and best.head is not None, "as a head has"
    return (
        f"{told}; by most for {top}, where {head_name((best.layer, best.head))} finds {finds(top)} in "
        f"{share_told(best.held_out)} of held-out cases, the best offset in {share_told(found.baseline(top).held_out)}."
    )
