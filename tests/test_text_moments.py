"""Many texts at another moment of a training: layouts that start where the points were, and what stays on the page."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from playwright.sync_api import expect

from attnflow import CheckpointError, SelectionError
from attnflow.service import collections as module
from attnflow.service.collections import Asked, Collections, Page
from attnflow.service.places import Places
from attnflow.service.workspace import workspace
from attnflow.views.extra_orders import Extra
from attnflow.web.rooms import answers, text_moments, texts
from attnflow.web.rooms.chosen import Chosen
from attnflow.web.rooms.reading import may_begin, read
from attnflow.web.rooms.text_moments import AskedMoment
from attnflow.web.rooms.texts import PAIR as ONE_PAIR
from attnflow.web.rooms.texts import TEXTS, Room
from attnflow.web.settings import Pair
from attnflow.web.shared import Shown

RUN = "demo/finetuned"
EARLY, MIDDLE, LATE = (f"{RUN}@checkpoint-{step}" for step in (550, 1650, 3300))
PAIR = Pair("demo/pretrained", "", RUN, "", "", "")
REVISIONS = ("checkpoint-550", "checkpoint-1650", "checkpoint-3300", "")


@pytest.fixture
def collections(monkeypatch, empty_caches):
    made = Collections(most_bytes=10**8, disk_bytes=10**8, places=Places(2, 1, 10, 10), most_seconds=100)
    monkeypatch.setattr(module, "collections", made)
    return made


@pytest.fixture(scope="module")
def collected():
    return [*read(Chosen(rows=24), PAIR, None, Page())][-1].collected


def at(collected, revision, side="b"):
    """The room after a model has read as it was at another moment."""
    return [*text_moments.read(AskedMoment(side, revision, revision, 0.0), collected)][-1].collected


def apart(one, other):
    """How far the points lie from one another, by the extent of the first layout."""
    return np.linalg.norm(one - other) / np.linalg.norm(one - one.mean(0))


# ---- layouts


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_points_of_consecutive_moments_lie_nearer_than_by_themselves(collections, method):
    opened = collections.open(Asked(rows=60), Page())
    surveys = [collections.survey(opened, ref) for ref in (EARLY, MIDDLE, LATE, RUN)]
    drawn, by_themselves = [], []
    for layer in (2, 4):
        way, before = (), None
        for one in surveys:
            found = collections.layout(opened, one, "hidden", layer, method, after=way)
            if before is not None:
                alone = module.projection(one.hidden[layer], method=method).points
                alone *= np.linalg.norm(before) / np.linalg.norm(alone)
                assert found.note == "Started from the layout of the moment before."
                drawn.append(apart(before, found.points))
                by_themselves.append(apart(before, alone))
                turned = module.projection(one.hidden[layer], method=method, start=before).points
                np.testing.assert_allclose(found.points, turned, atol=1e-4 * abs(turned).max())
            way, before = (*way, one.settings), found.points
    assert np.mean(drawn) < 0.75 * np.mean(by_themselves)


@pytest.mark.parametrize("of", ["hidden", "behaviour"])
def test_the_layout_is_the_same_where_nothing_has_changed(collections, of):
    opened = collections.open(Asked(rows=30), Page())
    one = collections.survey(opened, RUN)
    same = replace(one, settings=replace(one.settings, model="another"))
    first = collections.layout(opened, one, of, 3, "pca")
    again = collections.layout(opened, same, of, 3, "pca", after=[one.settings])
    assert again is not first
    np.testing.assert_allclose(again.points, first.points, atol=1e-4 * abs(first.points).max())


def test_a_layout_of_another_way_is_another_one_and_starts_from_the_last_that_is_known(collections):
    opened = collections.open(Asked(rows=30), Page())
    early, middle, late, a = (collections.survey(opened, ref) for ref in (EARLY, MIDDLE, LATE, "demo/pretrained"))
    way = [early.settings, middle.settings]
    first = collections.layout(opened, early, "hidden", 4, "pca")
    assert collections.layout(opened, late, "hidden", 4, "pca", after=way).note.endswith("the moment before.")
    collections.layout(opened, middle, "hidden", 4, "pca", after=way[:1])
    alone = collections.layout(opened, late, "hidden", 4, "pca")
    assert alone.note == ""
    assert collections.layout(opened, late, "hidden", 4, "pca", after=way) is not alone
    assert collections.layout(opened, early, "hidden", 4, "pca") is first
    found = collections.layout(opened, a, "hidden", 4, "pca", beside=late, beside_after=[middle.settings])
    assert found.note == "", "the other model was not laid out on this way"
    found = collections.layout(opened, a, "hidden", 3, "pca", beside=early)
    assert found.note == ""
    found = collections.layout(opened, a, "hidden", 4, "tsne", beside=early)
    assert found.note == ""


# ---- the room


def test_one_model_reads_at_another_moment_and_all_else_stays(collected):
    extras = [Extra((), {"name": f"like_{side}", "title": "", "sentence": "", "column": ""}, side) for side in "ab"]
    steps = [*text_moments.read(AskedMoment("b", REVISIONS[0], "step 550", 0.0), replace(collected, extras=(*extras,)))]
    assert [step.status for step in steps] == [
        "B reads the texts as it was at step 550 …",
        "B is shown as it was at step 550.",
    ]
    now, payload = steps[-1].collected, steps[-1].payload
    assert now.refs == ("demo/pretrained", EARLY) and now.named == ("demo/pretrained", "", RUN, REVISIONS[0])
    assert steps[-1].more and now.key != collected.key and [one.side for one in now.extras] == ["a"]
    before = collected.payload()
    assert payload["texts"] == before["texts"]
    assert payload["layouts"][0] == before["layouts"][0] and payload["layouts"][1] != before["layouts"][1]
    direct = [*read(Chosen(rows=24), replace(PAIR, revision_b=REVISIONS[0]), None, Page())][-1].payload
    assert payload["columns"] == direct["columns"] and payload["decided"] == direct["decided"]
    assert before["columns"] != payload["columns"]


def test_a_moment_that_was_shown_keeps_its_way_and_so_its_layout(collected):
    early = at(collected, REVISIONS[0])
    middle = at(early, REVISIONS[1])
    assert collected.moments_before("b") == middle.moments_before("a") == ()
    assert [one.model for one in middle.moments_before("b")] == [RUN, EARLY]
    late = at(middle, REVISIONS[2])
    assert [one.model for one in late.moments_before("b")] == [RUN, EARLY, MIDDLE]
    back = at(late, REVISIONS[0])
    assert back.moments_before("b") == early.moments_before("b") and back.key == early.key
    assert back.payload()["layouts"] == early.payload()["layouts"]
    end = at(back, "")
    assert end.key == collected.key and end.payload()["layouts"] == collected.payload()["layouts"]
    assert at(end, REVISIONS[2]).payload()["layouts"] == late.payload()["layouts"]
    event = SimpleNamespace(key=late.key, plot=1, side="b", of="hidden", layer=4, method="pca")
    answers.layout(collected, SimpleNamespace(**{**vars(event), "key": collected.key}))
    assert answers.layout(late, event)["layout"]["note"] == "Started from the layout of the moment before."


def test_what_is_asked_is_checked(collected):
    shown, known = text_moments.follow(collected, None)
    assert [(one["side"], one["at"]) for one in shown] == [("b", 3)]
    assert text_moments.follow(collected, known)[0] != known, "nothing is sent again"
    assert text_moments.follow(at(collected, REVISIONS[1]), known)[0][0]["at"] == 1
    asked = text_moments.ask(known, SimpleNamespace(side="b", revision="checkpoint-550"))
    assert (asked.side, asked.revision) == ("b", "checkpoint-550") and asked.label.startswith("step 550, epoch")
    with pytest.raises(SelectionError, match="give 'a' or 'b'"):
        text_moments.ask(known, SimpleNamespace(side="c", revision=""))
    with pytest.raises(SelectionError, match="revision"):
        text_moments.ask(known, SimpleNamespace(side="a", revision=7))
    with pytest.raises(CheckpointError, match="has no checkpoint 'checkpoint-7'"):
        at(collected, "checkpoint-7")
    with pytest.raises(SelectionError, match="No texts have been read"):
        at(None, "")
    with pytest.raises(SelectionError, match="and not the models"):
        at(replace(collected, refs=()), "")


def test_one_pair_follows_when_it_is_opened_by_hand_and_its_boxes_are_those_of_the_room(collected):
    shown = Shown.of(*(workspace.case(ref, "Anna met Paul.") for ref in PAIR.refs))
    early = at(collected, REVISIONS[0])
    pair = replace(PAIR, revision_b=REVISIONS[0])
    assert text_moments.boxes(early) == ["demo/pretrained", "", RUN, REVISIONS[0]]
    assert isinstance(texts.leave(Room(TEXTS), shown, early, pair)[1], float)
    for room, there, known, boxes in (
        (ONE_PAIR, shown, early, pair),
        (TEXTS, None, early, pair),
        (TEXTS, shown, None, pair),
        (TEXTS, shown, collected, PAIR),
        (TEXTS, shown, early, PAIR),
        (TEXTS, shown, at(early, ""), PAIR),
    ):
        assert not isinstance(texts.leave(Room(room), there, known, boxes)[1], float)


def test_a_link_to_a_moment_of_the_bundled_training_is_read_by_itself():
    assert may_begin(Chosen(), replace(PAIR, revision_b=REVISIONS[0]))
    assert not may_begin(Chosen(), replace(PAIR, model_b="lab/x"))


# ---- by keyboard


WATCH = """() => {
  const chart = document.querySelectorAll('#text-map .af-tx-chart')[1];
  window.seen = [];
  new MutationObserver(() => {
    const { x } = chart.data[0]; // those that are not selected
    window.seen.push([...x].map((value) => value.toFixed(4)).join());
  }).observe(chart, { attributeFilter: ['data-painted'] });
}"""


def test_a_visitor_moves_through_a_training_and_the_points_move(open_page):
    page = open_page()
    page.get_by_role("tab", name="Many texts").click()
    slider = page.locator("#text-moments").get_by_role("slider", name="Checkpoint of the training of model B")
    expect(slider).to_have_attribute("aria-valuetext", "the end (4 of 4)", timeout=60_000)
    page.get_by_label("Layer of the right plot").fill("3")
    wait = page.locator("#text-map .af-tx-wait").nth(1)
    expect(wait).to_have_text("")
    page.locator(".af-tx-table").focus()
    for key in ("ArrowDown", " ", "ArrowDown", " "):
        page.keyboard.press(key)
    selected = page.locator(".af-tx-table [aria-selected=true]")
    expect(selected).to_have_count(2)
    matrix = page.locator("#text-map table").first.text_content()
    page.evaluate(WATCH)
    slider.focus()
    for _ in range(3):
        slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", "step 550, epoch 1 (1 of 4)")
    expect(page.locator("#texts-status")).to_have_text("B is shown as it was at step 550, epoch 1.", timeout=60_000)
    page.wait_for_function("new Set(window.seen).size > 3")
    expect(slider).to_be_focused()
    expect(selected).to_have_count(2)
    expect(page.get_by_label("Layer of the right plot")).to_have_value("3")
    expect(page.locator("#text-map figcaption").nth(1)).to_contain_text("Started from the layout of the moment before.")
    assert page.locator("#text-map table").first.text_content() != matrix
    page.wait_for_function("location.search.includes('revision_b=checkpoint-550')")
    page.get_by_role("tab", name="One pair").click()
    expect(page.locator("#predictions")).to_contain_text("demo/finetuned@checkpoint-550", timeout=60_000)
    page.get_by_role("tab", name="Many texts").click()
    page.get_by_role("button", name="Play the training of model B").click()
    expect(slider).to_have_attribute("aria-valuetext", "the end (4 of 4)", timeout=60_000)
    expect(page.get_by_role("button", name="Play the training of model B")).to_be_visible()
    expect(page.locator("#texts-status")).to_have_text("B is shown as it was at the end.")
    page.get_by_role("button", name="Open text 3", exact=True).click()
    expect(page.locator("#predictions")).not_to_contain_text("checkpoint-550", timeout=60_000)
