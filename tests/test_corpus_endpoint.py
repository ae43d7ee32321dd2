"""The endpoint of statistics of a corpus says what the library says of the same."""

from __future__ import annotations

import gc
import json

import pytest

from attnflow import corpus_statistics, load_checkpoint, open_texts
from attnflow.corpus.corpus_statistics import corpus_settings
from attnflow.service.collections import Asked, Page, collections
from attnflow.service.corpora import corpora
from attnflow.web.answering import Told
from attnflow.web.endpoints.corpus import corpus_statistics as endpoint

NAMES = ["surface", "entropy", "head_distances"]


def test_it_has_a_row_for_each_head_over_all_texts_and_for_each_group():
    texts = open_texts("demo/pairs", rows=12)
    answer = endpoint("demo/finetuned", "demo/pairs", NAMES, 12, group_by="label")
    json.dumps(answer, allow_nan=False)
    found = corpus_statistics("demo/finetuned", texts, NAMES, group_by="label", max_tokens=128)
    assert answer["texts"]["fingerprint"] == texts.fingerprint and answer["n"] == 12 and answer["failed"] == {}
    assert answer["statistics"] == NAMES and answer["model"]["sha"] == found.settings.commit
    assert [(one["group"], one["n"]) for one in answer["groups"]] == [(None, 12), ("supported", 6), ("unsupported", 6)]
    for told, group in zip(answer["groups"], ("", "supported", "unsupported"), strict=True):
        assert len(told["heads"]) == 16
        for row, expected in zip(told["heads"], found.rows(group), strict=True):
            assert row["entropy"] == pytest.approx(expected["entropy"], rel=1e-3)
            assert (row["layer"], row["head"], row["name"]) == (expected["layer"], expected["head"], expected["name"])
    assert len(answer["map"]["points"]) == 16 and 0 < answer["map"]["stress"] < 1
    plain = endpoint("demo/finetuned", rows=12)
    assert plain["statistics"] == ["surface", "entropy", "positions", "patterns"] and plain["map"] is None
    assert plain["groups"][0]["heads"][3]["pattern"]


def test_what_was_computed_is_kept_and_given_to_no_other_page(monkeypatch):
    calls = []

    def counted(*more, **options):
        calls.append(options["group_by"])
        return corpus_statistics(*more, **options)

    monkeypatch.setattr("attnflow.service.corpora.corpus_statistics", counted)
    for _ in range(2):
        endpoint("demo/pretrained", rows=5, statistics=["entropy"])
    assert calls == [None]
    page = Page()
    opened = collections.open(Asked(rows=5), page)
    private = type(opened)(opened.texts, page.name)
    for _ in range(2):
        corpora.statistics(private, "demo/pretrained", page, ["entropy"])
    assert calls == [None, None]
    corpora.forget(page.name)
    corpora.statistics(private, "demo/pretrained", page, ["entropy"])
    assert len(calls) == 3
    assert corpora._kept.find((page.name, settings_of(private), False)) is not None
    owner = page.name
    del page
    gc.collect()
    assert corpora._kept.find((owner, settings_of(private), False)) is None


def settings_of(opened):
    checkpoint = load_checkpoint("demo/pretrained")
    return corpus_settings(checkpoint, opened.texts, ["entropy"], max_tokens=128)[0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"statistics": ["reference"]}, "There is no statistic 'reference'; choose surface"),
        ({"statistics": ["coreference"]}, "No text has a chain of two mentions"),
        ({"statistics": ["mean_attention"]}, "mean_attention is too large for an answer; use the library"),
        ({"statistics": ["entropy", "entropy"]}, "give each once"),
        ({"statistics": ["importance"]}, "cannot have importance, because it has no trained head"),
        ({"group_by": "topic"}, "There is no column 'topic' to group by; choose label"),
        ({"labels": ["1=supported"]}, "labels names the class"),
    ],
)
def test_what_does_not_fit_is_told(more, message):
    with pytest.raises(Told, match=message):
        endpoint("demo/pretrained", **{"rows": 5, **more})
