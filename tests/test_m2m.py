"""M2M100 as it lies on the Hub: a SentencePiece model, vocab.json and no tokenizer.json; against transformers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from transformers import M2M100ForConditionalGeneration, M2M100Tokenizer
from transformers.models.m2m_100.modeling_m2m_100 import shift_tokens_right

from attnflow import CheckpointError, capture, continuation, encode, load_checkpoint, saliency
from attnflow.checkpoints import tokenizer_m2m
from attnflow.checkpoints.tokenizer_process import ChildReader
from attnflow.checkpoints.tokenizer_reader import LocalReader, read_here
from attnflow.records.trace import SPECIAL
from tests.checkpoints import edited_config
from tests.m2m import MADE_UP, make_m2m
from tests.test_marian import PLACED
from tests.test_tokenizers import TEXTS

PAIR = ("Anna  gave a café the oak 😀.", "Das alte Café gab")
SPOKEN = (*PLACED, "Anna __de__ gab", "__xx__ Anna", " k ", "__de__")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_m2m(tmp_path_factory.mktemp("m2m") / "model", tgt_lang="ro")


@pytest.fixture(scope="module")
def theirs(folder):
    """transformers' own tokenizer."""
    return M2M100Tokenizer.from_pretrained(folder, tgt_lang="ro")


@pytest.fixture(scope="module")
def reader(folder):
    return read_here(folder, "it")


@pytest.mark.parametrize("target", [False, True])
@settings(max_examples=150, deadline=None)
@given(text=TEXTS)
def test_pieces_are_those_of_transformers_and_in_their_place(target, text, reader, theirs):
    for one in (text, *SPOKEN):
        if one.split(" ")[0] in reader.facts.languages:
            continue
        made = reader.target(one, None) if target else reader.pair(one, None, None)
        ids = (theirs(text_target=one) if target else theirs(one))["input_ids"]
        assert (made.inputs["input_ids"], made.pieces) == (ids, theirs.convert_ids_to_tokens(ids))
        assert made.sentence == [None, *[0] * (made.count - 2), None]
        ends = [0]
        for start, end in made.offsets[1:-1]:
            assert ends[-1] <= start <= end <= len(one), "pieces are in order, and do not overlap"
            ends.append(end)


def test_a_piece_that_is_written_as_it_stands_shows_itself(reader):
    for text in SPOKEN[:-1]:
        made = reader.pair(text, None, None)
        for piece, (start, end), part in zip(made.pieces, made.offsets, made.sentence, strict=True):
            shown = text[start:end]
            if part == 0 and shown and shown.isascii() and piece != "<unk>":
                assert shown.strip() == piece.strip("▁")
        assert "".join("".join(text[start:end] for start, end in made.offsets).split()) == "".join(text.split())


def test_it_runs_as_transformers_runs_it(folder, theirs):
    checkpoint = load_checkpoint(folder)
    encoding = encode(checkpoint, *PAIR)
    tokens, n_source = encoding.tokens, encoding.tokens.n_source
    source, labels = theirs(PAIR[0], return_tensors="pt"), theirs(text_target=PAIR[1], return_tensors="pt")["input_ids"]
    read = shift_tokens_right(labels, 1, 2)
    assert encoding.inputs["input_ids"].tolist() == [*source["input_ids"][0].tolist(), *read[0].tolist()]
    model = M2M100ForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        expected = model(**source, decoder_input_ids=read, output_attentions=True)
    trace = capture(checkpoint, encoding)
    for layer in range(3):
        found = trace.attention[layer, :4, :n_source, :n_source]
        np.testing.assert_allclose(found, expected.encoder_attentions[layer][0], rtol=1e-4, atol=1e-6)
    found = trace.attention[-1, 4:, n_source:, :n_source]
    np.testing.assert_allclose(found, expected.cross_attentions[-1][0], rtol=1e-4, atol=1e-6)
    likeliest = int(expected.logits[0, -1].argmax())
    expected_name = theirs.convert_ids_to_tokens(likeliest)
    assert saliency(checkpoint, encoding, method="lrp").target in (expected_name, str(likeliest))
    shown = [text for text, part in zip(tokens.text, tokens.sentence, strict=True) if part != SPECIAL]
    assert "".join(shown).replace("·", "").replace("▁", "") == "".join(PAIR).replace(" ", "")
    assert checkpoint.model.config.vocab_size - MADE_UP == reader_size(checkpoint)
    assert continuation(checkpoint, encoding, most=3).text_a == PAIR[0]


def reader_size(checkpoint):
    return checkpoint.tokenizer.facts.size


def test_its_languages_are_told_by_the_tokenizer(folder, tmp_path, theirs):
    checkpoint = load_checkpoint(folder)
    assert checkpoint.tokenizer.facts.translates == ("__en__", "__ro__")
    assert len(checkpoint.tokenizer.facts.languages) == 100 and "__de__" in checkpoint.tokenizer.facts.languages
    assert "it reads __en__ and writes __ro__" in checkpoint.notes[-1]
    assert "another of its 100 languages where it is in that (__af__ …)" in checkpoint.notes[-1]
    alone = encode(checkpoint, PAIR[0]).tokens
    assert list(alone.piece[alone.n_source :]) == ["</s>", "__ro__"]
    other = M2M100Tokenizer.from_pretrained(folder, src_lang="de", tgt_lang="fr")
    found = encode(checkpoint, f"__de__ {PAIR[1]}", "__fr__ Anna")
    ids, n_source = found.inputs["input_ids"].tolist(), found.tokens.n_source
    assert ids[:n_source] == other(PAIR[1])["input_ids"]
    assert ids[n_source:] == [2, *other(text_target="Anna")["input_ids"][:-1]]
    plain = load_checkpoint(make_m2m(tmp_path / "plain"))  # as on the Hub, whose settings name no language
    assert plain.tokenizer.facts.translates == ("__en__", "__en__")
    wmt = load_checkpoint(make_m2m(tmp_path / "wmt", "wmt21", src_lang="en", tgt_lang="de"))
    assert wmt.tokenizer.facts.translates == ("__en__", "__de__") and len(wmt.tokenizer.facts.languages) == 8
    assert wmt.left_out == () or not any("language_codes" in one for one in wmt.left_out)


def test_it_is_read_apart_as_here(folder, reader):
    apart = ChildReader(folder, "it")
    assert apart.facts == reader.facts
    for text in SPOKEN:
        assert apart.pair(text, None, None) == reader.pair(text, None, None)
        assert apart.target(text, None) == reader.target(text, None)
    ids = reader.target("Anna gab, 😀 es.", None).inputs["input_ids"]
    assert apart.text(ids) == reader.text(ids) != ""


def test_pieces_that_sentencepiece_and_transformers_do_not_share_are_refused(folder, monkeypatch):
    reader = read_here(folder, "it")
    monkeypatch.setattr(tokenizer_m2m, "surfaces", lambda model, text, start: iter([("▁the", (0, 3))]))
    with pytest.raises(CheckpointError, match=r"fails on this text .*its pieces cannot be placed"):
        reader.pair("Anna", None, None)


@pytest.mark.parametrize("how", ["no model", "unknown is missing", "a large number", "no such languages"])
def test_files_that_are_none_are_one_sentence(how, folder, tmp_path):
    broken = edited_config(folder, tmp_path / "it")
    if how == "no model":
        (broken / "sentencepiece.bpe.model").write_bytes(b"\x0a\xff\xff\xff\xff\x0fnothing")
    elif how == "no such languages":
        (broken / "tokenizer_config.json").write_text(json.dumps({"language_codes": "m2m100", "src_lang": "xx"}))
    else:
        vocabulary = json.loads((broken / "vocab.json").read_text())
        vocabulary = {"the": 0} if how == "unknown is missing" else vocabulary | {"▁the": 10**12}
        (broken / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(CheckpointError, match="tokenizer"):
        ChildReader(broken, "it").pair("the", None, None)


def test_its_settings_name_no_file(folder, tmp_path):
    other = edited_config(folder, tmp_path / "it")
    named = dict.fromkeys(("vocab_file", "spm_file", "tokenizer_file"), str(folder / "config.json"))
    told = json.loads((folder / "tokenizer_config.json").read_text())
    settings = named | {"sp_model_kwargs": {"enable_sampling": True}}
    (other / "tokenizer_config.json").write_text(json.dumps(told | settings))
    checkpoint = load_checkpoint(other)
    assert {f"tokenizer_config.json: {key}" for key in settings} <= set(checkpoint.left_out)
    assert encode(checkpoint, *PAIR).tokens.text == encode(load_checkpoint(folder), *PAIR).tokens.text


def test_a_strangers_is_read_apart(folder, hub, empty_caches):
    hub.add("lab/m2m", folder)
    checkpoint = load_checkpoint("lab/m2m")
    assert not isinstance(checkpoint.tokenizer, LocalReader)
    expected = encode(load_checkpoint(folder), *PAIR)
    assert encode(checkpoint, *PAIR).tokens.text == expected.tokens.text
