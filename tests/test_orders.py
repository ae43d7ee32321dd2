"""Orders of texts: what differs in two models, what is like a text at hand, what may be mislabelled; confusion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attnflow import SelectionError, capture, confusion, encode, likely_mislabelled, most_different, nearest, survey
from attnflow.corpus.word_pairing import common_words
from attnflow.records.survey import SurveyedWords
from attnflow.records.texts import Text
from tests.checkpoints import PAIR, TEXT

ROWS = [
    Text("a", TEXT[0], "Anna gave it.", "yes"),
    Text("b", TEXT[1], None, "no"),
    Text("c", *PAIR, "perhaps"),
    Text("d", " ", None, "yes"),
    Text("e", TEXT[3], TEXT[2], "unknown"),
    Text("f", "Anna 😀 isn't 3.5.", None, None),
]


@pytest.fixture(scope="module")
def a(checkpoints):
    return survey(checkpoints["bert"], ROWS)


@pytest.fixture(scope="module")
def b(checkpoints):
    """Of the other tokenizer, without special tokens in the same places."""
    return survey(checkpoints["roberta"], ROWS)


def words_of(one, row):
    """The words of a text: where each begins, `c[l, w]`, and what each of its letters belongs to."""
    where, text = one.words.of(row), ROWS[row]
    sizes = [len(text.text_a), len(text.text_b or "")]
    places = list(zip(one.words.sentence[where].tolist(), one.words.start[where].tolist(), strict=True))
    letters = {}
    for word, (sentence, start) in enumerate(places):
        letters |= {(sentence, letter): word for letter in range(start, sizes[sentence])}
    return places, one.words.attended[:, where], letters


def literal(one, other, row):
    """Total variation of influence and 1 - Jaccard of (ring, word), over words that both models begin."""
    begins = [set(words_of(each, row)[0]) for each in (one, other)]
    common = sorted(begins[0] & begins[1])
    profiles, rings = [], []
    for each in (one, other):
        places, attended, _ = words_of(each, row)
        profile, ring = dict.fromkeys(common, 0.0), set()
        for word, place in enumerate(places):
            to = max(begin for begin in common if begin <= place)
            for layer in range(len(attended)):
                depth = len(attended) - layer - 1
                profile[to] += 0.5**depth * attended[layer, word] / len(attended)
                if attended[layer, word]:
                    ring.add((depth, to))
        profiles.append({to: value / sum(profile.values()) for to, value in profile.items()})
        rings.append(ring)
    distance = sum(abs(profiles[0][to] - profiles[1][to]) for to in common) / 2
    return distance, 1 - len(rings[0] & rings[1]) / len(rings[0] | rings[1])


def test_differences_over_words_are_those_of_the_definition(a, b):
    found = [most_different(a, b, by) for by in ("influence", "graph")]
    for row in (0, 1, 2, 4, 5):
        expected = literal(a, b, row)
        assert [one.column[row] for one in found] == pytest.approx(expected)
        assert min(expected) > 0 and max(expected) <= 1
    for one in found:
        assert np.isnan(one.column[3]) and sorted(one.rows) == [0, 1, 2, 4, 5]
        assert (np.diff(one.values) <= 0).all()
        np.testing.assert_array_equal(one.values, one.column[one.rows])
        assert most_different(a, a, "graph").values.max() == 0 == most_different(a, a, "influence").values.max()


def test_models_of_other_depth_meet_at_the_root(a, b):
    words = b.words
    deeper = np.concatenate([np.zeros((2, words.attended.shape[1]), np.int32), words.attended])
    settings = replace(b.settings, n_layers=5)
    hidden = np.concatenate([b.hidden, b.hidden[:2]])
    kinds = np.zeros((len(b), 5 * 4 * len(b.settings.kinds)), np.float32)
    more = SurveyedWords(words.offsets, words.sentence, words.start, deeper)
    other = replace(b, settings=settings, words=more, hidden=hidden, behaviour=kinds)
    np.testing.assert_allclose(most_different(a, other, "graph").column, most_different(a, b, "graph").column)
    np.testing.assert_allclose(most_different(a, other, "influence").column, most_different(a, b, "influence").column)
    with pytest.raises(SelectionError, match="has 3 x 4 heads and roberta 5 x 4, so their heads cannot be set side"):
        most_different(a, other, "behaviour")


def test_words_are_joined_where_a_tokenizer_joins_them_and_a_first_one_begins_its_sentence(a):
    joined = replace(
        a,
        words=SurveyedWords(
            np.array([0, 3, *[3] * 5]),
            np.array([0, 0, 1], np.int8),
            np.array([1, 8, 0], np.int32),
            np.ones((3, 3), int),
        ),
    )
    of_a, of_joined, n = common_words(a, joined, 0)
    starts = a.words.start[a.words.of(0)].tolist()
    assert starts[:4] == [0, 5, 10, 14] and n == 2  # no word begins at 8
    assert of_joined.tolist() == [0, 0, 1] and of_a.tolist() == a.words.sentence[a.words.of(0)].tolist()


def test_the_change_of_the_decision_is_the_total_variation_by_names(a, b):
    order = most_different(a, b)
    expected = abs(a.probabilities - b.probabilities).sum(1) / 2
    np.testing.assert_allclose(order.column, expected)
    assert order.rows[0] == np.nanargmax(expected) and len(order.rows) == 5
    turned = replace(b, settings=replace(b.settings, labels=("YES", "perhaps", "No")), scores=b.scores[:, ::-1])
    np.testing.assert_allclose(most_different(a, turned).column, expected)
    several = [replace(one, settings=replace(one.settings, problem="multi_label")) for one in (a, b)]
    np.testing.assert_allclose(
        most_different(*several).column, abs(several[0].probabilities - several[1].probabilities).mean(1)
    )
    other = replace(b, settings=replace(b.settings, labels=("x", "y", "z")))
    with pytest.raises(SelectionError, match="bert decides between no, perhaps, yes, and roberta between x, y, z"):
        most_different(a, other)
    loss = most_different(a, b, "loss")
    np.testing.assert_allclose(loss.column, abs(a.loss - b.loss))
    assert sorted(loss.rows) == [0, 1, 2]


def test_the_nearest_text_is_the_one_that_was_shown(a, checkpoints):
    for row in (0, 2, 4):
        trace = capture(checkpoints["bert"], encode(checkpoints["bert"], ROWS[row].text_a, ROWS[row].text_b))
        for chosen in ({}, {"by": "layer", "layer": 1}, {"by": "head", "head": (2, 3)}):
            order = nearest(a, trace, **chosen)
            assert order.rows[0] == row and order.values[0] == pytest.approx(1, abs=1e-5)
            assert len(order.rows) == 5 and (np.diff(order.values) <= 0).all()
    shares = a.shares[:, 2, 3].astype(float)
    expected = shares[0] @ shares[4] / np.linalg.norm(shares[0]) / np.linalg.norm(shares[4])
    assert order.column[0] == pytest.approx(expected, abs=1e-5)


def test_likely_mislabelled_is_confident_and_wrong_in_all(a, b):
    order = likely_mislabelled(a, b)
    rows = [row for row in range(6) if a.wrong[row] and b.wrong[row]]
    assert sorted(order.rows.tolist()) == rows
    sure = [min(a.confidence[row], b.confidence[row]) for row in order.rows]
    assert order.values.tolist() == sure == sorted(sure, reverse=True)
    alone = likely_mislabelled(a)
    assert set(alone.rows.tolist()) == set(np.flatnonzero(a.wrong)) >= set(rows)
    wrong = replace(a, label_map={"yes": "no", "no": "yes", "perhaps": "no"})
    assert len(likely_mislabelled(a).rows) + len(likely_mislabelled(wrong).rows) >= 3


def test_a_confusion_counts_what_is_known_and_tells_the_rest(a):
    found = confusion(a)
    expected = np.zeros((3, 3), int)
    for row in (0, 1, 2):
        expected[a.gold[row], a.decision[row]] += 1
    np.testing.assert_array_equal(found.counts, expected)
    assert (found.unmatched, found.unlabelled, found.unusable) == ({"unknown": 1}, 1, 1)
    assert found.classes == a.labels and found.accuracy == pytest.approx(a.right.sum() / 3)
    part = confusion(a, [3, 4])
    assert not part.counts.any() and np.isnan(part.accuracy) and (part.unmatched, part.unusable) == ({"unknown": 1}, 1)
    with pytest.raises(SelectionError, match="a row beyond the 6 texts"):
        confusion(a, [6])


def test_what_cannot_be_ordered_is_told(a, b, tasks, checkpoints, traces):
    plain = survey(tasks["none"], ROWS)
    for call in (lambda: most_different(a, plain), lambda: likely_mislabelled(a, plain), lambda: confusion(plain)):
        with pytest.raises(SelectionError, match="none has no trained head that decides between classes"):
            call()
    assert len(most_different(a, plain, "graph").rows) == 5
    with pytest.raises(SelectionError, match="There is no difference by 'size'; choose decision"):
        most_different(a, b, "size")
    with pytest.raises(SelectionError, match="are of other texts; survey the same ones"):
        most_different(a, survey(checkpoints["bert"], ROWS[:2]))
    with pytest.raises(SelectionError, match="There is no survey"):
        likely_mislabelled()
    for chosen, message in (
        ({"by": "layer"}, "by layer needs a layer, from 0 to 2; None came"),
        ({"by": "layer", "layer": 3}, "needs a layer, from 0 to 2; 3 came"),
        ({"by": "head"}, r"needs a head, as \(layer, head\); None came"),
        ({"by": "head", "head": (0, 9)}, "is not a head of this checkpoint"),
        ({"by": "word"}, "There is no likeness by 'word'; choose model, layer, head"),
    ):
        with pytest.raises(SelectionError, match=message):
            nearest(a, traces["bert"], **chosen)
    with pytest.raises(
        SelectionError, match="read by 3 layers x 4 heads, the survey is of 2 x 4; give a trace of bert"
    ):
        nearest(replace_layers(a), traces["bert"])


def replace_layers(one):
    """As if the model had two layers."""
    return replace(one, settings=replace(one.settings, n_layers=2), hidden=one.hidden[:3])
