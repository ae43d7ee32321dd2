"""Translation models as they lie on the Hub: two SentencePiece models and no tokenizer.json, against transformers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from transformers import MarianMTModel, MarianTokenizer

from attnflow import CheckpointError, capture, encode, load_checkpoint, saliency
from attnflow.checkpoints import tokenizer_marian
from attnflow.checkpoints.tokenizer_process import ChildReader
from attnflow.checkpoints.tokenizer_reader import LocalReader, read_here
from attnflow.records.trace import SPECIAL
from tests.checkpoints import edited_config
from tests.marian import GERMAN, make_marian
from tests.test_tokenizers import TEXTS

PAIR = ("Anna  gave a café the oak 😀.", "Das alte Café gab")
PLACED = (
    *PAIR,
    ">>deu<< Anna gave\tit. >>deu<<",
    ">>xyz<<Anna",
    "Ein</s> Buch <pad>",
    "ﬁve ½ e\u0301tude\u200b end",
    "👩🏽‍🚀 weiß, daß 中文",
    *GERMAN,
)


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def folder(request, tmp_path_factory):
    return make_marian(tmp_path_factory.mktemp("marian") / "model", ("deu", "nld"), request.param)


@pytest.fixture(scope="module")
def theirs(folder):
    """transformers' own tokenizer."""
    with pytest.warns(UserWarning, match="sacremoses"):
        return MarianTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def reader(folder):
    return read_here(folder, "it")


def by_transformers(theirs, text, target):
    """Pieces and numbers of a source or of a target."""
    ids = (theirs(text_target=text) if target else theirs(text))["input_ids"]
    return ids, theirs.convert_ids_to_tokens(ids)


@pytest.mark.parametrize("target", [False, True])
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_pieces_are_those_of_transformers_and_in_their_place(target, text, reader, theirs):
    for one in (text, *PLACED):
        made = reader.target(one, None) if target else reader.pair(one, None, None)
        assert (made.inputs["input_ids"], made.pieces) == by_transformers(theirs, one, target)
        assert made.sentence == [0] * (made.count - 1) + [None]
        ends = [0]
        for start, end in made.offsets[:-1]:
            assert ends[-1] <= start <= end <= len(one), "pieces are in order, and do not overlap"
            ends.append(end)


def test_a_piece_that_is_written_as_it_stands_shows_itself(reader):
    for text in PLACED:
        for target in (False, True):
            made = reader.target(text, None) if target else reader.pair(text, None, None)
            for piece, (start, end), part in zip(made.pieces, made.offsets, made.sentence, strict=True):
                shown = text[start:end]
                if part == 0 and shown and shown.isascii() and piece != "<unk>":
                    assert shown.strip() == piece.strip("▁")
            assert "".join("".join(text[start:end] for start, end in made.offsets).split()) == "".join(text.split())


def test_a_source_and_a_target_are_cut_by_their_own_models(reader):
    source, target = reader.pair("Bahnhof", None, None), reader.target("Bahnhof", None)
    assert source.pieces != target.pieces and len(target.pieces) < len(source.pieces)
    code = reader.pair(">>deu<< Anna", None, None)
    assert (code.pieces[0], code.offsets[0]) == (">>deu<<", (0, 7))
    assert reader.ids("Bahnhof") == target.inputs["input_ids"][:-1]
    assert reader.facts.special == {0, 1, reader.facts.pad} and not reader.facts.marks_start
    two = reader.pair("Anna", "gave", None)
    assert two.separator == "</s>" and two.pieces.count("</s>") == 2


def test_it_runs_as_transformers_runs_it(folder, theirs):
    checkpoint = load_checkpoint(folder)
    encoding = encode(checkpoint, *PAIR)
    tokens, n_source = encoding.tokens, encoding.tokens.n_source
    model = MarianMTModel.from_pretrained(folder, attn_implementation="eager").eval()
    source, labels = theirs(PAIR[0], return_tensors="pt"), theirs(text_target=PAIR[1], return_tensors="pt")["input_ids"]
    read = model.prepare_decoder_input_ids_from_labels(labels)
    assert encoding.inputs["input_ids"].tolist() == [*source["input_ids"][0].tolist(), *read[0].tolist()]
    with torch.no_grad():
        expected = model(**source, decoder_input_ids=read, output_attentions=True)
    trace = capture(checkpoint, encoding)
    for layer in range(3):
        found = trace.attention[layer, :4, :n_source, :n_source]
        np.testing.assert_allclose(found, expected.encoder_attentions[layer][0], rtol=1e-4, atol=1e-6)
    found = trace.attention[-1, 4:, n_source:, :n_source]
    np.testing.assert_allclose(found, expected.cross_attentions[-1][0], rtol=1e-4, atol=1e-6)
    likeliest = int(expected.logits[0, -1].argmax())
    assert saliency(checkpoint, encoding, method="lrp").target == theirs.convert_ids_to_tokens(likeliest)
    shown = [text for text, part in zip(tokens.text, tokens.sentence, strict=True) if part != SPECIAL]
    assert "".join(shown).replace("·", "").replace("▁", "") == "".join(PAIR).replace(" ", "")
    assert not checkpoint.left_out or all("config.json" in entry for entry in checkpoint.left_out)


@pytest.mark.parametrize("languages", [(), ("deu",), ("deu", "nld", "afr")])
def test_languages_to_choose_from_are_told(languages, tmp_path):
    notes = " ".join(load_checkpoint(make_marian(tmp_path / "it", languages)).notes)
    assert (">>deu<<" in notes and "3 languages" in notes) == (len(languages) > 1)


def test_targets_may_have_a_vocabulary_of_their_own(folder, tmp_path):
    other = edited_config(folder, tmp_path / "it")
    vocabulary = json.loads((folder / "vocab.json").read_text())
    (other / "target_vocab.json").write_text(json.dumps({piece: 500 - at for piece, at in vocabulary.items()}))
    (other / "tokenizer_config.json").write_text(json.dumps({"separate_vocabs": True}))
    with pytest.warns(UserWarning, match="sacremoses"):
        theirs = MarianTokenizer.from_pretrained(other)
    reader = read_here(other, "it")
    for text in PLACED[:2]:
        assert reader.pair(text, None, None).inputs["input_ids"] == theirs(text)["input_ids"]
        assert reader.target(text, None).inputs["input_ids"] == theirs(text_target=text)["input_ids"]


def test_it_is_read_apart_as_here(folder, reader):
    apart = ChildReader(folder, "it")
    assert apart.facts == reader.facts
    for text in PLACED:
        assert apart.pair(text, None, None) == reader.pair(text, None, None)
        assert apart.target(text, None) == reader.target(text, None)
        assert apart.target(text, 2) == reader.target(text, 2)


def test_pieces_that_sentencepiece_and_transformers_do_not_share_are_refused(reader, monkeypatch):
    monkeypatch.setattr(tokenizer_marian, "surfaces", lambda model, text, start: iter([("▁the", (0, 3))]))
    with pytest.raises(CheckpointError, match=r"fails on this text .*its pieces cannot be placed"):
        reader.pair("Anna", None, None)


@pytest.mark.parametrize("how", ["no model", "another's model", "unknown is missing", "no target", "a large number"])
def test_files_that_are_none_are_one_sentence(how, folder, tmp_path):
    broken = edited_config(folder, tmp_path / "it")
    if how == "no model":
        (broken / "source.spm").write_bytes(b"\x0a\xff\xff\xff\xff\x0fnothing")
    elif how == "another's model":
        (broken / "target.spm").write_bytes(b"")
    elif how == "no target":
        (broken / "target.spm").unlink()
    else:
        vocabulary = json.loads((broken / "vocab.json").read_text())
        vocabulary = {"the": 0} if how == "unknown is missing" else vocabulary | {"▁the": 10**12}
        (broken / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(CheckpointError, match="tokenizer"):
        ChildReader(broken, "it").pair("the", None, None)


def test_its_settings_name_no_file(folder, tmp_path):
    other = edited_config(folder, tmp_path / "it")
    named = dict.fromkeys(("source_spm", "target_spm", "vocab", "target_vocab_file"), str(folder / "config.json"))
    settings = {"tokenizer_class": "MarianTokenizer", "sp_model_kwargs": {"enable_sampling": True}}
    (other / "tokenizer_config.json").write_text(json.dumps(named | settings))
    checkpoint = load_checkpoint(other)
    assert {f"tokenizer_config.json: {key}" for key in (*named, "sp_model_kwargs")} <= set(checkpoint.left_out)
    assert encode(checkpoint, *PAIR).tokens.text == encode(load_checkpoint(folder), *PAIR).tokens.text


@pytest.mark.parametrize("seed", range(12))
def test_a_model_of_sentencepiece_with_wrong_bytes_harms_nobody(seed, folder, tmp_path):
    broken = edited_config(folder, tmp_path / "it")
    drawn = np.random.default_rng(seed)
    for file in ("source.spm", "target.spm"):
        data = np.frombuffer((folder / file).read_bytes(), np.uint8).copy()
        places = drawn.integers(0, len(data), 1 + 10 * seed)
        data[places] = drawn.integers(0, 256, len(places))
        (broken / file).write_bytes(data.tobytes())
    try:
        made = ChildReader(broken, "it").pair(PAIR[0], None, None)
    except CheckpointError:
        return
    assert len(made.offsets) == made.count  # as checked in this process


def test_a_strangers_is_read_apart(folder, hub, empty_caches):
    hub.add("lab/opus", folder)
    checkpoint = load_checkpoint("lab/opus")
    assert not isinstance(checkpoint.tokenizer, LocalReader)
    expected = encode(load_checkpoint(folder), *PAIR)
    assert encode(checkpoint, *PAIR).tokens.text == expected.tokens.text
