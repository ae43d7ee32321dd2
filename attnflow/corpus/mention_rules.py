"""What a mention is by rules of English: its head word, its kind, and its number, gender and person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from attnflow.records.coreference import Gender, Kind, Mention, Number

_Person = Literal[1, 2, 3]
_Agreement = tuple[Number | None, Gender | None, _Person | None]


def _listed(forms: str, number: Number | None, gender: Gender | None, person: _Person) -> dict[str, _Agreement]:
    return dict.fromkeys(forms.split(), (number, gender, person))


PRONOUNS: dict[str, _Agreement] = {
    **_listed("i me my mine myself", "singular", None, 1),
    **_listed("we us our ours ourselves", "plural", None, 1),
    **_listed("you your yours", None, None, 2),
    **_listed("yourself", "singular", None, 2),
    **_listed("yourselves", "plural", None, 2),
    **_listed("he him his himself", "singular", "masculine", 3),
    **_listed("she her hers herself", "singular", "feminine", 3),
    **_listed("it its itself", "singular", "neuter", 3),
    **_listed("they them their theirs themselves these those", "plural", None, 3),
    **_listed("this that", "singular", None, 3),
    **_listed("who whom whose which one oneself", None, None, 3),
}
"""In lower case, with what each agrees with."""
_POSSESSIVE = frozenset({"'s", "’s", "'", "’"})
_BEHIND = frozenset(
    "of in on at by to from with for about after against along among as around before behind beneath beside between "
    "beyond despite during inside into like near off onto outside over past since through toward towards under until "
    "upon via within without who whom whose which that where when , ; : ( ) -- - – —".split()
)
"""Words after which there is no head of a mention any more: prepositions, relative words, and what separates."""
_ENDS = frozenset(". ! ? \" ' `` '' “ ” ‘ ’ ( [ …".split())
"""After which a word may be written with a capital letter whatever it is."""
_PLURAL = frozenset("these those many several few both all two three four five six seven eight nine ten some".split())
_SINGULAR = frozenset("a an this that each every one another".split())
_GENDERS: dict[str, Gender] = {
    **dict.fromkeys(
        "mr mr. sir lord king prince father dad son brother uncle nephew husband grandfather grandson man men boy boys "
        "gentleman guy actor waiter widower monk chairman spokesman businessman policeman "
        "adam alan albert alexander alfred andrew anthony arthur benjamin bernard brian bruce charles christopher "
        "daniel david dennis donald douglas edward eric felix francis frank fred gary george gerald gordon gregory "
        "harold harry henry hugo ivan jack jacob james jason jeffrey john jonathan joseph joshua karl keith kenneth "
        "kevin larry leo leopold louis mark martin matthew max michael nicholas noah oscar patrick paul peter philip "
        "ralph raymond richard robert roger ronald roy russell samuel scott sean sebastian simon stephen steven "
        "thomas timothy tobias tom victor vincent walter wayne william".split(),
        "masculine",
    ),
    **dict.fromkeys(
        "mrs mrs. ms ms. miss madam lady queen princess mother mom mum daughter sister aunt niece wife grandmother "
        "granddaughter woman women girl girls actress waitress widow nun spokeswoman businesswoman policewoman "
        "alice amy angela ann anna anne barbara betty carol caroline catherine charlotte christine clara cordelia "
        "cynthia deborah diana diane donna dorothy edith eleanor elizabeth ella emily emma eva evelyn florence frances "
        "grace hannah heather helen irene jane janet jennifer jessica joan joyce judith julia julie karen kate "
        "katherine kathleen laura lena linda lisa lucy margaret maria marie martha mary melissa michelle nancy nicole "
        "nina olga olivia pamela patricia paula phoebe rachel rebecca rosa rose rosalind ruth sandra sara sarah sharon "
        "sophia stephanie susan teresa vera victoria virginia zoe".split(),
        "feminine",
    ),
}
"""Titles, nouns of people and frequent given names, in lower case."""


def head_by_rule(words: Sequence[str]) -> int:
    """The head of a mention without a tree: its last word before a preposition, a relative word or a comma.

    It is wrong where something else stands behind the head (`the man outside`, `five days ago`), and of names such as
    `The Man Who Laughs`.

    Args:
        words: Of the mention.

    Returns:
        The place of the head among them.

    Example:
        >>> head_by_rule("the old nurse of Velm".split()), head_by_rule(["Anna", "'s"])
        (2, 0)
    """
    end = next((place for place, word in enumerate(words) if place and word.lower() in _BEHIND), len(words))
    while end > 1 and (words[end - 1] in _POSSESSIVE or not any(letter.isalnum() for letter in words[end - 1])):
        end -= 1
    return end - 1


def made_mention(
    words: Sequence[str], start: int, end: int, chain: int, *, head: int | None = None, tags: Sequence[str] = ()
) -> Mention:
    """A mention with all that rules tell of it.

    A pronoun is what Penn's tag of the head says, or, without tags, a single word of `PRONOUNS`. A name is what its
    tag says, or, without tags, whose head is written with a capital letter; at the beginning of a sentence only if
    nothing but its own first word could be the reason, so `Water is cold` has a name, too. All else is nominal.

    Args:
        words: `[W]`: of the whole text.
        start: The first word of the mention.
        end: The word after its last.
        chain: The number of its chain.
        head: Its head, if a tree tells; else `head_by_rule`.
        tags: `[W]`: Penn's parts of speech, if known.
    """
    own = tuple(words[start:end])
    head = start + head_by_rule(own) if head is None else head
    lower = [word.lower() for word in own]
    kind = _kind(words, start, end, head, tags[head] if tags else "")
    if kind == "pronoun":
        number, gender, person = PRONOUNS.get(words[head].lower(), (None, None, 3))
    else:
        number = _number(lower, kind, lower[head - start], tags[head] if tags else "")
        gender = None if number == "plural" and "and" in lower else _gender(lower, kind, lower[head - start])
        person = 3
    return Mention(chain, start, end, head, kind, own, number, gender, person)


def _kind(words: Sequence[str], start: int, end: int, head: int, tag: str) -> Kind:
    listed = words[head].lower() in PRONOUNS
    if tag.startswith(("PRP", "WP")) or (listed and end - start == 1 and not tag.startswith("NN")):
        return "pronoun"
    if tag:
        return "proper" if tag.startswith("NNP") else "nominal"
    begins = start == 0 or words[start - 1] in _ENDS
    capital = words[head][:1].isupper()
    return "proper" if capital and not (begins and head == start and end - start > 1) else "nominal"


def _number(lower: Sequence[str], kind: Kind, head: str, tag: str) -> Number | None:
    if "and" in lower:
        return "plural"
    if tag.startswith("NN"):
        return "plural" if tag.endswith("S") else "singular"
    if lower[0] in _PLURAL:
        return "plural"
    if kind == "proper" or lower[0] in _SINGULAR:
        return "singular"
    plural = head.endswith("s") and not head.endswith(("ss", "us", "is"))
    return "plural" if plural else "singular"


def _gender(lower: Sequence[str], kind: Kind, head: str) -> Gender | None:
    if kind == "nominal":
        return _GENDERS.get(head)
    return next((_GENDERS[word] for word in lower if word in _GENDERS), None)
