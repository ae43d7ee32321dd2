"""The tab *Grammar*: what it measures, what it says of a head, and the sentences that show it."""

from __future__ import annotations

import base64
import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from attnflow import SelectionError, Text, capture, corpus_statistics, encode, load_checkpoint, word_attention
from attnflow.records.trees import Sentence
from attnflow.service import grammar_examples as grammar_examples_module
from attnflow.service.collections import Opened, Page
from attnflow.service.corpora import corpora
from attnflow.service.grammar import OF_TREES, bundled_grammar
from attnflow.service.grammar_examples import MOST_SENTENCES, GrammarExamples, grammar_examples
from attnflow.service.room_corpus import QUICK
from attnflow.service.workspace import workspace
from attnflow.stats.dependencies import ALL, DIRECTIONS, DependencyHeads, head_choices
from attnflow.stats.proportion import Proportion
from attnflow.views import corpus_findings, grammar_words, payloads
from attnflow.views.corpus_model import corpus_model
from attnflow.views.grammar_heads import grammar_file, relations_of
from attnflow.views.grammar_sentences import SHORT
from attnflow.web import pane
from attnflow.web.rooms import corpus, grammar
from attnflow.web.rooms.chosen import Chosen
from attnflow.web.rooms.corpus import Drawn
from attnflow.web.rooms.grammar_cell import At, Measured, cell_of, on_page, said
from attnflow.web.rooms.reading import may_begin, read
from attnflow.web.settings import Pair, SelectedHead, Settings
from attnflow.web.shared import Shown
from tests import reference
from tests.payload_types import mismatch

PAIR = Pair("demo/pretrained", "", "demo/finetuned", "", "", "")
TREES = Chosen(source="demo/sentences", rows=80)


@pytest.fixture(scope="module")
def collected():
    return [*read(TREES, PAIR, None, Page())][-1].collected


@pytest.fixture(scope="module")
def steps(collected):
    return [*grammar.measure(collected)]


@pytest.fixture(scope="module")
def measured(steps) -> Measured:
    return steps[-1][1]


@pytest.fixture(scope="module")
def shown():
    return Shown.of(*(workspace.case(ref, "Anna met Paul.") for ref in PAIR.refs))


def best_at(measured, side, relation) -> At:
    best = measured.models["ab".index(side)].found.best(relation)
    return At(measured.key, side, relation, (best.layer, best.head))


# ---- what heads choose


def test_a_head_chooses_as_the_transcription_does():
    attention = np.random.default_rng(0).random((2, 3, 7, 7)).astype(np.float32)
    words = np.array([0, 3, 6, 3])
    chosen = head_choices(attention, words)
    for direction in (0, 1):
        expected = reference.chosen_governors(attention, [True] * 7, direction)
        for layer, head in np.ndindex(2, 3):
            assert chosen[direction, layer, head].tolist() == [expected[layer][head][word] for word in words]
    assert head_choices(attention[..., :1, :1], np.array([0])).tolist() == [[[[-1]] * 3] * 2] * 2
    assert head_choices(attention, np.array([], int)).shape == (2, 2, 3, 0)


@pytest.mark.parametrize("relation", ["det", "obl", ALL])
def test_choices_in_sentences_are_what_is_counted_over_them(collected, relation):
    """Over exactly the sentences that were read, right choices are those that the statistic counts."""
    opened = collected.opened()
    read_ = grammar_examples.choices(opened, "demo/finetuned", collected.page, relation)
    rows = tuple(opened.texts[row] for row in read_.rows)
    assert [row.tree for row in rows] == list(read_.trees) and len(rows) <= MOST_SENTENCES
    found = corpus_statistics("demo/finetuned", replace(opened.texts, rows=rows), ["dependencies"])["dependencies"]
    right = np.zeros((2, 4, 4), int)
    for tree, words, chosen in zip(read_.trees, read_.words, read_.chosen, strict=True):
        right += (chosen == np.array(tree.governor)[words]).sum(-1)
    n = sum(map(len, read_.words))
    assert n == found.n[relation] and np.allclose(right, found.accuracy[relation] * n)


def test_choices_are_those_of_the_files_that_a_name_stands_for_now(collected, monkeypatch):
    """A training that goes on keeps its name, and its newest checkpoint is another."""
    monkeypatch.setattr(grammar_examples_module, "open_checkpoint", lambda ref: load_checkpoint("demo/pretrained"))
    before = grammar_examples.choices(collected.opened(), "local/run", collected.page, "det")
    monkeypatch.setattr(grammar_examples_module, "open_checkpoint", lambda ref: load_checkpoint("demo/finetuned"))
    after = grammar_examples.choices(collected.opened(), "local/run", collected.page, "det")
    assert any((a != b).any() for a, b in zip(before.chosen, after.chosen, strict=True))


def test_a_sentence_is_read_as_on_its_own(collected):
    opened, checkpoint = collected.opened(), load_checkpoint("demo/finetuned")
    read_ = grammar_examples.choices(opened, "demo/finetuned", collected.page, "obj")
    for number in (0, len(read_.rows) - 1):
        tree = read_.trees[number]
        trace = capture(checkpoint, encode(checkpoint, tree.text))
        words = word_attention(trace.attention, tree.groups(trace.tokens))
        np.testing.assert_array_equal(head_choices(words, read_.words[number]), read_.chosen[number])


def test_words_without_a_token_are_no_case_and_long_sentences_are_not_drawn(collected):
    """The word beside another one in one token has none of its own."""
    tree = Sentence("ab cd", ("a", "b", "cd"), (1, -1, 1), ("det", "root", "obj"), ((0, 1), (1, 2), (3, 5)), "x")
    long = Sentence(
        "a " * 80, ("a",) * 80, (-1, *[0] * 79), ("root", *["det"] * 79), tuple((2 * i, 2 * i + 1) for i in range(80))
    )
    texts = collected.opened().texts
    of = Opened(replace(texts, rows=(Text("x", tree.text, tree=tree), Text("y", long.text, tree=long))), None)
    found = grammar_examples.choices(of, "demo/finetuned", collected.page, "det")
    assert found.n_with == 2 and set(found.rows) <= {0}
    with pytest.raises(SelectionError, match="No sentence of at most 60 words has the relation 'nsubj'"):
        grammar_examples.choices(of, "demo/finetuned", collected.page, "nsubj")


def test_what_is_private_to_a_page_goes_with_it(collected, monkeypatch):
    kept = GrammarExamples(most_bytes=10**6, places=workspace.places, most_seconds=60)
    times = []
    monkeypatch.setattr(
        "attnflow.service.grammar_examples.head_choices", lambda *a: (times.append(1), head_choices(*a))[1]
    )
    page = Page()
    opened = Opened(collected.opened().texts, page.name)
    for _ in range(2):
        kept.choices(opened, "demo/finetuned", page, "obl")
    once = len(times)
    kept.forget(page.name)
    kept.choices(opened, "demo/finetuned", page, "obl")
    assert once and len(times) == 2 * once


# ---- what is measured and said


def test_both_models_are_measured_and_shown_one_after_the_other(steps, collected, measured):
    assert [len(step[1].models) for step in steps] == [1, 2]
    assert measured.refs == collected.refs and measured.source == "demo/sentences"
    for _, state, heads, table, button in steps:
        assert mismatch(json.loads(json.dumps(heads)), payloads.PAYLOADS["GrammarHeads"]) is None
        assert mismatch(json.loads(json.dumps(table)), payloads.PAYLOADS["GrammarTable"]) is None
        assert button["visible"] == (len(state.models) == 1)
    told = steps[-1][0]
    assert "A: " in told and "B: " in told and "demo/finetuned read 80 sentences." in told
    direct = corpus_statistics("demo/finetuned", collected.opened().texts, ["dependencies"], max_tokens=128)
    np.testing.assert_array_equal(measured.models[1].found.right, direct["dependencies"].right)


def test_map_and_table_hold_the_numbers_of_the_statistic(steps, measured):
    _, _, heads, table, _ = steps[-1]
    relations = [one["name"] for one in heads["relations"]]
    assert relations == relations_of(measured.models) and relations[0] == ALL
    counts = heads["models"][0]["cases"][1:]
    assert counts == sorted(counts, reverse=True)
    for model, sent in zip(measured.models, heads["models"], strict=True):
        accuracy = (
            np.frombuffer(base64.b64decode(sent["accuracy"]), "<u2").reshape(len(relations), 4, 4) / sent["steps"]
        )
        direction = np.frombuffer(base64.b64decode(sent["direction"]), np.uint8).reshape(len(relations), 4, 4)
        for place, name in enumerate(relations):
            both = model.found.accuracy[name]
            assert np.allclose(accuracy[place], both.max(0), atol=1e-4)
            np.testing.assert_array_equal(
                np.take_along_axis(both, direction[None, place].astype(int), 0)[0], both.max(0)
            )
            best = model.found.best(name)
            assert sent["best"][place] == 4 * best.layer + best.head
            assert sent["offset"][place] == model.found.baseline(name).on_all.share
    for row in table["rows"]:
        found = measured.models["ab".index(row["side"])].found
        best, offset = found.best(row["relation"]), found.baseline(row["relation"])
        assert (row["head"], row["direction"], row["offset"]) == (
            (best.layer, best.head),
            best.direction,
            offset.offset,
        )
        shares = ("held_out", best.held_out), ("on_all", best.on_all), ("offset_held_out", offset.held_out)
        for key, share in (*shares, ("offset_on_all", offset.on_all)):
            low, high = share.interval
            assert row[key] == pytest.approx({"share": share.share, "low": low, "high": high}, abs=1e-4)


def test_the_file_has_every_relation_of_both_models(measured):
    rows = list(csv.DictReader(io.StringIO(grammar_file(measured.models)["text"])))
    assert len(rows) == sum(len(model.found.relations) + 1 for model in measured.models)
    det = next(row for row in rows if row["relation"] == "det" and row["model"] == "B")
    best = measured.models[1].found.best("det")
    assert det["best head"] == f"L{best.layer + 1} H{best.head + 1}" and int(det["cases"]) == best.on_all.n
    assert float(det["head, held out"]) == pytest.approx(best.held_out.share, rel=1e-5)
    assert float(det["head, on all, high"]) == pytest.approx(best.on_all.interval[1], rel=1e-5)


def test_words_say_what_the_numbers_say(measured):
    found = measured.models[1].found
    for relation in ("obj", "det", "nsubj"):
        for head in ((0, 3), (1, 3), (2, 0)):
            told = grammar_words.head_does(found, relation, head)
            direction, share = grammar_words.best_direction(found, relation, head)
            assert found.accuracy[relation][DIRECTIONS.index(direction), *head] == pytest.approx(share.share)
            offset = found.baseline(relation)
            assert f"{100 * share.share:.1f} % of {found.n[relation]:,} cases" in told
            assert f"{grammar_words.offset_told(offset.offset)} finds {100 * offset.on_all.share:.1f} %" in told
            assert ("does not follow" in told) == (share.right <= offset.on_all.right)
            best = found.best(relation)
            assert ("best of 32" in told) == ((best.layer, best.head, best.direction) == (*head, direction))
    assert "fewer than 20 cases" in grammar_words.head_does(
        found, "appos" if "appos" in found.relations else "xcomp", (0, 0)
    )


def test_a_head_follows_what_the_table_of_the_corpus_says(measured):
    for model in measured.models:
        followed = model.found.followed()
        for head in np.ndindex(4, 4):
            names = [one.split(" ")[0] for one in followed[head].split(", ") if one]
            assert sorted(grammar_words.followed_by(model.found, head)) == sorted(names)
            assert (followed[head] in model.head_names[head]) and (bool(names) == ("follows" in model.head_names[head]))


def test_a_relation_that_nobody_knows_is_named():
    assert grammar_words.finds("pobj") == "the governor of “pobj”"
    assert grammar_words.finds("nsubj:xyz") == grammar_words.finds("nsubj")
    assert grammar_words.share_told(Proportion(1, 8)) == "12.5 %"


# ---- the cell that is chosen


def test_a_cell_is_checked(measured):
    good = {"key": measured.key, "side": "b", "relation": "det", "head": [1, 3]}
    assert cell_of(measured, good) == At(measured.key, "b", "det", (1, 3)) == cell_of(measured, SimpleNamespace(**good))
    assert cell_of(measured, good | {"key": "other"}) is None
    one = replace(measured, models=measured.models[:1])
    for wrong in (
        {"side": "c"},
        {"relation": "nothing"},
        {"relation": 7},
        {"head": [9, 0]},
        {"head": [0]},
        {"head": "x"},
    ):
        with pytest.raises(SelectionError):
            cell_of(measured, good | wrong)
    with pytest.raises(SelectionError, match="that was measured"):
        cell_of(one, good)
    assert grammar.choose(None, SimpleNamespace(**good)) == gr.skip()


def test_the_head_of_a_cell_is_selected_on_a_page_with_these_models(measured, shown):
    at = best_at(measured, "b", "obl")
    event = SimpleNamespace(**at.cell)
    assert grammar.find_head(shown, measured, Settings(), event).head == at.head
    assert grammar.find_head(replace(shown, b=shown.a), measured, Settings(), event) is None
    assert grammar.find_head(shown, None, Settings(), event) is None
    assert said(measured, at).startswith(f"In B, L{at.head[0] + 1} H{at.head[1] + 1} ")


def test_sentences_show_what_the_head_chooses(collected, measured):
    at = best_at(measured, "b", "obj")
    found = grammar.show_sentences(collected, measured, at)
    assert mismatch(json.loads(json.dumps(found)), payloads.PAYLOADS["GrammarExamples"]) is None
    assert found["right"] and found["wrong"]
    trees = [text.tree for text in collected.opened().texts]
    for kind in ("right", "wrong"):
        for one in found[kind]:
            tree = trees[one["row"]]
            assert one["words"] == list(tree.words)
            assert [arc["to"] for arc in one["gold"]] == [tree.governor[arc["word"]] for arc in one["gold"]]
            assert {tree.relation[arc["word"]] for arc in one["gold"]} == {"obj"}
            assert all(arc["right"] for arc in one["chosen"]) == (kind == "right")
        long = [len(one["words"]) >= SHORT for one in found[kind]]
        assert long == sorted(long, reverse=True), "the very short ones come last"
    assert grammar.show_sentences(collected, measured, None) == gr.skip()
    assert grammar.show_sentences(collected, replace(measured, key="other"), at) == gr.skip()


def test_a_sentence_opens_with_its_head_and_its_models(collected, measured):
    at = best_at(measured, "b", "obj")
    row = grammar.show_sentences(collected, measured, at)["right"][0]["row"]
    found, rooms, room, map_, layer, head = grammar.go_to_sentence(collected, measured, at, SimpleNamespace(row=row))
    assert (found, room, map_["opened"]) == (row, "pair", row)
    assert (layer["value"], head["value"]) == at.head == on_page(measured, at)
    assert (at.head[0] in [value for _, value in layer["choices"]]) and rooms is not None
    pair = grammar.find_sentence(collected, row)
    assert pair["text_a"] == collected.opened().texts[row].text_a and pair["model_b"] == "demo/finetuned"
    with pytest.raises(SelectionError, match="No head is chosen"):
        grammar.go_to_sentence(collected, measured, None, SimpleNamespace(row=row))
    for wrong in (-1, 80, "x", None):
        with pytest.raises(SelectionError):
            grammar.go_to_sentence(collected, measured, at, SimpleNamespace(row=wrong))


def test_a_head_of_a_shallower_model_is_counted_by_the_deeper_one(measured):
    counts = measured.models[0].found
    short = replace(measured.models[0], found=replace(counts, right=counts.right[..., :3, :]))
    uneven = replace(measured, models=(short, measured.models[1]))
    assert on_page(uneven, At("", "a", "det", (0, 1))) == (1, 1) and on_page(uneven, At("", "b", "det", (0, 1))) == (
        0,
        1,
    )


# ---- which texts


def test_texts_without_trees_are_told_what_is_needed(collected, measured):
    plain = [*read(Chosen(rows=4), PAIR, None, Page())][-1].collected
    told, gone, heads, table, measure, at, examples, sentences = grammar.renew(plain, measured)
    assert told == grammar.NO_TREES and gone is heads is table is at is examples is None
    assert (measure["visible"], sentences["visible"]) == (False, True)
    with pytest.raises(SelectionError, match="no dependency trees"):
        next(grammar.measure(plain))
    told, *_, measure, _, _, sentences = grammar.renew(collected, None)
    assert told == grammar.PRESS and (measure["visible"], sentences["visible"]) == (True, False)
    assert grammar.renew(collected, measured) == [gr.skip()] * 8 == grammar.renew(None, None)
    kept = replace(collected, refs=())
    with pytest.raises(SelectionError, match="read the texts themselves"):
        next(grammar.measure(kept))


def test_only_what_is_bundled_is_measured_without_being_asked(collected, measured):
    assert grammar.may_measure("grammar", collected, None)
    assert not grammar.may_measure("map", collected, None) and not grammar.may_measure("grammar", None, None)
    assert not grammar.may_measure("grammar", collected, measured)
    assert not grammar.may_measure("grammar", replace(collected, refs=("lab/x@1", "demo/finetuned")), None)
    sent = replace(collected, asked=replace(collected.asked, sent="file"))
    assert not grammar.may_measure("grammar", sent, None)
    assert may_begin(Chosen(source="demo/sentences"), PAIR) and not may_begin(TREES, PAIR)
    assert not may_begin(Chosen(source="lab/texts"), PAIR)


# ---- elsewhere on the page


def test_what_a_treebank_tells_of_a_head_stands_beside_the_pair(measured, shown):
    head = next(head for head in np.ndindex(4, 4) if grammar_words.followed_by(measured.models[1].found, head))
    at = SelectedHead(*head)
    first, second = pane.follow(shown, at, None, Settings(), measured)
    told = grammar_words.known_of(measured.models[1].found, head, "demo/sentences")
    assert first["sides"][1]["grammar"] == told and told.startswith("Over demo/sentences it finds ")
    assert mismatch(json.loads(json.dumps(second)), payloads.PAYLOADS["DetailsPanel"]) is None
    other = replace(measured, refs=("lab/x", "lab/y"))
    found = bundled_grammar("demo/finetuned")[OF_TREES]
    head = next(head for head in np.ndindex(4, 4) if grammar_words.followed_by(found, head))
    first, second = pane.follow(shown, SelectedHead(*head), None, Settings(), other)
    assert first["sides"][1]["grammar"] == "" and bundled_grammar("lab/x") is None
    assert second["sides"][1]["grammar"].startswith("Over demo/sentences it finds "), "of bundled models without asking"


def test_the_tab_corpus_names_heads_by_the_relations_that_they_follow(collected):
    """Where every text has a tree, and not where some have none."""
    (found,) = corpus.measure(collected, Drawn(), None)
    reached, table, map_b = found[1], found[2], found[9]
    model = reached.models[1]
    head = next(head for head in np.ndindex(4, 4) if model.follows(head))
    assert "relations" in table["headers"] and f"follows {model.follows(head)}" in corpus_findings.head_told(
        model, head
    )
    named = [text for trace in map_b["data"] for text in trace["text"]]
    assert any(f"follows {model.follows(head)}" in text for text in named)
    opened = collected.opened()
    plain = corpora.statistics(opened, "demo/finetuned", collected.page, QUICK)
    assert corpus_model("b", plain).follows(head) == ""


def test_counts_do_not_depend_on_where_choices_are_taken():
    """Merging is unchanged by how hits are computed: each direction counts its own."""
    values = np.random.default_rng(1).random((1, 2, 5, 5))
    found = DependencyHeads().update(values, [1, -1, 1, 1, 3], ["det", "root", "obj", "obl", "det"]).result()
    chosen = head_choices(values, np.array([0, 4]))
    expected = (chosen == np.array([1, 3])).mean(-1)
    np.testing.assert_array_equal(found.accuracy["det"], expected)
