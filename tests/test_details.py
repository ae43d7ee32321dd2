"""What is told of the selected word and head is what their numbers say."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from attnflow.records.shares import percent
from attnflow.service.workspace import workspace
from attnflow.stats.flow import compare_flows
from attnflow.views.details import SelectedHeadOf, details
from attnflow.views.heads import thumbnails
from attnflow.views.payloads import PAYLOADS
from attnflow.web import pane
from attnflow.web.settings import SelectedHead, Settings
from attnflow.web.shared import Shown, absent, cases_of
from tests.payload_types import mismatch
from tests.random_traces import random_trace

A, B = random_trace(0, 3, 4, 12), random_trace(1, 3, 4, 12)


def side(trace, head, pruned=(), without=None):
    attention = None if head is None else trace.attention[head[0]]
    return SelectedHeadOf(
        "lab/x", trace.tokens, head, "" if head else "lab/x has no L1 H9.", attention, pruned, without
    )


def test_a_word_is_told_with_its_share_and_place():
    flows = compare_flows(A, B)
    found = details(flows, 4, (1, 2), [side(A, (1, 2)), side(B, (1, 2))])
    for name, one in (("A", flows.a), ("B", flows.b)):
        share = one.influence[0] / one.influence[0].sum()
        place = 1 + sum(1 for value in share if value > share[4])
        assert f"{100 * share[4]:.0f} % in {name} (number {place} of 12)" in found["word"]
    assert mismatch(json.loads(json.dumps(found)), PAYLOADS["DetailsPanel"]) is None
    assert details(flows, 99, (0, 0), [])["word"] == "", "it was selected in other units"
    assert details(flows, None, (0, 0), [])["word"] == ""


def test_a_word_that_neither_decision_reaches_is_told_as_that():
    (word,) = {details(compare_flows(A, B, 0.9999), unit, (0, 0), [])["word"].partition(": ")[2] for unit in (4, 5)}
    assert word == "of the influence on the decision none in A and none in B."


def test_a_head_is_shown_with_its_map_and_its_strongest_lines():
    (one,) = details(compare_flows(A, B), None, (2, 3), [side(A, (2, 3), [(2, 3)], "Nothing.")])["sides"]
    attention = A.attention[2, 3]
    keys = sorted(range(12), key=lambda key: -attention[:, key].max())[:3]
    assert [line["share"] for line in one["lines"]] == [f"{100 * attention[:, key].max():.0f} %" for key in keys]
    assert (one["off"], one["pruned"], one["without"]) == (True, [(2, 3)], "Nothing.")
    picture = np.frombuffer(base64.b64decode(one["pixels"]), np.uint8).reshape(one["size"], one["size"])
    np.testing.assert_array_equal(picture, thumbnails(A.attention, 48)[2, 3])


def test_a_model_without_the_head_says_so():
    (one,) = details(compare_flows(A, B), None, (2, 3), [side(A, None)])["sides"]
    assert one["head"] is None and not one["off"] and one["lines"] == [] and one["pixels"] == ""


@pytest.fixture(scope="module")
def shown():
    pair = ("Anna lent Paul a book.", "Paul borrowed a book from Anna.")
    return Shown.of(*(workspace.case(ref, *pair) for ref in ("demo/pretrained", "demo/finetuned")))


def test_a_model_without_the_head_says_which_it_lacks_and_what_it_has(shown):
    first, other = cases_of(shown)
    shallow = replace(first, card=replace(first.card, n_layers=3))
    assert absent(shallow, (shallow, other), SelectedHead(0, 2)) == (
        "demo/pretrained has nothing beside L1 H3: it has 3 layers of 4 heads, which stand beside L2 to L4"
    )
    assert absent(shallow, (shallow, other), SelectedHead(1, 9)).startswith("demo/pretrained has no L1 H10: it has 3")
    lacks = details(compare_flows(A, B), None, (0, 0), [side(A, None), side(B, (0, 0))])["sides"]
    assert [one["absent"] for one in lacks] == ["lab/x has no L1 H9.", ""]


def test_what_changes_without_the_head_comes_after_the_rest(shown):
    first, second = pane.follow(shown, SelectedHead(3, 1), 2, Settings())
    assert [one["without"] for one in first["sides"]] == [None, None]
    assert "moves by" in second["sides"][0]["without"], "a model that predicts nothing"
    case = cases_of(shown)[1]
    without = workspace.without(case, [(3, 1)])
    best = int(np.argmax(case.trace.probabilities))
    before, after = (100 * float(one.trace.probabilities[best]) for one in (case, without))
    moved = round(after - before, 1)
    told = f"{moved:+.1f} points" if moved else "less than 0.1 points of change"
    assert f"has {percent(after / 100, 1)} ({told})" in second["sides"][1]["without"]


def test_a_head_that_is_off_is_told_by_what_it_changed(shown):
    off = Shown.of(*(workspace.without(case, [(3, 1)]) for case in cases_of(shown)))
    on, gone = ([*pane.follow(one, SelectedHead(3, 1), None, Settings())][1]["sides"] for one in (shown, off))
    assert [one["without"] for one in on] == [one["without"] for one in gone]
    assert " 0 % of its length" not in gone[0]["without"], "what it changed can be seen"
    assert [(one["off"], other["off"]) for one, other in zip(on, gone, strict=True)] == [(False, True)] * 2


def test_a_click_anywhere_selects_everywhere(open_page):
    page = open_page()
    row = page.locator("#differences .af-lights").first
    row.click()
    told = page.locator("#known .af-detail-word")
    name = row.get_attribute("title").removeprefix("Light ").removesuffix(" in the rings")
    expect(told).to_contain_text(f"{name}: of the influence on the decision")
    expect(page.locator("#known .af-model-b .af-note")).to_contain_text("Without it, “")
    page.get_by_role("button", name="Switch off L1 H1 of B").click()
    expect(page.locator("#switched-off")).to_contain_text("B: L1 H1")
    page.get_by_role("button", name="Switch on L1 H1 of B").click()
    expect(page.locator("#switched-off")).to_be_hidden()
    page.locator("#flow .af-table summary").click()
    word = page.locator("#flow .af-token-button").nth(3)
    word.click()
    expect(told).to_contain_text(word.inner_text())
