"""Sentence pairs about events: who gives and who receives, active and passive, done and not done.

Each builder takes a draw and a label and returns the pair's sentences. It asks the draw the same questions whatever
the label is, so that the two labels of one seed are twins which differ by one word or by the order of two words.
"""

from dataclasses import dataclass

from attnflow.demo.drawing import Draw
from attnflow.demo.lexicon import (
    DID,
    DID_NOT,
    LEND_SELL,
    MEETING_VERBS,
    PERSON_VERBS,
    STATES,
    THING_VERBS,
    THINGS,
    TRANSFERS,
    Converse,
)
from attnflow.demo.phrases import (
    actor,
    article,
    base,
    conjunct,
    copula,
    did,
    mass,
    negation,
    noun,
    participle,
    past,
    proper,
    was,
    with_case,
)
from attnflow.demo.trees import Dependent, Node, Sentence, lay_out


@dataclass(frozen=True)
class Draft:
    """The sentences of a pair: one or two for side A, one for side B."""

    a: tuple[Sentence, ...]
    b: Sentence


def draft(a: Node, b: Node, b_end: str = ".") -> Draft:
    """Lay out a pair of one sentence each."""
    return Draft((lay_out(a),), lay_out(b, b_end))


def _given(transfer: Converse, thing: str, det: str | None) -> Node:
    return mass(thing) if transfer.mass else noun(thing, det or article(thing))


def _giving(transfer: Converse, giver: str, receiver: str, gift: Node, ditransitive: bool) -> Node:
    """The giver as subject: "Anna gave Paul a lamp" or "Anna gave a lamp to Paul"."""
    verb = past(transfer.give).marked().add(left=[("nsubj", proper(giver))])
    if ditransitive:
        return verb.add(right=[("iobj", proper(receiver)), ("obj", gift)])
    return verb.add(right=[("obj", gift), ("obl", with_case("to", proper(receiver), decides=True))])


def _receiving(transfer: Converse, giver: str, receiver: str, gift: Node) -> Node:
    """The receiver as subject: "Paul received a lamp from Anna"."""
    verb = past(transfer.receive).marked().add(left=[("nsubj", proper(receiver))])
    return verb.add(right=[("obj", gift), ("obl", with_case("from", proper(giver), decides=True))])


def _transfer_clause(transfer: Converse, roles: tuple[str, str], gift: Node, form: str) -> Node:
    giver, receiver = roles
    if form == "receive":
        return _receiving(transfer, giver, receiver, gift)
    return _giving(transfer, giver, receiver, gift, ditransitive=form == "give")


def transfer(draw: Draw, label: bool) -> Draft:
    """Give and receive, lend and borrow, sell and buy ...: the second sentence says the same, or the reverse."""
    first, second = (person.name for person in draw.people())
    kind = draw.one(TRANSFERS)
    thing, time = draw.one(kind.objects), draw.maybe_time()
    form_a, form_b = (draw.one(("give", "give_to", "receive", "receive")) for _ in "ab")
    keep_order = draw.coin()
    a = _transfer_clause(kind, (first, second), _given(kind, thing, None), form_a).add(right=time)
    if label or not keep_order:
        roles_b = (first, second) if label else (second, first)
    else:  # the names stay where they are and the verb is exchanged for its converse
        roles_b = (second, first)
        form_b = {"give": "receive", "give_to": "receive", "receive": "give_to"}[form_b]
    return draft(a, _transfer_clause(kind, roles_b, _given(kind, thing, "the"), form_b))


def transfer_kind(draw: Draw, label: bool) -> Draft:
    """Lent or sold: the direction holds in both sentences, the kind of transfer may not."""
    first, second = (person.name for person in draw.people())
    kinds = draw.several(LEND_SELL, 2)
    thing, time = draw.one(THINGS), draw.maybe_time()
    form_a, form_b = (draw.one(("give", "give_to", "receive")) for _ in "ab")
    kind_b = kinds[0] if label else kinds[1]
    a = _transfer_clause(kinds[0], (first, second), noun(thing, article(thing)), form_a).add(right=time)
    return draft(a, _transfer_clause(kind_b, (first, second), noun(thing), form_b))


def active(verb_past: Node, agent: str, patient: str) -> Node:
    """Agent, verb, patient."""
    return verb_past.add(left=[("nsubj", actor(agent))], right=[("obj", actor(patient))])


def passive(verb_participle: Node, agent: str, patient: str) -> Node:
    """Patient, "was", verb, "by" agent."""
    return verb_participle.add(
        left=[("nsubj:pass", actor(patient)), was(decides=True)],
        right=[("obl:agent", with_case("by", actor(agent), decides=True))],
    )


def voice(draw: Draw, label: bool) -> Draft:
    """Active and passive: who did it, and to whom it was done."""
    first, second = draw.actors()
    verb = draw.one(PERSON_VERBS)
    time = draw.maybe_time()
    passive_a, passive_b, keep_order = draw.coin(), draw.coin(0.6), draw.coin()
    roles_b = (first, second) if label else (second, first)
    if not label and keep_order:
        passive_b = not passive_b
    clauses = []
    for roles, is_passive in (((first, second), passive_a), (roles_b, passive_b)):
        clauses.append(passive(participle(verb), *roles) if is_passive else active(past(verb).marked(), *roles))
    return draft(clauses[0].add(right=time), clauses[1])


def _done(verb_past: Node, verb_base: Node, subject: str, right: list[Dependent], positive: bool) -> Node:
    """Compose "Anna bought the lamp" or "Anna did not buy the lamp"."""
    who = ("nsubj", actor(subject))
    if positive:
        return verb_past.marked().add(left=[who], right=right)
    return verb_base.add(left=[who, did(), negation(decides=True)], right=right)


def negation_not(draw: Draw, label: bool) -> Draft:
    """Done or not done."""
    if draw.coin():
        subject, other = draw.actors()
        verb, target = draw.one(PERSON_VERBS + MEETING_VERBS), actor(other)
    else:
        thing = draw.one(THINGS)
        subject, verb, target = draw.person_with(thing).name, draw.one(THING_VERBS), noun(thing)
    positive_a, time = draw.coin(), draw.maybe_time()
    a = _done(past(verb), base(verb), subject, [("obj", target), *time], positive_a)
    return draft(a, _done(past(verb), base(verb), subject, [("obj", target)], positive_a == label))


def negation_verb(draw: Draw, label: bool) -> Draft:
    """Managed to or remembered to mean that it was done, failed to, forgot to or refused to that it was not."""
    thing = draw.one(THINGS)
    subject, verb = draw.person_with(thing).name, draw.one(THING_VERBS)
    positive_a, time = draw.coin(), draw.maybe_time(0.15)
    lemma, form = draw.one(DID if positive_a else DID_NOT)
    target = ("obj", noun(thing))
    act = base(verb).add(left=[("mark", Node("to", "PART", "to"))], right=[target])
    a = Node(form, "VERB", lemma, decides=True).add(left=[("nsubj", proper(subject))], right=[("xcomp", act), *time])
    return draft(a, _done(past(verb), base(verb), subject, [target], positive_a == label))


def negation_state(draw: Draw, label: bool) -> Draft:
    """Open, not open, closed, not closed."""
    positive, negative, things = draw.one(STATES)
    person, thing = draw.person_with(positive).name, draw.one(things)
    words = [draw.one((positive, negative)) for _ in "ab"]
    negated_a = draw.coin()
    holds = (words[0] == words[1]) == (not negated_a)
    negated_b = holds != label
    clauses = []
    for word, negated in zip(words, (negated_a, negated_b), strict=True):
        owner = ("nmod:poss", proper(person).add(right=[("case", Node("'s", "PART", "'s"))]))
        subject = mass(thing).add(left=[owner])
        deny = [negation(decides=True)] if negated else []
        clauses.append(Node(word, "ADJ", word, decides=True).add(left=[("nsubj", subject), copula(), *deny]))
    return draft(*clauses)


def negation_but(draw: Draw, label: bool) -> Draft:
    """One thing but not the other."""
    things = draw.several(THINGS, 2)
    subject, verb, swapped = draw.person_with(things[0]).name, draw.one(THING_VERBS), draw.coin(0.4)
    deny = Node("not", "PART", "not", decides=True)
    if swapped:  # "not the lamp but the chair"
        first, (relation, second) = noun(things[1]), conjunct("but", noun(things[0]).marked())
        first = first.add(left=[("advmod", deny)])
    else:
        first = noun(things[0]).marked()
        second = noun(things[1]).add(left=[("advmod", deny)])
        relation, second = conjunct("but", second)
    a = past(verb).add(left=[("nsubj", proper(subject))], right=[("obj", first.add(right=[(relation, second)]))])
    asked = noun(things[0] if label else things[1])
    return draft(a, past(verb).add(left=[("nsubj", proper(subject))], right=[("obj", asked)]))
