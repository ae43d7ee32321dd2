"""What is asked for on the Hub: names, revisions, folders and pasted addresses, understood alike everywhere."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from attnflow import CheckpointError, UnsupportedArchitectureError, capture, encode, load_checkpoint
from attnflow.checkpoints.hub_search import look_up
from attnflow.checkpoints.references import Reference, parse_reference
from attnflow.service.case import parted
from attnflow.service.workspace import workspace
from tests.checkpoints import PAIR

pytestmark = pytest.mark.usefixtures("empty_caches")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lab/model", ("lab/model", None, "")),
        (" lab/model/ ", ("lab/model", None, "")),
        ("gpt2", ("gpt2", None, "")),
        ("lab/model@v1", ("lab/model", "v1", "")),
        ("lab/model@refs/pr/3", ("lab/model", "refs/pr/3", "")),
        ("lab/model/last/best@v1", ("lab/model", "v1", "last/best")),
        ("https://huggingface.co/lab/model", ("lab/model", None, "")),
        ("https://huggingface.co/lab/model/", ("lab/model", None, "")),
        ("http://www.huggingface.co/lab/model?library=transformers#usage", ("lab/model", None, "")),
        ("HuggingFace.co/lab/model", ("lab/model", None, "")),
        ("hf.co/lab/model", ("lab/model", None, "")),
        ("https://huggingface.co/gpt2/tree/main", ("gpt2", "main", "")),
        ("https://huggingface.co/lab/model/tree/main", ("lab/model", "main", "")),
        ("https://huggingface.co/lab/model/tree/refs%2Fpr%2F3", ("lab/model", "refs/pr/3", "")),
        ("https://huggingface.co/lab/model/tree/v1/last/best", ("lab/model", "v1", "last/best")),
        ("https://huggingface.co/lab/model/blob/v1/config.json", ("lab/model", "v1", "")),
        ("https://huggingface.co/lab/model/blob/v1/last/model.safetensors", ("lab/model", "v1", "last")),
        ("https://huggingface.co/lab/model/resolve/v1/config.json?download=true", ("lab/model", "v1", "")),
        ("https://huggingface.co/lab/model/discussions/7", ("lab/model", None, "")),
        ("https://huggingface.co/lab/model@v1", ("lab/model", "v1", "")),
        (f"https://huggingface.co/lab/model/commit/{'0a' * 20}", ("lab/model", "0a" * 20, "")),
        (f"https://huggingface.co/gpt2/commit/{'0a' * 20}#diff", ("gpt2", "0a" * 20, "")),
        ("https://huggingface.co/lab/model/discussions/7/files", ("lab/model", "refs/pr/7", "")),
        ("<https://huggingface.co/lab/model/tree/v1/>", ("lab/model", "v1", "")),
        ("'lab/model'", ("lab/model", None, "")),
        ("lab/model@v1/", ("lab/model", "v1", "")),
        ("lab/model/tree/v1/last", ("lab/model", "v1", "last")),
        ("lab/model/blob/v1/last/config.json", ("lab/model", "v1", "last")),
    ],
)
def test_a_name_or_an_address_is_understood(text, expected):
    assert parse_reference(text) == Reference(*expected)
    assert parted(text) == (parse_reference(text).name, expected[1])
    again = parse_reference(parse_reference(text).name, expected[1])
    assert again == Reference(*expected)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://huggingface.co", "no page of a model"),
        ("https://huggingface.co/datasets/lab/texts", "no page of a model"),
        ("https://huggingface.co/spaces/lab/app", "no page of a model"),
        ("https://example.org/lab/model", "'https://example.org/lab/model' is not the name of a checkpoint"),
        ("https://me@huggingface.co/lab/model", "'https://me@huggingface.co/lab/model' is not the name"),
        ("https://huggingface.co/api/models/lab/model", "no page of a model"),
        ("https://huggingface.co/models?other=bert", "no page of a model"),
        ("https://huggingface.co.example.org/lab/model", "not the name of a checkpoint"),
        ("https://huggingface.co/lab/model/tree/main/..%2F..%2Fetc", "not the name of a checkpoint"),
        ("lab/model/../other", "not the name of a checkpoint"),
        ("lab/model/a..b", "not the name of a checkpoint"),
        ("lab/model//other", "not the name of a checkpoint"),
        ("lab/model@-x", "not a revision"),
        ("/", "not the name of a checkpoint"),
        (None, "not the name of a checkpoint"),
    ],
)
def test_what_is_neither_is_refused(text, reason):
    with pytest.raises(CheckpointError, match=reason):
        parse_reference(text)


def test_two_revisions_are_refused_and_the_same_twice_is_one():
    address = "https://huggingface.co/lab/model/tree/v1"
    assert parse_reference(address, "v1").revision == "v1"
    with pytest.raises(CheckpointError, match="names the revision 'v1', and 'v2' is asked for"):
        parse_reference(address, "v2")


def test_a_pasted_address_loads_in_the_library_and_the_workspace(hub, repo, folders):
    sha = load_checkpoint(repo).sha
    for text in (f"https://huggingface.co/{repo}/tree/{sha}", f"hf.co/{repo}/", f"{repo}@{sha}"):
        assert load_checkpoint(text).key == (repo, sha)
        assert workspace.case(text, *PAIR).card.ref == repo
        assert look_up(text).repo_id == repo
    assert load_checkpoint("demo/finetuned/").name == "demo/finetuned"
    assert parted("demo/finetuned/") == ("demo/finetuned", None)


def test_a_folder_of_a_repository_is_a_checkpoint_of_its_own(hub, folders, tmp_path):
    shutil.copytree(folders["gpt2"], tmp_path / "all")
    shutil.copytree(folders["bert"], tmp_path / "all" / "runs" / "last")
    sha = hub.add("lab/runs", tmp_path / "all")
    inner = load_checkpoint("https://huggingface.co/lab/runs/tree/main/runs/last")
    assert (inner.name, inner.sha, inner.architecture) == ("lab/runs/runs/last", sha, "BertForSequenceClassification")
    assert load_checkpoint("lab/runs").architecture == "GPT2ForSequenceClassification"
    whole = load_checkpoint(folders["bert"])
    scores = [capture(loaded, encode(loaded, *PAIR)).scores for loaded in (inner, whole)]
    np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-5)
    case = workspace.case("lab/runs/runs/last", *PAIR)
    assert workspace.case(case.card.pinned, *PAIR) is case
    with pytest.raises(CheckpointError, match="no folder elsewhere"):
        load_checkpoint("lab/runs/elsewhere")


# ---- sentence-transformers

MODULES = [("Transformer", "0_Transformer"), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]


def sentence_model(source, target, parts=MODULES):
    """A checkpoint as sentence-transformers writes it, with the Transformer in the folder that is named."""
    inner = target / parts[0][1] if parts else target
    shutil.copytree(source, inner)
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(parts)
    ]
    (target / "modules.json").write_text(json.dumps(listed))
    return target


@pytest.mark.parametrize("inner", ["", "0_Transformer"])
def test_the_transformer_of_a_sentence_transformers_model_is_opened(inner, hub, folders, tmp_path):
    folder = sentence_model(folders["bert"], tmp_path / "made", [("Transformer", inner), *MODULES[1:]])
    hub.add(f"lab/sentences{inner[:1]}", folder)
    whole = load_checkpoint(folders["bert"])
    for loaded in (load_checkpoint(folder), load_checkpoint(f"lab/sentences{inner[:1]}")):
        assert loaded.notes[-1].endswith("what follows it there (Pooling, Normalize) is not run here.")
        scores = [capture(one, encode(one, *PAIR)).scores for one in (loaded, whole)]
        np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-5)
    look_up(f"lab/sentences{inner[:1]}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "no list of parts"),
        ("[]", "no list of parts"),
        ("[", "no list of parts"),
        ('[{"type": "x.WordEmbeddings", "path": ""}]', "begins with 'WordEmbeddings', which is no Transformer"),
        ('[{"type": "x.Transformer", "path": "../up"}]', "no folder"),
        ('[{"type": "x.Transformer", "path": "a..b"}]', "no folder"),
        ('[{"type": "x.Transformer", "path": 3}]', "no folder"),
        ('[{"type": "x.Transformer", "path": "gone"}]', "lacks the folder gone|no folder gone"),
    ],
)
def test_parts_that_cannot_be_followed_are_refused(text, reason, hub, folders, tmp_path):
    folder = sentence_model(folders["bert"], tmp_path / "made")
    (folder / "modules.json").write_text(text)
    hub.add("lab/odd-parts", folder)
    for ref in (folder, "lab/odd-parts"):
        with pytest.raises((CheckpointError, UnsupportedArchitectureError), match=reason):
            load_checkpoint(ref)


@pytest.mark.parametrize(
    ("kind", "place", "told"),
    [
        ("sentence_transformers.base.modules.transformer.Transformer", "./0_Transformer/", "(Pooling)"),
        ("sentence_transformers.sparse_encoder.models.MLMTransformer", "0_Transformer", "(Pooling)"),
        ("custom_st.Transformer", "0_Transformer/", "a part by code of its own ('custom_st.Transformer')"),
    ],
)
def test_newer_and_own_parts_of_a_sentence_transformers_model_are_opened_and_told(kind, place, told, folders, tmp_path):
    folder = sentence_model(folders["bert"], tmp_path / "made")
    parts = [{"path": place, "type": kind}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(parts))
    loaded = load_checkpoint(folder)
    assert told in loaded.notes[-1]
    assert loaded.head.trained
