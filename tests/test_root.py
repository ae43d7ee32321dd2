"""Which tokens a score reads: found when loading, for every architecture, and several tokens as a root."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from attnflow import (
    AttentionEntropy,
    SelectionError,
    attention_graph,
    attention_rollout,
    capture,
    encode,
    influence,
    load_checkpoint,
    merge_words,
    pair_traces,
    ring_tau,
    saliency,
)
from attnflow.checkpoints import reading
from attnflow.checkpoints.reading import Reading, find_reading
from attnflow.records.root import tokens_of
from attnflow.records.trace import SPECIAL, Encoding
from attnflow.runtime import layers
from attnflow.runtime.capture import model_inputs
from attnflow.service.analyses.heads import root_shift
from attnflow.service.case import Case, ModelCard
from attnflow.stats.attention_graph import paths_between, reach
from attnflow.stats.flow import compare_flows
from attnflow.views.radial import radial
from attnflow.views.sentence import sentence
from attnflow.views.tour import tour
from attnflow.web.endpoints.answers import case_note
from tests import checkpoints as made
from tests import pipelines, reference, saliency_columns
from tests.checkpoints import ARCHITECTURES, MORE_ARCHITECTURES, N_LAYERS, PAIR, Architecture, make_checkpoint
from tests.random_traces import random_trace

CLASSIFIERS = [name for name, one in (ARCHITECTURES | MORE_ARCHITECTURES).items() if one.classifies]
_GROUPED = ARCHITECTURES["llama"].options
EUROBERT = Architecture("eurobert", "roberta", "layers.{}.self_attn.o_proj", _GROUPED)
OTHER_HEADS = [
    ("modernbert", {"classifier_pooling": "mean"}, "all", "mean"),
    ("eurobert", {"classifier_pooling": "bos"}, "first", "mean"),
    ("eurobert", {"classifier_pooling": "mean"}, "all", "mean"),
    ("eurobert", {"classifier_pooling": "late"}, "all", "other"),  # the mean of what is made of each token
    ("xlnet", {"summary_type": "first"}, "first", "mean"),
    ("xlnet", {"summary_type": "mean"}, "all", "mean"),
]


@pytest.fixture(scope="module")
def pooled_folder(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("pooled") / "it", "modernbert", classifier_pooling="mean")


@pytest.fixture(scope="module")
def pooled(pooled_folder):
    """A ModernBERT that reads the mean of all tokens."""
    return load_checkpoint(pooled_folder)


@pytest.fixture(scope="module")
def trace(pooled):
    return capture(pooled, encode(pooled, *PAIR))


def read_by_trying(model: PreTrainedModel, encoding: Encoding) -> set[int]:
    """A score reads a token if it changes with what the last layer gives for it: tried one by one, no gradient."""
    inputs, size = model_inputs(encoding), len(encoding.tokens)
    last = layers.find_layers(model.base_model, N_LAYERS)[-1]
    times, moved = 0, -1

    def move(module, args, output):
        nonlocal times
        times += 1
        hidden = output if isinstance(output, torch.Tensor) else output[0]
        if moved >= 0 and (times == N_LAYERS or type(module).__name__ != "AlbertLayer"):
            axis = 0 if hidden.shape[0] == size else 1  # XLNet's tokens come first
            hidden = hidden.clone()
            hidden.select(axis, moved).add_(torch.linspace(-3, 3, hidden.shape[-1]))
        return hidden if isinstance(output, torch.Tensor) else (hidden, *output[1:])

    handle = last.register_forward_hook(move)
    found = set()
    with torch.no_grad():
        expected = model(**inputs).logits
        for token in range(size):
            times, moved = 0, token
            if not torch.equal(model(**inputs).logits, expected):
                found.add(token)
    handle.remove()
    return found


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_root_is_what_the_score_reads(name, folders, tmp_path):
    checkpoint = load_checkpoint(folders[name] if name in folders else make_checkpoint(tmp_path / "it", name))
    encoding = encode(checkpoint, *PAIR)
    assert checkpoint.reading.note == ""
    assert set(tokens_of(capture(checkpoint, encoding).root)) == read_by_trying(checkpoint.model, encoding)


@pytest.mark.parametrize(("name", "options", "tokens", "pooling"), OTHER_HEADS)
def test_what_a_head_reads_is_found_whatever_its_class_usually_reads(
    name, options, tokens, pooling, tmp_path, monkeypatch
):
    monkeypatch.setitem(made.MORE_ARCHITECTURES, "eurobert", EUROBERT)
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "it", name, **options))
    assert checkpoint.reading == Reading(tokens, pooling)
    encoding = encode(checkpoint, *PAIR)
    trace = capture(checkpoint, encoding)
    assert set(tokens_of(trace.root)) == read_by_trying(checkpoint.model, encoding)
    assert trace.pooling == pooling


def test_a_language_model_reads_the_mask_or_the_last_token(tasks):
    """Each token has scores of its own; which are meant is what `choose_target` says."""
    for name, text in (("masked-lm", "Anna gave the [MASK] to a [MASK] ."), ("causal-lm", "Anna gave the book")):
        checkpoint = tasks[name]
        encoding = encode(checkpoint, text)
        root = capture(checkpoint, encoding).root
        assert root == (len(encoding.tokens) - 1 if name == "causal-lm" else encoding.tokens.piece.index("[MASK]"))
        leaf = torch.from_numpy(capture(checkpoint, encoding).hidden[-1].copy())[None].requires_grad_()
        head = checkpoint.model.cls if name == "masked-lm" else checkpoint.model.lm_head
        (slope,) = torch.autograd.grad(head(leaf)[0, root].sum(), leaf)
        assert torch.nonzero(slope[0].norm(dim=-1)).flatten().tolist() == [root]
    assert capture(tasks["masked-lm"], encode(tasks["masked-lm"], "Anna gave the book")).root == 0
    assert capture(tasks["none"], encode(tasks["none"], "Anna gave the book")).root == 0
    classifier = tasks["token-classification"]
    assert capture(classifier, encode(classifier, "Anna gave the book")).root == 1


@pytest.mark.parametrize("fails", [False, True])
def test_finding_it_leaves_nothing_behind(pooled, fails, monkeypatch):
    model = copy.deepcopy(pooled.model)
    before = copy.deepcopy(model.state_dict())
    if fails:
        monkeypatch.setattr(model.classifier, "forward", lambda _: 1 / 0)
    found = find_reading(model, "first", [2, 3], {0})
    assert found.tokens == ("first" if fails else "all")
    assert ("could not be found" in found.note) == fails
    assert not model.base_model._forward_hooks
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model.training


def test_a_head_whose_reading_has_no_name_is_told(pooled, monkeypatch):
    model = copy.deepcopy(pooled.model)
    monkeypatch.setattr(reading, "_slopes", lambda model, ids: torch.eye(ids.shape[1])[2] + torch.eye(ids.shape[1])[4])
    found = find_reading(model, "first", [2, 3], {0})
    assert found.tokens == "first"
    assert "reads tokens 3, 5 of 9 of a sample text" in found.note
    trace = replace(capture(pooled, encode(pooled, *PAIR)), root=0)
    card = replace(ModelCard.of(pooled), reading=found)
    assert found.note in case_note(Case(card, encode(pooled, *PAIR), trace))


def test_a_score_that_depends_on_nothing_is_told(pooled):
    model = copy.deepcopy(pooled.model)
    torch.nn.init.zeros_(model.classifier.weight)
    found = find_reading(model, "first", [2, 3], {0})
    assert (found.tokens, "could not be found" in found.note) == ("first", True)


def test_a_mean_of_words_is_told_from_a_mean_of_all(pooled, monkeypatch):
    marks = torch.tensor([0, 1, 1, 1, 0, 1, 1, 1, 0])  # the sample holds special tokens first, in the middle and last
    monkeypatch.setattr(reading, "_slopes", lambda model, ids: marks.float())
    assert find_reading(pooled.model, "first", [2, 3], {0}) == Reading("words")
    encoding = encode(pooled, *PAIR)
    root = capture(replace(pooled, reading=Reading("words")), encoding).root
    np.testing.assert_array_equal(root, np.flatnonzero(encoding.tokens.sentence != SPECIAL))


# ---- several tokens as a root


def test_the_trace_says_what_is_read(trace, pooled):
    assert trace.root == tuple(range(len(trace.tokens)))
    note = case_note(Case(ModelCard.of(pooled), encode(pooled, *PAIR), trace))
    assert f"reads the last embeddings of several tokens (mean of {len(trace.tokens)} tokens)" in note
    for wrong in ((), (0, 99), -1):
        with pytest.raises(ValueError, match="root"):
            replace(trace, root=wrong)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("root", [(0, 1), (1, 3, 4), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("tau", [0.1, 0.3])
def test_graph_influence_and_traces_start_from_all_of_them(seed, root, tau):
    trace = replace(random_trace(seed, 3, 3, 5), root=root)
    graph = attention_graph(trace, tau)
    assert graph.root == root
    assert graph.root == attention_graph(trace, tau, root=list(root)).root
    rings, edges = reference.attention_graph(trace.attention, tau, root)
    assert [set(np.flatnonzero(ring)) for ring in graph.rings] == rings
    found = zip(graph.layer.tolist(), graph.query.tolist(), graph.key.tolist(), graph.heads, strict=True)
    assert {(layer, a, b): set(np.flatnonzero(heads)) for layer, a, b, heads in found} == edges
    np.testing.assert_allclose(influence(graph), reference.influence(trace.attention, tau, root, 0.5), rtol=1e-12)

    # All of them are one thing: what the centre that they stand around reaches.
    more, joined = reference.with_centre(rings, edges, 5)
    nodes, used = reference.reach(more, joined, 4, {5})
    whole = reach(graph, 3, root)
    assert {(int(r), int(t)) for r, t in np.argwhere(whole.rings)} == nodes - {(4, 5)}
    inside = {one for one in used if one[0] < 3}
    assert {tuple(e) for e in np.stack([graph.layer, graph.query, graph.key], 1)[whole.edges].tolist()} == inside
    for token in range(5):
        nodes, _ = reference.paths_between(more, joined, 4, {5}, 0, {token})
        between = paths_between(graph, 3, root, 0, token)
        found = {(int(r), int(t)) for r, t in np.argwhere(between.rings) if r < 3}
        assert found == {(r, t) for r, t in nodes if r < 3}


@pytest.mark.parametrize("root", [[], [0, 9], [0.5], "01"])
def test_a_root_of_tokens_that_are_not_there_is_refused(root):
    with pytest.raises(SelectionError, match="root"):
        attention_graph(random_trace(0, 1, 1, 5), root=root)


def test_words_stand_for_their_pieces(trace, traces):
    merged = merge_words(trace)
    assert merged.root == tuple(range(len(merged.tokens)))
    some = replace(trace, root=(3, 4))
    word = trace.tokens.word
    assert merge_words(some).root == (word[3] if word[3] == word[4] else (word[3], word[4]))
    pairing = pair_traces(trace, traces["gpt2"])
    assert pairing.a.root == tuple(range(len(pairing.a.tokens)))
    assert isinstance(pairing.b.root, int)


def test_thresholds_by_layer_start_from_all_of_them(trace):
    taus, rings = reference.ring_tau(trace.attention, trace.root)
    np.testing.assert_allclose(ring_tau(trace), taus, rtol=1e-6)
    assert [set(np.flatnonzero(ring)) for ring in attention_graph(trace, ring_tau(trace)).rings] == rings


def test_rollout_and_entropy_are_means_over_the_root(trace, pooled):
    found = saliency(pooled, encode(pooled, *PAIR), method="attention_rollout")
    np.testing.assert_allclose(found.values, attention_rollout(trace).mean(axis=0), rtol=1e-5)
    entropy = AttentionEntropy().update(trace.attention, trace.root).result()
    np.testing.assert_allclose(entropy.root, entropy.whole, rtol=1e-6)
    two = AttentionEntropy().update(trace.attention, (0, 3)).result().root
    rows = [AttentionEntropy().update(trace.attention, token).result().root for token in (0, 3)]
    np.testing.assert_allclose(two, np.mean(rows, axis=0), rtol=1e-12)
    batch = np.stack([trace.attention, trace.attention])
    both = AttentionEntropy().update(batch, [(0, 3), 3]).result().root
    np.testing.assert_allclose(both, (two + rows[1]) / 2, rtol=1e-12)


def test_every_analysis_of_a_pooled_score_is_that_of_its_definition(pooled_folder, pooled, traces, subtests):
    case = pipelines.Case("modernbert", pooled_folder, traces["bert"])
    wanted = ("capture", "graph, influence", "pruning", "comparison", "removal, gate", "taylor")
    for name in (*wanted, *saliency_columns.COLUMNS):
        with subtests.test(name):
            pipelines.PIPELINES[name](case)


def test_the_shift_of_the_root_is_that_of_the_mean(pooled):
    encoding = encode(pooled, *PAIR)
    runs = [capture(pooled, encoding, pruned=heads) for heads in ((), [(1, 2)])]
    before, after = (trace.hidden[-1].astype(np.float64).mean(axis=0) for trace in runs)
    cases = [Case(ModelCard.of(pooled), encoding, trace) for trace in runs]
    assert root_shift(*cases) == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before))


def test_the_views_name_the_centre(trace, traces):
    flows, size = compare_flows(traces["bert"], trace, 0.2), len(trace.tokens)
    a, b = radial(flows, ("x", "y"))["models"]
    assert (a["root"], a["centre"]) == ([0], "")
    assert (b["root"], b["centre"]) == (list(range(size)), f"mean of {size} tokens")
    assert sentence(flows, ("x", "y"))["models"][1]["root"] == list(range(size))
    first, second, third = tour(flows)
    assert "“[CLS]” of model A attends" in first["text"]
    assert f"the mean of {size} tokens of model B attends above tau" in second["text"]
    assert f"of 4 heads of {size} tokens" in second["text"]
    assert third["selection"]["ends"] == [{"depth": 0, "tokens": list(range(size))}]
    words = compare_flows(traces["bert"], trace, 0.2, unit="word")
    many = len(words.pairing.text)
    assert radial(words, ("x", "y"))["models"][1]["centre"] == f"mean of {many} words"
