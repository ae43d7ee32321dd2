"""The data map: equal to its definition, what cartography's files may lack, orders, regions, and bad recordings."""

from __future__ import annotations

import gzip
import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnflow import SelectionError, data_map, map_order, map_region
from attnflow.corpus.data_map import rows_of_texts
from attnflow.corpus.dynamics_files import open_dynamics
from attnflow.records.dynamics import Dynamics
from attnflow.records.texts import Text
from attnflow.stats.data_map import make_map
from tests import reference

COLUMNS = ("confidence", "variability", "correctness", "forgetfulness", "threshold_closeness", "margin")


def recorded(n=40, epochs=4, classes=3, seed=0):
    """Logits `[N, E, C]` of a training that gets better, and gold classes."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, classes, n)
    logits = draw.normal(size=(n, epochs, classes))
    logits[np.arange(n), :, gold] += np.arange(epochs) * draw.normal(0.6, 0.5, (n, 1))
    return logits, gold


def write(folder, logits, gold, guids=None, epochs=None, pack=False):
    """Cartography's files, the texts of each epoch in another order."""
    folder.mkdir(exist_ok=True)
    guids = list(range(len(gold))) if guids is None else guids
    for column, epoch in enumerate(epochs or range(logits.shape[1])):
        lines = [
            json.dumps(
                {"guid": guids[row], f"logits_epoch_{epoch}": logits[row, column].tolist(), "gold": int(gold[row])}
            )
            for row in np.random.default_rng(epoch).permutation(len(gold)).tolist()
        ]
        content = ("\n".join(lines) + "\n").encode()
        name = folder / f"dynamics_epoch_{epoch}.jsonl{'.gz' * pack}"
        name.write_bytes(gzip.compress(content) if pack else content)
    return folder


def literal(found, logits, gold, **how):
    """What the definition says of the texts of a map, in their order."""
    rows = [int(guid) for guid in found.guid]
    return reference.data_map(logits[rows].tolist(), gold[rows].tolist(), **how)


@pytest.mark.parametrize("pack", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("include_ci", [False, True], ids=["", "include_ci"])
@pytest.mark.parametrize("burn_out", [None, 3])
def test_it_is_what_the_definition_says(tmp_path, burn_out, include_ci, pack):
    logits, gold = recorded()
    found = data_map(write(tmp_path, logits, gold, pack=pack), burn_out=burn_out, include_ci=include_ci)
    expected = literal(found, logits[:, : burn_out or 4], gold, include_ci=include_ci)
    for column in COLUMNS:
        np.testing.assert_allclose(
            getattr(found, column), [one[column] for one in expected], rtol=1e-12, err_msg=column
        )
    assert found.notes == () and found.epochs == (0, 1, 2, 3) and sorted(found.guid) == list(range(40))
    assert {1000} < set(found.forgetfulness.tolist())  # some never learnt, some otherwise
    np.testing.assert_allclose(found.share_right, found.correctness / (burn_out or 4))
    rows = [int(guid) for guid in found.guid]
    for epoch in range(4):
        p = np.exp(logits[rows, epoch]) / np.exp(logits[rows, epoch]).sum(-1, keepdims=True)
        own = p[np.arange(40), gold[rows]]
        assert math.isclose(found.loss()[epoch], -np.log(own).mean())
        assert math.isclose(found.loss([3, 5])[epoch], -np.log(own[[3, 5]]).mean())
        assert found.accuracy()[epoch] == (p.argmax(-1) == gold[rows]).mean()


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(2, 5))
def test_what_must_hold_of_every_map(seed, epochs, classes):
    logits, gold = recorded(12, epochs, classes, seed)
    of = Dynamics(tuple(range(12)), tuple(range(epochs)), logits * 3, gold)
    found, wider = make_map(of), make_map(of, include_ci=True)
    assert (found.variability <= np.sqrt(found.threshold_closeness) + 1e-12).all()  # the most that a mean allows
    assert (wider.variability >= found.variability).all()
    never = found.correctness == 0
    assert (found.forgetfulness[never] == 1000).all() and (found.forgetfulness[~never] <= epochs // 2).all()
    shifted = make_map(Dynamics(of.guid, of.epochs, of.logits + 700, gold))  # a softmax knows no constant
    for column in COLUMNS:
        np.testing.assert_allclose(getattr(shifted, column), getattr(found, column), rtol=1e-9, atol=1e-9)


def test_parts_of_several_processes_are_merged(tmp_path):
    logits, gold = recorded()
    whole = data_map(write(tmp_path / "whole", logits, gold))
    for process in range(2):
        part = slice(process, None, 2)
        names = list(range(40))[part]
        write(tmp_path / "parts", logits[part], gold[part], names, pack=process == 1)
        for path in (tmp_path / "parts").glob("dynamics_epoch_?.jsonl*"):
            path.rename(path.with_name(path.name.replace(".jsonl", f".part_{process}_of_2.jsonl")))
    found = data_map(tmp_path / "parts")
    assert found.notes == ()
    rows = found.rows_of(whole.guid)
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(found, column)[rows], getattr(whole, column))
    for path in (tmp_path / "parts").glob("*epoch_2.part_1*"):
        path.unlink()
    assert data_map(tmp_path / "parts").notes == (
        "Of the 2 parts of epoch 2 there is no part 1.",
        "Epoch 2 has 20 of 40 texts: it was broken off, and is left out.",
    )


def test_a_missing_and_a_half_epoch_are_told(tmp_path):
    logits, gold = recorded(epochs=5)
    write(tmp_path, logits, gold)
    (tmp_path / "dynamics_epoch_1.jsonl").unlink()
    last = tmp_path / "dynamics_epoch_4.jsonl"
    last.write_bytes(last.read_bytes()[:1000])  # killed in the middle of a line
    found = data_map(tmp_path)
    assert found.epochs == (0, 2, 3)
    missing, damaged, half = found.notes
    assert missing == "There is no file of epoch 1: the map is of the others."
    assert damaged.startswith("1 line of epoch 4 cannot be read as records and is left out: line ")
    assert half.startswith("Epoch 4 has ") and half.endswith(" of 40 texts: it was broken off, and is left out.")
    expected = literal(found, logits[:, [0, 2, 3]], gold)
    np.testing.assert_allclose(found.confidence, [one["confidence"] for one in expected])


def test_half_a_packed_file_gives_what_is_whole_in_it(tmp_path):
    write(tmp_path, *recorded(n=2000), pack=True)
    last = tmp_path / "dynamics_epoch_3.jsonl.gz"
    last.write_bytes(last.read_bytes()[:-5000])
    found = open_dynamics(tmp_path)
    assert 100 < found.recorded[:, 3].sum() < 2000
    assert "epoch 3 cannot be read" in found.notes[0]


def test_texts_that_lack_an_epoch_are_measured_by_the_others(tmp_path):
    """As with a training that drops the last batch, or when logits became NaN for some."""
    logits, gold = recorded()
    logits[7, 1], logits[8, :3] = np.nan, np.nan
    found = data_map(write(tmp_path, logits, gold))
    assert found.notes[0] == "In epoch 0 the logits of 1 text are no numbers, and left out: 8."
    assert "In epoch 1 the logits of 2 texts are no numbers, and left out: " in found.notes[1]
    assert found.notes[3:] == (
        "Left out, with fewer than two epochs: 1 of 40 texts, 8.",
        "Measured by fewer epochs, for it lacks some: 1 of 39 texts.",
    )
    (row,) = found.rows_of([7]).tolist()
    (expected,) = reference.data_map([logits[7, [0, 2, 3]].tolist()], [int(gold[7])])
    for column in COLUMNS:
        np.testing.assert_allclose(getattr(found, column)[row], expected[column])
    assert found.counted[row] == 3 and found.rows_of([8, "7"]).tolist() == [-1, row]


# ---- orders and regions


def test_orders_are_by_what_they_are_called(tmp_path):
    found = data_map(write(tmp_path, *recorded()))
    for by, column in (
        ("ambiguous", found.variability),
        ("hard_to_learn", -found.confidence),
        ("easy_to_learn", found.confidence),
        ("likely_mislabelled", -found.margin),
    ):
        order = map_order(found, by)
        assert order.rows.tolist() == sorted(range(40), key=lambda row, of=column: -of[row])
        assert map_region(found, by, 0.25) == tuple(found.guid[row] for row in order.rows[:10])
        assert len(map_region(found, by)) == 14 and len(map_region(found, by, 1)) == 40
        assert order.values.tolist() == order.column[order.rows].tolist()


def test_a_flipped_label_is_the_first_to_be_doubted(tmp_path):
    logits, gold = recorded(epochs=6)
    logits[np.arange(40), :, gold] += 3
    gold[11] = (gold[11] + 1) % 3
    assert map_region(data_map(write(tmp_path, logits, gold)), "likely_mislabelled", 1 / 40) == (11,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda found: map_order(found, "loss"), "There is no order by 'loss'; choose ambiguous, hard_to_learn"),
        (lambda found: map_region(found, "ambiguous", 0), "The share of the texts is '0'; give a number above 0"),
        (lambda found: map_region(found, "ambiguous", True), "The share of the texts is 'True'"),
        (lambda found: map_region(found, "ambiguous", float("nan")), "The share of the texts is 'nan'"),
    ],
)
def test_a_bad_choice_is_told(tmp_path, call, message):
    with pytest.raises(SelectionError, match=message):
        call(data_map(write(tmp_path, *recorded())))


def test_texts_are_found_by_their_names(tmp_path):
    logits, gold = recorded(classes=2)
    found = data_map(write(tmp_path, logits, gold))
    names = ["no", "yes"]
    texts = [Text(str(row), "a", label=names[gold[row]]) for row in range(40)]
    rows, notes = rows_of_texts(found, texts)
    assert [found.guid[row] for row in rows.tolist()] == list(range(40)) and notes == ()
    texts[3] = Text("3", "a", label=names[1 - gold[3]])
    rows, notes = rows_of_texts(found, [*texts[:30], Text("x", "a"), Text("y", "b")])
    assert rows[-2:].tolist() == [-1, -1]
    assert notes[:2] == (
        "2 of 32 texts are not in the data map: x, y.",
        "10 of the 40 texts of the data map are not in this collection.",
    )
    assert notes[2].startswith("The training had other labels: 1 of ")
    with pytest.raises(
        SelectionError, match=r"None of the 2 texts \(x, y\) is in the data map, whose texts are called"
    ):
        rows_of_texts(found, [Text("x", "a"), Text("y", "b")])


# ---- bad recordings


def test_folders_without_dynamics_are_told(tmp_path):
    with pytest.raises(SelectionError, match="There is no folder nothing; give the one that training dynamics"):
        data_map(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(SelectionError, match=r"holds no training dynamics; there should be dynamics_epoch_0\.jsonl"):
        data_map(tmp_path)
    write(tmp_path / "training_dynamics", *recorded())
    assert len(data_map(tmp_path)) == 40  # where cartography keeps them


@pytest.mark.parametrize("burn_out", [0, 1, -3, True, 2.5, "3"])
def test_a_bad_burn_out_is_told(tmp_path, burn_out):
    with pytest.raises(SelectionError, match="give a whole number of epochs, 2 or more"):
        data_map(write(tmp_path, *recorded()), burn_out=burn_out)


def test_a_burn_out_of_more_epochs_than_there_are_is_told(tmp_path):
    assert data_map(write(tmp_path, *recorded()), burn_out=9).notes == (
        "burn_out is 9, and there are 4 epochs: all count.",
    )


def test_one_epoch_makes_no_map(tmp_path):
    logits, gold = recorded(epochs=1)
    with pytest.raises(SelectionError, match="1 whole epoch of 1 can be used; a data map needs two"):
        data_map(write(tmp_path, logits, gold))


def test_an_epoch_of_nothing_but_nan_is_told(tmp_path):
    logits, gold = recorded()
    logits[:, 1:] = np.nan
    with pytest.raises(SelectionError, match="1 whole epoch of 1 can be used"):
        data_map(write(tmp_path, logits, gold))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"gold": 2},
            r"1 of 40 texts have more than one gold class \(5: class [01] at first and 2 in epoch 3\)",
        ),
        ({"logits_epoch_3": [1.0, 2.0]}, r"have 2 \(text 5\) and 3 \(text \d+\) logits; they must be of one model"),
        (
            {"guid": 77, "gold": 9},
            r"1 text with a gold class that is none of the model's 3, counted from 0 \(text 77: 9\)",
        ),
        ({"guid": 77, "gold": -1}, r"gold class that is none of the model's 3"),
        ({"guid": 77, "gold": None}, r"1 text without a gold class, 77; add a field `gold`"),
    ],
)
def test_files_of_other_trainings_are_refused(tmp_path, change, message):
    logits, gold = recorded()
    gold[5] %= 2
    write(tmp_path, logits, gold)
    path = tmp_path / "dynamics_epoch_3.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    changed = [line | change if line["guid"] == 5 else line for line in lines]
    path.write_text("\n".join(map(json.dumps, changed)))
    with pytest.raises(SelectionError, match=message):
        data_map(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b'{"guid": true, "logits_epoch_3": [1, 2, 3], "gold": 0}',
        b'{"guid": 90, "logits_epoch_3": 3, "gold": 0}',
        b'{"guid": 90, "logits_epoch_3": [1], "gold": 0}',
        b'{"guid": 90, "logits_epoch_3": [1, null, 3], "gold": 0}',
        b'{"guid": 90, "logits_epoch_2": [1, 2, 3], "gold": 0}',
        b'{"guid": 90, "logits_epoch_3": [1, 2, 3], "gold": "a"}',
        b'{"guid": 90, "logits_epoch_3": [1' + 400 * b"0" + b', 2, 3], "gold": 0}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_lines_that_are_no_records_are_told(tmp_path, line):
    with (write(tmp_path, *recorded()) / "dynamics_epoch_3.jsonl").open("ab") as file:
        file.write(line)
    assert data_map(tmp_path).notes == (
        "1 line of epoch 3 cannot be read as records and is left out: line 41 of dynamics_epoch_3.jsonl.",
    )


def test_nothing_but_damaged_files_is_told(tmp_path):
    (tmp_path / "dynamics_epoch_0.jsonl").write_text("no JSON\n")
    with pytest.raises(SelectionError, match="holds no record that can be used"):
        data_map(tmp_path)


def test_a_text_that_is_recorded_twice_is_told_and_two_texts_of_one_name_are_refused(tmp_path):
    logits, gold = recorded()
    path = write(tmp_path, logits, gold) / "dynamics_epoch_3.jsonl"
    line = next(line for line in path.read_text().splitlines() if json.loads(line)["guid"] == 5)
    with path.open("a") as file:
        file.write(line + "\n")
    assert data_map(tmp_path).notes == ("Epoch 3 has 1 text more than once, of which the last record counts: 5.",)
    with path.open("a") as file:
        file.write(json.dumps(json.loads(line) | {"gold": int(1 - gold[5] % 2)}) + "\n")
    with pytest.raises(
        SelectionError, match=r"1 of 40 texts have more than one gold class \(5: class \d and \d in epoch 3"
    ):
        data_map(tmp_path)


def test_a_file_of_an_epoch_far_away_costs_no_more_than_others(tmp_path):
    logits, gold = recorded()
    write(tmp_path, logits, gold)
    last = tmp_path / "dynamics_epoch_3.jsonl"
    text = last.read_text().replace("logits_epoch_3", "logits_epoch_999999999")
    (tmp_path / "dynamics_epoch_999999999.jsonl").write_text(text)
    last.unlink()
    tracemalloc.start()
    found = data_map(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert found.notes == ("There is no file of epoch 3, 4, 5 and 999,999,993 more: the map is of the others.",)
