"""Drawings hold exactly the numbers they are drawn from, as strict JSON."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest

from attnflow import pair_traces
from attnflow.stats.flow import compare_flows, flow
from attnflow.views.heads import MatrixSide, head_matrix, thumbnails
from attnflow.views.heatmap import attention_heatmap
from attnflow.views.pruning import curve_chart
from attnflow.views.radial import radial
from attnflow.views.sentence import sentence
from attnflow.views.tour import tour
from tests import reference
from tests.random_traces import random_trace


def numbers(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype)


def unpacked(model: dict) -> dict[tuple[int, int, int], dict[int, float]]:
    """The edges of a packed model as (layer, query, key) -> head -> weight."""
    edges = model["edges"]
    layer = np.repeat(np.arange(model["layers"]), edges["count"])
    masks = numbers(edges["heads"], "u1").reshape(len(layer), -(-model["heads"] // 8))
    heads = np.unpackbits(masks, axis=1, bitorder="little")[:, : model["heads"]].astype(bool)
    weights = iter(numbers(edges["weight"], "u1") / 255)
    size = f"<u{edges['bytes']}"
    queries, keys = numbers(edges["query"], size), numbers(edges["key"], size)
    return {
        (int(at), int(query), int(key)): {int(h): float(next(weights)) for h in np.flatnonzero(row)}
        for at, query, key, row in zip(layer, queries, keys, heads, strict=True)
    }


@pytest.mark.parametrize(("n_heads", "tau"), [(1, 0.2), (7, 0.1), (8, 0.1), (12, 0.05), (17, 0.3), (3, 0.99)])
def test_the_radial_view_holds_the_graph(n_heads, tau):
    trace = random_trace(1, 3, n_heads, 9)
    one = flow(trace, tau)
    figure = json.loads(json.dumps(radial(one, ("m",)), allow_nan=False))
    edges = unpacked(figure["models"][0])
    graph = one.graph
    expected = {
        (int(a), int(q), int(k)): {int(h): float(weights[h]) for h in np.flatnonzero(heads)}
        for a, q, k, heads, weights in zip(graph.layer, graph.query, graph.key, graph.heads, graph.weights, strict=True)
    }
    assert edges.keys() == expected.keys()
    for place, weights in expected.items():
        assert edges[place] == pytest.approx(weights, abs=0.5 / 255 + 1e-6)
    assert figure["models"][0]["rings"] == [np.flatnonzero(ring).tolist() for ring in graph.rings]
    assert (figure["text"], figure["models"][0]["root"]) == (list(trace.tokens.text), [0])


def test_more_than_256_tokens_need_two_bytes_each():
    assert radial(flow(random_trace(1, 1, 1, 256), 0.1), ("m",))["models"][0]["edges"]["bytes"] == 1
    trace = random_trace(1, 2, 9, 300, concentration=0.05)
    one = flow(trace, 0.01)
    model = radial(one, ("m",))["models"][0]
    assert model["edges"]["bytes"] == 2
    assert {key for _, _, key in unpacked(model)} == set(one.graph.key.tolist())


def test_two_models_speak_of_the_same_units(traces):
    flows = compare_flows(traces["bert"], traces["gpt2"], 0.1)
    figure = radial(flows, ("a", "b"))
    pairing = pair_traces(traces["bert"], traces["gpt2"])
    for model, side, place in zip(figure["models"], (flows.a, flows.b), (pairing.in_a, pairing.in_b), strict=True):
        for ring, tokens in zip(model["rings"], side.graph.rings, strict=True):
            assert ring == [u for u, token in enumerate(place) if token >= 0 and tokens[token]]
        assert place[model["root"]].tolist() == [side.graph.root]
        for layer, query, key in unpacked(model):
            hit = (side.graph.layer == layer) & (side.graph.query == place[query]) & (side.graph.key == place[key])
            assert hit.sum() == 1
    assert figure["unit"] == "word"
    assert figure["models"][1]["root"] == [len(figure["text"]) - 2]  # GPT-2 reads its last token, "."; then comes [SEP]


def test_the_sentence_view_holds_influence(traces):
    flows = compare_flows(traces["bert"], traces["gpt2"], 0.1)
    figure = json.loads(json.dumps(sentence(flows, ("a", "b")), allow_nan=False))
    for model, side, place in zip(
        figure["models"], (flows.a, flows.b), (flows.pairing.in_a, flows.pairing.in_b), strict=True
    ):
        for layer, values in enumerate(model["influence"]):
            for unit, value in enumerate(values):
                if place[unit] < 0:
                    assert value is None
                else:
                    assert value == pytest.approx(side.influence[layer, place[unit]], rel=1e-3)


def test_the_heat_map_holds_attention():
    trace = random_trace(2, 1, 2, 6)
    figure = attention_heatmap(trace.attention[0, 1], trace.tokens, title="</s> L1 H2", highest=0.9)
    (drawn,) = figure["data"]
    np.testing.assert_allclose(drawn["z"], trace.attention[0, 1], atol=6e-5)
    assert (drawn["zmin"], drawn["zmax"]) == (0, 0.9)
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"  # the first token is the top row
    assert "query" in figure["layout"]["yaxis"]["title"]["text"]
    assert "key" in figure["layout"]["xaxis"]["title"]["text"]
    assert figure["names"] == list(trace.tokens.text)
    json.dumps(figure, allow_nan=False)


def test_the_tour_tells_what_the_last_layer_attends_to():
    flows = compare_flows(random_trace(5, 3, 4, 9), random_trace(6, 3, 4, 9), 0.1)
    first, second, third = tour(flows)
    for step, one in ((first, flows.a), (second, flows.b)):
        attended = np.flatnonzero((one.trace.attention[-1, :, 0] > 0.1).any(axis=0))
        assert f"{len(attended)} token" in step["text"]
        assert step["selection"] == {"ends": [{"depth": 0, "tokens": [0]}], "head": None, "model": None}
    head = third["selection"]["head"]
    shown = re.search(r"Head H(\d+) of L3.*gives “(.+?)” (\d+) %", third["text"])
    assert int(shown.group(1)) == head + 1
    row = flows.b.trace.attention[-1, :, 0]
    named = [i for i, text in enumerate(flows.pairing.text) if text.removeprefix("·") == shown.group(2)]
    assert any(round(100 * row[head, i]) == int(shown.group(3)) and row[:, i].argmax() == head for i in named)


def test_a_tour_of_a_graph_without_edges_has_no_third_step(traces):
    steps = tour(compare_flows(traces["bert"], traces["electra"], 0.999999))
    assert [step["view"] for step in steps] == ["a", "b"]
    assert "nothing" in steps[1]["text"]


def test_the_matrix_of_heads_says_what_it_was_given_and_packs_its_pictures():
    attention = np.random.default_rng(0).dirichlet(np.ones(30), (2, 3, 30))
    values = np.array([[0.0, 0.5, 1.0], [0.25, 0.1, 0.2]])
    side = MatrixSide("a", "name", {(1, 0), (0, 2)}, (1, 1), "note", values, 3 * values, attention)
    figure = json.loads(json.dumps(head_matrix([side], title="title", note="how", measured="loss"), allow_nan=False))
    (found,) = figure["sides"]
    assert (found["layers"], found["heads"], found["pruned"], found["selected"]) == (2, 3, [[0, 2], [1, 0]], [1, 1])
    assert found["values"] == values.tolist() and found["raw"] == (3 * values).round(6).tolist()
    size = found["size"]
    image = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8).reshape(2 * size, 3 * size)
    small = thumbnails(attention)
    assert small.shape == (2, 3, 20, 20)
    np.testing.assert_array_equal(image[size:, size : 2 * size], small[1, 1])


def test_a_thumbnail_shows_the_strongest_cell_under_each_pixel():
    attention = np.full((1, 1, 50, 50), 0.02)
    attention[0, 0, 49, 0] = 1
    attention[0, 0, 10, 26] = 0.51
    small = thumbnails(attention)[0, 0]
    assert small[19, 0] == 255
    starts = np.arange(20) * 50 // 20
    row, column = (np.searchsorted(starts, at, side="right") - 1 for at in (10, 26))
    assert small[row, column] == 128 and np.count_nonzero(small) == 2


@pytest.mark.parametrize("causal", [False, True])
def test_pictures_of_heads_are_on_one_scale_with_uniform_attention_as_zero(causal):
    rng, size = np.random.default_rng(0), 7
    attention = rng.dirichlet(np.full(size, 0.3), (3, 4, size))
    if causal:
        attention = np.tril(attention + 1e-9)
        attention /= attention.sum(-1, keepdims=True)
    attention[1, 2] = np.tril(np.ones((size, size))) if causal else 1
    attention[1, 2] /= attention[1, 2].sum(-1, keepdims=True)
    found = thumbnails(attention)
    np.testing.assert_array_equal(found, reference.thumbnails(attention))
    assert not found[1, 2].any()
    for other in (attention[:1], attention[1:]):  # whatever heads stand beside it
        assert {picture.tobytes() for picture in thumbnails(other).reshape(-1, size, size)} <= {
            picture.tobytes() for picture in found.reshape(-1, size, size)
        }


def test_the_chart_of_a_curve_holds_its_points_and_the_random_mean():
    random = np.array([[1.0, 0.5, 0.0], [1.0, 0.7, 0.2]])
    figure = curve_chart(
        np.array([0, 0.5, 1]), np.array([1, 0.9, 0.1]), random,
        title="<b>t</b>", order="Greedy", measure="probability", side="b", n_heads=16,
    )  # fmt: skip
    band, mean, chosen = figure["data"]
    assert chosen["x"] == [0, 50, 100] and chosen["y"] == [1, 0.9, 0.1]
    assert mean["y"] == pytest.approx([1, 0.6, 0.1])
    assert min(band["y"]) >= 0 and max(band["y"]) <= 1, "the band does not leave what was measured"
