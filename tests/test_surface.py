"""Surface statistics, gradients by kind of token and names of heads: definitions, closed forms, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import AttentionEntropy, AttentionGradient, SelectionError, SurfaceStatistics, name_heads
from attnflow.stats.surface import SURFACE_KINDS
from tests import reference
from tests.test_entropy import maps
from tests.test_statistics import tokens_like


def special_of(size):
    """What each token of `tokens_like` is, as the transcriptions take it."""
    marks = ["punctuation" if place == 2 else "word" for place in range(size - 2)]
    return ["first", *marks, "separator"]


def test_the_mean_is_that_of_the_definition_over_texts():
    sizes = (8, 5, 9)
    texts = [maps(seed, size) for seed, size in enumerate(sizes)]
    surface = SurfaceStatistics()
    for text in texts:
        surface.update(text, tokens_like(text.shape[-1]))
    found = surface.result()
    assert found.kinds == SURFACE_KINDS and found.n == 3
    shares = [reference.attention_shares(text, special_of(text.shape[-1])) for text in texts]
    for kind in SURFACE_KINDS[:-1]:
        np.testing.assert_allclose(found.of(kind), np.mean([one[kind] for one in shares], axis=0), rtol=1e-9)
    among = [reference.separator_to_separator(text, special_of(text.shape[-1])) for text in texts]
    np.testing.assert_allclose(found.of("separator_to_separator"), np.mean(among, axis=0), rtol=1e-9)


def test_heads_that_do_one_thing_do_all_of_it_but_at_the_edge():
    size = 10
    shift = np.eye(size, k=-1) + np.diag([1.0] + [0] * (size - 1))  # the one before; the first has none
    separator, comma = np.zeros((2, size, size))
    separator[:, -1], comma[:, 3] = 1, 1
    even = np.full((size, size), 1 / size)
    text = np.stack([np.eye(size), shift, shift[::-1, ::-1], separator, comma, even])[None]
    found = SurfaceStatistics().update(text, tokens_like(size)).result()
    np.testing.assert_allclose(found.of("self")[0], [1, 0.1, 0.1, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(found.of("previous")[0], [0, 0.9, 0, 0, 0.1, 0.09])
    np.testing.assert_allclose(found.of("next")[0], [0, 0, 0.9, 0.1, 0.1, 0.09])
    np.testing.assert_allclose(found.of("separator")[0], [0.1, 0, 0.2, 1, 0, 0.1])
    np.testing.assert_allclose(found.of("separator_to_separator")[0], [1, 0, 1, 1, 0, 0.1])
    np.testing.assert_allclose(found.of("punctuation")[0], [0.1, 0.1, 0.1, 0, 1, 0.1])
    np.testing.assert_allclose(found.of("first")[0], [0.1, 0.2, 0, 0, 0, 0.1])
    entropy = AttentionEntropy().update(text).result()
    named = name_heads(found, entropy)
    assert named.names == ((("self",), ("previous",), ("next",), ("separator",), ("punctuation",), ("broad",)),)
    assert named.value["broad"][0, -1] == pytest.approx(1) and named.thresholds["previous"] == 0.5


def test_what_a_model_or_its_texts_do_not_have_is_absent():
    causal = np.tri(6) / np.arange(1, 7)[:, None]
    tokens = tokens_like(6)
    plain = type(tokens)(tokens.text, tokens.piece, np.zeros(6, np.int8), tokens.word, tokens.span)
    without_comma = type(tokens)(("a",) * 6, ("a",) * 6, np.zeros(6, np.int8), tokens.word, tokens.span)
    found = SurfaceStatistics().update(causal[None, None], without_comma).result()
    assert found.kinds == ("self", "previous", "else") and found.mean.shape == (1, 1, 3)
    assert found.of("separator") is None
    assert SurfaceStatistics().update(causal[None, None], plain).result().kinds == (
        *("self", "previous", "punctuation", "else"),
    )
    both = SurfaceStatistics().update(causal[None, None], plain).update(causal[None, None], tokens).result()
    assert both.of("separator")[0, 0] == pytest.approx(1 / 36 / 2)  # 0 where there is none
    assert both.of("separator_to_separator")[0, 0] == pytest.approx(1 / 6)  # only the text that has one
    assert np.isnan(both.standard_error[0, 0, both.kinds.index("separator_to_separator")])
    named = name_heads(both, AttentionEntropy().update(causal[None, None]).result())
    assert "next" not in named.value and named.names == ((("broad",),),)


def test_gradients_are_those_of_the_definition_and_weights_that_are_not_there_do_not_count():
    causal = np.tri(8) / np.arange(1, 9)[:, None]
    texts = [maps(0, 8), np.broadcast_to(causal, (2, 3, 8, 8)), maps(2, 4)]
    gradients = [np.random.default_rng(seed).normal(size=text.shape) for seed, text in enumerate(texts)]
    fed = AttentionGradient()
    for gradient, text in zip(gradients, texts, strict=True):
        fed.update(gradient, text, tokens_like(text.shape[-1]))
    found = fed.result()
    assert found.kinds == ("separator", "punctuation", "else") and found.count.tolist() == [3, 2, 3]
    for place, kind in enumerate(found.kinds):
        own = [
            reference.gradient_by_kind(gradient, text, special_of(text.shape[-1]), kind)
            for gradient, text in zip(gradients, texts, strict=True)
            if kind in special_of(text.shape[-1]) or kind == "else"
        ]
        np.testing.assert_allclose(found.mean[..., place], np.mean(own, axis=0), rtol=1e-9)
        np.testing.assert_allclose(found.layer[:, place], np.mean(own, axis=0).mean(1), rtol=1e-9)


def test_what_does_not_fit_together_is_refused():
    text = maps(0, 8)
    with pytest.raises(SelectionError, match=r"tokens of \[7\] for texts of \[8\]"):
        SurfaceStatistics().update(text, tokens_like(7))
    with pytest.raises(SelectionError, match=r"tokens of \[8\] for texts of \[8, 8\]"):
        SurfaceStatistics().update(np.stack([text, text]), tokens_like(8))
    with pytest.raises(SelectionError, match=r"sums to 0\.5"):
        SurfaceStatistics().update(text / 2, tokens_like(8))
    with pytest.raises(SelectionError, match="give both of one run"):
        AttentionGradient().update(text[:1], text, tokens_like(8))
    with pytest.raises(SelectionError, match="give both of one model"):
        name_heads(
            SurfaceStatistics().update(text, tokens_like(8)).result(), AttentionEntropy().update(text[:1]).result()
        )
