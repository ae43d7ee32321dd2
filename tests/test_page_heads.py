"""The tab Heads in a browser: the matrix, switching heads off by mouse and keyboard, and what follows."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from attnflow import capture, encode, head_importance, load_checkpoint, normalise_importance
from attnflow.views.heads import thumbnails
from attnflow.web.examples import load_examples

EXAMPLE = load_examples()[0]
MATRIX, EFFECT, PREDICTIONS = (
    "#head-matrix .af-head-matrix",
    "#prune-effect .af-prune-effect",
    "#predictions .af-predictions",
)

TOLD = {
    "Importance": "Importance of each head",
    "Attention pattern": "Each picture is a head",
    "Works with the selected head": "Who backs up",
    "Gradient of a gate": "as the head's output is turned down",
    "Each layer": "Divided by the norm of each layer",
}


@pytest.fixture(scope="module")
def classifier():
    checkpoint = load_checkpoint("demo/finetuned")
    return checkpoint, encode(checkpoint, EXAMPLE.text_a, EXAMPLE.text_b)


@pytest.fixture
def page(open_page) -> Page:
    page = open_page()
    open_heads(page)
    return page


def open_heads(page: Page) -> None:
    page.get_by_role("tab", name="Heads").click()
    for panel in (MATRIX, EFFECT, "#map-b .af-heatmap"):
        page.wait_for_selector(f"{panel}[data-drawn]")
    page.wait_for_selector(cell("b", 3, 3))
    page.wait_for_timeout(200)


def drawn(page: Page, panel: str) -> int:
    return int(page.locator(panel).get_attribute("data-drawn") or 0)


def after(page: Page, act, *panels: str) -> None:
    """Do something and wait until panels are drawn anew."""
    before = {panel: drawn(page, panel) for panel in panels}
    act()
    ready = "(before) => Object.entries(before).every(([p, n]) => Number(document.querySelector(p).dataset.drawn) > n)"
    page.wait_for_function(ready, arg=before)


def cell(side: str, layer: int, head: int, part: str = "") -> str:
    return f'#head-matrix .af-cell[data-side="{side}"][data-at="{layer}.{head}"] {part}'.strip()


def share(told: str) -> float:
    """What a share in per cents is, or the middle of what it may be if only a bound is told."""
    number = float(told.strip("<> \u00a0%")) / 100
    return number / 2 if "<" in told else (1 + number) / 2 if ">" in told else number


def probabilities(page: Page) -> list[float]:
    """By the number of the class; the card has them by their probability."""
    rows = [text.split("\n") for text in page.locator("#predictions .af-model-b .af-class").all_inner_texts()]
    shares = {label: share(value) for label, value in rows}
    return [shares[label] for label in load_checkpoint("demo/finetuned").head.labels]


def off(page: Page, side: str) -> list[list[int]]:
    gone = page.locator(f'#head-matrix .af-gone[data-side="{side}"]')
    return sorted([int(n) for n in at.split(".")] for at in gone.evaluate_all("cells => cells.map(c => c.dataset.at)"))


def choose(page: Page, group: str, name: str) -> None:
    page.locator(f"#heads-{group}").get_by_text(name, exact=True).click()
    expect(page.locator(MATRIX)).to_contain_text(TOLD[name], timeout=20_000)


def importances(page: Page) -> list[float]:
    """Of the heads of B, as the matrix writes them."""
    texts = page.locator("#head-matrix .af-model-b .af-pick").all_inner_texts()
    return [float(text.replace("−", "-")) for text in texts]


def test_heads_are_measured_counted_and_shown(page, classifier):
    def measured(method: str, scale: str = "all") -> np.ndarray:
        return normalise_importance(head_importance(*classifier, method=method), scale).ravel()

    np.testing.assert_allclose(importances(page), measured("ablation"), atol=0.011)
    choose(page, "method", "Gradient of a gate")
    np.testing.assert_allclose(importances(page), measured("gate"), atol=0.011)
    choose(page, "scale", "Each layer")
    np.testing.assert_allclose(importances(page), measured("gate", "layer"), atol=0.011)
    expect(page.locator("#head-matrix .af-model-a .af-note")).to_contain_text("there is no loss")

    choose(page, "show", "Attention pattern")
    expect(page.locator("#head-matrix canvas")).to_have_count(2)
    found = page.evaluate("""() => {
      const canvas = document.querySelector("#head-matrix .af-model-b canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let text = ""; for (let i = 3; i < data.length; i += 4) text += String.fromCharCode(data[i]);
      return [canvas.width, canvas.height, btoa(text)];
    }""")
    pictures = thumbnails(capture(*classifier).attention)
    size = pictures.shape[-1]
    alpha = np.frombuffer(base64.b64decode(found[2]), np.uint8).reshape(found[1], found[0])
    np.testing.assert_array_equal(alpha, pictures.transpose(0, 2, 1, 3).reshape(4 * size, 4 * size))

    page.locator("#draw-curve").click()
    page.wait_for_selector("#curve-b .af-figure[data-drawn] .main-svg")
    points = page.evaluate("document.querySelector('#curve-b .af-chart').data.map(trace => trace.y.length)")
    assert points == [34, 17, 17]
    choose(page, "show", "Works with the selected head")
    expect(page.locator("#head-matrix .af-title")).to_contain_text("Who backs up")

    choose(page, "show", "Importance")
    page.locator("#prune-count input").fill("3")
    after(page, lambda: page.locator("#prune-least").click(), MATRIX)
    least = [list(divmod(int(n), 4)) for n in measured("gate", "layer").argsort()[:3]]  # on the scale that is shown
    assert off(page, "b") == sorted(least) and off(page, "a") == []


def test_a_head_is_selected_and_a_word_shows_what_it_attends_to(page, classifier):
    attention = capture(*classifier).attention[0, 0]
    page.locator("#map-b .af-token-row button").nth(5).click()
    titles = page.locator("#map-b .af-token-row button").evaluate_all("all => all.map(one => one.title)")
    found = [share(title.rsplit(": ", 1)[1]) for title in titles]
    np.testing.assert_allclose(found, attention[5], atol=6e-4)

    name = page.locator("#map-b .af-token-row button").nth(5).inner_text()
    expect(page.locator("#known .af-detail-word")).to_contain_text(f"“{name}”")
    for side in "ab":  # both models have the same pieces
        expect(page.locator(f"#map-{side} .af-token-row .af-chosen")).to_have_text([name])
        framed = f"document.querySelector('#map-{side} .af-chart').layout.shapes.map((one) => [one.y0, one.x0])"
        assert page.evaluate(framed) == [[4.5, -0.5], [-0.5, 4.5]], "its row and its column"
    page.get_by_role("tab", name="Saliency").click()
    expect(page.locator("#saliency .af-model-b .af-chosen").first).to_have_text(name, timeout=60_000)
    token = page.locator("#saliency .af-model-b .af-heat:not(.af-special)").nth(1)
    token.click()
    expect(token).to_have_class(re.compile("af-chosen"))
    expect(page.locator("#known .af-detail-word")).to_contain_text(f"“{token.inner_text()}”")
    page.get_by_role("tab", name="Heads").click()

    page.locator(cell("b", 2, 3, ".af-pick")).click()
    expect(page.locator("#map-b .af-title")).to_have_text("demo/finetuned · L3 H4")
    expect(page.locator("#layer input")).to_have_value("L3")
    expect(page.locator(cell("a", 2, 3, ".af-pick"))).to_have_attribute("aria-pressed", "true")

    page.locator(cell("difference", 0, 0, ".af-pick")).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    after(page, lambda: page.keyboard.press("Delete"), MATRIX)
    assert off(page, "a") == off(page, "b") == [[1, 1]]
    assert page.evaluate("document.activeElement.closest('.af-cell').dataset.at") == "1.1", "the focus was lost"
    after(page, lambda: page.keyboard.press("Enter"), "#map-b .af-heatmap")
    expect(page.locator("#map-b .af-title")).to_have_text("demo/finetuned · L2 H2 · off")
    page.locator(cell("difference", 1, 1, ".af-pick")).focus()
    after(page, lambda: page.keyboard.press("x"), MATRIX)
    assert off(page, "a") == off(page, "b") == []


def test_heads_are_switched_off_with_the_mouse_and_come_back_by_undo_and_reset(page, classifier):
    checkpoint, encoding = classifier
    whole = capture(checkpoint, encoding).probabilities
    without = capture(checkpoint, encoding, pruned=[(0, 1), (1, 2)]).probabilities
    after(page, lambda: page.locator(cell("b", 0, 1, ".af-off")).click(), PREDICTIONS, MATRIX, EFFECT)
    after(page, lambda: page.locator(cell("b", 1, 2, ".af-off")).click(), PREDICTIONS, MATRIX, EFFECT)
    np.testing.assert_allclose(probabilities(page), without, atol=6e-4)
    assert (off(page, "a"), off(page, "b")) == ([], [[0, 1], [1, 2]])
    changes = page.locator("#prune-effect .af-model-b .af-change .af-value").all_inner_texts()
    for text, before, now in zip(changes, whole, without, strict=True):
        found = [share(number) for number in text.split(" → ")]
        np.testing.assert_allclose(found, [before, now], atol=6e-4)
    expect(page.locator("#switched-off")).to_contain_text("B: L1 H2, L2 H3.")
    after(page, lambda: page.locator("#prune-undo").click(), PREDICTIONS, MATRIX)
    assert off(page, "b") == [[0, 1]]
    after(page, lambda: page.locator("#prune-reset").click(), PREDICTIONS, MATRIX)
    assert off(page, "b") == []
    np.testing.assert_allclose(probabilities(page), whole, atol=6e-4)
    after(page, lambda: page.locator("#prune-undo").click(), MATRIX)
    assert off(page, "b") == [[0, 1]], "a reset can be undone"
    for head in range(4):  # several clicks in a row all count
        page.locator(cell("b", 3, head, ".af-off")).click()
    expect(page.locator("#switched-off")).to_contain_text("B: L1 H2, L4 H1, L4 H2, L4 H3, L4 H4.", timeout=20_000)
    page.wait_for_function("document.querySelectorAll('#head-matrix .af-model-b .af-gone').length === 5")
