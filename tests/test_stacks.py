"""Encoder-decoders that are read whole: both stacks as one model, against transformers and slow transcriptions."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM

from attnflow import (
    CheckpointError,
    HeadImportance,
    SelectionError,
    SurfaceStatistics,
    TextError,
    UnsupportedArchitectureError,
    attention_gradient,
    attention_graph,
    attention_probe,
    attention_rollout,
    capture,
    corpus_statistics,
    encode,
    faithfulness,
    head_importance,
    hidden_token_attribution,
    influence,
    load_checkpoint,
    merge_words,
    pruning_curve,
    ring_tau,
    saliency,
    survey,
    with_weights,
)
from attnflow.checkpoints.checkpoint import check_supported
from attnflow.records.stacks import Stacks
from attnflow.records.texts import Text
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.batch import batches, capture_batch
from attnflow.runtime.capture import model_inputs
from attnflow.stats.alignment import pair_traces
from attnflow.stats.flow import compare_flows
from attnflow.stats.ring_sizes import ring_limits
from tests import reference
from tests.checkpoints import N_HEADS, N_LAYERS, WIDTH, edited_config, make_checkpoint

PAIR = ("Anna gave it.", "He read")
N_DECODER = 2
ALL = ("t5", "mt5", "umt5", "bart", "pegasus", "marian")
PROJECTIONS = {
    "t5": (
        "encoder.block.{}.layer.0.SelfAttention.o",
        "decoder.block.{}.layer.0.SelfAttention.o",
        "decoder.block.{}.layer.1.EncDecAttention.o",
    ),
    "bart": (
        "model.encoder.layers.{}.self_attn.out_proj",
        "model.decoder.layers.{}.self_attn.out_proj",
        "model.decoder.layers.{}.encoder_attn.out_proj",
    ),
}
"""Of the encoder, of the decoder, and of cross-attention."""
PRUNED = [(1, 2), (N_LAYERS, 1), (N_LAYERS + 1, N_HEADS + 3)]
"""A head of each of the three."""


class Made:
    """A small random checkpoint, and what it does with a pair."""

    texts = PAIR

    def __init__(self, folder, name):
        self.name = name
        self.folder = self.make(folder / name)
        self.checkpoint = load_checkpoint(self.folder)
        self.encoding = encode(self.checkpoint, *self.texts)
        self.trace = capture(self.checkpoint, self.encoding)
        self.n_source = self.encoding.tokens.n_source

    def make(self, folder):
        return make_checkpoint(folder, self.name, task="seq2seq-lm")

    def eager(self):
        return AutoModelForSeq2SeqLM.from_pretrained(self.folder, attn_implementation="eager").eval()

    def run(self, model, **more):
        ids = torch.from_numpy(self.encoding.inputs["input_ids"])[None]
        source, target = ids[:, : self.n_source], ids[:, self.n_source :]
        return model(input_ids=source, attention_mask=torch.ones_like(source), decoder_input_ids=target, **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes each of them once."""
    return cache(partial(Made, tmp_path_factory.mktemp("stacks")))


def ones():
    return torch.ones(N_LAYERS + N_DECODER, 2 * N_HEADS)


@pytest.mark.parametrize("name", ALL)
def test_both_stacks_are_those_of_transformers(name, made):
    check_stacks(made(name))


def check_stacks(case):
    """Compare attention, vectors and scores of both stacks with transformers' own eager attention."""
    trace, tokens, checkpoint = case.trace, case.encoding.tokens, case.checkpoint
    assert checkpoint.stacks == Stacks(N_LAYERS, N_DECODER, N_HEADS) and not checkpoint.encoder_alone
    assert (checkpoint.head.kind, checkpoint.head.trained) == ("seq2seq-lm", True)
    with torch.no_grad():
        expected = case.run(case.eager(), output_attentions=True, output_hidden_states=True)
        logits = checkpoint.model(**model_inputs(case.encoding)).logits[0]
    attention = [
        [layer[0].numpy() for layer in part]
        for part in (expected.encoder_attentions, expected.decoder_attentions, expected.cross_attentions)
    ]
    whole, passing = reference.two_stacks(*attention)
    np.testing.assert_allclose(trace.attention, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace.attention.sum(-1), 1, rtol=1e-5)
    source, target = expected.encoder_hidden_states, expected.decoder_hidden_states
    outside = [*source[:-1], *[expected.encoder_last_hidden_state] * (N_DECODER + 1)]
    inside = [*[target[0]] * N_LAYERS, *target]
    hidden = torch.cat([torch.cat(both, dim=1) for both in zip(outside, inside, strict=True)])
    np.testing.assert_allclose(trace.hidden, hidden, rtol=1e-4, atol=1e-4 * float(hidden.abs().max()))
    scores = expected.logits[0]
    np.testing.assert_allclose(logits[case.n_source :], scores, rtol=1e-4, atol=1e-5 * float(scores.abs().max()))
    assert torch.isnan(logits[: case.n_source]).all()  # no token of the source has a score
    for layer, tokens_passing in enumerate(passing):
        assert not trace.head_output[layer, tokens_passing].any()
        assert trace.head_output[layer, ~np.array(tokens_passing), :N_HEADS].any()
    assert not trace.head_output[:N_LAYERS, :, N_HEADS:].any()
    assert trace.root == len(tokens) - 1 and trace.stacks == checkpoint.stacks


@pytest.mark.parametrize("name", ["t5", "bart", "marian"])
def test_the_decoder_reads_what_transformers_shifts_labels_to(name, made):
    case = made(name)
    tokenizer, model = case.checkpoint.tokenizer.tokenizer, case.eager()
    ids, tokens = case.encoding.inputs["input_ids"], case.encoding.tokens
    assert ids[: case.n_source].tolist() == tokenizer(PAIR[0])["input_ids"]
    labels = torch.tensor([tokenizer(PAIR[1])["input_ids"]])
    shifted = model.prepare_decoder_input_ids_from_labels(labels)[0].tolist()
    assert ids[case.n_source :].tolist() == shifted
    words = [text for text, part in zip(tokens.text, tokens.sentence, strict=True) if part == 1]
    assert "".join(words).replace("·", "").replace("▁", "") == "Heread"
    alone = encode(case.checkpoint, PAIR[0])
    nothing = {"t5": ["<pad>"], "marian": ["<pad>"], "bart": ["</s>", "<s>"]}[name]
    assert list(alone.tokens.piece[alone.tokens.n_source :]) == nothing
    assert saliency(case.checkpoint, alone, method="input_gradient").values.shape == (len(alone.tokens),)


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_a_pruned_head_is_zeroed_columns_in_each_kind_of_attention(name, made):
    case, model = made(name), made(name).eager()
    with torch.no_grad():
        for layer, head in PRUNED:
            kind = case.checkpoint.stacks.kind(layer, head)
            path = PROJECTIONS[name][("encoder", "decoder", "cross").index(kind)].format(layer % N_LAYERS)
            model.get_submodule(path).weight.unflatten(1, (N_HEADS, -1))[:, head % N_HEADS] = 0
        expected = case.run(model, output_hidden_states=True).decoder_hidden_states[-1][0]
    trace = capture(case.checkpoint, case.encoding, pruned=PRUNED)
    np.testing.assert_allclose(trace.hidden[-1, case.n_source :], expected, rtol=1e-3, atol=1e-4 * abs(expected).max())
    assert not np.allclose(trace.hidden[-1], case.trace.hidden[-1], atol=1e-3)
    assert not any(trace.head_output[layer, :, head].any() for layer, head in PRUNED)
    np.testing.assert_array_equal(capture(case.checkpoint, case.encoding).hidden, case.trace.hidden)


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_rings_hold_what_attends_and_what_passes_through(name, made):
    trace = made(name).trace
    n_layers = N_LAYERS + N_DECODER
    passing = trace.stacks.carried(trace.tokens.n_source, len(trace.tokens)).tolist()
    for tau in ([0.15] * n_layers, ring_tau(trace).tolist()):
        graph = attention_graph(trace, tau)
        rings, edges = reference.graph_of_two_stacks(trace.attention, tau, trace.root, passing, N_LAYERS)
        assert [set(np.flatnonzero(ring)) for ring in graph.rings] == rings
        found = zip(graph.layer.tolist(), graph.query.tolist(), graph.key.tolist(), graph.heads, strict=True)
        assert {(layer, a, b): set(np.flatnonzero(heads)) for layer, a, b, heads in found} == edges
        count = np.zeros((n_layers, len(trace.tokens)))
        for (layer, _, key), heads in edges.items():
            count[layer, key] += len(heads)
        decay = 0.5 ** np.arange(n_layers - 1, -1, -1)
        expected = [(decay[m:, None] * count[m:]).sum(0) / (n_layers - m) for m in range(n_layers)]
        np.testing.assert_allclose(influence(graph, 0.5), expected)
    assert graph.rings.any(axis=1).all(), "a ring is empty"
    limits = ring_limits(trace)
    for tau in (0.05, 0.15, 0.3):
        np.testing.assert_array_equal(limits > np.float32(tau), attention_graph(trace, tau).rings)
    some = attention_graph(trace, ring_tau(trace, root=0), root=0)  # a token of the source passes through the decoder
    assert all(some.rings[layer].nonzero()[0].tolist() == [0] for layer in range(N_LAYERS, n_layers + 1))


def test_rollout_is_over_the_heads_that_there_are(made):
    trace = made("bart").trace
    encoder = reference.attention_rollout(trace.attention[:N_LAYERS, :N_HEADS])
    decoder = reference.attention_rollout(trace.attention[N_LAYERS:])
    np.testing.assert_allclose(attention_rollout(trace), decoder @ encoder, atol=1e-6)


@pytest.mark.parametrize(("name", "wrt"), [("bart", "previous_layer"), ("t5", "previous_layer"), ("bart", "input")])
def test_contributions_are_shares_of_the_full_jacobian(name, wrt, made):
    case = made(name)
    found = hidden_token_attribution(case.checkpoint, case.encoding, wrt=wrt).values
    for last in (1, N_LAYERS + 1):
        start, row = last if wrt == "previous_layer" else 0, [0] if last < N_LAYERS else [case.trace.root]
        entering = torch.from_numpy(case.trace.hidden[start].copy())

        def outputs(hidden, last=last, start=start, row=row):
            with attention_hook.record(last=last) as recording, layers.steer(start=start, hidden=hidden[None]):
                case.checkpoint.model.base_model(**model_inputs(case.encoding))
            return recording.head_output[-1][0, row[0]]  # [2H, K]

        blocks = torch.autograd.functional.jacobian(outputs, entering, vectorize=True)  # [2H, K, T, D]
        norms = blocks.square().sum((1, 3)).sqrt().numpy()
        total = norms.sum(-1, keepdims=True)
        shares = np.divide(norms, total, out=np.zeros_like(norms), where=total > 0)
        np.testing.assert_allclose(found[last, :, row[0]], shares, atol=2e-4)
    sums = found.sum(-1)
    takes_part = ~case.trace.stacks.carried(case.n_source, len(case.encoding.tokens))
    there = case.trace.stacks.present()[:, :, None] & takes_part[:, None]
    np.testing.assert_allclose(sums[there], 1, rtol=1e-5)
    assert not sums[~there].any()


def test_edges_by_norm_are_those_of_projected_values(made):
    """In BART, values are linear maps of what enters a layer; cross-attention takes the source as it is."""
    case, model = made("bart"), made("bart").eager()
    hidden, n_source = torch.from_numpy(case.trace.hidden.copy()), case.n_source
    expected = np.zeros(case.trace.attention.shape[:3])
    for layer in range(N_LAYERS + N_DECODER):
        stack = model.model.encoder.layers if layer < N_LAYERS else model.model.decoder.layers
        own = stack[layer if layer < N_LAYERS else layer - N_LAYERS]
        source, target = slice(0, n_source), slice(n_source, None)
        attentions = [(own.self_attn, source if layer < N_LAYERS else target, 0)]
        attentions += [(own.encoder_attn, source, N_HEADS)] if layer >= N_LAYERS else []
        for attention, tokens, first in attentions:
            with torch.no_grad():
                values = attention.v_proj(hidden[layer, tokens]).unflatten(-1, (N_HEADS, -1))
                for head in range(N_HEADS):
                    weight = attention.out_proj.weight.unflatten(1, (N_HEADS, -1))[:, head]
                    expected[layer, first + head, tokens] = (values[:, head] @ weight.T).norm(dim=-1).numpy()
    np.testing.assert_allclose(case.trace.value_norms, expected, rtol=2e-5)
    rows = with_weights(case.trace, "norm").edges
    passing = case.trace.stacks.carried(n_source, len(case.encoding.tokens))
    there = case.trace.stacks.present()[:, :, None] & ~passing[:, None]
    np.testing.assert_allclose(rows.sum(-1)[there], 1, rtol=1e-5)
    assert not rows.sum(-1)[~there].any()
    assert attention_graph(case.trace, 0.1, weights="norm").rings.any()


@pytest.mark.parametrize("name", ["bart"])
def test_importance_of_heads_of_every_kind(name, made):
    checkpoint, encoding = made(name).checkpoint, made(name).encoding

    def log_probabilities(gates):
        with torch.no_grad(), attention_hook.record(gates):
            return checkpoint.model(**model_inputs(encoding)).logits[0, -1].double().log_softmax(-1)

    plain = log_probabilities(ones())
    predicted = int(plain.argmax())
    removal = head_importance(checkpoint, encoding, method="ablation")
    for layer, head in [*PRUNED, (0, N_HEADS)]:
        gates = ones()
        gates[layer, head] = 0
        change = float(plain[predicted] - log_probabilities(gates)[predicted])
        assert removal[layer, head] == pytest.approx(change, rel=1e-3, abs=1e-4)
    gate = head_importance(checkpoint, encoding, method="gate")
    for layer, head in PRUNED:
        up, down = ones(), ones()
        up[layer, head], down[layer, head] = 1.002, 0.998
        slope = float(log_probabilities(up)[predicted] - log_probabilities(down)[predicted]) / 0.004
        assert gate[layer, head] == pytest.approx(abs(slope), rel=0.05, abs=5e-3 * gate.max())
    assert not gate[:N_LAYERS, N_HEADS:].any() and not removal[:N_LAYERS, N_HEADS:].any()
    curve = pruning_curve(checkpoint, [encoding], order="gate", steps=3)
    assert curve.removed.tolist()[-1] == len(checkpoint.heads) == (N_LAYERS + 2 * N_DECODER) * N_HEADS


def test_taylor_is_of_the_parameters_of_each_attention(made):
    """In BART, whose maps have names: squares of gradient times weight, of the model as transformers runs it."""
    case, model = made("bart"), made("bart").eager()
    logits = case.run(model).logits[0, -1]
    (-logits.log_softmax(-1)[int(logits.argmax())]).backward()
    found = head_importance(case.checkpoint, case.encoding, method="taylor")
    width = WIDTH // N_HEADS
    for layer, head in PRUNED:
        stack = model.model.encoder.layers if layer < N_LAYERS else model.model.decoder.layers
        own = stack[layer % N_LAYERS]
        attention = own.encoder_attn if head >= N_HEADS else own.self_attn
        rows = slice(head % N_HEADS * width, (head % N_HEADS + 1) * width)
        parts = [getattr(attention, f"{name}_proj") for name in "qkv"]
        parameters = [one.detach()[rows] * one.grad[rows] for part in parts for one in (part.weight, part.bias)]
        parameters.append((attention.out_proj.weight.detach() * attention.out_proj.weight.grad)[:, rows])
        expected = sum(float(one.double().square().sum()) for one in parameters)
        assert found[layer, head] == pytest.approx(expected, rel=1e-3)
    assert not found[:N_LAYERS, N_HEADS:].any()


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_saliency_is_of_source_and_target(name, made):
    checkpoint, encoding = made(name).checkpoint, made(name).encoding
    target = int(made(name).run(made(name).eager()).logits[0, -1].argmax())
    model, ids = made(name).eager(), encoding.inputs["input_ids"].copy()
    score = float(made(name).run(model).logits[0, -1, target].detach())
    found = {m: saliency(checkpoint, encoding, method=m) for m in ("lrp", "integrated_gradients", "occlusion")}
    assert found["lrp"].total == pytest.approx(score, rel=1e-4)
    assert abs(found["lrp"].residual) < 1e-3 * max(1, abs(score))
    if name != "t5":  # whose random scores are too steep for that many steps
        exact = found["integrated_gradients"]
        assert abs(exact.residual) <= 0.02 * abs(exact.total) + 1e-3
    blank = checkpoint.tokenizer.facts.pad if found["occlusion"].notes["baseline"] == "pad" else None
    blank = checkpoint.tokenizer.facts.mask if blank is None else blank
    assert blank is not None or found["occlusion"].notes["baseline"] == "mean"
    if blank is not None:
        for token in np.flatnonzero(encoding.tokens.sentence >= 0)[[0, -1]]:
            changed = torch.from_numpy(np.where(np.arange(len(ids)) == token, blank, ids))[None]
            parts = changed[:, : made(name).n_source], changed[:, made(name).n_source :]
            with torch.no_grad():
                hidden = model(parts[0], torch.ones_like(parts[0]), decoder_input_ids=parts[1]).logits[0, -1, target]
            expected = score - float(hidden)
            assert found["occlusion"].values[token] == pytest.approx(expected, rel=1e-2, abs=1e-3 * abs(score))
    for method in ("attention_rollout", "influence", "hidden_token_attribution", "input_gradient_norm"):
        values = saliency(checkpoint, encoding, method=method).values
        assert values[: made(name).n_source].any() and values[made(name).n_source :].any()


def test_an_explanation_is_tested_by_removal_in_both_texts(made):
    case = made("bart")
    found = saliency(case.checkpoint, case.encoding, method="occlusion")
    assert np.isfinite(faithfulness(case.checkpoint, case.encoding, found).merit).all()


def test_many_give_what_each_gives_alone(made):
    checkpoint = made("bart").checkpoint
    encodings = [encode(checkpoint, *pair) for pair in (PAIR, ("Anna gave.", None), (PAIR[1], PAIR[0]))]
    for found, encoding in zip(capture(checkpoint, encodings), encodings, strict=True):
        expected = capture(checkpoint, encoding)
        np.testing.assert_allclose(found.attention, expected.attention, atol=1e-5)
        assert found.root == expected.root
    with pytest.raises(SelectionError, match="Sources of different lengths"):
        capture_batch(checkpoint, encodings)
    both = capture_batch(checkpoint, [encodings[0]] * 2)
    np.testing.assert_allclose(both.attention[1], made("bart").trace.attention, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_targets_of_sources_of_one_length_run_together(name, made):
    checkpoint, source = load_checkpoint(made(name).folder, dtype="float64"), "Anna gave it."
    pairs = [
        (source, "He read it, Anna."),
        ("Anna", "He"),
        (source, None),
        (source, "He read"),
        ("Anna", "He gave it."),
    ]
    encodings = [encode(checkpoint, *pair) for pair in pairs]
    rows = list(batches(checkpoint, encodings))
    assert rows == [[1, 4], [2, 3, 0]], "by the length of the source, and then of both"
    assert list(batches(checkpoint, encodings, tokens=2 * len(encodings[3].tokens))) == [[1, 4], [2, 3], [0]]
    together = capture(checkpoint, encodings, pruned=PRUNED[:1])
    for found, encoding in zip(together, encodings, strict=True):
        expected = capture(checkpoint, encoding, pruned=PRUNED[:1])
        assert found.root == expected.root and found.stacks == expected.stacks
        for one in ("attention", "hidden", "head_output", "value_norms"):
            own, alone = getattr(found, one), getattr(expected, one)
            np.testing.assert_allclose(own, alone, rtol=1e-6, atol=1e-9)
    for method in ("gate", "taylor"):
        several = HeadImportance(method=method).update(checkpoint, encodings).result().mean
        each = np.mean([head_importance(checkpoint, one, method=method) for one in encodings], axis=0)
        np.testing.assert_allclose(several, each, rtol=1e-6)


def test_words_and_other_models_keep_source_and_target_apart(made, checkpoints):
    trace = made("bart").trace
    merged = merge_words(trace)
    assert merged.tokens.n_source == len({*trace.tokens.word[: trace.tokens.n_source].tolist()})
    np.testing.assert_allclose(merged.attention.sum(-1), 1, rtol=1e-5)
    for other in (checkpoints["bert"], checkpoints["roberta"], made("t5").checkpoint):
        beside = capture(other, encode(other, *PAIR))
        pairing = pair_traces(trace, beside)
        np.testing.assert_allclose(pairing.a.attention.sum(-1), 1, rtol=1e-5)
        for part, places in ((pairing.a, pairing.in_a), (pairing.b, pairing.in_b)):
            assert sorted(i for i in places if i >= 0) == list(range(len(part.tokens)))
        flows = compare_flows(trace, beside)
        assert flows.a.graph.rings.any(axis=1).all()


def test_what_is_not_offered_is_refused_with_the_reason(made, tmp_path):
    checkpoint, encoding = made("bart").checkpoint, made("bart").encoding
    with pytest.raises(TextError, match="source text is empty, and bart writes nothing without one"):
        encode(checkpoint, "", "He read it")
    with pytest.raises(TextError, match="reads no conversations"):
        encode(checkpoint, *PAIR, chat=True)
    with pytest.raises(TextError, match=r"The target is \d+ tokens long for bart; the limit is 160"):
        encode(checkpoint, "Anna", "book " * 200)
    with pytest.raises(SelectionError, match="a token of the source, which predicts nothing; give one of the target"):
        saliency(checkpoint, encoding, position=1)
    texts = [Text("0", *PAIR)]
    for refused in (
        lambda: attention_gradient(checkpoint, encoding),
        lambda: corpus_statistics(checkpoint, texts, ["entropy"]),
        lambda: survey(checkpoint, texts, heads=True),
        lambda: attention_probe(checkpoint, "demo/sentences"),
    ):
        with pytest.raises(UnsupportedArchitectureError, match="cannot be had of bart: it is an encoder-decoder"):
            refused()
    with pytest.raises(SelectionError, match="Kinds of attention are defined for models of one stack"):
        SurfaceStatistics().update(made("bart").trace.attention, encoding.tokens)
    config = {"model_type": "marian", "is_encoder_decoder": True, "share_encoder_decoder_embeddings": False}
    with pytest.raises(UnsupportedArchitectureError, match="have vocabularies of their own"):
        check_supported(config, "it")
    unlike = {"model_type": "bart", "encoder_attention_heads": 2, "decoder_attention_heads": 4}
    with pytest.raises(UnsupportedArchitectureError, match="have not the same number of heads"):
        check_supported(unlike, "it")
    named = {"architectures": ["BartForTokenClassification"]}
    labelling = load_checkpoint(edited_config(made("bart").folder, tmp_path / "labelling", **named))
    assert labelling.encoder_alone and labelling.stacks is None


def test_a_model_without_a_head_predicts_nothing_and_is_read_whole(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "plain", "t5", task="seq2seq"))
    trace = capture(checkpoint, encode(checkpoint, *PAIR))
    assert checkpoint.stacks is not None and not checkpoint.head.trained and trace.root == len(trace.tokens) - 1
    with pytest.raises(SelectionError, match="no trained task head"):
        saliency(checkpoint, encode(checkpoint, *PAIR))
    assert (head_importance(checkpoint, encode(checkpoint, *PAIR), method="ablation") >= 0).all()


def test_the_model_stays_what_transformers_made_it(made):
    case = made("t5")
    with pytest.raises(RuntimeError), layers.steer(enter=lambda layer, hidden: hidden[:, :0]):
        case.checkpoint.model(**model_inputs(case.encoding))
    with torch.no_grad():
        own, other = (case.run(model).logits for model in (case.checkpoint.model, case.eager()))
    np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-3)


def test_a_file_without_its_decoder_is_refused(made, tmp_path):
    """Not taken for one without a head, whose decoder would be drawn at random."""
    folder = edited_config(made("t5").folder, tmp_path / "half")
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: one for name, one in weights.items() if not name.startswith("decoder.")}, folder / "model.safetensors"
    )
    with pytest.raises(CheckpointError, match=r"lacks weights of its own model, decoder\."):
        load_checkpoint(folder)
