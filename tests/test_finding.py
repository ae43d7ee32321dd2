"""Texts like the shown pair, and texts whose decision changes when a head goes, as orders of the map."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from attnflow import SelectionError, capture, encode, load_checkpoint, nearest, survey
from attnflow.service.collections import Page
from attnflow.service.workspace import workspace
from attnflow.views import payloads
from attnflow.views.extra_orders import without_head
from attnflow.web.rooms import finding, texts
from attnflow.web.rooms.chosen import Chosen
from attnflow.web.rooms.finding import Alike
from attnflow.web.rooms.reading import read
from attnflow.web.settings import Pair, SelectedHead
from attnflow.web.shared import Shown
from tests.payload_types import mismatch

PAIR = Pair("demo/pretrained", "", "demo/finetuned", "", "", "")
TEXT = ("Anna lent Paul a book.", "Paul borrowed a book from Anna.")
PAGE = Page()


@pytest.fixture(scope="module")
def collected():
    return [*read(Chosen(rows=40), PAIR, None, PAGE)][-1].collected


@pytest.fixture(scope="module")
def shown():
    return Shown.of(*(workspace.case(ref, *TEXT) for ref in PAIR.refs))


def column(payload, name):
    found = next(one for one in payload["columns"] if one["name"] == name)
    return np.frombuffer(base64.b64decode(found["values"]), "<f4" if found["kind"] == "number" else "<u2")


@pytest.mark.parametrize("by", ["model", "layer", "head"])
def test_texts_like_the_shown_pair_are_those_of_the_library(collected, shown, by):
    status, after, update = finding.find_alike(shown, SelectedHead(2, 1), collected, Alike(by))
    payload = json.loads(json.dumps(update["value"], allow_nan=False))
    assert mismatch(payload, payloads.Collection) is None and mismatch(update["ready"], payloads.ReadyOrder) is None
    assert update["ready"]["name"] == "like_b" and status.startswith("B: First the texts")
    assert payload["key"] == collected.key, "what is selected on the map stays"
    for side, ref, found in zip("ab", PAIR.refs, collected.surveys(), strict=True):
        checkpoint = load_checkpoint(ref)
        trace = capture(checkpoint, encode(checkpoint, *TEXT))
        expected = nearest(found, trace, by, layer=2, head=(2, 1))
        np.testing.assert_allclose(column(payload, f"like_{side}"), expected.column, rtol=1e-4)
        titles = {order["name"]: order["title"] for order in payload["orders"]}
        assert {"model": "all heads", "layer": "layer L3", "head": "L3 H2"}[by] in titles[f"like_{side}"]
    again = finding.find_alike(shown, SelectedHead(0, 0), after, Alike(by))[1]
    assert len(again.extras) == 2, "another one takes the place of the last"


def test_what_cannot_be_found_is_told(collected, shown):
    with pytest.raises(SelectionError, match="No texts have been read"):
        finding.find_alike(shown, SelectedHead(), None, Alike())
    with pytest.raises(SelectionError, match="Nothing has been analysed"):
        finding.find_alike(None, SelectedHead(), collected, Alike())
    other = [*read(Chosen(rows=5), replace(PAIR, model_a="demo/finetuned"), None, PAGE)][-1].collected
    pretrained = Shown.of(*(workspace.case("demo/pretrained", *TEXT) for _ in range(2)))
    with pytest.raises(SelectionError, match="shows other models"):
        finding.find_alike(pretrained, SelectedHead(), other, Alike())
    rooms, room, status, *_ = texts.find_like_this(shown, SelectedHead(), None, Alike())
    assert (rooms.selected, room, status) == ("texts", "texts", texts.READ_FIRST)
    assert texts.find_like_this(shown, SelectedHead(), collected, Alike())[4]["ready"]["name"] == "like_b"


def test_the_decisions_that_change_without_a_head_are_counted_and_shown(collected):
    *_, (status, after, update) = finding.find_flips(collected, "b 3 1")
    whole = collected.survey("b")
    less = survey("demo/finetuned", collected.opened().texts, pruned=[(3, 1)], max_tokens=128)
    flipped = whole.decision != less.decision
    assert f"Without L4 H2 of B, {flipped.sum()} of 40 decisions change" in status
    payload = json.loads(json.dumps(update["value"], allow_nan=False))
    assert mismatch(payload, payloads.Collection) is None and update["ready"]["name"] == "without_b"
    np.testing.assert_array_equal(column(payload, "without_b_flips"), flipped)
    np.testing.assert_array_equal(column(payload, "without_b_decision"), less.decision)
    change = abs(whole.probabilities - less.probabilities).sum(1) / 2
    np.testing.assert_allclose(column(payload, "without_b"), np.where(flipped, change, np.nan), rtol=1e-4)
    assert after.survey("b") is whole and after.pruned == collected.pruned, "the head is on again"
    assert after.payload()["columns"] == update["value"]["columns"], "saved files have these columns"


def test_flips_are_told_by_whether_they_are_right(collected):
    whole = collected.survey("b")
    scores = whole.scores.copy()
    rows = [int(np.flatnonzero(whole.right)[0]), *np.flatnonzero(whole.right)[1:3].tolist()]
    scores[rows] = scores[rows][:, ::-1]
    found = without_head("b", (0, 2), whole, replace(whole, scores=scores))
    assert (
        "Without L1 H3 of B, 3 of 40 decisions change (7.5 %). 3 become wrong and 0 right." in found.order["sentence"]
    )
    back = without_head("b", (0, 2), replace(whole, scores=scores), whole)
    assert "0 become wrong and 3 right." in back.order["sentence"]
    assert "So there is nothing to show." in without_head("b", (0, 2), whole, whole).order["sentence"]
    with pytest.raises(SelectionError, match="does not decide"):
        without_head("a", (0, 0), collected.survey("a"), collected.survey("a"))


@pytest.mark.parametrize("head", [None, "", "b", "c 0 0", "b 0", "b x 0", "b -1 0", ["b 0 0"], "b 0 0 0"])
def test_a_head_is_one_of_the_list(collected, head):
    with pytest.raises(SelectionError, match="choose one from the list"):
        list(finding.find_flips(collected, head))


def test_heads_that_the_model_has_not_and_models_that_do_not_decide_are_told(collected):
    for head, message in (("b 9 9", "is not a head of this checkpoint"), ("a 0 0", "does not decide between classes")):
        with pytest.raises(SelectionError, match=message):
            list(finding.find_flips(collected, head))
    with pytest.raises(SelectionError, match="not the models"):
        list(finding.find_flips(replace(collected, refs=()), "b 0 0"))
    choices = finding.head_choices(collected.surveys())
    assert choices[0] == ("L1 H1 of B", "b 0 0") and len(choices) == 16
