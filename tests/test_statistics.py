"""What every statistic over many texts promises: batches, parts in any order, states, errors over texts, refusals."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError, dataclass, fields

import numpy as np
import pytest

import attnflow
from attnflow import (
    Agreement,
    AttentionEntropy,
    AttentionGradient,
    CoreferenceHeads,
    DependencyHeads,
    HeadDistances,
    HeadImportance,
    MeanAttention,
    Mention,
    Patterns,
    RelativePositions,
    SelectionError,
    SurfaceStatistics,
    encode,
)
from attnflow.records.trace import Tokens
from attnflow.stats.statistic import Statistic
from tests import reference
from tests.checkpoints import PAIR
from tests.fresh_process import printed

SIZES = (8, 12, 3, 9, 12)
"""Tokens of the texts: the third is too short for patterns."""


def text(seed, size, shape=(2, 3)):
    """Made-up arrays of one text, by the names that the statistics give them."""
    random = np.random.default_rng(seed)
    attention, contribution = random.dirichlet(np.full(size, 0.4), size=(2, *shape, size)).astype(np.float32)
    sentence = np.where(np.arange(size) < size // 2, 0, seed % 2)  # every other text has one sentence
    return {
        "attention": attention,
        "contribution": contribution,
        "gradient": random.normal(size=attention.shape),
        "sentence": sentence,
        "tokens": tokens_like(size),
        "root": seed % size,
        "governor": np.array([-1, *range(size - 1)]),
        "mentions": mentions_like(seed, size),
        "relation": np.array(["root", *("odd" if (seed + place) % 2 else "odd:ly" for place in range(size - 1))]),
    }


def mentions_like(seed, size):
    """Every other word a mention of one of two chains, as many as there are words."""
    kinds = ("pronoun", "proper", "nominal")
    return [
        Mention(place % 2 if seed % 2 else 0, place, place + 1, place, kinds[(seed + place) % 3], (str(place % 3),))
        for place in range(0, size, 2)
    ]


def tokens_like(size):
    """A first special token, words with a comma among them where there is room, and a separator."""
    texts = ["[CLS]", *("," if place == 2 else "word" for place in range(size - 2)), "[SEP]"]
    sentence = np.zeros(size, np.int8)
    sentence[[0, -1]] = -1
    return Tokens(tuple(texts), tuple(texts), sentence, np.arange(size, dtype=np.int32), np.zeros((size, 2), np.int32))


TEXTS = [text(seed, size) for seed, size in enumerate(SIZES)]
ARRAYS = {  # what each of them is fed with
    Agreement: ("attention", "contribution"),
    AttentionEntropy: ("attention", "root"),
    CoreferenceHeads: ("attention", "mentions"),
    DependencyHeads: ("attention", "governor", "relation"),
    AttentionGradient: ("gradient", "attention", "tokens"),
    HeadDistances: ("attention",),
    MeanAttention: ("attention",),
    Patterns: ("attention", "sentence"),
    RelativePositions: ("attention",),
    SurfaceStatistics: ("attention", "tokens"),
}


def update(statistic, *texts):
    """Feed texts one by one."""
    for one in texts:
        statistic.update(*(one[name] for name in ARRAYS[type(statistic)]))
    return statistic


def padded(array, size):
    """Filled up on the right of every axis of tokens with what would spoil everything if it were read."""
    if array.ndim == 0:
        return array
    more = size - array.shape[-1]
    widths = [(0, 0)] * (array.ndim - 2) + [(0, more)] * min(array.ndim, 2)
    return np.pad(array, widths, constant_values=np.nan if array.dtype.kind == "f" else 10**6)


def together(name, texts):
    """What a batch is given of texts."""
    if name == "mentions":  # lists of different lengths
        return [one[name] for one in texts]
    size = max(one["attention"].shape[-1] for one in texts)
    return np.stack([padded(np.asarray(one[name]), size) for one in texts])


def batch(statistic, *texts):
    """Feed texts at once."""
    sizes = [one["attention"].shape[-1] for one in texts]
    stacked = [together(name, texts) for name in ARRAYS[type(statistic)]]
    return statistic.update(*stacked, lengths=sizes)


def numbers(statistic):
    """All numbers of a result by name."""
    result = statistic.result()
    return {one.name: getattr(result, one.name) for one in fields(result)}


def assert_same(one, other, rtol=1e-12, atol=0.0):
    found, expected = numbers(one), numbers(other)
    assert found.keys() == expected.keys()
    for name in found:
        if isinstance(found[name], tuple | str):  # names of kinds
            assert found[name] == expected[name]
            continue
        np.testing.assert_allclose(found[name], expected[name], rtol=rtol, atol=atol, err_msg=name)


every_one = pytest.mark.parametrize("kind", ARRAYS, ids=lambda kind: kind.__name__)


def test_every_statistic_of_the_library_is_tested_here():
    exported = {getattr(attnflow, name) for name in attnflow.__all__}
    found = {one for one in exported if isinstance(one, type) and issubclass(one, Statistic)}
    assert found == {*ARRAYS, HeadImportance}


@every_one
def test_a_padded_batch_is_its_texts_one_by_one_and_what_is_padded_is_not_read(kind):
    statistic = kind()
    assert statistic.update(*(TEXTS[0][name] for name in ARRAYS[kind])) is statistic
    assert batch(statistic, *TEXTS[1:]) is statistic
    assert statistic.n == len(TEXTS)
    assert_same(statistic, update(kind(), *TEXTS))
    same_length = [text(seed, 9) for seed in range(3)]
    stacked = [together(name, same_length) for name in ARRAYS[kind]]
    assert_same(kind().update(*stacked), update(kind(), *same_length))
    nothing = kind().update(*(values[:0] for values in stacked))
    assert nothing.n == 0


@every_one
def test_parts_merge_to_the_whole_in_any_order(kind):
    whole = update(kind(), *TEXTS)
    for order in itertools.permutations(range(3)):
        parts = [update(kind(), *TEXTS[:1]), update(kind(), *TEXTS[1:3]), batch(kind(), *TEXTS[3:])]
        merged = kind()
        for index in order:
            assert merged.merge(parts[index]) is merged
        assert_same(merged.merge(kind()), whole)
        left, right = parts[order[0]], parts[order[1]].merge(parts[order[2]])
        assert_same(left.merge(right), whole)


@every_one
def test_a_merge_leaves_the_other_as_it_was_and_shares_nothing_with_it(kind):
    other = update(kind(), *TEXTS[:2])
    before = numbers(other)
    update(kind().merge(other), *TEXTS[2:])
    for name, value in numbers(other).items():
        np.testing.assert_array_equal(value, before[name])


@every_one
def test_a_result_is_frozen_and_stays_what_it_was(kind):
    statistic = update(kind(), *TEXTS[:3])
    result = statistic.result()
    before = {name: np.copy(value) for name, value in numbers(statistic).items()}
    with pytest.raises(FrozenInstanceError):
        result.n = 5
    for name, value in numbers(statistic).items():
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, name
    update(statistic, *TEXTS)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(result, name), value)


@every_one
def test_a_state_does_not_grow_with_the_number_of_texts_but_to_the_largest(kind):
    def size(statistic):
        return sum(array.nbytes for array in statistic.state().values())

    few, many = update(kind(), *TEXTS[:3]), kind()
    for seed in range(300):
        update(many, text(seed, 3 + seed % 10))
    assert many.n == 300
    assert size(many) == size(few) == size(update(kind(), text(0, 12)))


@pytest.fixture
def importance(checkpoints):
    """Parts of head importance, and the whole."""
    checkpoint = checkpoints["bert"]
    encodings = [encode(checkpoint, *PAIR), encode(checkpoint, "He read it."), encode(checkpoint, "It left late.")]
    parts = [HeadImportance("gate").update(checkpoint, one, pruned=[(0, 1)]) for one in encodings]
    return parts, HeadImportance("gate").update(checkpoint, encodings, pruned=[(0, 1)])


def test_importance_keeps_the_same_promises(importance):
    parts, whole = importance
    assert_same(HeadImportance("gate").merge(parts[2]).merge(parts[0].merge(parts[1])), whole, rtol=1e-4, atol=1e-6)
    result = whole.result()
    assert result.n == whole.n_examples == 3
    alone = [np.array(part.result()) for part in importance[0][1:]]
    pair = parts[1].merge(parts[2]).result()
    np.testing.assert_allclose(pair.standard_error, np.std(alone, axis=0, ddof=1) / 2**0.5, rtol=1e-6, atol=1e-12)
    assert not result.mean.flags.writeable
    assert whole.merge(whole).n == 6


CONTINUE = """
import sys
from pathlib import Path
import numpy as np
import attnflow

for file in sorted(Path(sys.argv[1]).glob("*.0.npz")):
    kind = getattr(attnflow, file.name.split(".")[0])
    with np.load(file) as one, np.load(str(file).replace(".0.", ".1.")) as other:
        merged = kind.from_state(one).merge(kind.from_state(other))
    np.savez(str(file).replace(".0.", ".2."), **merged.state())
"""


def test_states_are_taken_up_in_another_process_and_brought_back(tmp_path, importance):
    parts = {kind: (update(kind(), *TEXTS[:2]), update(kind(), *TEXTS[2:])) for kind in ARRAYS}
    parts[HeadImportance] = tuple(importance[0][:2])
    for kind, both in parts.items():
        for number, part in enumerate(both):
            np.savez(tmp_path / f"{kind.__name__}.{number}.npz", **part.state())
    printed(CONTINUE, str(tmp_path))
    for kind, (one, other) in parts.items():
        with np.load(tmp_path / f"{kind.__name__}.2.npz") as state:
            found = kind.from_state(state)
        assert_same(found, one.merge(other), rtol=0)
        for name, array in found.state().items():
            np.testing.assert_array_equal(array, one.state()[name], err_msg=name)
    with np.load(tmp_path / "HeadImportance.2.npz") as state:
        found = HeadImportance.from_state(state)
    assert (found.method, found.quantity, found.n_examples) == ("gate", "loss", 2)


@every_one
def test_an_empty_state_and_one_that_goes_on_share_nothing_with_what_they_came_from(kind):
    empty = kind.from_state(kind().state())
    assert empty.n == 0
    assert_same(update(empty, *TEXTS), update(kind(), *TEXTS))
    first = update(kind(), *TEXTS[:2])
    state = first.state()
    kept = {name: array.copy() for name, array in state.items()}
    assert_same(update(kind.from_state(state), *TEXTS[2:]), update(first, *TEXTS[2:]))
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name])


def errors_by_hand(kind, single):
    """For each mean of a result, the values and counts of each text, as functions of a text's own result."""
    ones = [update(kind(), one).result() for one in single]
    if kind is Agreement:
        counts = [one.n_tokens for one in ones]
        return {name: ([getattr(o, name) * o.n_tokens for o in ones], counts) for name in ("pearson", "spearman")}
    if kind is RelativePositions:
        counts = [np.broadcast_to(one.occurrences, one.mean.shape) for one in ones]
        return {"": ([one.mean * one.occurrences for one in ones], counts)}
    means: dict[type, dict[str, str]] = {
        CoreferenceHeads: {},  # which has intervals instead
        DependencyHeads: {},  # which has intervals instead
        AttentionEntropy: {"whole": "whole", "root": "root"},
        AttentionGradient: {"": "mean", "layer": "layer"},
        HeadDistances: {"": "distance"},
        MeanAttention: {"": "mean"},
        Patterns: {"diagonal": "diagonal", "vertical": "vertical", "block": "block"},
        SurfaceStatistics: {"": "mean"},
    }
    found = {name: [getattr(one, mean) for one in ones] for name, mean in means[kind].items()}
    return {name: (values, [np.ones(values[0].shape, int)] * len(ones)) for name, values in found.items()}


@every_one
def test_the_standard_error_is_that_over_texts(kind):
    single = [text(2 * seed + 1, 9) for seed in range(4)]
    result = update(kind(), *single).result()
    for name, (values, counts) in errors_by_hand(kind, single).items():
        found = getattr(result, f"{name}_standard_error" if name else "standard_error")
        for place in np.ndindex(found.shape):
            expected = reference.standard_error([v[place] for v in values], [int(c[place]) for c in counts])
            assert found[place] == pytest.approx(expected, rel=1e-6), (name, place)
    lonely = update(kind(), single[0]).result()
    for name in errors_by_hand(kind, single):
        assert np.isnan(getattr(lonely, f"{name}_standard_error" if name else "standard_error")).all()


def test_patterns_tell_how_many_texts_each_share_is_the_mean_of():
    found = update(Patterns(), *TEXTS).result()
    assert (found.n, found.n_long, found.n_pairs) == (5, 4, 2)
    pairs = update(Patterns(), TEXTS[1], TEXTS[3]).result()
    np.testing.assert_allclose(found.block, pairs.block, rtol=1e-12)
    np.testing.assert_allclose(found.block_standard_error, pairs.block_standard_error, rtol=1e-9)


def test_texts_that_have_no_value_do_not_count_for_its_error():
    long = [text(seed, 9) for seed in (1, 3)]
    short = [text(seed, 4) for seed in range(3)]
    for kind, name in ((Patterns, "diagonal_standard_error"), (RelativePositions, "standard_error")):
        found, without = (getattr(update(kind(), *texts).result(), name) for texts in ([*long, *short], long))
        if kind is RelativePositions:  # the offsets that the short ones do not have
            found, without = found[..., :5], without[..., :5]
        np.testing.assert_allclose(found, without, rtol=1e-9)
    mean = update(MeanAttention(), *long, *short).result()
    np.testing.assert_allclose(
        mean.standard_error[..., 4:, :], update(MeanAttention(), *long).result().standard_error[..., 4:, :], rtol=1e-9
    )
    assert np.isnan(update(MeanAttention(), long[0], *short).result().standard_error[..., 4:, :]).all()


def test_a_head_that_few_texts_have_a_correlation_for_has_the_error_of_these():
    texts = [text(seed, 9) for seed in range(3)]
    texts[1]["contribution"] = texts[1]["contribution"].copy()
    texts[1]["contribution"][0, 1] = 0
    found = update(Agreement(), *texts).result()
    expected = update(Agreement(), texts[0], texts[2]).result()
    assert found.pearson_standard_error[0, 1] == pytest.approx(expected.pearson_standard_error[0, 1])
    assert found.n == 3


@every_one
def test_texts_of_another_model_are_refused_and_nothing_is_added(kind):
    other, statistic = text(0, 8, shape=(4, 3)), update(kind(), *TEXTS[:2])
    before = statistic.state()
    for attempt in (
        lambda: update(statistic, other),
        lambda: statistic.merge(update(kind(), other)),
        lambda: batch(statistic, other, other),
    ):
        with pytest.raises(
            SelectionError, match=r"4 layers x 3 heads cannot be added to one of 2 x 3; .*one checkpoint"
        ):
            attempt()
    bad = TEXTS[0] | {"attention": np.where(np.eye(8) > 0, np.nan, TEXTS[0]["attention"])}
    with pytest.raises(SelectionError, match="missing or infinite; leave that text out"):
        batch(statistic, TEXTS[1], bad)
    for name, array in statistic.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@every_one
def test_what_has_not_the_axes_of_texts_is_refused(kind):
    def fed(change, **options):
        one = {
            name: change(np.asarray(value)) if name in ("attention", "contribution", "gradient") else value
            for name, value in TEXTS[0].items()
        }
        return kind().update(*(one[name] for name in ARRAYS[kind]), **options)

    for change in (
        lambda a: a[:, :, :0, :0],
        lambda a: a[:0],
        lambda a: a[0],
        lambda a: a[..., :-1],
    ):
        with pytest.raises(
            SelectionError, match=r"has the shape \[.*give \[layer, head, token, token\] of a text with"
        ):
            fed(change)
    with pytest.raises(SelectionError, match="give lengths for a batch only"):
        fed(lambda a: a, lengths=[8])
    for lengths in ([8], [8, 9], [8, 0], [8.0, 8.0], [[8], [8]]):
        with pytest.raises(SelectionError, match=r"lengths is .* for a batch of 2 texts of up to 8 tokens"):
            fed(lambda a: np.stack([a, a]), lengths=lengths)
    with pytest.raises(SelectionError):
        kind().result()


def test_a_sentence_for_each_token_is_needed():
    with pytest.raises(SelectionError, match=r"sentence has the shape \[7\] .* a number for each token"):
        Patterns().update(TEXTS[0]["attention"], [0] * 7)
    with pytest.raises(SelectionError, match=r"sentence has the shape \[8\]"):
        Patterns().update(np.stack([TEXTS[0]["attention"]] * 2), [0] * 8)


@dataclass(eq=False)
class OldEntropy(AttentionEntropy):
    version = 0


@dataclass(eq=False)
class Powered(AttentionEntropy):
    power: float = 1.0
    kind: str | None = None


def test_parts_and_states_of_something_else_are_refused(importance):
    entropy = update(AttentionEntropy(), *TEXTS)
    with pytest.raises(SelectionError, match="Patterns cannot be merged into AttentionEntropy"):
        entropy.merge(Patterns())
    with pytest.raises(SelectionError, match=r"by power 1\.0, the other by 2\.0; merge parts of one power"):
        Powered().merge(Powered(2.0))
    with pytest.raises(SelectionError, match="by method 'gate', the other by 'taylor'; merge parts of one method"):
        importance[1].merge(HeadImportance("taylor"))
    with pytest.raises(SelectionError, match="is of AttentionEntropy, not of Patterns"):
        Patterns.from_state(entropy.state())
    with pytest.raises(SelectionError, match="is of no statistic, not of Patterns"):
        Patterns.from_state({})
    old = OldEntropy().state() | {"statistic": np.array("AttentionEntropy")}
    with pytest.raises(SelectionError, match="version 0 of AttentionEntropy, and this is version 2; compute it anew"):
        AttentionEntropy.from_state(old)
    state = entropy.state()
    for name, value in (
        ("whole", np.array([["a"]])),
        ("whole", np.array([None])),
        ("n", np.array([1, 2])),
        ("surplus", np.array(1)),
    ):
        with pytest.raises(SelectionError, match=f"is damaged at {name}; compute it anew"):
            AttentionEntropy.from_state(state | {name: value})
    with pytest.raises(SelectionError, match="is damaged at root"):
        AttentionEntropy.from_state({name: array for name, array in state.items() if name != "root"})
    with pytest.raises(SelectionError, match="importance method 'guess'"):
        HeadImportance.from_state(importance[1].state() | {"method": np.array("guess")})


def test_parameters_belong_to_the_state():
    for power, kind in ((2.5, "some"), (1.0, None)):
        found = Powered.from_state(update_any(Powered(power, kind)).state())
        assert (found.power, found.kind, found.n) == (power, kind, 1)
        assert found.merge(Powered(power, kind)) is found


def update_any(statistic):
    return statistic.update(TEXTS[0]["attention"])
