"""Charts, sentences and table of a corpus: their numbers are those of the statistics."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from attnflow import corpus_statistics, open_texts
from attnflow.records.shares import percent
from attnflow.views import corpus_charts as charts
from attnflow.views import corpus_findings as findings
from attnflow.views import payloads
from attnflow.views.corpus_model import FAR, corpus_model
from attnflow.views.corpus_table import head_rows
from tests.payload_types import mismatch

QUICK = ["surface", "entropy", "head_distances", "positions", "patterns"]
SLOW = ["attention_gradient", "contribution_positions", "agreement"]
REFS = {"a": "demo/pretrained", "b": "demo/finetuned"}


@pytest.fixture(scope="module")
def quick():
    texts = open_texts("demo/pairs", rows=16)
    return {side: corpus_statistics(ref, texts, QUICK, group_by="label") for side, ref in REFS.items()}


@pytest.fixture(scope="module")
def slow():
    return {"b": corpus_statistics(REFS["b"], open_texts("demo/pairs", rows=4), SLOW)}


@pytest.fixture(scope="module")
def models(quick, slow):
    lack = ["A cannot have attention_gradient, because it has no loss.", "A cannot have agreement, because of a test."]
    return [corpus_model("a", quick["a"], None, lack), corpus_model("b", quick["b"], slow["b"])]


def points(figure, name):
    return next(trace for trace in figure["data"] if trace["name"] == name)


def every_chart(models, marked=charts.NOBODY):
    return [
        charts.attention_by_kind(models, "separator", marked),
        charts.entropy(models, marked),
        *(charts.positions(model, layer, marked) for model in models for layer in range(5)),
        *(charts.head_map(model, marked) for model in models),
        charts.centres(models),
        charts.gradients(models),
        charts.correlations(models, "previous layer"),
        charts.correlations(models, "input"),
        charts.missing("A chart", "Because."),
    ]


def test_every_chart_is_what_the_page_takes_and_tells_numbers(models):
    for figure in every_chart(models):
        plain = json.loads(json.dumps(figure, allow_nan=False))
        assert mismatch(plain, payloads.ChartFigure) is None
        assert figure["title"] and figure["note"]
        assert figure["data"] or figure["height"] < 20


def test_points_are_the_statistics_and_name_their_heads(quick, models):
    surface = quick["b"]["surface"]
    for kind in surface.kinds:
        trace = points(charts.attention_by_kind(models, kind), "heads of B")
        assert np.allclose(np.reshape(trace["y"], (4, 4)), surface.of(kind), atol=1e-4)
        mean = points(charts.attention_by_kind(models, kind), "mean of B")
        assert np.allclose(mean["y"], surface.of(kind).mean(1), atol=1e-4)
    figure = charts.entropy(models, {"a": (1, 2), "b": None})
    assert np.allclose(np.reshape(points(figure, "heads of A")["y"], (4, 4)), quick["a"]["entropy"].whole, atol=1e-4)
    assert np.allclose(points(figure, "root of A")["y"], quick["a"]["entropy"].root.mean(1), atol=1e-4)
    own = points(figure, "heads of A")
    assert own["text"][6] == "L2 H3" and own["customdata"][6] == {"side": "a", "head": (1, 2)}
    assert [width > 0 for width in own["marker"]["line"]["width"]].index(True) == 6
    assert not any(points(figure, "heads of B")["marker"]["line"]["width"])


def test_a_kind_that_a_model_does_not_have_is_told_and_not_drawn(models):
    table = {name: values for name, values in models[0].table.items() if "separator" not in name}
    without = replace(models[0], table=table)
    figure = charts.attention_by_kind([without, models[1]], "separator")
    assert {trace["name"] for trace in figure["data"]} == {"heads of B", "mean of B"}
    assert figure["note"].startswith("A: its texts have no such token. B: L")
    assert charts.attention_by_kind([without, without], "separator")["data"] == []


def test_positions_and_centres_are_the_statistics(quick, models):
    positions = quick["a"]["positions"]
    figure = charts.positions(models[0], 1, {"a": (1, 2), "b": None})
    assert [trace["name"] for trace in figure["data"]] == ["L2 H1", "L2 H2", "L2 H3", "L2 H4"]
    size = (positions.occurrences >= positions.occurrences.max() / 10).sum()
    near = (abs(positions.offset) <= FAR) & (abs(positions.offset) <= size // 2)
    assert near.sum() < 2 * FAR + 1 and "fewer than a tenth of the tokens" in figure["note"]
    for head, trace in enumerate(figure["data"]):
        assert trace["x"] == positions.offset[near].tolist()
        assert np.allclose(trace["y"], positions.mean[1, head, near], atol=1e-4)
    assert [trace["line"]["width"] for trace in figure["data"]] == [1.5, 1.5, 4, 1.5]
    figure = charts.centres(models)
    assert np.allclose(points(figure, "A attention")["y"], positions.centre, atol=1e-4)
    group = quick["b"].of("supported")["positions"].centre
    assert np.allclose(points(figure, "B supported")["y"], group, atol=1e-4)
    assert {"B previous layer", "B input"} < {trace["name"] for trace in figure["data"]}
    many = replace(models[0], centre_by_group=dict.fromkeys("abcdefgh", positions.centre))
    assert "The first 6 groups are drawn, 2 are not." in charts.centres([many, models[1]])["note"]


def test_the_map_has_every_head_once_with_its_name(quick, models):
    figure = charts.head_map(models[1], {"a": None, "b": (3, 3)})
    found = {
        head: name
        for trace in figure["data"]
        for name, head in zip(trace["text"], map(head_of, trace["customdata"]), strict=True)
    }
    assert set(found) == {(layer, head) for layer in range(4) for head in range(4)}
    for (layer, head), text in found.items():
        own = str(quick["b"].table["name"][layer, head])
        assert text == f"L{layer + 1} H{head + 1}" + (f": {own}" if own else "")
    distance = quick["b"]["head_distances"].distance
    layers = np.repeat(np.arange(4), 4)
    same = (layers[:, None] == layers) & ~np.eye(16, dtype=bool)
    assert f"{distance[same].mean():.2f} nats apart" in figure["note"]
    assert f"different layers, {distance[layers[:, None] != layers].mean():.2f}." in figure["note"]
    marked = [width for trace in figure["data"] for width in trace["marker"]["line"]["width"]]
    assert marked.count(2.5) == 1


def head_of(selected):
    return selected["head"]


def test_what_is_slow_is_drawn_of_the_model_that_has_it(slow, models):
    gradient = slow["b"]["attention_gradient"]
    figure = charts.gradients(models)
    for place, kind in enumerate(gradient.kinds):
        trace = points(figure, f"B {findings.KIND_TITLES[kind]}")
        assert np.allclose(trace["y"], gradient.layer[:, place])
    assert figure["note"].startswith("A cannot have attention_gradient")
    for source, name in (("previous layer", "previous_layer"), ("input", "input")):
        figure = charts.correlations(models, source)
        (box,) = figure["data"]
        expected = getattr(slow["b"]["agreement"], name).pearson
        assert np.allclose(np.reshape(box["y"], (4, 4)), expected, atol=1e-4)
        assert f"median {np.median(expected):.2f}" in figure["note"]
        assert "A cannot have agreement" in figure["note"] and "Pascual" in figure["note"]


def test_sentences_have_the_numbers_of_the_run(quick, models):
    previous = quick["b"]["surface"].of("previous")
    told = findings.attention_to(models[1], "previous")
    above = int((previous > 0.5).sum())
    assert re.search(rf"; {above or 'no'} heads? (is|are) above 50 %", told)
    layer = int(previous.mean(1).argmax())
    assert told.startswith(
        f"B: L{layer + 1} pays most to the token before, {percent(previous.mean(1)[layer])} on average"
    )
    entropy = quick["a"]["entropy"]
    means = entropy.whole.mean(1)
    told = findings.entropy(models[0])
    assert f"broadest is L{means.argmax() + 1} with {means.max():.2f} nats" in told
    assert (
        f"an even spread would have {entropy.most:.2f}" in told
        and f"last layer has {entropy.root[-1].mean():.2f}" in told
    )
    centre = quick["a"]["positions"].centre
    told = findings.centre(models[0])
    assert f"from {centre[0]:+.1f} tokens in L1 to {centre[-1]:+.1f} in L4" in told
    assert [f"L{layer + 1}" in told.split(" look")[0] for layer in range(4)] == (centre < 0).tolist()
    told = findings.head_told(models[1], (2, 1))
    assert told.startswith("L3 H2 of B: ") and f"entropy {quick['b']['entropy'].whole[2, 1]:.2f} of" in told


def test_the_table_has_a_row_for_each_head_and_a_column_for_each_statistic(quick, models):
    rows = head_rows(models)
    assert rows.headers[:3] == ("model", "head", "name") and len(rows.rows) == 32
    assert rows.types[:3] == ["str"] * 3 and rows.types[rows.headers.index("entropy")] == "number"
    assert rows.types[rows.headers.index("pattern")] == "str"
    place = rows.headers.index("entropy")
    for number, (layer, head) in enumerate(np.ndindex(4, 4)):
        row = rows.rows[16 + number]
        assert row[:2] == ("B", f"L{layer + 1} H{head + 1}")
        assert row[place] == pytest.approx(quick["b"]["entropy"].whole[layer, head], rel=1e-3)
    only_b = rows.headers.index("pearson: input")
    assert {row[only_b] for row in rows.rows[:16]} == {None} and rows.rows[16][only_b] is not None
    json.dumps(rows.rows, allow_nan=False)
