"""Words and pieces of every kind of tokenizer: each character belongs to exactly one word, whatever the script."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import Tokenizer

from attnflow import CheckpointError, TextError, encode, load_checkpoint, merge_words, pair_traces
from attnflow.checkpoints import tokenizer_files
from attnflow.checkpoints.tokenizer_reader import LocalReader, read_here
from attnflow.records.trace import SPECIAL
from attnflow.records.words import join_words, word_spans
from tests.checkpoints import TEXT, make_tokenizer
from tests.random_traces import random_trace

KINDS = ("wordpiece", "roberta", "causal", "unigram", "fallback")
SIGNS = (
    "ab Zz'’.,-3 5\n\t\u00a0\u3000_#</s>[]▁Ġ·\u200b\u200d\u00ad\ufeff\x00\x1f😀🏽👩🇩🇪"
    "é\u0301\u0308ßﬁ½İ中文書かカ한안हिन्\u0902םשלוםمُحَمَّد\u202e𝔸𠀀"
)
TEXTS = st.text(st.sampled_from(SIGNS), max_size=24) | st.text(st.characters(exclude_categories=["Cs"]), max_size=24)


@pytest.fixture(scope="module")
def readers(checkpoints):
    """A checkpoint for each kind of tokenizer; only its tokenizer matters here."""
    bert = checkpoints["bert"]
    return {kind: replace(bert, tokenizer=LocalReader(make_tokenizer(kind), kind), max_tokens=10_000) for kind in KINDS}


def encoded(reader, text_a, text_b, monkeypatch=None):
    try:
        return encode(reader, text_a, text_b)
    except TextError:
        return None  # nothing in it that the tokenizer shows


@pytest.fixture(scope="module", autouse=True)
def any_vocabulary():
    """The tokenizers do not fit BERT's embeddings, which are not used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnflow.runtime.encode._check_vocabulary", lambda checkpoint, ids: None)
        yield


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=120, deadline=None)
@given(text_a=TEXTS, text_b=TEXTS)
@example(text_a="isn't well-known", text_b="rock ’n’ roll")
@example(text_a="👩‍👩‍👧 👍🏽 🇩🇪🇫🇷", text_b="cafe\u0301 naïve ﬁn")
@example(text_a="שלום עולם", text_b="مُحَمَّد هنا")
@example(text_a="我喜欢书。", text_b="한국어 かな")
@example(text_a="ผมไปโรงเรียนทุกวัน ABCไทย", text_b="ខ្ញុំទៅសាលារៀន។ ကျောင်းသွားတယ်")
@example(text_a="a\u200b \u200b", text_b="\u0301")
def test_every_character_belongs_to_exactly_one_word(kind, text_a, text_b, readers):
    encoding = encoded(readers[kind], text_a, text_b)
    if encoding is None:
        return
    tokens = encoding.tokens
    for sentence, text in enumerate((encoding.text_a, encoding.text_b or "")):
        inside = np.flatnonzero(tokens.sentence == sentence)
        spans = [tuple(tokens.span[i]) for i in inside]
        words = join_words(word_spans(text), spans)
        if not words:
            continue
        owners = [[w for w, (left, right) in enumerate(words) if left <= place < right] for place in range(len(text))]
        assert all(len(owner) == 1 for owner, sign in zip(owners, text, strict=True) if not sign.isspace())
        group_of = {}
        for i, (start, end) in zip(inside, spans, strict=True):
            assert text[start:end] == text[start:end].strip()
            if start < end:  # all characters of a piece lie in one word, and a word is one group of pieces
                (word,) = {w for place in range(start, end) for w in owners[place]}
                assert group_of.setdefault(word, tokens.word[i]) == tokens.word[i]
        assert sorted(group_of) == list(range(len(words)))
        assert len(set(group_of.values())) == len(words)
        assert set(tokens.word[inside]) == set(group_of.values())
    special = tokens.word[tokens.sentence == SPECIAL]
    assert len(set(special)) == len(special)
    assert not set(special) & set(tokens.word[tokens.sentence != SPECIAL])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(text_a=TEXTS, text_b=TEXTS)
def test_rows_keep_their_sum_when_words_are_merged_and_compared(kind, text_a, text_b, readers):
    encodings = [encoded(readers[name], text_a, text_b) for name in ("wordpiece", kind)]
    if None in encodings:
        return
    traces = []
    for encoding in encodings:
        base = random_trace(0, 1, 2, len(encoding.tokens))
        traces.append(replace(base, tokens=encoding.tokens))
    pairing = pair_traces(*traces, "word")
    for merged in (merge_words(traces[1]), pairing.a, pairing.b):
        np.testing.assert_allclose(merged.attention.sum(axis=-1), 1, rtol=1e-4)
        assert merged.tokens.unit == "word"
    for place, trace in ((pairing.in_a, pairing.a), (pairing.in_b, pairing.b)):
        assert sorted(i for i in place if i >= 0) == list(range(len(trace.tokens)))


# ---- what tokenizer.json says decides

CUT = ("STRASSE isn't  well-known, café № 12345\t👩🏽 中文", "Über naïve ﬁnd x=1;")
BUILT_ANEW = {
    "wordpiece": ("BertTokenizer", "DistilBertTokenizer", "RobertaTokenizer", "XLNetTokenizer"),
    "roberta": ("RobertaTokenizer", "GPT2Tokenizer", "Qwen2Tokenizer"),
    "causal": ("GPT2Tokenizer", "Qwen2Tokenizer", "LlamaTokenizer"),
    "unigram": ("T5Tokenizer", "XLMRobertaTokenizer", "AlbertTokenizer"),
    "fallback": ("LlamaTokenizer", "GemmaTokenizer"),
    "xlnet": ("XLNetTokenizer", "BertTokenizer"),
}
"""Classes of transformers that may be named beside a file of each kind, rightly or not."""


def named(folder, kind, tokenizer_class, change=None, **settings):
    """Write a tokenizer whose settings name a class; what `tokenizer.json` holds may be changed."""
    make_tokenizer(kind).save_pretrained(folder)
    for name, edit in (("tokenizer.json", change), ("tokenizer_config.json", None)):
        found = json.loads((folder / name).read_text())
        if edit is not None:
            edit(found)
        if name == "tokenizer_config.json":
            found |= {"tokenizer_class": tokenizer_class, **settings}
        (folder / name).write_text(json.dumps(found))
    return folder


def as_written(folder, reader):
    """Compare a reader with the library `tokenizers` alone, on a text and a pair."""
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    raw.no_truncation()
    raw.no_padding()
    assert reader.ids(CUT[0]) == raw.encode(CUT[0], add_special_tokens=False).ids
    assert reader.pair(CUT[0], None, None).inputs["input_ids"] == raw.encode(CUT[0]).ids
    pair = reader.pair(*CUT, None)
    if pair.separator is None:
        assert pair.inputs["input_ids"] == raw.encode(*CUT).ids
        assert pair.inputs.get("token_type_ids", raw.encode(*CUT).type_ids) == raw.encode(*CUT).type_ids


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in BUILT_ANEW.items() for name in names])
def test_a_tokenizer_cuts_as_its_file_says_whatever_its_class_does(kind, name, tmp_path):
    as_written(tmp_path, read_here(named(tmp_path, kind, name), "x"))


CHANGES = {
    "a sequence of normalisers": lambda made: made.update(
        normalizer={"type": "Sequence", "normalizers": [made["normalizer"], {"type": "NFKC"}, {"type": "Lowercase"}]}
    ),
    "accents stay": lambda made: made["normalizer"].update(strip_accents=False),
    "capitals stay": lambda made: made["normalizer"].update(lowercase=False),
    "spaces alone divide": lambda made: made.update(pre_tokenizer={"type": "WhitespaceSplit"}),
    "digits by themselves": lambda made: made.update(
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [made["pre_tokenizer"], {"type": "Digits", "individual_digits": True}],
        }
    ),
    "no mark at the end": lambda made: made["post_processor"].update(
        single=[{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    ),
    "one kind of sentence": lambda made: made["post_processor"].update(
        pair=[{"Sequence": {"id": part, "type_id": 0}} for part in ("A", "B")]
    ),
    "shorter words": lambda made: made["model"].update(max_input_chars_per_word=4),
    "cut and filled up": lambda made: made.update(
        truncation={"max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        padding={
            "strategy": {"Fixed": 128},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_part_of_the_file_is_followed(change, tmp_path):
    folder = named(tmp_path, "wordpiece", "BertTokenizer", CHANGES[change])
    reader = read_here(folder, "x")
    as_written(folder, reader)
    assert (reader.facts.mask_token, reader.facts.unknown) == ("[MASK]", 1)


def test_special_tokens_that_only_the_class_names_are_kept(tmp_path):
    folder = named(tmp_path, "wordpiece", "BertTokenizer", CHANGES["spaces alone divide"])
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    facts = read_here(folder, "x").facts
    assert (facts.mask_token, facts.pad, facts.special) == ("[MASK]", 0, {0, 1, 2, 3, 4})


@pytest.mark.parametrize("marked", [True, False])
def test_the_marks_of_the_file_are_written_whatever_the_settings_ask_for(marked, tmp_path):
    template = None if marked else {"post_processor": None}
    folder = named(
        tmp_path, "fallback", "LlamaTokenizer", template and (lambda made: made.update(template)), add_bos_token=True
    )
    reader = read_here(folder, "x")
    assert (reader.pair("a", None, None).pieces[-1] == "</s>") == marked
    as_written(folder, reader)


def test_a_tokenizer_of_the_hub_cuts_as_its_file_says_too(hub, folders, tmp_path, empty_caches):
    folder = shutil.copytree(folders["bert"], tmp_path / "odd")
    named(folder, "wordpiece", "BertTokenizer", CHANGES["a sequence of normalisers"])
    hub.add("lab/odd-normaliser", folder)
    as_written(folder, load_checkpoint("lab/odd-normaliser").tokenizer)


def test_a_tokenizer_that_cannot_be_made_to_cut_as_its_file_is_refused(tmp_path, monkeypatch):
    folder = named(tmp_path, "wordpiece", "BertTokenizer")
    monkeypatch.setattr(tokenizer_files, "_cuts", lambda *_: False)
    with pytest.raises(CheckpointError, match=r"cuts texts otherwise than its tokenizer\.json"):
        read_here(folder, "x")


# ---- a SentencePiece model without tokenizer.json

SPECIAL_PIECES = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
BERT_PIECES = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "bos_piece": "[CLS]", "eos_piece": "[SEP]"}
LLAMA = {
    "model_type": "bpe",
    "byte_fallback": True,
    "vocab_size": 400,
    "remove_extra_whitespaces": False,
    "normalization_rule_name": "identity",
}
MODELS: dict[str, tuple[str, dict, dict]] = {
    "t5": ("spiece.model", SPECIAL_PIECES, {}),
    "xlm-roberta": ("sentencepiece.bpe.model", {}, {}),
    "camembert": ("sentencepiece.bpe.model", {}, {}),
    "mbart": ("sentencepiece.bpe.model", {}, {}),
    "deberta-v2": ("spm.model", BERT_PIECES | {"pad_piece": "[PAD]", "unk_piece": "[UNK]"}, {"do_lower_case": False}),
    "pegasus": ("spiece.model", SPECIAL_PIECES, {}),
    "llama": ("tokenizer.model", LLAMA, {"tokenizer_class": "LlamaTokenizer"}),
}
UNUSUAL = (
    *tokenizer_files._SAMPLES,
    "Łódź ﬁne Ａ１ ½ …",
    "no\u00a0break\u200bzero",
    "  two  spaces",
    "a tab\tand\nlines",
    "Anna  gave ",
)


WITH_SYMBOLS = ("Anna gave <url> to Adam.", "Anna<url>gave", "<url>", "  a <url>  ☃ b", "Anna ☃. <url><url>")


def trained(folder, model_type, **more):
    """A SentencePiece model alone, as an architecture has it: what reads it here, and SentencePiece itself."""
    name, options, settings = MODELS[model_type]
    sizes = {"vocab_size": 90, "model_type": "unigram", "character_coverage": 1.0, "hard_vocab_limit": False}
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 40), model_prefix=str(folder / "made"), minloglevel=5, **(sizes | options | more)
    )
    shutil.move(folder / "made.model", folder / name)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return read_here(folder, "x"), SentencePieceProcessor(model_file=str(folder / name))


def refused_of(reader, original, texts):
    """Those of some texts that are refused; every other is cut as SentencePiece cuts it."""
    refused = []
    for text in texts:
        expected = [original.id_to_piece(piece) for piece in original.encode(text) if not original.is_unknown(piece)]
        try:
            found = reader.ids(text)
        except CheckpointError:
            refused.append(text)
            continue
        named = zip(found, reader.pieces(found), strict=True)
        assert [piece for index, piece in named if index != reader.facts.unknown] == expected
        assert reader.pair(text, "Anna", None).count > len(found)
    return refused


@pytest.mark.parametrize("model_type", MODELS)
def test_a_text_is_cut_as_sentencepiece_cuts_it_or_refused(model_type, tmp_path):
    reader, original = trained(tmp_path, model_type)
    refused = refused_of(reader, original, UNUSUAL)
    spaces = [text for text in UNUSUAL if "  " in text]
    assert set(refused) <= (set(spaces) if model_type in ("pegasus", "llama") else set())
    for text in refused:
        with pytest.raises(CheckpointError, match=f"made of its {MODELS[model_type][0]} alone, does not cut this text"):
            reader.pair("Anna", text, None)


@pytest.mark.parametrize("model_type", MODELS)
def test_symbols_that_the_user_of_sentencepiece_defined_are_cut_as_it_does(model_type, tmp_path):
    reader, original = trained(tmp_path, model_type, vocab_size=420, user_defined_symbols=["<url>", "☃"])
    refused = refused_of(reader, original, WITH_SYMBOLS)
    if model_type == "llama":  # pairs that are made of pairs have no scores by which a symbol could win
        assert "<url>" in refused and WITH_SYMBOLS[0] not in refused
    else:
        assert set(refused) <= ({WITH_SYMBOLS[3]} if model_type == "pegasus" else set())


@pytest.mark.parametrize("model_type", ["xlm-roberta", "camembert", "t5"])
def test_lower_case_that_sentence_transformers_makes_is_made_of_what_a_sentencepiece_model_reads(model_type, tmp_path):
    plain, _ = trained(tmp_path, model_type)
    (tmp_path / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    lowers = read_here(tmp_path, "x")
    for text in ("Anna gave the BOOK to Łódź.", *UNUSUAL):  # each is compared with SentencePiece as before
        assert lowers.ids(text) == plain.ids(text.lower())
    assert plain.ids("BOOK") != plain.ids("book")
