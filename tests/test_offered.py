"""Surveys that the operator of a machine offers: the page shows them, and nothing else of its disk can be reached."""

from __future__ import annotations

import base64
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from attnflow import SelectionError, TextsError, cli, most_different, open_survey, open_texts
from attnflow.corpus.texts_file import open_saved_texts, save_texts
from attnflow.records.texts import Columns, Text, Texts
from attnflow.service.collections import Page, collections
from attnflow.service.offered import Offered, corpora, surveys
from attnflow.views import payloads
from attnflow.web.endpoints import texts as api
from attnflow.web.rooms import answers, heads
from attnflow.web.rooms.chosen import Chosen, _source_box
from attnflow.web.rooms.reading import may_begin, read
from attnflow.web.settings import Pair
from tests.payload_types import mismatch

PAIR = Pair("lab/a", "", "lab/b", "", "", "")
NAME = "local/found"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the command writes for two models, and for one."""
    top = tmp_path_factory.mktemp("surveys")
    words = ["demo/pairs", "--rows", "12", "--out"]
    assert cli.main(["survey", "demo/pretrained", "demo/finetuned", *words, str(top / "found")]) == 0
    assert cli.main(["survey", "demo/finetuned", *words, str(top / "one")]) == 0
    return top


@pytest.fixture
def top(made, tmp_path, monkeypatch):
    """A folder that is offered, to be changed."""
    shutil.copytree(made, tmp_path / "top")
    monkeypatch.setenv("ATTNFLOW_SURVEYS", str(tmp_path / "top"))
    monkeypatch.delenv("SPACE_ID", raising=False)
    yield tmp_path / "top"
    collections._texts.forget(lambda key: True)


def shown(source, page=None, labels=()):
    return [*read(Chosen(source=source), PAIR, None, page or Page(), labels)][-1]


def test_the_page_shows_what_the_command_wrote(top):
    assert surveys.names() == [NAME, "local/one"]
    assert NAME in {value for _, value in _source_box("demo/pairs").choices}
    assert not may_begin(Chosen(source=NAME), PAIR)
    step = shown(NAME)
    payload = json.loads(json.dumps(step.payload, allow_nan=False))
    assert mismatch(payload, payloads.Collection) is None
    assert (payload["source"], payload["n"]) == (NAME, 12)
    assert payload["models"] == ["demo/pretrained", "demo/finetuned"] and len(payload["decided"]) == 1
    collected = step.collected
    assert collected.named == ("demo/pretrained", "", "demo/finetuned", "")
    expected = most_different(*(open_survey(top / "found" / side) for side in "ab"), "influence")
    column = next(one for one in payload["columns"] if one["name"] == "influence_change")
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(column["values"]), "<f4"), expected.column, rtol=1e-5)
    event = SimpleNamespace(key=collected.key, plot=0, side="b", of="hidden", layer=4, method="pca")
    assert answers.layout(collected, event)["layout"]["points"]
    pair = answers.find_text(None, collected, SimpleNamespace(key=collected.key, row=3))
    assert (pair["text_a"], pair["model_b"]) == (open_texts("demo/pairs", rows=12)[3].text_a, "demo/finetuned")
    with pytest.raises(SelectionError, match="not the models, whose heads"):
        heads.measure(collected, None, heads.Measured())
    mapped = shown(NAME, labels=[("supported", "unsupported")])
    assert mapped.collected.key != collected.key
    assert api.survey("demo/finetuned", NAME, limit=1)["texts"]["source"] == NAME


def test_one_model_is_enough(top):
    step = shown("local/one")
    assert step.payload["models"] == ["demo/finetuned"] and step.collected.named[:2] == ("demo/finetuned", "")
    event = SimpleNamespace(key=step.collected.key, plot=0, side="b", of="hidden", layer=1, method="pca")
    assert "no model B" in answers.layout(step.collected, event)["unlaid"]["why"]


def test_models_of_that_machine_are_not_asked_of_the_hub(top):
    told = top / "one" / "a" / "survey.json"
    settings = json.loads(told.read_bytes())
    settings["settings"] |= {"model": "my/model", "commit": "files 0123"}
    told.write_text(json.dumps(settings))
    assert shown("local/one").collected.named == ("lab/a", "", "lab/b", "")
    settings["settings"] |= {"commit": "a" * 40}
    told.write_text(json.dumps(settings))
    (top / "one" / "texts.parquet").touch()
    assert shown("local/one").collected.named == ("my/model", "a" * 40, "lab/b", "")


def test_nothing_else_can_be_reached(top, tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    shutil.copytree(top / "one", outside)
    (top / "linked").symlink_to(outside)
    shutil.copytree(top / "one", top / "inside")
    (top / "inside" / "a" / "hidden.npy").unlink()
    (top / "inside" / "a" / "hidden.npy").symlink_to(outside / "a" / "hidden.npy")
    (top / "empty").mkdir()
    shutil.copytree(top / "one", top / ".hidden")
    assert surveys.names() == [NAME, "local/one"]
    for name in (
        *("linked", "inside", "empty", ".hidden", "..", ".", "", "../outside", str(outside), "one/../../outside"),
        *("one/", "one\x00", "on\ne", "ONE", "x" * 300),
    ):
        last = shown(f"local/{name}")
        refused = "a link to elsewhere" if name == "inside" else "There is no survey"
        assert refused in last.status and last.payload is None, name
        assert str(tmp_path) not in last.status.replace(repr(f"local/{name}"[:100]), "")
    for name in (str(outside), "one", f"{NAME}\n", f"{NAME}/a"):
        with pytest.raises(SelectionError, match="There is no survey"):
            surveys.folder(name)
    monkeypatch.setenv("SPACE_ID", "lab/space")
    assert surveys.names() == [] and "offers nothing" in shown(NAME).status
    monkeypatch.delenv("SPACE_ID")
    monkeypatch.delenv("ATTNFLOW_SURVEYS")
    assert surveys.names() == [] and "offers nothing" in shown(NAME).status
    monkeypatch.setenv("ATTNFLOW_SURVEYS", str(tmp_path / "none"))
    assert Offered("ATTNFLOW_SURVEYS", "survey", "texts.parquet").names() == []


def test_what_is_broken_or_does_not_belong_together_is_told(top, monkeypatch):
    save_texts(open_texts("demo/pairs", rows=11), top / "one" / "texts.parquet")
    assert "surveys of other texts" in shown("local/one").status
    (top / "one" / "texts.parquet").write_bytes(b"PAR1 broken")
    assert "cannot be read" in shown("local/one").status
    (top / "found" / "b" / "survey.json").unlink()
    assert "not finished" in shown(NAME).status
    monkeypatch.setattr("attnflow.limits.MAX_TEXTS", 5)
    (top / "found" / "texts.parquet").touch()
    assert "12 texts; at most 5 are shown" in shown(NAME).status


def test_texts_come_back_as_they_were_saved(tmp_path):
    rows = (Text("1", "A", None, None, {"year": 1, "on": True, "x": None}), Text("2", "Ä\n", "B", 2.5, {}))
    texts = Texts(rows, "s", Columns("a", None, "y"), ("p", "q"), 9, {"empty": 2}, 7, ("A note.",))
    again = open_saved_texts(save_texts(texts, tmp_path / "new" / "texts.parquet"))
    assert again == texts and again.fingerprint == texts.fingerprint
    with pytest.raises(TextsError, match="cannot be read"):
        open_saved_texts(tmp_path / "none.parquet")


@pytest.mark.parametrize(("option", "kind"), [("surveys", surveys), ("corpora", corpora)])
def test_the_command_offers_a_folder_and_no_file(option, kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(kind.variable, "before")
    assert cli.main(["serve", f"--{option}", str(tmp_path / "none")]) == 1
    assert f"--{option} is " in capsys.readouterr().err
    served = []
    monkeypatch.setattr("attnflow.web.launch.serve", lambda page, **more: served.append(kind.names()))
    monkeypatch.setattr("attnflow.web.launch.ready", lambda: None)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "corpus.json").touch()
    assert cli.main(["serve", f"--{option}", str(tmp_path)]) == 0
    assert served == [[] if option == "surveys" else ["local/one"]]
