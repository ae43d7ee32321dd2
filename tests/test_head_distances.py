"""The divergence between heads is its definition, what can be worked out by hand, and a map that tells its stress."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import HeadDistances, SelectionError
from attnflow.stats import head_distances
from tests import reference
from tests.test_entropy import maps


@pytest.mark.parametrize("block", [7, 1 << 16])
@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (1, 5), (1, 1)])
def test_it_is_the_definition_over_texts_zeros_included(shape, block, monkeypatch):
    monkeypatch.setattr(head_distances, "_BLOCK", block)
    texts = [maps(seed, size, shape=shape) for seed, size in enumerate((5, 8, 1))]
    texts.append(np.broadcast_to(np.tri(6) / np.arange(1, 7)[:, None], (*shape, 6, 6)))  # a causal one
    fed = HeadDistances()
    for text in texts:
        fed.update(text)
    found, (mean, total) = fed.result(), reference.head_distances(texts)
    np.testing.assert_allclose(found.distance, mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.total, total, rtol=1e-9, atol=1e-12)
    half = HeadDistances()
    for text in texts:
        half.update(text.astype(np.float32))
    np.testing.assert_allclose(half.result().distance, mean, rtol=1e-5, atol=2e-7)


def test_equal_heads_are_at_0_and_heads_that_share_no_token_at_ln_2():
    own, before, even = np.eye(6), np.roll(np.eye(6), -1, axis=1), np.full((6, 6), 1 / 6)
    found = HeadDistances().update(np.stack([own, before, even, own])[None].astype(np.float32)).result()
    distance = found.distance
    np.testing.assert_array_equal(distance, distance.T)
    np.testing.assert_array_equal(np.diagonal(distance), 0)
    assert distance[0, 3] == pytest.approx(0, abs=1e-6) and distance[0, 1] == pytest.approx(np.log(2), rel=1e-6)
    middle = -(7 / 12) * np.log(7 / 12) - 5 / 12 * np.log(1 / 12)  # the entropy of halfway between
    assert distance[0, 2] == pytest.approx(middle - np.log(6) / 2, rel=1e-6)
    assert (distance >= 0).all() and (distance <= np.log(2) + 1e-6).all()
    assert found.total[0, 1] == pytest.approx(6 * np.log(2), rel=1e-6)


def test_it_does_not_matter_in_which_order_tokens_stand():
    text, order = maps(3, 9), np.random.default_rng(1).permutation(9)
    moved = text[..., order, :][..., order]
    found, other = (HeadDistances().update(one).result().distance for one in (text, moved))
    np.testing.assert_allclose(found, other, rtol=1e-9, atol=1e-12)


def test_the_map_keeps_distances_that_fit_into_the_plane_and_tells_what_it_loses():
    text = maps(0, 7, shape=(1, 3))
    found = HeadDistances().update(text).result()
    drawn = found.embed()
    apart = np.linalg.norm(drawn.points[:, None] - drawn.points, axis=-1)
    np.testing.assert_allclose(apart, found.distance, atol=1e-3)  # three points always fit
    assert drawn.stress < 1e-3 and drawn.points.shape == (3, 2)
    np.testing.assert_allclose(drawn.points.mean(0), 0, atol=1e-9)
    many = HeadDistances().update(maps(1, 9, shape=(3, 4))).result()
    drawn, again = many.embed(seed=3), many.embed(seed=3)
    np.testing.assert_array_equal(drawn.points, again.points)
    assert 0.05 < drawn.stress < 1
    flat = np.linalg.norm(drawn.points[:, None] - drawn.points, axis=-1)
    expected = np.sqrt(((flat - many.distance) ** 2).sum() / (flat**2).sum())
    assert drawn.stress == pytest.approx(expected) == pytest.approx(again.stress)
    alone = HeadDistances().update(np.eye(3)[None, None]).result().embed()
    assert alone.points.tolist() == [[0, 0]] and alone.stress == 0
    with pytest.raises(SelectionError, match=r"seed is -1; give a whole number from 0"):
        many.embed(seed=-1)


def test_rows_that_are_no_shares_are_refused():
    with pytest.raises(SelectionError, match=r"sums to 0\.8; give rows that sum to 1"):
        HeadDistances().update(np.full((1, 1, 4, 4), 0.2))
