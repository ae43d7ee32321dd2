"""Pruning curves and interactions are what runs without those heads give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from attnflow import SelectionError, capture, encode, head_importance, head_interactions, pruning_curve, ranking
from tests.checkpoints import N_HEADS, N_LAYERS, PAIR

HEADS = list(itertools.product(range(N_LAYERS), range(N_HEADS)))
TEXTS = (PAIR, ("He read it.", None), ("The train left late this morning.", "It left at 9.45."))


def runs_without(checkpoint, encoding, heads):
    return capture(checkpoint, encoding, pruned=heads).probabilities


def check_points(curve, checkpoint, encodings, labels):
    """Each point of each run, from a run of its own for each example."""
    for run, heads in enumerate(curve.heads):
        assert sorted(heads) == HEADS
        for point, gone in enumerate(curve.removed):
            found = [runs_without(checkpoint, encoding, heads[:gone]) for encoding in encodings]
            of_label = [row[label] for row, label in zip(found, labels, strict=True)]
            np.testing.assert_allclose(curve.score[run, point], np.mean(of_label), rtol=1e-4, atol=1e-6)
            if curve.accuracy is not None:
                right = [row.argmax() == label for row, label in zip(found, labels, strict=True)]
                assert curve.accuracy[run, point] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("order", ["taylor", "gate", "ablation"])
def test_a_curve_by_importance_removes_the_least_important_first(checkpoints, order):
    checkpoint, labels = checkpoints["bert"], [0, 2, 1]
    encodings = [encode(checkpoint, *texts) for texts in TEXTS]
    curve = pruning_curve(checkpoint, encodings, labels, order=order, steps=5)
    assert curve.order == order and curve.removed.tolist() == [0, 2, 5, 7, 10, 12]
    importance = head_importance(checkpoint, encodings, labels, method=order)
    assert curve.heads == (ranking(importance),)
    in_order = [importance[head] for head in curve.heads[0]]
    assert in_order == sorted(in_order)
    check_points(curve, checkpoint, encodings, labels)
    assert curve.measure == "probability"


def test_random_order_has_several_runs_that_a_seed_repeats(checkpoints):
    checkpoint = checkpoints["roberta"]
    encodings = [encode(checkpoint, *texts) for texts in TEXTS[:2]]
    curve = pruning_curve(checkpoint, encodings, order="random", runs=3, steps=3)
    again = pruning_curve(checkpoint, encodings, order="random", runs=3, steps=3)
    assert len(set(curve.heads)) == 3 and curve.heads == again.heads
    assert pruning_curve(checkpoint, encodings, order="random", runs=3, steps=3, seed=1).heads != curve.heads
    predicted = [int(runs_without(checkpoint, encoding, []).argmax()) for encoding in encodings]
    assert curve.accuracy is None
    check_points(curve, checkpoint, encodings, predicted)
    with pytest.raises(SelectionError, match="no accuracy"):
        curve.area("accuracy")


def test_greedy_order_takes_what_costs_least_on_top_of_what_is_gone(checkpoints):
    checkpoint = checkpoints["bert"]
    encodings, labels = [encode(checkpoint, *texts) for texts in TEXTS[:2]], [0, 2]
    curve = pruning_curve(checkpoint, encodings, labels, order="greedy")

    def loss(heads):
        rows = [runs_without(checkpoint, encoding, heads) for encoding in encodings]
        return -sum(np.log(row[label]) for row, label in zip(rows, labels, strict=True))

    for gone in range(len(HEADS) - 1):
        taken = list(curve.heads[0][: gone + 1])
        costs = {head: loss([*taken[:-1], head]) for head in HEADS if head not in taken[:-1]}
        assert costs[taken[-1]] <= min(costs.values()) + 1e-5
    check_points(curve, checkpoint, encodings, labels)
    wide = pruning_curve(checkpoint, encodings, labels, order="greedy", steps=4)
    assert wide.removed.tolist() == [0, 3, 6, 9, 12] and sorted(wide.heads[0]) == HEADS


def test_a_given_order_and_the_area(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    curve = pruning_curve(checkpoint, encoding, "yes", order=HEADS[::-1], steps=2)
    assert curve.order == "given" and curve.heads == (tuple(HEADS[::-1]),)
    (a, b, c) = curve.score[0]
    assert curve.area()[0] == pytest.approx((a + b) / 4 + (b + c) / 4)
    assert curve.accuracy.shape == (1, 3)


def test_interaction_is_the_pair_minus_both_alone(checkpoints):
    checkpoint, chosen = checkpoints["bert"], (1, 2)
    encoding = encode(checkpoint, *PAIR)
    found = head_interactions(checkpoint, encoding, chosen, "yes")

    def loss(*heads):
        return -float(np.log(runs_without(checkpoint, encoding, heads)[2]))

    expected = np.zeros((N_LAYERS, N_HEADS))
    for head in HEADS:
        if head != chosen:
            expected[head] = loss(chosen, head) - loss(chosen) - loss(head) + loss()
    np.testing.assert_allclose(found.interaction, expected, rtol=1e-3, atol=5e-6)
    assert found.interaction[chosen] == 0 and np.abs(expected).max() > 1e-3
    swapped = head_interactions(checkpoint, encoding, (0, 3), "yes")
    assert swapped.interaction[chosen] == pytest.approx(found.interaction[0, 3], abs=5e-6)


def test_what_cannot_be_asked_is_said(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    for options, reason in (
        ({"order": "best"}, "no order 'best'; choose taylor, gate, ablation, greedy, random"),
        ({"order": HEADS[1:]}, "must name each of the 12 heads once"),
        ({"order": [*HEADS[1:], HEADS[1]]}, "must name each of the 12 heads once"),
        ({"order": [*HEADS[1:], (9, 9)]}, "not a head of this checkpoint"),
        ({"steps": 0}, "steps is 0; give a whole number from 1 to 12"),
        ({"runs": 1000}, "runs is 1000"),
        ({"labels": "nothing"}, "There is no target 'nothing'"),
    ):
        with pytest.raises(SelectionError, match=reason):
            pruning_curve(checkpoint, encoding, **options)
    with pytest.raises(SelectionError, match="not a head"):
        head_interactions(checkpoint, encoding, (3, 0))
