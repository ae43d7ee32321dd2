"""The endpoints that programs call, through gradio_client, against the definitions and with bad input."""

from __future__ import annotations

import importlib.util
import json
import math

import httpx2
import numpy as np
import pytest
import torch
from gradio_client.exceptions import AppError
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from attnflow import (
    capture,
    encode,
    head_importance,
    head_interactions,
    hidden_token_attribution,
    load_checkpoint,
    pruning_curve,
    with_weights,
)
from attnflow import faithfulness as measure_faithfulness
from attnflow import saliency as explain
from attnflow.bundled import ASSETS
from attnflow.methods.saliency.methods import METHODS
from attnflow.records.shares import percent
from attnflow.web.endpoints import explanations as api
from attnflow.web.examples import load_examples
from tests import reference
from tests.checkpoints import CHATML, PAIR, make_checkpoint

PARAMETERS = {
    "/predict": ["model", "sentence_a", "sentence_b", "pruned", "position", "truncate", "chat"],
    "/continuation": ["model", "sentence_a", "sentence_b", "most", "pruned", "truncate", "chat"],
    "/attention_flow": [
        "model",
        "sentence_a",
        "sentence_b",
        "tau",
        "alpha",
        "pruned",
        "root",
        "heads",
        "weights",
        "truncate",
        "chat",
    ],
    "/compare_attention_flow": [
        *("model_a", "model_b", "sentence_a", "sentence_b"),
        *("tau", "alpha", "root", "heads", "weights", "truncate", "chat"),
    ],
    "/attention_map": ["model", "sentence_a", "sentence_b", "layer", "head", "pruned", "truncate", "chat"],
    "/hidden_token_attribution": [
        "model",
        "sentence_a",
        "sentence_b",
        "wrt",
        "layer",
        "head",
        "probes",
        "truncate",
        "chat",
    ],
    "/attention_vs_attribution": ["model", "sentence_a", "sentence_b", "probes", "truncate", "chat"],
    "/saliency": [
        *("model", "sentence_a", "sentence_b", "method", "target", "against", "pruned", "position", "truncate", "chat"),
    ],
    "/faithfulness": ["model", "sentence_a", "sentence_b", "target", "pruned", "unit", "position", "truncate", "chat"],
    "/compare_saliency": [
        *("model_a", "model_b", "sentence_a", "sentence_b", "method", "target", "against", "position", "truncate"),
        "chat",
    ],
    "/moments": ["model"],
    "/head_importance": ["model", "sentence_a", "sentence_b", "method", "position", "truncate", "chat"],
    "/head_statistic": ["model", "sentence_a", "sentence_b", "statistic", "over", "pruned", "truncate", "chat"],
    "/prune_heads": ["model", "sentence_a", "sentence_b", "pruned", "position", "truncate", "chat"],
    "/pruning_curve": ["model", "sentence_a", "sentence_b", "order", "steps", "position", "truncate", "chat"],
    "/head_interactions": ["model", "sentence_a", "sentence_b", "layer", "head", "position", "truncate", "chat"],
    "/survey": [
        *("model", "texts", "columns", "rows", "name", "split", "revision", "labels", "seed", "pruned", "too_long"),
        *("offset", "limit", "file"),
    ],
    "/projection": [
        *("model", "texts", "layer", "method", "of", "columns", "rows", "name", "split", "revision", "seed", "pruned"),
        *("too_long", "offset", "limit", "file"),
    ],
    "/corpus_statistics": [
        *("model", "texts", "statistics", "rows", "group_by", "columns", "name", "split", "revision", "labels", "seed"),
        *("too_long", "file"),
    ],
    "/dependency_heads": [
        *("model", "treebank", "rows", "pooling", "subtypes", "random_weights", "name", "split", "revision"),
        *("seed", "too_long", "file"),
    ],
    "/compare_dependency_heads": [
        *("model_a", "model_b", "treebank", "rows", "pooling", "subtypes", "name", "split", "revision", "seed"),
        *("too_long", "file"),
    ],
    "/coreference_heads": [
        *("model", "documents", "rows", "candidates", "pooling", "random_weights", "name", "split", "revision", "seed"),
        *("too_long", "file"),
    ],
    "/data_map": ["recording", "order", "burn_out", "offset", "limit"],
    "/probe": ["model", "treebank", "kind", "rows", "sentence", "name", "split", "revision", "seed", "file"],
    "/compare_texts": [
        *("model_a", "model_b", "texts", "order", "columns", "rows", "name", "split", "revision", "labels", "seed"),
        *("too_long", "offset", "limit", "file"),
    ],
}
EXAMPLE = load_examples()[0]
TEXTS = {"sentence_a": EXAMPLE.text_a, "sentence_b": EXAMPLE.text_b}


@pytest.fixture(scope="module")
def eager():
    """The bundled classifier as transformers itself runs it, on the example."""
    folder = ASSETS / "demo" / "finetuned"
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    inputs = AutoTokenizer.from_pretrained(folder)(*TEXTS.values(), return_tensors="pt")
    with torch.no_grad():
        return model(**inputs, output_attentions=True)


def attentions(output) -> np.ndarray:
    return torch.cat(output.attentions).numpy()


def test_the_endpoints_are_documented_and_nothing_else_is(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert {name: [p["parameter_name"] for p in info["parameters"]] for name, info in named.items()} == PARAMETERS
    for info in named.values():
        assert info["description"]
        assert all(p["type"] for p in info["parameters"])


def test_predict_equals_transformers(client, eager):
    answer = client.predict("demo/finetuned", *TEXTS.values(), api_name="/predict")
    assert [c["score"] for c in answer["prediction"]] == pytest.approx(eager.logits[0].tolist(), rel=1e-3)
    probabilities = torch.softmax(eager.logits[0], -1).tolist()
    assert [c["probability"] for c in answer["prediction"]] == pytest.approx(probabilities, rel=1e-3)
    assert [c["label"] for c in answer["prediction"]] == ["unsupported", "supported"]
    assert answer["model"]["ref"] == "demo/finetuned"
    assert len(answer["model"]["sha"]) == 40
    assert [t["sentence"] for t in answer["tokens"]][:2] == [None, 0]


def test_a_model_without_a_classifier_says_so(client):
    answer = client.predict("demo/pretrained", *TEXTS.values(), api_name="/predict")
    assert answer["prediction"] is None
    assert "No classification head" in answer["note"]


@pytest.mark.parametrize(("tau", "alpha"), [(0.1, 0.5), (0.3, 1), (0.02, 0.25)])
def test_attention_flow_equals_the_definition(tau, alpha, client, eager):
    answer = client.predict(model="demo/finetuned", **TEXTS, tau=tau, alpha=alpha, api_name="/attention_flow")
    rings, edges = reference.attention_graph(attentions(eager), tau, 0)
    assert [set(ring) for ring in answer["rings"]] == rings
    assert {(e["layer"], e["query"], e["key"]): set(e["heads"]) for e in answer["edges"]} == edges
    for edge in answer["edges"]:
        weights = attentions(eager)[edge["layer"], edge["heads"], edge["query"], edge["key"]]
        assert edge["weights"] == pytest.approx(weights.tolist(), rel=1e-3)
    expected = reference.influence(attentions(eager), tau, 0, alpha)
    np.testing.assert_allclose(answer["influence"], expected, rtol=1e-3)
    assert (answer["root"], answer["tau"], answer["alpha"], answer["unit"]) == (0, tau, alpha, "piece")
    json.dumps(answer)


def test_attention_flow_takes_a_threshold_for_each_layer(client, eager):
    arguments = {"model": "demo/finetuned", **TEXTS, "api_name": "/attention_flow"}
    chosen = client.predict(tau="by_layer", **arguments)
    taus, rings = reference.ring_tau(attentions(eager), 0)
    assert chosen["tau"] is None
    assert chosen["thresholds"] == pytest.approx(taus, rel=1e-4)
    assert [set(ring) for ring in chosen["rings"]] == rings
    again = client.predict(tau=chosen["thresholds"], **arguments)
    assert again["rings"] == chosen["rings"]
    assert client.predict(tau=0.2, **arguments)["thresholds"] == [0.2] * len(taus)
    both = client.predict(
        "demo/finetuned", "demo/finetuned", **TEXTS, tau="by_layer", api_name="/compare_attention_flow"
    )
    assert both["a"]["rings"] == chosen["rings"]


def test_the_root_and_the_heads_can_be_chosen(client, eager):
    heads = [[3, 0], [3, 2], [2, 1], [1, 3], [0, 0], [0, 1]]
    answer = client.predict(model="demo/finetuned", **TEXTS, tau=0.1, root=3, heads=heads, api_name="/attention_flow")
    rings, edges = reference.attention_graph(attentions(eager), 0.1, 3, {tuple(head) for head in heads})
    assert [set(ring) for ring in answer["rings"]] == rings
    assert {(e["layer"], e["query"], e["key"]): set(e["heads"]) for e in answer["edges"]} == edges
    both = client.predict(
        "demo/finetuned", "demo/finetuned", **TEXTS, tau=0.1, root=3, heads=heads, api_name="/compare_attention_flow"
    )
    assert both["a"]["rings"] == both["b"]["rings"] == answer["rings"]
    assert both["a"]["root"] == 3


@pytest.mark.parametrize("weights", ["norm", "previous_layer"])
def test_edges_can_be_contributions(client, weights):
    checkpoint = load_checkpoint("demo/finetuned")
    encoding = encode(checkpoint, *TEXTS.values())
    trace = capture(checkpoint, encoding)
    local = hidden_token_attribution(checkpoint, encoding, wrt="previous_layer") if weights != "norm" else None
    edges = with_weights(trace, weights, local).edges
    pair = {**TEXTS, "tau": 0.15, "weights": weights}
    answer = client.predict("demo/finetuned", **pair, api_name="/attention_flow")
    rings, expected = reference.attention_graph(edges, 0.15, 0)
    assert [set(ring) for ring in answer["rings"]] == rings
    assert {(e["layer"], e["query"], e["key"]): set(e["heads"]) for e in answer["edges"]} == expected
    for edge in answer["edges"]:
        values = edges[edge["layer"], edge["heads"], edge["query"], edge["key"]]
        assert edge["weights"] == pytest.approx(values.tolist(), rel=1e-3)
    both = client.predict("demo/pretrained", "demo/finetuned", **pair, api_name="/compare_attention_flow")
    assert both["b"] == answer and both["a"]["weights"] == answer["weights"] == weights
    with pytest.raises(AppError, match=r"argument weights is 'mean'; give"):
        client.predict("demo/finetuned", **{**pair, "weights": "mean"}, api_name="/attention_flow")


def test_pruned_heads_carry_nothing_and_change_the_scores(client):
    pruned = [[0, 1], [2, 0]]
    answer = client.predict("demo/finetuned", *TEXTS.values(), 0.0, 0.5, pruned, api_name="/attention_flow")
    assert answer["pruned"] == pruned
    assert not any([e["layer"], h] in pruned for e in answer["edges"] for h in e["heads"])
    plain, less = (
        client.predict("demo/finetuned", *TEXTS.values(), heads, api_name="/predict") for heads in ([], pruned)
    )
    assert plain["prediction"] != less["prediction"]
    assert client.predict("demo/finetuned", *TEXTS.values(), [], api_name="/predict") == plain


def test_comparison_unites_two_graphs(client):
    refs = {"model_a": "demo/pretrained", "model_b": "demo/finetuned"}
    answer = client.predict(**refs, **TEXTS, tau=0.2, api_name="/compare_attention_flow")
    a, b = (client.predict(ref, *TEXTS.values(), 0.2, api_name="/attention_flow") for ref in refs.values())
    assert (answer["a"], answer["b"]) == (a, b)
    for depth, (ring_a, ring_b) in enumerate(zip(a["rings"][::-1], b["rings"][::-1], strict=True)):
        assert answer["shared"][depth] == sorted(set(ring_a) & set(ring_b))
        assert answer["only_a"][depth] == sorted(set(ring_a) - set(ring_b))
        assert answer["only_b"][depth] == sorted(set(ring_b) - set(ring_a))
    assert answer["unit"] == "piece"


def test_different_tokenizers_are_compared_word_by_word(client, hub, folders):
    hub.add("lab/gpt2", folders["gpt2"])
    answer = client.predict("demo/finetuned", "lab/gpt2", *PAIR, 0.1, api_name="/compare_attention_flow")
    assert answer["unit"] == "word"
    assert "word by word" in answer["note"]
    assert [u["text"] for u in answer["units"]][:3] == ["[CLS]", "Anna", "gave"]
    assert answer["units"][0]["token_b"] is None
    assert len(answer["shared"]) == max(len(answer["a"]["rings"]), len(answer["b"]["rings"]))


def test_the_attention_map_equals_transformers(client, eager):
    answer = client.predict("demo/finetuned", *TEXTS.values(), 1, 2, api_name="/attention_map")
    np.testing.assert_allclose(answer["attention"], attentions(eager)[1, 2], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(np.sum(answer["attention"], axis=1), 1, rtol=1e-2)


def test_a_checkpoint_of_the_hub_gives_the_numbers_of_transformers(client, hub, folders):
    sha = hub.add("lab/served", folders["roberta"])
    model = AutoModelForSequenceClassification.from_pretrained(folders["roberta"], attn_implementation="eager").eval()
    inputs = AutoTokenizer.from_pretrained(folders["roberta"])(*PAIR, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs, output_attentions=True)
    answer = client.predict("lab/served", *PAIR, 0.1, api_name="/attention_flow")
    rings, edges = reference.attention_graph(attentions(expected), 0.1, 0)
    assert [set(ring) for ring in answer["rings"]] == rings
    assert {(e["layer"], e["query"], e["key"]): set(e["heads"]) for e in answer["edges"]} == edges
    assert answer["model"]["sha"] == sha
    assert client.predict(f"lab/served@{sha}", *PAIR, api_name="/predict")["model"]["sha"] == sha


@pytest.mark.parametrize(
    ("endpoint", "change", "reason"),
    [
        ("predict", {"model": ""}, "not the name of a checkpoint"),
        ("predict", {"model": None}, "argument model is null; give a text"),
        ("predict", {"model": "/etc"}, "not the name of a checkpoint"),
        ("predict", {"model": "../demo/finetuned"}, "not the name of a checkpoint"),
        ("predict", {"model": str(ASSETS / "demo" / "finetuned")}, "not the name of a checkpoint"),
        ("predict", {"model": "lab/unknown-model"}, "no public checkpoint"),
        ("predict", {"model": "lab/x@-y"}, "not a revision"),
        ("predict", {"sentence_a": " "}, "first sentence is empty"),
        ("predict", {"sentence_a": 5}, "argument sentence_a is 5; give a text"),
        ("predict", {"sentence_b": "word " * 200}, "the limit is 128"),
        ("predict", {"pruned": [[0, 99]]}, "not a head of this checkpoint"),
        ("predict", {"pruned": [[0]]}, "list of"),
        ("predict", {"pruned": "all"}, "list of"),
        ("predict", {"pruned": [["a", 0]]}, "whole number"),
        ("attention_flow", {"tau": 1}, "from 0 to below 1"),
        ("attention_flow", {"tau": -0.1}, "from 0 to below 1"),
        ("attention_flow", {"tau": "high"}, "argument tau is 'high'; give a number"),
        ("attention_flow", {"alpha": 0}, "alpha is"),
        ("attention_flow", {"alpha": None}, "argument alpha is null; give a number"),
        ("attention_flow", {"root": 99}, "root is 99"),
        ("attention_flow", {"root": "x"}, "root is 'x'"),
        ("attention_flow", {"heads": [[0, 77]]}, "not a head of this checkpoint"),
        ("attention_flow", {"heads": [0]}, "heads is"),
        ("attention_map", {"layer": 99}, "layer is 99"),
        ("attention_map", {"head": -1}, "head is -1"),
        ("attention_map", {"head": 1.5}, "whole number"),
        ("attention_map", {"layer": "x"}, "whole number"),
        ("attention_map", {"layer": 10**400}, "whole number"),
        ("predict", {"sentence_a": "a" * 3000}, "3,000 characters"),
    ],
)
def test_bad_input_gets_one_clear_sentence(endpoint, change, reason, client):
    call = {"model": "demo/finetuned", **TEXTS, **change}
    with pytest.raises(AppError, match=reason) as caught:
        client.predict(**call, api_name=f"/{endpoint}")
    assert str(ASSETS.parent) not in str(caught.value).replace(str(change.get("model")), "")


def test_a_graph_that_ends_early_says_so(client):
    answer = client.predict("demo/finetuned", *TEXTS.values(), 0.99, api_name="/attention_flow")
    assert "ends at L" in answer["note"]
    assert answer["rings"][0] == []


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        ("/predict", {}),
        ("/attention_flow", {}),
        ("/attention_map", {"layer": 0, "head": 0}),
        ("/hidden_token_attribution", {"layer": 0, "head": 0}),
        ("/attention_vs_attribution", {}),
        ("/head_importance", {"method": "gate"}),
        ("/prune_heads", {"pruned": [[0, 1]]}),
        ("/pruning_curve", {"steps": 2}),
        ("/head_interactions", {}),
        ("/saliency", {"method": "input_gradient"}),
        ("/faithfulness", {}),
    ],
)
def test_every_answer_says_how_two_sentences_were_joined(client, hub, folders, endpoint, arguments):
    hub.add("lab/joined", folders["gpt2"])
    two = client.predict("lab/joined", *PAIR, **arguments, api_name=endpoint)
    one = client.predict("lab/joined", PAIR[0], **arguments, api_name=endpoint)
    assert "the sentences are joined by its" in two["note"] and "joined" not in one["note"]


def test_markup_is_text(client):
    text = "<b>bold</b> ${1+1} {{x}} </s> 😀 مرحبا"
    answer = client.predict("demo/finetuned", text, "", api_name="/predict")
    assert "".join(t["text"].removeprefix("·") for t in answer["tokens"][1:-1]) == text.replace(" ", "")


def test_events_of_the_page_cannot_be_called_by_name(client):
    for name in ("/analysed", "/head_selected", "/suggested"):
        with pytest.raises(ValueError, match="Cannot find a function"):
            client.predict(api_name=name)


@pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="the extra gradio[mcp] is not installed")
def test_mcp_offers_the_same_tools(url):
    tools = httpx2.get(f"{url}gradio_api/mcp/schema").json()
    assert {tool["name"] for tool in tools} == {name.strip("/") for name in PARAMETERS}
    for tool in tools:
        assert all(field["description"] for field in tool["inputSchema"]["properties"].values())


def test_saliency_equals_the_library(client):
    checkpoint = load_checkpoint("demo/finetuned")
    encoding = encode(checkpoint, *TEXTS.values())
    for method in ("lrp", "influence"):
        answer = client.predict(
            "demo/finetuned", *TEXTS.values(), method=method, target="supported", against="unsupported",
            pruned=[[0, 1]], api_name="/saliency",
        )  # fmt: skip
        expected = explain(
            checkpoint, encoding, target="supported", against="unsupported", method=method, pruned=[(0, 1)]
        )
        assert answer["values"] == pytest.approx(expected.values.tolist(), rel=1e-3, abs=1e-6)
        assert (answer["target"], answer["against"], answer["pruned"]) == ("supported", "unsupported", [[0, 1]])
        assert [t["text"] for t in answer["tokens"]] == list(encoding.tokens.text)
    assert answer["total"] is answer["residual"] is None and "promise no sum" in answer["note"]
    assert answer["standard_error"] is None and answer["relative_error"] == 0


def test_saliency_that_is_estimated_tells_its_error(client):
    method = "hidden_token_attribution"
    answer = client.predict("demo/finetuned", *TEXTS.values(), method=method, api_name="/saliency")
    checkpoint = load_checkpoint("demo/finetuned")
    expected = explain(checkpoint, encode(checkpoint, *TEXTS.values()), method=method)
    assert answer["standard_error"] == pytest.approx(expected.standard_error.tolist(), rel=1e-3)
    assert answer["relative_error"] == pytest.approx(expected.relative_error, rel=1e-3) and expected.relative_error > 0
    assert f"off by {percent(expected.relative_error)} on average" in answer["note"]


def test_every_method_is_named_where_one_is_asked_for(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    for endpoint in ("/saliency", "/compare_saliency"):
        (method,) = [p for p in endpoints[endpoint]["parameters"] if p["parameter_name"] == "method"]
        assert method["parameter_default"] in METHODS
    for name in METHODS:
        assert name in api.saliency.__doc__, f"the endpoint does not tell of {name}"


def test_faithfulness_names_what_stands_up(client):
    checkpoint = load_checkpoint("demo/finetuned")
    encoding = encode(checkpoint, *TEXTS.values())
    found = {m: explain(checkpoint, encoding, method=m) for m in METHODS}
    pieces = client.predict("demo/finetuned", *TEXTS.values(), unit="piece", api_name="/faithfulness")
    merit = measure_faithfulness(checkpoint, encoding, found, unit="piece").merit
    assert [m["merit"] for m in pieces["methods"]] == pytest.approx(merit.tolist(), rel=1e-2, abs=1e-4)
    assert pieces["ranked"] == "piece"
    answer = client.predict("demo/finetuned", *TEXTS.values(), api_name="/faithfulness")
    expected = measure_faithfulness(checkpoint, encoding, found)
    assert answer["ranked"] == "word"
    assert [m["method"] for m in answer["methods"]] == list(METHODS)
    assert [m["merit"] for m in answer["methods"]] == pytest.approx(expected.merit.tolist(), rel=1e-2, abs=1e-4)
    assert answer["random_merit"] == pytest.approx(expected.random_merit.tolist(), rel=1e-2, abs=1e-4)
    assert answer["target"] == expected.target and answer["verdict"]
    assert len(answer["agreement"]) == len(METHODS)


def test_two_models_are_compared_on_the_same_class(client):
    answer = client.predict(
        "demo/finetuned", "demo/finetuned", *TEXTS.values(), method="input_gradient", api_name="/compare_saliency"
    )
    assert answer["a"]["target"] == answer["b"]["target"]
    assert all(u["share_a"] == u["share_b"] for u in answer["units"])
    assert sum(abs(u["share_a"]) for u in answer["units"]) == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "message"),
    [
        ("saliency", {"method": "shap"}, "There is no method 'shap'"),
        ("saliency", {"method": ["lrp"]}, "argument method is ['lrp']; give a text"),
        ("saliency", {"target": "maybe"}, "There is no target 'maybe'"),
        ("saliency", {"against": "supported", "target": "supported"}, "give two different ones"),
        ("saliency", {"sentence_a": "[SEP]", "sentence_b": ""}, "special tokens only"),
        ("faithfulness", {"model": "demo/pretrained"}, "predicts masked words; write [MASK]"),
        ("faithfulness", {"target": {"a": 1}}, "argument target is {'a': 1}; give no object"),
        ("compare_saliency", {"target": "maybe"}, "There is no target 'maybe'"),
    ],
)
def test_what_cannot_be_explained_is_said(client, endpoint, arguments, message):
    models = {"model_a": "demo/finetuned", "model_b": "demo/finetuned"} if "compare" in endpoint else {}
    models = models or {"model": "demo/finetuned"}
    with pytest.raises(AppError) as error:
        client.predict(api_name=f"/{endpoint}", **{**models, **TEXTS, **arguments})
    assert message in str(error.value)


@pytest.fixture(scope="module")
def classifier():
    checkpoint = load_checkpoint("demo/finetuned")
    return checkpoint, encode(checkpoint, *TEXTS.values())


@pytest.mark.parametrize("method", ["taylor", "gate", "ablation"])
def test_head_importance_equals_the_library(client, classifier, method):
    answer = client.predict("demo/finetuned", *TEXTS.values(), method, api_name="/head_importance")
    expected = head_importance(*classifier, method=method)
    np.testing.assert_allclose(answer["importance"], expected, rtol=1e-3, atol=1e-6)
    assert (answer["method"], answer["quantity"], answer["target"]) == (method, "loss", "unsupported")


def test_head_importance_without_a_task_says_what_it_is(client):
    answer = client.predict("demo/pretrained", *TEXTS.values(), api_name="/head_importance")
    assert (answer["method"], answer["quantity"], answer["target"]) == ("ablation", "root-shift", None)
    assert "there is no loss" in answer["note"]


def test_prune_heads_tells_before_and_after(client, eager):
    answer = client.predict("demo/finetuned", *TEXTS.values(), [[0, 1], [3, 2]], api_name="/prune_heads")
    without = client.predict("demo/finetuned", *TEXTS.values(), [[0, 1], [3, 2]], api_name="/predict")
    assert [c["score"] for c in answer["before"]] == pytest.approx(eager.logits[0].tolist(), rel=1e-3)
    assert answer["after"] == without["prediction"]
    for change, before, after in zip(answer["change"], answer["before"], answer["after"], strict=True):
        assert change["probability"] == pytest.approx(after["probability"] - before["probability"], abs=2e-4)
    flows = [
        client.predict("demo/finetuned", *TEXTS.values(), pruned=pruned, api_name="/attention_flow")["influence"][0]
        for pruned in ([], [[0, 1], [3, 2]])
    ]
    changed = {i: (a, b) for i, (a, b) in enumerate(zip(*flows, strict=True)) if a != b}
    assert {row["token"]: (row["before"], row["after"]) for row in answer["influence"]} == changed and changed
    assert answer["root_shift"] > 0


def test_a_pruning_curve_and_interactions_equal_the_library(client, classifier):
    answer = client.predict("demo/finetuned", *TEXTS.values(), "gate", 5, api_name="/pruning_curve")
    curve = pruning_curve(*classifier, order="gate", steps=5)
    assert answer["removed"] == curve.removed.tolist() == [0, 3, 6, 10, 13, 16]
    assert answer["score"] == pytest.approx(curve.score[0].tolist(), rel=1e-3)
    assert [tuple(head) for head in answer["heads"]] == list(curve.heads[0])
    assert answer["random"]["runs"] == 8 and answer["random"]["mean"][0] == answer["score"][0]
    answer = client.predict("demo/finetuned", *TEXTS.values(), 2, 3, api_name="/head_interactions")
    expected = head_interactions(*classifier, (2, 3))
    np.testing.assert_allclose(answer["interaction"], expected.interaction, rtol=2e-3, atol=2e-6)
    np.testing.assert_allclose(answer["pair"], expected.pair, rtol=2e-3, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("/head_importance", ["guess"], "no importance method 'guess'"),
        ("/head_importance", [["taylor"]], r"argument method is \['taylor'\]; give a text"),
        ("/prune_heads", [[[9, 0]]], "not a head of this checkpoint"),
        ("/prune_heads", ["all"], "give a list of"),
        ("/pruning_curve", ["best", 4], "no order 'best'"),
        ("/pruning_curve", [[[0, 0]], 4], r"argument order is \[\[0, 0\]\]; give a text"),
        ("/pruning_curve", ["gate", 0], "steps is 0"),
        ("/pruning_curve", ["gate", 1.5], "argument steps is 1.5; give a whole number"),
        ("/head_interactions", [4, 0], "not a head of this checkpoint"),
        ("/head_interactions", ["x", 0], "layer is 'x'"),
    ],
)
def test_bad_input_about_heads_is_one_sentence(client, name, arguments, reason):
    with pytest.raises(AppError, match=reason):
        client.predict("demo/finetuned", *TEXTS.values(), *arguments, api_name=name)


def test_all_heads_can_be_off(client):
    everything = [[layer, head] for layer in range(4) for head in range(4)]
    answer = client.predict("demo/finetuned", *TEXTS.values(), everything, api_name="/prune_heads")
    assert sum(c["probability"] for c in answer["after"]) == pytest.approx(1, abs=1e-3)
    assert all(row["after"] == 0 for row in answer["influence"])


def test_one_number_for_each_head_of_a_text_or_over_the_bundled_pairs(client):
    call = {"model": "demo/finetuned", "sentence_a": PAIR[0], "sentence_b": PAIR[1], "api_name": "/head_statistic"}
    one, many = (client.predict(**call, over=over) for over in ("text", "bundled"))
    assert (one["n"], many["n"], one["statistic"]) == (1, 64, "entropy")
    highest = math.log(len(PAIR[0].split() + PAIR[1].split()) + 10)
    for answer in (one, many):
        assert len(answer["values"]) == len(answer["values"][0]) == 4
        assert all(0 <= value < highest for layer in answer["values"] for value in layer)
    assert one["values"] != many["values"]
    with pytest.raises(AppError, match="There is no statistic 'colour'; choose entropy"):
        client.predict(**call, statistic="colour")


def test_a_pair_is_read_as_a_conversation_on_request(client, hub, tmp_path):
    folder = make_checkpoint(tmp_path / "chats", "llama", task="causal-lm", chat_template=CHATML)
    hub.add("lab/chats", folder)
    checkpoint, pair = load_checkpoint(folder), {"sentence_a": "Anna met him.", "sentence_b": "Really?"}
    plain = client.predict("lab/chats", **pair, api_name="/predict")
    for endpoint in ("/predict", "/attention_flow", "/saliency"):
        answer = client.predict(model="lab/chats", **pair, chat=True, api_name=endpoint)
        expected = encode(checkpoint, *pair.values(), chat=True).tokens.piece
        assert [token["piece"] for token in answer["tokens"]] == list(expected)
        assert "the second as the assistant's answer, which is left open." in answer["note"]
    alone = client.predict("lab/chats", "Anna met him.", chat=True, api_name="/predict")
    assert "chat template: the first sentence as the user's message." in alone["note"]
    assert client.predict("lab/chats", **pair, api_name="/predict") == plain  # and not what is kept of the conversation
    assert "chat" not in plain["note"]
    with pytest.raises(AppError, match=r"demo/finetuned has no chat template that could be applied; do without, or"):
        client.predict("demo/finetuned", **pair, chat=True, api_name="/predict")


def test_a_text_that_is_too_long_is_cut_on_request(client, hub, folders):
    hub.add("lab/cut", folders["gpt2"])
    long = {"sentence_a": "Anna gave the book to a friend. " * 30, "sentence_b": "He read it."}
    refused = r"the limit is 128\. Shorten it by about \d+ tokens, or ask for it to be cut \(truncate=True\)\."
    with pytest.raises(AppError, match=refused):
        client.predict("lab/cut", **long, api_name="/predict")
    for endpoint in ("/predict", "/attention_flow", "/saliency"):
        answer = client.predict(model="lab/cut", **long, truncate=True, api_name=endpoint)
        checkpoint = load_checkpoint(folders["gpt2"])
        encoding = encode(checkpoint, *long.values(), truncate=True, max_tokens=128)
        assert [token["piece"] for token in answer["tokens"]] == list(encoding.tokens.piece)
        assert f"The text was cut: {encoding.cut} of its {128 + encoding.cut} tokens" in answer["note"]
    with pytest.raises(AppError, match="argument truncate is 'yes'; give true or false"):
        client.predict("lab/cut", **long, truncate="yes", api_name="/predict")
    with pytest.raises(AppError, match="the limit is 128"):  # and the next call cuts nothing unless asked
        client.predict("lab/cut", **long, truncate=False, api_name="/predict")
