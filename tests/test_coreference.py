"""Heads that find antecedents: counted as the definition says, by rules beside, over corpora, by the command."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from attnflow import (
    CoreferenceHeads,
    Document,
    Mention,
    SelectionError,
    Text,
    capture,
    cli,
    corpus_statistics,
    encode,
    open_corpus,
    open_texts,
    read_coreference,
    word_attention,
)
from attnflow.bundled import ASSETS
from attnflow.records.coreference import KINDS
from attnflow.records.shares import percent
from attnflow.stats.antecedents import RULES
from attnflow.stats.proportion import Proportion
from tests import reference
from tests.checkpoints import ARCHITECTURES

CHAINS = ASSETS / "demo" / "pairs.jsonl"
CANDIDATES = ("before", "mentions", "all")


def made_texts(count=14):
    """Made-up attention between words, mentions that nest and cross, and which words have a token."""
    random = np.random.default_rng(3)
    forms = ["Anna", "anna", "she", "nurse", "it"]
    for _ in range(count):
        size = int(random.integers(6, 13))
        words = random.dirichlet(np.full(size, 0.3), size=(2, 3, size)).astype(np.float32)
        mentions = []
        for _ in range(int(random.integers(3, 9))):
            start = int(random.integers(size))
            end = int(random.integers(start + 1, min(size, start + 4) + 1))
            mentions.append(
                Mention(
                    int(random.integers(3)),
                    start,
                    end,
                    int(random.integers(start, end)),
                    KINDS[random.integers(3)],
                    tuple(str(form) for form in random.choice(forms, end - start)) if random.random() > 0.1 else (),
                    (None, "singular", "plural")[random.integers(3)],
                    (None, "feminine", "neuter")[random.integers(3)],
                    (None, 1, 3)[random.integers(3)],
                )
            )
        there = (random.random(size) > 0.1).tolist()
        yield words, mentions, there


@pytest.mark.parametrize("candidates", CANDIDATES)
def test_heads_and_rules_are_right_as_often_as_the_definition_says(candidates):
    statistic = CoreferenceHeads(candidates=candidates)
    cases, left_out = dict.fromkeys(KINDS, 0), 0
    right = {kind: np.zeros((2, 3), int) for kind in KINDS}
    ruled = {(kind, rule): 0 for kind in KINDS for rule in RULES}
    for words, mentions, there in made_texts():
        statistic.update(words, mentions, there=there)
        found, by_head, by_rule, missing = reference.antecedents_found(words, there, mentions, candidates)
        left_out += missing
        for number, mention in enumerate(found):
            cases[mention.kind] += 1
            for place, hits in by_head.items():
                right[mention.kind][place] += hits[number]
            for rule, hits in by_rule.items():
                ruled[mention.kind, rule] += hits[number]
    result = statistic.result()
    assert min(cases.values()) > 3 and left_out > 0 and result.left_out == left_out
    assert dict(result.n) == {**cases, "all": sum(cases.values())}
    assert (result.candidates, result.n_documents) == (candidates, 14)
    for kind in KINDS:
        np.testing.assert_allclose(result.accuracy[kind], right[kind] / cases[kind], rtol=1e-12)
        best = result.best(kind)
        assert best.on_all == Proportion(right[kind].max(), cases[kind])
        assert result.at(best.layer, best.head, kind) == best.on_all
        for rule in RULES:
            assert result.baseline(rule, kind) == Proportion(ruled[kind, rule], cases[kind])
    assert result.baseline("sieves").right == sum(ruled[kind, "sieves"] for kind in KINDS)
    np.testing.assert_array_equal(result.right.sum(axis=(0, 1)), sum(right.values()))


def test_each_half_is_scored_by_what_is_best_on_the_other():
    halves = {0: [], 1: []}
    for row in made_texts(40):
        one = CoreferenceHeads().update(*row[:2])
        if one.cases.any():
            (half,) = {place for place in (0, 1) if one.cases[:, place].any()}
            again = CoreferenceHeads().update(row[0], row[1][::-1])
            assert again.cases[:, half].any(), "whatever the order of its mentions"
            halves[half].append(row[:2])
    assert all(len(half) > 8 for half in halves.values())
    parts = {}
    for half, rows in halves.items():
        parts[half] = CoreferenceHeads()
        for row in rows:
            parts[half].update(*row)
    one, other = (part.result() for part in parts.values())
    for kind in (*KINDS, "all"):
        right = 0
        for own, chosen in ((one, other.best(kind)), (other, one.best(kind))):
            right += own.at(chosen.layer, chosen.head, kind).right
        whole = CoreferenceHeads().merge(parts[0]).merge(parts[1]).result()
        assert whole.best(kind).held_out == Proportion(right, whole.n[kind])
        assert right <= whole.best(kind).on_all.right


def test_attention_may_be_between_the_words_that_are_there_alone():
    whole, among = CoreferenceHeads(candidates="mentions"), CoreferenceHeads(candidates="mentions")
    for words, mentions, there in made_texts():
        whole.update(words, mentions, there=there)
        among.update(words[..., there, :][..., there], mentions, there=there)
    for name in ("cases", "right", "by_rule", "left_out"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(among, name))


def mention(chain, start, end, text, head=None, kind="proper", **more):
    return Mention(chain, start, end, end - 1 if head is None else head, kind, tuple(text.split()), **more)


def test_the_sieves_take_the_nearest_of_the_first_that_lets_one_through():
    known = {"number": "singular", "person": 3}
    paul = mention(0, 0, 1, "Paul", gender="masculine", **known)
    nurse = mention(1, 1, 3, "the nurse", kind="nominal", **known)
    anna = mention(2, 3, 4, "Anna", gender="feminine", **known)
    he = mention(0, 5, 6, "he", kind="pronoun", gender="masculine", **known)
    old = mention(1, 6, 9, "The old Nurse", kind="nominal", **known)
    found = CoreferenceHeads().update(np.full((1, 1, 9, 9), 1 / 9), [paul, nurse, anna, he, old]).result()
    shares = {(rule, kind): found.baseline(rule, kind).right for rule in RULES for kind in ("pronoun", "nominal")}
    assert shares == {
        ("nearest", "pronoun"): 0,  # Anna
        ("head match", "pronoun"): 0,  # nobody is called he, so Anna again
        ("sieves", "pronoun"): 0,  # the nurse, of whom nothing speaks against a man
        ("nearest", "nominal"): 0,  # he
        ("head match", "nominal"): 1,
        ("sieves", "nominal"): 1,
    }
    nurse = replace(nurse, gender="feminine")
    found = CoreferenceHeads().update(np.full((1, 1, 9, 9), 1 / 9), [paul, nurse, anna, he, old]).result()
    assert found.baseline("sieves", "pronoun") == Proportion(1, 1)


def test_heads_choose_among_the_candidates():
    mentions = [mention(0, 0, 1, "Anna"), mention(1, 2, 3, "Paul"), mention(0, 3, 4, "she", kind="pronoun")]
    attention = np.zeros((1, 3, 5, 5))
    attention[0, 0, 3] = [0.3, 0.4, 0.1, 0.0, 0.2]  # a word between, then Anna
    attention[0, 1, 3] = [0.3, 0.0, 0.1, 0.2, 0.4]  # a word behind, then Anna
    attention[0, 2, 3] = [0.2, 0.1, 0.3, 0.4, 0.0]  # itself, then Paul
    right = {}
    for candidates in CANDIDATES:
        found = CoreferenceHeads(candidates=candidates).update(attention, mentions).result()
        right[candidates] = found.accuracy["pronoun"][0].tolist()
    assert right == {"before": [0, 1, 0], "mentions": [1, 1, 0], "all": [0, 0, 0]}
    nurse = mention(0, 1, 4, "the old nurse", kind="nominal")
    attention[0, :, 3] = [0.3, 0.1, 0.4, 0.2, 0.0]  # a word of the mention itself, then Anna
    found = CoreferenceHeads(candidates="mentions").update(attention, [mentions[0], nurse]).result()
    assert found.accuracy["nominal"].tolist() == [[1, 1, 1]]


@pytest.mark.parametrize(
    ("mentions", "more", "message"),
    [
        ([mention(0, 0, 1, "a"), mention(0, 3, 5, "b c")], {}, "the words 3 to 5, the head 4, .* in a text of 3"),
        ([mention(0, 1, 2, "a", head=0)], {}, "the words 1 to 2, the head 0"),
        ([mention(0, -1, 1, "a b", head=0)], {}, "the words -1 to 1"),
        ([mention(0, 0, 2, "a")], {}, "1 words as texts"),
        ([mention(0, 0, 1, "a", kind="verb")], {}, "the kind 'verb'"),
        ([mention(0, 0, 1, "a")], {"there": [True]}, "3 words in the attention, and 1 marks"),
    ],
)
def test_mentions_that_do_not_fit_are_refused_and_nothing_is_added(mentions, more, message):
    statistic = CoreferenceHeads()
    with pytest.raises(SelectionError, match=message):
        statistic.update(np.full((1, 1, 3, 3), 1 / 3), mentions, **more)
    assert statistic.n == 0
    with pytest.raises(SelectionError, match="there is no result"):
        statistic.result()


def test_what_is_asked_for_and_not_there_is_refused():
    found = CoreferenceHeads().update(np.full((1, 1, 3, 3), 1 / 3), []).result()
    assert dict(found.n) == {"pronoun": 0, "proper": 0, "nominal": 0, "all": 0}
    with pytest.raises(SelectionError, match="no kind 'verb' of mention; choose all, pronoun"):
        found.best("verb")
    with pytest.raises(SelectionError, match="no rule 'oracle'; choose nearest, head match, sieves"):
        found.baseline("oracle")
    with pytest.raises(SelectionError, match="candidates is 'none'; give 'before'"):
        CoreferenceHeads(candidates="none").update(np.full((1, 1, 3, 3), 1 / 3), [])
    with pytest.raises(SelectionError, match="2 texts in the attention and 1 lists of mentions"):
        CoreferenceHeads().update(np.full((2, 1, 1, 3, 3), 1 / 3), [[]])
    part = CoreferenceHeads(candidates="all").update(np.full((1, 1, 3, 3), 1 / 3), [])
    with pytest.raises(SelectionError, match="by candidates 'before', the other by 'all'"):
        CoreferenceHeads().merge(part)


# ---- corpora


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_run_over_chains_counts_its_texts_one_by_one(name, checkpoints):
    checkpoint, texts = checkpoints[name], open_texts("demo/coreference", rows=10)
    more = {"pooling": "first", "candidates": "mentions"}
    found = corpus_statistics(checkpoint, texts, ["coreference"], part_size=4, **more)["coreference"]
    expected = CoreferenceHeads(**more)
    for text in texts:
        trace, document = capture(checkpoint, encode(checkpoint, text.text_a, text.text_b)), text.document
        groups = document.groups(trace.tokens)
        assert set(groups[groups >= 0].tolist()) == set(range(len(document)))
        expected.update(word_attention(trace.attention, groups, "first", n_words=len(document)), document.mentions)
    expected = expected.result()
    np.testing.assert_array_equal(found.cases, expected.cases)
    np.testing.assert_array_equal(found.by_rule, expected.by_rule)
    assert (found.candidates, found.pooling, found.n_documents, found.left_out) == ("mentions", "first", 10, 0)
    assert abs(found.right - expected.right).sum() <= 2e-3 * expected.right.sum(), "but for ties in the last digit"


def test_words_of_both_texts_of_a_pair_have_their_own_tokens(checkpoints):
    document = read_coreference(CHAINS)[0]
    tokens = encode(checkpoints["bert"], document.text, document.text_b).tokens
    for token, word in enumerate(document.groups(tokens)):
        second = word >= document.n_words_a
        if word >= 0:
            assert tokens.sentence[token] == second
            low, high = tokens.span[token]
            assert document.span[word][0] <= low < high <= document.span[word][1]
    assert document.words[7:9] == ("Adam", "sold") and document.n_words_a == 7


def test_a_long_document_is_read_as_far_as_it_fits_and_the_rest_is_told(checkpoints):
    size = 6_000
    words = tuple("Anna" if place % 10 == 0 else "ran" for place in range(size))
    spans = tuple((5 * place, 5 * place + len(word)) for place, word in enumerate(words))
    mentions = tuple(Mention(0, place, place + 1, place, "proper", ("Anna",)) for place in range(0, size, 10))
    text = "".join(f"{word:5}" for word in words)
    row = Text("long", text, document=Document(text, words, spans, mentions))
    found = corpus_statistics(checkpoints["bert"], [row], ["coreference"], max_tokens=40)
    result = found["coreference"]
    assert found.cut == 1 and not found.failed
    assert 0 < result.n["all"] < 10 and result.n["all"] + result.left_out == len(mentions) - 1
    left = corpus_statistics(
        checkpoints["bert"], [row, *open_texts(CHAINS, rows=2)], ["coreference"], max_tokens=64, too_long="leave_out"
    )
    assert list(left.failed) == ["long"] and left["coreference"].n_documents == 2


def test_chains_are_told_by_the_command_and_opened_again(tmp_path, capsys):
    out = tmp_path / "out"
    words = ["corpus", "demo/finetuned", "demo/coreference", "--rows", "60", "--statistics", "coreference"]
    assert cli.main([*words, "--candidates", "mentions", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    found = open_corpus(out)
    result = found["coreference"]
    assert found.settings.candidates == result.candidates == "mentions"
    best = result.best("proper")
    row = next(one for one in told.splitlines() if one.strip().startswith("proper "))
    assert percent(best.on_all.share, 1) in row and f"L{best.layer + 1} H{best.head + 1}" in row
    assert percent(result.baseline("sieves", "proper").share, 1) in row
    np.testing.assert_allclose(found.table["antecedents: all"], result.accuracy["all"])


def test_texts_without_chains_are_refused(checkpoints):
    with pytest.raises(SelectionError, match="No text has a chain of two mentions, which coreference needs"):
        corpus_statistics(checkpoints["bert"], open_texts("demo/pairs", rows=4), ["coreference"])
    with pytest.raises(SelectionError, match="candidates is 'none'; give 'before', 'mentions' or 'all'"):
        corpus_statistics(checkpoints["bert"], open_texts(CHAINS, rows=4), ["surface"], candidates="none")
    rows = list(open_texts(CHAINS, rows=3))
    rows[1] = replace(rows[1], document=None)
    found = corpus_statistics(checkpoints["bert"], rows, ["coreference"])
    assert dict(found.failed) == {rows[1].guid: "It has no coreference chains."}


def test_a_chain_of_thousands_of_mentions_costs_no_more_than_its_words():
    size = 100
    mentions = [Mention(0, head, head + 1, head, "pronoun") for head in range(size)] * 40
    begin = time.process_time()  # what grew with the square of the mentions took ten times the bound
    found = CoreferenceHeads().update(np.full((1, 1, size, size), 1 / size), mentions).result()
    assert found.n["pronoun"] == 40 * (size - 1) and found.best().on_all == Proportion(40 * (size - 1), 40 * (size - 1))
    many = [Mention(chain, 0, 1, 0, "pronoun") for chain in range(4_000)]
    assert not Document("x", ("x",), ((0, 1),), tuple(many)).linked
    assert time.process_time() - begin < 5
