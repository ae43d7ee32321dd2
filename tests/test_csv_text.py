"""Tables as CSV: what a spreadsheet reads is what was written, and no text of a tokenizer becomes a formula."""

from __future__ import annotations

import csv
import io

import pytest

from attnflow.views.csv_text import csv_text


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_text_that_begins_like_a_formula_gets_a_quote_in_front(first):
    text = f'{first}HYPERLINK("http://x","y")'
    assert read(csv_text(["token"], [[text]])) == [["token"], [f"'{text}"]]


@pytest.mark.parametrize("value", [-0.5, -3, 1e-05, 0, float("1e300")])
def test_numbers_stay_numbers(value):
    ((_, cell),) = read(csv_text(["a", "b"], [["x", value]]))[1:]
    assert float(cell) == value


@pytest.mark.parametrize("text", ['say "no"', "a,b", "two\nlines", "", "a=b", " =1", "'=1", "مرحبا", "##ing"])
def test_every_other_text_comes_back_as_it_was(text):
    assert read(csv_text(["a", "b"], [[text, "x"]])) == [["a", "b"], [text, "x"]]
