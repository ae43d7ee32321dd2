"""Targets: the score that is explained is the one that was asked for, and what cannot be explained is said."""

from __future__ import annotations

import copy

import pytest
import torch

from attnflow import CheckpointError, SelectionError, encode, head_importance
from attnflow.methods.target import Target, choose_target
from attnflow.runtime.capture import model_inputs
from tests.checkpoints import PAIR


def logits(checkpoint, encoding):
    with torch.inference_mode():
        return checkpoint.model(**model_inputs(encoding)).logits


@pytest.mark.parametrize("target", ["perhaps", " Perhaps ", 1, "1"])
def test_a_class_by_label_or_number(checkpoints, target):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    chosen = choose_target(checkpoint, encoding, target)
    assert (chosen.kind, chosen.index, chosen.name, chosen.position) == ("class", 1, "perhaps", None)
    scores = logits(checkpoint, encoding)
    assert chosen.score(scores) == scores[:, 1]
    torch.testing.assert_close(chosen.log_probability(scores).exp(), scores.softmax(-1)[:, 1])


def test_the_predicted_class_by_default(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    assert choose_target(checkpoint, encoding).index == int(logits(checkpoint, encoding)[0].argmax())


def test_a_masked_token_is_read_at_the_mask(tasks):
    checkpoint = tasks["masked-lm"]
    encoding = encode(checkpoint, "Anna gave [MASK] book to a friend.", "He read it.")
    chosen = choose_target(checkpoint, encoding, "the")
    assert encoding.tokens.piece[chosen.position] == "[MASK]"
    scores = logits(checkpoint, encoding)
    torch.testing.assert_close(chosen.score(scores)[0], scores[0, chosen.position, chosen.index])
    assert checkpoint.tokenizer.pieces([chosen.index])[0] == chosen.name == "the"
    predicted = choose_target(checkpoint, encoding)
    assert predicted.index == int(scores[0, predicted.position].argmax())
    with pytest.raises(SelectionError, match=r"write \[MASK\] in the sentence"):
        choose_target(checkpoint, encode(checkpoint, *PAIR))
    assert choose_target(checkpoint, encode(checkpoint, *PAIR), "the", position=3).position == 3


def test_the_next_token_is_read_at_the_last(tasks):
    checkpoint = tasks["causal-lm"]
    encoding = encode(checkpoint, "Anna gave the old")
    chosen = choose_target(checkpoint, encoding, "book")
    assert (chosen.kind, chosen.position) == ("next-token", len(encoding.tokens) - 1)
    assert checkpoint.tokenizer.tokenizer.decode([chosen.index]).strip() == "book"
    with pytest.raises(SelectionError, match="is not one token of causal-lm, which cuts it into"):
        choose_target(checkpoint, encoding, "unbelievable")


def test_a_class_of_a_token(tasks):
    checkpoint = tasks["token-classification"]
    encoding = encode(checkpoint, *PAIR)
    chosen = choose_target(checkpoint, encoding, "yes", position=4)
    scores = logits(checkpoint, encoding)
    assert chosen.score(scores) == scores[:, 4, 2]
    assert choose_target(checkpoint, encoding, "yes").position == 1


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("bert", {"target": "maybe"}, "There is no target 'maybe'; the classes are 'no', 'perhaps', 'yes'"),
        ("bert", {"target": 3}, "There is no target '3'"),
        ("bert", {"target": True}, "There is no target 'True'"),
        ("bert", {"position": 1}, "classifies the whole text, so leave it out"),
        ("none", {}, "has no trained task head"),
        ("masked-lm", {"target": 10**6, "position": 1}, "There is no token number 1000000"),
        ("masked-lm", {"target": 1.5, "position": 1}, "give a token"),
        ("causal-lm", {"position": 99}, "this text has .* tokens, so give 0 to"),
    ],
)
def test_bad_targets_are_named(checkpoints, tasks, name, arguments, message):
    checkpoint = tasks.get(name) or checkpoints[name]
    with pytest.raises(SelectionError, match=message):
        choose_target(checkpoint, encode(checkpoint, *PAIR), **arguments)


def test_the_probability_is_that_of_the_problem():
    scores = torch.tensor([[2.0, -1.0, 0.5]])
    expected = {"single_label": scores.softmax(-1), "multi_label": scores.sigmoid(), "regression": scores.exp()}
    for problem, chances in expected.items():
        target = Target("class", 1, "no", None, problem)
        torch.testing.assert_close(target.log_probability(scores).exp(), chances[:, 1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["masked-lm", "regression", "token-classification"])
def test_scores_that_are_not_finite_are_told_whatever_is_asked_for(tasks, name, bad):
    """With a label, too, which needs no prediction to be read off."""
    broken = copy.deepcopy(tasks[name])
    head = broken.model.cls.predictions if name == "masked-lm" else broken.model.classifier
    torch.nn.init.constant_(head.bias, bad)
    encoding = encode(broken, "Anna gave [MASK] a book.")
    label = {"masked-lm": 7, "regression": 0.5, "token-classification": 1}[name]
    for method in ("gate", "ablation"):
        for one in (None, label):
            with pytest.raises(CheckpointError, match="not finite"):
                head_importance(broken, encoding, [one], method=method)
