"""The chart panel: colours by name, every text as it is, clicks told to Python."""

from __future__ import annotations

import gradio as gr
import pytest
from playwright.sync_api import expect

from attnflow.web import launch
from attnflow.web.panels import Chart

HOSTILE = ["<s>", "${1+1}", "{{value}}"]
FIGURE = {
    "title": "Scores of <s> and ${1+1}",
    "alt": "Three points.",
    "note": "A note.",
    "data": [
        {
            "type": "scatter",
            "mode": "markers+text",
            "x": [1, 2, 3],
            "y": [0.1, 0.4, 0.2],
            "text": HOSTILE,
            "customdata": [{"head": [0, 1], "side": "a"}, {"head": [1, 2], "side": "b"}, None],
            "marker": {"color": "@a:50", "size": 14},
            "hovertemplate": "<b>%{text}</b><extra></extra>",
        }
    ],
    "layout": {"xaxis": {"tickvals": [1, 2, 3], "ticktext": HOSTILE}},
}


def clicked(event: gr.EventData) -> str:
    return f"{event.side} {event.head}"


@pytest.fixture(scope="module")
def chart_url():
    with gr.Blocks() as demo:
        chart, told = Chart(FIGURE, elem_id="chart"), gr.Textbox(elem_id="told")
        chart.select(clicked, None, told, queue=False)
    served = launch.queued(demo)
    _, address, _ = served.launch(**launch.options(), server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    yield address
    demo.close()


@pytest.mark.parametrize("dark", [False, True])
def test_a_chart_shows_every_text_as_it_is_and_tells_what_is_clicked(browser, chart_url, dark):
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.goto(f"{chart_url}?{'__theme=dark' * dark}")
    page.wait_for_selector("#chart .af-figure[data-drawn]")
    expect(page.locator("#chart .af-title")).to_have_text(FIGURE["title"])
    expect(page.locator("#chart .af-note")).to_have_text("A note.")
    expect(page.locator("#chart .af-chart")).to_have_attribute("aria-label", "Three points.")
    assert page.locator("#chart .xtick").all_text_contents() == HOSTILE
    assert page.locator("#chart .textpoint").all_text_contents() == HOSTILE
    named, drawn = page.evaluate(
        """() => {
          const point = document.querySelector("#chart .points path");
          return [getComputedStyle(document.body).getPropertyValue("--af-a").trim(), getComputedStyle(point).fill];
        }"""
    )
    red, green, blue = (int(named[i : i + 2], 16) for i in (1, 3, 5))
    assert f"{red}, {green}, {blue}" in drawn
    box = page.locator("#chart .points path").nth(1).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    expect(page.locator("#chart .hoverlayer")).to_contain_text("${1+1}")
    page.mouse.click(x, y)
    expect(page.locator("#told textarea")).to_have_value("b [1, 2]")
    box = page.locator("#chart .points path").nth(2).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(300)
    expect(page.locator("#told textarea")).to_have_value("b [1, 2]")  # a point that stands for nothing selects nothing
    page.close()
