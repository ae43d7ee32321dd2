"""The choice of edges on the page: what it draws and says, and what it does where a model has none of the kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from attnflow import with_weights
from attnflow.service.analyses.attribution import CONTRIBUTIONS
from attnflow.service.workspace import workspace
from attnflow.stats.flow import compare_flows
from attnflow.views.edge_kinds import QUANTITY, TITLES, edges_told
from attnflow.web import export
from attnflow.web.settings import Settings
from attnflow.web.tabs import flow
from tests.checkpoints import make_checkpoint

TEXTS = ("Anna hid a key.", "Paul hid a key.")


@pytest.fixture(scope="module")
def cases():
    return [workspace.case(f"demo/{name}", *TEXTS) for name in ("pretrained", "finetuned")]


@pytest.mark.parametrize("weights", TITLES)
def test_the_flow_is_that_of_the_chosen_edges(cases, weights):
    traces = [
        with_weights(case.trace, weights, case.ask(CONTRIBUTIONS, wrt=weights) if weights == "previous_layer" else None)
        for case in cases
    ]
    settings = Settings(weights=weights)
    expected, found = compare_flows(*traces, unit="word"), flow.flows_at(*cases, settings)
    for one, other in ((expected.a, found.a), (expected.b, found.b)):
        np.testing.assert_array_equal(one.graph.rings, other.graph.rings)
        np.testing.assert_array_equal(one.graph.weights, other.graph.weights)
        np.testing.assert_array_equal(one.influence, other.influence)
    note = flow.draw(*cases, settings)[3]
    assert edges_told(weights) in note and "not in the graph" in note
    columns = {"attention": "attention", "norm": "share_by_norm", "previous_layer": "contribution"}
    header, first, *_ = export.graph_csv(*cases, found).splitlines()
    assert header.endswith(f",{columns[weights]}")
    assert 0 < float(first.split(",")[-1]) <= 1
    about = [table["about"] for table in flow.draw(*cases, settings)[1] if table["title"] == "Heads"]
    assert about[0].startswith(f"strongest {QUANTITY[weights]} to ")


def test_hidden_tokens_take_a_share_of_what_edges_are(cases):
    note = flow.draw(*cases, Settings(weights="norm", hide_special=True))[3]
    assert "of the share by norm of the tokens shown" in note


def test_a_model_without_such_edges_is_shown_by_attention_with_the_reason(hub, tmp_path, cases):
    hub.add("lab/no-contributions", make_checkpoint(tmp_path, "xlnet"))
    other = workspace.case("lab/no-contributions", *TEXTS)
    settings = Settings(weights="previous_layer")
    note = flow.draw(cases[0], other, settings)[3]
    assert edges_told("attention") in note
    assert "layers of lab/no-contributions cannot be told from its other parts" in note
    by_attention = replace(settings, weights="attention")
    found, expected = (flow.flows_at(cases[0], other, each) for each in (settings, by_attention))
    np.testing.assert_array_equal(found.b.graph.rings, expected.b.graph.rings)
    assert edges_told("norm") in flow.draw(cases[0], other, Settings(weights="norm"))[3]


@pytest.mark.parametrize("weights", ["norm", "previous_layer"])
def test_edges_are_chosen_in_the_settings_and_kept_in_the_address(open_page, weights):
    page: Page = open_page()
    rings, status = page.locator("#flow .af-radial"), page.locator("#status")
    expect(status).to_contain_text("Edges are attention")
    before = int(rings.get_attribute("data-drawn"))
    page.get_by_role("button", name="More settings").click()
    page.locator("#weights").get_by_label(TITLES[weights], exact=True).check()
    page.wait_for_function(
        "before => Number(document.querySelector('#flow .af-radial').dataset.drawn) > before", arg=before
    )
    said = {"norm": "Edges are shares by norm", "previous_layer": "Edges are contributions to the layer"}[weights]
    expect(status).to_contain_text(said)
    page.wait_for_function(f"location.search.includes('edges={weights}')")
    again: Page = open_page(query=page.url.partition("?")[2])
    expect(again.locator("#status")).to_contain_text(said)
