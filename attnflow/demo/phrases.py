"""Small phrases as trees: names, nouns, verb groups, adjuncts, questions."""

from attnflow.demo.lexicon import ROLES, Verb
from attnflow.demo.trees import Dependent, Node


def proper(name: str) -> Node:
    """A name of a person or place, which is also the entity that it mentions."""
    return Node(name, "PROPN", name, entity=name)


def actor(name: str) -> Node:
    """A person by name, or a role such as "the nurse"."""
    return noun(name) if name in ROLES else proper(name)


def article(form: str) -> str:
    """Return "a" or "an", as the noun asks for.

    Example:
        >>> article("umbrella"), article("lamp")
        ('an', 'a')
    """
    return "an" if form[0] in "aeiou" else "a"


def noun(form: str, det: str | None = "the", lemma: str | None = None, entity: str | None = None) -> Node:
    """A noun with an optional determiner; its entity is the form itself unless another one is given."""
    left = () if det is None else (("det", Node(det, "DET", "a" if det == "an" else det)),)
    return Node(form, "NOUN", lemma or form, left=left, entity=entity or form)


def mass(form: str) -> Node:
    """A noun that stands without a determiner, such as "chess"."""
    return noun(form, det=None)


def count(number: str, form: str, decides: bool = False) -> Node:
    """A counted noun such as "seven books", which mentions no entity that comes again."""
    left = (("nummod", Node(number, "NUM", number, decides=decides)),)
    return Node(form, "NOUN", form.removesuffix("s"), left=left)


def with_case(case: str, node: Node, decides: bool = False) -> Node:
    """Put a preposition (or "than") before a noun phrase."""
    return node.add(left=[("case", Node(case, "ADP", case, decides=decides))])


def pronoun(form: str, entity: str, lemma: str, decides: bool = False) -> Node:
    """A personal pronoun that refers to `entity`."""
    return Node(form, "PRON", lemma, entity=entity, decides=decides)


def subject_pronoun(gender: str, entity: str, decides: bool = False) -> Node:
    """Compose "she" or "he"."""
    return pronoun(gender, entity, gender, decides)


def object_pronoun(gender: str, entity: str, decides: bool = False) -> Node:
    """Compose "her" or "him"."""
    return pronoun({"she": "her", "he": "him"}[gender], entity, gender, decides)


def possessive_pronoun(gender: str, entity: str, decides: bool = False) -> Dependent:
    """Compose "her" or "his", as a dependent of the thing possessed."""
    return "nmod:poss", pronoun({"she": "her", "he": "his"}[gender], entity, gender, decides)


def past(verb: Verb) -> Node:
    """The verb in the simple past."""
    return Node(verb.past, "VERB", verb.base)


def base(verb: Verb) -> Node:
    """The verb in its base form."""
    return Node(verb.base, "VERB", verb.base)


def participle(verb: Verb) -> Node:
    """The past participle."""
    return Node(verb.participle, "VERB", verb.base)


def aux(form: str, lemma: str, relation: str = "aux", decides: bool = False) -> Dependent:
    """An auxiliary or copula as a dependent."""
    return relation, Node(form, "AUX", lemma, decides=decides)


def was(decides: bool = False) -> Dependent:
    """Compose "was" as a passive auxiliary."""
    return aux("was", "be", "aux:pass", decides)


def copula() -> Dependent:
    """Compose "is" as a copula."""
    return aux("is", "be", "cop")


def negation(decides: bool = False) -> Dependent:
    """Compose "not"."""
    return "advmod", Node("not", "PART", "not", decides=decides)


def conjunct(word: str, node: Node) -> Dependent:
    """Attach `node` as second conjunct, introduced by a conjunction."""
    return "conj", node.add(left=[("cc", Node(word, "CCONJ", word))])


def comma() -> Dependent:
    """A comma."""
    return "punct", Node(",", "PUNCT", ",")


def subordinate(word: str, node: Node) -> Dependent:
    """A subordinate clause with its conjunction."""
    return "advcl", node.add(left=[("mark", Node(word, "SCONJ", word))])


def place_adjunct(case: str, spot: str, decides: bool = False) -> Dependent:
    """Compose "in the park", "in Velm"; the noun may be marked as deciding."""
    node = proper(spot) if spot[0].isupper() else noun(spot)
    return "obl", with_case(case, node.marked(decides))


def day_adjunct(word: str, decides: bool = False) -> Dependent:
    """Compose "on Monday", "in May" or a bare adverb such as "yesterday"."""
    if word[0].islower():
        return "advmod", Node(word, "ADV", word, decides=decides)
    case = "on" if word.endswith("day") else "in"
    return "obl", with_case(case, Node(word, "PROPN", word, decides=decides))


def question_word(form: str, relation: str) -> Dependent:
    """Compose "who", "what", "where" or "when" at the head of a question."""
    upos = "PRON" if form in {"who", "what"} else "ADV"
    return relation, Node(form, upos, form)


def did() -> Dependent:
    """Compose "did"."""
    return aux("did", "do")
