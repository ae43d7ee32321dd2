"""Python and the scripts agree on what they tell each other: the types of `payloads` hold for all that is sent."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from attnflow.views import payloads
from attnflow.views.payloads import PAYLOADS
from attnflow.web.panels import Panel
from attnflow.web.tabs import TABS
from tests.payload_types import mismatch, typescript

LAST_OF_TAB = {
    "Flow": "#flow .af-radial",
    "Heads": "#map-b .af-heatmap",
    "Attribution": "#centres .af-figure",
    "Saliency": "#saliency-agreement-b .af-figure",
}


def open_tab(page: Page, title: str) -> None:
    page.locator("#tabs").get_by_role("tab", name=title, exact=True).click()
    page.wait_for_selector(f"{LAST_OF_TAB[title]}[data-drawn]:not(.af-empty)", timeout=60_000)


@pytest.fixture
def sent(monkeypatch) -> dict[str, list]:
    """What each kind of panel is sent while a test runs."""
    told, postprocess = defaultdict(list), Panel.postprocess

    def watched(panel: Panel, value: object) -> str | None:
        text = postprocess(panel, value)
        if text is not None:
            told[type(panel).__name__].append(json.loads(text))
        return text

    monkeypatch.setattr(Panel, "postprocess", watched)
    return told


def test_all_tabs_send_what_the_types_say_and_no_two_elements_share_an_id(open_page, sent):
    page = open_page()
    for tab in TABS:
        open_tab(page, tab.TITLE)
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id).filter(Boolean)")
        assert {name for name, times in Counter(ids).items() if times > 1} == set(), tab.TITLE
    page.get_by_role("tab", name="Many texts", exact=True).click()
    page.wait_for_selector("#text-map .af-texts[data-drawn]:not(.af-empty)", timeout=60_000)
    for title in ("Heads", "Corpus", "Grammar"):
        page.locator("#texts-tabs").get_by_role("tab", name=title).click()
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id).filter(Boolean)")
        assert {name for name, times in Counter(ids).items() if times > 1} == set(), title
    ours = {panel.__name__ for panel in Panel.__subclasses__() if panel.__module__.startswith("attnflow.")}
    # The rest needs a treebank: test_grammar_room.py, test_probe_card.py.
    of_trees = {"GrammarHeads", "GrammarTable", "GrammarExamples", "ProbeTrees"}
    assert set(sent) == ours - of_trees - {"TextFile"}, "which has its value from the start"
    assert set(PAYLOADS) == ours
    for name, values in sent.items():
        for value in values:
            assert mismatch(value, PAYLOADS[name], name) is None
    assert page.evaluate("globalThis.Attnflow") is None


def test_what_panels_tell_python_is_what_the_types_say(open_page):
    page, told = open_page(), []

    def keep(request: Request) -> None:
        if request.method == "POST" and "/queue/join" in request.url:
            told.append(json.loads(request.post_data or "{}").get("event_data"))

    def last(act) -> Any:
        before = len(told)
        act()
        for _ in range(50):
            found = [data for data in told[before:] if data]
            if found:
                return found[0]
            page.wait_for_timeout(100)
        raise AssertionError("nothing was told")

    page.on("request", keep)
    exported = last(lambda: page.get_by_role("button", name="CSV", exact=True).click())
    assert mismatch(exported, payloads.Export) is None
    page.locator("#flow .af-chart").scroll_into_view_if_needed()
    x, y = page.evaluate("[...document.querySelectorAll('#flow *')].find((node) => node.locate).locate(0, 0, 2)")
    page.mouse.move(x, y)
    head = last(lambda: page.mouse.click(x, y))
    assert mismatch(head, payloads.Selected) is None
    assert head == {"head": [3, 2], "word": 0}
    expect(page.locator("#head input")).to_have_value("H3")
    open_tab(page, "Heads")
    cell = page.locator('#head-matrix .af-cell[data-side="difference"][data-at="2.1"]')
    picked = last(lambda: cell.locator(".af-pick").click())
    assert mismatch(picked, payloads.Selected) is None
    assert picked == {"side": "b", "head": [2, 1]}
    cell.hover()  # which shows the cross
    pruned = last(cell.locator(".af-off").click)
    assert mismatch(pruned, payloads.Pruned) is None
    assert pruned == {"a": [[2, 1]], "b": [[2, 1]]}
    open_tab(page, "Attribution")
    expect(page.locator("#attribution-note")).to_contain_text("B: estimated from 16 random probes")  # the sharpest
    page.wait_for_timeout(500)  # until it is drawn: that moves what is below it
    point = page.locator("#attribution-agreement-b .nsewdrag").first
    point.scroll_into_view_if_needed()
    clicked = last(lambda: point.click(position={"x": 20, "y": 20}))  # inside of a cell; the middle is between four
    assert mismatch(clicked, payloads.Selected) is None
    assert clicked["side"] == "b"


@pytest.mark.parametrize(
    ("value", "kind", "where"),
    [
        ({"depth": 1}, payloads.End, "lacks 'tokens'"),
        ({"depth": 1, "tokens": [], "head": 0}, payloads.End, "has 'head'"),
        ({"depth": 1.5, "tokens": []}, payloads.End, "value.depth is '1.5'"),
        ({"depth": 1, "tokens": [0, "x"]}, payloads.End, r"value.tokens\[1\] is 'x'"),
        ({"head": [1, 2, 3]}, payloads.Selected, "value.head has 3 entries"),
        ({"kind": "png"}, payloads.Export, "value.kind is 'png'"),
        ({"a": [[0, True]], "b": []}, payloads.Pruned, r"value.a\[0\]\[1\] is 'True'"),
        ([], payloads.Pruned, "not Pruned"),
    ],
)
def test_a_value_of_another_type_is_seen(value, kind, where):
    assert re.search(where, mismatch(value, kind) or "")


def test_what_json_has_not_is_no_payload():
    with pytest.raises(TypeError, match="use what JSON has"):
        typescript(set[int])
