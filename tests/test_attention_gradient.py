"""The gradient with respect to attention is the slope of the loss, of masked words where the head predicts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnflow import SelectionError, TextError, attention_gradient, capture, encode, head_importance
from attnflow.methods.heads.attention_gradient import batch_gradient, masked
from attnflow.records.trace import SPECIAL
from tests.checkpoints import PAIR
from tests.pipelines import slope_of_attention

LONG = "The friend gave Anna bread , salt and milk , and the old train left late ."


def test_a_padded_batch_gives_what_each_text_gives_alone(checkpoints):
    checkpoint = checkpoints["bert"]
    encodings = [encode(checkpoint, *PAIR), encode(checkpoint, "He read it.")]
    together = batch_gradient(checkpoint, encodings, ["yes", None], pruned=[(0, 1)])
    for row, (encoding, label) in enumerate(zip(encodings, ["yes", None], strict=True)):
        size = len(encoding.tokens)
        alone = attention_gradient(checkpoint, encoding, label, pruned=[(0, 1)])
        assert alone.shape == (checkpoint.n_layers, checkpoint.n_heads, size, size)
        np.testing.assert_allclose(together.gradient[row, :, :, :size, :size], alone, rtol=1e-3, atol=1e-6)
        attention = capture(checkpoint, encoding, pruned=[(0, 1)]).attention
        np.testing.assert_allclose(together.attention[row, :, :, :size, :size], attention, atol=1e-6)
        assert not alone[0, 1].any() and alone[0, 0].any()
    assert not together.gradient[1, ..., size:, :].any()
    assert together.lengths.tolist() == [len(encoding.tokens) for encoding in encodings]


def test_what_moves_all_weights_of_a_head_is_the_gradient_of_its_gate(checkpoints):
    """`output = gate * (attention @ value)`, so the gate's gradient is the sum of the weights' times the weights."""
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    gradient, attention = attention_gradient(checkpoint, encoding), capture(checkpoint, encoding).attention
    gate = head_importance(checkpoint, encoding, method="gate")
    np.testing.assert_allclose(abs((gradient * attention).sum((-1, -2))), gate, rtol=1e-3, atol=1e-6)


def test_a_masked_language_model_is_asked_for_words_that_are_masked(tasks):
    checkpoint = tasks["masked-lm"]
    encoding = encode(checkpoint, LONG)
    blank, positions = masked(checkpoint, encoding, 0)
    ids, mask = encoding.inputs["input_ids"], checkpoint.tokenizer.facts.mask
    assert np.flatnonzero(blank.inputs["input_ids"] != ids).tolist() == positions.tolist()
    assert (blank.inputs["input_ids"][positions] == mask).all()
    words = set(encoding.tokens.word[positions].tolist())
    every = set(encoding.tokens.word[encoding.tokens.sentence != SPECIAL].tolist())
    assert len(words) == round(0.15 * (len(every) - 3)) == 2  # neither a full stop nor a comma
    assert {i for i, w in enumerate(encoding.tokens.word.tolist()) if w in words} == set(positions.tolist())
    assert masked(checkpoint, encoding, 0)[1].tolist() == positions.tolist()
    assert any(masked(checkpoint, encoding, seed)[1].tolist() != positions.tolist() for seed in (1, 2))

    def loss(logits: torch.Tensor) -> float:
        rows = [float(logits[i].double().log_softmax(-1)[ids[i]]) for i in positions]
        return -sum(rows) / len(rows)

    found = attention_gradient(checkpoint, encoding)
    for place in [(0, 1, 2, 3), (2, 0, int(positions[0]), 0)]:
        slope = slope_of_attention(checkpoint, blank, place, loss)
        assert found[place] == pytest.approx(slope, rel=1e-3, abs=1e-6)
    with pytest.raises(TextError, match="no word that could be masked"):
        attention_gradient(checkpoint, encode(checkpoint, ". , ."))


def test_what_has_no_loss_is_refused(tasks):
    with pytest.raises(SelectionError, match="no trained task head, so there is no loss and no gradient"):
        attention_gradient(tasks["none"], encode(tasks["none"], "He read it."))
    encoding = encode(tasks["masked-lm"], "He read it.")
    with pytest.raises(SelectionError, match="seed is -1"):
        attention_gradient(tasks["masked-lm"], encoding, seed=-1)


def test_a_causal_model_owes_the_next_word_only_to_what_was_before(tasks):
    checkpoint = tasks["causal-lm"]
    encoding = encode(checkpoint, "He read it.")
    found = attention_gradient(checkpoint, encoding)
    assert found.any() and np.isfinite(found).all()
    assert not found[-1, :, :-1].any()  # in the last layer the last token alone is read
