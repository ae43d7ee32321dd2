"""Sentence pairs about relations: where places lie, and what is more or less."""

from attnflow.demo.drawing import Draw
from attnflow.demo.events import Draft, draft
from attnflow.demo.lexicon import COUNTABLES, GRADES, NUMBERS, SMALL_PLACES, THINGS
from attnflow.demo.phrases import actor, conjunct, copula, noun, proper, with_case
from attnflow.demo.trees import Dependent, Node


def _kind_of_place(kind: str, place: str, region: str) -> Node:
    """Compose "Velm is the capital of Orrin" or "Velm is a town in Orrin"."""
    capital = kind == "capital"
    head = Node(kind, "NOUN", kind, left=(("det", Node("the" if capital else "a", "DET", "the" if capital else "a")),))
    case = with_case("of" if capital else "in", proper(region))
    return head.marked().add(left=[("nsubj", proper(place)), copula()], right=[("nmod", case)])


def _inside(place: str, region: str, form: str) -> Node:
    """Compose "Velm lies in Orrin", and other ways to say it from either side."""
    if form == "part":
        head = Node("part", "NOUN", "part", decides=True)
        right: list[Dependent] = [("nmod", with_case("of", proper(region)))]
        return head.add(left=[("nsubj", proper(place)), copula()], right=right)
    if form in ("contains", "includes"):
        head = Node(form, "VERB", form.removesuffix("s"), decides=True)
        return head.add(left=[("nsubj", proper(region))], right=[("obj", proper(place))])
    if form == "located":
        head = Node("located", "VERB", "locate", decides=True)
        return head.add(
            left=[("nsubj:pass", proper(place)), ("aux:pass", Node("is", "AUX", "be"))],
            right=[("obl", with_case("in", proper(region)))],
        )
    head = Node("lies", "VERB", "lie", decides=True)
    return head.add(left=[("nsubj", proper(place))], right=[("obl", with_case("in", proper(region)))])


CONVERSE_FORMS = {"lies": "contains", "located": "contains", "part": "includes", "contains": "lies", "includes": "part"}
INSIDE_FORMS = ("lies", "located", "part", "contains", "contains", "includes")


def capital(draw: Draw, label: bool) -> Draft:
    """The capital of a country, or another town in it."""
    town, country, other = draw.places(3)
    kinds = ["capital", draw.one(SMALL_PLACES)]
    swapped, towns_order, ask_capital = draw.coin(), draw.coin(), draw.coin(0.6)
    if swapped:
        kinds.reverse()
    order = [(kinds[0], town), (kinds[1], other)]
    capital_town = town if kinds[0] == "capital" else other
    usual_town = other if capital_town == town else town
    if towns_order:
        order.reverse()
    first, second = (_kind_of_place(kind, place, country) for kind, place in order)
    a = first.add(right=[conjunct("and", second)])
    asked_kind = "capital" if ask_capital else kinds[1 - kinds.index("capital")]
    right_town, wrong_town = (capital_town, usual_town) if ask_capital else (usual_town, capital_town)
    return draft(a, _kind_of_place(asked_kind, right_town if label else wrong_town, country))


def capital_inside(draw: Draw, label: bool) -> Draft:
    """The capital of a country lies in that country, and not the other way round."""
    town, country = draw.places(2)
    form, keep_order = draw.one(INSIDE_FORMS), draw.coin()
    a = _kind_of_place(draw.one(("capital", "capital", *SMALL_PLACES)), town, country)
    b = _inside(town, country, form) if label else _reverse(town, country, form, keep_order)
    return draft(a, b)


def _reverse(place: str, region: str, form: str, keep_order: bool) -> Node:
    """State the reverse relation, either by the order of the names or by the verb."""
    return _inside(region, place, CONVERSE_FORMS[form] if keep_order else form)


def inside(draw: Draw, label: bool) -> Draft:
    """Lies in, is part of, contains, includes."""
    place, region = draw.places(2)
    form_a, form_b, keep_order = draw.one(INSIDE_FORMS), draw.one(INSIDE_FORMS), draw.coin()
    b = _inside(place, region, form_b) if label else _reverse(place, region, form_b, keep_order)
    return draft(_inside(place, region, form_a), b)


def inside_chain(draw: Draw, label: bool) -> Draft:
    """What lies in a part lies in the whole."""
    small, large, middle = draw.places(3)
    forms = [draw.one(("lies", "part", "located", "contains")) for _ in range(3)]
    swapped, keep_order = draw.coin(0.3), draw.coin()
    steps = [_inside(small, middle, forms[0]), _inside(middle, large, forms[1])]
    if swapped:
        steps.reverse()
    a = steps[0].add(right=[conjunct("and", steps[1])])
    b = _inside(small, large, forms[2]) if label else _reverse(small, large, forms[2], keep_order)
    return draft(a, b)


def _comparing(first: str, second: str, word: str, lemma: str) -> Node:
    """Compose "Anna is older than Paul"."""
    head = Node(word, "ADJ", lemma, decides=True)
    return head.add(left=[("nsubj", actor(first)), copula()], right=[("obl", with_case("than", actor(second)))])


def _lemma(comparative_form: str) -> str:
    """The positive form of a comparative of the lexicon.

    Example:
        >>> [_lemma(form) for form in ("heavier", "sadder", "older")]
        ['heavy', 'sad', 'old']
    """
    if comparative_form.endswith("ier"):
        return comparative_form.removesuffix("ier") + "y"
    stem = comparative_form.removesuffix("er")
    return stem[:-1] if stem.endswith("dd") else stem


def comparative(draw: Draw, label: bool) -> Draft:
    """Older than and younger than."""
    first, second = draw.actors()
    words = draw.several(draw.one(GRADES), 2)
    same_word, keep_order = draw.coin(), draw.coin()
    a = _comparing(first, second, words[0], _lemma(words[0]))
    subject, object_, word = (first, second, words[0]) if same_word else (second, first, words[1])
    if not label:
        if keep_order:
            word = words[1] if word == words[0] else words[0]
        else:
            subject, object_ = object_, subject
    return draft(a, _comparing(subject, object_, word, _lemma(word)))


def _having(owner: str, amount: Node) -> Node:
    return Node("has", "VERB", "have").add(left=[("nsubj", actor(owner))], right=[("obj", amount)])


def _more(owner: str, other: str, things: str, more: bool) -> Node:
    """Compose "Anna has more books than Paul" or "Anna has fewer books than Paul"."""
    word, lemma = ("more", "many") if more else ("fewer", "few")
    head = Node(things, "NOUN", things.removesuffix("s"))
    head = head.add(
        left=[("amod", Node(word, "ADJ", lemma, decides=True))],
        right=[("nmod", with_case("than", actor(other)))],
    )
    return _having(owner, head)


def _numbers(draw: Draw) -> tuple[int, int]:
    first, second = draw.several(range(len(NUMBERS)), 2)
    return first, second


def _digits(number: int, as_digits: bool) -> str:
    return str(number + 2) if as_digits else NUMBERS[number]


def _number(number: int, as_digits: bool) -> Node:
    form = str(number + 2) if as_digits else NUMBERS[number]
    return Node(form, "NUM", form, decides=True)


def _amount(number: Node, things: str) -> Node:
    """Compose "seven books"."""
    return Node(things, "NOUN", things.removesuffix("s"), left=(("nummod", number),))


def counting(draw: Draw, label: bool) -> Draft:
    """Seven books are more than three."""
    first, second = draw.actors()
    things, numbers = draw.one(COUNTABLES), draw.several(range(len(NUMBERS)), 2)
    as_digits, first_asked = draw.coin(0.3), draw.coin()
    amounts = [_amount(_number(n, as_digits), things) for n in numbers]
    a = _having(first, amounts[0]).add(right=[conjunct("and", _having(second, amounts[1]))])
    owner, other = (first, second) if first_asked else (second, first)
    owner_has_more = (numbers[0] > numbers[1]) == first_asked
    return draft(a, _more(owner, other, things, more=owner_has_more == label))


def more_converse(draw: Draw, label: bool) -> Draft:
    """If one has more, the other has fewer."""
    first, second = draw.actors()
    things, more_a, keep_order, converse = draw.one(COUNTABLES), draw.coin(), draw.coin(), draw.coin(0.6)
    owner, other, more_b = (second, first, not more_a) if converse else (first, second, more_a)
    if not label:
        if keep_order:
            more_b = not more_b
        else:
            owner, other = other, owner
    return draft(_more(first, second, things, more_a), _more(owner, other, things, more_b))


def price(draw: Draw, label: bool) -> Draft:
    """Nine coins are more than five coins."""
    thing = draw.one(THINGS)
    buyer = draw.person_with(thing).name
    numbers, as_digits, paid = draw.several(range(len(NUMBERS)), 2), draw.coin(0.3), draw.coin()
    more = (numbers[0] > numbers[1]) == label
    exact, limit = (_number(n, as_digits) for n in numbers)
    word = Node("more" if more else "less", "ADJ", "many" if more else "little", decides=True)
    limit = limit.add(left=[("advmod", word.add(right=[("fixed", Node("than", "ADP", "than"))]))])
    clause = _paying if paid else _costing
    a, b = (clause(buyer, thing, _amount(number, "coins")) for number in (exact, limit))
    return draft(a, b)


def _costing(owner: str, thing: str, amount: Node) -> Node:
    """Compose "Anna's lamp cost nine coins"."""
    possessor = proper(owner).add(right=[("case", Node("'s", "PART", "'s"))])
    subject = Node(thing, "NOUN", thing, entity=thing).add(left=[("nmod:poss", possessor)])
    return Node("cost", "VERB", "cost").add(left=[("nsubj", subject)], right=[("obj", amount)])


def _paying(buyer: str, thing: str, amount: Node) -> Node:
    """Compose "Anna paid nine coins for the lamp"."""
    verb = Node("paid", "VERB", "pay").add(left=[("nsubj", proper(buyer))])
    return verb.add(right=[("obj", amount), ("obl", with_case("for", noun(thing)))])
