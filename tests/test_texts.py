"""A collection of texts is a sequence whose fingerprint tells what an analysis may depend on."""

from dataclasses import replace

import pytest

from attnflow.records.texts import Columns, Text, Texts

ROWS = (Text("0", "Anna sang.", "Paul sang.", "entailed"), Text("1", "Paul slept.", None, None, {"year": 1999}))
TEXTS = Texts(ROWS, "a list", Columns("text_a", "text_b", "label"), ("entailed", "not entailed"), total=2)


def test_a_collection_is_a_sequence():
    assert len(TEXTS) == 2
    assert list(TEXTS) == [TEXTS[0], TEXTS[1]]
    assert TEXTS[1:] == ROWS[1:]


@pytest.mark.parametrize(("total", "told"), [(2, "2 texts"), (None, "2 texts"), (2000, "2 of 2,000 texts")])
def test_it_tells_how_many_of_how_many_there_are(total, told):
    assert replace(TEXTS, total=total).counted == told


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[::-1],
        ROWS[:1],
        (ROWS[0], replace(ROWS[1], guid="2")),
        (ROWS[0], replace(ROWS[1], text_a="Paul slept")),
        (ROWS[0], replace(ROWS[1], text_b="")),
        (ROWS[0], replace(ROWS[1], label="entailed")),
    ],
)
def test_every_change_of_what_is_analysed_changes_the_fingerprint(rows):
    assert replace(TEXTS, rows=rows).fingerprint != TEXTS.fingerprint


def test_what_is_not_analysed_does_not_change_the_fingerprint():
    other = replace(TEXTS, rows=(ROWS[0], replace(ROWS[1], meta={})), source="another list", total=None)
    assert other.fingerprint == TEXTS.fingerprint


def test_a_text_with_a_lone_surrogate_has_a_fingerprint():
    assert len(Texts((Text("0", "\ud800"),), "a list", Columns("text_a")).fingerprint) == 64
