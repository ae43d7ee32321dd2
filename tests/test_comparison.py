"""Two traces on common tokens: rows keep their sum, words are Clark's, different tokenizers meet word by word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnflow import capture, encode, merge_words, pair_traces
from attnflow.checkpoints.tokenizer_pieces import PairPieces
from attnflow.records.trace import SPECIAL
from attnflow.runtime.encode import _place
from tests import reference
from tests.checkpoints import PAIR, make_tokenizer
from tests.random_traces import random_trace


@pytest.mark.parametrize(
    "word", [[0, 1, 1, 2, 3, 3, 3], [0, 0, 0, 0, 0, 0, 0], [0, 1, 2, 3, 4, 5, 6], [0, 1, 0, 2, 1, 0, 2]]
)
def test_merging_words_is_clarks_definition(word):
    trace = random_trace(3, 2, 3, 7, word=word)
    merged = merge_words(trace)
    np.testing.assert_allclose(merged.attention, reference.merge_words(trace.attention, word), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(merged.attention.sum(axis=-1), 1, rtol=1e-5)
    for index in range(max(word) + 1):
        members = [i for i, w in enumerate(word) if w == index]
        np.testing.assert_allclose(merged.hidden[:, index], trace.hidden[:, members].mean(axis=1), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            merged.head_output[:, index], trace.head_output[:, members].mean(axis=1), rtol=1e-5, atol=1e-6
        )
    assert merged.root == word[trace.root]
    assert merged.tokens.unit == "word"


def test_the_same_pieces_are_compared_piece_by_piece(checkpoints):
    a, b = (capture(checkpoints[name], encode(checkpoints[name], *PAIR)) for name in ("bert", "electra"))
    pairing = pair_traces(a, b)
    assert pairing.unit == "piece"
    assert pairing.a is a
    assert pairing.text == a.tokens.text
    assert pairing.in_a.tolist() == pairing.in_b.tolist() == list(range(len(a.tokens)))


def test_the_same_pieces_can_be_merged_to_words(checkpoints):
    a, b = (capture(checkpoints[name], encode(checkpoints[name], *PAIR)) for name in ("bert", "electra"))
    pairing = pair_traces(a, b, "word")
    assert pairing.unit == "word"
    assert pairing.text[:4] == ("[CLS]", "Anna", "gave", "the")
    np.testing.assert_allclose(pairing.b.attention.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("other", ["roberta", "gpt2", "llama"])
def test_different_tokenizers_meet_word_by_word(other, traces):
    pairing = pair_traces(traces["bert"], traces[other])
    words = "Anna gave the book to a friend , didn't she ?", "The friend has an unbelievable book 😀 ."
    inside = [t for t, s in zip(pairing.text, pairing.sentence, strict=True) if s != SPECIAL]
    assert inside == [*words[0].split(), *words[1].split()]
    special = [t for t, s in zip(pairing.text, pairing.sentence, strict=True) if s == SPECIAL]
    expected = {"roberta": ["[CLS] / <s>", "[SEP] / </s></s>", "[SEP] / </s>"]}
    assert special == expected.get(other, ["[CLS]", "[SEP] / </s>", "[SEP]"])
    for trace, place in ((pairing.a, pairing.in_a), (pairing.b, pairing.in_b)):
        np.testing.assert_allclose(trace.attention.sum(axis=-1), 1, rtol=1e-5)
        assert sorted(i for i in place if i >= 0) == list(range(len(trace.tokens)))
        for unit, token in enumerate(place):
            if token >= 0 and pairing.sentence[unit] != SPECIAL:
                assert trace.tokens.text[token] == pairing.text[unit]
    assert (pairing.in_b >= 0).sum() == len(pairing.b.tokens)
    assert pairing.a.root == 0
    assert pairing.b.root == (0 if other == "roberta" else len(pairing.b.tokens) - 1)


TEXTS = st.text(st.sampled_from("ab'é ,.-😀中文ी\u0301x1\u200d"), min_size=1, max_size=24).filter(
    lambda text: any(c.isalnum() for c in text)
)


@settings(max_examples=40, deadline=None)
@given(TEXTS, TEXTS)
def test_any_text_is_compared_on_words_that_cover_it(text_a, text_b):
    traces = []
    for kind in ("wordpiece", "roberta", "causal"):
        tokenizer = make_tokenizer(kind)
        encoded = tokenizer(text_a, text_b, return_offsets_mapping=True)
        pieces = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
        made = PairPieces(
            len(pieces), {}, pieces, sentence=encoded.sequence_ids(), offsets=list(encoded["offset_mapping"])
        )
        tokens = _place(made, (text_a, text_b))
        base = random_trace(0, 1, 2, len(tokens))
        traces.append(replace(base, tokens=tokens))
    for b in traces[1:]:
        pairing = pair_traces(traces[0], b)
        for trace, place in ((pairing.a, pairing.in_a), (pairing.b, pairing.in_b)):
            np.testing.assert_allclose(trace.attention.sum(axis=-1), 1, rtol=1e-4)
            assert sorted(i for i in place if i >= 0) == list(range(len(trace.tokens)))
        both = (pairing.in_a >= 0) & (pairing.in_b >= 0)
        assert both[pairing.sentence == 0].all()
        assert both[pairing.sentence == 1].all()
