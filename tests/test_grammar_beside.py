"""Beside the best heads of the tab *Grammar*: whether two models differ, and random weights, in table and file."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import gradio as gr
import pytest

from attnflow import SelectionError, compare_dependency_heads, corpus_statistics, load_checkpoint, random_weights
from attnflow.service.collections import Page
from attnflow.stats.dependencies import LEAST
from attnflow.views import payloads
from attnflow.views.grammar_beside import NOTHING, p_told
from attnflow.views.grammar_heads import best_heads
from attnflow.web.rooms import grammar, grammar_beside
from attnflow.web.rooms.chosen import Chosen
from attnflow.web.rooms.reading import read
from attnflow.web.settings import Pair
from tests.payload_types import mismatch

PAIR = Pair("demo/pretrained", "", "demo/finetuned", "", "", "")


@pytest.fixture(scope="module")
def collected():
    return [*read(Chosen(source="demo/sentences", rows=60), PAIR, None, Page())][-1].collected


@pytest.fixture(scope="module")
def measured(collected):
    return [*grammar.measure(collected)][-1][1]


@pytest.fixture(scope="module")
def compared(collected, measured):
    return grammar_beside.compare(collected, measured, NOTHING)


@pytest.fixture(scope="module")
def both(collected, measured, compared):
    return grammar_beside.control(collected, measured, compared[1], True)


def test_the_difference_is_that_of_the_library_where_there_are_cases(collected, compared):
    table, beside = compared
    assert mismatch(json.loads(json.dumps(table)), payloads.PAYLOADS["GrammarTable"]) is None
    assert table["compared"] and not table["random"] and beside.random == ()
    found = compare_dependency_heads(
        "demo/pretrained", "demo/finetuned", collected.opened().texts, max_tokens=128
    ).relations
    expected = {one.relation: one for one in found}
    for row in table["rows"]:
        if row["relation"] in expected:
            one = expected[row["relation"]]
            assert row["compared"]["points"] == pytest.approx(100 * one.difference, abs=0.01)
            assert row["compared"]["p"] == one.p_corrected and row["compared"]["differs"] == one.differs
        else:
            assert row["compared"] is None and row["n"] < LEAST
    single = [one for one in found if one.relation != "all"]
    (note,) = table["notes"]
    assert f"differ in {sum(one.differs for one in single)} of {len(single)} relations" in note
    assert "McNemar" in note and "Holm" in note


def test_random_weights_stand_beside_and_go_again(collected, measured, compared, both):
    table, beside, box = both
    assert mismatch(json.loads(json.dumps(table)), payloads.PAYLOADS["GrammarTable"]) is None
    assert table["random"] and table["compared"] and box == gr.skip() and len(table["notes"]) == 2
    for side, ref in zip("ab", PAIR.refs, strict=True):
        found = corpus_statistics(random_weights(load_checkpoint(ref)), collected.opened().texts, ["dependencies"])
        for row in table["rows"]:
            if row["side"] == side:
                share = found["dependencies"].best(row["relation"]).held_out
                assert row["random"]["share"] == pytest.approx(share.share, abs=1e-4)
                assert row["random"]["low"] <= row["random"]["share"] <= row["random"]["high"]
    again, rest, _ = grammar_beside.control(collected, measured, beside, False)
    assert again == compared[0] and rest.random == () and rest.compared is compared[1].compared


def test_the_file_has_what_stands_beside(measured, both):
    def lines(beside):
        return list(csv.reader(io.StringIO(grammar.keep(measured, beside)["download"]["text"])))

    table, beside, _ = both
    plain, full = lines(NOTHING), lines(beside)
    assert len(full[0]) == len(plain[0]) + 6 + 2 and [row[: len(plain[0])] for row in full] == plain
    assert full[0][-2:] == ["A - B, points", "p, McNemar, Holm"] and full[0][-8] == "random weights, held out"
    by_row = {(line[0], line[1].lower()): line for line in full[1:]}  # more than the table: what is not held out, too
    for row in table["rows"]:
        line = by_row[row["relation"], row["side"]]
        assert float(line[-8]) == pytest.approx(row["random"]["share"], abs=1e-4)
        told = row["compared"]
        assert line[-2:] == ["", ""] if told is None else float(line[-2]) == told["points"]


def test_it_is_offered_for_two_models_alone_and_refused_before(collected, measured):
    compare, random, beside = grammar_beside.offer(measured)
    assert compare["visible"] and random["visible"] and random["value"] is False and beside is NOTHING
    one = replace(measured, models=measured.models[:1])
    for less in (None, one):
        assert not any(part["visible"] for part in grammar_beside.offer(less)[:2])
    for wrong in (None, one, replace(measured, key="other")):
        with pytest.raises(SelectionError, match="both models first"):
            grammar_beside.compare(collected, wrong, NOTHING)
    plain = best_heads(measured.key, measured.models)
    assert plain["notes"] == [] and all(row["random"] is row["compared"] is None for row in plain["rows"])
    assert p_told(0.5) == "p = 0.500"
