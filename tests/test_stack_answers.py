"""Encoder-decoders that answer questions: both stacks read question and text, against transformers."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering

from attnflow import (
    SelectionError,
    TextError,
    attention_graph,
    capture,
    encode,
    faithfulness,
    head_importance,
    hidden_token_attribution,
    influence,
    load_checkpoint,
    pruning_curve,
    ring_tau,
    saliency,
    survey,
)
from attnflow.methods.saliency.report import report
from attnflow.methods.target import choose_target
from attnflow.records.texts import Text
from attnflow.records.token_scores import LONGEST_ANSWER
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capture import model_inputs
from attnflow.service.case import Case, ModelCard
from attnflow.views.explanations import ExplainedModel, strips
from attnflow.views.predicted import predicted
from attnflow.web.endpoints.token_answers import by_token, no_answer, spans
from tests import reference, test_stacks
from tests.checkpoints import N_HEADS, N_LAYERS, edited_config, make_checkpoint
from tests.test_language_stacks import make_spoken, tokenizer_of
from tests.test_stacks import N_DECODER, PROJECTIONS, PRUNED, ones

QUESTION = ("Who has the book?", "Anna gave the old book to a friend, Paul.")
SHORT = ("Who?", "Anna gave it.")
SPOKEN = ("mbart", "mbart50")
ALL = ("bart", "t5", "mt5", "umt5", *SPOKEN)
TASK = "question-answering"


class Made(test_stacks.Made):
    """A small random model, and what it does with a question."""

    texts = QUESTION

    def make(self, folder):
        if self.name in SPOKEN:
            return make_spoken(folder, self.name, tokenizer_of(self.name), TASK)
        return make_checkpoint(folder, self.name, task=TASK)

    def eager(self):
        return AutoModelForQuestionAnswering.from_pretrained(self.folder, attn_implementation="eager").eval()

    def answered(self, model, encoding=None, **more):
        """What transformers' own class gives of what the encoder reads: it makes by itself what the decoder does."""
        encoding = encoding or self.encoding
        ids = torch.from_numpy(encoding.inputs["input_ids"][: encoding.tokens.n_source])[None]
        with torch.no_grad():
            return model(input_ids=ids, attention_mask=torch.ones_like(ids), **more)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes each of them once."""
    return cache(partial(Made, tmp_path_factory.mktemp("answering")))


def both_ends(output):
    return torch.stack((output.start_logits[0], output.end_logits[0]), -1).numpy()


@pytest.mark.parametrize("name", ALL)
def test_answers_are_those_of_transformers(name, made):
    case, model = made(name), made(name).eager()
    assert case.checkpoint.reads_again and case.checkpoint.head.trained and not case.checkpoint.encoder_alone
    encodings = [case.encoding, encode(case.checkpoint, *SHORT), encode(case.checkpoint, "Who <pad>?", "It </s> is.")]
    for encoding, trace in zip(encodings, capture(case.checkpoint, encodings), strict=True):
        expected, found = both_ends(case.answered(model, encoding)), trace.token_scores
        half = encoding.tokens.n_source
        assert np.isneginf(found.scores[:half]).all() and not found.probabilities[:half].any()
        np.testing.assert_allclose(found.scores[half:], expected, rtol=1e-4, atol=1e-5)
        chances = np.array(reference.token_probabilities(expected.T))
        np.testing.assert_allclose(found.probabilities[half:], chances.T, rtol=1e-4)
        context = np.flatnonzero(encoding.tokens.sentence == 1).tolist()
        assert max(context) < half
        best = reference.answer_spans(*expected.T, context, LONGEST_ANSWER)[: len(found.spans)]
        assert [(one.start - half, one.end - half) for one in found.spans] == [one[:2] for one in best]
        np.testing.assert_allclose([one.probability for one in found.spans], [one[3] for one in best], rtol=1e-4)
        assert [found.tokens(one) for one in found.spans] == [slice(one[0], one[1] + 1) for one in best]
        assert found.no_answer == pytest.approx(float(chances[:, 0].prod()), 1e-4)
        assert trace.root == found.spans[0].start >= half and trace.scores is None
        ends = [choose_target(case.checkpoint, encoding, end).position for end in ("start", "end")]
        assert ends == [found.spans[0].start, found.spans[0].end]


@pytest.mark.parametrize("name", ["bart", "t5", "mbart"])
def test_both_stacks_are_those_of_transformers(name, made):
    case, trace = made(name), made(name).trace
    expected = case.answered(case.eager(), output_attentions=True)
    parts = (expected.encoder_attentions, expected.decoder_attentions, expected.cross_attentions)
    whole, _ = reference.two_stacks(*([layer[0].numpy() for layer in part] for part in parts))
    np.testing.assert_allclose(trace.attention, whole, rtol=1e-5, atol=1e-6)
    passing = trace.stacks.carried(case.n_source, len(trace.tokens)).tolist()
    tau = ring_tau(trace).tolist()
    graph = attention_graph(trace, tau)
    rings, _ = reference.graph_of_two_stacks(trace.attention, tau, trace.root, passing, N_LAYERS)
    assert [set(np.flatnonzero(ring)) for ring in graph.rings] == rings
    assert influence(graph)[N_LAYERS].any()


@pytest.mark.parametrize("name", ["bart", "t5", "mbart"])
def test_a_pruned_head_is_zeroed_columns(name, made):
    case, model = made(name), made(name).eager()
    with torch.no_grad():
        for layer, head in PRUNED:
            place = ("encoder", "decoder", "cross").index(case.checkpoint.stacks.kind(layer, head))
            path = PROJECTIONS.get(name, PROJECTIONS["bart"])[place].format(layer % N_LAYERS)
            model.get_submodule(path).weight.unflatten(1, (N_HEADS, -1))[:, head % N_HEADS] = 0
    found = capture(case.checkpoint, case.encoding, pruned=PRUNED).token_scores.scores[case.n_source :]
    np.testing.assert_allclose(found, both_ends(case.answered(model)), rtol=1e-3, atol=1e-4)
    assert not np.allclose(found, case.trace.token_scores.scores[case.n_source :], atol=1e-3)


@pytest.mark.parametrize("name", ["bart", "t5", "mbart"])
def test_saliency_is_of_both_readings(name, made):
    case = made(name)
    checkpoint, encoding, half = case.checkpoint, case.encoding, case.n_source
    best = case.trace.token_scores.spans[0]
    score = float(case.trace.token_scores.scores[best.end, 1])
    found = saliency(checkpoint, encoding, target="end", method="lrp")
    assert found.total == pytest.approx(score, rel=1e-4)
    assert abs(found.residual) < 1e-3 * max(1, abs(score))
    facts, ids = checkpoint.tokenizer.facts, encoding.inputs["input_ids"]
    baseline, blank = ("pad", facts.pad) if facts.mask is None else ("mask", facts.mask)
    removed = saliency(checkpoint, encoding, target="end", method="occlusion", baseline=baseline).values
    for token in (1, half + 2):
        changed = torch.from_numpy(np.where(np.arange(len(ids)) == token, blank, ids))[None]
        source, target = changed[:, :half], changed[:, half:]
        with torch.no_grad():
            output = case.eager()(source, torch.ones_like(source), decoder_input_ids=target)
        expected = score - float(output.end_logits[0, best.end - half])
        assert removed[token] == pytest.approx(expected, rel=1e-2, abs=1e-3)
    for method in ("attention_rollout", "influence", "input_gradient_norm"):
        values = saliency(checkpoint, encoding, method=method).values
        assert values[:half].any() and values[half:].any()
    trust = faithfulness(checkpoint, encoding, {"lrp": saliency(checkpoint, encoding, method="lrp")})
    assert trust.whole == pytest.approx(case.trace.token_scores.probabilities[best.start, 0], rel=1e-4)


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_importance_and_removal_are_of_the_probability_of_an_end(name, made):
    checkpoint, encoding, half = made(name).checkpoint, made(name).encoding, made(name).n_source
    root = made(name).trace.root

    def loss(gates):
        with torch.no_grad(), attention_hook.record(gates):
            scores = checkpoint.model(**model_inputs(encoding)).start_logits[0, half:].double()
            return -float(scores.log_softmax(-1)[root - half])

    removal = head_importance(checkpoint, encoding, method="ablation")
    gate = head_importance(checkpoint, encoding, method="gate")
    for layer, head in PRUNED:
        gates, up, down = ones(), ones(), ones()
        gates[layer, head], up[layer, head], down[layer, head] = 0, 1.01, 0.99
        assert removal[layer, head] == pytest.approx(loss(gates) - loss(ones()), rel=1e-3, abs=1e-4)
        if name == "bart":  # T5's random scores are too steep for differences
            slope = (loss(up) - loss(down)) / 0.02
            assert gate[layer, head] == pytest.approx(abs(slope), rel=0.05, abs=5e-3 * gate.max())
    curve = pruning_curve(checkpoint, encoding, steps=2)
    assert curve.score[0, 0] == pytest.approx(np.exp(-loss(ones())), rel=1e-4)
    assert curve.removed.tolist()[-1] == (N_LAYERS + 2 * N_DECODER) * N_HEADS
    assert (head_importance(checkpoint, [encoding, encode(checkpoint, *SHORT)], method="taylor") > 0).any()


def test_contributions_are_shares_of_the_full_jacobian(made):
    case = made("bart")
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


@pytest.mark.parametrize("name", ["bart", "mbart"])
def test_a_card_and_answers_tell_the_words_of_the_text(name, made):
    case = made(name)
    found, scored = predicted(case.checkpoint.head, case.trace, case.encoding), case.trace.token_scores
    best = scored.spans[0]
    assert [(one["token"], one["label"]) for one in found.tokens] == [(best.start, "start"), (best.end, "end")]
    tokens = case.encoding.tokens
    assert found.tokens[0]["text"] == tokens.text[best.start - case.n_source] and found.tokens[0]["meant"]
    inside = tokens.span[scored.tokens(best)]
    assert found.decided.names == (QUESTION[1][inside[0, 0] : inside[-1, 1]],)
    elsewhere = capture(case.checkpoint, case.encoding.at(case.n_source + 1))
    about = predicted(case.checkpoint.head, elsewhere, case.encoding).about
    assert "at the token before" in about and f"An answer starts at “{tokens.text[1].strip('▁')}" in about
    asked = Case(ModelCard.of(case.checkpoint), case.encoding, case.trace)
    told = by_token(asked)
    assert [one["token"] for one in told] == list(range(case.n_source, len(tokens)))
    assert [one["text"] for one in told] == list(tokens.text[: case.n_source])
    assert spans(asked)[0]["text"] == found.decided.names[0] and no_answer(asked) > 0


def test_the_heading_names_the_token_after_which_an_answer_starts(made):
    case = made("bart")
    found = report(case.checkpoint, case.encoding, methods=["input_gradient"])
    model = strips([ExplainedModel("a", "x", found, kind=TASK)], "piece", [{}])["models"][0]
    assert model["about"] == f"score of start after {model['names'][case.trace.root]}"
    assert "in the decoder" in model["about"] or found.position == case.n_source


def test_what_cannot_be_asked_is_refused(made, tmp_path):
    case = made("bart")
    with pytest.raises(TextError, match="write the question as the first sentence"):
        encode(case.checkpoint, QUESTION[0])
    with pytest.raises(SelectionError, match="a token of the source, which predicts nothing"):
        saliency(case.checkpoint, case.encoding, position=1)
    plain = make_checkpoint(tmp_path / "plain", "bart", task="seq2seq-lm")
    bare = load_checkpoint(edited_config(plain, tmp_path / "it", architectures=["BartForQuestionAnswering"]))
    assert bare.reads_again and not bare.head.trained and "lacks its weights" in bare.head.reason
    trace = capture(bare, encode(bare, *QUESTION))
    assert trace.token_scores is None and trace.root == len(trace.tokens) - 1
    other = load_checkpoint(make_checkpoint(tmp_path / "pegasus", "pegasus", task="seq2seq-lm"))
    assert not other.reads_again


def test_many_questions_are_read_as_each_is(made):
    case = made("bart")
    found = survey(case.checkpoint, [Text("0", *QUESTION), Text("1", *SHORT)])
    own = capture(case.checkpoint, encode(case.checkpoint, *SHORT))
    np.testing.assert_allclose(found.hidden[:, 1], own.hidden[:, own.root], rtol=1e-2, atol=1e-2)
