"""Correlation, positions and patterns: equal to loops, additive over pairs in any order, right on constructed maps."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow import Agreement, Patterns, RelativePositions, SelectionError
from tests import reference

SENTENCE = [-1, *[0] * 5, -1, *[1] * 6, -1]  # [CLS] five words [SEP] six words [SEP]
SIZE = len(SENTENCE)


def maps(seed, size=SIZE, *, causal=False, shape=(2, 3)):
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.full(size, 0.5), size=(*shape, size))
    values = np.round(values, 2)  # ties
    if causal:
        values = np.tril(values) + 1e-3 * np.tri(size)
    return (values / values.sum(-1, keepdims=True)).astype(np.float32)


PAIRS = [(maps(1), maps(2)), (maps(3, 7), maps(4, 7)), (maps(5, 9), maps(6, 9))]


@pytest.mark.parametrize("causal", [False, True])
def test_correlations_are_those_of_the_definition(causal):
    pairs = [
        (maps(1, 8, causal=causal), maps(2, 8, causal=causal)),
        (maps(3, 6, causal=causal), maps(4, 6, causal=causal)),
    ]
    accumulator = Agreement()
    for attention, contribution in pairs:
        accumulator.update(attention, contribution)
    found = accumulator.result()
    for layer in range(2):
        for head in range(3):
            rows = []
            for attention, contribution in pairs:
                for query in range(attention.shape[-1]):
                    end = query + 1 if causal else None
                    one, other = (part[layer, head, query, :end].tolist() for part in (attention, contribution))
                    if len(one) >= 3:
                        rows.append(
                            (
                                reference.correlation(one, other),
                                reference.correlation(reference.ranks(one), reference.ranks(other)),
                            )
                        )
            assert found.n_tokens[layer, head] == len(rows)
            np.testing.assert_allclose(
                (found.pearson[layer, head], found.spearman[layer, head]), np.mean(rows, axis=0), rtol=1e-9
            )


def test_attention_agrees_with_itself_and_disagrees_with_its_opposite():
    values = maps(1)
    assert np.allclose(Agreement().update(values, values).result().pearson, 1)
    opposite = Agreement().update(values, values.max() - values).result()
    assert np.allclose(opposite.pearson, -1)
    assert np.allclose(opposite.spearman, -1)


def test_heads_without_a_correlation_are_left_out_not_counted_as_zero():
    attention, contribution = maps(1), maps(2)
    contribution[0, 1] = 0  # pruned
    contribution[1, 2, :4] = 1 / SIZE
    found = Agreement().update(attention, contribution).result()
    assert np.isnan(found.pearson[0, 1])
    assert found.n_tokens[0].tolist() == [SIZE, 0, SIZE]
    assert found.n_tokens[1, 2] == SIZE - 4
    assert np.isfinite(found.pearson[1]).all()


def test_positions_are_those_of_the_definition():
    accumulator = RelativePositions()
    for values, _ in PAIRS:
        accumulator.update(values)
    found = accumulator.result()
    expected = reference.relative_positions([values[1, 2] for values, _ in PAIRS])
    assert found.offset.tolist() == sorted(expected)
    np.testing.assert_array_equal(found.occurrences, [expected[o][1] for o in found.offset])
    means = np.array([expected[o][0] / expected[o][1] for o in found.offset])
    np.testing.assert_allclose(found.mean[1, 2], means, rtol=1e-6)
    np.testing.assert_allclose(found.centre_by_head[1, 2], (means * found.offset).sum() / means.sum(), rtol=1e-6)
    np.testing.assert_allclose(found.centre, found.centre_by_head.mean(1))


def test_even_attention_has_its_centre_at_the_token_and_a_previous_token_head_one_before():
    even, previous = np.full((1, 1, 9, 9), 1 / 9), np.zeros((1, 1, 9, 9))
    previous[..., range(1, 9), range(8)] = 1
    assert abs(RelativePositions().update(even).result().centre[0]) < 1e-12
    assert RelativePositions().update(previous).result().centre[0] == -1
    nothing = RelativePositions().update(np.concatenate([previous, 0 * previous], axis=1)).result()
    assert nothing.centre[0] == -1
    assert np.isnan(nothing.centre_by_head[0, 1])


def constructed(kind):
    position, near = np.arange(SIZE), np.abs(np.subtract.outer(np.arange(SIZE), np.arange(SIZE)))
    vertical = np.zeros((SIZE, SIZE))
    vertical[:, [0, 6]] = 0.5
    block = np.zeros((SIZE, SIZE))
    block[:7, :7], block[7:, 7:] = 1 / 7, 1 / 7
    diagonal = (near == 1) / (near == 1).sum(-1, keepdims=True)
    return {
        "vertical": vertical,
        "diagonal": np.eye(SIZE)[np.maximum(position - 1, 0)],
        "vertical and diagonal": (vertical + diagonal) / 2,
        "block": block,
        "heterogeneous": np.random.default_rng(0).dirichlet(np.ones(SIZE), SIZE),
    }[kind]


@pytest.mark.parametrize("noise", [0, 0.25])
@pytest.mark.parametrize("kind", ["vertical", "diagonal", "vertical and diagonal", "block", "heterogeneous"])
def test_constructed_maps_have_their_pattern(kind, noise):
    values = (1 - noise) * constructed(kind) + noise / SIZE
    assert Patterns().update(values[None, None], SENTENCE).result().pattern == [[kind]]


def test_an_even_map_is_at_chance_and_a_single_sentence_has_no_block():
    even = np.full((1, 1, SIZE, SIZE), 1 / SIZE)
    found = Patterns().update(even, SENTENCE).result()
    np.testing.assert_allclose([found.diagonal, found.vertical, found.block], 0, atol=1e-12)
    whole = Patterns().update(constructed("block")[None, None], SENTENCE).result()
    assert whole.block == pytest.approx(1), "a [SEP] belongs to the sentence it ends"
    single = Patterns().update(constructed("block")[None, None], [-1, *[0] * (SIZE - 2), -1]).result()
    assert single.block == 0
    assert single.pattern == [["heterogeneous"]]
    short = Patterns().update(np.eye(6)[None, None], [0] * 6).result()  # too short to tell
    assert short.pattern == [["heterogeneous"]]


ACCUMULATORS = {
    "agreement": (Agreement, lambda a, pair: a.update(*pair), lambda r: (r.pearson, r.spearman, r.n_tokens)),
    "positions": (RelativePositions, lambda a, pair: a.update(pair[0]), lambda r: (r.mean, r.occurrences, r.centre)),
    "patterns": (
        Patterns,
        lambda a, pair: a.update(pair[0], [0] * 4 + [1] * (pair[0].shape[-1] - 4)),
        lambda r: (r.diagonal, r.vertical, r.block),
    ),
}


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_parts_merge_to_the_whole_in_any_order(name):
    make, update, read = ACCUMULATORS[name]
    whole = make()
    for pair in PAIRS:
        update(whole, pair)
    parts = [update(make(), pair) for pair in PAIRS]
    merged = make().merge(parts[2]).merge(make()).merge(parts[0].merge(parts[1]))
    for one, other in zip(read(whole.result()), read(merged.result()), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_what_cannot_be_added_is_named(name):
    make, update, _ = ACCUMULATORS[name]
    with pytest.raises(SelectionError, match="No pair was added"):
        make().result()
    other = maps(1, shape=(4, 3))
    with pytest.raises(SelectionError, match="4 layers x 3 heads cannot be added to one of 2 x 3"):
        update(update(make(), PAIRS[0]), (other, other))
    with pytest.raises(SelectionError, match="give both of one run"):
        Agreement().update(maps(1), maps(1, 7))
