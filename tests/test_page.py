"""What a person does with the page: mouse, keyboard, touch sizes, and input that is wrong or hostile."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from attnflow import capture, encode, load_checkpoint, reach
from attnflow.errors import SelectionError
from attnflow.records.shares import percent
from attnflow.service.analyses.attribution import CONTRIBUTIONS
from attnflow.service.workspace import workspace
from attnflow.stats.attention_graph import paths_between
from attnflow.stats.flow import compare_flows, flow
from attnflow.views import thresholds
from attnflow.views.radial import radial
from attnflow.views.rounding import rounded_share
from attnflow.views.tour import tour
from attnflow.web import assets, events
from attnflow.web.endpoints import answers
from attnflow.web.examples import load_examples
from attnflow.web.gradio_compat import Sessions
from attnflow.web.settings import SelectedHead, Settings
from attnflow.web.shared import NO_HEADS, Shown
from attnflow.web.tabs import explanations as explanations_tab
from attnflow.web.tabs import flow as flow_tab
from attnflow.web.tabs import maps
from attnflow.web.verbs import find_selection
from tests.checkpoints import CHATML, PAIR, make_checkpoint
from tests.random_traces import random_trace

EXAMPLE = load_examples()[0]
PANEL = "[...document.querySelectorAll('#flow *')].find((node) => node.locate)"


@pytest.fixture(scope="module")
def flows():
    """What the page must show for the first example."""
    traces = []
    for ref in ("demo/pretrained", "demo/finetuned"):
        checkpoint = load_checkpoint(ref)
        traces.append(capture(checkpoint, encode(checkpoint, EXAMPLE.text_a, EXAMPLE.text_b)))
    return compare_flows(*traces, unit="word")


@pytest.fixture
def page(open_page) -> Page:
    return open_page(query="strongest=all")


def drawn(page: Page, panel: str = "#flow .af-radial") -> int:
    return int(page.locator(panel).get_attribute("data-drawn") or 0)


def wait_for_redraw(page: Page, before: int, panel: str = "#flow .af-radial") -> None:
    page.wait_for_function(
        "([panel, before]) => Number(document.querySelector(panel).dataset.drawn) > before", arg=[panel, before]
    )


def place(page: Page, depth: int, token: int, head: int | None = None) -> tuple[float, float]:
    """Where a token, or a head of it, is in the window; scrolled into view first."""
    page.locator("#flow .af-chart").scroll_into_view_if_needed()
    found = page.evaluate(f"(at) => {PANEL}.locate(...at)", [depth, token, head])
    assert found, f"token {token} is not in ring {depth}"
    if not 0 < found[1] < page.viewport_size["height"]:
        page.mouse.wheel(0, found[1] - page.viewport_size["height"] / 2)
        page.wait_for_timeout(100)
        found = page.evaluate(f"(at) => {PANEL}.locate(...at)", [depth, token, head])
    return found[0], found[1]


def hover(page: Page, depth: int, token: int, head: int | None = None) -> tuple[float, float]:
    x, y = place(page, depth, token, head)
    page.mouse.move(x + 1, y)
    page.mouse.move(x, y)
    return x, y


def lit(page: Page) -> dict[tuple[int, int], str]:
    """The lit tokens as (depth, token) -> a, b or ab."""
    return {(depth, token): name for depth, token, name in page.evaluate(f"{PANEL}.lit().tokens")}


PIXELS = """(points) => {
  const canvas = document.querySelector('#flow canvas.af-overlay'), box = canvas.getBoundingClientRect();
  const pen = canvas.getContext('2d'), scale = canvas.width / box.width;
  const at = (x, y) => pen.getImageData((x - box.left) * scale - 1, (y - box.top) * scale - 1, 3, 3).data;
  return points.map(([x, y]) => [...at(x, y)]);
}"""


def pixels(page: Page, points: list) -> np.ndarray:
    """What is painted as lit around some points of the window: [point, 3, 3, red green blue alpha]."""
    return np.array(page.evaluate(PIXELS, points)).reshape(len(points), 3, 3, 4)


def paint(page: Page, name: str) -> list[int]:
    """Red, green and blue of a set of models, which the style sheet gives as #rrggbb."""
    text = page.evaluate("(name) => getComputedStyle(document.body).getPropertyValue(`--af-${name}`).trim()", name)
    return list(bytes.fromhex(text.removeprefix("#")))


def expected_lit(flows, depth: int, tokens, head: int | None = None, models: str = "ab") -> dict[tuple[int, int], str]:
    """What Python's traversal lights, each model by itself."""
    return united(
        flows, lambda one: reach(one.graph, one.graph.n_layers - depth, tokens, head=head).rings, models=models
    )


def united(flows, find, models: str = "ab") -> dict[tuple[int, int], str]:
    """Tokens of some rings of both models as (depth, token) -> a, b or ab."""
    result: dict[tuple[int, int], str] = {}
    for name, one in (("a", flows.a), ("b", flows.b)):
        for depth, token in np.argwhere(find(one)[::-1]) if name in models else ():
            result[(int(depth), int(token))] = result.get((int(depth), int(token)), "") + name
    return result


def shared_cell(flows) -> tuple[int, int, int] | None:
    """A (depth, token, head) whose head attends to something in both models."""
    a, b = (carrying_heads(one) for one in (flows.a, flows.b))
    common = sorted(a & b)
    return common[0] if common else None


def carrying_heads(one) -> set[tuple[int, int, int]]:
    """(depth, token, head) of every head that attends to something above tau."""
    graph = one.graph
    edge, head = graph.heads.nonzero()
    depth = graph.n_layers - 1 - graph.layer[edge]
    return set(zip(depth.tolist(), graph.query[edge].tolist(), head.tolist(), strict=True))


def some_token(flows, depth: int) -> int:
    """A token of a ring: rather one that both models reach, and rather a word than a special token."""
    a, b = flows.a.graph.rings[::-1][depth], flows.b.graph.rings[::-1][depth]
    return int(np.argmax(4 * (a & b) + 2 * (a | b) + ((a | b) & (flows.pairing.sentence >= 0))))


# ---- first sight


def test_the_bundled_pair_is_analysed_at_once(page, flows):
    cards = page.locator("#predictions .af-card")
    expect(cards).to_have_count(2)
    expect(cards.nth(0)).to_contain_text("No classification head")
    trace = flows.b.trace
    for label, probability in zip(trace.labels, trace.probabilities, strict=True):
        expect(cards.nth(1)).to_contain_text(label)
        expect(cards.nth(1)).to_contain_text(percent(probability, 1))
    expect(page.locator("#status")).to_contain_text(thresholds.told(flows.a.graph, flows.b.graph))


def test_every_ring_shows_its_tokens_in_their_colours(page, flows):
    labels = page.evaluate(
        "[...document.querySelectorAll('#flow .af-labels > *')].map((n) => [n.dataset.at, n.getAttribute('class')])"
    )
    shown = {tuple(map(int, at.split())): re.search(r"af-(ab|a|b)", name).group(1) for at, name in labels}
    expected: dict[tuple[int, int], str] = {}
    for name, one in (("a", flows.a), ("b", flows.b)):
        for depth, token in np.argwhere(one.graph.rings[::-1]):
            expected[(int(depth), int(token))] = expected.get((int(depth), int(token)), "") + name
    assert shown.items() <= expected.items()
    assert len(shown) > 0.6 * len(expected)  # a crowded ring names only some of its tokens


# ---- tracing


SHAPES = [(3, 4, 6, 0.15), (5, 9, 8, 0.1), (1, 1, 3, 0.3), (4, 17, 5, 0.4)]
TRACE_IN_BROWSER = """async ([module, model, text, method, calls]) => {
  const { Graph } = await import(new URL(module, document.baseURI).href), graph = new Graph(model, text);
  return calls.map((call) => {
    const { rings, edges } = graph[method](...call);
    return [rings.map((ring) => [...ring]), [...edges]];
  });
}"""


def traced(page: Page, one, method: str, calls: list) -> list:
    """What the browser finds on the same graph, with rings from 0 to L as in Python."""
    figure = radial(one, ("m",))
    module = assets.url("radial/graph.js")
    found = page.evaluate(TRACE_IN_BROWSER, [module, figure["models"][0], figure["text"], method, calls])
    return [(rings[::-1], edges) for rings, edges in found]


def as_lists(found) -> tuple[list, list]:
    return found.rings.astype(int).tolist(), found.edges.astype(int).tolist()


@pytest.mark.parametrize(("layers", "heads", "size", "tau"), SHAPES)
def test_the_browser_traces_like_python(layers, heads, size, tau, page):
    one = flow(random_trace(layers, layers, heads, size), tau)
    cases = [
        (ring, tokens, head)
        for ring in range(layers + 1)
        for tokens in [[0], [size - 1], [0, 1], [1, 2, size - 1]]
        for head in (None, 0, heads - 1)
    ]
    found = traced(page, one, "reach", [[layers - ring, tokens, head] for ring, tokens, head in cases])
    for (ring, tokens, head), result in zip(cases, found, strict=True):
        assert result == as_lists(reach(one.graph, ring, tokens, head=head))
    rings = [(p, q) for p in range(layers + 1) for q in range(layers + 1) if p != q]
    cases = [(p, high, q, low) for p, q in rings for high in ([0], [1, 2]) for low in ([0, 2], [1])]
    found = traced(page, one, "between", [[layers - p, high, layers - q, low] for p, high, q, low in cases])
    for case, result in zip(cases, found, strict=True):
        assert result == as_lists(paths_between(one.graph, *case))


def test_hovering_a_token_lights_all_it_depends_on_and_all_that_depends_on_it(page, flows):
    for depth in (1, 2):
        token = some_token(flows, depth)
        hover(page, depth, token)
        expect(page.locator("#flow .af-stage")).to_have_class(re.compile("af-lit"))
        assert lit(page) == expected_lit(flows, depth, token)
        expect(page.locator("#flow .af-status")).to_contain_text(flows.pairing.text[token].removeprefix("·"))
    page.mouse.move(5, 5)
    expect(page.locator("#flow .af-stage")).not_to_have_class(re.compile("af-lit"))
    assert lit(page) == {}


def test_a_line_is_drawn_for_every_edge_that_is_lit(page, flows):
    change(page, lambda: page.locator("#tau input[type=number]").fill("0.2"))
    higher = compare_flows(flows.a.trace, flows.b.trace, 0.2)
    token, edges = some_token(higher, 1), set()
    for one in (higher.a, higher.b):
        hit = reach(one.graph, one.graph.n_layers - 1, token).edges
        assert hit.sum() < 200  # more than that would not all be drawn
        edges |= {tuple(edge) for edge in np.stack([one.graph.layer, one.graph.query, one.graph.key], 1)[hit].tolist()}
    hover(page, 1, token)
    assert page.evaluate(f"{PANEL}.lit().lines") == len(edges) > 5
    locate = f"(places) => places.map((place) => {PANEL}.locate(...place))"
    depth, heads = higher.a.graph.n_layers, range(higher.a.graph.n_heads)
    middles = []
    for layer, query, key in edges:  # from the middle of the attending token's cells to the other's name
        cells = page.evaluate(locate, [[depth - layer - 1, query, head] for head in heads])
        name = page.evaluate(locate, [[depth - layer, key]])
        middles.append((0.5 * np.mean(cells, axis=0) + 0.5 * np.array(name[0])).tolist())
    assert (pixels(page, middles)[..., 3].max(axis=(1, 2)) > 0).all()


def test_hovering_a_head_traces_through_that_head_in_its_layer(page, flows):
    token = some_token(flows, 1)
    a, b = carrying_heads(flows.a), carrying_heads(flows.b)
    different = 0
    for head in range(flows.a.graph.n_heads):
        at = (1, token, head)
        hover(page, *at)
        expect(page.locator("#flow .af-status")).to_contain_text(f"H{head + 1} ")
        models = "a" if at in a else "b" if at in b else "ab"
        if at in a and at in b:  # a split cell, whose halves stand for one model each
            models = re.search(r" of ([AB])", page.locator("#flow .af-tip").text_content()).group(1).lower()
        assert lit(page) == expected_lit(flows, 1, token, head, models)
        different += lit(page) != expected_lit(flows, 1, token)
    assert different  # a single head reaches less than all of them


def test_the_halves_of_a_split_cell_are_one_model_each_and_shift_is_both(page, flows):
    depth, token, head = shared_cell(flows)
    x, y = place(page, depth, token, head)
    angle = page.evaluate(f"([d, t]) => {PANEL}.locate(d, t)", [depth, token])
    assert angle
    seen = set()
    for dx, dy in ((-1.2, 0), (1.2, 0), (0, -1.2), (0, 1.2)):
        page.mouse.move(x + 40, y + 40)
        page.mouse.move(x + dx, y + dy)
        seen.add(re.search(r" of ([AB])", page.locator("#flow .af-tip").text_content() or "").group(1))
        model = page.locator("#flow .af-tip").text_content().split(" of ")[1][0].lower()
        assert lit(page) == expected_lit(flows, depth, token, head, model)
    assert seen == {"A", "B"}
    page.keyboard.down("Shift")
    page.mouse.move(x + 40, y + 40)
    page.mouse.move(x, y)
    assert lit(page) == expected_lit(flows, depth, token, head)
    page.keyboard.up("Shift")
    assert lit(page) in [expected_lit(flows, depth, token, head, model) for model in "ab"]


def ring_order(flows, depth: int) -> list[int]:
    """Tokens of a ring clockwise from the top."""
    tokens = np.flatnonzero(flows.a.graph.rings[::-1][depth] | flows.b.graph.rings[::-1][depth])
    second = int(np.flatnonzero(flows.pairing.sentence == 1)[0])
    return [*tokens[tokens < second].tolist(), *tokens[tokens >= second][::-1].tolist()]


def test_dragging_along_a_ring_lights_what_its_tokens_have_in_common(page, flows):
    depth = flows.a.graph.n_layers
    order = ring_order(flows, depth)[:3]
    start, end = place(page, depth, order[0]), place(page, depth, order[2])
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
    page.mouse.move(*end, steps=4)
    page.mouse.up()
    page.mouse.move(5, 5)
    assert lit(page) == expected_lit(flows, depth, order)
    expect(page.locator("#flow .af-status")).to_contain_text("Held")


def test_shift_click_in_two_rings_shows_the_paths_between(page, flows):
    outer = flows.a.graph.n_layers
    low, high = some_token(flows, outer), some_token(flows, 1)
    page.mouse.click(*hover(page, 1, high))
    x, y = place(page, outer, low)
    page.keyboard.down("Shift")
    page.mouse.click(x, y)
    page.keyboard.up("Shift")
    page.mouse.move(5, 5)
    expect(page.locator("#flow .af-status")).to_contain_text("Paths between")
    rings = united(flows, lambda one: paths_between(one.graph, outer - 1, high, 0, low).rings)
    assert lit(page) == rings
    used: dict[tuple[int, int, int], str] = {}
    for side, one in (("a", flows.a), ("b", flows.b)):
        found = paths_between(one.graph, outer - 1, high, 0, low).edges
        for layer, query, heads in zip(
            one.graph.layer[found], one.graph.query[found], one.graph.heads[found], strict=True
        ):
            for head in np.flatnonzero(heads):
                cell = (one.graph.n_layers - 1 - int(layer), int(query), int(head))
                if side not in used.get(cell, ""):
                    used[cell] = used.get(cell, "") + side
    assert page.evaluate(f"{PANEL}.lit().cells") == len(used) > 3
    places = page.evaluate(f"(cells) => cells.map((cell) => {PANEL}.locate(...cell))", list(used))
    for name, found in zip(used.values(), pixels(page, places), strict=True):
        assert [*paint(page, name), 255] in found.reshape(9, 4).tolist()


def test_the_table_holds_the_same_and_selects(page, flows):
    page.locator("#flow .af-table summary").click()
    rows = page.locator("#flow .af-table tbody tr")
    expect(rows).to_have_count(flows.a.graph.n_layers + 1)
    for depth in range(flows.a.graph.n_layers + 1):
        ring = flows.a.graph.rings[::-1][depth] | flows.b.graph.rings[::-1][depth]
        assert rows.nth(depth).locator("button").count() == ring.sum()
    token = some_token(flows, 1)
    button = page.locator(f"#flow .af-table [data-row='1 {token}']")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert lit(page) == expected_lit(flows, 1, token)
    on = page.locator("#flow .af-table .af-on").count()
    assert on == len(lit(page))
    page.keyboard.press("Escape")  # anywhere in the panel
    assert lit(page) == {}


def test_the_tour_shows_each_model_and_the_head(page, flows):
    steps = page.locator("#flow .af-tour-steps button")
    expect(steps).to_have_count(3)
    for index, (step, view) in enumerate(zip(tour(flows), "abb", strict=True)):
        steps.nth(index).click()
        expect(page.locator("#flow .af-tour-text")).to_have_text(step["text"])
        expect(page.locator(f"#flow [data-view={view}]")).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#flow .af-status")).to_contain_text("Held")
    head = tour(flows)[2]["selection"]["head"]
    expected = expected_lit(flows, 0, flows.b.graph.root, head, "b")
    assert lit(page) == expected


def test_names_can_be_switched_off(page):
    page.locator("#flow .af-names").uncheck()
    assert page.locator("#flow .af-labels text").count() == 0
    assert page.locator("#flow .af-labels circle").count() > 10


def test_the_context_ring_marks_the_same_tokens(page, flows):
    dots = page.locator("#flow .af-context [data-place]")
    rings = [flows.a.graph.rings[::-1][d] | flows.b.graph.rings[::-1][d] for d in range(flows.a.graph.n_layers + 1)]
    expect(dots).to_have_count(int(sum(ring.sum() for ring in rings[1:])))
    hover(page, 1, some_token(flows, 1))
    assert page.locator("#flow .af-context .af-on").count() == sum(depth > 0 for depth, _ in lit(page))


def test_twelve_layers_of_twelve_heads_are_traced_like_in_python(page, hub, tmp_path):
    runs, texts = [], ("The friend.", "He read it.")  # short, because random deep models attend evenly
    for seed, side in enumerate("AB"):
        name = f"lab/twelve-{side.lower()}"
        options = {"num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 48}
        hub.add(name, make_checkpoint(tmp_path / side, "bert", seed=seed, **options))
        runs.append(workspace.case(name, *texts))
    before = analyse(page, Model_A="lab/twelve-a", Model_B="lab/twelve-b", First_sentence=texts[0])
    wait_for_redraw(page, before)
    before = drawn(page)
    page.get_by_label("Second sentence (may be empty)").fill(texts[1])
    page.get_by_role("button", name="Analyse").click()
    wait_for_redraw(page, before)
    traces = [run.trace for run in runs]
    flows = compare_flows(*traces, unit="word")
    cells = carrying_heads(flows.a) | carrying_heads(flows.b)
    for depth in (1, 5, 11):
        token = some_token(flows, depth)
        hover(page, depth, token)
        assert lit(page) == expected_lit(flows, depth, token)
        head = next(head for at, of, head in sorted(cells) if (at, of) == (depth, token))
        hover(page, depth, token, head)
        told = re.search(r"H(\d+)(?: of ([AB]))?", page.locator("#flow .af-tip").text_content())
        assert int(told.group(1)) == head + 1
        assert lit(page) == expected_lit(flows, depth, token, head, (told.group(2) or "ab").lower())


def test_a_click_holds_and_escape_lets_go(page, flows):
    token = some_token(flows, 2)
    page.mouse.click(*hover(page, 2, token))
    page.mouse.move(5, 5)
    expect(page.locator("#flow .af-status")).to_contain_text("Held")
    assert lit(page) == expected_lit(flows, 2, token)
    page.locator("#flow .af-chart").focus()
    page.keyboard.press("Escape")
    assert lit(page) == {}


def test_a_second_click_lets_go(page, flows):
    x, y = hover(page, 2, some_token(flows, 2))
    for _ in range(2):
        page.mouse.click(x, y)
    page.mouse.move(5, 5)
    assert lit(page) == {}


def test_the_rings_can_be_walked_with_the_keyboard(page, flows):
    status = page.locator("#flow .af-status")
    page.locator("#flow .af-chart").focus()
    page.keyboard.press("ArrowUp")
    first = status.text_content()
    assert f"after L{flows.a.graph.n_layers - 1}" in first
    page.keyboard.press("ArrowRight")
    assert status.text_content() != first
    page.keyboard.press("]")
    assert "head H1" in status.text_content()
    page.keyboard.press("[")
    page.keyboard.press("Enter")
    expect(status).to_contain_text("Held")
    held = lit(page)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+Enter")
    expect(status).to_contain_text("Paths between")
    page.keyboard.press("Escape")
    assert lit(page) == {}
    assert held


def test_one_model_can_be_shown_alone(page, flows):
    page.locator("#flow [data-view=b]").click()
    shown = page.evaluate("[...document.querySelectorAll('#flow .af-labels > *')].map((n) => n.getAttribute('class'))")
    assert all("af-b" in name for name in shown)
    token = int(np.flatnonzero(flows.b.graph.rings[-2])[-1])
    hover(page, 1, token)
    rings = reach(flows.b.graph, flows.b.graph.n_layers - 1, token).rings[::-1]
    assert set(lit(page)) == {(int(d), int(t)) for d, t in np.argwhere(rings)}


def test_what_is_held_stays_when_another_model_is_shown_that_has_it(page, flows):
    a, b = (one.graph.rings[-2] for one in (flows.a, flows.b))
    shared, only_a = int(np.flatnonzero(a & b)[0]), int(np.flatnonzero(a & ~b)[0])
    status = page.locator("#flow .af-status")
    page.mouse.click(*hover(page, 1, shared))
    page.locator("#flow [data-view=b]").click()
    expect(status).to_contain_text("Held")
    page.locator("#flow [data-view=a]").click()
    expect(status).to_contain_text("Held")
    page.mouse.click(*hover(page, 1, only_a))
    page.locator("#flow [data-view=b]").click()
    expect(status).not_to_contain_text("Held")


def test_a_head_clicked_in_the_rings_is_shown_as_a_map(page, flows):
    token = some_token(flows, 1)
    page.mouse.click(*hover(page, 1, token, 1))
    expect(page.locator("#flow .af-status")).to_contain_text("Held")
    layer = flows.b.graph.n_layers - 2
    page.get_by_role("tab", name="Heads").click()
    expect(page.locator("#map-b .af-title")).to_have_text(f"demo/finetuned · L{layer + 1} H2")
    page.wait_for_selector("#map-b .af-heatmap[data-drawn]")
    values = page.evaluate("document.querySelector('#map-b .af-chart').data[0].z")
    np.testing.assert_allclose(values, flows.b.trace.attention[layer, 1], atol=1e-3)


# ---- controls


def test_a_new_threshold_runs_no_model(page, flows, monkeypatch):
    monkeypatch.setattr("attnflow.service.workspace.capture", lambda *_, **__: pytest.fail("a model ran"))
    monkeypatch.setattr("attnflow.service.case.load_bounded", lambda *_, **__: pytest.fail("a model was loaded"))
    before = drawn(page)
    box = page.locator("#tau input[type=number]")
    box.fill("0.3")
    box.press("Enter")
    wait_for_redraw(page, before)
    expect(page.locator("#status")).to_contain_text("tau = 0.3.")
    expect(page.locator("#auto-tau input")).not_to_be_checked()
    higher = compare_flows(flows.a.trace, flows.b.trace, 0.3)
    token = some_token(higher, 1)
    hover(page, 1, token)
    assert lit(page) == expected_lit(higher, 1, token)


@pytest.mark.parametrize(("typed", "taken"), [("1.5", 0.95), ("-0.2", 0)])
def test_a_threshold_beyond_the_slider_counts_as_its_end(typed, taken, page, open_page, flows):
    box = page.locator("#tau input[type=number]")
    change(page, lambda: box.fill(typed))
    expect(page.locator("#status")).to_contain_text(f"tau = {taken:g}.")
    box.blur()
    expect(box).to_have_value(f"{taken:g}")
    page.wait_for_function(f"location.search.includes('tau={typed}')")
    again = open_page(query=page.evaluate("location.search.slice(1)"))
    expect(again.locator("#status")).to_contain_text(f"tau = {taken:g}.")


def test_the_name_of_what_is_hovered_stands_beside_the_pointer(page, flows):
    x, y = hover(page, 1, some_token(flows, 1))
    tip = page.locator("#flow .af-tip").bounding_box()
    assert min(abs(tip["x"] - x), abs(tip["x"] + tip["width"] - x)) < 60
    assert 0 < tip["y"] - y < 40


def test_escape_ends_a_brush(page, flows):
    depth = flows.a.graph.n_layers
    order = ring_order(flows, depth)
    start, end = place(page, depth, order[0]), place(page, depth, order[1])
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    assert lit(page) == expected_lit(flows, depth, order[:2])
    page.locator("#flow .af-chart").focus()
    page.keyboard.press("Escape")
    page.mouse.move(*place(page, depth, order[2]), steps=4)
    page.mouse.up()
    page.mouse.move(5, 5)
    assert lit(page) == {}


def test_a_threshold_that_leaves_nothing_says_where_the_graph_ends(page):
    before = drawn(page)
    page.locator("#tau input[type=number]").fill("0.95")
    page.locator("#tau input[type=number]").press("Enter")
    wait_for_redraw(page, before)
    expect(page.locator("#flow .af-warning")).to_contain_text(re.compile(r"Model [AB] ends at L\d"))


def test_pieces_can_be_shown_instead_of_words(page, flows):
    expect(page.locator("#status")).to_contain_text("Compared word by word")
    before = drawn(page)
    page.get_by_label("Word pieces", exact=True).check()
    wait_for_redraw(page, before)
    expect(page.locator("#status")).to_contain_text("Compared piece by piece")


def test_the_sentence_view_shows_influence_of_the_chosen_layer(page, flows):
    slider = page.locator("#sentence input[type=range]")
    last = flows.a.graph.n_layers
    for layer in (last, 1):
        slider.fill(str(layer))
        expect(page.locator("#sentence output")).to_have_text(f"L{layer}")
        shown = page.evaluate(
            """[...document.querySelectorAll('#sentence .af-unit')].map((unit) =>
            ['ab', 'a', 'b'].map((name) => unit.querySelectorAll(`.af-dot.af-${name}`).length))"""
        )
        a, b = (np.minimum(5, np.ceil(one.influence[layer - 1])).astype(int) for one in (flows.a, flows.b))
        shared = np.minimum(a, b)
        assert shown == np.stack([shared, a - shared, b - shared], axis=1).tolist()
    for side, one in (("a", flows.a), ("b", flows.b)):
        page.locator(f"#sentence [data-side={side}]").click()
        dots = page.evaluate(
            "(name) => [...document.querySelectorAll('#sentence .af-unit')].map((unit) => "
            "[unit.querySelectorAll('.af-dot').length, unit.querySelectorAll(`.af-dot.af-${name}`).length])",
            side,
        )
        assert dots == [[n, n] for n in np.minimum(5, np.ceil(one.influence[0])).astype(int).tolist()]
    title = page.locator("#sentence .af-unit").nth(1).get_attribute("title")
    told = [float(number) for number in re.findall(r"[AB] ([\d.]+)", title)]
    assert told == pytest.approx([flows.a.influence[0, 1], flows.b.influence[0, 1]], abs=0.006)


def change(page: Page, act) -> None:
    before = drawn(page)
    act()
    wait_for_redraw(page, before)


def open_settings(page: Page) -> None:
    page.get_by_role("button", name="More settings").click()


def test_the_graph_can_start_from_another_token(page, flows):
    open_settings(page)
    token = some_token(flows, 1)
    name = f"{token + 1}: {flows.pairing.text[token]}"

    def act() -> None:
        page.locator("#root input").click()
        page.get_by_role("option", name=name, exact=True).click()

    change(page, act)
    other = compare_flows(flows.a.trace, flows.b.trace, root=token)
    assert page.locator(f"#flow [data-at='0 {token}']").count() == 1
    hover(page, 1, some_token(other, 1))
    assert lit(page) == expected_lit(other, 1, some_token(other, 1))


def test_special_tokens_can_be_hidden(page, flows):
    open_settings(page)
    change(page, lambda: page.get_by_label("Hide special tokens").check())
    other = compare_flows(flows.a.trace, flows.b.trace, hide_special=True)
    expect(page.locator("#status")).to_contain_text(
        f"{percent(other.a.hidden_share)} (A) and {percent(other.b.hidden_share)} (B)"
    )
    assert page.locator("#flow [data-at='1 0']").count() == 0


def test_heads_can_be_chosen(page, flows):
    open_settings(page)

    def act() -> None:
        page.locator("#heads input").click()
        page.get_by_role("option", name=f"L{flows.a.graph.n_layers} H2", exact=True).click()

    change(page, act)
    other = compare_flows(flows.a.trace, flows.b.trace, heads=[(flows.a.graph.n_layers - 1, 1)])
    ring = other.a.graph.rings[-2] | other.b.graph.rings[-2]
    assert page.locator("#flow [data-at^='1 ']").count() == ring.sum()
    assert page.locator("#flow [data-at^='2 ']").count() == 0


def test_what_is_shown_can_be_saved(page, flows, tmp_path, open_page, url):
    token = some_token(flows, 1)
    page.mouse.click(*hover(page, 1, token))
    files = {}
    for kind in ("svg", "png", "html", "json", "csv"):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=kind.upper(), exact=True).click()
        assert waiting.value.suggested_filename == f"attention-flow.{kind}"
        files[kind] = tmp_path / f"flow.{kind}"
        waiting.value.save_as(files[kind])
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    svg = files["svg"].read_text()
    for text in {flows.pairing.text[token].removeprefix("·"), "[CLS]", EXAMPLE.text_a, EXAMPLE.text_b}:
        assert text in svg
    graph = json.loads(files["json"].read_text())
    for name, one in (("a", flows.a), ("b", flows.b)):
        assert len(graph[name]["edges"]) == len(one.graph.layer)
        assert graph[name]["tau"] is None
        assert graph[name]["thresholds"] == one.graph.tau.tolist()
    rows = files["csv"].read_text().splitlines()
    assert rows[0].startswith("model,sha,layer_index,head_index,query")
    assert len(rows) - 1 == flows.a.graph.heads.sum() + flows.b.graph.heads.sum()

    alone = page.context.new_page()
    asked: list[str] = []
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(files["html"].as_uri())
    alone.wait_for_selector(".af-radial[data-drawn]")
    held = alone.evaluate("document.querySelector('main').lit().tokens")
    assert {(depth, other): name for depth, other, name in held} == expected_lit(flows, 1, token)
    assert alone.locator(".af-overlay").count() == 2
    assert all(address.startswith(("file:", "data:", "blob:")) for address in asked)
    alone.locator(".af-chart").focus()
    alone.keyboard.press("Escape")
    alone.wait_for_function("!document.querySelector('main').lit().tokens.length")


def test_the_address_restores_what_is_shown(page, flows, open_page, url):
    before = analyse(page, First_sentence=PAIR[0])
    wait_for_redraw(page, before)
    change(page, lambda: page.locator("#tau input[type=number]").fill("0.2"))
    page.locator("#flow [data-view=b]").click()
    labels = page.evaluate("[...document.querySelectorAll('#flow .af-labels text')].map((n) => n.dataset.at)")
    at = next(at for at in labels if at.startswith("1 "))
    depth, token = map(int, at.split())
    page.mouse.click(*hover(page, depth, token))
    page.mouse.move(5, 5)
    open_settings(page)

    def start_elsewhere() -> None:
        page.locator("#root input").click()
        page.get_by_role("option").nth(3).click()

    change(page, start_elsewhere)
    page.wait_for_function("['tau=0.2', 'select', 'root=2'].every((part) => location.search.includes(part))")
    held, query = lit(page), page.evaluate("location.search.slice(1)")
    centre = page.locator("#flow .af-labels [data-at^='0 ']").get_attribute("data-at")
    assert centre == "0 2"
    again = open_page(query=query)
    expect(again.get_by_label("First sentence")).to_have_value(PAIR[0])
    expect(again.locator("#status")).to_contain_text("tau = 0.2.")
    expect(again.locator("#flow [data-view=b]")).to_have_attribute("aria-pressed", "true")
    assert lit(again) == held
    assert again.locator("#flow .af-labels [data-at^='0 ']").get_attribute("data-at") == centre


def test_an_example_is_analysed_with_a_click(page):
    before = drawn(page)
    example = load_examples()[1]
    page.get_by_text(example.title, exact=True).click()
    wait_for_redraw(page, before)
    expect(page.get_by_label("First sentence")).to_have_value(example.text_a)
    expect(page.locator("#sentence .af-text")).to_contain_text(example.text_b.split()[0])


def analyse(page: Page, **fields: str) -> int:
    """Fill the sidebar and press Analyse; returns how often the radial view was drawn before."""
    before = drawn(page)
    for label, text in fields.items():
        box = page.get_by_label(label.replace("_", " "), exact=label.startswith("Model"))  # texts have a hint beside it
        box.fill(text)
        if label.startswith("Model"):
            box.press("Enter")
    page.get_by_role("button", name="Analyse").click()
    return before


def test_a_checkpoint_of_the_hub_is_analysed_through_the_page(page, hub, folders):
    hub.add("lab/for-the-page", folders["distilbert"])
    before = analyse(page, Model_B="lab/for-the-page", First_sentence=PAIR[0])
    wait_for_redraw(page, before)
    checkpoint = load_checkpoint("lab/for-the-page")
    trace = capture(checkpoint, encode(checkpoint, PAIR[0], EXAMPLE.text_b))
    card = page.locator("#predictions .af-card").nth(1)
    for label, probability in zip(trace.labels, trace.probabilities, strict=True):
        expect(card).to_contain_text(label)
        expect(card).to_contain_text(percent(rounded_share(probability), 1))
    expect(card).to_contain_text(checkpoint.sha[:7])
    expect(page.locator("#status")).to_contain_text("Compared word by word")


def test_a_checkpoint_is_searched_described_and_offered_again(page, hub, folders):
    about = {"pipeline_tag": "text-classification", "license": "mit", "parameters": 124_000_000, "downloads": 61_200}
    hub.add("page/discoverable", folders["gpt2"], **about)
    box = page.get_by_label("Model A")
    box.click()
    box.fill("")
    box.press_sequentially("discov", delay=80)
    found = page.get_by_role(
        "option", name="page/discoverable · text-classification · 124 M parameters · mit · 61.2 k downloads"
    )
    found.click()
    expect(page.get_by_text(re.compile(r"124 M parameters · 0\.\d+ MB · mit · 61\.2 k downloads"))).to_be_visible()
    expect(box).to_have_value("page/discoverable")
    page.get_by_role("button", name="Analyse").click()
    expect(page.locator("#predictions")).to_contain_text(
        "sequence classification into 3 classes · licence mit · commit ", timeout=30_000
    )
    expect(page.locator("#predictions")).to_contain_text("no format for pairs; the sentences are joined by its </s>.")
    box.fill("page/nothing-there")
    box.press("Enter")
    expect(page.get_by_text("There is no public checkpoint page/nothing-there on the Hub")).to_be_visible()
    again = page.context.new_page()  # the same browser; a reload would cut off the stream of events and log an error
    again.goto(page.url)
    again.wait_for_selector("#flow .af-radial[data-drawn]")
    again.get_by_label("Model B", exact=True).click()
    expect(again.get_by_role("option", name="page/discoverable")).to_be_visible()


def test_models_of_different_depth_are_aligned_at_the_root(page, hub, tmp_path):
    hub.add("lab/deep", make_checkpoint(tmp_path / "deep", "bert", num_hidden_layers=9))
    before = analyse(page, Model_A="lab/deep")
    wait_for_redraw(page, before)
    depth = load_checkpoint("demo/finetuned").n_layers
    expect(page.locator("#sentence output")).to_have_text(f"A L9 · B L{depth}")
    page.locator("#sentence input[type=range]").fill("1")
    expect(page.locator("#sentence output")).to_have_text("A L1")
    page.get_by_role("tab", name="Heads").click()
    page.locator("#layer input").click()
    expect(page.get_by_role("option", name=f"A L9 · B L{depth}")).to_be_visible()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"First_sentence": " "}, "The first sentence is empty"),
        ({"First_sentence": "word " * 150}, "the limit is 128"),
        ({"Model_B": "lab/not-there"}, "no public checkpoint lab/not-there"),
        ({"Model_B": "/etc/passwd"}, "not the name of a checkpoint"),
        ({"Model_A": "../demo"}, "not the name of a checkpoint"),
        ({"First_sentence": "word " * 150}, "or tick “Cut a text that is too long” under More settings."),
    ],
)
def test_wrong_input_is_told_and_nothing_is_lost(fields, reason, page, flows):
    names = page.locator("#flow .af-labels").text_content()
    analyse(page, **fields)
    expect(page.locator(".toast-body")).to_contain_text(reason)
    expect(page.locator("#hint")).to_contain_text(reason)
    expect(page.locator("#predictions .af-work")).to_contain_text(reason)
    assert page.locator("#flow .af-labels").text_content() == names
    expect(page.locator("#predictions .af-card")).to_have_count(2)
    token = some_token(flows, 1)
    hover(page, 1, token)
    assert lit(page) == expected_lit(flows, 1, token)


def test_a_text_that_is_too_long_is_cut_on_request(page):
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Cut a text that is too long").check()
    expect(page.locator("#hint")).to_contain_text("press Analyse")
    before = analyse(page, First_sentence="word " * 150)
    wait_for_redraw(page, before)
    expect(page.locator("#predictions")).to_contain_text("The text was cut:")
    page.wait_for_function("location.search.includes('cut=1')")


def test_a_chat_template_is_applied_on_request(page, hub, tmp_path):
    hub.add("lab/talks", make_checkpoint(tmp_path / "talks", "llama", task="causal-lm", chat_template=CHATML))
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Apply the chat template").check()
    before = analyse(page, Model_A="lab/talks", Model_B="lab/talks")
    wait_for_redraw(page, before)
    expect(page.locator("#predictions")).to_contain_text("Read in the checkpoint's chat template: the first sentence")
    expect(page.locator("#flow")).to_contain_text("<|im_start|>")
    page.wait_for_function("location.search.includes('chat=1')")
    analyse(page, Model_A="demo/pretrained")
    expect(page.locator(".toast-body")).to_contain_text("demo/pretrained has no chat template")


def test_what_is_written_but_not_analysed_is_told(page):
    expect(page.locator("#hint")).not_to_contain_text("press Analyse")
    page.get_by_label("First sentence").press_sequentially(" x")
    expect(page.locator("#hint")).to_contain_text("press Analyse")
    before = drawn(page)
    page.get_by_role("button", name="Analyse").click()
    wait_for_redraw(page, before)
    expect(page.locator("#hint")).not_to_contain_text("press Analyse")


def test_escape_ends_the_tour_and_brings_the_view_back(page):
    page.locator("#flow .af-tour-steps button").nth(1).click()
    expect(page.locator("#flow [data-view=b]")).to_have_attribute("aria-pressed", "true")
    page.locator("#flow .af-tour-steps button").nth(1).focus()
    page.keyboard.press("Escape")
    expect(page.locator("#flow [data-view=both]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#flow .af-tour-text")).to_have_text("")
    assert lit(page) == {}


def test_hostile_text_is_shown_and_not_run(page):
    text = "${window.hit=1} <img/src=x/onerror=window.hit=1> {{7*7}} </s> 😀 مرحبا"
    before = analyse(page, First_sentence=text)
    wait_for_redraw(page, before)
    page.get_by_role("tab", name="Heads").click()
    page.wait_for_selector("#map-a .af-heatmap[data-drawn]")
    assert page.evaluate("window.hit") is None
    shown = page.locator("#sentence .af-text").text_content()
    for part in ("${", "window", "<", "onerror", "{{", "😀", "مرحبا"):
        assert part in shown
    assert page.locator("#sentence img").count() == 0


class Sent:
    """An event as a direct request would make it."""

    def __init__(self, **data):
        vars(self).update(data)


def test_event_payloads_are_checked(flows):
    """A private event still answers a direct request, so what it is sent is checked like input of the API."""
    runs = [workspace.case(ref, EXAMPLE.text_a, EXAMPLE.text_b) for ref in ("demo/pretrained", "demo/finetuned")]
    shown = Shown.of(*runs)
    settings = Settings(tau=0.1, auto=False)
    assert events.select(shown, find_selection(shown, settings, Sent(head=[3, 1])))[:2] == (3, 1)
    assert maps.draw(shown, SelectedHead(3, 1))[0]["title"] == "demo/pretrained · L4 H2"
    for head in ([10**6, 0], ["x", 0], [-1, 0], [0, 99], 99, [0], None):
        with pytest.raises(SelectionError, match=r"whole number|no head|give (a head|\[layer, head\])"):
            events.select(shown, find_selection(shown, settings, Sent(head=head)))
    for layer, head in ((99, 0), (0, -1), (None, 0), ("1", 0)):
        with pytest.raises(SelectionError, match=r"whole number|no head"):
            maps.draw(shown, SelectedHead(layer, head))
    for wrong in (
        *({"tau": "x"}, {"tau": 2}, {"alpha": 0}, {"alpha": None}, {"root": 10**6}, {"root": "x"}, {"unit": "Words"}),
        *({"heads": ("9.9",)}, {"heads": ("x",)}),
    ):
        with pytest.raises(SelectionError, match=r"give|choose"):
            flow_tab.redraw(shown, replace(settings, **wrong))
    with pytest.raises(SelectionError, match="press Analyse"):
        flow_tab.redraw(None, settings)


def test_what_goes_wrong_is_told_in_a_sentence(page, monkeypatch):
    def refuse(*args, **kwargs):
        raise SelectionError("There is no such thing; choose another.")

    monkeypatch.setattr(flow_tab, "compare_flows", refuse)
    page.get_by_label("Word pieces", exact=True).check()
    # Of one drawing or of two: the choice changes an address that may draw once more.
    expect(page.get_by_text("There is no such thing; choose another.").first).to_be_visible()


def test_a_visitor_whom_the_server_has_forgotten_is_told_what_to_do(page, pages):
    from app import demo

    pages.drop()  # they are forgotten, too

    assert isinstance(demo.state_holder, Sessions)  # which forgets the one who was idle longest
    for session in list(demo.state_holder.session_data):
        demo.state_holder._forget(session)
    page.get_by_label("Word pieces", exact=True).check()
    expect(page.get_by_text("the server has forgotten it; press Analyse")).to_be_visible()
    page.get_by_role("button", name="Analyse").click()
    for _ in range(100):
        kept = [value for session in demo.state_holder.session_data.values() for value in session.state_data.values()]
        if any(isinstance(value, Shown) for value in kept):
            return
        page.wait_for_timeout(100)
    raise AssertionError("analysing again does not bring the visitor back")


def test_heads_that_are_switched_off_change_the_whole_page_and_come_back():
    runs = [workspace.case(ref, EXAMPLE.text_a, EXAMPLE.text_b) for ref in ("demo/pretrained", "demo/finetuned")]
    shown, rest = Shown.of(*runs), (SelectedHead(3, 1), Settings(tau=0.1, auto=False))
    off = [(layer, head) for layer in (0, 1) for head in range(4)]
    after, predictions, *others = events.prune(shown, {"a": [], "b": off}, *rest)
    assert after.b.pruned == frozenset(off) and not after.a.pruned
    assert predictions[0]["note"] == events.fill(None, *runs, *rest)[1][0]["note"]
    assert predictions[1]["note"] == "With 8 of 16 heads switched off."
    assert (
        predictions[1]["classes"] == answers.prediction(workspace.without(runs[1], off)) != answers.prediction(runs[1])
    )
    assert others[-6]["value"].startswith("**Switched off:** B: L1 H1, L1 H2, ") and others[-5]["visible"]
    assert others[-3:] == ["3.1", "", ",".join(f"{layer}.{head}" for layer, head in off)], "what the address tells"
    back, predictions, *others = events.prune(after, NO_HEADS, *rest)
    assert back == shown and predictions[1]["note"] == "" and not others[-5]["visible"]
    with pytest.raises(SelectionError, match="is not a head of this checkpoint"):
        events.prune(shown, {"a": [(9, 0)], "b": []}, *rest)


def test_attribution_and_saliency_follow_the_heads_that_are_switched_off():
    run = workspace.case("demo/finetuned", EXAMPLE.text_a, EXAMPLE.text_b)
    off = workspace.without(run, [(0, 1), (2, 2)])
    here, there = (one.ask(CONTRIBUTIONS, probes=4).values for one in (run, off))
    assert abs(here - there)[3].max() > 1e-3 and not there[2, 2].any()
    before, after = (
        explanations_tab.draw(Shown.of(one, one), explanations_tab.Explained("supported"), "word") for one in (run, off)
    )
    strips = [values["models"][0]["values"]["lrp"] for values in (before[3], after[3])]
    assert not np.allclose(*strips, atol=1e-3)


def test_a_panel_is_up_to_date_when_its_tab_is_shown_again(page, flows):
    page.get_by_role("tab", name="Heads").click()
    page.wait_for_selector("#map-b .af-heatmap[data-drawn]")
    analyse(page, First_sentence="Nina met Paul.")
    expect(page.locator("#sentence .af-text")).to_contain_text("Nina")
    page.get_by_role("tab", name="Flow").click()
    expect(page.locator("#flow .af-labels")).to_contain_text("Nina")
    x, y = place(page, 0, 0, 1)
    page.mouse.click(x, y)
    expect(page.locator("#flow .af-status")).to_contain_text("Held")
    page.get_by_role("tab", name="Heads").click()
    expect(page.locator("#map-b .af-title")).to_have_text("demo/finetuned · L4 H2")


def test_a_head_that_a_model_lacks_is_told_in_the_place_of_its_maps(page, hub, tmp_path):
    hub.add("lab/deeper", make_checkpoint(tmp_path / "deeper", "bert", num_hidden_layers=9))
    before = analyse(page, Model_A="lab/deeper")
    wait_for_redraw(page, before)
    page.get_by_role("tab", name="Heads").click()
    page.wait_for_selector("#map-b .af-heatmap[data-drawn]")
    page.locator("#layer input").click()
    page.get_by_role("option", name="A L2", exact=True).click()
    expect(page.locator("#map-a .af-title")).to_contain_text("L2")
    lacking = "demo/finetuned has nothing beside L2 H1: it has 4 layers of 4 heads, which stand beside L6 to L9."
    expect(page.locator("#map-b .af-title")).to_have_text(lacking)
    expect(page.locator("#map-b .af-chart")).to_be_hidden()
    page.get_by_role("tab", name="Attribution").click()
    expect(page.locator("#attribution-attention-b .af-title")).to_have_text(lacking)
    for kind, source in (("local", "previous layer"), ("input", "input")):
        expect(page.locator(f"#attribution-{kind}-a .af-chart")).to_be_visible()
        expect(page.locator(f"#attribution-{kind}-b .af-title")).to_have_text(f"B · {source}: no such head")
        expect(page.locator(f"#attribution-{kind}-b .af-chart")).to_be_hidden()
    page.locator("#layer input").click()
    page.get_by_role("option", name="A L7 · B L2", exact=True).click()
    for kind in ("attention", "local", "input"):
        expect(page.locator(f"#attribution-{kind}-b .af-title")).to_contain_text("B · L2 H1")
        expect(page.locator(f"#attribution-{kind}-b .af-chart .plot-container")).to_be_visible()


@pytest.mark.parametrize("select", ["1:99", "0:0.h77", "1:1~8:0", "x"])
def test_a_link_to_a_selection_that_is_not_there_shows_the_page(select, open_page):
    page = open_page(query=f"select={select}")
    expect(page.locator("#flow .af-legend")).to_contain_text("both")
    assert lit(page) == {}
    page.wait_for_function("!location.search.includes('select')")


def test_a_slow_answer_does_not_move_the_slider_back(page, monkeypatch):
    import time

    slow = flow_tab.compare_flows

    def delayed(*args, **kwargs):
        time.sleep(0.4)
        return slow(*args, **kwargs)

    monkeypatch.setattr(flow_tab, "compare_flows", delayed)
    box = page.locator("#tau input[type=number]")
    seen = []
    for tau in ("0.1", "0.3", "0.5", "0.6"):
        box.fill(tau)
        page.wait_for_timeout(150)
        seen.append(box.input_value())
    expect(page.locator("#status")).to_contain_text("tau = 0.6")
    assert seen == ["0.1", "0.3", "0.5", "0.6"]
    assert box.input_value() == "0.6"


def test_many_redraws_leave_nothing_behind(page):
    def nodes() -> int:
        return page.evaluate("document.querySelectorAll('*').length")

    def redraw(tau: str) -> None:
        before = drawn(page)
        page.locator("#tau input[type=number]").fill(tau)
        page.locator("#tau input[type=number]").press("Enter")
        wait_for_redraw(page, before)

    for tau in ("0.2", "0.1"):
        redraw(tau)
    start = nodes()
    for _ in range(6):
        redraw("0.2")
        redraw("0.1")
    assert nodes() <= start + 20


STATUSES = """async () => {
  const address = performance.getEntriesByType('resource').map(({ name }) => name).find((name) =>
    /\\/statustracker-[^/]*\\.js$/.test(name));
  const Statuses = Object.values(await import(address)).find((one) => one?.prototype?.resolve_args);
  const told = new Statuses();
  told.register(1, [2], [3, 4], 'full');
  for (const status of ['pending', 'complete'])
    told.update({ fn_index: 1, status, stream_state: status === 'complete' ? 'closed' : null });
  return told.current;
}"""


def test_what_an_event_reads_is_not_told_of_its_steps(page):
    """Gradio tells it, and copies all that it shows; this fails if Gradio no longer keeps such a list."""
    told = page.evaluate(STATUSES)
    assert {number: one["status"] for number, one in told.items()} == {"2": "complete"}
