"""A survey of many texts: its columns, what is left out, what is kept on disk and taken up again.

`test_architectures` compares its numbers with the definitions in every architecture.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import os

import numpy as np
import pytest

from attnflow import (
    CheckpointError,
    MeanAttention,
    SelectionError,
    attention_graph,
    capture,
    encode,
    head_importance,
    merge_words,
    open_survey,
    survey,
)
from attnflow.corpus import survey as survey_module
from attnflow.corpus import survey_files, survey_part
from attnflow.corpus.survey_join import head_statistics, join_parts
from attnflow.errors import GoneError
from attnflow.records.survey import Survey
from attnflow.records.texts import Columns, Text, Texts
from attnflow.records.trace import SPECIAL
from attnflow.stats.attention_graph import attended_by
from tests.checkpoints import TEXT

ROWS = tuple(
    Text(f"t{number}", text, other, label)
    for number, (text, other, label) in enumerate(
        [
            (TEXT[0], "Anna gave it.", "yes"),
            ("Anna gave it.", None, "No"),
            (TEXT[1], TEXT[2], "maybe"),
            ("   ", None, "yes"),
            (TEXT[3], None, None),
            (" ".join(TEXT * 4), None, "perhaps"),
            ("He bought bread, salt and milk.", None, "sure"),
        ]
    )
)
TEXTS = Texts(ROWS, "made up", Columns("text_a", "text_b", "label"))
ARRAYS = ("scores", "length", "cut", "hidden", "behaviour")
WORDS = ("offsets", "sentence", "start", "attended")


@pytest.fixture(scope="module")
def found(checkpoints):
    return survey(checkpoints["bert"], TEXTS, labels={"sure": "yes"}, part_size=3)


def assert_same(one: Survey, other: Survey) -> None:
    assert (one.settings, one.guids, one.gold_labels) == (other.settings, other.guids, other.gold_labels)
    assert (dict(one.label_map), dict(one.reasons)) == (dict(other.label_map), dict(other.reasons))
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    for name in WORDS:
        np.testing.assert_array_equal(getattr(one.words, name), getattr(other.words, name), name)
    assert set(one.head_state) == set(other.head_state)
    for name in one.head_state:
        np.testing.assert_array_equal(one.head_state[name], other.head_state[name], name)


def test_each_text_has_its_row_in_their_order(found, checkpoints):
    assert found.guids == tuple(text.guid for text in TEXTS) and len(found) == 7
    assert found.labels == ("no", "perhaps", "yes")
    for row in (0, 1, 2, 4, 6):
        text = TEXTS[row]
        trace = capture(checkpoints["bert"], encode(checkpoints["bert"], text.text_a, text.text_b))
        p = trace.probabilities
        np.testing.assert_allclose(found.probabilities[row], p, rtol=1e-5)
        assert found.decision[row] == p.argmax() and found.confidence[row] == pytest.approx(p.max(), rel=1e-5)
        assert found.entropy[row] == pytest.approx(-sum(float(one) * math.log(one) for one in p), rel=1e-5)
        gold = {0: 2, 1: 0, 6: 2}.get(row, -1)
        assert found.gold[row] == gold and found.known[row] == (gold >= 0)
        assert found.right[row] == (gold >= 0 and p.argmax() == gold)
        assert found.wrong[row] == (gold >= 0 and p.argmax() != gold)
        if gold < 0:
            assert math.isnan(found.loss[row])
        else:
            assert found.loss[row] == pytest.approx(-math.log(p[gold]), rel=1e-5)


def test_labels_that_name_no_class_are_told_and_numbers_are_no_places(found, checkpoints):
    assert found.unmatched == {"maybe": 1}
    assert found.label_map == {"No": "no", "perhaps": "perhaps", "sure": "yes", "yes": "yes"}
    numbers = survey(checkpoints["bert"], [Text("1", TEXT[0], None, "1"), Text("2", TEXT[1], None, 2)])
    assert numbers.unmatched == {"1": 1, "2": 1} and numbers.gold.tolist() == [-1, -1] and np.isnan(numbers.loss).all()
    chosen = survey(
        checkpoints["bert"], [Text("1", TEXT[0], None, "1"), Text("2", TEXT[1], None, 2)], labels={"2": "no"}
    )
    assert chosen.unmatched == {"1": 1} and chosen.gold.tolist() == [-1, 0]


def test_what_cannot_be_read_keeps_an_empty_row_with_the_reason(found):
    assert list(found.reasons) == [3] and "first sentence is empty" in found.reasons[3]
    assert found.usable.tolist() == [True] * 3 + [False] + [True] * 3
    assert found.decision[3] == -1 and found.decision_names[3] is None and not found.known[3]
    for values in (found.confidence, found.loss, found.entropy, *found.hidden, found.behaviour, found.probabilities):
        assert np.isnan(values[3]).all()
    assert found.words.of(3).start == found.words.of(3).stop and len(found.influence(3)) == 0


def test_a_long_text_is_cut_or_left_out_as_asked(found, checkpoints):
    assert found.cut.tolist()[5] > 0 and found.length[5] == 160 == found.length.max()
    assert found.cut[[0, 1, 2, 4, 6]].max() == 0
    left = survey(checkpoints["bert"], TEXTS, too_long="leave_out", max_tokens=40)
    assert sorted(left.reasons) == [0, 2, 3, 5] and "the limit is 40" in left.reasons[5]


def test_parts_of_any_size_give_the_same(found, checkpoints):
    whole = survey(checkpoints["bert"], TEXTS, labels={"sure": "yes"})
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=2e-3, atol=2e-3, err_msg=name)
    for name in WORDS:
        np.testing.assert_array_equal(getattr(found.words, name), getattr(whole.words, name), name)
    assert list(whole.reasons) == [3]


def test_a_text_that_makes_a_batch_fail_is_noted_and_the_others_are_read(found, checkpoints, monkeypatch):
    original, seen = survey_part.capture_layers, []

    def failing(checkpoint, encodings, **more):
        seen.append(len(encodings))
        if any(encoding.text_a == TEXT[3] for encoding in encodings):
            raise CheckpointError("bert computes numbers that are not finite.")
        return original(checkpoint, encodings, **more)

    monkeypatch.setattr(survey_part, "capture_layers", failing)
    other = survey(checkpoints["bert"], TEXTS)
    assert other.reasons[4] == "bert computes numbers that are not finite." and sorted(other.reasons) == [3, 4]
    assert seen == [6, 1, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(other.scores[:3], found.scores[:3], rtol=1e-4)


def test_it_is_kept_in_parts_taken_up_and_opened(found, checkpoints, tmp_path, monkeypatch):
    """What ends in the second part computes only that and the rest the next time, and nothing the third time."""
    original, parts = survey_module.survey_part, []

    def counted(checkpoint, texts, *more):
        parts.append(texts[0].guid)
        return original(checkpoint, texts, *more)

    def ended(what, share):
        if share > 3 / 7:
            raise GoneError("nobody waits")

    monkeypatch.setattr(survey_module, "survey_part", counted)
    settings = {"labels": {"sure": "yes"}, "part_size": 3, "out": tmp_path / "kept"}
    with pytest.raises(GoneError):
        survey(checkpoints["bert"], TEXTS, progress=ended, **settings)
    with pytest.raises(SelectionError, match="not finished: run the same survey again"):
        open_survey(tmp_path / "kept")
    assert parts == ["t0", "t3"] and [path.name for path in tmp_path.glob("kept/part*")] == ["part-000000.npz"]
    told = []
    assert_same(survey(checkpoints["bert"], TEXTS, progress=lambda *one: told.append(one), **settings), found)
    assert parts == ["t0", "t3", "t3", "t6"]
    assert told[-1] == ("7 of 7 texts read by bert", 1.0) and sorted(told, key=lambda one: one[1]) == told
    assert_same(survey(checkpoints["bert"], TEXTS, **settings), found)
    assert len(parts) == 4 and not list(tmp_path.glob("kept/*part*"))
    assert_same(open_survey(tmp_path / "kept", in_memory=True), found)
    assert isinstance(open_survey(tmp_path / "kept").hidden, np.memmap)
    renamed = survey(checkpoints["bert"], TEXTS, **{**settings, "labels": {"maybe": "no"}})
    assert len(parts) == 4 and renamed.unmatched == {"sure": 1}
    assert open_survey(tmp_path / "kept").unmatched == {"sure": 1}


def test_a_part_that_is_damaged_or_of_another_survey_is_computed_again(found, checkpoints, tmp_path):
    part = dataclasses.replace(found, settings=dataclasses.replace(found.settings, commit="another"))
    survey_files.write_part(tmp_path / "part-000000.npz", part)
    assert survey_files.read_part(tmp_path / "part-000000.npz", found.settings) is None
    assert survey_files.read_part(tmp_path / "part-000000.npz", part.settings) is not None
    (tmp_path / "part-000001.npz").write_bytes((tmp_path / "part-000000.npz").read_bytes()[:500])
    assert survey_files.read_part(tmp_path / "part-000001.npz", part.settings) is None
    settings = {"labels": {"sure": "yes"}, "part_size": 3}
    assert_same(survey(checkpoints["bert"], TEXTS, out=tmp_path, **settings), found)


def test_a_folder_keeps_one_survey(found, checkpoints, tmp_path):
    found_in = survey_files.save(found, tmp_path / "one")
    assert_same(open_survey(found_in), found)
    with pytest.raises(SelectionError, match="holds another survey, of bert, which differs in pruned; choose another"):
        survey(checkpoints["bert"], TEXTS, pruned=[(0, 0)], part_size=3, out=found_in)
    with pytest.raises(SelectionError, match="holds no survey; give a folder"):
        open_survey(tmp_path)
    told = json.loads((found_in / "survey.json").read_text())
    told["settings"]["version"] = 0
    (found_in / "survey.json").write_text(json.dumps(told))
    with pytest.raises(
        SelectionError, match=r"cannot be read as a survey \(ValueError: version 0, not 1\); compute it"
    ):
        open_survey(found_in)


def test_a_full_disk_is_told_and_leaves_nothing_half_written(found, tmp_path, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SelectionError, match=r"cannot be written .*No space left.*what was finished before is kept"):
        survey_files.save(found, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_columns_are_a_table_that_other_programs_read(found, tmp_path):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(survey_files.save(found, tmp_path) / "texts.parquet").to_pydict()
    assert table["guid"] == list(found.guids) and table["decision"] == list(found.decision_names)
    assert table["label"][:5] == ['"yes"', '"No"', '"maybe"', '"yes"', "null"]
    assert table["reason"][3] == found.reasons[3]
    np.testing.assert_array_equal(table["score: yes"], found.scores[:, 2])


def test_heads_are_added_up_as_by_themselves(checkpoints, tmp_path):
    checkpoint, rows = checkpoints["bert"], [ROWS[number] for number in (0, 1, 2, 6)]
    encodings = [encode(checkpoint, text.text_a, text.text_b) for text in rows]
    found = survey(checkpoint, rows, heads=True, part_size=3, labels={"sure": "yes"}, out=tmp_path)
    states = head_statistics(found)
    expected = MeanAttention()
    for encoding in encodings:
        expected.update(capture(checkpoint, encoding).attention)
    np.testing.assert_allclose(states["mean_attention"].result().mean, expected.result().mean, rtol=1e-4, atol=1e-6)
    importance = head_importance(checkpoint, encodings, ["yes", "no", None, "yes"])
    np.testing.assert_allclose(states["importance"].result().mean, importance, rtol=1e-3)
    assert states["importance"].result().n == 4
    assert survey(checkpoint, rows).head_state == {}


def test_models_without_classes_have_no_decisions(tasks):
    for name in ("none", "masked-lm", "causal-lm", "token-classification"):
        found = survey(tasks[name], TEXTS, heads=name == "none")
        assert (found.scores, found.probabilities, found.decision) == (None, None, None)
        assert set(found.decision_names) == {None} and np.isnan(found.loss).all() and found.unmatched == {}
        assert not found.known.any() and np.isnan(found.entropy).all() and found.usable.sum() == 6
        with pytest.raises(SelectionError, match="does not decide between classes, so labels cannot stand"):
            survey(tasks[name], TEXTS, labels={"sure": "yes"})
    assert found.head_state == {}


def test_a_regression_has_the_squared_error(tasks):
    rows = [Text("1", TEXT[0], None, 2.5), Text("2", TEXT[1], None, "high"), Text("3", TEXT[2])]
    found = survey(tasks["regression"], rows)
    assert found.probabilities is None and found.decision is None and not found.has_classes
    assert found.loss[0] == pytest.approx((float(found.scores[0, 0]) - 2.5) ** 2)
    assert np.isnan(found.loss[1:]).all()


def test_several_classes_may_be_right(found):
    several = dataclasses.replace(found, settings=dataclasses.replace(found.settings, problem="multi_label"))
    p = 1 / (1 + np.exp(-found.scores[0].astype(float)))
    np.testing.assert_allclose(several.probabilities[0], p)
    assert several.entropy[0] == pytest.approx(-sum(q * math.log(q) for one in p for q in (one, 1 - one)))
    assert several.loss[0] == pytest.approx(-math.log(p[2]))


def test_a_threshold_of_ones_own(checkpoints):
    """The graph over words by one tau is that of `attention_graph`."""
    trace = merge_words(capture(checkpoints["bert"], encode(checkpoints["bert"], ROWS[2].text_a, ROWS[2].text_b)))
    for tau in (0.2, [0.1, 0.3, 0.25]):
        found = survey(checkpoints["bert"], TEXTS, tau=tau)
        expected = attended_by(attention_graph(trace, tau))[:, trace.tokens.sentence != SPECIAL]
        np.testing.assert_array_equal(found.words.attended[:, found.words.of(2)], expected)
    off = [(1, head) for head in range(4)]
    ended = survey(checkpoints["bert"], TEXTS, pruned=off).words.attended
    assert ended[2].any() and not ended[:2].any()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"texts": []}, "There are no texts; give at least one"),
        ({"texts": [ROWS[0], ROWS[0]]}, "2 texts have only 1 names; give each its own guid"),
        ({"too_long": "drop"}, "too_long is 'drop'; give 'cut' or 'leave_out'"),
        ({"max_tokens": 0}, "max_tokens is 0; give a whole number from 1"),
        ({"part_size": 0}, "part_size is 0; give a whole number from 1"),
        ({"pruned": [(9, 9)]}, "is not a head of this checkpoint"),
        ({"tau": 2}, "tau is 2; give a number"),
        ({"labels": {"sure": "certain"}}, "The model has no label 'certain'; it has "),
        ({"texts": [ROWS[3]]}, "None of 1 texts could be read; the first: The first sentence is empty"),
    ],
)
def test_what_does_not_fit_is_told(more, message, checkpoints):
    with pytest.raises(SelectionError, match=message):
        survey(checkpoints["bert"], **{"texts": TEXTS, **more})


def test_large_vectors_are_the_largest_that_half_precision_holds(checkpoints):
    model = copy.deepcopy(checkpoints["bert"].model)
    model.bert.encoder.layer[0].output.LayerNorm.weight.data *= 1e6
    found = survey(dataclasses.replace(checkpoints["bert"], model=model), ROWS[:2])
    assert abs(found.hidden[1]).max() == 65504 and np.isfinite(found.hidden).all()


def test_parts_must_be_all_there(found):
    with pytest.raises(ValueError, match="the parts hold 7 texts of 8"):
        join_parts([found], dataclasses.replace(found.settings, n=8), {})


def test_texts_of_one_fingerprint_and_other_settings_have_other_keys(checkpoints):
    one = survey_module.survey_settings(checkpoints["bert"], TEXTS)
    assert one == survey_module.survey_settings(checkpoints["bert"], TEXTS, label_map={"sure": "yes"})
    others = [
        survey_module.survey_settings(checkpoints["bert"], ROWS[:3]),
        survey_module.survey_settings(checkpoints["bert"], TEXTS, pruned=[(0, 1)]),
        survey_module.survey_settings(checkpoints["bert"], TEXTS, tau=0.1),
        survey_module.survey_settings(checkpoints["bert"], TEXTS, heads=True),
        survey_module.survey_settings(checkpoints["roberta"], TEXTS),
    ]
    assert len({json.dumps(dataclasses.asdict(other)) for other in (one, *others)}) == 6
    assert survey_files.settings_from(json.loads(json.dumps(dataclasses.asdict(others[1])))) == others[1]
