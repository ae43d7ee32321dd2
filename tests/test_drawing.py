"""Drawing rows: how many of each label, the same by seed, in order, fairly, and with few rows in memory."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnflow.corpus.drawing import Drawing, shares


def drawn(labels, rows, seed=0):
    drawing = Drawing(rows, seed)
    for number, label in enumerate(labels):
        drawing.offer(number, label)
    return drawing.drawn()


labelled = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=300)


@given(labelled, st.integers(1, 320), st.integers(0, 5))
def test_a_sample_is_stratified_ordered_and_repeatable(labels, rows, seed):
    found = drawn(labels, rows, seed)
    assert found == sorted(set(found)) == drawn(labels, rows, seed)
    assert len(found) == min(rows, len(labels))
    assert Counter(labels[number] for number in found) == {k: n for k, n in shares(Counter(labels), rows).items() if n}


@given(
    st.dictionaries(st.text("abcdefgh", min_size=1), st.integers(1, 1000), min_size=1, max_size=8), st.integers(1, 900)
)
def test_shares_are_those_of_the_largest_remainder(counts, rows):
    found = shares(Counter(counts), rows)
    total = sum(counts.values())
    assert sum(found.values()) == min(rows, total)
    assert all(0 <= found[label] <= counts[label] for label in counts)
    if rows >= len(counts):
        assert all(found.values())
    if all(rows * count / total >= 1 for count in counts.values()):
        assert all(abs(found[label] - rows * count / total) < 1 for label, count in counts.items() if rows < total)


def test_a_rare_label_keeps_a_row():
    assert shares(Counter(a=997, b=1, c=1, d=1), 5) == {"a": 2, "b": 1, "c": 1, "d": 1}


def test_other_seeds_draw_other_rows():
    labels = ["a", "b"] * 500
    assert len({tuple(drawn(labels, 10, seed)) for seed in range(20)}) == 20


def test_every_row_is_as_likely_as_any_other():
    count = Counter(number for seed in range(1000) for number in drawn(["a"] * 30 + ["b"] * 10, 8, seed))
    expected = 1000 * 8 / 40  # a fifth each; the standard deviation is 13
    assert all(abs(count[number] - expected) < 65 for number in range(40))


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_few_rows_are_held_of_many(order):
    labels = sorted(str(n % 7) for n in range(10**5))
    if order == "shuffled":
        random.Random(0).shuffle(labels)
    drawing, most = Drawing(1000), 0
    for number, label in enumerate(labels):
        drawing.offer(number, label)
        if number % 500 == 0:
            most = max(most, drawing.held)
    assert most < 8000
    found = drawing.drawn()
    assert Counter(labels[number] for number in found) == shares(Counter(labels), 1000)


def test_a_column_of_many_values_is_no_class():
    drawing, most = Drawing(100), 0
    for number in range(20_000):
        drawing.offer(number, str(number))
        most = max(most, drawing.held) if number % 100 == 0 else most
    assert not drawing.classes
    assert most < 3000
    found = drawing.drawn()
    assert len(found) == 100
    assert 6_000 < sum(found) / 100 < 14_000  # from everywhere
