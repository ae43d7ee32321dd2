"""Heads that score each token: what is recorded is what transformers computes, and each token can be the root."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from attnflow import (
    SelectionError,
    TextError,
    attention_graph,
    capture,
    encode,
    expected_tokens,
    faithfulness,
    head_importance,
    load_checkpoint,
    merge_words,
    pruning_curve,
    saliency,
)
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.target import choose_target
from attnflow.records.token_scores import LONGEST_ANSWER, Span, answer_ends
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.token_scores import roots_of
from tests import reference
from tests.checkpoints import PAIR, edited_config, make_checkpoint

ANSWERING = ["roberta", "distilbert", "electra", "modernbert", "deberta-v2", "llama"]
LABELLING = ["distilbert", "modernbert", "gpt2", "deberta-v2"]
QUESTION = ("Who has the book?", "Anna gave the old book to a friend because he wanted to read it.")
SHORT = ("Who?", "Anna gave it.")


def plain_output(checkpoint, encoding):
    """What transformers' own class gives."""
    with torch.inference_mode():
        return checkpoint.model(**model_inputs(encoding))


def a_class(folder, name, task):
    return load_checkpoint(make_checkpoint(folder / name, name, task=task))


@pytest.mark.parametrize("name", ["bert", *LABELLING])
def test_classes_of_tokens_are_those_of_transformers(name, tasks, tmp_path):
    task = "token-classification"
    checkpoint = tasks[task] if name == "bert" else a_class(tmp_path, name, task)
    encodings = [encode(checkpoint, *PAIR), encode(checkpoint, *SHORT)]
    for encoding, trace in zip(encodings, capture(checkpoint, encodings), strict=True):
        expected = plain_output(checkpoint, encoding).logits[0].numpy()
        found = trace.token_scores
        np.testing.assert_allclose(found.scores, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.probabilities, reference.token_probabilities(found.scores), rtol=1e-6)
        assert found.labels == ("no", "perhaps", "yes") and not found.scores.flags.writeable
        assert found.predicted.tolist() == expected.argmax(-1).tolist()
        assert trace.scores is None and merge_words(trace).token_scores is None


@pytest.mark.parametrize("name", ["bert", *ANSWERING])
def test_answers_are_those_of_transformers(name, tasks, tmp_path):
    task = "question-answering"
    checkpoint = tasks[task] if name == "bert" else a_class(tmp_path, name, task)
    assert checkpoint.head.trained and checkpoint.head.labels == ("start", "end")
    encodings = [encode(checkpoint, *QUESTION), encode(checkpoint, *SHORT)]
    for encoding, trace in zip(encodings, capture(checkpoint, encodings), strict=True):
        output = plain_output(checkpoint, encoding)
        start, end = output.start_logits[0].numpy(), output.end_logits[0].numpy()
        found, context = trace.token_scores, np.flatnonzero(encoding.tokens.sentence == 1).tolist()
        np.testing.assert_allclose(found.scores, np.stack((start, end), 1), rtol=1e-4, atol=1e-5)
        best = reference.answer_spans(*found.scores.T, context, LONGEST_ANSWER)[: len(found.spans)]
        assert [(one.start, one.end) for one in found.spans] == [one[:2] for one in best]
        np.testing.assert_allclose([(one.score, one.probability) for one in found.spans], [one[2:] for one in best])
        np.testing.assert_allclose(found.probabilities.sum(0), 1)
        assert trace.root == found.spans[0].start
        start_of, end_of = (choose_target(checkpoint, encoding, name) for name in ("start", "end"))
        assert (start_of.position, end_of.position) == (found.spans[0].start, found.spans[0].end)
        loss = -float(torch.log_softmax(output.end_logits[0], 0)[end_of.position])
        logits = torch.stack((output.start_logits, output.end_logits), -1)
        assert float(-end_of.log_probability(logits)[0]) == pytest.approx(loss, rel=1e-5)


def test_an_answer_is_bounded_and_lies_in_the_context():
    scores = np.zeros((6, 2), np.float32)
    scores[0] = 9  # outside of the context
    scores[5, 0], scores[1, 1] = 5, 5  # each best, and together backwards
    scores[1, 0], scores[4, 1] = 4, 4
    context = np.array([False, *[True] * 5])
    assert (answer_ends(scores, context).spans[0].start, answer_ends(scores, context).spans[0].end) == (1, 1)
    scores[1, 1] = 0
    assert answer_ends(scores, context).spans[0].end == 4
    assert max(one.end - one.start for one in answer_ends(scores, context, longest=3).spans) == 2
    assert answer_ends(scores, np.zeros(6, bool)).spans == ()
    assert answer_ends(scores, context).no_answer == pytest.approx(
        reference.token_probabilities(scores.T)[0][0] ** 2, 0.1
    )
    assert isinstance(answer_ends(scores, context).spans[0], Span)


@pytest.mark.parametrize("task", ["token-classification", "question-answering", "causal-lm", "masked-lm"])
def test_any_token_can_be_the_root_of_everything(task, tasks):
    checkpoint = tasks[task]
    plain = encode(checkpoint, "Who gave [MASK] the book?" if task == "masked-lm" else QUESTION[0], QUESTION[1])
    encoding = plain.at(7)
    trace, usual = capture(checkpoint, encoding), capture(checkpoint, plain)
    assert trace.root == 7 != usual.root
    np.testing.assert_array_equal(trace.attention, usual.attention)
    assert np.flatnonzero(attention_graph(trace, 0.1).rings[-1]).tolist() == [7]
    target = choose_target(checkpoint, encoding)
    assert target.position == 7
    # The library's older way, a position beside the text, says the same.
    for method in ("input_gradient", "attention_rollout"):
        beside = saliency(checkpoint, plain, method=method, position=7)
        np.testing.assert_allclose(saliency(checkpoint, encoding, method=method).values, beside.values, rtol=1e-5)
    output = plain_output(checkpoint, plain)
    logits = torch.stack((output.start_logits, output.end_logits), -1) if "start_logits" in output else output.logits
    whole = float(-target.log_probability(logits)[0])
    removed = capture(checkpoint, encoding, pruned=[(1, 2)])
    assert removed.root == 7
    importance = head_importance(checkpoint, encoding, method="ablation")
    gated = head_importance(checkpoint, [encoding, encode(checkpoint, *PAIR).at(3)], method="gate")
    assert importance.shape == gated.shape == (3, 4) and (gated > 0).any()
    if trace.token_scores is not None:
        without = -float(target.log_probability(torch.from_numpy(removed.token_scores.scores.copy())[None])[0])
        assert importance[1, 2] == pytest.approx(without - whole, rel=1e-3, abs=1e-5)
    curve = pruning_curve(checkpoint, encoding, steps=2)
    assert curve.score[0, 0] == pytest.approx(np.exp(-whole), rel=1e-4)
    trust = faithfulness(
        checkpoint, encoding, {"input_gradient": saliency(checkpoint, encoding, method="input_gradient")}
    )
    assert trust.whole == pytest.approx(np.exp(-whole), rel=1e-4)


def test_an_end_is_the_target_where_the_token_is_the_end_of_the_best_answer(tasks):
    checkpoint = tasks["question-answering"]
    encoding = encode(checkpoint, *QUESTION)
    best = next(one for one in capture(checkpoint, encoding).token_scores.spans)
    assert choose_target(checkpoint, encoding.at(best.end)).name == ("end" if best.end != best.start else "start")
    assert choose_target(checkpoint, encoding.at(best.start)).name == "start"
    values = saliency(checkpoint, encoding, target="end", method="integrated_gradients")
    assert values.target == "end" and abs(values.residual) < 0.05 * abs(values.total) + 0.05


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["token-classification", "question-answering"])
def test_every_method_of_saliency_answers(task, method, tasks):
    checkpoint = tasks[task]
    encoding = encode(checkpoint, *SHORT).at(5)
    found = saliency(checkpoint, encoding, method=method)
    assert found.values.shape == (len(encoding.tokens),) and np.isfinite(found.values).all()
    if method in ("integrated_gradients", "lrp"):  # the others promise no sum
        assert abs(found.residual) < 0.05 * abs(found.total) + 0.05


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_what_a_causal_model_expects(name, tasks, tmp_path):
    checkpoint = tasks["causal-lm"] if name == "gpt2" else a_class(tmp_path, name, "causal-lm")
    encoding = encode(checkpoint, *SHORT)
    found, logits = expected_tokens(checkpoint, encoding, most=3), plain_output(checkpoint, encoding).logits[0].numpy()
    ids = encoding.inputs["input_ids"].tolist()
    assert found.position.tolist() == list(range(len(ids)))
    for position, real in enumerate([*ids[1:], None]):
        best, chance, rank = reference.expected_after(logits[position], real, 3)
        assert found.entry[position].tolist() == [entry for entry, _ in best]
        np.testing.assert_allclose(found.probabilities[position], [p for _, p in best], rtol=1e-4)
        np.testing.assert_allclose(found.following[position], chance, rtol=1e-4)
        assert found.rank[position] == rank
    fewer = expected_tokens(checkpoint, encoding, most=3, pruned=[(2, 1)])
    assert not np.allclose(fewer.scores, found.scores)
    again = expected_tokens(checkpoint, encoding, most=3)
    np.testing.assert_array_equal(again.scores, found.scores)


def test_what_a_masked_model_expects_at_each_mask(tasks):
    checkpoint = tasks["masked-lm"]
    encoding = encode(checkpoint, "Anna gave [MASK] book.", "He [MASK] it.")
    found, logits = expected_tokens(checkpoint, encoding), plain_output(checkpoint, encoding).logits[0].numpy()
    assert [encoding.tokens.piece[position] for position in found.position] == ["[MASK]", "[MASK]"]
    for row, position in enumerate(found.position.tolist()):
        best, *_ = reference.expected_after(logits[position], None, 5)
        assert found.entry[row].tolist() == [entry for entry, _ in best]
        np.testing.assert_allclose(found.probabilities[row], [p for _, p in best], rtol=1e-4)
        assert choose_target(checkpoint, encoding.at(position)).index == found.entry[row, 0]
    assert found.following is None and found.row(found.position[1]) == 1 and found.row(0) is None
    assert len(expected_tokens(checkpoint, encode(checkpoint, *PAIR)).position) == 0
    assert expected_tokens(checkpoint, encode(checkpoint, *PAIR).at(4)).position.tolist() == [4]


def test_over_many_texts_the_root_of_an_answer_is_its_start(tasks):
    checkpoint = tasks["question-answering"]
    encodings = [encode(checkpoint, *QUESTION), encode(checkpoint, *SHORT)]
    alone = [capture(checkpoint, one) for one in encodings]
    logits = torch.zeros(2, max(len(one.tokens) for one in encodings), 2)
    for row, trace in zip(logits, alone, strict=True):
        row[: len(trace.tokens)] = torch.from_numpy(trace.token_scores.scores.copy())
    assert roots_of(checkpoint, encodings, logits) == [trace.root for trace in alone]


@pytest.mark.parametrize(
    ("task", "ask", "says"),
    [
        ("question-answering", lambda c: encode(c, "Who?"), "write the question as the first sentence"),
        ("token-classification", lambda c: encode(c, *SHORT).at(99), "position is 99; this text has"),
        ("regression", lambda c: capture(c, encode(c, *SHORT).at(2)), "classifies the whole text"),
        ("none", lambda c: capture(c, encode(c, *SHORT).at(2)), "no trained task head, so it predicts nothing of a"),
        ("question-answering", lambda c: choose_target(c, encode(c, *SHORT), "middle"), "are 'start', 'end'"),
        ("token-classification", lambda c: expected_tokens(c, encode(c, *SHORT)), "no trained language model"),
        ("causal-lm", lambda c: expected_tokens(c, encode(c, *SHORT), most=0), "most is 0"),
    ],
)
def test_what_a_task_does_not_have_is_said(task, ask, says, tasks):
    with pytest.raises((SelectionError, TextError), match=says):
        ask(tasks[task])


def test_a_head_that_does_not_answer_as_others_do_is_told(tmp_path):
    """XLNet's own head looks for the end given the start; one without weights, or with three scores, is none."""
    simple = make_checkpoint(tmp_path / "simple", "xlnet", task="question-answering")
    assert load_checkpoint(simple).head.trained
    bare = make_checkpoint(tmp_path / "bare", "xlnet", task="none")
    beam = load_checkpoint(edited_config(bare, tmp_path / "beam", architectures=["XLNetForQuestionAnswering"])).head
    assert not beam.trained and "looks for the end of an answer given its start" in beam.reason
    bert = make_checkpoint(tmp_path / "bert", task="none")
    empty = load_checkpoint(edited_config(bert, tmp_path / "empty", architectures=["BertForQuestionAnswering"])).head
    assert (empty.kind, empty.trained) == ("question-answering", False) and "lacks its weights" in empty.reason
    three = make_checkpoint(tmp_path / "three", task="question-answering", num_labels=3)
    assert "asks for 3 scores" in load_checkpoint(three).head.reason


def test_a_long_text_is_searched_for_answers_in_memory_that_grows_with_it():
    scores = np.random.default_rng(0).normal(size=(3_000, 2)).astype(np.float32)
    tracemalloc.start()
    try:
        found = answer_ends(scores, np.ones(len(scores), bool))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.spans and most < 30e6
