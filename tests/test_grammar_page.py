"""The tab *Grammar* as people use it: by mouse, keyboard and address, wide and narrow, read from left and right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.test_reading import AXE, CONTRAST, IN_DRAWINGS, LEVELS, faults

DRAWN = "[data-drawn]:not(.af-empty)"
HEBREW = """# text = הילד קרא את הספר הגדול היום
1	הילד	_	_	_	_	2	nsubj	_	_
2	קרא	_	_	_	_	0	root	_	_
3	את	_	_	_	_	4	case	_	_
4	הספר	_	_	_	_	2	obj	_	_
5	הגדול	_	_	_	_	4	amod	_	_
6	היום	_	_	_	_	2	obl	_	_

"""


def open_grammar(page: Page) -> None:
    page.get_by_role("tab", name="Many texts").click()
    page.locator("#texts-tabs").get_by_role("tab", name="Grammar").click()


def drawn(page: Page, which: str) -> None:
    page.wait_for_selector(f"#grammar-{which} {DRAWN}", timeout=60_000)


def words_of(page: Page) -> list[tuple[str, float]]:
    """The words of the sentence that is drawn, with the place of each."""
    return page.locator("#grammar-examples .af-arc-word").evaluate_all(
        "(words) => words.map((word) => [word.textContent, word.getBoundingClientRect().x])"
    )


def no_fault(page: Page, rules: dict) -> None:
    page.add_script_tag(path=AXE)
    for _ in range(20):  # what Gradio fades while it works is not to be read yet
        wrong = faults(page, "#texts-tabs", rules)
        if not wrong:
            break
        page.wait_for_timeout(500)
    assert not wrong, "\n".join(wrong)
    _, faint = page.evaluate(IN_DRAWINGS)
    assert not faint, faint[:5]


def test_from_texts_without_trees_to_a_head_in_one_pair(open_page):
    page = open_page()
    open_grammar(page)
    told, heads = page.locator("#grammar-told"), page.locator("#grammar-heads")
    expect(page.locator("#read-texts")).to_be_enabled(timeout=60_000)
    expect(told).to_contain_text("no dependency trees", timeout=60_000)
    expect(heads).to_be_hidden()
    page.locator("#read-sentences").click()
    drawn(page, "table")
    expect(told).to_contain_text("demo/finetuned read 200 sentences", timeout=60_000)
    expect(page.locator("#read-sentences")).to_be_hidden()
    expect(page.locator("#grammar-said")).to_contain_text("Click a cell of the map")

    # by mouse on the map: the row of obj, which is told while the pointer is there, and chosen by a click
    heads.get_by_role("button", name="B finetuned").click()
    names = heads.locator(".af-gr-name > :first-child").all_text_contents()
    canvas = heads.locator("canvas")
    box = canvas.bounding_box()
    assert box is not None and names[0] == "all"
    width, height = box["width"] / 16, box["height"] / len(names)
    place = {"x": 3.5 * width, "y": (names.index("obj") + 0.5) * height}
    canvas.hover(position=place)
    expect(heads.locator(".af-gr-says")).to_contain_text("L1 H4 · obj: finds the object's verb in ")
    canvas.click(position=place)
    expect(page.locator("#grammar-said")).to_contain_text("In B, L1 H4 finds the object's verb: ")
    drawn(page, "examples")
    assert "relation=obj" in page.url and "cell=b.0.3" in page.url
    expect(page.locator("#head input")).to_have_value("H4")

    # by keyboard: one row further down
    heads.locator(".af-gr-stage").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#grammar-said")).to_contain_text("In B, L1 H4 ")
    expect(page.locator("#grammar-said")).not_to_contain_text("object's verb")
    assert f"relation={names[names.index('obj') + 1]}" in page.url

    # the table is sorted and saved, and its rows choose, too
    table = page.locator("#grammar-table")
    table.get_by_role("button", name="Lead").click()
    expect(table.locator("th[aria-sort=descending]")).to_have_text("Lead")
    leads = table.locator("tbody td:nth-of-type(6)").all_text_contents()
    numbers = [float(lead.replace("−", "-")) for lead in leads]
    assert numbers == sorted(numbers, reverse=True) and len(numbers) > 20
    with page.expect_download() as download:
        table.get_by_role("button", name="Save as CSV").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("relation,model,checkpoint,cases,")
    table.get_by_role("button", name="L1 H4 of B for obj").press("Enter")
    expect(page.locator("#grammar-said")).to_contain_text("In B, L1 H4 finds the object's verb: ")
    expect(table.get_by_role("button", name="L1 H4 of B for obj")).to_have_attribute("aria-pressed", "true")

    # whether A and B differ, and what random weights find, stand beside once they are asked for
    headings = table.locator("th:visible")
    assert not {"A − B", "Random weights"} & set(headings.all_text_contents())
    page.locator("#compare-grammar").click()
    expect(table.get_by_role("button", name="A − B")).to_be_visible(timeout=60_000)
    expect(table.locator(".af-note").filter(has_text="McNemar")).to_contain_text("A and B differ in ")
    page.get_by_label("beside random weights").check()
    expect(table.get_by_role("button", name="Random weights")).to_be_visible(timeout=60_000)
    expect(table.locator(".af-gr-random").first).to_be_attached()
    row = table.get_by_role("row").filter(has=page.get_by_role("rowheader", name="all", exact=True)).first
    expect(row).to_contain_text(re.compile(r"\d+\.\d · (n\.s\.|p.)"))
    page.get_by_label("beside random weights").uncheck()
    expect(table.get_by_role("button", name="Random weights")).to_be_hidden(timeout=60_000)

    # its sentences: arcs above and below, right and wrong, one after another
    examples = page.locator("#grammar-examples")
    expect(examples.locator(".af-note").first).to_contain_text("sentences with obj")
    expect(examples.locator("path.af-arc-gold.af-arc")).to_have_count(
        examples.locator("path.af-arc-right.af-arc").count()
    )
    expect(examples.locator(".af-arc-name").first).to_have_text("obj")
    words = words_of(page)
    assert [x for _, x in words] == sorted(x for _, x in words)
    examples.get_by_role("button", name="The next sentence").click()
    expect(examples.locator(".af-gr-place")).to_have_text(re.compile(r"^2 of \d+$"))
    examples.get_by_role("button", name="Some wrong").click()
    expect(examples.locator("path.af-arc-wrong.af-arc").first).to_be_attached()
    expect(examples.locator("svg")).to_have_attribute("aria-label", re.compile(r"Governors: “.+” → “.+”.*\(wrong\)"))
    no_fault(page, LEVELS)

    # into One pair, with the head, of which the pane tells the same; and back
    sentence = "".join(word for word, _ in words_of(page))
    examples.get_by_role("button", name="Open it in One pair").click()
    expect(page.get_by_role("tab", name="One pair")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#sentence .af-text")).to_have_text(re.compile(re.escape(sentence[:8])), timeout=60_000)
    expect(page.locator("#layer input")).to_have_value("L1")
    expect(page.locator("#known .af-model-b")).to_contain_text("Over demo/sentences it finds", timeout=60_000)
    page.get_by_role("tab", name="Many texts").click()
    expect(page.locator("#grammar-said")).to_contain_text("In B, L1 H4 finds the object's verb: ")


def test_the_address_restores_tab_relation_cell_and_measure_on_a_phone(open_page_in_the_room):
    query = "room=texts&texts=demo%2Fsentences&view=grammar&relation=obl&cell=b.0.3&grammar=lead"
    page = open_page_in_the_room(width=390, height=844, dark=True, query=query)
    expect(page.locator("#grammar-said")).to_contain_text("In B, L1 H4 ", timeout=60_000)
    expect(page.locator("#grammar-said")).to_contain_text("the verb of a phrase such as “in May”")
    drawn(page, "examples")
    for name in ("Lead over the best offset", "B finetuned"):
        pressed = page.locator("#grammar-heads").get_by_role("button", name=name)
        expect(pressed).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the phone"
    no_fault(page, CONTRAST)


@pytest.fixture
def open_page_in_the_room(open_page, pages, monkeypatch):
    """Opens the app where its first room, which `open_page` waits for, is not the one that is shown."""
    monkeypatch.setattr(pages, "first_drawn", "#grammar-table .af-grammar[data-drawn]:not(.af-empty)")
    return open_page


def test_a_treebank_of_ones_own_is_read_from_the_right(open_page, tmp_path):
    file = tmp_path / "he.conllu"
    shorter = HEBREW.replace(" היום", "").replace("6\tהיום\t_\t_\t_\t_\t2\tobl\t_\t_\n", "")  # in the other half
    assert shorter.count("\n") == HEBREW.count("\n") - 1
    file.write_text((HEBREW + shorter) * 3, encoding="utf-8")
    page = open_page()
    open_grammar(page)
    expect(page.locator("#read-texts")).to_be_enabled(timeout=60_000)
    page.set_input_files("#texts-file input", str(file))
    expect(page.locator("#texts-source input")).to_have_value("he.conllu", timeout=60_000)
    page.locator("#read-texts").click()
    page.locator("#measure-grammar").click(timeout=60_000)
    drawn(page, "table")
    expect(page.locator("#grammar-told")).to_contain_text("no relation has 20 cases", timeout=60_000)
    page.locator("#grammar-table").get_by_role("button", name=re.compile("of A for nsubj")).click()
    drawn(page, "examples")
    words = words_of(page)
    assert words[0][0] == "הילד" and [x for _, x in words] == sorted((x for _, x in words), reverse=True)
    expect(page.locator("#grammar-said")).to_contain_text("With fewer than 20 cases this says little.")
