"""Nothing sticks out of the window, on a desk and on a phone, light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.test_page_heads import cell, choose, open_heads


def width_of_all(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_of_the_window(width, dark, open_page):
    page = open_page(width, dark=dark)
    assert width_of_all(page) <= width
    box = page.locator("#flow .af-chart").bounding_box()
    assert box["width"] == pytest.approx(box["height"], abs=2) or width == 1280
    inside = page.evaluate(
        """() => {
          const area = document.querySelector('#flow .af-chart').getBoundingClientRect();
          const labels = [...document.querySelectorAll('#flow .af-labels text')];
          const boxes = labels.map((node) => node.getBoundingClientRect());
          return boxes.every((box) => box.left >= area.left - 2 && box.right <= area.right + 2
            && box.top >= area.top - 2 && box.bottom <= area.bottom + 2);
        }"""
    )
    assert inside
    if width == 390:
        expect(page.locator(".sidebar.open")).to_have_count(0)  # it would cover the results
    (heads_fit if dark == (width == 1280) else attribution_fits)(page, width)


def heads_fit(page: Page, width: int) -> None:
    open_heads(page)
    for name in ("Attention pattern", "Importance"):
        choose(page, "show", name)
        assert width_of_all(page) <= width, name
    page.wait_for_timeout(500)
    target = page.locator(cell("b", 0, 0, ".af-off")).bounding_box()
    assert min(target["width"], target["height"]) >= 16


def attribution_fits(page: Page, width: int) -> None:
    tab_button = page.get_by_role("tab", name="Attribution")
    if not tab_button.count():  # on a phone, further tabs are in a menu
        page.get_by_label("More tabs").click()
        tab_button = page.locator(".overflow-dropdown button", has_text="Attribution")
    tab_button.click()
    expect(page.locator("#attribution-note")).to_contain_text("16 random probes", timeout=60_000)
    page.wait_for_selector("#centres .af-figure[data-drawn]")
    assert width_of_all(page) <= width
