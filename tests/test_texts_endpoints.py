"""The endpoints of many texts say what the library says of the same, page by page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnflow import most_different, open_texts, survey
from attnflow.web.answering import Told
from attnflow.web.endpoints import texts as api

ROWS = 30


@pytest.fixture(scope="module")
def texts():
    return open_texts("demo/pairs", rows=ROWS)


@pytest.fixture(scope="module")
def surveys(texts):
    return [survey(ref, texts, max_tokens=128) for ref in ("demo/pretrained", "demo/finetuned")]


def test_a_survey_comes_in_pages(texts, surveys):
    answer = api.survey("demo/finetuned", rows=ROWS, offset=10, limit=15)
    json.dumps(answer, allow_nan=False)
    assert (answer["n"], answer["offset"], len(answer["rows"])) == (ROWS, 10, 15)
    assert answer["texts"]["fingerprint"] == texts.fingerprint
    assert answer["model"]["sha"] == surveys[1].settings.commit
    for row, told in enumerate(answer["rows"], start=10):
        assert (told["row"], told["text_a"], told["label"]) == (row, texts[row].text_a, texts[row].label)
        assert told["decision"] == surveys[1].decision_names[row]
        assert told["loss"] == pytest.approx(surveys[1].loss[row], rel=1e-3, abs=1e-6)
    assert answer["accuracy"] == pytest.approx(surveys[1].right.mean(), rel=1e-3)
    without = api.survey("demo/pretrained", rows=ROWS, limit=1)
    assert without["rows"][0]["decision"] is None and without["accuracy"] is None and without["note"]


def test_a_projection_tells_how_far_it_can_be_trusted():
    answer = api.projection("demo/finetuned", rows=ROWS, layer=2)
    json.dumps(answer, allow_nan=False)
    assert (answer["layer"], answer["method"], len(answer["points"])) == (2, "pca", ROWS)
    assert 0 < answer["trustworthiness"] <= 1
    assert api.projection("demo/finetuned", rows=ROWS)["layer"] == 4


def test_texts_are_compared_in_the_order_of_the_library(surveys):
    for order in ("influence", "graph", "behaviour"):
        expected = most_different(*surveys, order)
        answer = api.compare_texts("demo/pretrained", "demo/finetuned", order=order, rows=ROWS, limit=5)
        assert [row["row"] for row in answer["rows"]] == expected.rows[:5].tolist()
        np.testing.assert_allclose([row["value"] for row in answer["rows"]], expected.values[:5], rtol=1e-3)
        assert answer["note"] == expected.sentence
    answer = api.compare_texts("demo/pretrained", "demo/finetuned", order="mislabelled", rows=ROWS)
    assert all(row["decision_b"] != row["label"] for row in answer["rows"])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"rows": 0}, "rows is 0"),
        ({"rows": 10**6}, "rows is 1000000"),
        ({"offset": -1}, "offset is -1"),
        ({"limit": 1001}, "limit 1001"),
        ({"columns": ["text_a"]}, "such as 'text_a=premise'"),
        ({"columns": ["colour=x"]}, "columns names 'colour'"),
        ({"columns": ["text_a=brown"]}, "no column 'brown'"),
        ({"labels": ["supported=brown"]}, "names the class 'brown'; the classes are supported, unsupported"),
        ({"pruned": [[9, 9]]}, "head"),
        ({"texts": "/etc/hostname"}, "."),
        ({"texts": "../x.csv"}, "."),
        ({"seed": -1}, "seed is -1"),
        ({"too_long": "x"}, "too_long"),
    ],
)
def test_what_does_not_fit_is_told(wrong, told):
    with pytest.raises(Told, match=told):
        api.survey(**{"model": "demo/finetuned", "rows": 5, **wrong})


def test_an_order_that_there_is_not_is_told():
    with pytest.raises(Told, match="has no trained head that decides"):
        api.compare_texts("demo/pretrained", "demo/finetuned", order="decision", rows=5)
