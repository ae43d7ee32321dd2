"""A threshold chosen by the tokens in each ring, and a word changed to see what both models then decide."""

from __future__ import annotations

import numpy as np
from playwright.sync_api import expect

from attnflow import attention_graph
from attnflow.service.workspace import workspace
from attnflow.stats.flow import compare_flows, flow
from attnflow.views.sentence import sentence
from attnflow.views.threshold_choice import TAUS, threshold_choice
from attnflow.web import events
from attnflow.web.settings import Settings
from attnflow.web.shared import Shown
from attnflow.web.tabs.flow import flows_at
from tests.checkpoints import PAIR

PAIR_OF_PAGE = ("demo/pretrained", "demo/finetuned")


def test_the_choice_tells_the_rings_of_every_threshold_from_the_decision_outwards(traces):
    a, b = traces["bert"], traces["gpt2"]
    flows = compare_flows(a, b, 0.1, unit="word")
    choice = threshold_choice(flows, 0.1)
    for model, one in zip(choice["models"], (flows.a, flows.b), strict=True):
        for index in (0, 10, 50):
            graph = attention_graph(one.trace, TAUS[index])
            assert [ring[index] for ring in model["sizes"]] == graph.rings.sum(axis=1)[-2::-1].tolist()
        assert model["now"] == [ring[10] for ring in model["sizes"]]


def test_the_choice_counts_what_the_settings_leave():
    run = workspace.case("demo/finetuned", *PAIR)
    settings = Settings(tau=0.05, auto=False, hide_special=True, heads=("3.0", "3.1", "2.0", "1.1"), root=3)
    choice = threshold_choice(flows_at(run, run, settings), 0.05)
    assert choice["models"][0]["now"] == [ring[5] for ring in choice["models"][0]["sizes"]]
    assert max(choice["models"][0]["now"]) > 0


def test_each_word_knows_where_it_stands_as_a_script_counts(checkpoints):
    from attnflow import capture, encode

    texts = ("Ünder 🦀 unbelievable", "Naïve cook.")
    trace = capture(checkpoints["bert"], encode(checkpoints["bert"], *texts))
    for unit in ("word", "piece"):
        figure = sentence(flow(trace, 0.1, unit=unit), ("a",), texts, "[MASK]")
        units = [text.encode("utf-16-le") for text in texts]
        for name, part, span in zip(figure["text"], figure["sentence"], figure["spans"], strict=True):
            assert (span is None) == (part < 0)
            if span:
                written = units[part][2 * span[0] : 2 * span[1]].decode("utf-16-le")
                assert written in texts[part]
                assert not any(character.isspace() for character in written), (name, written)
    assert figure["models"][0]["classes"]
    assert figure["mask"] == "[MASK]"


def test_boxes_hold_what_is_shown_after_a_change_that_fails():
    run = workspace.case("demo/finetuned", *PAIR)
    *texts, told = events.what_was(Shown.of(run, run))
    assert texts == list(PAIR)
    assert told["failed"] > 0


def test_thresholds_and_words_are_changed_on_the_page(open_page):
    page = open_page()
    sizes = page.locator("#thresholds .af-sizes")
    expect(sizes.locator(".af-area").first).to_be_visible()
    sizes.focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowRight")  # 0.11
    expect(page.locator("#status")).to_contain_text("tau = 0.11")
    expect(page.locator("#tau input[type=number]")).to_have_value("0.11")
    expect(page.locator("#auto-tau input")).not_to_be_checked()
    page.wait_for_function("location.search.includes('tau=0.11')")
    assert "tau 0.11 – A: " in sizes.get_attribute("aria-valuetext")
    box = sizes.bounding_box()
    page.mouse.click(box["x"] + 44 + (box["width"] - 96) * np.sqrt(0.2 / 0.95), box["y"] + 20)
    expect(page.locator("#status")).to_contain_text("tau = 0.2")

    second = page.get_by_label("Second sentence")
    before = second.input_value()
    word, bar, menu = (
        page.locator("#sentence button.af-unit").last,
        page.locator("#sentence .af-changed"),
        page.locator(".af-change"),
    )
    decided = page.locator("#predictions").inner_text()
    page.locator("#sentence button.af-unit").first.click()
    expect(menu).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    place = page.locator("#sentence button.af-unit", has_text="cook").last
    place.focus()
    page.keyboard.press("Enter")
    menu.get_by_label("Put in its place").fill("sailor")
    page.keyboard.press("Enter")
    expect(bar).to_contain_text("“cook” (2nd sentence) became “sailor”")
    expect(second).to_have_value(before.replace("cook", "sailor"))
    expect(bar.locator(".af-model-a")).to_contain_text("predicts no class")
    expect(bar.locator(".af-model-b")).to_contain_text("→")
    page.wait_for_function("location.search.includes('sailor')")
    page.locator("#sentence button.af-unit", has_text="map").first.click()
    menu.get_by_role("button", name="Mask it ([MASK])").click()
    expect(bar).to_contain_text("“map” (1st sentence) became “[MASK]”")
    expect(word).to_be_visible()

    undo = bar.get_by_role("button", name="Undo")
    undo.click()
    expect(bar).not_to_contain_text("MASK")
    undo.click()
    expect(bar).to_be_hidden()
    expect(second).to_have_value(before)
    assert page.locator("#predictions").inner_text() == decided
