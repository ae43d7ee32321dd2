"""The card *Probe* as people use it: from training to the tree of a sentence of their own."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.test_grammar_page import DRAWN, no_fault
from tests.test_reading import LEVELS

QUERY = "room=texts&texts=demo%2Fsentences&rows=60&view=grammar"


@pytest.fixture
def page(open_page, pages, monkeypatch):
    monkeypatch.setattr(pages, "first_drawn", "#probe-told .af-told[data-drawn]")
    return open_page(query=QUERY)


def test_probes_are_trained_and_parse_a_sentence(page):
    told, bars, trees = (page.locator(f"#probe-{name}") for name in ("told", "bars", "trees"))
    expect(told).to_contain_text("press “Read the bundled sentences”", timeout=60_000)
    expect(page.locator("#train-probes")).to_be_hidden()
    page.locator("#read-texts").click()
    expect(told).to_contain_text("press “Train the probes”", timeout=60_000)
    expect(bars).to_be_hidden()

    page.locator("#train-probes").click()
    page.wait_for_selector(f"#probe-trees {DRAWN}", timeout=180_000)
    expect(told).to_contain_text("B, demo/finetuned: learnt from")
    expect(bars.locator(".af-note")).to_contain_text("Selectivity is how much better")
    expect(bars.locator(".yaxislayer-above .ytick")).to_have_count(6)
    expect(page.locator("#probe-curves .scatterlayer .trace")).to_have_count(2)

    # the first sentence of the pair is there already; another one is parsed by the keyboard
    box, words = page.get_by_label("A sentence to parse with the probes"), trees.locator(".af-arc-word")
    assert box.input_value() == page.locator("#text-a textarea").input_value()
    box.fill("The old farmer sold the horse.")
    box.press("Enter")
    expect(trees.locator("svg").first).to_have_attribute(
        "aria-label", re.compile("^The old farmer sold"), timeout=30_000
    )
    assert words.all_text_contents()[:7] == ["The", "old", "farmer", "sold", "the", "horse", "."]
    expect(trees.locator("path.af-arc-gold.af-arc")).to_have_count(0)
    expect(trees.locator(".af-arc-marked")).to_have_count(2)
    numbers = trees.locator(".af-arc-name").evaluate_all("(names) => names.map((name) => Number(name.firstChild.data))")
    assert len(numbers) == 12 and all(0 <= number <= 100 for number in numbers)
    assert re.search(r"“.+” → “.+”: \d+\u00a0%", trees.locator("path.af-arc title").first.text_content() or "")

    # what cannot be parsed is said in the card
    box.fill("word " * 200)
    page.locator("#probe-parse").click()
    expect(page.locator(".af-work[data-state=failed]")).to_contain_text("tokens long", timeout=30_000)
    box.fill("The old farmer sold the horse.")
    page.locator("#probe-parse").click()
    expect(page.locator(".af-work")).to_have_count(0, timeout=30_000)
    no_fault(page, LEVELS)
