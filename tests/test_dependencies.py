"""Treebanks and the heads that follow them: reading, words of tokens, governors, intervals, corpus and command."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from attnflow import (
    DependencyHeads,
    SelectionError,
    Sentence,
    Text,
    TextsError,
    capture,
    cli,
    corpus_statistics,
    encode,
    open_corpus,
    open_texts,
    read_conllu,
    word_attention,
)
from attnflow.bundled import ASSETS
from attnflow.corpus.texts_file import open_saved_texts, save_texts
from attnflow.records.shares import percent
from attnflow.stats.dependencies import DIRECTIONS, OFFSETS
from attnflow.stats.proportion import Proportion, mcnemar
from tests import reference
from tests.checkpoints import ARCHITECTURES

TREEBANK = ASSETS / "demo" / "sentences.conllu"


def line(number, form, head, relation="dep", misc="_"):
    return "\t".join([str(number), form, "_", "_", "_", "_", str(head), relation, "_", misc]) + "\n"


GERMAN = (
    "# sent_id = eins\n# text = Er geht zum Haus.\n"
    + line(1, "Er", 2, "nsubj")
    + line(2, "geht", 0, "root")
    + line("3-4", "zum", "_", "_")
    + line(3, "zu", 5, "case")
    + line(4, "dem", 5, "det")
    + line(5, "Haus", 2, "obl", "SpaceAfter=No")
    + line("5.1", "ist", "_", "_")
    + line(6, ".", 2, "punct")
)
SPLIT = line("1-2", "cannot", "_", "_") + line(1, "can", 0, "root") + line(2, "not", 1, "advmod")


def written(path, content):
    path.write_text(content, encoding="utf-8")
    return path


# ---- reading


def test_a_treebank_is_read_with_ranges_empty_nodes_and_places(tmp_path):
    one, two = read_conllu(written(tmp_path / "x.conllu", f"{GERMAN}\n{SPLIT}"))
    assert one == Sentence(
        "Er geht zum Haus.",
        ("Er", "geht", "zu", "dem", "Haus", "."),
        (1, -1, 4, 4, 1, 1),
        ("nsubj", "root", "case", "det", "obl", "punct"),
        ((0, 2), (3, 7), (8, 11), (8, 11), (12, 16), (16, 17)),
        "eins",
    )
    assert (two.text, two.span) == ("cannot", ((0, 3), (3, 6)))
    texts = open_texts(tmp_path / "x.conllu")
    assert [text.tree and text.tree.words for text in texts] == [one.words, two.words]
    assert texts.fingerprint != replace(texts, rows=tuple(replace(row, tree=None) for row in texts)).fingerprint


@pytest.mark.parametrize(
    ("content", "message", "counted"),
    [
        ("1\tA b\n", "line 1: it has 2 fields; a word has 10, with tabs", "that are no CoNLL-U"),
        (line(1, "A", 0) + line(3, "B", 1), "line 2: it is numbered '3' after 1 words", "that are no CoNLL-U"),
        (line("1-x", "A", 0), "line 1: it is numbered '1-x' after 0 words", "that are no CoNLL-U"),
        (line("1-3", "A", "_") + line(1, "A", 0), "line 2: the sentence ends after 1 words", "that are no CoNLL-U"),
        (line(1, "A", 9), "line 1: the governor of 'A' is '9'; give another of the 1 words", "with a broken tree"),
        (line(1, "A", 1), "line 1: the governor of 'A' is '1'; give another", "with a broken tree"),
        (line(1, "A", -1), "line 1: the governor of 'A' is '-1'; give another", "with a broken tree"),
        (line(1, "A", 2) + line(2, "B", 1), "line 1: the governors from 'A' on lead in a circle", "with a broken tree"),
        (
            line(1, "A", 0, "r" * 101),
            "line 1: the relation of 'A' has 101 letters; one has",
            "with a broken tree",
        ),
        (
            "".join(line(number + 1, "A", number) for number in range(10_001)),
            "line 10,001: the sentence has more than 10,000 words; cut it",
            "of more than 10,000 words",
        ),
        (
            "# text = A C\n" + line(1, "A", 0) + line(2, "B", 1),
            "line 3: 'B' is not what comes next in the text, 'C'",
            "whose words are not in their text",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(content, message, counted, tmp_path):
    file = written(tmp_path / "x.conllu", content)
    with pytest.raises(TextsError) as told:
        read_conllu(file)
    assert message in str(told.value)
    texts = open_texts(written(file, f"{SPLIT}\n{content}"))
    assert len(texts) == 1 and dict(texts.left_out) == {counted: 1}


def test_what_is_no_treebank_is_refused(tmp_path):
    (tmp_path / "latin").write_bytes(b"1\t\xe4\n")
    for name, message in (
        ("nowhere", "cannot be read: No such file"),
        ("latin", "is not UTF-8"),
        (written(tmp_path / "empty", "\n").name, "has no sentence with a tree"),
        (written(tmp_path / "plain", line(1, "A", "_", "_")).name, "has no sentence with a tree"),
    ):
        with pytest.raises(TextsError, match=message):
            read_conllu(tmp_path / name)
    (text,) = open_texts(written(tmp_path / "plain.conllu", line(1, "A", "_", "_")))
    assert text.tree is None and text.text_a == "A"


# ---- words


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tokens_belong_to_the_word_whose_characters_they_have(name, checkpoints):
    sentence = read_conllu(TREEBANK)[0]
    for text_b in (None, "Nina met Paul."):
        tokens = encode(checkpoints[name], sentence.text, text_b).tokens
        groups = sentence.groups(tokens)
        for token, group in enumerate(groups):
            own = set(range(*map(int, tokens.span[token]))) if tokens.sentence[token] == 0 else set()
            shared = [len(own & set(range(*span))) for span in sentence.span]
            assert group == (shared.index(max(shared)) if max(shared) else -1)
        assert set(groups[groups >= 0].tolist()) == set(range(len(sentence)))


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_attention_between_words_is_that_of_the_definition(pooling):
    attention = np.random.default_rng(0).dirichlet(np.ones(7), size=(2, 3, 7)).astype(np.float32)
    groups = [-1, 0, 0, 1, 2, 2, -1]
    found = word_attention(attention, groups, pooling)
    np.testing.assert_allclose(found, reference.word_attention(attention, groups, pooling), rtol=1e-5)
    more = word_attention(attention, groups, pooling, n_words=5)
    np.testing.assert_array_equal(more[..., :3, :3], found)
    assert not more[..., 3:].any() and not more[..., 3:, :].any()
    every = word_attention(attention, range(7), pooling)
    np.testing.assert_allclose(every, attention, rtol=1e-6)


@pytest.mark.parametrize(
    ("groups", "more", "message"),
    [
        ([0, 1], {}, r"\(2,\) do not agree"),
        ([0, 1, -2], {}, "from -1 to 1"),
        ([0, 1, 5], {"n_words": 3}, "from -1 to 2"),
        ([0.0, 1.0, 2.0], {}, "from -1 to 2"),
        ([0, 1, 2], {"pooling": "max"}, "pooling is 'max'; give 'mean' or 'first'"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups, more, message):
    with pytest.raises(SelectionError, match=message):
        word_attention(np.full((1, 1, 3, 3), 1 / 3), groups, **more)


# ---- governors


def sentences(count=12):
    """Made-up attention between words, trees and which words have a token."""
    random = np.random.default_rng(0)
    for _ in range(count):
        size = int(random.integers(3, 8))
        words = random.dirichlet(np.full(size, 0.3), size=(2, 3, size)).astype(np.float32)
        order = random.permutation(size)
        governor = np.full(size, -1)
        for place in range(1, size):
            governor[order[place]] = order[random.integers(place)]
        relation = ["root" if g < 0 else str(random.choice(["det", "obj", "punct", "obj:x"])) for g in governor]
        yield words, governor, relation, (random.random(size) > 0.1).tolist()


def test_heads_are_right_as_often_as_the_definition_says():
    statistic = DependencyHeads()
    cases, hits, offsets, missing = {}, {}, {}, 0
    for words, governor, relation, there in sentences():
        statistic.update(words, governor, relation, there=there)
        for direction in (0, 1):
            chosen = reference.chosen_governors(words, there, direction)
            for word, governs in enumerate(governor):
                if governs < 0 or not (there[word] and there[governs]):
                    missing += direction == 0 and governs >= 0
                    continue
                key = relation[word]
                cases[key] = cases.get(key, 0) + (direction == 0)
                for layer, head in np.ndindex(2, 3):
                    place = (key, direction, layer, head)
                    hits[place] = hits.get(place, 0) + (chosen[layer][head][word] == governs)
                if direction == 0:
                    offsets[key, governs - word] = offsets.get((key, governs - word), 0) + 1
    found = statistic.result()
    assert found.relations == ("det", "obj", "obj:x", "punct") and found.left_out == missing
    pooled = sum(cases[key] for key in found.relations if key != "punct")
    assert dict(found.n) == {**cases, "all": pooled}
    for key, n in cases.items():
        expected = [[[hits[key, d, layer, h] / n for h in range(3)] for layer in range(2)] for d in (0, 1)]
        np.testing.assert_allclose(found.accuracy[key], expected, rtol=1e-12)
        best, baseline = found.best(key), found.baseline(key)
        assert best.on_all.share == pytest.approx(np.max(expected))
        assert found.accuracy[key][DIRECTIONS.index(best.direction), best.layer, best.head] == np.max(expected)
        assert baseline.on_all.right == max(offsets.get((key, offset), 0) for offset in OFFSETS)
        assert offsets[key, baseline.offset] == baseline.on_all.right
    together = found.universal()
    assert together.relations == ("det", "obj", "punct") and together.n["obj"] == cases["obj"] + cases["obj:x"]
    np.testing.assert_array_equal(together.right[1], found.right[1] + found.right[2])
    with pytest.raises(SelectionError, match="no relation 'subj'; choose all, det, obj"):
        found.best("subj")


def test_each_half_is_scored_by_what_is_best_on_the_other():
    rows = list(sentences(40))
    halves = {}
    for row in rows:  # a sentence stays in its half, whatever it comes with
        one = DependencyHeads().update(*row[:3]).result()
        (half,) = {place for place in (0, 1) if one.cases[:, place].any()}
        halves.setdefault(half, []).append(row)
    assert set(halves) == {0, 1} and all(len(half) > 10 for half in halves.values())
    whole = DependencyHeads()
    alone = {half: DependencyHeads() for half in halves}
    for half, own in halves.items():
        for row in own:
            whole.update(*row[:3])
            alone[half].update(*row[:3])
    found, parts = whole.result(), {half: one.result() for half, one in alone.items()}
    for relation in ("obj", "det", "all"):
        right = n = 0
        for half in (0, 1):
            best = parts[1 - half].best(relation)
            place = DIRECTIONS.index(best.direction), best.layer, best.head
            right += round(parts[half].accuracy[relation][place] * parts[half].n[relation])
            n += parts[half].n[relation]
        assert found.best(relation).held_out == Proportion(right, n)
        assert found.best(relation).on_all.right >= right


def test_heads_that_do_one_thing_find_what_is_there():
    size = 6
    following, before = np.eye(size, k=1), np.eye(size, k=-1)
    first = np.zeros((size, size))
    first[:, 0] = 1
    heads = np.stack([following, before, first])[None]
    governor, relation = [-1, 0, 1, 4, 0, 4], ["root", "a", "a", "b", "c", "a"]
    found = DependencyHeads().update(heads, governor, relation).result()
    np.testing.assert_allclose(found.accuracy["a"][0, 0], [0, 1, 1 / 3])
    np.testing.assert_allclose(found.accuracy["a"][1, 0], [1, 0, 1 / 3])  # the one before it; the first of equals
    np.testing.assert_allclose(found.accuracy["b"][0, 0], [1, 0, 0])
    np.testing.assert_allclose(found.accuracy["c"][0, 0], [0, 0, 1])
    assert found.baseline("a").offset == -1 and found.baseline("b").offset == 1
    assert found.followed(least=9).tolist() == [["", "", ""]]
    statistic = DependencyHeads()
    for number in range(8):  # the same in both halves, but for a relation of its own each
        statistic.update(heads, [-1, 0, 1, 0, 0, 4], ["root", "a", "a", "d", "d", f"z{number}"])
    found = statistic.result()
    assert found.cases.all(axis=1).sum() == 2, "a and d are in both halves"
    assert found.followed(least=1).tolist() == [["", "", "d 100 %"]]  # a is as well found at an offset


def test_a_word_never_chooses_itself_or_one_without_a_token():
    words = np.array([[0.9, 0.0, 0.1], [0.2, 0.5, 0.3], [0.4, 0.6, 0.0]])[None, None]
    found = DependencyHeads().update(words, [2, -1, 1], ["x", "root", "y"]).result()
    assert (found.accuracy["x"][0, 0, 0], found.accuracy["y"][0, 0, 0]) == (1, 1)
    without = DependencyHeads().update(words, [2, -1, 0], ["x", "root", "y"], there=[True, False, True]).result()
    assert without.accuracy["y"][0, 0, 0] == 1 and without.left_out == 0


@pytest.mark.parametrize(
    ("governor", "relation", "more", "message"),
    [
        ([1, -1], ["a", "b"], {}, "There are 3 words in the attention, and 2 governors, 2 relations"),
        ([1, -1, 3], ["a", "b", "c"], {}, "numbers of other words, 0 to 2"),
        ([1, -1, 2], ["a", "b", "c"], {}, "numbers of other words, 0 to 2"),
        ([1, -1, 0.5], ["a", "b", "c"], {}, "numbers of other words, 0 to 2"),
        ([1, -1, 0], ["a", "b", "c"], {"there": [True]}, "1 marks of which are there"),
    ],
)
def test_trees_that_do_not_fit_are_refused_and_nothing_is_added(governor, relation, more, message):
    statistic = DependencyHeads()
    with pytest.raises(SelectionError, match=message):
        statistic.update(np.full((1, 1, 3, 3), 1 / 3), governor, relation, **more)
    assert statistic.n == 0
    with pytest.raises(SelectionError, match="there is no result"):
        statistic.result()


def test_parts_of_another_pooling_are_not_added():
    words, governor, relation, _ = next(sentences())
    with pytest.raises(SelectionError, match="by pooling 'mean', the other by 'first'"):
        DependencyHeads().merge(DependencyHeads("first").update(words, governor, relation))


def test_a_million_relations_are_refused_and_not_kept():
    statistic = DependencyHeads()
    attention = np.full((1, 1, 101, 101), 1 / 101)
    named = [["root", *(f"r{sentence}-{word}" for word in range(100))] for sentence in range(12)]
    for names in named[:9]:
        statistic.update(attention, [-1, *range(100)], names)
    with pytest.raises(SelectionError, match="The texts have more than 1,000 relations, such as"):
        statistic.update(np.stack([attention] * 2), [[-1, *range(100)]] * 2, named[9:11])
    assert len(statistic.relations) == 900 and statistic.n == 9, "all of a batch is added, or nothing"
    statistic.update(attention, [-1, *range(100)], named[11])
    other = DependencyHeads().update(attention[..., :2, :2], [-1, 0], ["root", "one more"])
    with pytest.raises(SelectionError, match="more than 1,000 relations"):
        statistic.merge(other)


def test_attention_may_be_between_the_words_that_are_there_alone():
    whole, among = DependencyHeads(), DependencyHeads()
    for words, governor, relation, there in sentences(20):
        whole.update(words, governor, relation, there=there)
        among.update(words[..., there, :][..., there], governor, relation, there=there)
    for name in ("cases", "right", "by_offset", "left_out"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(among, name))


# ---- shares


@pytest.mark.parametrize(("right", "n"), [(1, 2), (3, 4), (81, 100), (999, 1000)])
def test_the_interval_is_that_of_wilson(right, n):
    np.testing.assert_allclose(Proportion(right, n).interval, reference.wilson(right, n), atol=1e-9)


def test_shares_at_the_ends():
    assert Proportion(0, 10).interval[0] == 0 and Proportion(10, 10).interval[1] == pytest.approx(1)
    assert Proportion(0, 0).interval == (0, 1) and math.isnan(Proportion(0, 0).share)


@pytest.mark.parametrize("n", range(1, 9))
def test_the_test_of_mcnemar_counts_the_ways_that_are_no_likelier(n):
    for only_a in range(n + 1):
        away = abs(2 * only_a - n)
        ways = sum(abs(2 * sum(side) - n) >= away for side in itertools.product((0, 1), repeat=n))
        assert mcnemar(only_a, n - only_a) == pytest.approx(ways / 2**n)
    assert mcnemar(0, 0) == 1


# ---- corpora


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_run_over_a_treebank_counts_its_sentences_one_by_one(name, checkpoints):
    checkpoint, texts = checkpoints[name], open_texts(TREEBANK, rows=12)
    found = corpus_statistics(checkpoint, texts, ["dependencies"], part_size=5, pooling="first")["dependencies"]
    expected = DependencyHeads("first")
    for text in texts:
        trace, tree = capture(checkpoint, encode(checkpoint, text.text_a)), text.tree
        words = word_attention(trace.attention, tree.groups(trace.tokens), "first", n_words=len(tree))
        expected.update(words, tree.governor, tree.relation)
    expected = expected.result()
    assert (found.relations, found.pooling, found.n_sentences) == (expected.relations, "first", 12)
    np.testing.assert_array_equal(found.cases, expected.cases)
    assert abs(found.right - expected.right).sum() <= 2e-3 * expected.right.sum(), "but for ties in the last digit"


def test_a_tree_of_thousands_of_words_takes_no_more_than_its_tokens(checkpoints, monkeypatch):
    size, seen, update = 9_000, [], DependencyHeads.update
    spans = tuple((2 * word, 2 * word + 1) for word in range(size))
    tree = Sentence("a " * size, ("a",) * size, (-1, *range(size - 1)), ("root", *["dep"] * (size - 1)), spans)

    def watched(self, attention, *more, **options):
        seen.append(attention.shape)
        return update(self, attention, *more, **options)

    monkeypatch.setattr(DependencyHeads, "update", watched)
    text = Text("long", tree.text, tree=tree)
    found = corpus_statistics(checkpoints["bert"], [text], ["dependencies"], max_tokens=40)
    assert not found.failed and found.cut == 1
    assert seen == [(*seen[0][:2], 38, 38)], "of 40 tokens two are special"
    assert found["dependencies"].n["dep"] == 37 and found["dependencies"].left_out == size - 38


def test_a_treebank_is_told_by_the_command_and_opened_again(tmp_path, capsys):
    out = tmp_path / "out"
    words = [
        "corpus",
        "demo/finetuned",
        str(TREEBANK),
        "--rows",
        "60",
        "--statistics",
        "dependencies",
        "--out",
        str(out),
    ]
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    result = open_corpus(out)["dependencies"]
    best = result.best("det")
    row = next(one for one in told.splitlines() if one.strip().startswith("det "))
    assert (
        percent(best.on_all.share, 1) in row
        and f"{result.n['det']}" in row
        and f"L{best.layer + 1} H{best.head + 1}" in row
    )
    assert "have fewer than 20 cases, and are left out." in told
    assert any(open_corpus(out).table["relations"].ravel() != "")


def test_trees_are_kept_with_the_texts_of_a_survey(tmp_path):
    texts = open_texts("demo/sentences", rows=5)
    kept = open_saved_texts(save_texts(texts, tmp_path / "texts.parquet"))
    assert kept.fingerprint == texts.fingerprint and kept.rows == texts.rows and kept[0].tree


def test_texts_without_trees_are_refused(checkpoints):
    with pytest.raises(SelectionError, match="No text has a dependency tree, which dependencies needs"):
        corpus_statistics(checkpoints["bert"], open_texts("demo/pairs", rows=4), ["dependencies"])
    with pytest.raises(SelectionError, match="pooling is 'max'; give 'mean' or 'first'"):
        corpus_statistics(checkpoints["bert"], open_texts("demo/pairs", rows=4), ["surface"], pooling="max")
    rows = list(open_texts(TREEBANK, rows=3))
    rows[1] = replace(rows[1], tree=None)
    found = corpus_statistics(checkpoints["bert"], rows, ["dependencies"])
    assert dict(found.failed) == {rows[1].guid: "It has no dependency tree."} and found["dependencies"].n_sentences == 2


def test_what_is_in_one_half_of_the_sentences_alone_is_not_held_out():
    """No head was chosen on the other half, so that none could be scored as if it had been."""
    to_the_next = np.eye(3, k=1)[None, None]
    found = DependencyHeads().update(to_the_next, [1, -1, 1], ["det", "root", "obj"]).result()
    for one in (found.best("all"), found.baseline("all")):
        assert one.on_all.n == 2 and one.on_all.right > 0 and one.held_out == Proportion(0, 0)
