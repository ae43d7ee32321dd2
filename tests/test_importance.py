"""Head importance equals its definitions, on every architecture, and leaves the model as it was."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from attnflow import (
    HeadImportance,
    SelectionError,
    UnsupportedArchitectureError,
    capture,
    encode,
    head_importance,
    load_checkpoint,
)
from attnflow.methods.heads import importance
from attnflow.methods.heads.head_parameters import head_parameters
from attnflow.runtime import attention_hook
from attnflow.runtime.capture import model_inputs
from tests import reference
from tests.checkpoints import ARCHITECTURES, N_HEADS, N_LAYERS, PAIR, make_checkpoint

TEXTS = (PAIR, ("He read it.", None), ("The train left late this morning.", "It left at 9.45."))
METHODS = ("taylor", "gate", "ablation")
HEADS = list(itertools.product(range(N_LAYERS), range(N_HEADS)))


def encodings(checkpoint):
    return [encode(checkpoint, *texts) for texts in TEXTS]


def copy_with_gradients(checkpoint):
    """A copy of the model that shares nothing; ALBERT's layers get weights of their own, each a copy of the shared."""
    model = copy.deepcopy(checkpoint.model)
    if model.config.model_type == "albert":
        config = AutoConfig.for_model(**{**model.config.to_dict(), "num_hidden_groups": N_LAYERS})
        untied = AutoModelForSequenceClassification.from_config(config, attn_implementation=attention_hook.NAME).eval()
        weights = {
            name.replace("groups.0", f"groups.{layer}"): value
            for name, value in model.state_dict().items()
            for layer in range(N_LAYERS)
        }
        untied.load_state_dict(weights)
        model = untied
    return model.requires_grad_(True)


def negative_log_likelihood(model, encoding, label):
    return -model(**model_inputs(encoding)).logits[0].log_softmax(-1)[label]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_taylor_is_the_sum_over_each_parameter_of_a_head(checkpoints, name):
    checkpoint, labels = checkpoints[name], [2, 0, 1]
    model = copy_with_gradients(checkpoint)
    base, config = model.base_model, checkpoint.model.config
    shared = N_HEADS // (getattr(config, "num_key_value_heads", None) or N_HEADS)
    size = getattr(config, "head_dim", None) or checkpoint.width // N_HEADS
    chosen = encodings(checkpoint)[:2]
    losses = [
        lambda encoding=encoding, label=label: negative_log_likelihood(model, encoding, label)
        for encoding, label in zip(chosen, labels, strict=False)
    ]
    expected = np.zeros((N_LAYERS, N_HEADS))
    for layer, head in HEADS[:: 1 if name == "bert" else 3]:
        slices = reference.head_slices(name, layer, head, N_HEADS, shared, size)
        expected[layer, head] = reference.taylor(base, slices, losses)
    found = head_importance(checkpoint, chosen, labels[:2])
    np.testing.assert_allclose(np.where(expected, found, 0), expected, rtol=1e-4)
    assert np.count_nonzero(expected) >= 4


@pytest.mark.parametrize("name", ["bert", "gpt2", "gemma2", "albert"])
def test_gate_is_the_derivative_of_the_loss_by_finite_differences(checkpoints, name):
    checkpoint = checkpoints[name]
    model, step = copy.deepcopy(checkpoint.model).double(), 1e-3  # parts of some models stay in single precision
    expected = np.zeros((N_LAYERS, N_HEADS))
    for encoding, label in zip(encodings(checkpoint), (2, 0, 1), strict=True):
        for layer, head in HEADS:
            loss = []
            for sign in (1, -1):
                gates = torch.ones(N_LAYERS, N_HEADS, dtype=torch.float64)
                gates[layer, head] += sign * step
                with torch.inference_mode(), attention_hook.record(gates):
                    loss.append(float(negative_log_likelihood(model, encoding, label)))
            expected[layer, head] += abs(loss[0] - loss[1]) / (2 * step) / 3
    found = head_importance(checkpoint, encodings(checkpoint), ["yes", "no", "perhaps"], method="gate")
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "distilbert", "gpt2", "llama"])
def test_ablation_is_a_loop_of_single_removals(checkpoints, name):
    checkpoint = checkpoints[name]
    expected = np.zeros((N_LAYERS, N_HEADS))
    for encoding, label in zip(encodings(checkpoint), (2, None, 1), strict=True):
        whole = capture(checkpoint, encoding).probabilities
        label = int(whole.argmax()) if label is None else label
        for head in HEADS:
            without = capture(checkpoint, encoding, pruned=[head]).probabilities
            expected[head] += (np.log(whole[label]) - np.log(without[label])) / 3
    found = head_importance(checkpoint, encodings(checkpoint), [2, None, 1], method="ablation")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["bert", "roberta", "modernbert", "gpt2", "qwen3"])
def test_many_examples_at_once_are_the_mean_of_each_alone(checkpoints, name, method):
    checkpoint = checkpoints[name]
    alone = [head_importance(checkpoint, encoding, method=method) for encoding in encodings(checkpoint)]
    together = head_importance(checkpoint, encodings(checkpoint), method=method)
    np.testing.assert_allclose(together, np.mean(alone, 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["taylor", "gate"])
def test_several_batches_are_one(checkpoints, monkeypatch, method):
    checkpoint = checkpoints["bert"]
    together = HeadImportance(method).update(checkpoint, encodings(checkpoint)).result()
    monkeypatch.setattr(importance, "_TOKENS_AT_ONCE", 20)
    several = HeadImportance(method).update(checkpoint, encodings(checkpoint)).result()
    np.testing.assert_allclose(several.mean, together.mean, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(several.standard_error, together.standard_error, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_parts_merge_in_any_order_and_can_be_sent_about(checkpoints, method):
    checkpoint = checkpoints["bert"]
    parts = []
    for encoding, label in zip(encodings(checkpoint), ("yes", "no", None), strict=True):
        part = HeadImportance(method)
        part.update(checkpoint, [encoding], [label])
        parts.append(pickle.loads(pickle.dumps(part)))
    results = []
    for order in ((0, 1, 2), (2, 0, 1)):
        merged = HeadImportance(method)
        for index in order:
            merged.merge(parts[index])
        assert merged.n_examples == 3
        results.append(merged.result())
    expected = head_importance(checkpoint, encodings(checkpoint), ["yes", "no", None], method=method)
    np.testing.assert_allclose(results[0], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_pruned_heads_matter_no_more_and_the_others_are_those_of_the_pruned_model(checkpoints, method):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    model = copy.deepcopy(checkpoint.model)
    size = checkpoint.width // N_HEADS
    model.base_model.encoder.layer[1].attention.output.dense.weight.data[:, 2 * size : 3 * size] = 0
    zeroed = dataclasses.replace(checkpoint, model=model)
    found = head_importance(checkpoint, encoding, "yes", method=method, pruned=[(1, 2)])
    expected = head_importance(zeroed, encoding, "yes", method=method)
    assert found[1, 2] == 0
    expected[1, 2] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(found, head_importance(checkpoint, encoding, "yes", method=method), rtol=1e-2)


def test_the_prediction_stands_in_for_a_label_also_when_heads_are_pruned(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    predicted = int(capture(checkpoint, encoding).scores.argmax())
    changing = (heads for heads in itertools.combinations(HEADS, 4))
    pruned = next(h for h in changing if capture(checkpoint, encoding, pruned=h).scores.argmax() != predicted)
    for method in METHODS:
        found = head_importance(checkpoint, encoding, method=method, pruned=pruned)
        np.testing.assert_allclose(
            found, head_importance(checkpoint, encoding, predicted, method=method, pruned=pruned)
        )


@pytest.mark.parametrize("method", METHODS)
def test_language_models_are_asked_for_the_masked_or_the_next_token(tasks, method):
    masked, causal = tasks["masked-lm"], tasks["causal-lm"]
    filled = encode(masked, "Anna gave the [MASK] to a friend.")
    assert not np.allclose(
        head_importance(masked, filled, "the", method=method), head_importance(masked, filled, "to", method=method)
    )
    assert head_importance(causal, encode(causal, "Anna gave the old"), "book", method=method).max() > 0


def test_ablation_of_a_masked_token_is_a_loop_of_single_removals(tasks):
    checkpoint = tasks["masked-lm"]
    encoding = encode(checkpoint, "Anna gave the [MASK] to a friend.")
    position = encoding.tokens.piece.index("[MASK]")
    target = checkpoint.tokenizer.id_of("the")

    def loss(gates):
        with torch.inference_mode(), attention_hook.record(gates):
            return -float(checkpoint.model(**model_inputs(encoding)).logits[0, position].log_softmax(-1)[target])

    expected = np.zeros((N_LAYERS, N_HEADS))
    for head in HEADS:
        gates = torch.ones(N_LAYERS, N_HEADS)
        gates[head] = 0
        expected[head] = loss(gates) - loss(torch.ones(N_LAYERS, N_HEADS))
    found = head_importance(checkpoint, encoding, "the", method="ablation")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", ["none", "masked-lm"])
def test_without_a_task_ablation_is_the_shift_of_the_root(tasks, name):
    checkpoint = tasks[name]
    encoding = encode(checkpoint, *PAIR)
    root = capture(checkpoint, encoding).hidden[-1, 0].astype(np.float64)
    expected = np.zeros((N_LAYERS, N_HEADS))
    for head in HEADS:
        moved = capture(checkpoint, encoding, pruned=[head]).hidden[-1, 0].astype(np.float64)
        expected[head] = np.linalg.norm(moved - root) / np.linalg.norm(root)
    accumulator = HeadImportance("ablation")
    accumulator.update(checkpoint, encoding)
    assert accumulator.quantity == "root-shift"
    np.testing.assert_allclose(accumulator.result(), expected, rtol=1e-4, atol=1e-6)
    for method in ("taylor", "gate"):
        with pytest.raises(SelectionError, match="choose method='ablation'"):
            head_importance(checkpoint, encoding, method=method)
    with pytest.raises(SelectionError, match="leave labels out"):
        head_importance(checkpoint, encoding, "yes", method="ablation")


def test_a_regression_counts_the_squared_error_or_the_score_itself(tasks):
    checkpoint = tasks["regression"]
    encoding = encode(checkpoint, *PAIR)
    score = float(capture(checkpoint, encoding).scores[0])
    for method in METHODS:  # the derivative of (s - t) ** 2 is 2 (s - t) times that of s
        plain = head_importance(checkpoint, encoding, method=method)
        if method == "ablation":
            without = np.array([float(capture(checkpoint, encoding, pruned=[h]).scores[0]) for h in HEADS])
            np.testing.assert_allclose(plain.ravel(), score - without, rtol=1e-3, atol=1e-5)
        else:
            scaled = head_importance(checkpoint, encoding, score - 3.0, method=method)
            np.testing.assert_allclose(scaled, plain * (36 if method == "taylor" else 6), rtol=1e-3)
    with pytest.raises(SelectionError, match="give a number"):
        head_importance(checkpoint, encoding, "high")


def test_a_causal_classifier_that_knows_no_padding_runs_example_by_example(tmp_path):
    folder = make_checkpoint(tmp_path / "nopad", "gpt2")
    checkpoint = load_checkpoint(folder)
    padded = head_importance(checkpoint, encodings(checkpoint), method="ablation")
    model = copy.deepcopy(checkpoint.model)
    model.config.pad_token_id = None
    unpadded = dataclasses.replace(checkpoint, model=model)
    for method in METHODS:
        found = head_importance(unpadded, encodings(checkpoint), method=method)
        assert np.isfinite(found).all()
    np.testing.assert_allclose(head_importance(unpadded, encodings(checkpoint), method="ablation"), padded, atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_head_has_its_share_of_the_parameters_and_no_weight_matters_for_that(checkpoints, name):
    checkpoint = checkpoints[name]
    found = head_parameters(checkpoint)
    config = checkpoint.model.config
    size = getattr(config, "head_dim", None) or checkpoint.width // N_HEADS
    for layer in found:
        owned = sum(rows.sum(1) for rows in layer.rows.values())
        assert owned.tolist() == [3 * size] * N_HEADS
    empty = copy.deepcopy(checkpoint.model)
    for parameter in empty.parameters():
        if parameter.dim() > 1:
            parameter.zero_()
    again = head_parameters(dataclasses.replace(checkpoint, model=empty))
    for one, other in zip(found, again, strict=True):
        assert one.output == other.output
        assert all(torch.equal(one.rows[number], other.rows[number]) for number in one.rows)


def test_heads_whose_parameters_cannot_be_told_are_refused_and_the_other_methods_still_work(tmp_path):
    from transformers import Olmo2Config, Olmo2ForSequenceClassification

    from tests.checkpoints import make_tokenizer

    tokenizer = make_tokenizer("causal")
    config = Olmo2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4, intermediate_size=48,
        vocab_size=len(tokenizer), pad_token_id=1, num_labels=2,
    )  # fmt: skip
    Olmo2ForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    checkpoint = load_checkpoint(tmp_path)
    encoding = encode(checkpoint, *PAIR)
    with pytest.raises(UnsupportedArchitectureError, match=r"mix the rows of several heads.*method='gate'"):
        head_importance(checkpoint, encoding)
    assert head_importance(checkpoint, encoding, method="gate").min() > 0
    assert np.abs(head_importance(checkpoint, encoding, method="ablation")).min() > 0


def test_the_model_is_left_as_it_was_by_threads_and_after_an_error(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    weights = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
    expected = {method: head_importance(checkpoint, encoding, "yes", method=method) for method in METHODS}
    scores = capture(checkpoint, encoding).scores

    def work(method):
        with pytest.raises(SelectionError):
            head_importance(checkpoint, encoding, "nothing", method=method)
        return head_importance(checkpoint, encoding, "yes", method=method)

    with ThreadPoolExecutor(3) as threads:
        for method, found in zip(METHODS * 2, threads.map(work, METHODS * 2), strict=True):
            np.testing.assert_allclose(found, expected[method], rtol=1e-5, atol=1e-7)
    assert all(not p.requires_grad and p.grad is None for p in checkpoint.model.parameters())
    assert all(torch.equal(weights[name], value) for name, value in checkpoint.model.state_dict().items())
    np.testing.assert_array_equal(capture(checkpoint, encoding).scores, scores)


def test_what_cannot_be_asked_is_said(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    for arguments, options, reason in (
        ((encoding, "maybe"), {}, "There is no target 'maybe'; the classes are 'no', 'perhaps', 'yes'"),
        ((encoding, 3), {"method": "ablation"}, "There is no target '3'"),
        (([],), {}, "give at least one encoded pair"),
        (([encoding], ["yes", "no"]), {}, "2 labels for 1 pairs"),
        ((encoding,), {"method": "guess"}, "no importance method 'guess'; choose taylor, gate, ablation"),
        ((encoding,), {"pruned": [(3, 0)]}, "not a head of this checkpoint"),
    ):
        with pytest.raises(SelectionError, match=reason):
            head_importance(checkpoint, *arguments, **options)
    one, other = HeadImportance("gate"), HeadImportance("gate")
    with pytest.raises(SelectionError, match="no examples"):
        one.result()
    one.update(checkpoint, encoding)
    other.update(checkpoints["roberta"], encode(checkpoints["roberta"], *PAIR))
    with pytest.raises(SelectionError, match="different checkpoints"):
        one.merge(other)
    with pytest.raises(SelectionError, match="parts of one method"):
        one.merge(HeadImportance("taylor"))


def test_texts_with_and_without_a_mask_do_not_add_up(tasks):
    checkpoint = tasks["masked-lm"]
    texts = [encode(checkpoint, "Anna gave the [MASK]."), encode(checkpoint, "Anna gave the book.")]
    with pytest.raises(SelectionError, match="do not add up"):
        head_importance(checkpoint, texts, method="ablation")
