"""How texts were learnt: the bundled recording, those that are offered, the data map on page, command and endpoint."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import expect

from attnflow import SelectionError, cli, data_map, map_order, open_texts
from attnflow.bundled import ASSETS
from attnflow.corpus.data_map import REGIONS, regions
from attnflow.demo.grammar import PRACTICE, generate
from attnflow.demo.learning import Recipe
from attnflow.demo.recording import PAIRS, STRETCHES
from attnflow.service.collections import Page
from attnflow.service.offered import dynamics
from attnflow.service.recordings import ABOUT, BUNDLED, recordings
from attnflow.views import payloads
from attnflow.web.endpoints import training as api
from attnflow.web.rooms import answers, texts, training
from attnflow.web.rooms.chosen import GUESSED, Chosen
from attnflow.web.rooms.learnt import TITLES, learnt
from attnflow.web.rooms.reading import may_begin, read
from attnflow.web.rooms.training import Learnt
from attnflow.web.settings import Pair
from tests.pages import darken
from tests.payload_types import mismatch
from tests.test_reading import AXE, faults

PAIR = Pair("demo/pretrained", "", "demo/finetuned", "", "", "")
N = 40


@pytest.fixture(scope="module")
def collected():
    """Some of the texts that the bundled recording is of."""
    return [*read(Chosen(source=BUNDLED, rows=N), PAIR, None, Page())][-1].collected


@pytest.fixture(scope="module")
def pairs():
    return [*read(Chosen(rows=N), PAIR, None, Page())][-1].collected


@pytest.fixture
def top(tmp_path, monkeypatch):
    """A folder of recordings that is offered: of held-out pairs by their names, and one that cannot be used."""
    write(tmp_path / "mine", [f"pair-{row}" for row in range(1500)], 3)
    write(tmp_path / "short", ["pair-0", "pair-1"], 1)
    write(tmp_path / "deep" / "training_dynamics", range(5), 2)
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("ATTNFLOW_DYNAMICS", str(tmp_path))
    monkeypatch.delenv("SPACE_ID", raising=False)
    return tmp_path


def write(folder: Path, guids, epochs: int) -> None:
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for epoch in range(epochs):
        lines = [
            json.dumps({"guid": guid, f"logits_epoch_{epoch}": draw.normal(size=2).tolist(), "gold": row % 2})
            for row, guid in enumerate(guids)
        ]
        (folder / f"dynamics_epoch_{epoch}.jsonl").write_text("\n".join(lines))


def steps(asked, shown, labels=()):
    return [*training.show(asked, shown, PAIR, None, Page(), list(labels))]


def column(payload, name):
    found = next(one for one in payload["columns"] if one["name"] == name)
    return np.frombuffer(base64.b64decode(found["values"]), "<f4" if found["kind"] == "number" else "<u2")


def event(shown, **data):
    return SimpleNamespace(**{"key": shown.key, **data})


# ---- the bundled recording


def test_the_bundled_recording_is_of_texts_that_can_be_opened():
    found, known = data_map(BUNDLED), open_texts(BUNDLED)
    assert (len(found), len(known), len(found.epochs)) == (PAIRS, PAIRS, STRETCHES)
    assert list(found.guid) == list(range(PAIRS)), "names are rows of the training set"
    assert [text.guid for text in known] == [str(guid) for guid in found.guid]
    assert [text.label for text in known] == [("unsupported", "supported")[gold] for gold in found.gold.tolist()]
    assert found.accuracy()[0] < 0.9 and found.accuracy()[-1] > 0.99, "it begins before the task is learnt"
    assert not found.notes
    size = sum(file.stat().st_size for file in (ASSETS / "demo").rglob("*") if file.is_file())
    assert size < 12 * 10**6


def test_its_texts_are_the_first_of_the_training_set():
    first = list(generate(1, 60, schedule=PRACTICE))
    known = open_texts(BUNDLED)
    assert [(text.text_a, text.text_b) for text in known[:60]] == [(pair.text_a, pair.text_b) for pair in first]
    assert f"{Recipe().texts:,}" in ABOUT[BUNDLED] and f"{PAIRS:,}" in ABOUT[BUNDLED] and STRETCHES == 10


def test_regions_take_each_text_once():
    found = data_map(BUNDLED)
    where = regions(found)
    ambiguous = where == REGIONS.index("ambiguous")
    assert ambiguous.sum() == -(-PAIRS // 3)
    assert found.variability[ambiguous].min() >= found.variability[~ambiguous].max()
    easy = where == REGIONS.index("easy to learn")
    assert (found.confidence[easy] >= 0.5).all()
    assert (found.confidence[where == REGIONS.index("hard to learn")] < 0.5).all()


# ---- the page


def test_texts_that_were_recorded_come_with_their_data_map(collected):
    payload = json.loads(json.dumps(collected.payload(), allow_nan=False))
    assert mismatch(payload, payloads.Collection) is None
    part, found = payload["training"], data_map(BUNDLED)
    guids = [int(text.guid) for text in collected.opened().texts]
    rows = found.rows_of(guids)
    np.testing.assert_allclose(column(payload, part["x"]), found.variability[rows], rtol=1e-6)
    np.testing.assert_allclose(column(payload, part["y"]), found.confidence[rows], rtol=1e-6)
    np.testing.assert_array_equal(column(payload, part["colour"]), found.correctness[rows])
    np.testing.assert_array_equal(column(payload, part["region"]), regions(found)[rows])
    loss = np.frombuffer(base64.b64decode(part["loss"]), "<f4").reshape(N, -1)
    np.testing.assert_allclose(np.exp(-loss), found.gold_probability[rows], rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(loss.mean(0), found.loss(rows), rtol=1e-4)
    right = np.frombuffer(base64.b64decode(part["right"]), np.uint8).reshape(N, -1)
    np.testing.assert_allclose(right.mean(0), found.accuracy(rows))
    assert part["epochs"] == list(found.epochs) and part["counted"] == STRETCHES
    assert part["about"].startswith(ABOUT[BUNDLED])
    orders = {order["name"]: order for order in payload["orders"]}
    for by, title in TITLES.items():
        assert orders[f"learnt_{by}"]["title"] == title
        np.testing.assert_allclose(column(payload, f"learnt_{by}"), map_order(found, by).column[rows], rtol=1e-5)


def test_other_texts_have_none(pairs):
    assert pairs.payload()["training"] is None


def test_the_bundled_recording_brings_its_texts(pairs):
    asked = Learnt()
    assert training.brings_texts(asked, None) and training.brings_texts(asked, pairs)
    *_, last = steps(asked, pairs)
    assert last.collected.asked == Chosen(source=BUNDLED, rows=2000).asked()
    assert not last.reading and last.payload["n"] == 2000 and last.payload["training"]["counted"] == 10
    assert last.status == "The left plot is the data map over 10 epochs; below the plots is how the training went."
    first, *_, final = texts.show_learnt(asked, pairs, PAIR, None, Page(), ("old label",), "supported")
    assert first[:2] == [BUNDLED, 2000]
    assert final[:2] == [BUNDLED, 2000] and final[4] is not gr.skip()
    boxed = next(update for update in texts.show_learnt(asked, pairs, PAIR, None, Page(), ()) if "value" in update[6])
    assert boxed[6]["value"] == GUESSED


def test_first_epochs_alone_can_count(collected):
    (step,) = steps(Learnt(first=3), collected)
    found = data_map(BUNDLED, burn_out=3)
    rows = found.rows_of(int(text.guid) for text in collected.opened().texts)
    np.testing.assert_allclose(column(step.payload, "learnt_confidence"), found.confidence[rows], rtol=1e-6)
    assert step.payload["training"]["counted"] == 3 and len(step.payload["training"]["epochs"]) == 10
    assert "the first 3 of 10 epochs" in step.status
    assert step.collected.key == collected.key, "what is selected on the map stays"
    update = next(texts.show_learnt(Learnt(first=3), collected, PAIR, None, Page(), ()))
    assert update[:2] == [gr.skip(), gr.skip()], "the same texts stay"
    assert set(update[5]) == {"value", "__type__"}, "layouts stay"


def test_the_room_reads_by_itself_what_comes_with_its_recording(collected):
    assert may_begin(Chosen(source=BUNDLED, rows=2000), PAIR) and may_begin(Chosen(source=BUNDLED), PAIR)
    assert not may_begin(Chosen(source=BUNDLED, seed=1), PAIR) and not may_begin(Chosen(rows=2000), PAIR)
    *_, last = read(Chosen(source=BUNDLED, rows=N), PAIR, None, Page(), (), 3)
    assert last.payload["training"]["counted"] == 3 and collected.payload()["training"]["counted"] == STRETCHES


def test_a_recording_that_is_offered_is_joined_by_names(top, pairs):
    assert dynamics.names() == ["local/deep", "local/mine", "local/short"]
    assert recordings.names() == [BUNDLED, *dynamics.names()]
    (step,) = steps(Learnt("local/mine"), pairs)
    guids = [text.guid for text in pairs.opened().texts]
    found = data_map(top / "mine")
    there = np.array([int(guid.removeprefix("pair-")) < 1500 for guid in guids])
    confidence = column(step.payload, "learnt_confidence")
    np.testing.assert_array_equal(np.isnan(confidence), ~there)
    assert 0 < there.sum() < N
    rows = found.rows_of(guids)[there]
    np.testing.assert_allclose(confidence[there], found.confidence[rows], rtol=1e-6)
    about = step.payload["training"]["about"]
    assert f"local/mine: {there.sum()} of {N} texts were recorded." in about
    assert f"{N - there.sum()} of {N} texts are not in the data map: pair-" in about
    assert f"{1500 - there.sum():,} of the 1,500 texts of the data map are not in this collection." in about
    right = np.frombuffer(base64.b64decode(step.payload["training"]["right"]), np.uint8).reshape(N, 3)
    loss = np.frombuffer(base64.b64decode(step.payload["training"]["loss"]), "<f4").reshape(N, 3)
    assert not right[~there].any() and np.isnan(loss[~there]).all() and np.isfinite(loss[there]).all()


def test_other_labels_than_those_of_the_training_are_told(top, pairs):
    guids = [text.guid for text in pairs.opened().texts]
    shutil.rmtree(top / "mine")
    write(top / "mine", guids, 2)  # whose classes are by the row, whatever the texts say
    assert "The training had other labels:" in learnt(pairs.opened().texts, "local/mine").part["about"]


def test_what_is_written_anew_is_read_anew(top):
    before = recordings.map("local/mine")
    assert recordings.map("local/mine") is before
    shutil.rmtree(top / "mine")
    write(top / "mine", ["pair-0", "pair-1"], 2)
    assert len(recordings.map("local/mine")) == 2


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (Learnt("local/deep"), r"None of the 40 texts \(pair-.*\) is in the data map, whose texts are called 0, 1, 2"),
        (Learnt("local/short"), "1 whole epoch of 1 can be used; a data map needs two"),
        (Learnt("local/none"), "no recording of a training 'local/none' here; this page offers local/deep, local/mine"),
        (Learnt("local/../mine"), "no recording of a training 'local/../mine'"),
        (Learnt("local/empty"), "no recording of a training 'local/empty'"),
        (Learnt("/etc"), "no recording of a training '/etc' here; choose demo/training, local/deep"),
        (Learnt("local/mine", 1), "The first 1 epochs are asked for; a data map needs 2 or more"),
        (Learnt("local/mine", -3), "The first -3 epochs are asked for"),
        (Learnt("local/mine", 10**9), "a data map needs 2 or more, up to 1,000"),
        (Learnt(first=1), "The first 1 epochs are asked for"),
        (Learnt("local/mine", 2.5), "First epochs is 2.5; give a whole number"),
    ],
)
def test_what_cannot_be_shown_is_told(top, pairs, asked, message):
    with pytest.raises(SelectionError, match=message):
        steps(asked, pairs)


def test_texts_are_read_first(top, monkeypatch):
    with pytest.raises(SelectionError, match="Read the texts that this training was recorded on first"):
        steps(Learnt("local/mine"), None)
    monkeypatch.setenv("SPACE_ID", "somebody/space")
    assert recordings.names() == [BUNDLED], "a Space offers nothing of its disk"


def test_a_link_out_of_the_folder_is_not_followed(top, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    write(outside / "secret", [0, 1], 2)
    (top / "linked").symlink_to(outside / "secret")
    (top / "within").mkdir()
    (top / "within" / "dynamics_epoch_0.jsonl").symlink_to(outside / "secret" / "dynamics_epoch_0.jsonl")
    assert dynamics.names() == ["local/deep", "local/mine", "local/short"]
    for name, why in (("local/linked", "no recording"), ("local/within", "a link to elsewhere")):
        with pytest.raises(SelectionError, match=why):
            recordings.map(name)


def test_names_are_saved_for_the_next_training(collected, pairs):
    packed = base64.b64encode(np.array([7, 2], "<u4").tobytes()).decode()
    for shown in (collected, pairs):
        download = answers.keep(shown, event(shown, rows=packed, kind="json", settings="two"))["download"]
        assert mismatch(download, payloads.CollectionFile) is None and download["name"] == "texts.json"
        told = json.loads(download["text"])
        guids = [shown.opened().texts[row].guid for row in (7, 2)]
        assert told["guids"] == guids and told["settings"]["filters and order"] == "two"
        assert told.get("rows") == ([int(guid) for guid in guids] if shown is collected else None)
    table = answers.keep(collected, event(collected, rows=packed, kind="csv", settings=""))["download"]["text"]
    assert "learnt_confidence" in table.splitlines()[0] and "learnt_region" in table.splitlines()[0]


# ---- endpoint and command


def test_the_endpoint_gives_the_map_in_pages(top):
    found = data_map(BUNDLED)
    answer = api.data_map(order="likely_mislabelled", offset=10, limit=3)
    assert mismatch(json.loads(json.dumps(answer, allow_nan=False)), api.DataMapAnswer) is None
    rows = map_order(found, "likely_mislabelled").rows[10:13]
    assert [row["guid"] for row in answer["rows"]] == [found.guid[row] for row in rows]
    assert [row["confidence"] for row in answer["rows"]] == pytest.approx(found.confidence[rows], rel=1e-4)
    assert answer["n"] == 2000 and answer["recordings"][0] == BUNDLED and sum(answer["regions"].values()) == 2000
    assert [one["accuracy"] for one in answer["epochs"]] == pytest.approx(found.accuracy(), rel=1e-4)
    assert api.data_map("local/mine", burn_out=2, limit=1)["counted"] == 2
    for asked in ({"recording": "nowhere"}, {"burn_out": 1}, {"limit": 0}, {"offset": -1}, {"order": "odd"}):
        with pytest.raises(gr.Error):
            api.data_map(**asked)


def test_the_command_prints_the_map_and_writes_it(top, tmp_path, capsys):
    out = tmp_path / "map.jsonl"
    words = ["data-map", str(top / "mine"), "--order", "ambiguous", "--most", "2", "--first", "2", "--out", str(out)]
    assert cli.main(words) == 0
    printed = capsys.readouterr().out
    found = data_map(top / "mine", burn_out=2)
    order = map_order(found, "ambiguous").rows
    assert printed.startswith("1,500 texts, 3 epochs, the first 2 of them counting.")
    assert f"\n  {found.guid[order[0]]}: confidence" in printed and "ambiguous: 500" in printed
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["guid"] for line in lines] == [found.guid[row] for row in order]
    assert lines[0]["variability"] == found.variability[order[0]] and lines[0]["region"] == "ambiguous"
    assert cli.main(["data-map", str(top / "none")]) == 1 and "no folder none" in capsys.readouterr().err
    assert cli.main(["data-map", str(top / "mine"), "--most", "-1"]) == 1
    assert cli.main(["data-map", str(top / "mine"), "--out", str(tmp_path / "no" / "map")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert cli.main(["serve", "--dynamics", str(top / "nowhere")]) == 1
    assert "which is no folder; give the one that holds dynamics" in capsys.readouterr().err


# ---- by mouse and keyboard


@pytest.fixture
def shown_map(open_page):
    """Opens the room, and the bundled recording in it by one click."""

    def open_(**options) -> BrowserPage:
        page = open_page(**options)
        page.get_by_role("tab", name="Many texts").click()
        expect(page.locator(".af-tx-table [data-row]").first).to_be_visible(timeout=60_000)
        expect(page.locator(".af-tx-training")).to_be_hidden()
        page.locator("#show-training").click()
        expect(page.locator(".af-tx-training[data-drawn]")).to_be_visible(timeout=60_000)
        expect(page.locator(".af-tx-count")).to_have_text("2,000 texts")
        return page

    return open_


def test_one_click_shows_how_texts_were_learnt_and_a_lasso_follows(shown_map):
    page = shown_map()
    expect(page.get_by_label("What the left plot shows")).to_have_value("map")
    expect(page.locator("#texts-source input")).to_have_value(BUNDLED)
    expect(page.locator(".af-tx-training figcaption").first).to_have_text("Accuracyof 2,000 texts")
    chart = page.locator(".af-tx-chart").first
    expect(chart.locator(".annotation-text")).to_have_text(["easy to learn", "ambiguous", "hard to learn"])
    page.get_by_role("button", name="Box", exact=True).click()
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.98 * box["width"], box["y"] + 0.9 * box["height"], steps=3)
    page.mouse.up()
    expect(page.locator(".af-tx-count")).to_contain_text("selected")
    count = page.locator(".af-tx-count").inner_text().split(",")[-1].split()[0]
    expect(page.locator(".af-tx-training figcaption").first).to_have_text(
        f"Accuracyline: the {count} that are left; dotted: all 2,000"
    )
    page.get_by_label("Order").select_option("learnt_likely_mislabelled")
    first = page.locator(".af-tx-table [data-row]").first
    expect(page.locator(".af-tx-told")).to_contain_text("the label may be wrong")
    page.locator(".af-tx-table").focus()
    page.keyboard.press("ArrowDown")
    row = int(first.get_attribute("data-row"))
    expect(page.locator(".af-tx-course").nth(2)).to_contain_text(f"no. {row + 1}: probability of its label")
    expect(page.locator(".af-tx-course").nth(2).locator(".points path")).to_have_count(STRETCHES)
    assert "texts=demo%2Ftraining" in page.url and "rows=2000" in page.url, "a link shows the same"
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save names").click()
    told = json.loads(Path(saved.value.path()).read_text())
    assert told["rows"][0] == row and str(count) in told["settings"]["filters and order"]


def test_what_is_asked_for_and_cannot_be_shown_is_told_where_the_eye_is(open_page):
    page = open_page()
    page.get_by_role("tab", name="Many texts").click()
    expect(page.locator(".af-tx-table [data-row]").first).to_be_visible(timeout=60_000)
    page.locator("#training-epochs input").fill("1")
    page.locator("#show-training").click()
    expect(page.get_by_text("a data map needs 2 or more").first).to_be_visible(timeout=30_000)


def test_the_data_map_is_accessible_and_fits_a_phone(shown_map):
    page = shown_map()
    page.locator(".af-tx-table [data-row]").nth(1).click()
    expect(page.locator(".af-tx-course").nth(2)).to_contain_text("probability of its label")
    page.add_script_tag(path=AXE)
    rules = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    for dark in (True, False):
        darken(page, dark)
        wrong = faults(page, ".af-texts", rules) + faults(page, "#texts-training", rules)
        assert wrong == [], f"dark: {dark}"
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator(".af-tx-course").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
