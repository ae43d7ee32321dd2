"""Faithfulness: removal does what it says, the truth beats chance, and chance does not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from attnflow import SelectionError, encode, faithfulness, saliency
from attnflow.methods.saliency.erasure import FRACTIONS, RANKINGS, measure
from attnflow.methods.saliency.report import report
from attnflow.methods.score_function import ask
from attnflow.runtime.capture import model_inputs
from tests.checkpoints import PAIR


def slow(checkpoint, encoding, values, target, unit):
    """Every text by itself, by its ids and its attention mask: `[way, kind, fraction]`."""
    inputs, pieces = model_inputs(encoding), {}
    for t in range(len(values)):
        if encoding.tokens.sentence[t] >= 0:
            pieces.setdefault(encoding.tokens.word[t] if unit == "word" else t, []).append(t)
    words = list(pieces)
    order = sorted(words, key=lambda w: -sum(values[t] for t in pieces[w]))

    def probability(**changed):
        with torch.inference_mode():
            return float(checkpoint.model(**{**inputs, **changed}).logits[0].double().softmax(-1)[target])

    result = np.zeros((2, 2, len(FRACTIONS)))
    for f, fraction in enumerate(FRACTIONS):
        top = int(np.ceil(fraction * len(words)))
        for kind, chosen in enumerate((order[:top], order[top:])):
            removed = [t for w in chosen for t in pieces[w]]
            ids, mask = inputs["input_ids"].clone(), inputs["attention_mask"].clone()
            ids[0, removed] = checkpoint.tokenizer.facts.mask
            mask[0, removed] = 0
            result[0, kind, f] = probability() - probability(input_ids=ids)
            result[1, kind, f] = probability() - probability(attention_mask=mask)
    return result


@pytest.mark.parametrize("unit", ["word", "piece"])
@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "albert", "electra", "modernbert"])
def test_removal_equals_texts_changed_one_by_one(checkpoints, name, unit):
    checkpoint = checkpoints[name]
    encoding = encode(checkpoint, *PAIR)
    split = (np.bincount(encoding.tokens.word) > 1).sum()
    assert split >= 2, "words of several pieces are what tells the two apart"
    values = np.random.default_rng(3).normal(size=len(encoding.tokens))
    found = faithfulness(checkpoint, encoding, values, target="yes", unit=unit)
    assert found.ranked == unit
    expected = slow(checkpoint, encoding, values, 2, unit)
    np.testing.assert_allclose(found.comprehensiveness[0], expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.sufficiency[0], expected[:, 1], atol=1e-5)
    assert np.abs(expected).min(axis=-1).max() > 1e-4
    assert found.merit[0] == pytest.approx((expected[:, 0] - expected[:, 1]).mean(), abs=1e-5)


def test_tokens_are_left_out_only_where_the_layers_do_not_count_them(checkpoints):
    for text in (PAIR, ("a",), ("a a",)):
        order = {name: ask(c, encode(c, *text), "yes")._order_is_in_input for name, c in checkpoints.items()}
        inside = {"bert", "roberta", "distilbert", "albert", "electra"}
        assert {name for name, told in order.items() if told} == inside, text


def test_several_at_once_are_as_one_by_one(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    found = {m: saliency(checkpoint, encoding, target="yes", method=m) for m in ("lrp", "influence", "occlusion")}
    together = faithfulness(checkpoint, encoding, found, target="yes")
    assert together.names == tuple(found)
    for row, one in enumerate(found.values()):
        alone = faithfulness(checkpoint, encoding, one, target="yes")
        np.testing.assert_allclose(alone.comprehensiveness[0], together.comprehensiveness[row], atol=1e-5)
        np.testing.assert_allclose(alone.sufficiency[0], together.sufficiency[row], atol=1e-5)
        np.testing.assert_allclose(alone.random_merit, together.random_merit, atol=1e-5)
    again = faithfulness(checkpoint, encoding, found, target="yes")
    assert np.array_equal(again.merit, together.merit)
    assert together.random_comprehensiveness.shape == (RANKINGS, 2, len(FRACTIONS))


def worked_out_by_hand(weights):
    """A question whose probability is the sigmoid of the sum of the weights of the words that are there, less 100."""

    def scores(removed, way, *, probability):
        assert probability
        return 1 / (1 + np.exp(100 - ~removed @ weights))

    words = np.ones(len(weights), bool)
    words[[0, -1]] = False
    return SimpleNamespace(
        words=words,
        scores=scores,
        explained=SimpleNamespace(problem="single_label", name="yes"),
        baseline="mask",
        encoding=SimpleNamespace(tokens=SimpleNamespace(word=np.arange(len(weights)))),
    )


def test_the_words_that_decide_beat_chance_and_their_opposite_does_not():
    weights = np.random.default_rng(1).normal(size=20)
    weights[0] = weights[-1] = 50.0  # special tokens, which are never removed, or they would decide everything
    question = worked_out_by_hand(weights)
    found = measure(question, {"truth": weights, "opposite": -weights, "constant": np.zeros(20)}, seed=1)
    assert found.beats_random.tolist() == [True, False, False]
    assert found.merit[0] > found.random_merit.max() and found.merit[1] < found.random_merit.min()
    assert found.random_merit.std() > 0
    top = np.argsort(-weights[1:-1])[:2] + 1  # 10 % of 18 words, rounded up
    left = weights.sum() - weights[top].sum() - 100
    expected = found.whole - 1 / (1 + np.exp(-left))
    np.testing.assert_allclose(found.comprehensiveness[0, :, 0], expected)
    np.testing.assert_allclose(found.sufficiency[0, :, 0], found.whole - 1 / (1 + np.exp(-weights[top].sum())))
    assert found.unit == "probability"


def test_the_words_that_decide_beat_chance_whatever_it_is_compared_with_but_for_one_in_five():
    weights = np.random.default_rng(1).normal(size=20)
    weights[0] = weights[-1] = 50.0
    given = {"truth": weights, "opposite": -weights, "constant": np.zeros(20)}
    found = [measure(worked_out_by_hand(weights), given, seed) for seed in range(200)]
    truth, opposite, constant = np.mean([one.beats_random for one in found], axis=0)
    assert truth > 0.8 and opposite == 0 and constant < 0.1, "eight rankings tell little, and their bounds are wide"
    assert all(one.merit[0] > one.random_merit.max() and one.merit[1] < one.random_merit.min() for one in found)


@pytest.mark.parametrize("size", [12, 30])
def test_a_random_explanation_beats_random_in_five_of_a_hundred_cases(size):
    rng, beaten = np.random.default_rng(size), []
    for seed in range(300):
        weights = np.concatenate(([50.0], rng.normal(size=size), [50.0]))
        random = {str(n): rng.normal(size=size + 2) for n in range(4)}
        beaten += measure(worked_out_by_hand(weights), random, seed).beats_random.tolist()
    assert np.mean(beaten) == pytest.approx(0.05, abs=0.012)


def test_a_unit_is_a_word_or_a_piece(checkpoints):
    encoding = encode(checkpoints["bert"], *PAIR)
    with pytest.raises(SelectionError, match="unit is 'line'; give 'piece' or 'word'"):
        faithfulness(checkpoints["bert"], encoding, np.ones(len(encoding.tokens)), target="yes", unit="line")


def test_ties_are_not_broken_by_position(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    size = len(encoding.tokens)
    ones, pieces = np.ones(size), {"target": "yes", "unit": "piece"}  # a word of two pieces would count double
    flat = faithfulness(checkpoint, encoding, ones, **pieces)
    first = faithfulness(checkpoint, encoding, -np.arange(size), **pieces)
    assert not np.allclose(flat.comprehensiveness, first.comprehensiveness)
    assert np.allclose(flat.merit, faithfulness(checkpoint, encoding, 0 * ones, **pieces).merit)


def test_a_regression_is_measured_by_its_score(checkpoints):
    checkpoint = checkpoints["bert"]
    regression = replace(checkpoint, head=replace(checkpoint.head, problem="regression"))
    encoding = encode(checkpoint, *PAIR)
    found = faithfulness(regression, encoding, np.arange(len(encoding.tokens)), target="yes")
    with torch.inference_mode():
        score = float(checkpoint.model(**model_inputs(encoding)).logits[0, 2])
    assert found.unit == "score" and found.whole == pytest.approx(score, rel=1e-4)


@pytest.mark.parametrize(
    "values",
    [[1.0, 2.0], "text", None, lambda n: [np.nan] * n, lambda n: np.ones((n, 1)), [[1], [2, 3]]],
    ids=["short", "text", "nothing", "not finite", "of two axes", "ragged"],
)
def test_values_that_do_not_fit_are_refused(checkpoints, values):
    encoding = encode(checkpoints["bert"], *PAIR)
    values = values(len(encoding.tokens)) if callable(values) else values
    with pytest.raises(SelectionError, match=r"is no list of .* finite numbers, one for each token"):
        faithfulness(checkpoints["bert"], encoding, {"mine": values}, target="yes")


def test_one_word_cannot_be_ranked(checkpoints):
    found = report(checkpoints["bert"], encode(checkpoints["bert"], "a"), target="yes")
    assert found.verdict == "Every ranking of this text's words does the same, so none can be told from another."
