"""Words and pieces of every kind of tokenizer: each character belongs to exactly one word, whatever the script."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attnflow import TextError, encode, merge_words, pair_traces
from attnflow.checkpoints.tokenizer_reader import LocalReader
from attnflow.records.trace import SPECIAL
from attnflow.records.words import join_words, word_spans
from tests.checkpoints import make_tokenizer
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
        traces.append(type(base)(**{**vars(base), "tokens": encoding.tokens}))
    pairing = pair_traces(*traces, "word")
    for merged in (merge_words(traces[1]), pairing.a, pairing.b):
        np.testing.assert_allclose(merged.attention.sum(axis=-1), 1, rtol=1e-4)
        assert merged.tokens.unit == "word"
    for place, trace in ((pairing.in_a, pairing.a), (pairing.in_b, pairing.b)):
        assert sorted(i for i in place if i >= 0) == list(range(len(trace.tokens)))
