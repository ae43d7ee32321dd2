"""The room *Many texts*: reading step by step, what the map asks, and the way to a pair and back."""

from __future__ import annotations

import base64
import io
import json
import time
from types import SimpleNamespace
from urllib.parse import urlencode

import gradio as gr
import numpy as np
import pyarrow.parquet as parquet
import pytest
from playwright.sync_api import expect

from attnflow import SelectionError, TextsError, encode, head_importance, load_checkpoint, progress
from attnflow.bundled import ASSETS
from attnflow.records.texts import Columns, Text, Texts
from attnflow.service import collections as module
from attnflow.service.collections import Asked, Page
from attnflow.service.visitors import Visitor, serving
from attnflow.service.workspace import workspace
from attnflow.views import payloads
from attnflow.web.examples import load_examples
from attnflow.web.forms import Form
from attnflow.web.rooms import answers, heads, sent, texts
from attnflow.web.rooms.answers import Slice
from attnflow.web.rooms.chosen import GUESSED, NONE, Chosen
from attnflow.web.rooms.heads import Measured
from attnflow.web.rooms.reading import checked_labels, column_updates, may_begin, read
from attnflow.web.settings import Pair, Settings
from attnflow.web.shared import Shown
from tests.payload_types import mismatch

PAIR = Pair("demo/pretrained", "", "demo/finetuned", "", "", "")
FEW = Chosen(rows=24)
PAGE = Page()


@pytest.fixture(scope="module")
def steps():
    return [*read(FEW, PAIR, None, PAGE)]


@pytest.fixture(scope="module")
def collected(steps):
    return steps[-1].collected


def event(collected, **data):
    return SimpleNamespace(**{"key": collected.key, **data})


def rows_packed(*rows):
    return base64.b64encode(np.array(rows, "<u4").tobytes()).decode()


def waits():
    """Work that has no end but that it is not wanted any more."""
    while True:
        progress.go_on()
        time.sleep(0.01)


def is_skip(update):
    return update == gr.skip()


def test_reading_tells_what_it_does_and_ends_with_the_map(steps):
    assert [step.reading for step in steps] == [True, True, True, False]
    assert "24 of 2,000 texts" in steps[1].status and "label: label" in steps[1].status
    assert "A has read them" in steps[2].status
    payload = json.loads(json.dumps(steps[-1].payload, allow_nan=False))
    assert mismatch(payload, payloads.Collection) is None
    assert payload["n"] == 24 and payload["models"] == ["demo/pretrained", "demo/finetuned"]
    orders = {order["name"] for order in payload["orders"]}
    assert (
        {"influence_change", "graph_change", "loss_b"}
        <= orders
        <= {*"influence_change graph_change loss_b mislabelled".split()}
    )
    assert steps[-1].matches is None, "all labels are classes by their names"


def test_what_is_wrong_is_told_in_the_last_step():
    for chosen, pair, told in (
        (Chosen(rows=0), PAIR, "rows is 0"),
        (Chosen(source="no such thing"), PAIR, "no such thing"),
        (Chosen(column_a="brown"), PAIR, "no column 'brown'"),
        (FEW, Pair("demo/none", "", "demo/finetuned", "", "", ""), "demo/none"),
    ):
        last = [*read(chosen, pair, None, Page())][-1]
        assert told in last.status and not last.reading and last.payload is None


def test_heads_that_are_off_are_off_if_the_page_shows_the_same_model(collected):
    cases = [workspace.case(ref, "Anna met Paul.") for ref in PAIR.refs]
    shown = Shown.of(workspace.without(cases[0], [(1, 2)]), cases[1])
    last = [*read(FEW, PAIR, shown, PAGE)][-1]
    assert last.collected.pruned == (((1, 2),), ())
    assert last.collected.key != collected.key
    assert "In A, 1 heads are switched off." in last.payload["about"]
    swapped = Pair("demo/finetuned", "", "demo/pretrained", "", "", "")
    assert [*read(FEW, swapped, shown, PAGE)][-1].collected.pruned == ((), ())


def test_labels_can_be_matched_by_hand(collected, monkeypatch):
    opened = collected.opened()
    odd = tuple(Text(one.guid, one.text_a, one.text_b, {"supported": "1"}.get(one.label, "0")) for one in opened.texts)
    odd_texts = Texts(odd, "odd", Columns("a", "b", "label"), ("0", "1"))
    monkeypatch.setattr(module, "open_published", lambda *args, **more: odd_texts)
    chosen = Chosen(source="lab/odd")
    last = [*read(chosen, PAIR, None, PAGE)][-1]
    assert last.matches.labels == ("0", "1") and last.matches.chosen == {}
    assert last.payload["decided"] == []
    assert "B has no class of the name" in last.payload["about"]
    boxes = texts._filled(last)[-20:]
    assert boxes[0]["choices"] == [*last.matches.classes, NONE]
    assert set(last.matches.classes) == {"supported", "unsupported"}
    assert [box["visible"] for box in boxes[:3]] == [True, True, False]
    labels = checked_labels(last.matches.labels, ["unsupported", "supported", None, "x"])
    again = [*read(chosen, PAIR, None, PAGE, labels)][-1]
    assert again.payload["decided"] == [{"side": "b", "gold": "gold_b", "decision": "decision_b"}]
    assert again.matches.chosen == {"0": "unsupported", "1": "supported"}


def test_the_boxes_say_which_texts():
    linked = [one["name"] for form in (Form(Chosen()), Form(PAIR), Form(Settings())) for one in form.linked]
    assert len(set(linked)) == len(linked), "the address knows them by these names"
    plain = Asked(rows=200)
    assert Chosen().asked() == Chosen(name="x", split="y", revision="z").asked() == plain
    asked = Chosen(
        source=" lab/x ", split="test", column_a="title", column_b=NONE, column_label=GUESSED, seed=3
    ).asked()
    assert asked == Asked("lab/x", None, "test", None, (("text_a", "title"), ("text_b", None)), 200, 3)
    assert may_begin(Chosen(), PAIR) and not may_begin(FEW, PAIR)
    assert not may_begin(Chosen(), Pair("lab/x", "", "demo/finetuned", "", "", ""))
    found = Texts((Text("a", "x", None, None, {"year": 1}),), "s", Columns("t", None, "y"))
    updates = column_updates(found)
    assert updates[0]["choices"] == [GUESSED, "t", "y", "year", NONE]
    assert [update["info"] for update in updates] == ["read: t", "read: none", "read: y"]


def test_the_map_gets_what_it_asks_for(collected):
    asked = {"plot": 0, "side": "b", "of": "hidden", "layer": 4, "method": "pca"}
    found = answers.layout(collected, event(collected, **asked))["layout"]
    assert mismatch(json.loads(json.dumps(found, allow_nan=False)), payloads.Layout) is None
    assert np.isfinite(np.frombuffer(base64.b64decode(found["points"]), "<f4")).all()
    found = answers.rows(collected, event(collected, rows=[3, 0]))["rows"]
    assert mismatch(found, payloads.Rows) is None
    assert found["cells"][0][0] == collected.opened().texts[3].text_a
    found = answers.search(collected, event(collected, text="the"))["found"]
    assert mismatch(found, payloads.Found) is None
    kept = event(collected, rows=rows_packed(5, 2), kind="csv", settings="all")
    found = answers.keep(collected, kept)["download"]
    assert mismatch(found, payloads.CollectionFile) is None and found["text"].count("\n") >= 3
    kept.kind = "parquet"
    data = base64.b64decode(answers.keep(collected, kept)["download"]["base64"])
    names = [collected.opened().texts[row].guid for row in (5, 2)]
    assert parquet.read_table(io.BytesIO(data)).to_pydict()["guid"] == names
    found = answers.slice_(collected, event(collected, rows=rows_packed(1, 2), told="two"))
    assert found == Slice(collected.key, (1, 2), "two")
    text = collected.opened().texts[7]
    pair = answers.find_text(None, collected, event(collected, row=7.0))
    assert mismatch(pair, payloads.OtherPair) is None
    assert (pair["text_a"], pair["text_b"], pair["model_b"]) == (text.text_a, text.text_b, "demo/finetuned")
    rooms, room, update = answers.go_to_pair(collected, event(collected, row=7))
    assert (rooms.selected, room, update["opened"]) == ("pair", "pair", 7)


def test_a_layout_that_fails_is_answered_with_the_reason(collected, monkeypatch):
    asked = {"plot": 1, "side": "b", "of": "hidden", "layer": 99, "method": "pca"}
    update = answers.layout(collected, event(collected, **asked))
    assert mismatch(json.loads(json.dumps(update["unlaid"])), payloads.Unlaid) is None
    assert update["unlaid"]["why"].startswith("There is no layer 99") and "layout" not in update
    monkeypatch.setattr(module.Collections, "layout", lambda *args, **more: 1 / 0)
    update = answers.layout(collected, event(collected, **{**asked, "layer": 1}))
    assert "a reason that is not yours" in update["unlaid"]["why"]


@pytest.mark.parametrize(
    ("answer", "data"),
    [
        (answers.layout, {"plot": 2, "side": "a", "of": "hidden", "layer": 0, "method": "pca"}),
        (answers.layout, {"plot": True, "side": "a", "of": "hidden", "layer": 0, "method": "pca"}),
        (answers.layout, {"plot": 0, "side": ["a"], "of": "hidden", "layer": 0, "method": "pca"}),
        (answers.layout, {"plot": 0, "side": "a", "of": ["x"], "layer": 0, "method": "pca"}),
        (answers.layout, {"plot": 0, "side": "a", "of": "hidden", "layer": None, "method": "pca"}),
        (answers.layout, {"plot": 0, "side": "a", "of": "hidden", "layer": 0, "method": ["pca"]}),
        (answers.rows, {"rows": [24]}),
        (answers.rows, {"rows": [-1]}),
        (answers.rows, {"rows": [0] * 201}),
        (answers.rows, {"rows": ["x"]}),
        (answers.rows, {}),
        (answers.search, {"text": "x" * 501}),
        (answers.search, {"text": 5}),
        (answers.keep, {"rows": rows_packed(24), "kind": "csv", "settings": ""}),
        (answers.keep, {"rows": "?", "kind": "csv", "settings": ""}),
        (answers.keep, {"rows": 5, "kind": "csv", "settings": ""}),
        (answers.keep, {"rows": rows_packed(1), "kind": "exe", "settings": ""}),
        (answers.keep, {"rows": rows_packed(1), "kind": "csv", "settings": None}),
        (answers.slice_, {"rows": rows_packed(1, 1), "told": ""}),
        (answers.slice_, {"rows": rows_packed(1), "told": ["x"]}),
        (answers.go_to_pair, {"row": 24}),
        (answers.go_to_pair, {"row": "x"}),
    ],
)
def test_what_is_sent_is_checked_and_what_is_about_something_else_is_left_alone(collected, answer, data):
    with pytest.raises(SelectionError):
        answer(collected, event(collected, **data))
    for key in ("other", None, ["x"]):
        found = answer(collected, SimpleNamespace(**{**data, "key": key}))
        assert all(map(is_skip, found)) if isinstance(found, tuple) else is_skip(found)
    found = answer(None, event(collected, **data))
    assert all(map(is_skip, found)) if isinstance(found, tuple) else is_skip(found)


def test_heads_over_a_slice_and_against_the_rest(collected):
    sliced = Slice(collected.key, (0, 3, 5, 8), "four of them")
    status, matrix = heads.measure(collected, sliced, Measured("importance", over="slice"))
    assert status == "four of them: 4 texts. 4 texts were run."
    assert mismatch(json.loads(json.dumps(matrix, allow_nan=False)), payloads.Matrix) is None
    assert [side["side"] for side in matrix["sides"]] == ["b"] and "left out" in matrix["note"]
    opened = collected.opened()
    few = [opened.texts[row] for row in sliced.rows]
    found = module.survey("demo/finetuned", few, heads=True, max_tokens=128)
    expected = heads.head_statistics(found)["importance"].result()
    np.testing.assert_allclose(matrix["sides"][0]["raw"], np.asarray(expected), rtol=1e-3, atol=1e-7)
    checkpoint = load_checkpoint("demo/finetuned")
    encodings = [encode(checkpoint, text.text_a, text.text_b) for text in few]
    for method in ("gate", "ablation"):
        status, matrix = heads.measure(collected, sliced, Measured("importance", method))
        expected = head_importance(checkpoint, encodings, [text.label for text in few], method=method)
        np.testing.assert_allclose(matrix["sides"][0]["raw"], expected, rtol=1e-3, atol=1e-6)
        assert matrix["note"].startswith(heads.READING[method])
    status, matrix = heads.measure(collected, sliced, Measured("importance", over="rest"))
    assert matrix["signed"] and "and 20 others" in status
    status, matrix = heads.measure(collected, sliced, Measured("pattern", over="all"))
    assert "24 texts were run" in status and [side["side"] for side in matrix["sides"]] == ["a", "b"]
    with pytest.raises(SelectionError, match="Nothing is set apart"):
        heads.measure(collected, None, Measured("pattern", over="rest"))
    with pytest.raises(SelectionError, match="No texts have been read"):
        heads.measure(None, None, Measured())


def test_what_chooses_and_orders_texts_waits_until_they_are_read(open_page, repo):
    page = open_page(query=urlencode({"model_a": repo}))
    page.get_by_role("tab", name="Many texts").click()
    expect(page.locator("#texts-status")).to_contain_text("Press Read them with both models")
    page.wait_for_selector("#text-map .af-texts .af-tx-chart", state="attached")
    expect(page.locator("#text-map .af-texts")).to_be_visible()
    expect(page.locator("#text-map .af-texts > *").filter(visible=True)).to_have_count(0)


@pytest.mark.skipif(not (ASSETS / "page" / "texts" / "table.js").exists(), reason="the map has no table")
def test_a_row_opens_in_one_pair_and_the_room_is_there_when_one_comes_back(open_page, monkeypatch):
    page = open_page()
    assert not page.locator("#text-map").count(), "nothing is read before the room is opened"
    page.get_by_role("tab", name="Many texts").click()
    page.wait_for_selector("#text-map .af-texts[data-drawn]:not(.af-empty)", timeout=60_000)
    expect(page.locator("#text-map")).to_contain_text("200 of 2,000 texts of demo/pairs")
    expect(page.locator("#read-texts")).to_be_enabled()
    assert "room=texts" in page.url
    with monkeypatch.context() as patch:
        patch.setattr(module, "projection", lambda *args, **more: 1 / 0)
        page.get_by_label("Layer of the left plot").fill("1")
        waiting = page.locator("#text-map .af-tx-wait").first
        expect(waiting).to_contain_text("a reason that is not yours")
    page.get_by_label("Layer of the left plot").fill("2")
    expect(waiting).to_have_text("")
    page.get_by_label("Layer of the left plot").fill("1")
    expect(waiting).to_have_text("")
    page.locator("#find-flips").click()
    order = page.locator("#text-map").get_by_label("Order")
    expect(order).to_have_value("without_b", timeout=60_000)
    expect(page.locator("#texts-status")).to_contain_text("Without L1 H1 of B")
    own = page.locator("#text-map").get_by_label("Colour of the right plot")
    own.select_option("without_b_flips")
    expect(page.locator("#text-map figure").nth(1).get_by_role("group").first).to_contain_text("no")
    expect(page.locator("#text-map").get_by_label("Colour of the left plot")).to_have_value("=")
    order.select_option("")
    names = page.locator("#text-map [role=columnheader]").all_text_contents()
    assert names[1:6] == ["open", "first text", "second text", "Label", "Decision, B"]
    page.get_by_role("button", name="Open text 3", exact=True).click()
    expect(page.locator("#strip")).to_be_visible()
    expect(page.locator("#text-a textarea")).not_to_have_value(load_examples()[0].pair.text_a)
    page.wait_for_function("!location.search.includes('room=texts')")
    page.get_by_role("tab", name="Many texts").click()
    expect(page.locator("#text-map .af-tx-opened")).to_have_count(1)
    with monkeypatch.context() as patch:
        patch.setattr(module.Collections, "survey", lambda *args, **more: waits())
        page.locator("#read-texts").click()
        bar = page.locator("#text-map .af-work")
        bar.get_by_role("button", name="Cancel").click()
        expect(bar.locator("p")).to_contain_text("Cancelled: what was read of a public collection is kept")
        expect(page.locator("#read-texts")).to_be_enabled()
        expect(page.locator("#text-map .af-tx-opened")).to_have_count(1)
    page.get_by_role("tab", name="One pair").click()
    page.wait_for_function("!document.querySelector('#strip .pending, #predictions .eta-bar')")
    page.locator("#like-this").click()
    expect(order).to_have_value("like_b")
    expect(page.locator("#text-map [role=row][id]").first).to_have_attribute("data-row", "2")  # the pair itself
    order.select_option("")
    page.locator("#texts-source input").fill("lab/nothing here")
    page.locator("#texts-source input").press("Enter")
    page.locator("#read-texts").click()
    expect(page.locator("#texts-status")).to_contain_text("lab/nothing here")
    expect(page.locator("#text-map .af-tx-opened")).to_have_count(1)
    send = page.locator("#texts-file input[type=file]")
    send.set_input_files({"name": "mine.csv", "mimeType": "text/csv", "buffer": b"text\nAnna left.\nPaul met Anna.\n"})
    expect(page.locator("#texts-file")).to_contain_text("mine.csv (1 kB) is here, for this page alone")
    expect(page.locator("#texts-source input")).to_have_value("mine.csv")
    page.locator("#read-texts").click()
    expect(page.locator("#text-map")).to_contain_text("2 texts of mine.csv", timeout=60_000)
    send.set_input_files({"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
    expect(page.locator("#texts-file")).to_contain_text("empty.csv is empty")
    assert "sent-" not in page.url


def test_a_file_of_another_page_is_not_read():
    called = module.uploads.keep("10.0.0.1", "mine.csv", b"text\nAnna left.\nPaul left.\nAnna met Paul.\n")
    one, other = Page(), Page()
    with serving(Visitor("x", address="10.0.0.1")):
        assert sent.take(one, SimpleNamespace(called=called)) == ("mine.csv", f"{called} mine.csv")
        chosen = Chosen(source="mine.csv", sent=f"{called} mine.csv")
        assert [*read(chosen, PAIR, None, one)][-1].payload["source"] == "mine.csv"
        assert "no such file of yours" in [*read(chosen, PAIR, None, other)][-1].status
        for wrong in ("/etc/passwd", called):
            with pytest.raises(TextsError, match="no such file of yours"):
                sent.take(other, SimpleNamespace(called=wrong))
        for wrong in (None, {"path": "/etc/passwd"}, 5):
            with pytest.raises(SelectionError, match="called is"):
                sent.take(other, SimpleNamespace(called=wrong))
    for chosen in (Chosen(source="mine.csv"), Chosen(source="other.csv", sent=f"{called} mine.csv")):
        assert "choose it again beside this box" in [*read(chosen, PAIR, None, other)][-1].status
    assert Chosen(source="demo/pairs", sent=f"{called} mine.csv").asked().sent == ""
    assert mismatch(sent.asked(), payloads.FileAsked) is None
