"""The tab and the endpoints of attribution: they show what the library computes, and say what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect

from attnflow import (
    Agreement,
    RelativePositions,
    SelectionError,
    capture,
    encode,
    hidden_token_attribution,
    load_checkpoint,
    progress,
)
from attnflow.service.analyses import attribution
from attnflow.service.analyses.attribution import CONTRIBUTIONS
from attnflow.service.wanted import Wanted
from attnflow.service.workspace import workspace
from attnflow.views import attribution as charts
from attnflow.web.examples import load_examples
from attnflow.web.shared import Shown
from attnflow.web.tabs import attribution as tab
from attnflow.web.working import watch

EXAMPLE = load_examples()[0]
TEXTS = (EXAMPLE.text_a, EXAMPLE.text_b)
REFS = ("demo/pretrained", "demo/finetuned")


@pytest.fixture(scope="module")
def tuned():
    """The bundled classifier, its trace and contributions."""
    checkpoint = load_checkpoint(REFS[1])
    encoding = encode(checkpoint, *TEXTS)
    local = hidden_token_attribution(checkpoint, encoding, wrt="previous_layer")
    return capture(checkpoint, encoding), local, hidden_token_attribution(checkpoint, encoding, probes=16)


@pytest.mark.parametrize(("wrt", "probes"), [("previous_layer", None), ("input", 16)])
def test_the_endpoint_gives_what_the_library_gives(client, tuned, wrt, probes):
    _, local, estimate = tuned
    expected = local if wrt == "previous_layer" else estimate
    answer = client.predict(REFS[1], *TEXTS, wrt, 2, 1, probes, api_name="/hidden_token_attribution")
    np.testing.assert_allclose(answer["contribution"], expected.values[2, 1], rtol=1e-3, atol=1e-6)
    assert (answer["estimated"], answer["probes"], answer["wrt"]) == (probes is not None, probes, wrt)
    assert answer["relative_error"] == pytest.approx(expected.relative_error, rel=1e-3)
    if probes is None:
        assert answer["standard_error"] is answer["lower"] is answer["upper"] is None
        assert answer["note"] == "Exact."
    else:
        np.testing.assert_allclose(answer["standard_error"], estimate.standard_error[2, 1], rtol=1e-2, atol=1e-6)
        for name, bound in zip(("lower", "upper"), estimate.bounds(), strict=True):
            np.testing.assert_allclose(answer[name], bound[2, 1], rtol=1e-2, atol=1e-6)
        assert "estimated from 16 random probes" in answer["note"]


def test_the_endpoint_of_agreement_gives_what_the_library_gives(client, tuned):
    trace, local, estimate = tuned
    answer = client.predict(REFS[1], *TEXTS, api_name="/attention_vs_attribution")
    for name, found in (("previous_layer", local), ("input", estimate)):
        expected = Agreement().update(trace.attention, found.values).result()
        np.testing.assert_allclose(answer[name]["pearson"], expected.pearson, atol=1e-3)
        np.testing.assert_allclose(answer[name]["spearman"], expected.spearman, atol=1e-3)
    centre = RelativePositions().update(trace.attention).result().centre
    np.testing.assert_allclose(answer["centre_of_mass"]["attention"], centre, rtol=1e-3)
    assert (answer["estimated"], answer["probes"]) == (True, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wrt": "output"}, "give 'input' or 'previous_layer'"),
        ({"layer": 9}, "layer is 9"),
        ({"head": "x"}, "head is 'x'; give a whole number"),
        ({"probes": 1}, "probes is 1; give a whole number from 2 to 128"),
        ({"probes": 2.5}, "argument probes is 2.5; give a whole number or null"),
    ],
)
def test_bad_input_of_the_endpoint_is_named(client, arguments, message):
    with pytest.raises(AppError, match=message):
        client.predict(REFS[1], *TEXTS, **arguments, api_name="/hidden_token_attribution")


def test_too_much_work_is_refused_before_it_starts_and_estimated_as_well_as_can_be(monkeypatch):
    run = workspace.case(REFS[1], "Anna met Paul before the cook left.", "Paul met Anna.")
    monkeypatch.setattr(workspace, "most_operations", workspace.operations(CONTRIBUTIONS, run, probes=5))
    for probes in (None, 6):
        with pytest.raises(SelectionError, match=r"contributions takes about .* give probes=5 or fewer"):
            run.ask(CONTRIBUTIONS, probes=probes)
    assert tab._probes(run) == 5
    with pytest.raises(SelectionError, match="more work in A than one request may be here; choose Estimate, or"):
        list(tab.compute(Shown.of(run, run), "exact"))
    assert [step.probes for step in workspace.steps(CONTRIBUTIONS, run, probes=5)] == [2, 4, 5]
    assert [step.probes for step in workspace.steps(CONTRIBUTIONS, run, probes=5)] == [5], "from memory, at once"


def test_estimates_sharpen_and_exact_values_follow():
    shown = Shown.of(*(workspace.case(ref, *TEXTS, [(0, 0)]) for ref in REFS))
    told = []
    with progress.reporting(lambda what, share: told.append((what, share))):
        steps = list(tab.compute(shown, "estimate"))
    assert [reached.probes for _, reached in steps] == [(2, 2), (4, 4), (8, 8), (16, 16)]
    assert "estimated from 2 random probes" in steps[0][0]
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1) and len(set(shares)) >= 8
    with progress.reporting(lambda what, share: told.append((what, share))):
        ((done, exact),) = tab.compute(shown, "exact")
    assert done.startswith("Exact (") and exact.probes == (None, None)
    assert told[-1] == ("B: 100 % of the contributions", pytest.approx(1))


def test_something_newer_ends_what_is_under_way_without_a_word(monkeypatch):
    """No sentence, and above all not that the model cannot be followed."""
    shown = Shown.of(*(workspace.case(ref, "Paul left the house of Anna.", "", [(0, 1)]) for ref in REFS))
    wanted, begun = Wanted(), []
    computed = attribution.hidden_token_attribution

    def once_begun(*args, **kwargs):
        if kwargs["wrt"] == "input":
            begun.append(wanted.begin())  # what another request does first, while the exact values are computed
        return computed(*args, **kwargs)

    monkeypatch.setattr(attribution, "hidden_token_attribution", once_begun)
    assert not list(watch(lambda: tab.compute(shown, "exact"), wanted.begin()))
    assert len(begun) == 1


def model(side, n_layers=3, n_heads=2, **changes):
    rng = np.random.default_rng(n_layers)
    values = {
        "local": rng.uniform(0.5, 1, (n_layers, n_heads)),
        "wrt_input": rng.uniform(-0.35, 1, (n_layers, n_heads)),
        "centres": {"attention": rng.normal(size=n_layers), "from the input": rng.normal(size=n_layers)},
    }
    return charts.Model(side, f"model {side}", **{**values, **changes})


def test_the_strip_holds_every_head_and_the_median_of_each_layer():
    a, b = model("a", selected=(1, 0)), model("b", n_layers=4)
    b.wrt_input[2] = np.nan
    figure = charts.strip([a, b], "Pearson", local=False)
    heads_a, median_a, heads_b, median_b = figure["data"]
    np.testing.assert_allclose(heads_a["y"], a.wrt_input.ravel(), atol=1e-4)
    assert heads_a["customdata"][2] == {"side": "a", "head": (1, 0)}
    assert heads_a["text"][2] == "L2 H1"
    assert heads_a["marker"]["line"]["width"] == [0, 0, 2, 0, 0, 0]
    assert np.round(heads_a["x"]).tolist() == [1, 1, 2, 2, 3, 3]
    np.testing.assert_allclose(median_a["y"], np.median(a.wrt_input, axis=1), atol=1e-4)
    assert heads_b["y"][4:6] == [None, None]
    assert median_b["y"][2] is None
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < np.nanmin([*a.wrt_input.ravel(), *b.wrt_input.ravel()])
    assert high > 1
    assert "Pascual" in figure["note"]
    assert charts.strip([a, b], "Pearson", local=True)["note"] is None


def test_the_overview_and_the_centres_hold_their_numbers():
    a = model("a", selected=(2, 1))
    figure = charts.overview(a, "Spearman")
    np.testing.assert_allclose(figure["data"][0]["z"], a.wrt_input, atol=1e-4)
    assert figure["data"][0]["customdata"][2][1] == {"side": "a", "head": (2, 1)}
    assert figure["layout"]["shapes"][0]["x0"] == 0.5
    centres = charts.centres([a, model("b")])
    assert [trace["name"] for trace in centres["data"]] == [
        "A attention",
        "A from the input",
        "B attention",
        "B from the input",
    ]
    np.testing.assert_allclose(centres["data"][1]["y"], a.centres["from the input"], atol=1e-4)


@pytest.fixture
def page(open_page) -> Page:
    opened = open_page()
    opened.get_by_role("tab", name="Attribution").click()
    expect(opened.locator("#attribution-note")).to_contain_text("16 random probes", timeout=60_000)
    return opened


def test_the_tab_shows_three_maps_of_the_selected_head_and_follows_a_click(page, tuned):
    trace, local, estimate = tuned
    shown = "(id) => document.querySelector(`#${id} .af-chart`).data?.[0]"
    page.wait_for_function(f"({shown})('attribution-input-b')")
    for layer, head in ((0, 0), (3, 2)):
        if layer:
            clicked = "#attribution-agreement-input .points path"
            page.locator("#attribution-agreement-input .af-chart").scroll_into_view_if_needed()
            box = page.locator(clicked).nth(4 * 4 + 4 + layer * 4 + head).bounding_box()  # after A's heads and medians
            page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            expect(page.locator("#layer input")).to_have_value(f"L{layer + 1}")
            expect(page.locator("#head input")).to_have_value(f"H{head + 1}")
            expect(page.locator("#attribution-input-b .af-title")).to_have_text(
                f"B · L{layer + 1} H{head + 1} · input (estimate)"
            )
        values = {"attention": trace.attention, "local": local.values, "input": estimate.values}
        scales = set()
        for kind, expected in values.items():
            found = page.evaluate(shown, f"attribution-{kind}-b")
            np.testing.assert_allclose(found["z"], expected[layer, head], atol=1e-4)
            scales.add(found["zmax"])
        assert len(scales) == 1


def test_exact_values_replace_the_estimate(page):
    page.locator("#attribution-method").get_by_text("Exact", exact=True).click()
    expect(page.locator("#attribution-note")).to_contain_text("Exact (", timeout=120_000)
    expect(page.locator("#attribution-input-a .af-title")).to_have_text("A · L1 H1 · input")
