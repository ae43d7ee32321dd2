"""The address of the page keeps all that is set; what it names that is not there leaves a page that can be used."""

from __future__ import annotations

from collections import Counter
from urllib.parse import parse_qsl, urlencode

from playwright.sync_api import expect

from attnflow.service.workspace import workspace
from attnflow.web.forms import Form
from attnflow.web.settings import LinkedHeads, Pair, SelectedHead, Settings
from attnflow.web.shared import Shown
from attnflow.web.tabs import TABS, explanations, tab_link, tab_named
from attnflow.web.tabs.attribution import Compared
from attnflow.web.tabs.explanations import Explained
from attnflow.web.tabs.heads import Fewer, Measured
from tests.checkpoints import PAIR

KEPT = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector) => document.querySelector(selector);
  return {
    tab: one('#tabs [role=tab][aria-selected=true]').textContent.trim(),
    boxes: ['layer', 'head', 'saliency-target', 'saliency-against'].map((id) => one(`#${id} input`).value),
    chosen: all('input[type=radio]:checked').map((box) => `${box.closest('.block').id} ${box.value}`),
    off: one('#switched-off')?.textContent.trim() ?? '',
    method: one('.af-method').value,
    predictions: one('#predictions').innerText,
    words: one('#sentence .af-text').innerHTML,
    layer: one('#sentence output').textContent,
    side: one('#sentence [aria-pressed=true]').textContent,
    names: one('.af-names').checked,
  };
}"""


def test_the_address_and_the_tabs_name_each_other():
    links = [tab_link(module.TITLE) for module in TABS]
    assert links[0] == ""
    assert len(set(links)) == len(TABS)
    assert [tab_named(link) for link in links[1:]] == [module.TITLE for module in TABS[1:]]
    assert tab_named("") is tab_named("Heads") is tab_named("cellar") is None


def test_heads_are_texts_in_the_address():
    linked = LinkedHeads.of(SelectedHead(1, 2), {(1, 10), (0, 3)}, [])
    assert linked == LinkedHeads("1.2", "0.3,1.10", "")
    assert linked.at == SelectedHead(1, 2)
    assert linked.off == ([(0, 3), (1, 10)], [])
    assert LinkedHeads.of(SelectedHead(), [], []) == LinkedHeads(), "a page that nobody has changed has a short address"
    assert LinkedHeads("x", "0.3,x,1,<b>,2.0.1,", "٣.١").off == ([(0, 3)], [])
    assert LinkedHeads("x").at == SelectedHead()


def test_no_two_settings_of_the_page_share_a_name():
    records = Pair(), Settings(), SelectedHead(), LinkedHeads(), Measured(), Fewer(), Compared(), Explained()
    links = Counter(one["link"] for record in records for one in Form(record).linked if one["link"])
    assert max(links.values()) == 1
    assert not {"tab", "method", "select", "view", "strongest", "differing", "back", "influence", "names"} & set(links)


def test_an_address_restores_all_that_is_set(open_page, url):
    page = open_page()
    page.locator("#sentence [data-side=b]").click()
    page.locator("#sentence input").evaluate("(box) => { box.value = '2'; box.dispatchEvent(new Event('input')); }")
    page.locator("#flow .af-names").uncheck()
    page.get_by_role("tab", name="Heads").click()
    page.locator('#head-matrix .af-cell[data-side="b"][data-at="1.2"] .af-pick').dispatch_event("click")
    page.wait_for_function("location.search.includes('head=1.2')")
    page.locator('#head-matrix .af-cell[data-side="b"][data-at="2.1"] .af-off').dispatch_event("click")
    expect(page.locator("#switched-off")).to_have_text("Switched off: B: L3 H2.")
    page.get_by_label("Attention pattern").check()
    page.get_by_role("tab", name="Saliency").click()
    for box, name, told in (
        ("target", "supported", "score of supported"),
        ("against", "unsupported", ", against unsupported"),
    ):
        page.locator(f"#saliency-{box} input").click()
        page.get_by_role("option", name=name, exact=True).click()
        expect(page.locator("#saliency .af-facts").last).to_contain_text(told)
    page.locator("#saliency .af-method").select_option("lrp")
    for part in (
        "tab=saliency",
        "head=1.2",
        "off_b=2.1",
        "explain=",
        "against=",
        "method=lrp",
        "show=pattern",
    ):
        page.wait_for_function("(part) => location.search.includes(part)", arg=part)

    before, query = page.evaluate(KEPT), page.evaluate("location.search.slice(1)")
    assert before["boxes"] == ["L2", "H3", "supported", "unsupported"], before
    again = page.context.new_page()  # in which the first tab, which `open_page` waits for, stays hidden
    again.goto(f"{url}?{query}")
    expect(again.locator("#saliency .af-strip").first).to_be_visible()
    for shown in (page, again):
        shown.get_by_role("tab", name="Heads").click()
        expect(shown.locator('#head-matrix .af-cell[data-side="b"][data-at="2.1"] .af-off')).to_have_text("↺")
        shown.wait_for_function("location.search.includes('tab=heads')")
        shown.get_by_role("tab", name="Saliency").click()
        shown.wait_for_function("location.search.includes('tab=saliency')")
        expect(shown.locator("#saliency .af-strip").first).to_be_visible()
    assert again.evaluate(KEPT) == before
    assert sorted(parse_qsl(again.evaluate("location.search"))) == sorted(parse_qsl(page.evaluate("location.search")))


def test_an_address_of_what_is_not_there_leaves_a_page_that_can_be_used(open_page):
    wrong = {"tab": "cellar", "head": "77.0", "off_a": "0.0,9.9,<b>", "off_b": "8.1", "method": "sorcery"}
    page = open_page(
        query=urlencode({**wrong, "explain": "<img src=x>", "show": "all", "influence": "c", "back": "99"})
    )
    expect(page.locator("#story")).to_contain_text(
        "No model has the head L78 H1 that this link selects; L4 H1 is selected"
    )
    expect(page.locator("#story")).to_contain_text("switches off heads that model A has not: L10 H10.")
    expect(page.locator("#story")).to_contain_text("switches off heads that model B has not: L9 H2.")
    expect(page.locator("#switched-off")).to_have_text("Switched off: A: L1 H1.")
    expect(page.get_by_role("tab", name="Flow")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Saliency").click()
    expect(page.locator("#saliency .af-strips")).to_contain_text("<img src=x>")  # no class of B
    assert page.locator("#saliency .af-method").input_value() == "attention_rollout"  # which explains no class
    page.wait_for_function("location.search.includes('off_a=0.0') && !location.search.includes('off_b')")


def test_a_class_that_no_model_has_is_told_and_left_aside():
    run = workspace.case("demo/finetuned", *PAIR)
    target, _, told, figure, *_ = explanations.draw(Shown.of(run, run), Explained("nonsense", "supported"), "word")
    assert target["value"] == "nonsense", "what a visitor wrote stays"
    assert told == {**told, "visible": True}
    assert "class 'nonsense', so it is left aside" in told["value"]
    assert figure["models"][0]["values"], "what the model predicts is explained instead"
