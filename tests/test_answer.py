"""The answer says what the numbers say, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnflow.stats.differences import carrier, flow_differences
from attnflow.stats.flow import compare_flows
from attnflow.views.answer import MOST_ROWS, NONE, answer
from tests.random_traces import random_trace

SURE = [{"label": "yes", "score": 2.0, "probability": 0.9}, {"label": "no", "score": 0.0, "probability": 0.1}]
UNSURE = [{"label": "yes", "score": 0.0, "probability": 0.4}, {"label": "no", "score": 1.0, "probability": 0.6}]


@pytest.fixture
def flows():
    return compare_flows(*(random_trace(seed, 4, 3, 24, concentration=0.1) for seed in (0, 1)))


@pytest.mark.parametrize(
    ("predictions", "says"),
    [
        ([SURE, SURE], "Both decide “yes”: A with 90 %, B with 90 %."),
        ([SURE, UNSURE], "A decides “yes” (90 %), B decides “no” (60 %)."),
        ([None, UNSURE], "B decides “no” (60 %); A predicts no class."),
        ([SURE, None], "A decides “yes” (90 %); B predicts no class."),
        ([None, None], "Neither model predicts a class of this text."),
        ([[{"label": "score", "score": 3.25, "probability": None}], None], "A decides “score” (score 3.25)"),
    ],
)
def test_it_says_what_both_decide(flows, predictions, says):
    assert answer(flows, predictions)[0]["sentence"].startswith(says)


def test_it_names_the_words_that_differ_most_with_their_shares(flows):
    found = flow_differences(flows)
    said, tables = answer(flows, [None, None])
    real = [unit for unit in range(24) if flows.pairing.sentence[unit] >= 0]
    expected = sorted(real, key=lambda unit: -abs(found.change[unit]))
    rows = tables[0]["rows"]
    assert [row["select"]["word"] for row in rows] == expected[:MOST_ROWS]
    assert [row["change"] for row in rows] == [found.change[unit] for unit in expected[:MOST_ROWS]]
    for unit in expected[:3]:
        shares = f"“t{unit}” – {100 * found.share_b[unit]:.0f} %, in A {100 * found.share_a[unit]:.0f} %"
        assert shares in said["sentence"]
    assert f"“t{expected[3]}” – " not in said["sentence"]


def test_punctuation_is_no_word_that_makes_a_difference(flows):
    first = answer(flows, [None, None])[1][0]["rows"][0]["select"]["word"]
    text = tuple("." if unit == first else word for unit, word in enumerate(flows.pairing.text))
    dotted = replace(flows, pairing=replace(flows.pairing, text=text))
    said, tables = answer(dotted, [None, None])
    assert first not in [row["select"]["word"] for row in tables[0]["rows"]]
    assert "“.”" not in said["sentence"]


def test_it_names_the_head_that_carries_the_first_of_them(flows):
    said, tables = answer(flows, [None, None])
    unit = tables[0]["rows"][0]["select"]["word"]
    for side, one in (("A", flows.a), ("B", flows.b)):
        found = carrier(one, unit)
        if found:
            layer, head = found.head
            wanted = f"in {side} by L{layer + 1} H{head + 1} ({100 * found.weight:.0f} % of what"
            assert wanted in said["sentence"]


def test_a_root_of_several_tokens_attends_as_their_mean(flows):
    several = replace(flows.b.trace, root=(0, 3, 4))
    pair = compare_flows(flows.a.trace, several, 0.01)  # so low that the first ring has the word in question
    said, tables = answer(pair, [None, None])
    for unit in np.flatnonzero(pair.b.graph.rings[-2]):
        found = carrier(pair.b, unit)
        edges = pair.b.graph.heads[(pair.b.graph.layer == 3) & (pair.b.graph.key == unit)]
        paid = {head: np.mean([several.attention[3, head, query, unit] for query in (0, 3, 4)]) for head in range(3)}
        best = max((head for head in range(3) if any(edge[head] for edge in edges)), key=lambda head: paid[head])
        assert (found.head, found.query) == ((3, best), (0, 3, 4))
        assert found.weight == pytest.approx(paid[best])
    assert tables[0]["rows"][0]["select"]["word"] in np.flatnonzero(pair.b.graph.rings[-2])
    assert "% of what the mean of 3 tokens attends to)" in said["sentence"]


def test_heads_are_ranked_by_what_they_pay_that_word(flows):
    _, tables = answer(flows, [None, None])
    unit = tables[0]["rows"][0]["select"]["word"]
    paid = []
    for one in (flows.a, flows.b):
        best = np.zeros((4, 3))
        for layer in range(4):
            for head in range(3):
                ring = np.flatnonzero(one.graph.rings[layer + 1])
                best[layer, head] = max(one.trace.attention[layer, head, query, unit] for query in ring)
        paid.append(best)
    change = paid[1] - paid[0]
    rows = tables[1]["rows"]
    assert [row["change"] for row in rows] == pytest.approx(sorted(change.ravel(), key=abs, reverse=True)[:MOST_ROWS])
    for row in rows:
        assert change[tuple(row["select"]["head"])] == pytest.approx(row["change"])
        assert row["select"]["word"] == unit


def test_rings_are_ranked_by_what_only_one_model_reaches(flows):
    rows = answer(flows, [None, None])[1][-1]["rows"]
    assert [row["change"] for row in rows] == sorted((row["change"] for row in rows), reverse=True)
    by_name = {row["name"]: row for row in rows}
    a, b = (set(np.flatnonzero(one.graph.rings[0])) for one in (flows.a, flows.b))
    assert by_name["input"]["a"] == str(len(a - b)) and by_name["input"]["b"] == str(len(b - a))
    assert set(by_name) == {"input", "after L1", "after L2", "after L3"}


def test_models_of_other_sizes_lack_heads(flows):
    other = compare_flows(random_trace(0, 2, 2, 24), random_trace(1, 4, 3, 24, concentration=0.1))
    rows = answer(other, [None, None])[1][1]["rows"]
    assert any(row["a"] == NONE for row in rows)


def test_the_same_model_twice_differs_in_nothing():
    trace = random_trace(0, 3, 2, 12)
    said, tables = answer(compare_flows(trace, trace), [SURE, SURE])
    assert said["sentence"].endswith("The influence of all words is the same in both.")
    assert all(row["change"] == 0 for table in tables for row in table["rows"])
