"""What the map of texts is told is what texts and surveys say, and a saved file holds the same."""

from __future__ import annotations

import base64
import csv
import io
import json
from types import MappingProxyType

import numpy as np
import pyarrow.parquet as parquet
import pytest

from attnflow import most_different, survey
from attnflow.corpus.rows_file import SETTINGS, parquet_bytes
from attnflow.records.laid import Laid
from attnflow.records.texts import Columns, Text, Texts
from attnflow.views import collected, collected_files, payloads
from attnflow.views.collected import Ranking, collection
from tests.checkpoints import PAIR, TEXT
from tests.payload_types import mismatch

ROWS = tuple(
    Text(guid, text_a, text_b, label, MappingProxyType(meta))
    for guid, text_a, text_b, label, meta in [
        ("a", TEXT[0], "Anna gave it.", "yes", {"year": 1990, "topic": "=gift", "kept": True, "mixed": 1}),
        ("b", TEXT[1], None, "no", {"year": None, "topic": "news", "kept": False, "mixed": "x"}),
        ("c", *PAIR, "perhaps", {"year": 2001.5, "topic": "news", "kept": None, "mixed": None}),
        ("d", " ", None, "yes", {"year": 10**400, "topic": None, "kept": True, "mixed": 2.5}),
        ("e", TEXT[3], TEXT[2], "unknown", {}),
    ]
)
TEXTS = Texts(
    ROWS,
    "lab/rows",
    Columns("text"),
    ("no", "yes", "perhaps", "unknown"),
    9,
    {"without a text": 2},
    9,
    ("All are new.",),
)


@pytest.fixture(scope="module")
def surveys(checkpoints):
    return survey(checkpoints["bert"], TEXTS), survey(checkpoints["roberta"], TEXTS)


@pytest.fixture(scope="module")
def found(surveys):
    order = most_different(*surveys)
    ranking = Ranking("change", "Change of the decision", order.column, order.quantity, order.sentence)
    empty = Ranking("nothing", "Nothing", np.full(5, np.nan), "nothing", "Nothing.")
    return collection("k", TEXTS, surveys, [ranking, empty], methods=["pca", "tsne"], notes=["More."])


def values(found, name):
    (column,) = [one for one in found["columns"] if one["name"] == name]
    data = base64.b64decode(column["values"])
    if column["kind"] == "number":
        return np.frombuffer(data, "<f4")
    return [column["kinds"][one] if one != 65535 else None for one in np.frombuffer(data, "<u2")]


def test_columns_hold_what_the_surveys_say(found, surveys):
    assert mismatch(json.loads(json.dumps(found, allow_nan=False)), payloads.Collection) is None
    names = [column["name"] for column in found["columns"]]
    assert len(set(names)) == len(names)
    assert values(found, "label") == ["yes", "no", "perhaps", "yes", "unknown"]
    for side, one in zip("ab", surveys, strict=True):
        assert values(found, f"decision_{side}") == list(one.decision_names)
        read = [None, *(one.decision_names[row] == ROWS[row].label for row in range(5))][1:]
        known = one.known.tolist()
        right = [("yes" if same else "no") if there else None for same, there in zip(read, known, strict=True)]
        assert values(found, f"right_{side}") == right
        gold = [label if label in one.labels else None for label in values(found, "label")]
        assert values(found, f"gold_{side}") == gold
        for name, expected in (("confidence", one.confidence), ("loss", one.loss), ("entropy", one.entropy)):
            np.testing.assert_allclose(values(found, f"{name}_{side}"), expected, rtol=1e-6)
        assert values(found, f"length_{side}")[3] != values(found, f"length_{side}")[3], "it was not read"
    pairs = zip(*(one.decision_names for one in surveys), strict=True)
    assert values(found, "flipped") == [None if a is None else "no" if a == b else "yes" for a, b in pairs]
    assert found["decided"] == [
        {"side": side, "gold": f"gold_{side}", "decision": f"decision_{side}"} for side in ("a", "b")
    ]
    assert [one["name"] for one in found["orders"]] == ["change", "loss_a", "loss_b"]
    assert found["layers"] == [one.settings.n_layers for one in surveys]


def test_columns_of_the_source_are_numbers_or_few_kinds(found):
    np.testing.assert_equal(values(found, "meta:year"), np.float32([1990, np.nan, 2001.5, np.nan, np.nan]))
    assert values(found, "meta:topic") == ["=gift", "news", "news", None, None]
    assert values(found, "meta:kept") == ["yes", "no", None, "yes", None]
    assert values(found, "meta:mixed") == ["1", "x", None, "2.5", None]
    many = Texts(tuple(Text(str(n), "x", None, None, {"name": f"n{n}"}) for n in range(51)), "s", Columns("t"))
    assert collected.source_columns(many) == []
    assert collected.fields(many)[-1] == "name"


def test_what_is_left_out_and_unmatched_is_told(found):
    about = found["about"]
    for sentence in (
        "5 of 9 texts of lab/rows.", "Left out: 2 without a text.", "All are new.", "More.",
        "A could not read 1 texts; the first: ", "A has no class of the name 'unknown': 1 texts count as unlabelled.",
    ):  # fmt: skip
        assert sentence in about


def test_one_model_alone_and_one_that_decides_nothing(tasks):
    none = survey(tasks["none"], TEXTS)
    found = collection("k", TEXTS, [none])
    assert mismatch(json.loads(json.dumps(found, allow_nan=False)), payloads.Collection) is None
    assert [one["name"] for one in found["columns"]][:2] == ["label", "length_a"]
    assert (found["decided"], found["orders"]) == ([], [])
    assert "A has no trained head" in found["about"]


def test_answers_hold_what_was_asked_for():
    rows = collected.rows_answer({"key": "k", "rows": [4, 0]}, TEXTS)
    assert mismatch(rows, payloads.Rows) is None
    assert rows["cells"][1] == [TEXT[0], "Anna gave it.", "yes", "1990", "=gift", "yes", "1"]
    long = Texts((Text("a", "x" * 2000),), "s", Columns("t"))
    assert len(collected.rows_answer({"key": "k", "rows": [0]}, long)["cells"][0][0]) == collected.MOST_SHOWN
    found = collected.found_answer({"key": "k", "text": "GAVE anna"}, TEXTS)
    assert mismatch(found, payloads.Found) is None
    expected = ["gave" in (one.text_a + (one.text_b or "")).lower() for one in ROWS]
    assert list(base64.b64decode(found["rows"])) == [
        int(gave and "anna" in (one.text_a + (one.text_b or "")).lower())
        for gave, one in zip(expected, ROWS, strict=True)
    ]
    assert collected.found_answer({"key": "k", "text": " "}, TEXTS)["rows"] == base64.b64encode(b"\1" * 5).decode()
    laid = Laid(np.float32([[0, 1], [np.nan, np.nan]]), np.float32([1, np.nan]), float("nan"), 0.5, 2, "")
    asked = {"key": "k", "plot": 1, "side": "b", "of": "hidden", "layer": 3, "method": "pca"}
    layout = collected.layout_answer(asked, laid)
    assert mismatch(json.loads(json.dumps(layout, allow_nan=False)), payloads.Layout) is None
    assert (layout["trustworthiness"], layout["continuity"]) == (None, 0.5)
    np.testing.assert_equal(np.frombuffer(base64.b64decode(layout["points"]), "<f4").reshape(2, 2), laid.points)


@pytest.mark.parametrize("sent", ["x", "AAAA", base64.b64encode(np.uint32([5]).tobytes()).decode(), "AAAAAAAAAAA="])
def test_rows_that_are_none_are_seen(sent):
    assert collected_files.unpacked_rows(sent, 5) is None


def test_a_saved_file_holds_the_rows_in_their_order_and_how_it_came_about(found):
    packed = base64.b64encode(np.uint32([2, 0]).tobytes()).decode()
    rows = collected_files.unpacked_rows(packed, 5)
    assert rows == [2, 0]
    table = collected_files.table_of(found, TEXTS, rows)
    settings = collected_files.told_settings(found, "only what B gets wrong")
    saved = collected_files.csv_file(table, settings)
    assert mismatch(saved, payloads.CollectionFile) is None
    (header, first, second) = csv.reader(io.StringIO(saved["text"]))
    assert json.loads(first[0])["filters and order"] == "only what B gets wrong"
    row = dict(zip(header, second, strict=True))
    assert (row["guid"], row["first text"], row["topic"], row["label"]) == ("a", TEXT[0], "'=gift", "yes")
    assert float(row["loss_a"]) == pytest.approx(values(found, "loss_a")[0], rel=1e-5)
    read = parquet.read_table(io.BytesIO(parquet_bytes(table, settings)))
    assert json.loads(read.schema.metadata[SETTINGS])["source"] == "lab/rows"
    assert read.to_pydict()["guid"] == ["c", "a"] and read.to_pydict()["topic"] == ["news", "=gift"]
    clash = Texts((Text("a", "x", None, None, {"label": 1, "loss_a": 2}),), "s", Columns("t"))
    table = collected_files.table_of(found, clash, [0])
    assert (table["label"], table["source: label"], table["source: loss_a"]) == ([None], [1], [2])
    mixed = parquet_bytes({"x": [1, "y", None]}, {})
    assert parquet.read_table(io.BytesIO(mixed)).to_pydict()["x"] == ["1", "y", None]
