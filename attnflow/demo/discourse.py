"""Sentence pairs about discourse: questions and answers, clauses that distract, and what pronouns refer to."""

from attnflow.demo.drawing import Draw
from attnflow.demo.events import Draft, active, draft
from attnflow.demo.lexicon import (
    ACTIVITIES,
    BELONGINGS,
    COUNTABLES,
    FRIENDS,
    MEETING_VERBS,
    NUMBERS,
    PERSON_VERBS,
    SPOTS,
    THING_VERBS,
    THINGS,
    Person,
    Verb,
)
from attnflow.demo.phrases import (
    actor,
    article,
    aux,
    base,
    comma,
    conjunct,
    count,
    day_adjunct,
    did,
    noun,
    object_pronoun,
    participle,
    past,
    place_adjunct,
    possessive_pronoun,
    proper,
    question_word,
    subject_pronoun,
    subordinate,
    with_case,
)
from attnflow.demo.trees import Dependent, Node, lay_out


def _does(verb: Verb, subject: str, *right: Dependent) -> Node:
    """A clause in the simple past with a subject by name or role."""
    return past(verb).add(left=[("nsubj", actor(subject))], right=right)


def _asks(word: str, relation: str, verb: Verb, subject: str, *right: Dependent) -> Node:
    """Compose "Where did Anna meet Paul"."""
    return base(verb).add(left=[question_word(word, relation), did(), ("nsubj", actor(subject))], right=right)


def question_adjunct(draw: Draw, label: bool) -> Draft:
    """Where or when: the sentence gives a place or a time."""
    subject, other = draw.actors()
    verb, tells_place = draw.one(MEETING_VERBS), draw.coin()
    spot, time = draw.one(SPOTS), draw.time()
    adjunct = place_adjunct("at", spot, decides=True) if tells_place else day_adjunct(time, decides=True)
    target = ("obj", actor(other))
    word = "where" if tells_place == label else "when"
    return draft(_does(verb, subject, target, adjunct), _asks(word, "advmod", verb, subject, target), "?")


def question_two_people(draw: Draw, label: bool) -> Draft:
    """A place is told of one person and a time of the other."""
    subject, other = draw.actors()
    verbs, place_first = draw.several(ACTIVITIES, 2), draw.coin()
    adjuncts = [place_adjunct("at", draw.one(SPOTS), decides=True), day_adjunct(draw.time(), decides=True)]
    if not place_first:
        adjuncts.reverse()
    ask_first = draw.coin()
    tells_place = ask_first == place_first
    word = "where" if tells_place == label else "when"
    told = [
        adjunct if asked == ask_first else _unmark(adjunct)
        for adjunct, asked in zip(adjuncts, (True, False), strict=True)
    ]
    a = _does(verbs[0], subject, told[0]).add(right=[conjunct("and", _does(verbs[1], other, told[1]))])
    asked = (verbs[0], subject) if ask_first else (verbs[1], other)
    return draft(a, _asks(word, "advmod", *asked), "?")


def _unmark(dependent: Dependent) -> Dependent:
    relation, node = dependent
    return relation, node.marked(False)


def question_who(draw: Draw, label: bool) -> Draft:
    """Who did it, or to whom was it done."""
    first, second = draw.actors()
    verb, ask_subject, time = draw.one(PERSON_VERBS), draw.coin(), draw.maybe_time()
    a = active(past(verb), first, second)
    if ask_subject:
        known = second if label else first
        b = past(verb).add(left=[question_word("who", "nsubj")], right=[("obj", actor(known))])
    else:
        known = first if label else second
        b = base(verb).add(left=[question_word("who", "obj"), did(), ("nsubj", actor(known))])
    answer = "nsubj" if ask_subject else "obj"
    return draft(_mark_argument(a, answer).add(right=time), b, "?")


def _mark_argument(clause: Node, relation: str) -> Node:
    """Mark the dependent of the given relation as deciding."""
    left, right = (
        tuple((name, node.marked() if name == relation else node) for name, node in side)
        for side in (clause.left, clause.right)
    )
    return Node(clause.form, clause.upos, clause.lemma, left, right, clause.entity, clause.decides)


def question_what(draw: Draw, label: bool) -> Draft:
    """What a person did something to, when two people act."""
    subject, other = draw.actors()
    verbs, things = draw.several(THING_VERBS, 2), draw.several(THINGS, 2)
    ask_first, flip_verb = draw.coin(), draw.coin()
    targets = [
        noun(thing, article(thing)).marked(asked == ask_first)
        for thing, asked in zip(things, (True, False), strict=True)
    ]
    a = _does(verbs[0], subject, ("obj", targets[0]))
    a = a.add(right=[conjunct("and", _does(verbs[1], other, ("obj", targets[1])))])
    who, verb = (subject, verbs[0]) if ask_first else (other, verbs[1])
    if not label and flip_verb:
        verb = verbs[1] if ask_first else verbs[0]
    elif not label:
        who = other if ask_first else subject
    b = base(verb).add(left=[question_word("what", "obj"), did(), ("nsubj", actor(who))])
    return draft(a, b, "?")


def question_count(draw: Draw, label: bool) -> Draft:
    """How many, when only one of two amounts is told."""
    things, number = draw.several(COUNTABLES, 2), draw.one(NUMBERS)
    subject, verb = draw.person_with(things[0]).name, draw.one(THING_VERBS)
    told_first = draw.coin()
    told = count(number, things[0], decides=True)
    vague = noun(things[1], det="some", lemma=things[1].removesuffix("s"))
    first, second = (told, vague) if told_first else (vague, told)
    a = _does(verb, subject, ("obj", first.add(right=[conjunct("and", second)])))
    asked = things[0] if label else things[1]
    many = Node("many", "ADJ", "many").add(left=[("advmod", Node("how", "ADV", "how"))])
    target = Node(asked, "NOUN", asked.removesuffix("s"), left=(("amod", many),))
    return draft(a, base(verb).add(left=[("obj", target), did(), ("nsubj", proper(subject))]), "?")


def _deed(draw: Draw) -> tuple[Verb, list[Dependent]]:
    """Something that one person does: an act on a thing, or an activity at a place."""
    thing, spot = draw.one(THINGS), draw.one(SPOTS)
    thing_verb, activity = draw.one(THING_VERBS), draw.one(ACTIVITIES)
    if draw.coin():
        return thing_verb, [("obj", noun(thing))]
    return activity, [place_adjunct("at", spot)]


def distractor_clause(draw: Draw, label: bool) -> Draft:
    """Another person does something else in a subordinate clause."""
    doer, other = draw.actors()
    (verb, right), other_deed = _deed(draw), _deed(draw)
    while other_deed[0] == verb:
        other_deed = _deed(draw)
    clause = _does(other_deed[0], other, *other_deed[1])
    main = _does(verb, doer, *right)
    names, b_verb, b_right = (doer, other), verb, right
    if draw.coin():  # ask about the subordinate clause: then the main clause distracts
        names, b_verb, b_right = (other, doer), other_deed[0], other_deed[1]
        clause = _mark_argument(clause, "nsubj")
    else:
        main = _mark_argument(main, "nsubj")
    if draw.coin():
        a = main.add(left=[subordinate("while", clause), comma()])
    else:
        a = main.add(right=[subordinate("while", clause)])
    b = _does(b_verb, names[0] if label else names[1], *b_right)
    return draft(a, b)


def distractor_apposition(draw: Draw, label: bool) -> Draft:
    """Compose "Anna, a friend of Paul, bought a lamp": Paul did nothing."""
    doer, other = (person.name for person in draw.people())
    verb, right = _deed(draw)
    friend, relative = draw.one(FRIENDS), draw.coin()
    if relative:
        modifier: Dependent = ("acl:relcl", _who(draw.one(PERSON_VERBS), ("obj", proper(other))))
    else:
        modifier = ("appos", noun(friend, "a", entity=doer).add(right=[("nmod", with_case("of", proper(other)))]))
    subject = proper(doer).marked().add(right=[comma(), modifier, comma()])
    a = past(verb).add(left=[("nsubj", subject)], right=right)
    return draft(a, _does(verb, doer if label else other, *right))


def _who(verb: Verb, *right: Dependent) -> Node:
    return past(verb).add(left=[("nsubj", Node("who", "PRON", "who"))], right=right)


def distractor_place(draw: Draw, label: bool) -> Draft:
    """Lives in one place and works in another, or goes from one to the other."""
    places = draw.places(2)
    person, by_way, ask_second = draw.person_with(places[0]).name, draw.coin(), draw.coin()
    spots = [proper(place).marked() for place in places]
    if by_way:
        a = Node("went", "VERB", "go").add(
            left=[("nsubj", proper(person))],
            right=[("obl", with_case("from", spots[0])), ("obl", with_case("to", spots[1]))],
        )
        verbs = (Node("started", "VERB", "start"), Node("arrived", "VERB", "arrive"))
    else:
        verbs = (Node("lives", "VERB", "live"), Node("works", "VERB", "work"))
        lives, works = (
            verb.marked().add(right=[("obl", with_case("in", spot))]) for verb, spot in zip(verbs, spots, strict=True)
        )
        a = lives.add(left=[("nsubj", proper(person))], right=[conjunct("but", works)])
    asked = spots[int(ask_second == label)]
    b = verbs[int(ask_second)].add(left=[("nsubj", proper(person))])
    return draft(a, b.add(right=[("obl", with_case("in", asked))]))


def _belongs(thing: str, owner: str) -> Node:
    verb = Node("belongs", "VERB", "belong").add(left=[("nsubj", noun(thing))])
    return verb.add(right=[("obl", with_case("to", proper(owner)))])


def coreference_next(draw: Draw, label: bool) -> Draft:
    """Compose "Anna met Paul. She bought a lamp."."""
    people = draw.people("mixed")
    greeting, (verb, right) = draw.one(MEETING_VERBS), _deed(draw)
    referent, other = people if draw.coin() else people[::-1]
    first = lay_out(_does(greeting, people[0].name, ("obj", proper(people[1].name))))
    pronoun = subject_pronoun(referent.gender, referent.name, decides=True)
    second = lay_out(past(verb).add(left=[("nsubj", pronoun)], right=right))
    b = _does(verb, referent.name if label else other.name, *right)
    return Draft((first, second), lay_out(b))


def coreference_owner(draw: Draw, label: bool) -> Draft:
    """Compose "Anna met Paul in his garden": whose garden?"""
    people = draw.people("mixed")
    verb, thing, time = draw.one(MEETING_VERBS), draw.one(BELONGINGS), draw.maybe_time()
    owner, other = people if draw.coin() else people[::-1]
    where = mass_owned(thing, owner)
    a = _does(verb, people[0].name, ("obj", proper(people[1].name)), ("obl", with_case("in", where)), *time)
    return draft(a, _belongs(thing, owner.name if label else other.name))


def mass_owned(thing: str, owner: Person) -> Node:
    """Compose "his garden"."""
    return noun(thing, det=None).add(left=[possessive_pronoun(owner.gender, owner.name, decides=True)])


def coreference_because(draw: Draw, label: bool) -> Draft:
    """Compose "Paul thanked Anna because she had helped him": who helped whom?"""
    people = draw.people("mixed")
    verbs = draw.several(PERSON_VERBS, 2)
    agent, patient = people if draw.coin() else people[::-1]
    reason = participle(verbs[1]).add(
        left=[("nsubj", subject_pronoun(agent.gender, agent.name, decides=True)), aux("had", "have")],
        right=[("obj", object_pronoun(patient.gender, patient.name, decides=True))],
    )
    a = _does(verbs[0], people[0].name, ("obj", proper(people[1].name)), subordinate("because", reason))
    roles = (agent.name, patient.name) if label else (patient.name, agent.name)
    return draft(a, active(past(verbs[1]), *roles))
