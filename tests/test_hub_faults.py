"""What the Hub, the network and the files of a repository can do wrong: each gets one clear sentence."""

from __future__ import annotations

import errno
import inspect
import json
import os
import shutil
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import sentencepiece
import torch
from gradio_client.exceptions import AppError
from huggingface_hub import constants
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification

from attnflow import AttnflowError, CheckpointError, UnsupportedArchitectureError, capture, encode, load_checkpoint
from attnflow.bundled import ASSETS
from attnflow.checkpoints import hub as hub_module
from attnflow.web.endpoints import ENDPOINTS
from tests.checkpoints import PAIR, copy_without, edited_config, make_checkpoint
from tests.conftest import forget_models

pytestmark = pytest.mark.usefixtures("empty_caches")


def fetched(hub, repo: str) -> list[str]:
    """Names of the files whose contents were asked for."""
    return [r.path.split("/")[-1] for r in hub.requests if r.method == "GET" and f"{repo}/resolve" in r.path]


# ---- the network


def test_a_slow_hub_is_told(hub, repo, monkeypatch):
    monkeypatch.setattr(hub_module, "_TIMEOUT", 0.1)
    hub.fail(repo, path="/api/info", delay=1.0)
    with pytest.raises(CheckpointError, match=r"cannot be reached and .* is not in the cache"):
        load_checkpoint(repo)


def test_a_download_that_is_cut_goes_on_where_it_stopped(hub, repo, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # whole chunks are kept
    hub.fail(repo, path="model.safetensors", cut_after=2500, times=2)
    seen = len(hub.requests)
    assert load_checkpoint(repo).name == repo
    ranges = [r.range for r in hub.requests[seen:] if r.path.endswith("model.safetensors") and r.method == "GET"]
    assert ranges == [None, "bytes=2000-", "bytes=4000-"]


def test_a_download_that_is_always_cut_is_told(hub, repo):
    hub.fail(repo, path="model.safetensors", cut_after=1000)
    with pytest.raises(CheckpointError, match="broke off; try again, the files that arrived whole are kept"):
        load_checkpoint(repo)
    hub.clear_faults()
    assert load_checkpoint(repo).name == repo


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "no public checkpoint"),
        (403, "no public checkpoint"),
        (429, "fewer requests"),
        (500, r"error \(500\)|broke"),
    ],
)
@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_file_that_is_refused_is_told(status, reason, file, hub, repo):
    hub.fail(repo, path=file, status=status)
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(repo)


def test_a_damaged_download_is_refused_and_fetched_anew(hub, repo):
    hub.fail(repo, path="model.safetensors", corrupt=True)
    with pytest.raises(CheckpointError, match=r"model.safetensors of .* arrived damaged and was removed; try again"):
        load_checkpoint(repo)
    hub.clear_faults()
    assert load_checkpoint(repo).name == repo


def test_a_damaged_tokenizer_is_refused(hub, repo):
    hub.fail(repo, path="tokenizer.json", corrupt=True)
    with pytest.raises(CheckpointError, match=r"tokenizer.json of .* arrived damaged"):
        load_checkpoint(repo)


def test_a_full_disk_is_told(repo, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    with pytest.raises(CheckpointError, match="disk of this machine is full"):
        load_checkpoint(repo)


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_offline_by_choice(cold, repo, monkeypatch):
    if not cold:
        load_checkpoint(repo)
        forget_models(monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    if cold:
        with pytest.raises(CheckpointError, match=r"cannot be reached and .* not in the cache .* bundled checkpoints"):
            load_checkpoint(repo)
    else:
        assert load_checkpoint(repo).name == repo


# ---- who may read


def test_a_sign_in_that_has_ended_is_told(hub, repo):
    hub.invalid_tokens.add("hf_ended")
    with pytest.raises(CheckpointError, match=r"does not accept your sign-in.*sign in again"):
        load_checkpoint(repo, token="hf_ended")


@pytest.mark.parametrize("loaded_by", [None, "hf_friend"])
def test_who_lost_access_to_a_gated_repository_is_refused(loaded_by, hub, folders, monkeypatch):
    name = f"lab/once-{loaded_by}"
    hub.add(name, folders["bert"], gated="manual" if loaded_by else False, allowed_tokens=("hf_friend",))
    load_checkpoint(name, token=loaded_by)
    hub.add(name, folders["bert"], gated="manual", allowed_tokens=())
    for again in (lambda: None, lambda: forget_models(monkeypatch)):  # from memory, from disk
        again()
        with pytest.raises(CheckpointError, match="is gated"):
            load_checkpoint(name, token=loaded_by)


@pytest.fixture
def down(hub, monkeypatch):
    """Ends the answers of the Hub about a repository."""

    def end(repo: str) -> None:
        monkeypatch.setattr(hub_module, "_TIMEOUT", 0.1)
        hub.fail(repo, path="/api/info", delay=1.0)
        forget_models(monkeypatch)

    return end


def test_what_is_public_is_served_for_a_day_while_the_hub_is_down(repo, down):
    load_checkpoint(repo)
    down(repo)
    assert load_checkpoint(repo).name == repo
    (mark,) = Path(constants.HF_HUB_CACHE).glob("*/.attnflow-public")
    os.utime(mark, (time.time() - 25 * 3600,) * 2)
    with pytest.raises(CheckpointError, match=r"whether .* is still public was last asked more than a day ago"):
        load_checkpoint(repo)


@pytest.mark.parametrize("change", [{"private_to": "hf_owner"}, {"gated": "manual"}], ids=["private", "gated"])
@pytest.mark.parametrize("token", [None, "hf_other", "hf_owner"])
def test_what_is_public_no_more_is_not_served_while_the_hub_is_down(change, token, hub, repo, folders, down):
    load_checkpoint(repo)
    hub.add(repo, folders["bert"], **change, allowed_tokens=("hf_owner",))
    if token == "hf_owner":
        load_checkpoint(repo, token=token)
    else:
        with pytest.raises(CheckpointError):
            load_checkpoint(repo, token=token)
    down(repo)
    with pytest.raises(CheckpointError, match=r"whether .* is still public"):
        load_checkpoint(repo)


def test_an_answer_that_is_no_refusal_changes_nothing(hub, repo, down):
    load_checkpoint(repo)
    hub.invalid_tokens.add("hf_ended")
    for wrong in ({"token": "hf_ended"}, {"revision": "nowhere"}):
        with pytest.raises(CheckpointError):
            load_checkpoint(repo, **wrong)
    hub.fail(repo, path="/api/info", status=429, times=1)
    with pytest.raises(CheckpointError, match="fewer requests"):
        load_checkpoint(repo)
    down(repo)
    assert load_checkpoint(repo).name == repo


# ---- what is in the repository


@pytest.mark.parametrize(
    "place", ["resolve/main/config.json", "resolve/main/model.safetensors", "resolve/main/odd.json", "/api/models"]
)
def test_a_redirect_to_something_that_tells_of_no_model_is_told(place, hub, folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "odd")
    (folder / "odd.json").write_text('{"id": "lab/odd", "sha": "../../../etc", "siblings": [], "private": false}')
    hub.add("lab/odd", folder)
    target = place if place.startswith("/") else f"/lab/odd/{place}"
    hub.fail("lab/odd", path="/api/info", status=307, headers={"Location": target})
    with pytest.raises(CheckpointError, match=r"answer about lab/odd cannot be read, for it tells of no model; try"):
        load_checkpoint("lab/odd")


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ("3", "gives num_hidden_layers as '3', a text"),
        (True, "gives num_hidden_layers as .*rue, no whole number"),
        (2.5, "gives num_hidden_layers as 2.5, no whole number"),
        (0, "asks for 0 layers"),
    ],
)
def test_a_number_of_layers_that_is_none_is_told_as_it_is(layers, told, folders, tmp_path):
    folder = edited_config(folders["bert"], tmp_path / "layers", num_hidden_layers=layers)
    with pytest.raises(UnsupportedArchitectureError, match=told):
        load_checkpoint(folder)


def shards(folder, target, kind: str):
    """The same checkpoint with its weights in several files."""
    copy_without(folder, target, "model.safetensors")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    if kind == "safetensors":
        model.save_pretrained(target, max_shard_size="60KB")
        return target
    state = model.state_dict()
    names = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    place = {key: names[number % 2] for number, key in enumerate(state)}
    for name in names:
        torch.save({key: value for key, value in state.items() if place[key] == name}, target / name)
    (target / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}))
    return target


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_sharded_weights_are_loaded(kind, hub, folders, tmp_path):
    folder = shards(folders["bert"], tmp_path / kind, kind)
    assert len(list(folder.glob(f"*-of-*.{kind}"))) > 1
    hub.add(f"lab/shards-{kind}", folder)
    whole, parts = load_checkpoint(folders["bert"]), load_checkpoint(f"lab/shards-{kind}")
    encoding = encode(whole, *PAIR)
    np.testing.assert_allclose(capture(parts, encoding).scores, capture(whole, encoding).scores, rtol=1e-5)


@pytest.mark.parametrize("shard", ["model-00009-of-00009.safetensors", "../../model.safetensors", "/etc/passwd", 7])
def test_an_index_that_names_other_files_is_refused(shard, hub, folders, tmp_path):
    folder = shards(folders["bert"], tmp_path / "shards", "safetensors")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"][min(index["weight_map"])] = shard
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    hub.add(f"lab/index-{abs(hash(shard))}", folder)
    with pytest.raises(CheckpointError, match=r"lacks weights of its own model: model.safetensors.index.json names"):
        load_checkpoint(f"lab/index-{abs(hash(shard))}")


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("quantised", {"quantization_config": {"quant_method": "gptq", "bits": 4}}, "weights are quantised"),
        ("own-code", {"model_type": "own", "auto_map": {"AutoModel": "own.Own"}}, "needs code of its own"),
        ("no-type", {"model_type": None}, "does not know its architecture"),
    ],
)
def test_what_cannot_be_analysed_is_refused_before_the_weights_are_fetched(
    name, changes, reason, hub, folders, tmp_path
):
    hub.add(f"lab/{name}", edited_config(folders["bert"], tmp_path / name, **changes))
    with pytest.raises(UnsupportedArchitectureError, match=reason):
        load_checkpoint(f"lab/{name}")
    assert fetched(hub, f"lab/{name}") == ["config.json"]


def test_a_configuration_too_large_to_be_one_is_not_fetched(hub, folders, tmp_path):
    hub.add("lab/large-config", edited_config(folders["bert"], tmp_path / "large", padding="x" * 10**6))
    with pytest.raises(CheckpointError, match="larger than a configuration can be"):
        load_checkpoint("lab/large-config")
    assert fetched(hub, "lab/large-config") == []


NO_SIZES = dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"))


@pytest.mark.parametrize(
    "changes",
    [
        NO_SIZES,
        {"hidden_size": "wide"},
        {"hidden_size": -4},
        {"hidden_size": 33},
        {"num_attention_heads": 0},
        {"num_attention_heads": [4]},
        {"vocab_size": 0},
        {"vocab_size": "all"},
        {"hidden_act": "nothing"},
        {"max_position_embeddings": 0},
        {"architectures": "BertModel"},
        {"architectures": [3]},
        {"id2label": {"a": "b"}},
        {"id2label": 3},
        {"problem_type": "guess"},
        {"dtype": "float3"},
        {"layer_norm_eps": None, "pad_token_id": 10**6},
        {"torch_dtype": {"a": 1}},
        {"model_type": "gpt2"},
        {"id2label": {"0": "no", "5": "yes"}},
        {"problem_type": ["x"]},
        {"position_embedding_type": 7},
        {"type_vocab_size": 0},
        {"max_position_embeddings": 3},
        {"attn_implementation": "evil/kernel", "_attn_implementation": "evil/kernel"},
        {"_name_or_path": "evil/other", "transformers_version": [1]},
    ],
    ids=lambda changes: json.dumps(changes)[:40],
)
def test_a_configuration_that_makes_no_sense_is_one_sentence(changes, folders, tmp_path):
    folder = edited_config(folders["bert"], tmp_path / "odd", **changes)
    said = ""
    try:
        loaded = load_checkpoint(folder)
        capture(loaded, encode(loaded, *PAIR))
    except AttnflowError as error:
        said = str(error)
    assert str(tmp_path) not in said
    assert "\n" not in said
    assert len(said) < 400


@pytest.mark.parametrize("name", ["vocab.txt", "spiece.model", "vocab.json", "README.md"])
def test_a_repository_without_tokenizer_json(name, hub, folders, tmp_path):
    """A plain vocabulary is enough where the fast tokenizer follows from it; what cannot be read is told."""
    folder = copy_without(folders["bert"], tmp_path / "slow", "tokenizer.json", "tokenizer_config.json")
    vocabulary = json.loads((folders["bert"] / "tokenizer.json").read_text())["model"]["vocab"]
    text = "\n".join(vocabulary) if name == "vocab.txt" else "not a vocabulary"
    (folder / name).write_text(text)
    hub.add(f"lab/slow-{name}", folder)
    if name == "vocab.txt":
        loaded = load_checkpoint(f"lab/slow-{name}")
        assert loaded.tokenizer.facts.size == len(vocabulary)
        assert loaded.tokenizer.pieces(vocabulary.values()) == list(vocabulary)
        assert encode(loaded, *PAIR).tokens.text[0] == "[CLS]"
    else:
        with pytest.raises(CheckpointError, match=r"tokenizer of lab/slow-.* cannot be loaded"):
            load_checkpoint(f"lab/slow-{name}")


def train_sentencepiece(folder, **options):
    """Write a small SentencePiece model into a folder that has no other tokenizer, and return it."""
    corpus = (ASSETS / "demo" / "pairs.jsonl").read_text().splitlines()
    sentences = (json.loads(line)[text] for line in corpus for text in ("text_a", "text_b"))
    file = folder / options.pop("name")
    with file.open("wb") as out:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences, model_writer=out, vocab_size=120, minloglevel=2, **options
        )
    return sentencepiece.SentencePieceProcessor(model_file=str(file))


def test_a_sentencepiece_model_alone_is_enough_if_it_is_read_as_it_was_meant(hub, tmp_path):
    """Published so: microsoft/deberta-v3-base."""
    made = make_checkpoint(tmp_path / "made", "deberta-v2")
    folder = copy_without(made, tmp_path / "spm", "tokenizer.json", "tokenizer_config.json")
    special = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    pieces = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    original = train_sentencepiece(folder, name="spm.model", **special, **pieces)
    hub.add("lab/spm", folder)
    encoding = encode(load_checkpoint("lab/spm"), "Anna bought a book from Adam.", "Adam sold it.")
    a = original.encode("Anna bought a book from Adam.")
    assert encoding.inputs["input_ids"].tolist() == [1, *a, 2, *original.encode("Adam sold it."), 2]
    assert encoding.tokens.word.max() == 7 + 4 + 3 - 1, (
        "its pieces are placed in the text, and special tokens are words"
    )


def test_a_sentencepiece_model_that_is_read_otherwise_than_it_was_meant_is_refused(hub, folders, tmp_path):
    """Without its configuration transformers reads a Llama model as if words began without a space."""
    folder = copy_without(folders["llama"], tmp_path / "spm", "tokenizer.json", "tokenizer_config.json")
    train_sentencepiece(folder, name="tokenizer.model", model_type="bpe")
    hub.add("lab/spm-llama", folder)
    with pytest.raises(CheckpointError, match=r"its tokenizer\.model alone does not tell how it cuts a text"):
        load_checkpoint("lab/spm-llama")


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "3", "\ufeff{", "[" * 20_000),
        *('{"tokenizer_class": 7}', '{"vocab_file": "/etc/passwd"}', '{"model_max_length": "x"}'),
        *('{"model_max_length": -5}', '{"model_max_length": null}', '{"cls_token": 5}', '{"chat_template": 3}'),
    ],
)
def test_a_tokenizer_that_makes_no_sense_is_one_sentence(file, text, folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "odd")
    (folder / file).write_text(text)
    said = ""
    try:
        loaded = load_checkpoint(folder)
        assert encode(loaded, *PAIR).tokens.text[:1] == ("[CLS]",)
    except AttnflowError as error:
        said = str(error)
    assert str(tmp_path) not in said
    assert "\n" not in said


def test_weights_of_another_shape_are_one_sentence(folders, tmp_path):
    folder = make_checkpoint(tmp_path / "other", "bert", hidden_size=48, intermediate_size=32)
    shutil.copy(folders["bert"] / "model.safetensors", folder)
    with pytest.raises(CheckpointError, match=r"weights of other do not fit.*has the shape 32, .* described has 48"):
        load_checkpoint(folder)


def test_a_configuration_nested_without_end_is_refused(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "nested")
    (folder / "config.json").write_text("[" * 200_000)
    with pytest.raises(CheckpointError, match="no Transformer checkpoint"):
        load_checkpoint(folder)


def test_code_of_a_tokenizer_is_not_run(hub, folders, tmp_path):
    folder, trap = shutil.copytree(folders["bert"], tmp_path / "coded"), tmp_path / "ran"
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | own))
    (folder / "own.py").write_text(f"open({str(trap)!r}, 'w').close()\nclass Own: pass")
    hub.add("lab/coded-tokenizer", folder)
    for place in (folder, "lab/coded-tokenizer"):
        try:
            load_checkpoint(place)
        except CheckpointError as error:
            told = str(error)
            assert "tokenizer" in told
    assert not trap.exists()


def test_weights_that_are_not_finite_are_told(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "nan")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.bert.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    model.save_pretrained(folder)
    loaded = load_checkpoint(folder)
    with pytest.raises(CheckpointError, match="computes numbers that are not finite"):
        capture(loaded, encode(loaded, *PAIR))


SCORING = (
    *("predict", "saliency", "compare_saliency", "faithfulness"),
    *("head_importance", "head_interactions", "prune_heads", "pruning_curve"),
)
"""Endpoints that need what the head of a language model gives, too."""


@pytest.mark.parametrize("bad", [float("nan"), float("inf")], ids=["nan", "inf"])
@pytest.mark.parametrize("task", ["classifier", "masked-lm"])
def test_logits_that_are_not_finite_are_one_sentence_of_every_endpoint(task, bad, tmp_path, hub, client):
    folder, name = tmp_path / task, f"lab/not-finite-{task}-{bad}"
    make_checkpoint(folder, "bert", **({"task": "masked-lm"} if task == "masked-lm" else {}))
    loader = AutoModelForMaskedLM if task == "masked-lm" else AutoModelForSequenceClassification
    model = loader.from_pretrained(folder)
    with torch.no_grad():
        (model.cls.predictions.bias if task == "masked-lm" else model.classifier.bias)[0] = bad
    model.save_pretrained(folder)
    hub.add(name, folder)
    for function in ENDPOINTS:
        endpoint = function.__name__
        if "sentence_a" not in inspect.signature(function).parameters:
            continue  # those of many texts leave out what cannot be read, and say so
        models = {"model_a": name, "model_b": name} if endpoint.startswith("compare") else {"model": name}
        fewer = {"attention_vs_attribution": {"probes": 2}, "pruning_curve": {"steps": 2}}.get(endpoint, {})
        call = {**models, "sentence_a": "Anna gave [MASK] a book.", **fewer, "api_name": f"/{endpoint}"}
        if task == "masked-lm" and endpoint == "continuation":
            with pytest.raises(AppError, match="predicts no next token"):
                client.predict(**call)
        elif task == "classifier" or endpoint in SCORING:
            with pytest.raises(AppError, match="computes numbers that are not finite, so its weights are damaged"):
                client.predict(**call)
        else:
            json.dumps(client.predict(**call), allow_nan=False)


def test_a_model_that_cannot_be_run_is_one_sentence(folders, monkeypatch):
    loaded = load_checkpoint(folders["bert"])

    def broken(*args, **kwargs):
        raise RuntimeError("shapes (3, 4) and (5, 6)\nin /somewhere/secret/file.py")

    monkeypatch.setattr(type(loaded.model), "forward", broken)
    with pytest.raises(CheckpointError, match=r"cannot be run on this text \(RuntimeError: shapes"):
        capture(loaded, encode(loaded, *PAIR))


@pytest.mark.parametrize("place", ["pre_tokenizer", "normalizer"])
def test_a_tokenizer_that_panics_is_one_sentence(place, folders, tmp_path, client, hub):
    """A panic of the tokenizers library is no `Exception`: uncaught it would end a worker of the queue."""
    folder = shutil.copytree(folders["bert"], tmp_path / "panics")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    pattern = {"pattern": {"Regex": "(a+)+$"}}
    tokenizer[place] = {
        "pre_tokenizer": {"type": "Split", "behavior": "Isolated", "invert": False, **pattern},
        "normalizer": {"type": "Replace", "content": "b", **pattern},
    }[place]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    text = "a" * 40 + "!"
    with pytest.raises(CheckpointError, match=r"tokenizer of panics fails on this text \(PanicException"):
        encode(load_checkpoint(folder), text)
    hub.add(f"lab/panics-{place}", folder)
    for _ in range(3):  # more often than requests run at once
        with pytest.raises(AppError, match="fails on this text"):
            client.predict(f"lab/panics-{place}", text, "", api_name="/predict")
