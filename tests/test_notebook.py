"""The radial view in cells of a notebook: whole, offline, without Gradio, and each cell by itself."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
from playwright.sync_api import expect

import attnflow
from attnflow.errors import SelectionError
from attnflow.stats.flow import compare_flows
from attnflow.views.edge_kinds import TITLES, edges_told
from attnflow.views.radial import radial
from tests.checkpoints import PAIR
from tests.fresh_process import printed
from tests.test_structure import WITHOUT_HEAVY


def test_show_works_where_neither_gradio_nor_plotly_can_be_imported():
    code = WITHOUT_HEAVY.format(heavy=("gradio", "plotly"), modules=()) + (
        "import attnflow\n"
        "shown = attnflow.show('demo/pretrained', 'demo/finetuned', 'Anna met Paul.')\n"
        "print(shown._repr_html_()[:7], {name.partition('.')[0] for name in sys.modules} & {'gradio', 'plotly'})"
    )
    assert printed(code).strip() == "<iframe set()"


def test_show_takes_refs_and_checkpoints_and_refuses_what_is_out_of_range(checkpoints):
    shown = attnflow.show(checkpoints["bert"], "demo/finetuned", *PAIR, tau=0.2, unit="piece", theme="dark")
    assert shown.names == (checkpoints["bert"].name, "demo/finetuned")
    assert "tau = 0.2" in shown.page and edges_told("attention") in shown.page
    with pytest.raises(SelectionError, match="weights is 'gradient'; give 'attention'"):
        attnflow.show("no/such-model", None, PAIR[0], weights="gradient")
    with pytest.raises(SelectionError, match="root"):
        attnflow.show("demo/finetuned", None, PAIR[0], root=99)


@pytest.mark.parametrize("weights", TITLES)
def test_show_draws_the_edges_that_are_chosen_and_says_which(checkpoints, weights):
    models = [checkpoints["bert"], checkpoints["gpt2"]]
    traces = []
    for model in models:
        encoding = attnflow.encode(model, *PAIR)
        local = None
        if weights == "previous_layer":
            local = attnflow.hidden_token_attribution(model, encoding, wrt="previous_layer", pruned=[(0, 1)])
        traces.append(attnflow.with_weights(attnflow.capture(model, encoding, pruned=[(0, 1)]), weights, local))
    figure = radial(compare_flows(*traces, unit="word"), ("a", "b"))
    shown = attnflow.show(*models, *PAIR, weights=weights, pruned=[(0, 1)])
    assert html.escape(edges_told(weights)) in shown.page
    for model in figure["models"]:
        assert all(model["edges"][part] in shown.page for part in ("query", "key", "heads", "weight"))


def test_two_cells_live_beside_each_other(browser, tmp_path):
    """One with two models on a light ground, one with one model on a dark one; words that would end a script do not."""
    hostile = "Anna </script><img src=x onerror=hurt()> &quot;lent&quot; ${1} a book."
    pair = attnflow.show(
        "demo/pretrained", "demo/finetuned", "Anna lent Paul a book.", "Paul borrowed a book from Anna."
    )
    alone = attnflow.show("demo/finetuned", None, hostile)
    cells = f"<div>{pair._repr_html_()}</div><div style='background: #111'>{alone._repr_html_()}</div>"
    host = Path(tmp_path / "notebook.html")
    host.write_text(f"<!doctype html><meta charset='utf-8'><body style='background: #fff'>{cells}", encoding="utf-8")
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.goto(host.as_uri())
    first, second = page.frame_locator("iframe >> nth=0"), page.frame_locator("iframe >> nth=1")
    for cell, dark in ((first, False), (second, True)):
        expect(cell.locator(".af-radial[data-drawn]")).to_be_visible()
        assert cell.locator("body").evaluate("body => body.classList.contains('dark')") is dark
        assert cell.locator("html").evaluate(
            "html => html.scrollHeight <= innerHeight && html.scrollWidth <= innerWidth"
        )
    expect(second.locator("main > p").first).to_have_text(hostile)
    expect(first.locator("[data-view=both]")).to_be_visible()
    expect(second.locator("[data-view=a]")).to_be_hidden()  # there is one model

    status = [cell.locator(".af-status") for cell in (first, second)]
    first.locator("[data-at='2 1']").hover(force=True)
    expect(status[0]).to_contain_text("“Anna” (1st sentence) after L2")
    first.locator("[data-at='2 1']").click(force=True)
    page.mouse.move(1, 1)
    expect(status[0]).to_contain_text("Held")
    second.locator(".af-chart").focus()
    page.keyboard.press("]")
    expect(status[1]).to_contain_text("head H1")
    expect(status[0]).to_contain_text("Held")  # each cell has a selection of its own
    first.get_by_role("button", name="1. What A looks at").click()
    expect(first.locator(".af-tour-text")).to_contain_text("In its last layer")

    second.locator(".af-chart").evaluate(
        "() => { frameElement.parentElement.style.background = '#fff'; parent.document.body.className = 'light'; }"
    )
    expect(second.locator("body")).not_to_have_class("dark")  # as the notebook's theme changes
    assert asked == [host.as_uri()]
    assert not errors
    page.close()
