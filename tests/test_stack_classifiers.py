"""Encoder-decoders that classify: both stacks read the text, against transformers and slow transcriptions."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from attnflow import (
    SelectionError,
    TextError,
    UnsupportedArchitectureError,
    attention_graph,
    capture,
    encode,
    faithfulness,
    head_importance,
    hidden_token_attribution,
    influence,
    load_checkpoint,
    merge_words,
    pair_traces,
    pruning_curve,
    ring_tau,
    saliency,
    survey,
)
from attnflow.corpus import survey_part
from attnflow.records.texts import Text
from attnflow.records.trace import SPECIAL
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capabilities import padding_allowed
from attnflow.runtime.capture import model_inputs
from attnflow.stats.alignment import line_starts
from attnflow.stats.flow import compare_flows, flow
from attnflow.views.radial import radial
from attnflow.views.sentence import sentence
from tests import reference, test_stacks
from tests.checkpoints import N_HEADS, N_LAYERS, WIDTH, edited_config, make_checkpoint
from tests.test_language_stacks import make_spoken, tokenizer_of
from tests.test_stacks import N_DECODER, PROJECTIONS, PRUNED, ones

PAIR = ("Anna gave it.", "He read it, Anna.")
SPOKEN = ("mbart", "mbart50", "plbart")
"""Those whose texts hold their language: the first and the last of them at the end, after the `</s>`."""
ALL = ("bart", "t5", "mt5", "umt5", *SPOKEN)


class Made(test_stacks.Made):
    """A small random classifier, and what it does with a pair."""

    texts = PAIR

    def make(self, folder):
        if self.name not in SPOKEN:
            return make_checkpoint(folder, self.name)
        return make_spoken(folder, self.name, tokenizer_of(self.name), "sequence-classification")

    def eager(self):
        return AutoModelForSequenceClassification.from_pretrained(self.folder, attn_implementation="eager").eval()

    def inputs(self, *pair):
        """What transformers makes of a pair, with the separator that is put between two sentences without a format."""
        ids = torch.tensor([self.checkpoint.tokenizer.pair(*(pair or PAIR), None).inputs["input_ids"]])
        plain = self.checkpoint.tokenizer.tokenizer(*(pair or PAIR), return_tensors="pt", return_token_type_ids=False)
        assert set(plain["input_ids"][0].tolist()) <= set(ids[0].tolist())
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes each of them once."""
    return cache(partial(Made, tmp_path_factory.mktemp("classifiers")))


@pytest.mark.parametrize("name", ALL)
def test_both_stacks_and_the_score_are_those_of_transformers(name, made):
    case, trace = made(name), made(name).trace
    assert case.checkpoint.reads_again and case.checkpoint.head.classifies_texts and not case.checkpoint.encoder_alone
    with torch.no_grad():
        expected = case.eager()(**case.inputs(), output_attentions=True, output_hidden_states=True)
    np.testing.assert_allclose(trace.scores, expected.logits[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trace.probabilities, expected.logits[0].softmax(-1), rtol=1e-4)
    assert trace.labels == ("no", "perhaps", "yes")
    left_out = 1 if name in ("mbart", "plbart") else 0  # what the decoder reads after the root, the `</s>`
    assert len(trace.tokens) == 2 * case.n_source - left_out
    size = case.n_source - left_out
    attention = [
        [layer[0].numpy() for layer in expected.encoder_attentions],
        [layer[0, :, :size, :size].numpy() for layer in expected.decoder_attentions],
        [layer[0, :, :size].numpy() for layer in expected.cross_attentions],
    ]
    whole, _ = reference.two_stacks(*attention)
    np.testing.assert_allclose(trace.attention, whole, rtol=1e-5, atol=1e-6)
    source, target = expected.encoder_hidden_states, [one[:, :size] for one in expected.decoder_hidden_states]
    outside = [*source[:-1], *[expected.encoder_last_hidden_state] * (N_DECODER + 1)]
    hidden = torch.cat([torch.cat(b, dim=1) for b in zip(outside, [*[target[0]] * N_LAYERS, *target], strict=True)])
    np.testing.assert_allclose(trace.hidden, hidden, rtol=1e-4, atol=1e-4 * float(hidden.abs().max()))
    assert trace.root == len(trace.tokens) - 1


@pytest.mark.parametrize("name", ALL)
def test_the_score_depends_on_the_root_alone(name, made):
    """By its gradient with respect to what leaves the decoder of transformers' own model."""
    case, model, seen = made(name), made(name).eager(), []

    def watch(module, given, output):
        seen.append(output[0].retain_grad() or output[0])

    model.get_decoder().register_forward_hook(watch)
    (model(**case.inputs()).logits[0] * torch.tensor([1.0, -0.3, 0.7])).sum().backward()
    read = seen[0].grad[0].norm(dim=-1).nonzero().flatten() + case.n_source
    assert read.tolist() == [case.trace.root]


@pytest.mark.parametrize("name", ["bart", "t5", *SPOKEN])
def test_the_decoder_reads_the_text_again(name, made):
    case = made(name)
    for pair in (PAIR, ("Anna <pad> gave </s> it.", PAIR[1])):
        encoding = encode(case.checkpoint, *pair)
        ids, half = encoding.inputs["input_ids"], encoding.tokens.n_source
        given, model = case.inputs(*pair), case.eager()
        seen, entries = [], model.get_decoder().get_input_embeddings()
        entries.register_forward_pre_hook(lambda _, args, to=seen: to.append(args[0]))
        with torch.no_grad():
            expected = model(**given).logits[0]
        assert ids[:half].tolist() == given["input_ids"][0].tolist()
        assert ids[half:].tolist() == seen[-1][0, : len(ids) - half].tolist()
        np.testing.assert_allclose(capture(case.checkpoint, encoding).scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_what_is_read_again_stands_beside_what_was_read(name, made):
    case, tokens = made(name), made(name).encoding.tokens
    half = case.n_source
    first, again = tokens.sentence[:half], tokens.sentence[half:]
    assert set(first.tolist()) == {SPECIAL, 0, 1} and set(again.tolist()) == {SPECIAL, 2, 3}
    np.testing.assert_array_equal(np.where(first[:-1] < 0, SPECIAL, first[:-1] + 2), again[1:])
    np.testing.assert_array_equal(tokens.span[: half - 1], tokens.span[half + 1 :])
    assert not set(tokens.word[:half].tolist()) & set(tokens.word[half:].tolist()), "words are those of one stack"
    words = merge_words(case.trace).tokens
    shown = [text for text, part in zip(words.text, words.sentence, strict=True) if part != SPECIAL]
    assert shown == ["Anna", "gave", "it", ".", "He", "read", "it", ",", "Anna", "."] * 2
    assert words.n_source == len({*tokens.word[:half].tolist()})


@pytest.mark.parametrize("name", ["bart", "t5", "mbart"])
def test_a_pruned_head_is_zeroed_columns(name, made):
    case, model = made(name), made(name).eager()
    prefix = "transformer." if name == "t5" else ""
    with torch.no_grad():
        for layer, head in PRUNED:
            kind = case.checkpoint.stacks.kind(layer, head)
            paths = PROJECTIONS.get(name, PROJECTIONS["bart"])
            path = paths[("encoder", "decoder", "cross").index(kind)].format(layer % N_LAYERS)
            model.get_submodule(prefix + path).weight.unflatten(1, (N_HEADS, -1))[:, head % N_HEADS] = 0
        expected = model(**case.inputs()).logits[0]
    found = capture(case.checkpoint, case.encoding, pruned=PRUNED).scores
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert not np.allclose(found, case.trace.scores, atol=1e-3)


def test_rings_and_influence_reach_both_readings(made):
    trace = made("bart").trace
    passing = trace.stacks.carried(trace.tokens.n_source, len(trace.tokens)).tolist()
    tau = ring_tau(trace).tolist()
    graph = attention_graph(trace, tau)
    rings, edges = reference.graph_of_two_stacks(trace.attention, tau, trace.root, passing, N_LAYERS)
    assert [set(np.flatnonzero(ring)) for ring in graph.rings] == rings
    found = zip(graph.layer.tolist(), graph.query.tolist(), graph.key.tolist(), graph.heads, strict=True)
    assert {(layer, a, b): set(np.flatnonzero(heads)) for layer, a, b, heads in found} == edges
    own = influence(graph)[0]
    assert own[: trace.tokens.n_source].any() and influence(graph)[N_LAYERS][trace.tokens.n_source :].any()


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_contributions_are_shares_of_the_full_jacobian(name, made):
    case = made(name)
    found = hidden_token_attribution(case.checkpoint, case.encoding, wrt="previous_layer").values
    last = N_LAYERS + 1
    entering = torch.from_numpy(case.trace.hidden[last].copy())

    def outputs(hidden):
        with attention_hook.record(last=last) as recording, layers.steer(start=last, hidden=hidden[None]):
            case.checkpoint.model.base_model(**model_inputs(case.encoding))
        return recording.head_output[-1][0, case.trace.root]

    blocks = torch.autograd.functional.jacobian(outputs, entering, vectorize=True)
    norms = blocks.square().sum((1, 3)).sqrt().numpy()
    np.testing.assert_allclose(found[last, :, case.trace.root], norms / norms.sum(-1, keepdims=True), atol=2e-4)


@pytest.mark.parametrize("name", ["bart", "t5", "mbart"])
def test_importance_of_heads_of_every_kind(name, made):
    checkpoint, encoding = made(name).checkpoint, made(name).encoding

    def log_probabilities(gates):
        with torch.no_grad(), attention_hook.record(gates):
            return checkpoint.model(**model_inputs(encoding)).logits[0].double().log_softmax(-1)

    plain = log_probabilities(ones())
    predicted = int(plain.argmax())
    removal = head_importance(checkpoint, encoding, method="ablation")
    gate = head_importance(checkpoint, encoding, method="gate")
    for layer, head in PRUNED:
        gates, up, down = ones(), ones(), ones()
        gates[layer, head], up[layer, head], down[layer, head] = 0, 1.01, 0.99
        change = float(plain[predicted] - log_probabilities(gates)[predicted])
        assert removal[layer, head] == pytest.approx(change, rel=1e-3, abs=1e-4)
        if name == "t5":  # whose random scores are too steep for differences
            continue
        slope = float(log_probabilities(up)[predicted] - log_probabilities(down)[predicted]) / 0.02
        assert gate[layer, head] == pytest.approx(abs(slope), rel=0.05, abs=5e-3 * gate.max())
    assert not gate[:N_LAYERS, N_HEADS:].any() and not removal[:N_LAYERS, N_HEADS:].any()
    curve = pruning_curve(checkpoint, [encoding], ["yes"], order="gate", steps=3)
    assert curve.removed.tolist()[-1] == (N_LAYERS + 2 * N_DECODER) * N_HEADS


def test_taylor_is_of_the_parameters_of_each_attention(made):
    case, model = made("bart"), made("bart").eager()
    logits = model(**case.inputs()).logits[0]
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
        assert found[layer, head] == pytest.approx(
            sum(float(one.double().square().sum()) for one in parameters), rel=1e-3
        )


@pytest.mark.parametrize("name", ["bart", "t5", "mbart"])
def test_saliency_is_of_both_readings(name, made):
    case = made(name)
    checkpoint, encoding, score = case.checkpoint, case.encoding, float(case.trace.scores[1])
    found = {
        method: saliency(checkpoint, encoding, target="perhaps", method=method)
        for method in ("lrp", "attn_lrp", "integrated_gradients")
    }
    assert found["lrp"].total == pytest.approx(score, rel=1e-4)
    assert abs(found["lrp"].residual) < 1e-3 * max(1, abs(score))
    if name != "t5":  # whose random scores are too steep for that many steps
        exact = found["integrated_gradients"]
        assert abs(exact.residual) <= 0.02 * abs(exact.total) + 1e-3
    facts, ids = checkpoint.tokenizer.facts, encoding.inputs["input_ids"]
    baseline, blank = ("pad", facts.pad) if facts.mask is None else ("mask", facts.mask)
    removed = saliency(checkpoint, encoding, target="perhaps", method="occlusion", baseline=baseline).values
    model, half = case.eager(), case.n_source
    for token in (1, half + 2):  # one reading at a time
        changed = torch.from_numpy(np.where(np.arange(len(ids)) == token, blank, ids))[None]
        source, target = changed[:, :half], changed[:, half:]
        target = torch.nn.functional.pad(target, (0, half - target.shape[1]))  # which nothing depends on
        with torch.no_grad():
            expected = score - float(model(source, torch.ones_like(source), decoder_input_ids=target).logits[0, 1])
        assert removed[token] == pytest.approx(expected, rel=1e-2, abs=1e-3)
    for method in ("attention_rollout", "influence", "hidden_token_attribution", "input_gradient_norm"):
        values = saliency(checkpoint, encoding, method=method).values
        assert values[:half].any() and values[half:].any()


def test_an_explanation_is_tested_by_removal_in_both_readings(made):
    case = made("bart")
    found = {method: saliency(case.checkpoint, case.encoding, method=method) for method in ("lrp", "influence")}
    trust = faithfulness(case.checkpoint, case.encoding, found)
    assert np.isfinite(trust.merit).all() and trust.names == ("lrp", "influence")


def test_beside_another_model_only_the_first_reading_is_shared(made, checkpoints):
    trace, bert = made("bart").trace, checkpoints["bert"]
    beside = capture(bert, encode(bert, *PAIR))
    for unit in ("piece", "word"):
        pairing = pair_traces(beside, trace, unit)
        np.testing.assert_allclose(pairing.b.attention.sum(-1), 1, rtol=1e-5)
        assert ((pairing.in_a >= 0) == (pairing.sentence < 2) & ~pairing_target(pairing)).all()
        assert (pairing.in_b >= 0).all()
        text = [pairing.text[line] for line in pairing.lines]
        assert text == ["He", "</s><s>"], "the second sentence, and what the decoder reads, begin a line"
        assert compare_flows(beside, trace, unit=unit).b.graph.rings.any(axis=1).all()


def pairing_target(pairing):
    """The units that only a decoder reads."""
    return np.arange(len(pairing.text)) >= pairing.lines[-1]


def test_lines_begin_where_a_sentence_or_a_decoder_does(made):
    tokens = made("bart").encoding.tokens
    lines = line_starts(tokens.sentence, tokens.in_target)
    assert lines == (int(np.argmax(tokens.sentence == 1)), tokens.n_source)
    found = flow(made("bart").trace)
    shown, drawn = sentence(found, ("x",), PAIR), radial(found, ("x",))
    assert shown["lines"] == drawn["lines"] == list(lines)
    assert shown["spans"][1] == shown["spans"][tokens.n_source + 2] == (0, 4)
    assert shown["names"][tokens.n_source + 2] == "“Anna” (1st sentence, in the decoder)"


@pytest.mark.parametrize("name", ["bart", "t5", "mbart"])
def test_texts_of_one_length_run_together(name, made, monkeypatch):
    case, runs = made(name), []
    pairs = [PAIR, ("Anna", None), ("He gave it.", PAIR[1]), ("Anna read it.", PAIR[1]), PAIR[::-1]]
    encodings = [encode(case.checkpoint, *pair) for pair in pairs]
    texts = [Text(str(row), *pair) for row, pair in enumerate(pairs)]
    run = survey_part.capture_layers
    monkeypatch.setattr(survey_part, "capture_layers", lambda *a, **k: runs.append(len(a[1])) or run(*a, **k))
    found = survey(case.checkpoint, texts)
    lengths = [len(one.tokens) for one in encodings]
    assert sorted(runs) == sorted(lengths.count(length) for length in set(lengths)) and max(runs) > 1
    assert not padding_allowed(case.checkpoint), "the score is read at the end of what the decoder reads"
    for row, (encoding, together) in enumerate(zip(encodings, capture(case.checkpoint, encodings), strict=True)):
        alone = capture(case.checkpoint, encoding)
        np.testing.assert_allclose(together.scores, alone.scores, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(together.attention, alone.attention, atol=1e-5)
        np.testing.assert_allclose(found.probabilities[row], alone.probabilities, rtol=1e-3, atol=1e-6)


def test_a_text_that_is_too_long_is_cut_before_it_is_read_again(made):
    checkpoint = made("bart").checkpoint
    whole = encode(checkpoint, *PAIR)
    with pytest.raises(TextError, match=rf"This text is {len(whole.tokens) // 2} tokens long .* the limit is 10"):
        encode(checkpoint, *PAIR, max_tokens=20)
    cut = encode(checkpoint, *PAIR, max_tokens=21, truncate=True)
    ids, half = cut.inputs["input_ids"].tolist(), cut.tokens.n_source
    assert half == 10 and ids[half:] == [checkpoint.starts_with, *ids[: half - 1]]
    assert cut.cut == len(whole.tokens) // 2 - 10
    with pytest.raises(TextError, match="first sentence is empty"):
        encode(checkpoint, "")
    alone = capture(checkpoint, encode(checkpoint, PAIR[0]))
    assert alone.root == len(alone.tokens) - 1


def test_what_is_not_offered_is_refused_with_the_reason(made, tmp_path):
    case = made("bart")
    with pytest.raises(SelectionError, match="classifies the whole text"):
        saliency(case.checkpoint, case.encoding, position=1)
    with pytest.raises(UnsupportedArchitectureError, match="is an encoder-decoder, in each of whose layers"):
        survey(case.checkpoint, [Text("0", *PAIR)], heads=True)
    other = load_checkpoint(edited_config(case.folder, tmp_path / "it", eos_token_id=0))
    with pytest.raises(UnsupportedArchitectureError, match="and its tokenizer writes none there"):
        encode(other, *PAIR)


def test_one_without_a_trained_head_predicts_nothing(tmp_path):
    plain = make_checkpoint(tmp_path / "plain", "bart", task="seq2seq-lm")
    checkpoint = load_checkpoint(edited_config(plain, tmp_path / "it", architectures=["BartForSequenceClassification"]))
    trace = capture(checkpoint, encode(checkpoint, *PAIR))
    assert checkpoint.reads_again and not checkpoint.head.trained
    assert trace.scores is None and trace.root == len(trace.tokens) - 1
