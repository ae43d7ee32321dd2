"""What the files of a tokenizer ask for is followed, or what is done instead is told with the checkpoint."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.bert.tokenization_bert_legacy import BertTokenizerLegacy

from attnflow import CheckpointError, TextError, encode, load_checkpoint, saliency
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


# ---- what sentence-transformers does with a text before the model reads it


def sentence_model(source, target, settings, file="sentence_bert_config.json", prompts=None):
    """A checkpoint with settings of that library beside it."""
    folder = shutil.copytree(source, target)
    part = {"path": "", "type": "sentence_transformers.models.Transformer"}
    (folder / "modules.json").write_text(json.dumps([part]))
    (folder / file).write_text(json.dumps(settings))
    if prompts is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return folder


@pytest.mark.parametrize("does", [False, True])
def test_lower_case_that_sentence_transformers_makes_is_made_where_the_tokenizer_does_not(does, hub, folders, tmp_path):
    folder = sentence_model(folders["bert"], tmp_path / "x", {"max_seq_length": None, "do_lower_case": True})
    changed(folder, "tokenizer.json", lambda found: found["normalizer"].update(lowercase=does, strip_accents=False))
    hub.add(f"lab/lower-{does}", folder)
    for ref in (folder, f"lab/lower-{does}"):
        checkpoint = load_checkpoint(ref)
        assert [("do_lower_case" in note) for note in checkpoint.notes] == ([] if does else [True])
        texts = ("Anna gave İt to HER, ÉTÉ.", "anna gave i̇t to her, été.")
        upper, lower = (encode(checkpoint, text) for text in texts)
        assert upper.tokens.piece == lower.tokens.piece
        for (start, end), shown in zip(upper.tokens.span[1:-1], upper.tokens.text[1:-1], strict=True):
            assert texts[0][start:end] == shown.removeprefix("·")  # as it was written


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("sentence_bert_config.json", {"max_seq_length": 12}),
        ("sentence_xlm-roberta_config.json", {"max_seq_length": 12, "do_lower_case": False}),
        ("sentence_bert_config.json", {"max_seq_length": 20, "tokenizer_args": {"model_max_length": 12}}),
    ],
)
def test_as_many_tokens_are_read_as_sentence_transformers_reads(file, settings, hub, folders, tmp_path):
    folder = sentence_model(folders["bert"], tmp_path / "x", settings, file)
    hub.add(f"lab/short-{len(str(settings))}", folder)
    for ref in (folder, f"lab/short-{len(str(settings))}"):
        checkpoint = load_checkpoint(ref)
        assert checkpoint.max_tokens == 12
        (note,) = checkpoint.notes
        assert note.startswith(f"By its {file} (max_seq_length) it reads at most 12 tokens of a text")
        with pytest.raises(TextError, match="the limit is 12"):
            encode(checkpoint, *PAIR)
        assert len(encode(checkpoint, *PAIR, truncate=True).tokens) == 12


def test_more_tokens_than_there_are_positions_are_none_to_tell(folders, tmp_path):
    folder = sentence_model(folders["bert"], tmp_path / "x", {"max_seq_length": 500})
    changed(folder, "tokenizer_config.json", lambda found: found.update(model_max_length=100))
    checkpoint = load_checkpoint(folder)
    assert (checkpoint.max_tokens, checkpoint.notes) == (160, ())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_seq_length": "many"}, "gives max_seq_length as 'many', where a number of tokens is due"),
        ({"max_seq_length": 0}, "gives max_seq_length as 0"),
        ({"do_lower_case": "no"}, "gives do_lower_case as 'no', where true or false is due"),
        ({"config_args": {"num_hidden_layers": 1}}, "with num_hidden_layers set to 1, as is not done here"),
        ({"model_kwargs": []}, None),
        ({"model_kwargs": ["a"]}, "gives model_kwargs as"),
        ({"model_args": {"torch_dtype": "float16"}, "transformer_task": "feature-extraction"}, None),
    ],
)
def test_settings_of_sentence_transformers_that_are_not_followed_are_refused(settings, reason, folders, tmp_path):
    folder = sentence_model(folders["bert"], tmp_path / "x", settings)
    if reason is None:
        assert not load_checkpoint(folder).notes
        return
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("prompts", "told"),
    [
        (
            {"prompts": {"query": "query: ", "document": ""}, "default_prompt_name": "query"},
            "'query: ' goes before each",
        ),
        (
            {"prompts": {"query": "query: ", "passage": "text: "}},
            "may begin with 'query: ' for query, 'text: ' for passage;",
        ),
        ({"prompts": {"query": ""}, "default_prompt_name": None}, None),
        ({"prompts": []}, None),
        ({"__version__": {}}, None),
    ],
)
def test_what_sentence_transformers_writes_before_a_text_is_told(prompts, told, hub, folders, tmp_path):
    folder = sentence_model(folders["bert"], tmp_path / "x", {}, prompts=prompts)
    hub.add(f"lab/prompts-{len(str(prompts))}", folder)
    for ref in (folder, f"lab/prompts-{len(str(prompts))}"):
        notes = load_checkpoint(ref).notes
        assert [told in note for note in notes] == [True] if told else not notes


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
