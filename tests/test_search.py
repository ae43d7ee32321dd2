"""Choosing a checkpoint: the search of the Hub, and what is told of a model before it is downloaded."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import huggingface_hub
import pytest
from huggingface_hub import constants

from attnflow import CheckpointError, UnsupportedArchitectureError, load_checkpoint, progress
from attnflow.checkpoints.hub_search import Listing, look_up, search_models
from attnflow.service.workspace import workspace
from attnflow.web import events, model_box
from tests.checkpoints import edited_config

pytestmark = pytest.mark.usefixtures("empty_caches")


@pytest.fixture
def found(hub, folders):
    """Two repositories with a page of their own."""
    page = {"pipeline_tag": "text-classification", "license": "apache-2.0", "parameters": 109_482_240}
    hub.add("search/findable-bert", folders["bert"], downloads=61_200_000, **page)
    hub.add("search/findable-gpt2", folders["gpt2"], downloads=40)
    hub.add("search/findable-private", folders["bert"], private_to="hf_owner", downloads=10**9)
    return "search/findable-bert"


def test_models_are_searched_with_what_tells_them_apart(found):
    models = search_models("findable")
    assert [model.repo_id for model in models] == [found, "search/findable-gpt2"]
    facts = ["text-classification", "109 M parameters", "apache-2.0", "61.2 M downloads"]
    assert models[0] == Listing(found, "text-classification", 109_482_240, None, "apache-2.0", 61_200_000)
    assert models[0].facts == facts
    assert models[1].facts[1:] == ["40 downloads"]


def test_a_silent_hub_finds_nothing(found, hub):
    for fault in ({"status": 500}, {"cut_after": 3}, {"corrupt": True}):
        hub.fail("*", path="/api/list", **fault)
        assert search_models("findable") == []
        hub.clear_faults()


def test_a_model_is_described_before_its_weights_are_fetched(found, hub):
    seen = len(hub.requests)
    listing = look_up(found)
    assert (listing.task, listing.license, listing.downloads) == ("text-classification", "apache-2.0", 61_200_000)
    assert listing.nbytes > 100_000
    assert not any("safetensors" in request.path for request in hub.requests[seen:])


def test_what_cannot_be_loaded_is_told_at_once(found, hub, folders, tmp_path):
    hub.add("search/funnel", edited_config(folders["bert"], tmp_path / "funnel", model_type="funnel"))
    with pytest.raises(UnsupportedArchitectureError, match="attention of funnel"):
        look_up("search/funnel")
    with pytest.raises(CheckpointError, match="no public checkpoint"):
        look_up("search/findable-private")
    assert look_up("search/findable-private", token="hf_owner").repo_id == "search/findable-private"
    assert workspace.look_up("demo/finetuned") is None


def test_the_page_says_it_under_the_box(found):
    assert model_box.describe([], found, "")["info"].startswith("text-classification · 109 M parameters · 0.1")
    assert "no public checkpoint search/nothing" in model_box.describe([], "search/nothing", "")["info"]
    assert "not the name of a checkpoint" in model_box.describe([], "../etc", "")["info"]
    assert "no revision 'v9'" in model_box.describe([], found, "v9")["info"]
    assert model_box.describe([], "demo/finetuned", "")["info"] == model_box.MODEL_INFO
    typed = gr.KeyUpData(None, {"key": "l", "input_value": "findabl"})
    assert model_box.suggest(typed)["choices"][2] == (
        f"{found} · text-classification · 109 M parameters · apache-2.0 · 61.2 M downloads",
        found,
    )


def test_progress_is_told_in_bytes_while_a_model_is_downloaded(found, monkeypatch):
    monkeypatch.setattr("attnflow.checkpoints.hub._TOLD_EVERY", 0.002)
    real = huggingface_hub.snapshot_download

    def slow(repo_id, **options):
        half = next(iter(Path(constants.HF_HUB_CACHE).glob("models--*"))) / "blobs" / "half.incomplete"
        half.write_bytes(b"x" * 70_000)
        told.wait(10)
        half.unlink()
        return real(repo_id, **options)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", slow)
    said, told = [], threading.Event()

    def report(what, share):
        said.append((what, share))
        if share > 0.3:
            told.set()

    with progress.reporting(report):
        load_checkpoint(found)
    assert told.is_set()
    downloading = [share for what, share in said if re.fullmatch(rf"Downloading {found}: 0\.\d of 0\.\d MB", what)]
    assert downloading
    assert all(0 <= share <= 1 for share in downloading)
    assert said[-1] == (f"Loading {found} into memory", 1)
    assert not progress.wanted()
    said.clear()
    load_checkpoint(found)  # from memory
    assert said == []


def test_models_that_were_used_are_offered_again():
    side = SimpleNamespace(ref="lab/one@" + "0" * 40), SimpleNamespace(ref="demo/finetuned")
    shown = SimpleNamespace(a=side[0], b=side[1])
    recent = events.keep_models(["lab/two", "lab/one"], shown)
    assert recent == ["lab/one", "lab/two"]
    assert events.keep_models([f"lab/{n}" for n in range(20)], shown) == ["lab/one", *(f"lab/{n}" for n in range(7))]
    assert model_box.known_models(recent)[:4] == ["demo/pretrained", "demo/finetuned", "lab/one", "lab/two"]
    for nonsense in (None, 7, {"a": 1}, [7, None, "x" * 500]):  # a browser may send anything
        assert model_box.known_models(nonsense)[2:] == list(model_box.HUB_MODELS)
    assert model_box.offer(recent)[0]["choices"] == model_box.known_models(recent)
