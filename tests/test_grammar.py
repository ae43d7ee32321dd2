"""The generated English: trees, labels against an independent oracle, balance, splits and annotations."""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest

from attnflow.demo import drawing
from attnflow.demo.drawing import Draw, is_held_out
from attnflow.demo.grammar import (
    EVEN,
    LABELS,
    PHENOMENA,
    PRACTICE,
    Pair,
    build_twins,
    generate,
    write_conllu,
    write_jsonl,
)
from attnflow.demo.lexicon import (
    COUNTABLES,
    MEN,
    NUMBERS,
    PLACES,
    RARE_MEN,
    RARE_PLACES,
    RARE_WOMEN,
    ROLES,
    STATES,
    THINGS,
    WOMEN,
)

N = 1920
"""Pairs per side of the split: every builder comes up tens of times."""


@pytest.fixture(scope="module")
def training() -> list[Pair]:
    return list(generate(3, N))


@pytest.fixture(scope="module")
def held_out() -> list[Pair]:
    return list(generate(3, N, held_out=True))


# --- a tiny CoNLL-U reader -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    form: str
    lemma: str
    upos: str
    head: int
    deprel: str
    glued: bool


def read_conllu(text: str) -> dict[str, tuple[str, list[Row]]]:
    """Return text and rows by sent_id, checking the format on the way."""
    found = {}
    assert text.endswith("\n\n")
    for block in text[:-2].split("\n\n"):
        id_line, text_line, *lines = block.split("\n")
        rows = []
        for number, line in enumerate(lines, start=1):
            columns = line.split("\t")
            assert len(columns) == 10 and columns[0] == str(number) and all(columns)
            rows.append(
                Row(columns[1], columns[2], columns[3], int(columns[6]), columns[7], columns[9] == "SpaceAfter=No")
            )
        found[id_line.removeprefix("# sent_id = ")] = (text_line.removeprefix("# text = "), rows)
    return found


UPOS = {"ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "VERB"}


def ancestors(rows: list[Row], number: int) -> list[int]:
    path = []
    while rows[number - 1].head:
        number = rows[number - 1].head
        assert number not in path, "cycle"
        path.append(number)
    return path


def test_every_sentence_is_a_projective_tree_and_spells_its_text(held_out: list[Pair]) -> None:
    found = read_conllu(write_conllu(held_out))
    assert len(found) == sum(len(p.sentences_a) + len(p.sentences_b) for p in held_out)
    for text, rows in found.values():
        assert [row.deprel for row in rows if row.head == 0] == ["root"]
        assert {row.upos for row in rows} <= UPOS
        assert "".join(row.form + ("" if row.glued else " ") for row in rows).strip() == text
        for number, row in enumerate(rows, start=1):
            assert 0 <= row.head <= len(rows) and row.head != number
            ancestors(rows, number)
            low, high = sorted((number, row.head))
            between = range(low + 1, high)
            assert row.head == 0 or all(row.head in ancestors(rows, other) for other in between)


def test_conllu_names_the_line_the_side_and_the_sentence(held_out: list[Pair]) -> None:
    found = read_conllu(write_conllu(held_out))
    of_a = defaultdict(list)
    for key, (text, _) in found.items():
        number, side, _ = key.split("-")
        if side == "a":
            of_a[number].append(text)
    for number, pair in enumerate(held_out):
        assert " ".join(of_a[str(number)]) == pair.text_a
        assert found[f"{number}-b-1"][0] == pair.text_b


def test_texts_are_written_like_english(held_out: list[Pair]) -> None:
    for pair in held_out:
        for text in (pair.text_a, pair.text_b):
            assert re.fullmatch(r"[A-Z][A-Za-z0-9 ,.']*[.?]", text), text
            assert "  " not in text and " ," not in text and " ." not in text
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text), text


# --- labels: what the sentences say, read off the trees by rules that know nothing of the builders -------------------

CONVERSE = {
    "receive": "give",
    "borrow": "lend",
    "buy": "sell",
    "get": "send",
    "take": "hand",
    "learn": "teach",
}
OPPOSITE = {
    "young": "old",
    "short": "tall",
    "slow": "fast",
    "poor": "rich",
    "weak": "strong",
    "light": "heavy",
    "sad": "happy",
    "closed": "open",
    "empty": "full",
    "dirty": "clean",
    "dry": "wet",
    "cold": "hot",
    "dead": "alive",
}


def kids(rows: list[Row], head: int) -> dict[str, int]:
    return {row.deprel: number for number, row in enumerate(rows, start=1) if row.head == head}


def case_of(rows: list[Row], number: int) -> str:
    return next((r.lemma for r in rows if r.head == number and r.deprel == "case"), "")


def clause_facts(rows: list[Row], head: int, names: dict[int, str], subject: str | None) -> tuple:
    """Return (predicate, truth, subject, object, {preposition: argument}) with converses resolved."""
    found = kids(rows, head)

    def name(number: int) -> str:
        return names.get(number, rows[number - 1].lemma)

    truth = not any(r.lemma == "not" and r.head == head for r in rows)
    who = next((name(found[r]) for r in ("nsubj", "nsubj:pass") if r in found), subject)
    what = name(found["obj"]) if "obj" in found else None
    adjuncts = {
        case_of(rows, n): name(n) for n, r in enumerate(rows, 1) if r.head == head and r.deprel in ("obl", "obl:agent")
    }
    if "iobj" in found:
        adjuncts["to"] = name(found["iobj"])
    if "obl:agent" in found:
        who, what = adjuncts.pop("by"), who
    return rows[head - 1].lemma, truth, who, what, adjuncts


def facts(sentences: list[list[Row]], names: list[dict[int, str]]) -> list[tuple]:
    """Return one fact for every verbal clause."""
    found = []
    for rows, resolved in zip(sentences, names, strict=True):
        for number, row in enumerate(rows, start=1):
            if row.upos != "VERB" or row.deprel == "xcomp":
                continue
            subject = None
            if row.deprel == "acl:relcl":
                subject = resolved.get(row.head, rows[row.head - 1].lemma)
            elif row.deprel == "conj":
                first = kids(rows, row.head).get("nsubj")
                subject = None if first is None else rows[first - 1].lemma
            fact = clause_facts(rows, number, resolved, subject)
            if row.deprel == "acl:relcl":
                fact = (fact[0], fact[1], subject, *fact[3:])
            found.append(fact)
    return found


def as_transfer(fact: tuple) -> tuple:
    verb, truth, who, what, adjuncts = fact
    if verb in CONVERSE:
        return CONVERSE[verb], truth, adjuncts["from"], what, {"to": who}
    return verb, truth, who, what, {"to": adjuncts["to"]}


def sides(pair: Pair) -> tuple[list[list[Row]], list[dict[int, str]], list[Row]]:
    """Return the trees of both sides, and what each pronoun of side A stands for according to the chains."""
    found = read_conllu(write_conllu([pair]))
    a = [rows for key, (_, rows) in found.items() if key.startswith("0-a")]
    names: list[dict[int, str]] = []
    offset = 0
    for rows in a:
        resolved = {}
        for number, row in enumerate(rows, start=1):
            if row.upos == "PRON" and row.lemma in ("he", "she"):
                at = offset + number - 1
                (resolved[number],) = (
                    c.entity for c in pair.chains for m in c.mentions if (m.side, m.start, m.end) == ("a", at, at + 1)
                )
        names.append(resolved)
        offset += len(rows)
    return a, names, found["0-b-1"][1]


def value(word: str) -> int:
    return int(word) if word.isdigit() else NUMBERS.index(word) + 2


def oracle_give_receive(pair: Pair) -> bool:
    a, names, b = sides(pair)
    return as_transfer(facts(a, names)[0]) == as_transfer(facts([b], [{}])[0])


def included(small: tuple, large: tuple) -> bool:
    """Tell whether a fact says no more than another one."""
    return small[:4] == large[:4] and small[4].items() <= large[4].items()


def oracle_stated(pair: Pair) -> bool:
    """B is one of the facts of A, possibly with fewer adjuncts."""
    a, names, b = sides(pair)
    (asked,) = facts([b], [{}])
    return any(included(asked, fact) for fact in facts(a, names))


def oracle_place(pair: Pair) -> bool:
    inside, kinds = set(), set()
    verdict = False
    for side, text in (("a", pair.text_a), ("b", pair.text_b)):
        for clause in text.rstrip(".").split(" and "):
            first, last = clause.split()[0], clause.split()[-1]
            middle = " ".join(clause.split()[1:-1])
            pair_ = (last, first) if middle in ("contains", "includes") else (first, last)
            kind = re.fullmatch(r"is (?:the|a) (\w+) (?:of|in)", middle)
            if side == "a":
                inside.add(pair_)
                if kind:
                    kinds.add((kind[1], pair_))
            elif kind:
                verdict = (kind[1], pair_) in kinds
            else:
                closure = inside | {(x, z) for x, y in inside for y2, z in inside if y == y2}
                verdict = pair_ in closure
    return verdict


def oracle_amount(pair: Pair) -> bool:
    a, b = pair.text_a, pair.text_b
    numbers = re.findall(r"\b(\d+|" + "|".join(NUMBERS) + r")\b", a)
    limited = re.search(r"(more|less) than (\w+) coins", b)
    if limited:
        word, limit = limited.groups()
        return (value(numbers[0]) > value(limit)) == (word == "more") and numbers[0] != limit
    if " has " in b:
        owner, word, other = re.fullmatch(r"(.+) has (more|fewer) \w+ than (.+)\.", b).groups()
        owner, other = owner.lower(), other.lower()
        if numbers:
            owners = [part.split(" has ")[0].lower() for part in a.split(" and ")]
            amounts = dict(zip(owners, map(value, numbers), strict=True))
            return (amounts[owner] > amounts[other]) == (word == "more")
        known = re.fullmatch(r"(.+) has (more|fewer) \w+ than (.+)\.", a).groups()
        order = (known[0].lower(), known[2].lower()) if known[1] == "more" else (known[2].lower(), known[0].lower())
        return order == ((owner, other) if word == "more" else (other, owner))
    orders = []
    for sentence in (pair.sentences_a[0], pair.sentences_b[0]):
        adjective = next(word.lemma for word in sentence.words if word.upos == "ADJ")
        first, second = (word.lemma for word in sentence.words if word.deprel in ("nsubj", "obl"))
        orders.append((OPPOSITE[adjective], second, first) if adjective in OPPOSITE else (adjective, first, second))
    return orders[0] == orders[1]


def oracle_negation(pair: Pair) -> bool:
    def polarity(text: str) -> tuple[bool, str]:
        words = re.findall(r"\w+", text)
        true = "not" not in words and not set(words) & {"failed", "forgot", "refused"}
        for word in words:
            if word in OPPOSITE:
                true = not true
        return true, text

    if " but " in pair.text_a:
        words = pair.text_a.rstrip(".").split()
        denied = words[words.index("not") + 2]
        asked = re.search(r"the (\w+)", pair.text_b)[1]
        return asked != denied and asked in words
    return polarity(pair.text_a)[0] == polarity(pair.text_b)[0]


def oracle_question(pair: Pair) -> bool:
    a, _, b = sides(pair)
    (asked,) = facts([b], [{}])
    word = next(row.lemma for row in b if row.lemma.lower() in ("who", "what", "where", "when", "how"))
    for fact in facts(a, [{} for _ in a]):
        verb, _, who, what, adjuncts = fact
        places = {v for k, v in adjuncts.items() if v.islower()}
        times = {v for k, v in adjuncts.items() if not v.islower()}
        if verb != asked[0]:
            continue
        if word == "who" and asked[2] == "who" and what == asked[3]:
            return True
        if word in ("who", "what") and asked[3] == word and who == asked[2]:
            return True
        same = who == asked[2] and what == asked[3]
        if word == "where" and same and places:
            return True
        if word == "when" and same and times:
            return True
    if word == "how":
        asked_things = re.search(r"How many (\w+)", pair.text_b)[1]
        return re.search(rf"({'|'.join(NUMBERS)}) {asked_things}", pair.text_a) is not None
    return False


def oracle_coreference(pair: Pair) -> bool:
    if "belongs to" not in pair.text_b:
        return oracle_stated(pair)
    gender = {person.name: person.gender for person in WOMEN + RARE_WOMEN + MEN + RARE_MEN}
    owner = re.search(r"belongs to (\w+)\.", pair.text_b)[1]
    return gender[owner] == ("she" if " her " in pair.text_a else "he")


ORACLES = {
    "give_receive": oracle_give_receive,
    "active_passive": oracle_stated,
    "located_in": oracle_place,
    "more_less": oracle_amount,
    "negation": oracle_negation,
    "question_answer": oracle_question,
    "distractor": oracle_stated,
    "coreference": oracle_coreference,
}


@pytest.mark.parametrize("phenomenon", PHENOMENA)
def test_labels_agree_with_an_oracle_that_reads_the_sentences(phenomenon: str, training: list[Pair]) -> None:
    pairs = [pair for pair in training if pair.phenomenon == phenomenon]
    assert len(pairs) >= N // len(PHENOMENA) - 2
    wrong = [p for p in pairs if "went from" not in p.text_a and ORACLES[phenomenon](p) != bool(p.label)]
    assert not wrong, [(p.text_a, p.text_b, p.label) for p in wrong[:5]]


def test_who_goes_from_one_place_to_another_starts_there_and_arrives_here(training: list[Pair]) -> None:
    pairs = [pair for pair in training if "went from" in pair.text_a]
    assert len(pairs) > 20
    for pair in pairs:
        start, end = re.search(r"went from (\w+) to (\w+)\.", pair.text_a).groups()
        asked = pair.text_b.rstrip(".").split()[-1]
        assert (asked == (start if "started" in pair.text_b else end)) == bool(pair.label)


def test_pronouns_and_names_agree_in_gender(training: list[Pair]) -> None:
    gender = {person.name: person.gender for person in WOMEN + RARE_WOMEN + MEN + RARE_MEN}
    forms = {"she": {"she", "her"}, "he": {"he", "him", "his"}}
    seen = Counter()
    for pair in training:
        words = [word.form.lower() for sentence in pair.sentences_a for word in sentence.words]
        for chain in pair.chains:
            for mention in chain.mentions:
                word = words[mention.end - 1] if mention.side == "a" else ""
                if word in forms["she"] | forms["he"]:
                    assert word in forms[gender[chain.entity]]
                    seen[word] += 1
    assert set(seen) == forms["she"] | forms["he"]


# --- balance, twins, split -------------------------------------------------------------------------------------------


def test_labels_are_balanced_in_every_builder(training: list[Pair]) -> None:
    counts = Counter((pair.builder, pair.label) for pair in training)
    builders = {pair.builder for pair in training}
    assert len(builders) == len({b for group in PHENOMENA.values() for b in group})
    for builder in builders:
        assert counts[builder, 0] == counts[builder, 1] > 10


def test_twins_share_sentence_a_and_differ_a_little_in_b(training: list[Pair]) -> None:
    for supported, unsupported in zip(training[::2], training[1::2], strict=True):
        assert (supported.label, unsupported.label) == (1, 0)
        assert supported.text_a == unsupported.text_a and supported.text_b != unsupported.text_b
        bags = [Counter(w.lemma for s in p.sentences_b for w in s.words) for p in (supported, unsupported)]
        exchanged = max((bags[0] - bags[1]).total(), (bags[1] - bags[0]).total())
        assert exchanged <= 3, (supported.text_b, unsupported.text_b)


def test_single_words_hardly_tell_the_label() -> None:
    pairs = list(generate(11, 12000))
    totals, supported = Counter(), Counter()
    for pair in pairs:
        words = {(s, w) for s, t in (("a", pair.text_a), ("b", pair.text_b)) for w in re.findall(r"\w+", t.lower())}
        totals.update(words)
        supported.update(word for word in words if pair.label)
    shares = {word: supported[word] / n for word, n in totals.items() if n >= 300}
    assert len(shares) > 60
    assert max(abs(share - 0.5) for share in shares.values()) < 0.12, shares


def test_the_same_seed_gives_the_same_pairs_and_another_seed_others() -> None:
    first, again, other = (write_jsonl(list(generate(seed, 64))) for seed in (5, 5, 6))
    assert first == again != other


def test_held_out_pairs_bring_together_names_that_training_never_does(
    training: list[Pair], held_out: list[Pair]
) -> None:
    many = list(generate(4, 6000)) + training
    assert not {(p.text_a, p.text_b) for p in many} & {(p.text_a, p.text_b) for p in held_out}

    def couples(pairs: list[Pair]) -> set[tuple[str, str]]:
        people = {person.name for person in WOMEN + RARE_WOMEN + MEN + RARE_MEN}
        found = (sorted(set(re.findall(r"\w+", f"{p.text_a} {p.text_b}")) & people) for p in pairs)
        return {tuple(names) for names in found if len(names) == 2}

    assert len(couples(held_out)) > 50
    assert not couples(many) & couples(held_out)


# --- annotations -----------------------------------------------------------------------------------------------------


def test_deciding_words_differ_between_twins_or_are_what_the_difference_hangs_on(held_out: list[Pair]) -> None:
    for pair in held_out:
        record = json.loads(write_jsonl([pair]))
        assert pair.deciding_a and pair.deciding_b, pair.text_a
        for side, positions in (("a", pair.deciding_a), ("b", pair.deciding_b)):
            words = [w for s in (pair.sentences_a if side == "a" else pair.sentences_b) for w in s.words]
            text = record[f"text_{side}"]
            for position in positions:
                start, end = record[f"words_{side}"][position]
                assert text[start:end] == words[position].form
                assert words[position].upos not in {"PUNCT", "DET"}


TRANSFER_WORD = r"gave|lent|sold|sent|handed|taught|received|borrowed|bought|got|took|learned|to|from"
NAME = r"[A-Z][a-z]+"
ROLE = "|".join(ROLES)
EXPECTED_DECIDING = {
    "transfer": (TRANSFER_WORD, f"{TRANSFER_WORD}|{NAME}"),
    "transfer_kind": (TRANSFER_WORD, "lent|sold|borrowed|bought"),
    "comparative": (r"\w+er", rf"\w+er|{ROLE}|{NAME}"),
    "counting": (r"\d+|" + "|".join(NUMBERS), "more|fewer"),
    "price": (r"\d+|" + "|".join(NUMBERS), "more|less"),
    "negation_verb": (r"managed|remembered|failed|forgot|refused", r"did|not|\w+"),
    "coreference_owner": ("his|her", NAME),
    "coreference_next": ("She|He", NAME),
    "coreference_because": ("she|he|him|her", NAME),
    "question_adjunct": (r"\w+", "Where|When"),
    "question_who": (r"\w+", f"{ROLE}|{NAME}"),
}


@pytest.mark.parametrize("builder", EXPECTED_DECIDING)
def test_deciding_spans_point_at_the_right_words(builder: str, held_out: list[Pair]) -> None:
    pairs = [pair for pair in held_out if pair.builder == builder]
    assert pairs
    for pair in pairs:
        for side, pattern in zip("ab", EXPECTED_DECIDING[builder], strict=True):
            text = pair.text_a if side == "a" else pair.text_b
            for start, end in pair.deciding_characters(side):
                assert re.fullmatch(pattern, text[start:end]), (text, text[start:end])


def test_chains_have_valid_spans_and_name_their_entity(held_out: list[Pair]) -> None:
    n_chains = 0
    for pair in held_out:
        words = {
            side: [w for s in sentences for w in s.words]
            for side, sentences in (("a", pair.sentences_a), ("b", pair.sentences_b))
        }
        taken = Counter()
        for chain in pair.chains:
            n_chains += 1
            assert len(chain.mentions) >= 2
            for mention in chain.mentions:
                span = words[mention.side][mention.start : mention.end]
                taken[mention] += 1
                assert 0 <= mention.start < mention.end <= len(words[mention.side])
                assert span and span[-1].upos in {"NOUN", "PROPN", "PRON"}
                assert not {word.upos for word in span} & {"ADP", "VERB", "PUNCT", "CCONJ"}
                named = span[-1].form.lower() == chain.entity.lower()
                assert named or span[-1].upos == "PRON" or span[0].form == "a"
        assert all(count == 1 for count in taken.values())
    assert n_chains > len(held_out)


def test_a_known_pair_is_annotated_as_by_hand() -> None:
    pairs = (pair for pair in generate(0, 4000) if pair.builder == "coreference_owner" and pair.label == 1)
    pair = next(p for p in pairs if re.fullmatch(r"\w+ met \w+ in (his|her) garden\.", p.text_a))
    rows = read_conllu(write_conllu([pair]))["0-a-1"][1]
    assert [(r.upos, r.head, r.deprel) for r in rows] == [
        ("PROPN", 2, "nsubj"),
        ("VERB", 0, "root"),
        ("PROPN", 2, "obj"),
        ("ADP", 6, "case"),
        ("PRON", 6, "nmod:poss"),
        ("NOUN", 2, "obl"),
        ("PUNCT", 2, "punct"),
    ]
    assert pair.deciding_a == (4,) and pair.deciding_b == (4,)
    chains = {chain.entity: {(m.side, m.start, m.end) for m in chain.mentions} for chain in pair.chains}
    owner = pair.text_b.rstrip(".").split()[-1]
    assert chains["garden"] == {("a", 4, 6), ("b", 0, 2)}
    assert ("a", 4, 5) in chains[owner] and ("b", 4, 5) in chains[owner] and len(chains) == 2


def test_the_deciding_words_of_b_are_where_it_differs_from_its_twin(held_out: list[Pair]) -> None:
    for supported, unsupported in zip(held_out[::2], held_out[1::2], strict=True):
        rests = []
        for pair in (supported, unsupported):
            words = pair.sentences_b[0].words
            root = [w.form.lower() for i, w in enumerate(words) if w.head == 0 and pair.deciding_b == (i,)]
            kept = [w.form.lower() for i, w in enumerate(words) if i not in pair.deciding_b and w.upos != "DET"]
            rests.append((sorted(kept), sorted(kept + root)))
        assert any(own in rests[1] for own in rests[0]), (supported.text_b, unsupported.text_b)


def test_build_twins_is_one_scenario_of_generate() -> None:
    first, second = generate(9, 2)
    assert build_twins(first.phenomenon, PHENOMENA[first.phenomenon][0], "9/0", False) == (first, second)
    assert LABELS[first.label] == "supported"


def test_schedules_hold_every_builder_and_measuring_is_even() -> None:
    pairs = {(phenomenon, builder) for phenomenon, builders in PHENOMENA.items() for builder in builders}
    assert set(EVEN) == set(PRACTICE) == pairs
    phenomena = Counter(phenomenon for phenomenon, _ in EVEN)
    assert set(phenomena.values()) == {len(EVEN) // len(PHENOMENA)}


@pytest.mark.parametrize("held_out", [False, True])
def test_every_word_finds_a_person_on_both_sides(held_out: bool) -> None:
    for word in (*THINGS, *COUNTABLES, *PLACES, *RARE_PLACES, *(state[0] for state in STATES)):
        for seed in range(3):
            person = Draw(f"{seed}", held_out).person_with(word)
            assert is_held_out(person.name, word) == held_out


def test_a_word_without_a_person_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "is_held_out", lambda first, second: False)
    with pytest.raises(ValueError, match="no person makes a couple with 'lamp' on the held-out side"):
        Draw("0", True).person_with("lamp")
