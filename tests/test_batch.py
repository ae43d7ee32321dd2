"""Texts that run together; `test_architectures` compares them with single ones in every architecture."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from attnflow import CheckpointError, SelectionError, capture, encode, head_importance, load_checkpoint
from attnflow.checkpoints.architectures import ARCHITECTURES, Architecture
from attnflow.runtime import batch as batch_module
from attnflow.runtime import capabilities
from attnflow.runtime.batch import batches, capture_batch, padded_inputs
from tests.checkpoints import PAIR, TEXT, make_checkpoint

TEXTS = [TEXT[0], "Anna gave it.", TEXT[1], "He bought bread, salt and milk.", TEXT[3]]


@pytest.fixture
def encodings(checkpoints):
    """Five texts of different lengths for the small BERT."""
    return [encode(checkpoints["bert"], text) for text in TEXTS]


def passes(checkpoint, monkeypatch):
    """The shapes of the inputs of each forward pass from now on."""
    seen = []
    original = batch_module.recorded_run

    def counted(checkpoint, inputs, gates=None, **options):
        seen.append(tuple(inputs["input_ids"].shape))
        return original(checkpoint, inputs, gates, **options)

    for module in ("batch", "capture"):
        monkeypatch.setattr(f"attnflow.runtime.{module}.recorded_run", counted)
    return seen


def test_texts_run_together_sorted_by_length_and_come_back_in_their_order(checkpoints, encodings, monkeypatch):
    checkpoint = checkpoints["bert"]
    seen, lengths = passes(checkpoint, monkeypatch), [len(encoding.tokens) for encoding in encodings]
    traces = capture(checkpoint, encodings)
    assert [len(trace.tokens) for trace in traces] == lengths
    assert seen == [(5, max(lengths))]
    seen.clear()
    monkeypatch.setattr("attnflow.runtime.capture.batches", lambda *given: batches(*given, tokens=2 * max(lengths)))
    again = capture(checkpoint, encodings)
    assert len(seen) == 3 and sum(rows for rows, _ in seen) == 5
    for one, other in zip(traces, again, strict=True):
        np.testing.assert_allclose(one.attention, other.attention, atol=2e-6)


def test_a_batch_holds_no_more_tokens_than_allowed_and_a_longer_text_is_alone(checkpoints, encodings):
    lengths = np.array([len(encoding.tokens) for encoding in encodings])
    for tokens in (1, 20, 40, 10**6):
        found = list(batches(checkpoints["bert"], encodings, tokens))
        assert sorted(index for rows in found for index in rows) == list(range(5))
        assert all(len(rows) == 1 or len(rows) * lengths[rows].max() <= tokens for rows in found)


def test_one_text_and_none_are_lists_too(checkpoints, encodings):
    checkpoint = checkpoints["bert"]
    (only,) = capture(checkpoint, encodings[:1])
    np.testing.assert_array_equal(only.attention, capture(checkpoint, encodings[0]).attention)
    assert capture(checkpoint, []) == []
    with pytest.raises(SelectionError, match="There are no texts; give at least one encoded pair"):
        capture_batch(checkpoint, [])
    with pytest.raises(SelectionError, match="layer from 0 to 2"):
        capture(checkpoint, encodings, pruned=[(9, 9)])


def test_padding_is_the_models_own_and_is_masked(checkpoints, encodings):
    for name in ("bert", "roberta"):
        checkpoint = checkpoints[name]
        texts = [encode(checkpoint, text) for text in TEXTS[:2]]
        inputs = padded_inputs(checkpoint, texts)
        length = len(texts[1].tokens)
        assert set(inputs["input_ids"][1, length:].tolist()) == {checkpoint.tokenizer.facts.pad}
        assert inputs["attention_mask"].sum(1).tolist() == [len(text.tokens) for text in texts]
        assert set(inputs) >= set(texts[0].inputs)


def test_a_classifier_that_does_not_know_where_texts_end_runs_them_one_by_one(checkpoints, monkeypatch):
    model = copy.deepcopy(checkpoints["gpt2"].model)
    model.config.pad_token_id = None
    checkpoint = dataclasses.replace(checkpoints["gpt2"], model=model)
    texts = [encode(checkpoint, text) for text in TEXTS[:3]]
    seen = passes(checkpoint, monkeypatch)
    traces = capture(checkpoint, texts)
    assert [rows for rows, _ in seen] == [1, 1, 1]
    assert all(trace.scores is not None for trace in traces)


def test_a_base_model_without_padding_is_filled_up_with_any_entry(checkpoints, tmp_path, monkeypatch):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "plain", "gpt2", task="causal-lm"))
    checkpoint.model.config.pad_token_id = None
    assert checkpoint.padding is None
    texts = [encode(checkpoint, text) for text in TEXTS[:3]]
    seen = passes(checkpoint, monkeypatch)
    for found, text in zip(capture(checkpoint, texts), texts, strict=True):
        np.testing.assert_allclose(found.attention, capture(checkpoint, text).attention, atol=2e-6)
    assert seen[0][0] == 3


def test_a_model_that_minds_padding_is_found_out_and_so_is_one_the_table_names(checkpoints, monkeypatch):
    """This one adds the mean of a text to each of its tokens, padding included."""
    model = copy.deepcopy(checkpoints["bert"].model)
    model.bert.embeddings.register_forward_hook(lambda module, inputs, output: output + output.mean(1, keepdim=True))
    checkpoint = dataclasses.replace(checkpoints["bert"], model=model)
    texts = [encode(checkpoint, text) for text in TEXTS[:2]]
    assert capabilities.padding_allowed(checkpoints["bert"]) and not capabilities.padding_allowed(checkpoint)
    for found, text in zip(capture(checkpoint, texts), texts, strict=True):
        np.testing.assert_array_equal(found.attention, capture(checkpoint, text).attention)
    monkeypatch.setitem(ARCHITECTURES, "bert", Architecture("bert", padded=False))
    assert not capabilities.padding_allowed(checkpoints["bert"])


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "albert", "electra", "t5", "bart"])
def test_in_double_precision_a_batch_is_exact(name, folders, tmp_path):
    folder = folders[name] if name in folders else make_checkpoint(tmp_path / name, name, task="none")
    checkpoint = load_checkpoint(folder, dtype="float64")
    texts = [encode(checkpoint, text) for text in TEXTS]
    together = capture_batch(checkpoint, texts)
    for row, text in enumerate(texts):
        alone, size = capture_batch(checkpoint, [text]), len(text.tokens)
        torch.testing.assert_close(together.attention[row, ..., :size, :size], alone.attention[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(together.hidden[row, :, :size], alone.hidden[0], rtol=1e-12, atol=1e-12)
        if checkpoint.head.trained:
            torch.testing.assert_close(together.scores[row], alone.scores[0], rtol=0, atol=1e-12)


def test_what_overflows_in_a_batch_alone_runs_one_by_one(folders):
    """In double precision a row of padding whose window holds padding only overflows, and is a neighbour's fault."""
    checkpoint = load_checkpoint(folders["mistral"], dtype="float64")
    texts = [encode(checkpoint, text) for text in (*PAIR, "Anna")]
    with pytest.raises(CheckpointError, match="not finite"):
        capture_batch(checkpoint, texts)
    for found, text in zip(capture(checkpoint, texts), texts, strict=True):
        np.testing.assert_array_equal(found.attention, capture(checkpoint, text).attention)


def test_importance_of_texts_that_cannot_be_padded_is_the_mean_of_single_ones(tmp_path):
    """XLNet's classifier reads the last position of a batch, padding or not."""
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "xlnet", "xlnet"))
    texts = [encode(checkpoint, text) for text in TEXTS[:3]]
    found = head_importance(checkpoint, texts, method="gate")
    alone = [head_importance(checkpoint, text, method="gate") for text in texts]
    np.testing.assert_allclose(found, np.mean(alone, axis=0), rtol=1e-4)
