"""Edges of the attention graph that are taken from contributions instead of attention."""

from __future__ import annotations

import copy
import dataclasses
import threading
import weakref

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from attnflow import (
    SelectionError,
    UnsupportedArchitectureError,
    attention_graph,
    capture,
    encode,
    hidden_token_attribution,
    influence,
    load_checkpoint,
    merge_words,
    ring_tau,
    with_weights,
)
from attnflow.runtime import attention_hook
from attnflow.runtime.value_norms import written_lengths
from attnflow.service.analyses.attribution import CONTRIBUTIONS
from attnflow.service.case import Case, ModelCard
from attnflow.service.workspace import workspace
from attnflow.stats.edges import norm_rows
from attnflow.stats.flow import compare_flows, flow
from attnflow.stats.ring_sizes import ring_limits, ring_sizes
from tests import reference
from tests.checkpoints import N_HEADS, N_LAYERS, PAIR, make_checkpoint

PRUNED = [(0, 1), (2, 3)]


@pytest.fixture(scope="module")
def local(checkpoints):
    """What BERT's heads owe to the input of their layer, on the same pair as its trace."""
    checkpoint = checkpoints["bert"]
    return hidden_token_attribution(checkpoint, encode(checkpoint, *PAIR), wrt="previous_layer")


def test_norm_changes_the_graph_and_nothing_else_of_the_trace(traces):
    trace = traces["bert"]
    weighted = with_weights(trace, "norm")
    assert weighted.weights == "norm" and trace.weights == "attention"
    np.testing.assert_array_equal(weighted.attention, trace.attention)
    np.testing.assert_array_equal(trace.edges, trace.attention)
    assert not np.allclose(weighted.edges, trace.edges, atol=0.05)
    for tau in (0.05, 0.2, ring_tau(trace, weights="norm")):
        by_name, by_trace = attention_graph(trace, tau, weights="norm"), attention_graph(weighted, tau)
        for field in ("rings", "layer", "query", "key", "heads", "weights"):
            np.testing.assert_array_equal(getattr(by_name, field), getattr(by_trace, field))
    rings, edges = reference.attention_graph(weighted.edges, 0.2, trace.root)
    graph = attention_graph(trace, 0.2, weights="norm")
    assert [set(np.flatnonzero(ring)) for ring in graph.rings] == rings
    assert len(graph.layer) == len(edges)
    np.testing.assert_allclose(influence(graph), reference.influence(weighted.edges, 0.2, trace.root, 0.5), rtol=1e-6)
    back = attention_graph(weighted, 0.2, weights="attention")
    np.testing.assert_array_equal(back.weights, attention_graph(trace, 0.2).weights)


def test_thresholds_and_ring_sizes_are_those_of_the_rows(traces):
    trace = with_weights(traces["bert"], "norm")
    expected, rings = reference.ring_tau(trace.edges, trace.root)
    np.testing.assert_allclose(ring_tau(trace), expected, rtol=1e-6)
    assert [set(np.flatnonzero(ring)) for ring in attention_graph(trace, ring_tau(trace)).rings] == rings
    sizes = ring_sizes(ring_limits(trace), [0.1, 0.3])
    for tau, found in zip((0.1, 0.3), sizes, strict=True):
        np.testing.assert_array_equal(attention_graph(trace, tau).rings.sum(1), found)


def test_contributions_to_the_layer_are_a_graph_of_their_own(traces, local):
    trace = with_weights(traces["bert"], "previous_layer", local)
    np.testing.assert_array_equal(trace.edges, local.values)
    assert local.root == trace.root
    for one, other in (
        (attention_graph(local, 0.1), attention_graph(trace, 0.1)),
        (attention_graph(local, 0.1, root=3, weights="previous_layer"), attention_graph(trace, 0.1, root=3)),
    ):
        np.testing.assert_array_equal(one.rings, other.rings)
        np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(ring_tau(local), ring_tau(trace))
    rings, _ = reference.attention_graph(local.values, 0.1, trace.root)
    assert [set(np.flatnonzero(ring)) for ring in attention_graph(local, 0.1).rings] == rings


@pytest.mark.parametrize("weights", ["norm", "previous_layer"])
def test_words_merge_as_those_of_attention(traces, local, weights):
    trace = with_weights(traces["bert"], weights, local if weights == "previous_layer" else None)
    words = merge_words(trace)
    assert len(words.tokens) < len(trace.tokens) and words.weights == weights
    expected = reference.merge_words(trace.edges, trace.tokens.word.tolist())
    np.testing.assert_allclose(words.edges, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(words.edges.sum(-1), 1, rtol=1e-5)
    with pytest.raises(UnsupportedArchitectureError, match="a word that is several pieces"):
        attention_graph(merge_words(traces["bert"]), weights="norm")


@pytest.mark.parametrize("other", ["bert", "gpt2"])
def test_flows_are_compared_on_the_same_kind_of_edge(traces, other):
    a, b = (with_weights(traces[name], "norm") for name in ("bert", other))
    flows = compare_flows(a, b)
    for one in (flows.a, flows.b):
        rings, _ = reference.attention_graph(one.trace.edges, one.graph.tau.tolist(), one.trace.root)
        assert [set(np.flatnonzero(ring)) for ring in one.graph.rings] == rings
        np.testing.assert_allclose(one.trace.edges.sum(-1), 1, rtol=1e-5)
    with pytest.raises(SelectionError, match="edges of A are 'norm', those of B 'attention'"):
        compare_flows(a, traces[other])
    hidden = flow(a, hide_special=True)
    assert hidden.hidden_share != flow(traces["bert"], hidden.graph.tau, hide_special=True).hidden_share


def test_rows_of_pruned_heads_are_defined_by_norm_and_carry_no_edge(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    trace = capture(checkpoint, encoding, pruned=PRUNED)
    for layer, head in PRUNED:
        assert (trace.value_norms[layer, head] > 0).all()
    whole = capture(checkpoint, encoding)
    np.testing.assert_array_equal(trace.value_norms[0], whole.value_norms[0])
    assert not np.allclose(trace.value_norms[1], whole.value_norms[1])
    graph = attention_graph(trace, 0, weights="norm")
    local = hidden_token_attribution(checkpoint, encoding, wrt="previous_layer", pruned=PRUNED)
    for one in (graph, attention_graph(local, 0), attention_graph(with_weights(trace, "previous_layer", local), 0)):
        assert one.heads.any()
        for layer, head in PRUNED:
            assert not one.heads[one.layer == layer, head].any()
    unpruned = hidden_token_attribution(checkpoint, encoding, wrt="previous_layer")
    for run, contributions in ((whole, local), (trace, unpruned)):
        with pytest.raises(SelectionError, match="of another run"):
            with_weights(run, "previous_layer", contributions)


def test_a_head_that_writes_nothing_has_a_row_of_zeros():
    attention = np.full((1, 2, 3, 3), 1 / 3, np.float32)
    norms = np.array([[[1, 2, 1], [0, 0, 0]]], np.float32)
    np.testing.assert_allclose(norm_rows(attention, norms)[0, :, 0], [[0.25, 0.5, 0.25], [0, 0, 0]])


def test_norms_hold_where_a_head_writes_in_few_directions(tmp_path):
    """The square of a matrix loses half of the digits: a head that writes next to nothing must not be rounded away."""
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, "bert"))
    weight = checkpoint.model.bert.encoder.layer[0].attention.output.dense.weight
    with torch.no_grad():
        weight[:, :8] = torch.outer(weight[:, 0], weight[0, :8]) * 1e-4
    checkpoint = dataclasses.replace(checkpoint, model=copy.deepcopy(checkpoint.model))
    encoding = encode(checkpoint, *PAIR)
    with torch.inference_mode(), attention_hook.record(keep_values=True) as recording:
        checkpoint.model.base_model(**{name: torch.from_numpy(v)[None] for name, v in encoding.inputs.items()})
    expected = (recording.values[0][0, 0].double() @ weight[:, :8].double().T).norm(dim=-1)
    np.testing.assert_allclose(capture(checkpoint, encoding).value_norms[0, 0], expected, rtol=1e-4)


def hooks(model):
    """How many each module has; transformers sets some of its own when it first gives hidden states."""
    return [(len(module._forward_hooks), len(module._forward_pre_hooks)) for module in model.modules()]


def test_the_model_is_left_as_it_was_by_threads_and_after_an_error(checkpoints, monkeypatch):
    checkpoint = dataclasses.replace(checkpoints["llama"])
    before = {name: weight.clone() for name, weight in checkpoint.model.state_dict().items()}
    encoding = encode(checkpoint, *PAIR)
    expected = capture(checkpoint, encoding)
    found = []
    threads = [threading.Thread(target=lambda: found.append(capture(checkpoint, encoding))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for one in found:
        np.testing.assert_array_equal(one.value_norms, expected.value_norms)

    hooked = hooks(checkpoint.model)

    def fail(*_):
        raise ValueError("no norms")

    monkeypatch.setattr("attnflow.runtime.recorded.value_norms", fail)
    with pytest.raises(ValueError, match="no norms"):
        capture(checkpoint, encoding)
    monkeypatch.undo()
    assert attention_hook.active() is None
    np.testing.assert_array_equal(capture(checkpoint, encoding).value_norms, expected.value_norms)
    assert all(torch.equal(weight, before[name]) for name, weight in checkpoint.model.state_dict().items())
    assert hooks(checkpoint.model) == hooked


def test_an_architecture_that_does_not_tell_is_refused_with_the_reason(tmp_path, monkeypatch):
    """Something stands between the heads' outputs and the map, or between the values and the outputs."""
    checkpoint = load_checkpoint(make_checkpoint(tmp_path, "bert"))
    encoding = encode(checkpoint, *PAIR)
    handle = checkpoint.model.bert.encoder.layer[1].attention.output.dense.register_forward_pre_hook(
        lambda _, args: (2 * args[0],)
    )
    trace = capture(checkpoint, encoding)
    handle.remove()
    assert trace.value_norms is None and trace.attention.shape[:2] == (N_LAYERS, N_HEADS)
    with pytest.raises(
        UnsupportedArchitectureError, match=r"cannot be told: no linear map takes .* Use weights='attent"
    ):
        attention_graph(trace, weights="norm")
    two = capture(checkpoint, [encoding, encode(checkpoint, "Anna met Paul.")])
    assert all(one.no_value_norms == trace.no_value_norms for one in two)

    other = load_checkpoint(make_checkpoint(tmp_path / "other", "bert", seed=1))
    eager = attention_hook.eager_function

    def doubled(module_class):
        def attend(*args, **options):
            output, probabilities = eager(module_class)(*args, **options)
            return 2 * output, probabilities

        return attend

    monkeypatch.setattr(attention_hook, "eager_function", doubled)
    assert "not their attention times values" in written_lengths(other).missing


def test_what_cannot_be_asked_is_said(traces, checkpoints, local):
    trace = traces["bert"]
    with pytest.raises(SelectionError, match=r"weights is 'gradient'; give 'attention', 'norm' or 'previous_layer'\."):
        attention_graph(trace, weights="gradient")
    with pytest.raises(SelectionError, match=r"hidden_token_attribution\(.*wrt='previous_layer'\)"):
        attention_graph(trace, weights="previous_layer")
    with pytest.raises(SelectionError, match="contributions come with weights 'norm'"):
        with_weights(trace, "norm", local)
    with pytest.raises(SelectionError, match="but contributions are given"):
        attention_graph(local, weights="norm")
    with pytest.raises(SelectionError, match="These contributions are of another run"):
        with_weights(traces["roberta"], "previous_layer", local)
    whole = hidden_token_attribution(checkpoints["bert"], encode(checkpoints["bert"], "Anna."), probes=2)
    for asked in (lambda: attention_graph(whole), lambda: with_weights(trace, "previous_layer", whole)):
        with pytest.raises(SelectionError, match="are the model's input"):
            asked()
    with pytest.raises(SelectionError, match="do not say what the task reads; give the position of a root"):
        attention_graph(dataclasses.replace(local, root=None))
    assert attention_graph(dataclasses.replace(local, root=None), root=0).root == 0


def test_the_work_that_is_told_before_is_what_torch_counts():
    case = workspace.case("demo/finetuned", *PAIR)
    fresh = dataclasses.replace(case.checkpoint)  # nothing has been learnt of it
    with FlopCounterMode(display=False) as counted:
        hidden_token_attribution(fresh, case.encoding, wrt="previous_layer")
    told = workspace.operations(CONTRIBUTIONS, case, wrt="previous_layer")
    assert 0.7 < told / counted.get_total_flops() < 2


def test_more_work_is_told_of_layers_whose_weights_do_not_tell_what_they_do(checkpoints):
    fresh = [dataclasses.replace(checkpoints[name]) for name in ("bert", "qwen3")]  # nothing has been learnt of them
    bert, qwen = (
        Case(ModelCard.of(one), encode(one, *PAIR), capture(one, encode(one, *PAIR)), loaded=weakref.ref(one))
        for one in fresh
    )
    for case in (bert, qwen):
        before = workspace.operations(CONTRIBUTIONS, case, wrt="previous_layer")
        hidden_token_attribution(case.checkpoint, case.encoding, wrt="previous_layer")
        after = workspace.operations(CONTRIBUTIONS, case, wrt="previous_layer")
        assert (after != before) == (case is qwen), "its queries and keys are normalised, so it is pushed through"
