"""Encoder-decoders whose texts hold their language: mBART, mBART-50, NLLB, PLBart; against transformers."""

from __future__ import annotations

import json
from functools import cache, partial

import pytest
import torch
from tokenizers import Tokenizer, processors
from transformers import MBart50Tokenizer, MBartTokenizer, NllbTokenizer, PreTrainedTokenizerFast
from transformers.models.m2m_100.modeling_m2m_100 import shift_tokens_right
from transformers.models.mbart.tokenization_mbart import FAIRSEQ_LANGUAGE_CODES as CODES
from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES as CODES_50

from attnflow import continuation, encode, load_checkpoint, saliency
from attnflow.checkpoints.tokenizer_process import ChildReader
from tests.checkpoints import TEXT, _pieces, edited_config, make_checkpoint, make_tokenizer
from tests.test_stacks import PAIR, Made, check_stacks

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def tokenizer_of(name, **told):
    """A small tokenizer of transformers' own class for each of them."""
    pieces = _pieces([f"▁{word}" for word in " ".join(TEXT).split()], size=240)
    if name == "nllb":
        letters = ["▁", *sorted({letter for piece in pieces for letter in piece} - {"▁"})]
        entries = [*SPECIAL, *letters, "▁A", "nn", "nna", "eng_Latn", "ron_Latn", "<mask>"]
        vocabulary = {entry: index for index, entry in enumerate(entries)}
        merges = [("▁", "A"), ("n", "n")]
        languages = ["eng_Latn", "ron_Latn"]
        told = {"src_lang": "eng_Latn", "tgt_lang": "ron_Latn", "extra_special_tokens": languages} | told
        return NllbTokenizer(vocab=vocabulary, merges=merges, **told)
    if name == "plbart":
        tokenizer = make_tokenizer("unigram")
        made = PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),
            **{f"{one}_token": getattr(tokenizer, f"{one}_token") for one in ("bos", "pad", "eos", "unk")},
            extra_special_tokens=["__java__", "__en_XX__"],
            model_input_names=["input_ids", "attention_mask"],
            **({"src_lang": "__java__", "tgt_lang": "__en_XX__"} | told),
        )
        made.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s> __java__",
            pair="$A </s> $B </s> __java__",
            special_tokens=[("</s>", 2), ("__java__", made.convert_tokens_to_ids("__java__"))],
        )
        return made
    codes, kind = (CODES, MBartTokenizer) if name == "mbart" else (CODES_50, MBart50Tokenizer)
    scored = [*((one, 0.0) for one in SPECIAL), *((one, -1.0 - index) for index, one in enumerate(pieces))]
    scored += [*((one, 0.0) for one in codes), ("<mask>", 0.0)]
    return kind(vocab=scored, **({"src_lang": "en_XX", "tgt_lang": "ro_RO"} | told))


def make_spoken(folder, name, theirs, task="seq2seq-lm"):
    """Write a random checkpoint with such a tokenizer."""
    kind = {"mbart50": "mbart", "nllb": "m2m_100"}.get(name, name)
    ids = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 2}
    make_checkpoint(folder, kind, task=task, vocab_size=len(theirs), **ids)
    for path in folder.glob("*token*"):
        path.unlink()
    theirs.save_pretrained(folder)
    return folder


class Spoken(Made):
    """Such a checkpoint."""

    def make(self, folder):
        self.theirs = tokenizer_of(self.name)
        return make_spoken(folder, self.name, self.theirs)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Makes each of them once."""
    return cache(partial(Spoken, tmp_path_factory.mktemp("spoken")))


LANGUAGES = {
    "mbart": ("en_XX", "ro_RO"),
    "mbart50": ("en_XX", "ro_RO"),
    "nllb": ("eng_Latn", "ron_Latn"),
    "plbart": ("__java__", "__en_XX__"),
}


@pytest.mark.parametrize("name", LANGUAGES)
def test_both_stacks_are_those_of_transformers(name, made):
    check_stacks(made(name))


@pytest.mark.parametrize("name", ["mbart", "mbart50", "nllb"])
def test_source_and_target_hold_their_language(name, made):
    case = made(name)
    ids, tokens, n_source = case.encoding.inputs["input_ids"], case.encoding.tokens, case.n_source
    labels = case.theirs(text_target=PAIR[1])["input_ids"]
    assert ids[:n_source].tolist() == case.theirs(PAIR[0])["input_ids"]
    if name == "nllb":  # which has no function of its own for it
        shifted = shift_tokens_right(torch.tensor([labels]), 1, 2)[0].tolist()
    else:
        shifted = case.eager().prepare_decoder_input_ids_from_labels(torch.tensor([labels]))[0].tolist()
    assert ids[n_source:].tolist() == (shifted[:-1] if name == "mbart" else shifted), "without what ends it"
    alone = encode(case.checkpoint, PAIR[0]).tokens
    source, target = LANGUAGES[name]
    assert source in tokens.piece[:n_source] and target in tokens.piece[n_source:]
    begins = [target] if name == "mbart" else ["</s>", target]
    assert list(alone.piece[alone.n_source :]) == begins
    assert f"it reads {source} and writes {target} (src_lang, tgt_lang)" in case.checkpoint.notes[-1]


@pytest.mark.parametrize("name", ["mbart50", "nllb"])
def test_a_text_may_begin_with_another_language(name, made):
    case, (source, target) = made(name), LANGUAGES[name]
    theirs = tokenizer_of(name, src_lang=target, tgt_lang=source)
    encoding = encode(case.checkpoint, f"{target} {PAIR[0]}", f"{source}  {PAIR[1]}")
    ids, tokens = encoding.inputs["input_ids"].tolist(), encoding.tokens
    assert ids[: tokens.n_source] == theirs(PAIR[0])["input_ids"]
    assert ids[tokens.n_source :] == [2, *theirs(text_target=PAIR[1])["input_ids"][:-1]]
    shown = [text for text, part in zip(tokens.text, tokens.sentence, strict=True) if part >= 0]
    assert (shown[0], tokens.text[tokens.n_source + 1]) == (target, source)
    written = "".join((target, PAIR[0], source, PAIR[1])).replace(" ", "")
    assert "".join(shown).replace("·", "").replace("▁", "") == written
    alone = encode(case.checkpoint, PAIR[0], source)
    assert list(alone.tokens.piece[alone.tokens.n_source :]) == ["</s>", source]
    found = continuation(case.checkpoint, alone, most=3)
    assert found.text_b.startswith(f"{source} ") or not found.written.strip()


def test_one_without_a_class_is_read_by_its_settings(made):
    case = made("plbart")
    ids = case.encoding.inputs["input_ids"]
    code = case.theirs.convert_tokens_to_ids("__en_XX__")
    assert ids[case.n_source] == code and code not in ids[: case.n_source]
    written = case.theirs(PAIR[1], add_special_tokens=False)["input_ids"]
    assert ids[case.n_source + 1 :].tolist() == written


def test_it_is_read_apart_as_here(made):
    for name in LANGUAGES:
        here, apart = made(name).checkpoint.tokenizer, ChildReader(made(name).folder, name)
        assert apart.facts == here.facts and here.facts.translates == LANGUAGES[name]
        assert apart.target(PAIR[1], None) == here.target(PAIR[1], None)
        assert apart.ids("Anna") == here.ids("Anna")


def test_it_is_explained_and_writes(made):
    case = made("mbart")
    found = saliency(case.checkpoint, case.encoding, method="lrp")
    assert abs(found.residual) < 1e-3 * max(1, abs(found.total))
    assert continuation(case.checkpoint, case.encoding, most=3).text_a == PAIR[0]


def test_without_a_language_for_targets_the_encoder_is_read_alone(made, tmp_path):
    generic = load_checkpoint(make_checkpoint(tmp_path / "generic", "mbart", task="seq2seq-lm"))
    assert generic.encoder_alone and "do not tell in which language it writes" in generic.notes[-1]
    folder = edited_config(made("mbart").folder, tmp_path / "unknown")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tgt_lang": "xx_XX"}))
    assert load_checkpoint(folder).encoder_alone
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tgt_lang": None}))
    same = load_checkpoint(folder)
    assert same.stacks is not None and same.tokenizer.facts.translates == ("en_XX", "en_XX")


def test_a_classifier_needs_no_language_for_targets(made, tmp_path):
    folder = make_spoken(tmp_path / "it", "mbart50", tokenizer_of("mbart50"), "sequence-classification")
    assert load_checkpoint(folder).notes[-1].startswith("By the settings of its tokenizer it reads en_XX (src_lang); ")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tgt_lang": "xx_XX"}))
    checkpoint = load_checkpoint(folder)
    assert checkpoint.stacks is not None and checkpoint.reads_again and not checkpoint.encoder_alone
    assert not any("language" in note for note in checkpoint.notes)
    assert encode(checkpoint, PAIR[0]).tokens.piece[0] == "en_XX"
