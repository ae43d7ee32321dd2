"""Collections of the service: each is read once, what is private stays with its page, and the disk is bounded."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from attnflow import SelectionError, progress, survey
from attnflow.corpus import survey_store
from attnflow.errors import AttnflowError, CancelledError, TextsError
from attnflow.records.texts import Columns, Text, Texts
from attnflow.service import collections as module
from attnflow.service.collections import Asked, Collections, Opened, Page
from attnflow.service.places import Places
from attnflow.service.visitors import Visitor, serving
from attnflow.service.wanted import Wanted

A, B = "demo/pretrained", "demo/finetuned"
FEW = Asked(rows=12)


@pytest.fixture
def collections(monkeypatch, empty_caches):
    made = Collections(most_bytes=10**8, disk_bytes=10**8, places=Places(2, 1, 10, 10), most_seconds=100)
    monkeypatch.setattr(module, "collections", made)
    return made


@pytest.fixture
def counted(monkeypatch):
    """How often a model has read texts."""
    calls = []

    def counting(*args, **kwargs):
        calls.append(kwargs["out"])
        return survey(*args, **kwargs)

    monkeypatch.setattr(module, "survey", counting)
    return calls


def test_a_model_reads_texts_once_and_again_where_something_else_is_asked(collections, counted):
    one, other = Page(), Page()
    opened = collections.open(FEW, one)
    assert opened is collections.open(FEW, other), "anybody may read the bundled pairs"
    with ThreadPoolExecutor(2) as pool:
        found, again = pool.map(lambda _: collections.survey(opened, B), range(2))
    assert found is again and len(counted) == 1
    collections.survey(opened, B, pruned=[(0, 1)])
    assert len(counted) == 2
    mapped = collections.survey(opened, B, labels={"supported": None})
    assert len(counted) == 2, "which class a label stands for changes no run"
    assert mapped.known.sum() == sum(text.label == "unsupported" for text in opened.texts)
    assert np.shares_memory(mapped.hidden, found.hidden)
    with pytest.raises(SelectionError, match="has the label 'brown'"):
        collections.survey(opened, B, labels={"brown": "supported"})
    for rows in (0, 10**9, "x"):
        with pytest.raises(SelectionError, match="rows is"):
            collections.open(replace(FEW, rows=rows), one)


def test_what_was_read_of_public_texts_is_found_on_disk(collections, counted, monkeypatch):
    page = Page()
    opened = collections.open(FEW, page)
    first = collections.survey(opened, B)
    later = Collections(most_bytes=10**8, disk_bytes=10**8, places=Places(2, 1, 10, 10), most_seconds=100)
    monkeypatch.setattr("attnflow.corpus.survey.survey_part", None)
    found = later.survey(opened, B)
    np.testing.assert_array_equal(found.scores, first.scores)
    assert counted[0] == counted[1] and (counted[0] / "survey.json").is_file()


def test_what_a_visitor_sent_is_only_his_and_is_forgotten_with_his_page(collections, counted, tmp_path):
    data = b"text,label\nAnna met Paul.,supported\nPaul left.,unsupported\nAnna left.,supported\n"
    asked = Asked(sent=module.uploads.keep("10.0.0.1", "mine.csv", data))
    page, other = Page(), Page()
    with pytest.raises(TextsError, match="send the file again"), serving(Visitor("x", address="10.0.0.2")):
        collections.open(asked, page)
    with serving(Visitor("x", address="10.0.0.1")):
        opened = collections.open(asked, page)
    assert (opened.owner, opened.texts.source, len(opened.texts)) == (page.name, "mine.csv", 3)
    collections.survey(opened, B)
    assert counted == [None], "nothing of it is written to disk"
    assert collections.open(asked, page) is opened
    with pytest.raises(TextsError, match="send the file again"), serving(Visitor("x", address="10.0.0.1")):
        collections.open(asked, other)
    found = collections.survey(opened, B)
    collections.layout(opened, found, "hidden", 2, "pca")
    collections.orders(opened, [found])
    kept = [collections._texts, collections._surveys, collections._layouts, collections._orders]
    assert [len(cache) for cache in kept] == [1, 1, 1, 1]
    del page
    gc.collect()
    assert [len(cache) for cache in kept] == [0, 0, 0, 0]
    with pytest.raises(TextsError, match="send the file again"), serving(Visitor("x", address="10.0.0.1")):
        collections.open(asked, other)
    with pytest.raises(AttnflowError):  # a path of this machine is no name of a data set
        collections.open(Asked(str(tmp_path)), other)


def test_what_is_opened_with_a_token_is_kept_for_its_page(collections, monkeypatch):
    texts = Texts((Text("a", "Anna met Paul."), Text("b", "Paul left.")), "lab/rows", Columns("text"))
    opened_with = []
    monkeypatch.setattr(module, "open_published", lambda ref, token, **more: opened_with.append(token) or texts)
    page, other = Page(), Page()
    with serving(Visitor("v", token="hf_mine")):
        mine = collections.open(Asked("lab/rows"), page)
    assert mine.owner == page.name
    anybody = collections.open(Asked("lab/rows"), other)
    assert anybody.owner is None and opened_with == ["hf_mine", None]
    assert collections.open(Asked("lab/rows"), other) is anybody
    assert collections.open(Asked("lab/rows"), other, anew=True) is not anybody


def test_who_cancels_ends_his_own_reading_alone(collections):
    page, wanted, told = Page(), Wanted(), []
    opened = collections.open(replace(FEW, rows=600), page)

    def listen(what, share):
        told.append((what, share))
        wanted.cancel()

    with (
        pytest.raises(CancelledError, match="enough"),
        progress.reporting(listen),
        progress.ending(wanted.begin("enough")),
    ):
        collections.survey(opened, A)
    assert told[-1][1] < 1 and "of 600 texts read by" in told[-1][0]
    few = collections.open(FEW, page)
    with progress.ending(wanted.begin()):
        assert len(collections.survey(few, A)) == 12, "what comes after is another reading"


def test_layouts_start_from_the_layer_below_or_the_other_model(collections):
    page = Page()
    opened = collections.open(replace(FEW, rows=30), page)
    a, b = (collections.survey(opened, ref) for ref in (A, B))
    first = collections.layout(opened, a, "hidden", 1, "pca")
    assert first.note == "" and first.points.shape == (30, 2)
    assert collections.layout(opened, a, "hidden", 1, "pca") is first
    assert "layer 1" in collections.layout(opened, a, "hidden", 3, "pca").note
    assert "other model" in collections.layout(opened, b, "hidden", 1, "pca", beside=a).note
    assert collections.layout(opened, b, "behaviour", 9, "pca") is collections.layout(opened, b, "behaviour", 0, "pca")
    for of, layer, method in (("hidden", 99, "pca"), ("hidden", -1, "pca"), ("x", 0, "pca"), ("hidden", 0, "umapp")):
        with pytest.raises(SelectionError, match="There is no lay"):
            collections.layout(opened, a, of, layer, method)


def test_orders_are_those_that_the_models_have(collections):
    page = Page()
    opened = collections.open(FEW, page)
    a, b = (collections.survey(opened, ref) for ref in (A, B))
    assert set(collections.orders(opened, [a, b])) == {"influence", "graph", "mislabelled"}, "A decides nothing"
    assert set(collections.orders(opened, [b, b])) == {"decision", "influence", "graph", "mislabelled"}
    assert set(collections.orders(opened, [a])) == set()


def test_texts_that_were_not_read_lie_nowhere(collections):
    rows = tuple(Text(str(n), " " if n == 2 else f"Anna met Paul {n}.") for n in range(6))
    opened = Opened(Texts(rows, "s", Columns("t")), None)
    found = collections.survey(opened, B)
    laid = collections.layout(opened, found, "hidden", 4, "pca")
    assert np.isnan(laid.points).any(1).tolist() == [n == 2 for n in range(6)]


def test_surveys_on_disk_are_bounded(collections, counted):
    page = Page()
    opened = collections.open(FEW, page)
    found = collections.survey(opened, B)
    wanted = survey_store.survey_bytes(found.settings)
    other = replace(found.settings, commit="other")
    with survey_store.keeping(other, wanted) as folder:
        assert folder is None, "the first was used just now"
    (mark,) = counted[0].parent.glob("*/.used")
    os.utime(mark, (0, 0))
    with survey_store.keeping(other, wanted) as folder:
        assert folder is not None and not counted[0].exists()
    with survey_store.keeping(other, wanted - 1) as folder:
        assert folder is None


def test_the_state_of_each_page_is_its_own():
    page = Page()
    assert deepcopy(page).name != page.name
