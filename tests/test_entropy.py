"""Attention entropy equals its definition, and what can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import AttentionEntropy, SelectionError
from tests import reference


def maps(seed, size, *, concentration=0.3, shape=(2, 3)):
    """Rows with exact zeros among them."""
    values = np.random.default_rng(seed).dirichlet(np.full(size, concentration), size=(*shape, size))
    values[values < 1e-3] = 0
    return values / values.sum(-1, keepdims=True)


def test_it_is_the_definition_over_texts_of_any_length_zeros_included():
    texts, roots = [maps(seed, size) for seed, size in enumerate((5, 8, 1, 6))], [0, 7, 0, 2]
    assert any((text == 0).any() for text in texts)
    entropy = AttentionEntropy()
    for text, root in zip(texts, roots, strict=True):
        entropy.update(text, root)
    found = entropy.result()
    whole, root = reference.attention_entropy(texts, roots)
    np.testing.assert_allclose(found.whole, whole, rtol=1e-12)
    np.testing.assert_allclose(found.root, root, rtol=1e-12)
    assert found.n == 4


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 2, 50])
def test_even_attention_has_the_logarithm_of_the_length_and_one_place_has_nothing(dtype, size):
    even = np.full((1, 2, size, size), 1 / size, dtype)
    found = AttentionEntropy().update(even).result()
    np.testing.assert_allclose((found.whole, found.root), np.log(size), rtol=2e-3 if dtype == np.float16 else 1e-6)
    for shift in (0, 1):  # attention to the token itself, and to the one before
        one_place = np.roll(np.eye(size, dtype=dtype), -shift, axis=-1)[None, None]
        found = AttentionEntropy().update(one_place).result()
        assert found.whole.tolist() == found.root.tolist() == [[0.0]]
        assert not np.signbit(found.whole).any()


def test_a_causal_head_that_looks_at_all_it_can_reach_has_the_mean_of_logarithms():
    causal = np.tri(6) / np.arange(1, 7)[:, None]
    found = AttentionEntropy().update(causal[None, None], root=5).result()
    assert found.whole[0, 0] == pytest.approx(np.log(np.arange(1, 7)).mean())
    assert found.root[0, 0] == pytest.approx(np.log(6))


def test_it_does_not_matter_where_attention_goes_only_how_it_is_spread():
    text = maps(1, 9)
    order = np.random.default_rng(2).permutation(9)
    found, moved = AttentionEntropy().update(text, 4).result(), AttentionEntropy().update(text[..., order], 4).result()
    np.testing.assert_allclose(moved.whole, found.whole, rtol=1e-12)
    np.testing.assert_allclose(moved.root, found.root, rtol=1e-12)
    assert (found.whole >= 0).all()
    assert (found.whole <= np.log(9)).all()
    blurred = AttentionEntropy().update((text + 1 / 9) / 2).result()
    assert (blurred.whole > found.whole).all(), "mixing with even attention spreads it"


def test_texts_weigh_the_same_whatever_their_length():
    sharp, even = np.eye(3)[None, None], np.full((1, 1, 40, 40), 1 / 40)
    assert AttentionEntropy().update(sharp).update(even).result().whole[0, 0] == pytest.approx(np.log(40) / 2)


@pytest.mark.parametrize(
    ("attention", "root", "reason"),
    [
        (np.full((1, 1, 4, 4), 0.2), 0, r"A row of attention .* sums to 0\.8; give rows that sum to 1"),
        ([[[[1.5, -0.5], [0.5, 0.5]]]], 0, "has a negative share"),
        (np.eye(3)[None, None], 3, r"root is 3 for texts of \[3\] tokens; give the position of a token, from 0"),
        (np.eye(3)[None, None], -1, "root is -1"),
        (np.eye(3)[None, None], 0.0, r"root is 0\.0"),
        (np.eye(3)[None, None], [0, 0], r"root is \[0, 0\]"),
    ],
)
def test_what_is_no_attention_or_no_root_is_refused(attention, root, reason):
    with pytest.raises(SelectionError, match=reason):
        AttentionEntropy().update(attention, root)
