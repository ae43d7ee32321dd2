"""Reading coreference chains: CoNLL-2012, GAP and JSON Lines, by themselves and as collections of texts."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import replace

import pytest

from attnflow import Mention, TextsError, open_texts, read_coreference
from attnflow.bundled import ASSETS
from attnflow.corpus.constituents import head_in_tree, phrases
from attnflow.corpus.mention_rules import head_by_rule, made_mention
from attnflow.corpus.texts_file import open_saved_texts, save_texts

CHAINS = ASSETS / "demo" / "pairs.jsonl"


def row(number, word, tag, bit, chains="-", more=""):
    return f"tale/one  0  {number}  {word}  {tag}  {bit}  -  -  -  Teller  *  {more}  {chains}\n"


BEGIN = "#begin document (tale/one); part 000\n"
FIRST = (
    row(0, "The", "DT", "(TOP(S(NP(NP*", "(0|(2")
    + row(1, "cook", "NN", "*)", "2)")
    + row(2, "of", "IN", "(PP*")
    + row(3, "Anna", "NNP", "(NP(NP*", "(1")
    + row(4, "'s", "POS", "*)", "1)")
    + row(5, "gardens", "NNS", "*)))", "0)")
    + row(6, "ran", "VBD", "(VP*)")
    + row(7, "/.", ".", "*))")
)
SECOND = (
    row(0, "-LRB-", "-LRB-", "(TOP(S*")
    + row(1, "She", "PRP", "(NP*)", "(1)")
    + row(2, "loves", "VBZ", "(VP*")
    + row(3, "her", "PRP$", "(NP*", "(3|(1)")
    + row(4, "cook", "NN", "*)", "(0)|3)")
    + row(5, "-RRB-", "-RRB-", "*)))")
)
TALE = f"{BEGIN}{FIRST}\n{SECOND}\n#end document\n"


def written(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def test_a_document_of_conll_2012_is_read_with_nested_and_crossing_mentions(tmp_path):
    file = written(tmp_path / "x.v4_gold_conll", TALE + TALE.replace("part 000", "part 001"))
    one, two = read_coreference(file)
    assert (one.guid, two.guid) == ("tale/one/0", "tale/one/1")
    assert one.text == "The cook of Anna 's gardens ran . ( She loves her cook )"
    assert all(one.text[start:end] == word for word, (start, end) in zip(one.words, one.span, strict=True))
    told = {(m.chain, m.start, m.end): (m.head, m.kind, m.number, m.gender) for m in one.mentions}
    assert told == {
        (0, 0, 6): (1, "nominal", "singular", None),  # as the tree has it, whose first noun phrase is the head
        (2, 0, 2): (1, "nominal", "singular", None),
        (1, 3, 5): (3, "proper", "singular", "feminine"),  # not its 's
        (1, 9, 10): (9, "pronoun", "singular", "feminine"),
        (1, 11, 12): (11, "pronoun", "singular", "feminine"),
        (3, 11, 13): (12, "nominal", "singular", None),
        (0, 12, 13): (12, "nominal", "singular", None),
    }
    assert [len(chain) for chain in one.chains] == [2, 3, 1, 1] and one.linked
    texts = open_texts(file)
    assert [text.guid for text in texts] == ["tale/one/0", "tale/one/1"] and texts[0].document == one
    assert texts[1].meta == {"document": "tale/one", "part": "1"}
    assert texts.fingerprint != replace(texts, rows=tuple(replace(t, document=None) for t in texts)).fingerprint
    (tmp_path / "y.conll.gz").write_bytes(gzip.compress(TALE.encode()))
    assert open_texts(tmp_path / "y.conll.gz")[0].document == one


def test_without_a_tree_the_head_stands_before_the_preposition(tmp_path):
    plain = TALE.replace("VP*", "VP(*").replace("  CD", "  NN")  # brackets that never close
    (document,) = read_coreference(written(tmp_path / "x.conll", plain))
    assert next(m.head for m in document.mentions if (m.chain, m.start) == (0, 0)) == 1
    crossing = TALE.replace("(1)", "(1", 1).replace("(3|(1)", "(3|1)", 1)
    (document,) = read_coreference(written(tmp_path / "x.conll", crossing))
    assert {(m.chain, m.start, m.end) for m in document.mentions} >= {(1, 9, 12), (3, 11, 13)}


@pytest.mark.parametrize(
    ("bits", "tags", "head"),
    [
        ("(NP* *)", "DT POS", 0),
        ("(NP* * *)", "DT JJ JJ", 2),
        ("(NP* * *)", "DT NN CD", 1),
        ("(NP(NP*) * (NP*))", "PRP CC NNP", 0),
        ("(S(NP*) (VP* (NP*)))", "PRP VBD NNS", 1),
    ],
)
def test_heads_in_a_tree(bits, tags, head):
    found = phrases(bits.split(), tags.split())
    assert head_in_tree(found[0, len(tags.split())]) == head


@pytest.mark.parametrize(
    ("words", "head"),
    [
        ("the old nurse of Velm", 2),
        ("Anna 's garden", 2),
        ("Anna 's", 0),
        ("the man who sold the lamp", 1),
        ("Paul , a farmer ,", 0),
        ("her", 0),
        ("that", 0),
        (". .", 0),
    ],
)
def test_heads_by_rule(words, head):
    assert head_by_rule(words.split()) == head


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("Water and bread helped them .", (4, 5), ("pronoun", "plural", None, 3)),
        ("She met Mrs. Marn .", (2, 4), ("proper", "singular", "feminine", 3)),
        ("I saw you .", (0, 1), ("pronoun", "singular", None, 1)),
        ("The Nurse sang .", (0, 2), ("proper", "singular", None, 3)),
        ("The nurses sang .", (0, 2), ("nominal", "plural", None, 3)),
        ("Three fish swam .", (0, 2), ("nominal", "plural", None, 3)),
        ("Then a bus came .", (1, 3), ("nominal", "singular", None, 3)),
        ("Anna and Paul sang .", (0, 3), ("proper", "plural", None, 3)),
        ("Then the woman sang .", (1, 3), ("nominal", "singular", "feminine", 3)),
    ],
)
def test_what_a_mention_is_by_rule(text, span, expected):
    found = made_mention(text.split(), *span, 0)
    assert (found.kind, found.number, found.gender, found.person) == expected


@pytest.mark.parametrize(
    ("content", "message", "counted"),
    [
        (FIRST, "line 1: a word stands outside of a document; begin one with #begin", None),
        (f"{BEGIN}{FIRST}tale/one 0 8 .\n", "line 10: it has 4 fields; a word has at least 12", "no CoNLL-2012"),
        (BEGIN + FIRST + SECOND, "line 10: it is numbered '0' after 8 words; count the words", "no CoNLL-2012"),
        (TALE.replace("cook", "[WORD]", 1), "line 3: its word is left out; put the words of Onto", "no CoNLL-2012"),
        (TALE.replace("(1)", "(1", 1), "line 12: a mention of chain 1 begins and never ends", "broken chains"),
        (TALE.replace("(0)", "0)"), "line 15: a mention of chain 0 ends that has not begun", "broken chains"),
        (TALE.replace("(1)", "(one)", 1), r"line 12: its chains are '(one)'; write such as (3, 3)", "broken chains"),
        (TALE.replace("(1)", "1", 1), "line 12: its chains are '1'", "broken chains"),
        (f"{BEGIN}\n", "line 2: the document 'tale/one' has no words; leave it out", "no CoNLL-2012"),
    ],
)
def test_what_is_wrong_in_conll_2012_is_told_with_its_line(content, message, counted, tmp_path):
    file = written(tmp_path / "x.conll", content)
    with pytest.raises(TextsError) as told:
        read_coreference(file)
    assert message in str(told.value)
    if counted is None:
        with pytest.raises(TextsError, match="line 1: a word stands outside"):
            open_texts(file)
    else:
        texts = open_texts(written(file, TALE + content))
        assert len(texts) == 1 and [counted in reason for reason in texts.left_out] == [True]


HEADER = "ID\tText\tPronoun\tPronoun-offset\tA\tA-offset\tA-coref\tB\tB-offset\tB-coref\tURL\n"
SAYING = 'Anna Marn told "Vera" of the fox. She had lost her.'


def gap(text=SAYING, pronoun="She", at=34, a="Anna Marn", a_at=0, a_same="TRUE", b="Vera", b_at=16, b_same="FALSE"):
    return "\t".join(map(str, ["t-1", text, pronoun, at, a, a_at, a_same, b, b_at, b_same, "x"])) + "\n"


def test_a_text_of_gap_has_a_pronoun_and_two_names(tmp_path):
    file = written(tmp_path / "gap.tsv", HEADER + gap() + gap(b_same="True", a_same="False"))
    one, two = read_coreference(file)
    assert [(m.chain, m.words, m.kind) for m in one.mentions] == [
        (0, ("Anna", "Marn"), "proper"),
        (2, ("Vera",), "proper"),
        (0, ("She",), "pronoun"),
    ]
    assert [m.chain for m in two.mentions] == [1, 0, 0]
    assert all(one.text[start:end] == word for word, (start, end) in zip(one.words, one.span, strict=True))
    texts = open_texts(file)
    assert texts[0].document == one and texts[0].guid == "t-1#0" and texts.columns.text_a == "Text"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gap(at=33), "line 2: Pronoun is 'She' at '33', and there stands ' She had lost her.'; give the number"),
        (gap(at=400), "line 2: Pronoun is 'She' at '400', and there stands nothing"),
        (gap(b_at="x"), "line 2: B is 'Vera' at 'x'"),
        (gap() + gap(b_same="no"), "line 3: B-coref is 'no'; give TRUE or FALSE"),
        ("t-1\tonly\n", "line 2: it has 2 cells, and the first line 11"),
        (gap(a_same="FALSE"), "has no text with a chain of two mentions"),
    ],
)
def test_what_is_wrong_in_gap_is_told_with_its_line(content, message, tmp_path):
    file = written(tmp_path / "gap.tsv", HEADER + content)
    with pytest.raises(TextsError) as told:
        read_coreference(file)
    assert message in str(told.value)
    if "coref" in message or "stands" in message:
        left_out = open_texts(written(file, HEADER + gap() + content.removeprefix(gap()))).left_out
        assert sum(left_out.values()) == 1


def test_chains_of_the_bundled_pairs_go_on_over_both_texts():
    documents = read_coreference(CHAINS)
    assert len(documents) == 400 and all(document.linked for document in documents)
    first = documents[0]
    assert first.chains[0] == (
        Mention(0, 0, 1, 0, "proper", ("Edith",), "singular", "feminine", 3),
        Mention(0, 12, 13, 12, "proper", ("Edith",), "singular", "feminine", 3),
    )
    assert first.words[first.chains[1][0].head] == "table" and first.chains[1][0].kind == "nominal"
    texts = open_texts("demo/coreference")
    assert [text.document for text in texts] == documents
    single = open_texts("demo/coreference", columns={"text_b": None}, rows=3)
    assert all(text.document is None for text in single), "chains of a pair are not those of one of its texts"


def chains(**changed):
    told = {"text_a": "Anna sang.", "words_a": [[0, 4], [5, 9], [9, 10]], "text_b": "She slept.", "words_b": [[0, 3]]}
    return json.dumps({**told, "coreference": [{"mentions": [["a", 0, 1], ["b", 0, 1]]}], **changed}) + "\n"


@pytest.mark.parametrize(
    ("content", "message", "counted"),
    [
        (chains(words_a=[[0, 4], [5, 11]]), "a word of words_a is [5, 11]; give its first", "not in their text"),
        (chains(words_a=[[0, 4], [3, 9]]), "a word of words_a is [3, 9]; give its first", "not in their text"),
        (chains(words_b=None), "words_b is 'None'; give a list", "broken chains"),
        (chains(coreference=[[["a", 0, 4]]]), 'a mention is ["a", 0, 4]; give [side, first word', "broken chains"),
        (chains(coreference=[[["c", 0, 1]]]), 'a mention is ["c", 0, 1]', "broken chains"),
        (chains(coreference=[[["a", True, 1]]]), 'a mention is ["a", true, 1]', "broken chains"),
        (chains(coreference=[3]), "the mentions of a chain is '3'; give a list", "broken chains"),
        (chains(coreference={}), "coreference is '{}'; give a list", "broken chains"),
        (chains(text_a=3), "the text of words_a is '3'; give a text", "not in their text"),
        ("{}\n", "it is no object with text_a, words_a, coreference", None),
        ("{\n", "it is no object with text_a, words_a, coreference", None),
    ],
)
def test_what_is_wrong_in_json_is_told_with_its_line(content, message, counted, tmp_path):
    file = written(tmp_path / "x.jsonl", chains() + "\n" + content)
    with pytest.raises(TextsError) as told:
        read_coreference(file)
    assert f"line 3: {message}" in str(told.value)
    if counted:
        texts = open_texts(file)
        assert len(texts) == 1 and [counted in reason for reason in texts.left_out] == [True]


def test_what_is_no_file_of_chains_is_refused(tmp_path):
    (tmp_path / "latin").write_bytes(b"#begin document (\xe4); part 000\n")
    for name, message in (
        ("nowhere", "cannot be read: No such file"),
        ("latin", "is not UTF-8"),
        (written(tmp_path / "empty", "\n").name, "has no text with a chain of two mentions"),
        (written(tmp_path / "alone", BEGIN + FIRST).name, "has no text with a chain"),
    ):
        with pytest.raises(TextsError, match=message):
            read_coreference(tmp_path / name)


def test_one_document_is_not_kept_beyond_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr("attnflow.corpus.conll_rows.MOST_WORDS", 5)
    monkeypatch.setattr("attnflow.corpus.chain_bounds.MOST_MENTIONS", 1)
    with pytest.raises(TextsError, match="line 7: the document has more than 5 words; cut it"):
        read_coreference(written(tmp_path / "x.conll", TALE))
    with pytest.raises(TextsError, match="line 1: there are more than 1 mentions; cut the text"):
        read_coreference(written(tmp_path / "x.jsonl", chains()))
    monkeypatch.undo()
    monkeypatch.setattr("attnflow.corpus.chain_bounds._MOST_MENTIONED", 9)
    with pytest.raises(TextsError, match="line 2: its mentions have more than 9 words together; cut the text"):
        read_coreference(written(tmp_path / "x.conll", TALE))
    monkeypatch.setattr("attnflow.corpus.conll_rows.MOST_MENTIONS", 2)
    with pytest.raises(TextsError, match="there are more than 2 mentions; cut the text"):
        read_coreference(written(tmp_path / "x.conll", TALE))
    assert phrases(["(A" * 1_000 + "*" + ")" * 1_000], ["NN"]) == {}, "no file makes it keep a phrase for each bracket"


def test_chains_are_kept_with_the_texts_of_a_survey(tmp_path):
    texts = open_texts("demo/coreference", rows=5)
    kept = open_saved_texts(save_texts(texts, tmp_path / "texts.parquet"))
    assert kept.fingerprint == texts.fingerprint and kept.rows == texts.rows and kept[0].document


def test_heads_of_phrases_in_one_another_are_looked_for_once():
    """A long flat phrase in many others would else be gone through for each of them."""
    size, deep = 4_000, 400
    bits = ["(X*"] * deep + ["*"] * (size - deep - 1) + ["*" + ")" * deep]
    found = phrases(bits, ["NN"] * size)
    begin = time.process_time()
    assert {head_in_tree(phrase) for phrase in found.values()} == {size - 1}
    assert time.process_time() - begin < 1
