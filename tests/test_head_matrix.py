"""What the matrix of heads shows: scales from 0 to 1 and means over texts."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import MeanAttention, SelectionError, normalise_importance
from attnflow.stats.mean_attention import places
from tests import reference

VALUES = np.array([[3.0, -4.0, 0.5], [0.0, 0.0, 0.0], [10.0, 20.0, 30.0]])


def test_all_heads_on_one_scale():
    found = normalise_importance(VALUES)
    np.testing.assert_allclose(found, (VALUES + 4) / 34)
    assert (found.min(), found.max()) == (0, 1)
    assert found.argsort(axis=None).tolist() == VALUES.argsort(axis=None).tolist()


def test_each_layer_by_its_norm_then_one_scale():
    found = normalise_importance(VALUES, "layer")
    rows = [row / np.sqrt(sum(x * x for x in row)) if any(row) else row for row in VALUES]
    low, high = np.min(rows), np.max(rows)
    np.testing.assert_allclose(found, [(row - low) / (high - low) for row in rows])
    scaled = normalise_importance(VALUES * [[7], [1], [0.01]], "layer")
    np.testing.assert_allclose(scaled, found, err_msg="the size of a layer must not matter")


def test_equal_heads_are_zero_and_the_input_is_left_alone():
    for scale in ("all", "layer"):
        assert not normalise_importance(np.full((2, 3), 5.0), scale).any()
    values = VALUES.copy()
    normalise_importance(values, "layer")
    np.testing.assert_array_equal(values, VALUES)


def test_places_are_the_share_of_heads_that_matter_less():
    values = np.random.default_rng(3).normal(size=(4, 5)).round(1)
    others = values.size - 1
    expected = [[((values < v).sum() + ((values == v).sum() - 1) / 2) / others for v in row] for row in values]
    np.testing.assert_allclose(places(values), expected)
    np.testing.assert_array_equal(places(np.exp(9 * values)), places(values), err_msg="only the order counts")
    assert places([[7.0]]).tolist() == [[0.0]]


@pytest.mark.parametrize(("values", "scale"), [([1.0, 2.0], "all"), ([[np.nan]], "all"), ([[1.0]], "rows")])
def test_what_is_no_table_or_scale_is_refused(values, scale):
    with pytest.raises(SelectionError):
        normalise_importance(values, scale)


@pytest.fixture
def attentions():
    random = np.random.default_rng(0)
    return [random.dirichlet(np.ones(size), (2, 3, size)) for size in (4, 6, 2, 4)]


def test_each_cell_is_divided_by_how_often_both_positions_exist(attentions):
    mean = MeanAttention()
    for attention in attentions:
        mean.update(attention)
    expected = reference.mean_attention(attentions)
    np.testing.assert_allclose(mean.result(), expected)
    assert not np.isnan(expected[..., :6, :6]).any()
    np.testing.assert_allclose(mean.result()[..., 4:, :].sum(-1), 1, err_msg="rows of the longest text alone")


def test_cells_that_no_text_has_are_missing_and_parts_merge_in_any_order(attentions):
    left, right = MeanAttention(), MeanAttention()
    for attention in attentions[:2]:
        left.update(attention)
    for attention in attentions[2:]:
        right.update(attention)
    both = [MeanAttention(), MeanAttention()]
    for merged, parts in zip(both, ((left, right), (right, left)), strict=True):
        for part in (*parts, MeanAttention()):
            merged.merge(part)
    np.testing.assert_allclose(both[0].result(), reference.mean_attention(attentions))
    np.testing.assert_allclose(both[1].result(), both[0].result())


def test_texts_of_another_model_and_no_text_are_refused(attentions):
    mean = MeanAttention()
    with pytest.raises(SelectionError, match="no text"):
        mean.result()
    mean.update(attentions[0])
    with pytest.raises(SelectionError, match="one checkpoint"):
        mean.update(np.ones((2, 2, 4, 4)))
