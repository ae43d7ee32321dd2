"""The words of the generated English, as data.

Personal names are common English and European first names; every place name is invented, so that nothing about a
place can be known except from the sentence that states it. Rare names are drawn seldom: the tokenizer splits them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """A person's name with the pronouns that refer to it."""

    name: str
    gender: str


@dataclass(frozen=True)
class Verb:
    """The forms of a verb that the grammar uses."""

    base: str
    past: str
    participle: str


@dataclass(frozen=True)
class Converse:
    """Two verbs for one transfer, seen from the giver and from the receiver."""

    give: Verb
    receive: Verb
    objects: tuple[str, ...]
    mass: bool = False


def _people(names: str, gender: str) -> tuple[Person, ...]:
    return tuple(Person(name, gender) for name in names.split())


def _verbs(forms: str) -> tuple[Verb, ...]:
    """Read 'base' (regular in -ed) or 'base/past/participle', separated by blanks."""
    verbs = []
    for form in forms.split():
        base, _, rest = form.partition("/")
        past, _, participle = rest.partition("/")
        past = past or base + ("d" if base.endswith("e") else "ed")
        verbs.append(Verb(base, past, participle or past))
    return tuple(verbs)


WOMEN = _people(
    "Anna Maria Lena Julia Emma Sara Laura Nina Clara Alice Helen Kate Rosa Irene Olga Vera Mary Jane Lucy Ella "
    "Ruth Diana Paula Edith",
    "she",
)
MEN = _people(
    "Paul Peter Tom David Mark John Adam Oscar Felix Simon Jack Leo Max Victor Henry George Martin Daniel Robert "
    "Frank Hugo Ivan Noah Karl",
    "he",
)
RARE_WOMEN = _people("Octavia Cordelia Isadora Rosalind Tabitha Imogen Willa Marigold", "she")
RARE_MEN = _people("Ferdinand Leopold Ambrose Magnus Rupert Quentin Tobias Jasper", "he")

PLACES = tuple(
    "Velm Tarn Orrin Lorne Askel Brada Cedra Dorvik Elmar Fenwick Galden Harrow Istra Jorund Kelda Marn Norvale Pelham "
    "Quill Rostin Selby Torvan Umber Wexley".split()
)
RARE_PLACES = ("Zanthor", "Ulverglen", "Yarrowmere", "Brackend")

ROLES = tuple("nurse doctor teacher farmer baker pilot singer driver lawyer painter judge sailor gardener cook".split())
SPLIT_WORDS = (*(person.name for person in RARE_WOMEN + RARE_MEN), *RARE_PLACES)
"""Words that the tokenizer writes in pieces."""

THINGS = tuple(
    "lamp book chair guitar bicycle camera clock umbrella map coat ring ladder violin table mirror basket kettle "
    "blanket radio painting".split()
)
COUNTABLES = tuple("apples books stamps coins shells cups pencils tickets eggs hats".split())
SUBJECTS = tuple("chess French algebra history physics music Latin cooking".split())
BELONGINGS = tuple("garden house kitchen office shop boat car studio".split())

TRANSFERS = (
    Converse(Verb("give", "gave", "given"), Verb("receive", "received", "received"), THINGS),
    Converse(Verb("lend", "lent", "lent"), Verb("borrow", "borrowed", "borrowed"), THINGS),
    Converse(Verb("sell", "sold", "sold"), Verb("buy", "bought", "bought"), THINGS),
    Converse(Verb("send", "sent", "sent"), Verb("get", "got", "got"), THINGS),
    Converse(Verb("hand", "handed", "handed"), Verb("take", "took", "taken"), THINGS),
    Converse(Verb("teach", "taught", "taught"), Verb("learn", "learned", "learned"), SUBJECTS, mass=True),
)
LEND_SELL = (TRANSFERS[1], TRANSFERS[2])

PERSON_VERBS = _verbs(
    "help call thank visit invite follow praise blame warn hire push rescue interview trick admire "
    "defend teach/taught find/found pay/paid see/saw/seen"
)
MEETING_VERBS = _verbs("meet/met visit call thank see/saw/seen join")
THING_VERBS = _verbs(
    "buy/bought paint repair clean find/found sell/sold break/broke/broken lose/lost steal/stole/stolen move"
)
ACTIVITIES = _verbs("sing/sang/sung dance sleep/slept swim/swam/swum cook work read/read wait")

GRADES = (
    ("older", "younger"),
    ("taller", "shorter"),
    ("faster", "slower"),
    ("richer", "poorer"),
    ("stronger", "weaker"),
    ("heavier", "lighter"),
    ("happier", "sadder"),
)
NUMBERS = tuple("two three four five six seven eight nine ten eleven twelve".split())

STATES = (
    ("open", "closed", ("door", "window", "gate", "shop", "box")),
    ("full", "empty", ("cup", "box", "basket", "bottle", "bus")),
    ("clean", "dirty", ("kitchen", "car", "coat", "window", "cup")),
    ("wet", "dry", ("coat", "floor", "grass", "blanket", "roof")),
    ("hot", "cold", ("soup", "tea", "kettle", "water", "room")),
    ("alive", "dead", ("fox", "horse", "tree", "bird", "fish")),
)
DID = (("manage", "managed"), ("remember", "remembered"))
DID_NOT = (("fail", "failed"), ("forget", "forgot"), ("refuse", "refused"))

SPOTS = tuple("park station library museum market school hotel church cafe harbour".split())
DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
MONTHS = tuple("January March April May June July August October".split())
FRIENDS = tuple("friend neighbour cousin colleague".split())
SMALL_PLACES = tuple("village port resort hamlet".split())
