"""A checkpoint that reads the mean of all tokens, on the page and through the endpoints."""

from __future__ import annotations

from urllib.parse import urlencode

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from attnflow import attention_graph, capture, encode, influence, load_checkpoint, reach
from tests.checkpoints import PAIR, make_checkpoint

TEXT = ("The friend has a book.", "He read it.")
PANEL = "[...document.querySelectorAll('#flow *')].find((node) => node.locate)"


@pytest.fixture(scope="module")
def pooled(hub, tmp_path_factory):
    """A ModernBERT with mean pooling on the Hub, and what it does with the text."""
    folder = make_checkpoint(tmp_path_factory.mktemp("pooled") / "it", "modernbert", classifier_pooling="mean")
    hub.add("lab/pooled", folder)
    checkpoint = load_checkpoint(folder)
    return capture(checkpoint, encode(checkpoint, *TEXT))


def test_the_answer_holds_all_that_is_read(pooled, client):
    size = len(pooled.tokens)
    answer = client.predict("lab/pooled", *TEXT, tau=0.1, api_name="/attention_flow")
    assert (answer["root"], answer["roots"]) == (None, list(range(size)))
    assert answer["rings"][-1] == list(range(size))
    np.testing.assert_allclose(answer["influence"], influence(attention_graph(pooled, 0.1)), rtol=1e-3)
    assert f"(mean of {size} tokens)" in answer["note"]
    one = client.predict("lab/pooled", *TEXT, tau=0.1, root=3, api_name="/attention_flow")
    assert (one["root"], one["roots"], one["rings"][-1]) == (3, [3], [3])
    both = client.predict("demo/finetuned", "lab/pooled", *PAIR[:1], tau=0.1, api_name="/compare_attention_flow")
    assert (both["a"]["root"], both["a"]["roots"]) == (0, [0])
    assert len(both["shared"][0]) == 1
    assert len(both["only_b"][0]) == len(both["b"]["roots"]) - 1


@pytest.fixture
def page(pooled, open_page) -> Page:
    pair = {"model_a": "lab/pooled", "model_b": "lab/pooled", "a": TEXT[0], "b": TEXT[1]}
    query = {**pair, "tau": "0.3", "unit": "piece", "view": "a", "strongest": "all"}
    page = open_page(query=urlencode(query))
    expect(page.locator("#status")).to_contain_text("reads the mean of", timeout=60_000)
    return page


def lit(page: Page) -> set[tuple[int, int]]:
    return {(depth, token) for depth, token, _ in page.evaluate(f"{PANEL}.lit().tokens")}


def test_all_that_is_read_stands_around_a_named_centre(page, pooled):
    size = len(pooled.tokens)
    graph = attention_graph(pooled, 0.3)
    expect(page.locator("#predictions")).to_contain_text(f"mean of {size} tokens")
    expect(page.locator("#flow .af-centre")).to_have_text(["mean of", f"{size} tokens"])
    assert page.locator("#flow [data-at^='0 ']").count() == size
    chart = page.locator("#flow .af-chart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    expect(page.locator("#flow .af-status")).to_contain_text(f"mean of {size} tokens at the output")
    whole = reach(graph, graph.n_layers, graph.root).rings[::-1]
    assert lit(page) == {(int(depth), int(token)) for depth, token in np.argwhere(whole)}
    page.keyboard.press("Escape")
    page.mouse.move(1, 1)

    page.locator("#flow .af-table summary").click()
    button = page.locator("#flow .af-table [data-centre]")
    expect(button).to_have_text(f"mean of {size} tokens")
    button.click()
    expect(page.locator("#flow .af-status")).to_contain_text("Held")
    assert lit(page) == {(int(depth), int(token)) for depth, token in np.argwhere(whole)}
    page.keyboard.press("Escape")

    page.evaluate(f"{PANEL}.querySelector('.af-chart').focus()")
    page.keyboard.press("]")  # the keyboard begins at the centre, and takes its first head
    expect(page.locator("#flow .af-status")).to_contain_text(f"mean of {size} tokens at the output, head H1")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#flow .af-status")).to_contain_text(f"mean of {size} tokens at the output —")


def test_the_saved_page_has_the_centre_too(page, pooled, tmp_path, browser):
    with page.expect_download() as download:
        page.locator("#flow [data-save=html]").click()
    file = tmp_path / "flow.html"
    download.value.save_as(file)
    alone = browser.new_page()
    alone.goto(file.as_uri())
    expect(alone.locator(".af-centre")).to_have_text(["mean of", f"{len(pooled.tokens)} tokens"])
    alone.close()
