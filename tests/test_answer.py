"""The answer says what the numbers say, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.results import Faithfulness, Report, Saliency
from attnflow.service.analyses.heads import IMPORTANCE
from attnflow.service.analyses.saliency import REPORT
from attnflow.service.workspace import workspace
from attnflow.stats.differences import carrier, flow_differences
from attnflow.stats.flow import compare_flows
from attnflow.stats.mean_attention import normalise_importance, places
from attnflow.views.answer import MOST_ROWS, NONE, answer
from attnflow.views.measured import importance_table, saliency_table
from attnflow.views.predicted import Decision, decision_of
from attnflow.web.settings import Settings
from attnflow.web.shared import Shown
from attnflow.web.tabs import flow
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
    decided = [decision_of("single_label", one or []) for one in predictions]
    assert answer(flows, decided)[0]["sentence"].startswith(says)


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (("yes", 0.9), ("yes", 0.7), "Both give “yes”: A with 90 %, B with 70 %."),
        (("no", 0.2), ("no", 0.3), "A gives no label (“no” has 20 %), B gives no label (“no” has 30 %)."),
    ],
)
def test_of_several_labels_it_says_which_are_given(flows, a, b, says):
    decided = [decision_of("multi_label", [{"label": one, "score": p, "probability": p}]) for one, p in (a, b)]
    assert answer(flows, decided)[0]["sentence"].startswith(says)
    both = [{"label": label, "score": p, "probability": p} for label, p in (("x", 0.6), ("y", 0.8), ("z", 0.4))]
    given = decision_of("multi_label", both)
    assert (given.title, given.told("A")) == ("y, x", "A gives “y” and “x” (80 % and 60 %)")


def test_models_of_different_tasks_are_each_told_in_words_of_their_own(flows):
    label = Decision("label “Paul” as", ("name",), "99 %")
    sentence = answer(flows, [label, decision_of("single_label", SURE)])[0]["sentence"]
    assert sentence.startswith("A labels “Paul” as “name” (99 %), B decides “yes” (90 %).")
    other = Decision("label “Anna” as", ("name",), "98 %")  # the same class of another token is no agreement
    assert answer(flows, [label, other])[0]["sentence"].startswith("A labels “Paul” as “name” (99 %), B labels “Anna”")


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
    said, tables = answer(compare_flows(trace, trace), [decision_of("single_label", SURE)] * 2)
    assert said["sentence"].endswith("The influence of all words is the same in both.")
    assert all(row["change"] == 0 for table in tables for row in table["rows"])


# ---- what was measured of both


def explained(flows, *, target="yes", names=("lrp", "influence"), merits=(0.1, 0.3), seed=0):
    """A report in which methods give random values."""
    rng, size = np.random.default_rng(seed), len(flows.pairing.text)
    answers = tuple(
        Saliency(METHODS[name], flows.a.trace.tokens, rng.normal(size=size), target, None) for name in names
    )
    shape = len(names), 2, 3
    lost = np.zeros(shape) + np.array(merits)[:, None, None]
    chance = np.zeros((8, 2, 3))
    tested = Faithfulness(
        names, (0.1, 0.2, 0.5), lost, np.zeros(shape), chance, chance, "yes", "probability", 0.9, "mask", "piece"
    )
    return Report(answers, tested, np.eye(len(names)), target, None)


def test_words_differ_by_their_share_of_the_saliency_of_the_method_to_believe(flows):
    reports = [explained(flows, seed=seed) for seed in (0, 1)]
    table = saliency_table(flows, reports)
    assert table["about"].endswith("by Attention influence, the most faithful here"), "it has the largest merit"
    a, b = (report.answers[1].values / np.abs(report.answers[1].values).sum() for report in reports)
    real = [unit for unit in range(24) if flows.pairing.sentence[unit] >= 0]
    expected = sorted(real, key=lambda unit: -abs(b[unit] - a[unit]))[:MOST_ROWS]
    assert [row["select"] for row in table["rows"]] == [{"word": unit} for unit in expected]
    np.testing.assert_allclose([row["change"] for row in table["rows"]], (b - a)[expected])
    first = table["rows"][0]
    assert [first["a"].replace("−", "-"), first["b"].replace("−", "-")] == [
        f"{100 * values[expected[0]]:.0f} %" for values in (a, b)
    ]
    other = [reports[0], explained(flows, target="no", names=("lrp",), merits=(0.5,))]
    assert saliency_table(flows, other) is None, "not of two classes"
    looking = [explained(flows, target=target, seed=3) for target in ("yes", "no")]
    assert "Attention influence" in saliency_table(flows, looking)["about"], "which knows of no class"
    looking = [explained(flows, target=target, merits=(0.3, -0.1)) for target in ("yes", "no")]
    assert saliency_table(flows, looking)["about"].endswith(
        "the most faithful that both models answer by, but no better than a random ranking"
    )
    assert saliency_table(flows, [replace(one, faithfulness=None) for one in reports]) is None


def test_heads_differ_by_importance_and_each_names_the_word_it_looks_at(flows):
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(size=(4, 3)) for _ in range(2))
    table = importance_table(flows, (a, b), "removal", same=True)
    change = normalise_importance(b, "all") - normalise_importance(a, "all")
    order = np.argsort(-np.abs(change), axis=None)[:MOST_ROWS]
    assert [row["select"]["head"] for row in table["rows"]] == [divmod(int(flat), 3) for flat in order]
    np.testing.assert_allclose([row["change"] for row in table["rows"]], change.ravel()[order])
    layer, head = table["rows"][0]["select"]["head"]
    graph = flows.b.graph
    paid = flows.b.trace.attention[layer, head][graph.rings[layer + 1]].max(axis=0)
    real = [unit for unit in range(24) if flows.pairing.sentence[unit] >= 0]
    assert table["rows"][0]["select"]["word"] == max(real, key=lambda unit: paid[flows.pairing.in_b[unit]])
    ranked = importance_table(flows, (a, 100 * b), "removal", same=False)
    assert ranked["about"].startswith("place in the order")
    assert ranked["rows"][0]["change"] == np.abs(places(b) - places(a)).max() * np.sign(ranked["rows"][0]["change"])


def test_models_of_other_sizes_are_compared_head_by_head_from_the_last_layer():
    flows = compare_flows(random_trace(0, 2, 2, 12), random_trace(1, 4, 3, 12))
    a, b = np.array([[0.0, 1.0], [0.5, 0.25]]), np.arange(12.0).reshape(4, 3)
    rows = importance_table(flows, (a, b), "removal", same=True)["rows"]
    names = [row["name"] for row in rows]
    assert set(names) <= {"L3 H1", "L3 H2", "L4 H1", "L4 H2"}
    by_name = dict(zip(names, rows, strict=True))
    assert by_name["L4 H1"]["a"] == "0.50" and by_name["L4 H1"]["b"] == f"{9 / 11:.2f}"


def test_the_tables_take_up_what_was_measured_on_the_page():
    case = workspace.case("demo/finetuned", "Anna hid a key.", "Paul hid a key.")
    shown = Shown.of(case, case)
    titles = [table["title"] for table in flow.compare(shown, Settings())]
    case.ask(IMPORTANCE, method="gate")
    case.ask(REPORT)
    tables = flow.compare(shown, Settings())
    assert len(tables) == len(titles) + 2
    assert [table["about"].split(" by ")[0] for table in tables[-3:-1]] == [
        "share of the saliency",
        "importance for the pair",
    ]
    assert tables[-2]["rows"] == [], "a model does not differ from itself"
