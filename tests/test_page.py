"""What a person does with the page: mouse, keyboard, touch sizes, and input that is wrong or hostile."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from attnflow import capture, encode, load_checkpoint, reach, service
from attnflow.figures.radial import radial
from attnflow.flow import compare_flows, first_tau, flow
from attnflow.ui.examples import load_examples
from tests.checkpoints import PAIR
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
    return compare_flows(*traces, first_tau(*traces))


@pytest.fixture
def page(open_page) -> Page:
    return open_page()


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
    found = page.evaluate(
        "[...document.querySelectorAll('#flow [data-lit]')].map((n) => [n.dataset.at, n.dataset.lit])"
    )
    return {tuple(map(int, at.split())): name for at, name in found}


def expected_lit(flows, depth: int, token: int, head: int | None = None) -> dict[tuple[int, int], str]:
    """What Python's traversal lights, each model by itself."""
    result: dict[tuple[int, int], str] = {}
    for name, one in (("a", flows.a), ("b", flows.b)):
        rings = reach(one.graph, one.graph.n_layers - depth, token, head=head).rings[::-1]
        for d, t in np.argwhere(rings):
            result[(int(d), int(t))] = result.get((int(d), int(t)), "") + name
    return result


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
        expect(cards.nth(1)).to_contain_text(f"{100 * probability:.1f}".rstrip("0").rstrip(".") + " %")
    expect(page.locator("#status")).to_contain_text(f"tau = {flows.a.graph.tau:g}")
    expect(page.locator("#status")).to_contain_text("no ring holds more than 24 tokens")


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


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out_of_the_window(width, dark, open_page):
    page = open_page(width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
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


# ---- tracing


def test_the_browser_traces_like_python(page):
    for seed, (layers, heads, size, tau) in enumerate(
        [(3, 4, 6, 0.15), (5, 9, 8, 0.1), (1, 1, 3, 0.3), (4, 17, 5, 0.4)]
    ):
        one = flow(random_trace(seed, layers, heads, size), tau)
        model = radial(one, ("m",))["models"][0]
        for ring in range(layers + 1):
            for token in range(size):
                for head in (None, 0, heads - 1):
                    expected = reach(one.graph, ring, token, head=head)
                    found = page.evaluate(
                        """([model, size, at]) => {
                          const { rings, edges } = new Attnflow.Graph(model, size).reach(...at);
                          return [rings.map((ring) => [...ring]), [...edges]];
                        }""",
                        [model, size, [layers - ring, token, head]],
                    )
                    assert found[0][::-1] == expected.rings.astype(int).tolist()
                    assert found[1] == expected.edges.astype(int).tolist()


def test_hovering_a_token_lights_all_it_depends_on_and_all_that_depends_on_it(page, flows):
    for depth in (1, 2):
        token = some_token(flows, depth)
        hover(page, depth, token)
        expect(page.locator("#flow .af-chart")).to_have_class(re.compile("af-lit"))
        assert lit(page) == expected_lit(flows, depth, token)
        expect(page.locator("#flow .af-status")).to_contain_text(flows.pairing.text[token].removeprefix("·"))
    edges = page.evaluate(
        "[...document.querySelectorAll('#flow .af-edges')].map((path) => path.getAttribute('d').split('M').length - 1)"
    )
    united = set()
    for one in (flows.a, flows.b):
        hit = reach(one.graph, one.graph.n_layers - 2, token).edges
        united |= {tuple(edge) for edge in np.stack([one.graph.layer, one.graph.query, one.graph.key], 1)[hit].tolist()}
    assert sum(edges) == len(united)
    page.mouse.move(5, 5)
    expect(page.locator("#flow .af-chart")).not_to_have_class(re.compile("af-lit"))
    assert lit(page) == {}


def test_hovering_a_head_traces_through_that_head_in_its_layer(page, flows):
    token = some_token(flows, 1)
    different = 0
    for head in range(flows.a.graph.n_heads):
        hover(page, 1, token, head)
        expect(page.locator("#flow .af-status")).to_contain_text(f"H{head + 1} ")
        assert lit(page) == expected_lit(flows, 1, token, head)
        different += lit(page) != expected_lit(flows, 1, token)
    assert different  # a single head reaches less than all of them


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
    page.locator("#flow .af-chart").focus()
    page.keyboard.press("ArrowUp")
    first = page.locator("#flow .af-status").text_content()
    assert f"L{flows.a.graph.n_layers}" in first
    page.keyboard.press("ArrowRight")
    assert page.locator("#flow .af-status").text_content() != first
    page.keyboard.press("Enter")
    expect(page.locator("#flow .af-status")).to_contain_text("Held")
    held = lit(page)
    page.keyboard.press("Tab")
    assert lit(page) == held


def test_one_model_can_be_shown_alone(page, flows):
    page.get_by_role("button", name="B", exact=True).click()
    shown = page.evaluate("[...document.querySelectorAll('#flow .af-labels > *')].map((n) => n.getAttribute('class'))")
    assert all("af-b" in name for name in shown)
    token = int(np.flatnonzero(flows.b.graph.rings[-2])[-1])
    hover(page, 1, token)
    rings = reach(flows.b.graph, flows.b.graph.n_layers - 1, token).rings[::-1]
    assert set(lit(page)) == {(int(d), int(t)) for d, t in np.argwhere(rings)}


def test_a_head_clicked_in_the_rings_is_shown_as_a_map(page, flows):
    token = some_token(flows, 1)
    page.mouse.click(*hover(page, 1, token, 1))
    expect(page.locator("#flow .af-status")).to_contain_text("Held")
    layer = flows.b.graph.n_layers - 2
    page.get_by_role("tab", name="Attention map").click()
    expect(page.locator("#map-b .af-title")).to_have_text(f"demo/finetuned · L{layer + 1} H2")
    page.wait_for_selector("#map-b .af-heatmap[data-drawn]")
    values = page.evaluate("document.querySelector('#map-b .af-chart').data[0].z")
    np.testing.assert_allclose(values, flows.b.trace.attention[layer, 1], atol=1e-3)


# ---- controls


def test_a_new_threshold_runs_no_model(page, flows, monkeypatch):
    monkeypatch.setattr(service, "capture", lambda *_, **__: pytest.fail("a model ran"))
    monkeypatch.setattr(service, "load_checkpoint", lambda *_, **__: pytest.fail("a model was loaded"))
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


def test_a_threshold_that_leaves_nothing_says_where_the_graph_ends(page):
    before = drawn(page)
    page.locator("#tau input[type=number]").fill("0.95")
    page.locator("#tau input[type=number]").press("Enter")
    wait_for_redraw(page, before)
    expect(page.locator("#flow .af-warning")).to_contain_text(re.compile(r"Model [AB] ends at L\d"))


def test_words_can_be_shown_instead_of_pieces(page, flows):
    before = drawn(page)
    page.get_by_label("Words", exact=True).check()
    wait_for_redraw(page, before)
    expect(page.locator("#status")).to_contain_text("Compared word by word")


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
    title = page.locator("#sentence .af-unit").nth(1).get_attribute("title")
    assert f"A {flows.a.influence[0, 1]:.2f}".rstrip("0").rstrip(".") in title


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
        box = page.get_by_label(label.replace("_", " "), exact=True)
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
        expect(card).to_contain_text(f"{100 * float(f'{probability:.4g}'):.1f}".rstrip("0").rstrip(".") + " %")
    expect(card).to_contain_text(checkpoint.sha[:7])
    expect(page.locator("#status")).to_contain_text("Compared word by word")


def test_models_of_different_depth_are_aligned_at_the_root(page, hub, tmp_path):
    from tests.checkpoints import make_checkpoint

    hub.add("lab/deep", make_checkpoint(tmp_path / "deep", "bert", num_hidden_layers=9))
    before = analyse(page, Model_A="lab/deep")
    wait_for_redraw(page, before)
    depth = load_checkpoint("demo/finetuned").n_layers
    expect(page.locator("#sentence output")).to_have_text(f"A L9 · B L{depth}")
    page.get_by_role("tab", name="Attention map").click()
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
    ],
)
def test_wrong_input_is_told_and_nothing_is_lost(fields, reason, page, flows):
    before = analyse(page, **fields)
    expect(page.locator(".toast-body")).to_contain_text(reason)
    assert drawn(page) == before
    token = some_token(flows, 1)
    hover(page, 1, token)
    assert lit(page) == expected_lit(flows, 1, token)


def test_hostile_text_is_shown_and_not_run(page):
    text = "${window.hit=1} <img/src=x/onerror=window.hit=1> {{7*7}} </s> 😀 مرحبا"
    before = analyse(page, First_sentence=text)
    wait_for_redraw(page, before)
    page.get_by_role("tab", name="Attention map").click()
    page.wait_for_selector("#map-a .af-heatmap[data-drawn]")
    assert page.evaluate("window.hit") is None
    shown = page.locator("#sentence .af-text").text_content()
    for part in ("${", "window", "<", "onerror", "{{", "😀", "مرحبا"):
        assert part in shown
    assert page.locator("#sentence img").count() == 0


def test_event_payloads_are_checked(url):
    """A private event still answers a direct request, so what it is sent is checked like input of the API."""
    import httpx2

    config = httpx2.get(f"{url}config").json()
    (event,) = [d for d in config["dependencies"] if any(t[1] == "head_select" for t in d["targets"])]
    for payload in ({"depth": 10**6, "head": 0}, {"depth": "x", "head": 0}, {}):
        answer = httpx2.post(
            f"{url}gradio_api/run/predict",
            json={"fn_index": event["id"], "data": [None], "event_data": payload, "session_hash": "tests"},
        )
        assert answer.status_code < 500 or "error" in json.dumps(answer.json())


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
