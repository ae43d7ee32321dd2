"""Models that write on, on the page and through the endpoint; and a classifier that reads a pair in both stacks."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect

from attnflow import continuation, encode, load_checkpoint
from tests.checkpoints import make_checkpoint
from tests.marian import make_marian
from tests.test_reading import AXE, LEVELS, faults

TEXT = ("Anna gave a book.", "Das alte")


@pytest.fixture(scope="module")
def published(hub, tmp_path_factory):
    """A translation model and a classifier on the Hub, and the first as it is here."""
    top = tmp_path_factory.mktemp("published")
    hub.add("lab/opus", make_marian(top / "opus"))
    hub.add("lab/nli", make_checkpoint(top / "nli", "bart"))
    return load_checkpoint(top / "opus")


def test_the_answer_is_what_the_library_writes(published, client):
    found = continuation(published, encode(published, *TEXT), most=5)
    answer = client.predict("lab/opus", *TEXT, 5, api_name="/continuation")
    assert (answer["sentence_a"], answer["sentence_b"]) == (found.text_a, found.text_b)
    assert [one["piece"] for one in answer["tokens"]] == list(found.piece)
    assert [one["probability"] for one in answer["tokens"]] == pytest.approx(found.probability.tolist(), rel=1e-3)
    assert not answer["ended"] and answer["written"] == found.written
    off = client.predict("lab/opus", *TEXT, 1, [[4, head] for head in range(8)], api_name="/continuation")
    assert off["pruned"] and off["tokens"][0]["probability"] != answer["tokens"][0]["probability"]
    for model, most, why in (("demo/finetuned", 5, "predicts no next token"), ("lab/opus", 0, "from 1 to 256")):
        with pytest.raises(AppError, match=why):
            client.predict(model, *TEXT, most, api_name="/continuation")


def opened(open_page, **pair) -> Page:
    page = open_page(query=urlencode(pair))
    expect(page.locator("#predictions .af-card")).to_have_count(2, timeout=60_000)
    expect(page.locator("#predictions")).to_contain_text(pair["model_b"], timeout=60_000)
    return page


def test_a_model_writes_into_the_second_box(published, open_page):
    page = opened(open_page, model_a="demo/finetuned", model_b="lab/opus", a=TEXT[0], b=TEXT[1])
    expect(page.locator(".af-write")).to_have_count(1)
    page.locator(".af-model-b .af-write").click()
    expected = continuation(published, encode(published, *TEXT)).text_b
    expect(page.locator("#text-b textarea")).to_have_value(expected, timeout=60_000)
    expect(page.locator("#text-a textarea")).to_have_value(TEXT[0])
    expect(page.locator(".af-model-b .af-of")).to_contain_text(expected.split()[-1], timeout=60_000)
    lines = page.evaluate("[...document.querySelectorAll('#sentence .af-break')].map((b) => b.nextSibling.textContent)")
    assert "<pad>" in lines[0], "the target begins a line, with the token that begins it"


IN_LINE = """() => {
  const strip = document.querySelector('#predictions .af-model-b .af-each'), box = strip.getBoundingClientRect();
  const cut = (one) => [box.top, box.bottom].some((edge) => one.top + 1 < edge && edge < one.bottom - 1);
  return strip.scrollHeight > box.height && ![...strip.children].some((one) => cut(one.getBoundingClientRect()));
}"""
"""Whether a strip of tokens has more lines than it shows, and cuts none of them in half."""


def test_writing_on_leaves_the_keyboard_where_it_was_and_the_card_readable(published, open_page):
    texts = (TEXT[0], "Das alte Buch " * 4)  # more words than the strip of tokens has room for
    page = opened(open_page, model_a="demo/finetuned", model_b="lab/opus", a=texts[0], b=texts[1])
    card = page.locator("#predictions .af-model-b")
    write, tokens = card.locator(".af-write"), card.locator(".af-at")
    write.focus()
    page.keyboard.press("Enter")
    written = continuation(published, encode(published, *texts)).text_b
    expect(card.locator(".af-of")).to_contain_text(written.split()[-1], timeout=30_000)
    expect(write).to_be_focused()
    lengths = card.locator("> .af-class .af-bar").evaluate_all("bars => bars.map((bar) => bar.clientWidth)")
    assert len(lengths) == 3 and len(set(lengths)) == 1, "bars of one scale"
    strip, meant = card.locator(".af-each").bounding_box(), tokens.last.bounding_box()
    assert strip and meant and strip["y"] <= meant["y"]
    assert meant["y"] + meant["height"] <= strip["y"] + strip["height"], "the token that is continued is in sight"
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_function(IN_LINE)
    tokens.first.focus()
    page.keyboard.press("Enter")
    expect(tokens.first).to_have_attribute("aria-pressed", "true", timeout=30_000)
    expect(tokens.first).to_be_focused()
    expect(card).not_to_contain_text("classes in all")
    page.add_script_tag(path=AXE)
    wrong = faults(page, "#predictions", LEVELS)
    assert not wrong, "\n".join(wrong)


def test_both_readings_of_a_classifier_are_shown(published, open_page):
    page = opened(open_page, model_a="demo/finetuned", model_b="lab/nli", a="Anna left.", b="Paul read.")
    expect(page.locator(".af-write")).to_have_count(0)
    lines = page.evaluate("[...document.querySelectorAll('#sentence .af-break')].map((b) => b.nextSibling.textContent)")
    assert lines == ["Paul", "</s><s>"]
    names = page.evaluate("[...document.querySelectorAll('#sentence .af-unit')].map((unit) => unit.title)")
    assert sum("“Paul” (in the decoder)" in name for name in names) == 1
    expect(page.locator(".af-model-b .af-about-model")).to_contain_text("its decoder the same again")
