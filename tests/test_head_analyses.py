"""Analyses of heads: what the page and programs are told equals what the library computes."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import (
    AttentionEntropy,
    SelectionError,
    capture,
    encode,
    head_importance,
    head_interactions,
    load_checkpoint,
    normalise_importance,
    pruning_curve,
    ranking,
)
from attnflow.service.analyses import statistics
from attnflow.service.analyses.heads import CURVE, IMPORTANCE, INTERACTIONS, least_important, root_shift
from attnflow.service.analyses.statistics import HEAD_TABLES
from attnflow.service.workspace import workspace
from attnflow.web.examples import load_examples

EXAMPLE = load_examples()[0]
TEXTS = (EXAMPLE.text_a, EXAMPLE.text_b)


@pytest.fixture(scope="module")
def run():
    return workspace.case("demo/finetuned", *TEXTS)


@pytest.fixture(scope="module")
def checkpoint():
    return load_checkpoint("demo/finetuned")


@pytest.mark.parametrize("method", ["taylor", "gate", "ablation"])
def test_importance_of_a_pair_is_that_of_the_library_and_follows_what_is_off(method, run, checkpoint):
    encoding = encode(checkpoint, *TEXTS)
    view = run.ask(IMPORTANCE, method=method)
    np.testing.assert_allclose(view.values, head_importance(checkpoint, encoding, method=method), rtol=1e-5, atol=1e-7)
    assert (view.method, view.quantity, view.target, view.note) == (method, "loss", "unsupported", "")
    pruned = workspace.without(run, [(0, 1)])
    expected = head_importance(checkpoint, encoding, method=method, pruned=[(0, 1)])
    np.testing.assert_allclose(pruned.ask(IMPORTANCE, method=method).values, expected, rtol=1e-5, atol=1e-7)
    assert run.ask(IMPORTANCE, method=method) is view, "computed once"


def test_without_a_task_the_shift_of_the_root_is_measured_and_said():
    run = workspace.case("demo/pretrained", *TEXTS)
    for method in ("taylor", "ablation"):
        view = run.ask(IMPORTANCE, method=method)
        assert (view.method, view.quantity, view.target) == ("ablation", "root-shift", None)
        assert "predicts masked words, and there is none here" in view.note
    pruned = workspace.without(run, [(2, 1)])
    assert view.values[2, 1] == pytest.approx(root_shift(run, pruned), rel=1e-3)


def test_curves_and_interactions_are_those_of_the_library(run, checkpoint):
    encoding = encode(checkpoint, *TEXTS)
    view = workspace.without(run, [(0, 0)]).ask(CURVE, order="ablation", steps=4)
    expected = pruning_curve(checkpoint, encoding, order="ablation", steps=4)
    assert view.chosen.heads == expected.heads, "a curve starts from the whole model"
    np.testing.assert_allclose(view.chosen.score, expected.score, rtol=1e-5)
    assert view.random.score.shape == (8, 5)
    assert run.ask(CURVE, order="gate", steps=4).chosen.heads != view.chosen.heads
    by_layer = run.ask(CURVE, order="gate", steps=4, scale="layer").chosen
    scaled = normalise_importance(head_importance(checkpoint, encoding, method="gate"), "layer")
    assert (
        by_layer.heads == (ranking(scaled),) != run.ask(CURVE, order="gate", steps=4).chosen.heads
        and by_layer.order == "gate"
    )
    assert len(run.ask(CURVE, order="ablation", steps=2).chosen.removed) == 3
    found = workspace.without(run, [(0, 0)]).ask(INTERACTIONS, layer=1, head=1).found
    direct = head_interactions(checkpoint, encoding, (1, 1), pruned=[(0, 0)])
    np.testing.assert_allclose(found.interaction, direct.interaction, atol=1e-6)
    assert found.interaction[0, 0] == pytest.approx(0, abs=1e-6)
    bare = workspace.case("demo/pretrained", *TEXTS)
    assert bare.ask(CURVE, order="taylor", steps=4).chosen.order == "ablation"
    assert bare.ask(CURVE, order="taylor", steps=4).note


def test_the_least_important_heads_that_are_still_on_go_next(run):
    pruned = workspace.without(run, [(3, 3), (0, 1)])
    view = pruned.ask(IMPORTANCE, method="gate")
    found = least_important(view.values, pruned, 3)
    new = found - {(3, 3), (0, 1)}
    assert len(found) == 5
    kept = [view.values[layer, head] for layer in range(4) for head in range(4) if (layer, head) not in found]
    assert max(view.values[head] for head in new) <= min(kept)
    assert len(least_important(view.values, pruned, 100)) == 16
    with pytest.raises(SelectionError, match="whole number from 1"):
        least_important(view.values, pruned, 0)


def test_all_heads_off_is_answered(run):
    empty = workspace.without(run, [(layer, head) for layer in range(4) for head in range(4)])
    for method in ("taylor", "gate", "ablation"):
        assert not empty.ask(IMPORTANCE, method=method).values.any()
    assert empty.trace.probabilities.sum() == pytest.approx(1)
    assert not empty.ask(INTERACTIONS, layer=0, head=0).found.interaction.any()


def test_the_spread_of_attention_is_that_of_the_library_for_a_text_and_over_the_bundled_pairs(run, checkpoint):
    table = HEAD_TABLES["entropy"]
    one = AttentionEntropy().update(run.trace.attention, root=run.trace.root).result()
    np.testing.assert_array_equal(table.table(run.ask(table.of_text)), one.whole)
    found, many = run.ask(table.over_texts), AttentionEntropy()
    for encoding in statistics.bundled(checkpoint):
        many.update(capture(checkpoint, encoding).attention, root=0)
    np.testing.assert_allclose(table.table(found), many.result().whole, rtol=1e-6)
    assert found.n == statistics.SET_SIZE
    assert run.ask(table.over_texts) is found, "computed once"
    pruned = workspace.without(run, [(0, 0)])
    assert not np.allclose(table.table(pruned.ask(table.over_texts)), table.table(found)), "it follows what is off"
