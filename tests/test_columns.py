"""What columns are guessed to be, how that is changed, and how labels become classes and find those of a model."""

import pytest

from attnflow import SelectionError, match_labels
from attnflow.corpus.columns import choose_columns, guess_columns
from attnflow.corpus.gold import Gold
from attnflow.errors import TextsError
from attnflow.records.texts import Columns, Text, Texts


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["idx", "sentence1", "sentence2", "label"], Columns("sentence1", "sentence2", "label", "idx")),
        (["premise", "hypothesis", "label"], Columns("premise", "hypothesis", "label")),
        (["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"], Columns("#1 String", "#2 String", "Quality")),
        (["pair_ID", "sentence_A", "sentence_B", "score"], Columns("sentence_A", "sentence_B", "score", "pair_ID")),
        (["index", "question", "sentence", "label"], Columns("question", "sentence", "label", "index")),
        (["question1", "question2", "is_duplicate"], Columns("question1", "question2")),
        (["id", "title", "context", "question", "answers"], Columns("question", "context", None, "id")),
        (["text", "label"], Columns("text", None, "label")),
        (["Text", "Class"], Columns("Text", None, "Class")),
        (["label", "gold_label", "content"], Columns("content", None, "gold_label")),
        (["anything", "label"], Columns("anything", None, "label")),
        (["text", "Text"], Columns("text")),
        (["a", "b"], None),
        (["label"], None),
    ],
)
def test_columns_are_guessed_by_their_usual_names(columns, expected):
    assert guess_columns(columns) == expected


def test_a_column_whose_classes_are_known_holds_the_label():
    assert guess_columns(["text", "verdict"], classes=["verdict"]) == Columns("text", None, "verdict")


NAMES = ["idx", "sentence1", "sentence2", "label", "topic"]
GUESSED = guess_columns(NAMES)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, GUESSED),
        ({}, GUESSED),
        ({"text_b": None}, Columns("sentence1", None, "label", "idx")),
        ({"label": "topic"}, Columns("sentence1", "sentence2", "topic", "idx")),
        ({"text_a": "sentence2"}, Columns("sentence2", None, "label", "idx")),
        ({"text_a": "label"}, Columns("label", None, None, "idx")),
        (Columns("topic"), Columns("topic")),
    ],
)
def test_whoever_asks_knows_better(wanted, expected):
    assert choose_columns(GUESSED, wanted, NAMES, "x.csv") == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"text_a": "sentence3"}, "x.csv has no column 'sentence3' for text_a; it has 'idx', 'sentence1'"),
        ({"text": "sentence1"}, "columns names 'text'; give columns for text_a, text_b, label, guid"),
        ({"text_a": 3}, "columns gives '3' for text_a; give the name of a column"),
        ({"text_a": None}, "no column for text_a"),
        ({"text_b": "sentence1"}, "gives 'sentence1' for both texts"),
        ("sentence1", "columns is 'sentence1'; give a mapping"),
        (Columns("nothing"), "has no column 'nothing'"),
    ],
)
def test_columns_that_cannot_be_are_told(wanted, message):
    with pytest.raises(SelectionError, match=message.replace("(", "\\(")):
        choose_columns(GUESSED, wanted, NAMES, "x.csv")


def test_a_source_without_a_text_tells_what_it_has():
    with pytest.raises(TextsError, match=r"no column that is known to hold texts; it has 'c0', .*'c11' and 28 more\."):
        choose_columns(None, None, [f"c{n}" for n in range(40)], "x.csv")
    assert choose_columns(None, {"text_a": "c"}, ["b", "c"], "x.csv") == Columns("c")


@pytest.mark.parametrize(
    ("classes", "cells", "labels", "names"),
    [
        (
            ("no", "yes"),
            [1, 0, -1, None, "1", "yes", 7],
            ["yes", "no", None, None, "yes", "yes", "7"],
            ("no", "yes", "7"),
        ),
        ((), [1, 0, 10, 2], ["1", "0", "10", "2"], ("0", "1", "2", "10")),
        ((), ["1", "1.0", 0.0, " 0 "], ["1", "1", "0", "0"], ("0", "1")),
        ((), ["b", "a", "", "-", float("nan")], ["b", "a", None, None, None], ("a", "b")),
        ((), ["1.5", "2", None], [1.5, 2.0, None], ()),
        ((), [0.25, 5.0], [0.25, 5.0], ()),
        ((), ["1.5", "high"], ["1.5", "high"], ("1.5", "high")),
        ((), [True, False], ["true", "false"], ("false", "true")),
        ((), [["a"], ["a", "b"], {"x": 1}], ["a", None, None], ("a",)),
        ((), ["inf", "nan"], ["inf", "nan"], ("inf", "nan")),
    ],
)
def test_cells_become_classes_or_numbers(classes, cells, labels, names):
    gold = Gold(classes)
    found = [gold.name(cell) for cell in cells]
    assert [gold.value(name) for name in found] == labels
    assert gold.names([name for name in found if name is not None]) == names


def with_labels(*names):
    return Texts((Text("0", "Anna sang."),), "a list", Columns("text"), names)


@pytest.mark.parametrize(
    ("ours", "theirs", "classes", "unmatched", "unused", "note"),
    [
        (
            ["entailment", "neutral"],
            ["NEUTRAL", "Entailment"],
            {"entailment": "Entailment", "neutral": "NEUTRAL"},
            (),
            (),
            "",
        ),
        (["not_entailment"], ["not entailment", "x"], {"not_entailment": "not entailment"}, (), ("x",), ""),
        (["0", "1"], ["LABEL_0", "LABEL_1"], {}, ("0", "1"), ("LABEL_0", "LABEL_1"), "choose which is which"),
        (["0", "1"], ["no", "yes"], {}, ("0", "1"), ("no", "yes"), "are numbers"),
        (["no", "yes"], ["LABEL_0", "LABEL_1"], {}, ("no", "yes"), ("LABEL_0", "LABEL_1"), "say nothing about"),
        (["a", "b"], ["a", "c"], {"a": "a"}, ("b",), ("c",), "The model has no label 'b'"),
        (["a", "A"], ["a"], {}, ("a", "A"), ("a",), "no label"),
        (["a"], ["a", "A"], {}, ("a",), ("a", "A"), "no label"),
        ([], ["a"], {}, (), ("a",), ""),
    ],
)
def test_labels_match_by_name_and_never_by_number(ours, theirs, classes, unmatched, unused, note):
    found = match_labels(with_labels(*ours), theirs)
    assert (dict(found.classes), found.unmatched, found.unused) == (classes, unmatched, unused)
    assert note in found.note and bool(note) == bool(found.note)


def test_a_choice_comes_before_names():
    texts = with_labels("0", "1", "x")
    found = match_labels(texts, ["LABEL_0", "x"], choice={"1": "LABEL_0", "x": None})
    assert (dict(found.classes), found.unmatched, found.unused) == ({"1": "LABEL_0"}, ("0",), ("x",))
    for choice, message in (({"2": "x"}, "No text has the label '2'"), ({"0": "y"}, "The model has no label 'y'")):
        with pytest.raises(SelectionError, match=message):
            match_labels(texts, ["LABEL_0", "x"], choice=choice)
