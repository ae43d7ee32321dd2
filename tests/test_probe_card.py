"""The card *Probe* of the tab *Grammar*: its bars have the numbers of the probe, its trees are those that it parses."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from attnflow import AttnflowError, SelectionError
from attnflow.service.collections import Page
from attnflow.service.probes import OFFERED, probes
from attnflow.views import payloads
from attnflow.views.probe_bars import SAYS, probe_bars
from attnflow.web.rooms import grammar_probe
from attnflow.web.rooms.chosen import Chosen
from attnflow.web.rooms.grammar_probe import Trained
from attnflow.web.rooms.reading import read
from attnflow.web.settings import Pair
from tests.payload_types import mismatch

PAIR = Pair("demo/pretrained", "", "demo/finetuned", "", "", "")


@pytest.fixture(scope="module")
def collected():
    return [*read(Chosen(source="demo/sentences", rows=60), PAIR, None, Page())][-1].collected


@pytest.fixture(scope="module")
def steps(collected):
    return [*grammar_probe.train(collected, "attention")]


@pytest.fixture(scope="module")
def found(collected, steps):
    return [probes.probe(collected.opened(), ref, collected.page, "attention") for ref in collected.refs]


def test_both_models_are_shown_one_after_the_other_and_the_sentence_comes_last(steps, collected):
    assert [len(step[1]["data"]) for step in steps] == [1, 2] == [len(step[2]["data"]) for step in steps]
    assert [step[3] for step in steps] == [gr.skip(), Trained(collected.key, "attention")]
    assert steps[1][4]["visible"] and steps[1][5]["visible"] and steps[0][4] == gr.skip()
    assert "A, demo/pretrained: learnt from" in steps[1][0] and "B, demo/finetuned: learnt from" in steps[1][0]


def test_bars_are_the_table_of_the_probe_with_its_intervals(steps, found):
    figure = steps[-1][1]
    assert mismatch(json.loads(json.dumps(figure)), payloads.ChartFigure) is None
    for bars, probe in zip(figure["data"], found, strict=True):
        table = dict(probe.table())
        for place, label in enumerate(bars["y"]):
            name = {"the probe: attention": "attention", "best fixed offset": "fixed offset"}.get(label, label)
            share = table.pop(name)
            assert bars["x"][place] == pytest.approx(share.share, abs=1e-4)
            assert bars["x"][place] + bars["error_x"]["array"][place] == pytest.approx(share.interval[1], abs=2e-4)
            assert bars["x"][place] - bars["error_x"]["arrayminus"][place] == pytest.approx(share.interval[0], abs=2e-4)
            assert SAYS[name][:30] in bars["hovertemplate"][place]
        assert not table and bars["y"][0] == "the probe: attention" and bars["y"][-1] == "shuffled trees"
        assert f"{100 * probe.uas:.1f} % of {probe.n:,} words" in figure["note"]
        assert f"{100 * probe.selectivity:.1f} points" in figure["note"]
    assert "shuffled, where there is no grammar" in figure["note"]


def test_the_curve_is_that_of_the_training_and_marks_what_was_kept(steps, found):
    figure = steps[-1][2]
    assert mismatch(json.loads(json.dumps(figure)), payloads.ChartFigure) is None
    for line, probe in zip(figure["data"], found, strict=True):
        assert line["y"] == pytest.approx(probe.curve.dev_uas.tolist(), abs=1e-4)
        assert max(line["marker"]["size"]) == line["marker"]["size"][probe.curve.best]
        assert ", kept" in line["hovertemplate"][probe.curve.best]
    assert f"A epoch {found[0].curve.best + 1} and B epoch" in figure["note"]


def test_more_or_less_than_words_is_said_only_where_intervals_part(collected, steps, found):
    model = grammar_probe.probe_model("a", found[0])
    untaught = model.of("words and distances")

    def told(right):
        return probe_bars([replace(model, found=replace(untaught, right=right))])["note"]

    assert "not clearly different from a classifier" in told(untaught.right)
    assert "less than a classifier" in told(0)
    few = tuple((name, replace(share, right=0)) for name, share in model.beside)
    assert (
        "more than a classifier"
        in probe_bars([replace(model, beside=few, found=replace(untaught, right=untaught.n))])["note"]
    )


def test_a_sentence_of_the_treebank_is_parsed_with_its_tree_beside(collected, steps, found):
    trained, tree = steps[-1][3], collected.opened().texts[0].tree
    drawn = grammar_probe.parse(collected, trained, f"  {tree.text} ")
    assert mismatch(json.loads(json.dumps(drawn)), payloads.PAYLOADS["ProbeTrees"]) is None
    assert drawn["told"].startswith("Above the words: the tree of the treebank")
    for one, probe, ref in zip(drawn["trees"], found, collected.refs, strict=True):
        parse = probes.parse(probe, ref, tree)
        assert one["words"] == list(tree.words) and one["root"] == parse.root
        assert [(arc["word"], arc["to"]) for arc in one["arcs"]] == [
            (word, to) for word, to in enumerate(parse.governor) if to >= 0
        ]
        assert [arc["probability"] for arc in one["arcs"]] == pytest.approx(
            [parse.confidence[arc["word"]] for arc in one["arcs"]], abs=1e-4
        )
        assert all(arc["right"] == (tree.governor[arc["word"]] == arc["to"]) for arc in one["arcs"])
        assert [(arc["word"], arc["to"]) for arc in one["gold"]] == [
            (word, to) for word, to in enumerate(tree.governor) if to >= 0
        ]
        right = sum(own == true for own, true in zip(parse.governor, tree.governor, strict=True))
        assert one["told"].startswith(f"{right} of {len(tree)} governors")


def test_any_other_sentence_is_parsed_alone(collected, steps):
    drawn = grammar_probe.parse(collected, steps[-1][3], "The old farmer sold the horse.")
    assert drawn["told"].startswith("No tree of this sentence is known")
    assert [tree["side"] for tree in drawn["trees"]] == ["a", "b"]
    for tree in drawn["trees"]:
        assert tree["words"] == ["The", "old", "farmer", "sold", "the", "horse", "."] and tree["gold"] == []
        assert all(arc["right"] is None for arc in tree["arcs"]) and len(tree["arcs"]) == 6


def test_what_cannot_be_parsed_is_told_in_a_sentence(collected, steps):
    trained = steps[-1][3]
    for wrong, why in (("", "no sentence"), (None, "sentence is"), ("word " * 200, "tokens long"), (7, "sentence is")):
        with pytest.raises(AttnflowError, match=why):
            grammar_probe.parse(collected, trained, wrong)
    for none in (None, replace(trained, key="other")):
        with pytest.raises(SelectionError, match="No probe has been trained"):
            grammar_probe.parse(collected, none, "A word.")
    with pytest.raises(SelectionError, match="kind is 'nothing'"):
        next(grammar_probe.train(collected, "nothing"))


def test_texts_without_trees_are_told_what_is_needed(collected, steps):
    plain = [*read(Chosen(rows=4), PAIR, None, Page())][-1].collected
    told, bars, curves, trained, sentence, parse, trees, kind, train = grammar_probe.renew(plain, steps[-1][3])
    assert told == grammar_probe.NEEDED and bars is curves is trained is trees is None
    assert not any(one["visible"] for one in (sentence, parse, kind, train))
    with pytest.raises(SelectionError, match="needs a treebank"):
        next(grammar_probe.train(plain, OFFERED[0]))
    with pytest.raises(SelectionError, match="read the texts themselves"):
        next(grammar_probe.train(replace(collected, refs=()), OFFERED[0]))
    told, *_, kind, train = grammar_probe.renew(collected, None)
    assert told == grammar_probe.PRESS and kind["visible"] and train["visible"]
    assert grammar_probe.renew(collected, steps[-1][3]) == [gr.skip()] * 9 == grammar_probe.renew(None, None)


def test_the_first_sentence_of_the_pair_is_offered_unless_another_was_written(collected, steps):
    shown = SimpleNamespace(text_a="One.")
    assert grammar_probe.offer(shown, "", "") == ("One.", "One.")
    assert grammar_probe.offer(SimpleNamespace(text_a="Two."), "One.", "One.") == ("Two.", "Two.")
    skipped = (gr.skip(), gr.skip())
    assert grammar_probe.offer(shown, "Mine.", "Two.") == skipped == grammar_probe.offer(None, "", "")
    trained = steps[-1][3]
    assert grammar_probe.may_parse(collected, trained, "One.") and not grammar_probe.may_parse(collected, None, "One.")
    assert not grammar_probe.may_parse(collected, trained, " ")
