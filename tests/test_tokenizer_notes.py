"""What the files of a tokenizer ask for is followed, or what is done instead is told with the checkpoint."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from attnflow import CheckpointError, encode, load_checkpoint, saliency
from tests.checkpoints import PAIR, copy_without, edited_config, make_checkpoint

pytestmark = pytest.mark.usefixtures("empty_caches")


def changed(folder, name, change):
    """Change what a JSON file holds."""
    found = json.loads((folder / name).read_text())
    change(found)
    (folder / name).write_text(json.dumps(found))


def vocabulary_alone(source, target, **settings):
    """A BERT checkpoint as it was published before `tokenizer.json`."""
    copy = copy_without(source, target, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    entries = json.loads((source / "tokenizer.json").read_text())["model"]["vocab"]
    (copy / "vocab.txt").write_text("\n".join(sorted(entries, key=entries.get)) + "\n", encoding="utf-8")
    (copy / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", **settings}))
    return copy


@pytest.mark.parametrize("basic", [False, True])
def test_words_are_cut_at_spaces_alone_where_the_settings_say_so(basic, folders, tmp_path):
    folder = vocabulary_alone(folders["bert"], tmp_path / "x", do_basic_tokenize=basic)
    slow = BertTokenizerLegacy(folder / "vocab.txt", do_basic_tokenize=basic)
    loaded = load_checkpoint(folder)
    for text in ("anna gave the book", "Anna's book, (café)", "the book.\tadam  sold"):
        expected = slow.convert_tokens_to_ids(slow._tokenize(text))
        assert loaded.tokenizer.ids(text) == expected
    assert [note for note in loaded.notes if "do_basic_tokenize" in note] == list(loaded.notes)
    assert len(loaded.notes) == (not basic)


@pytest.mark.parametrize("does", [False, True])
def test_lower_case_that_sentence_transformers_makes_is_told_where_the_tokenizer_does_not(does, hub, folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "x")
    changed(folder, "tokenizer.json", lambda found: found["normalizer"].update(lowercase=does, strip_accents=False))
    part = {"path": "", "type": "sentence_transformers.models.Transformer"}
    (folder / "modules.json").write_text(json.dumps([part]))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 128, "do_lower_case": true}')
    hub.add(f"lab/lower-{does}", folder)
    for ref in (folder, f"lab/lower-{does}"):
        notes = load_checkpoint(ref).notes
        assert [("do_lower_case" in note) for note in notes] == ([] if does else [True])


@pytest.mark.parametrize("asked", [False, True])
def test_a_mark_that_settings_ask_for_and_the_file_does_not_write_is_told(asked, folders, tmp_path):
    folder = shutil.copytree(folders["llama"], tmp_path / "x")
    assert encode(load_checkpoint(folder), "Anna").tokens.piece[0] != "<s>"
    changed(folder, "tokenizer_config.json", lambda found: found.update(add_bos_token=asked))
    told = (
        "Its tokenizer_config.json asks for <s> before each text (add_bos_token), and its tokenizer.json writes none; "
    )
    assert load_checkpoint(folder).notes == ((told + "the latter is followed.",) if asked else ())


def without(folder, target, token):
    """A copy of a BERT checkpoint whose vocabulary ends before a special token that its class names."""
    copy = vocabulary_alone(folder, target)
    lines = (copy / "vocab.txt").read_text().splitlines()
    lines.remove(token)
    (copy / "vocab.txt").write_text("\n".join(lines) + "\n")
    return copy, len(lines)


@pytest.mark.parametrize("more", [0, 3])
def test_a_special_token_that_no_file_numbers_is_told_with_what_comes_of_it(more, tmp_path):
    whole = make_checkpoint(tmp_path / "whole", "bert", task="masked-lm")
    folder, entries = without(whole, tmp_path / "x", "[MASK]")
    size = entries + more
    folder = edited_config(folder, tmp_path / "y", vocab_size=size)
    tensors = load_file(folder / "model.safetensors")
    wide = {name: torch.cat([value, value])[:size] for name, value in tensors.items() if value.shape[0] == entries + 1}
    save_file({**tensors, **wide}, folder / "model.safetensors")
    loaded = load_checkpoint(folder)
    told = "no file gives that a number" if more else "for which the model has no embedding"
    assert [told in note and "[MASK]" in note for note in loaded.notes] == [True]
    if not more:
        with pytest.raises(CheckpointError, match=f"token {entries} of {entries}"):
            encode(loaded, "Anna [MASK] the book.")


def test_a_special_token_that_no_pair_of_vocabulary_and_merges_numbers_is_told(tmp_path):
    whole = make_checkpoint(tmp_path / "whole", "roberta", vocab_size=600)
    assert load_checkpoint(whole).notes == ()
    folder = copy_without(whole, tmp_path / "x", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    model = json.loads((whole / "tokenizer.json").read_text())["model"]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    for entries in (model["vocab"], {piece: index for piece, index in model["vocab"].items() if piece != "<mask>"}):
        (folder / "vocab.json").write_text(json.dumps(entries))
        told = [note for note in load_checkpoint(folder).notes if "no file gives that a number" in note]
        assert [("<mask>" in note) for note in told] == ([] if "<mask>" in entries else [True])


def test_a_special_token_without_an_embedding_that_every_text_has_is_refused(tmp_path):
    whole = make_checkpoint(tmp_path / "whole", "bert")
    folder, entries = without(whole, tmp_path / "x", "[CLS]")
    folder = edited_config(folder, tmp_path / "y", vocab_size=entries)
    tensors = load_file(folder / "model.safetensors")
    narrow = {name: value[:entries].clone() for name, value in tensors.items() if value.shape[0] == entries + 1}
    save_file({**tensors, **narrow}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"its tokenizer writes \[CLS\] with each text"):
        load_checkpoint(folder)


def test_a_mask_without_an_embedding_is_no_baseline(tmp_path):
    folder, entries = without(make_checkpoint(tmp_path / "whole", "bert"), tmp_path / "x", "[MASK]")
    folder = edited_config(folder, tmp_path / "y", vocab_size=entries)
    tensors = load_file(folder / "model.safetensors")
    narrow = {name: value[:entries].clone() for name, value in tensors.items() if value.shape[0] == entries + 1}
    save_file({**tensors, **narrow}, folder / "model.safetensors")
    loaded = load_checkpoint(folder)
    assert saliency(loaded, encode(loaded, *PAIR), method="integrated_gradients").values.any()
