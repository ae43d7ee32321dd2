"""Hidden Token Attribution: what one backward pass per output dimension gives, and honest estimates of it."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

from attnflow import (
    SelectionError,
    UnsupportedArchitectureError,
    attribution_estimates,
    capture,
    encode,
    hidden_token_attribution,
    load_checkpoint,
)
from attnflow.cache import BoundedCache
from attnflow.methods.hta.attribution import _Task
from attnflow.methods.hta.closed_form import plain_jacobian_squares
from attnflow.methods.hta.from_weights import squares_from_weights
from attnflow.methods.hta.pushforward import squared_changes
from attnflow.methods.hta.token_paths import token_paths
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capture import head_gates, model_inputs
from tests import reference
from tests.checkpoints import ARCHITECTURES, PAIR, WIDTH
from tests.conftest import forget_models

SHORT = ("Anna gave a book.", "He read.")
PRUNED = frozenset({(0, 1), (1, 3)})


def in_double(checkpoint):
    return replace(checkpoint, model=copy.deepcopy(checkpoint.model).double())


def textbook(checkpoint, encoding, wrt, pruned=frozenset()):
    """The definition, for what enters the first layer or each layer by itself."""
    gates, inputs = head_gates(checkpoint, pruned), model_inputs(encoding)
    with torch.no_grad():
        entering = checkpoint.model.base_model(**inputs, output_hidden_states=True).hidden_states
    if pruned and wrt == "previous_layer":
        entering = []
        with torch.no_grad(), attention_hook.record(gates), layers.steer(enter=lambda _, h: entering.append(h) or h):
            checkpoint.model.base_model(**inputs)

    def run(start, hidden):
        with attention_hook.record(gates) as recording, layers.steer(start=start, hidden=hidden[None]):
            checkpoint.model.base_model(**inputs)
        return torch.stack(recording.head_output[-(checkpoint.n_layers - start) :])[:, 0]

    if wrt == "input":
        return reference.hidden_token_attribution(lambda hidden: run(0, hidden), entering[0][0])
    return np.concatenate(
        [
            reference.hidden_token_attribution(lambda hidden, start=start: run(start, hidden)[:1], entering[start][0])
            for start in range(checkpoint.n_layers)
        ]
    )


@pytest.mark.parametrize("wrt", ["input", "previous_layer"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_is_that_of_the_definition(checkpoints, name, wrt):
    checkpoint = in_double(checkpoints[name])
    encoding = encode(checkpoint, *SHORT)
    exact = hidden_token_attribution(checkpoint, encoding, wrt=wrt)
    np.testing.assert_allclose(exact.values, textbook(checkpoint, encoding, wrt), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(exact.values.sum(-1), 1, atol=1e-6)
    assert exact.standard_error is None
    assert exact.relative_error == 0


@pytest.mark.parametrize(
    ("name", "plain"), [("bert", True), ("gpt2", True), ("qwen3", True), ("modernbert", True), ("gemma2", False)]
)
def test_the_closed_form_serves_plain_attention_alone_and_equals_the_general_method(checkpoints, name, plain):
    checkpoint = in_double(checkpoints[name])
    encoding = encode(checkpoint, *SHORT)
    for stretch in _Task.checked(checkpoint, encoding, "previous_layer", None, 0, PRUNED).stretches:
        found = plain_jacobian_squares(stretch)
        assert (found is not None) == plain
        if plain:
            unit = torch.eye(WIDTH)[:, None].expand(-1, len(encoding.tokens), -1)
            general, _ = squared_changes(stretch, unit, lambda _: None)
            torch.testing.assert_close(found.sqrt(), general.sqrt(), rtol=1e-5, atol=1e-6)  # angles are float32


def from_weights(checkpoint, encoding, pruned=frozenset()):
    """For each layer its stretch and the squares that products of its weights give, if they do."""
    task = _Task.checked(checkpoint, encoding, "previous_layer", None, 0, pruned)
    for path, stretch, call, attention in zip(
        task.paths, task.stretches, task.seen.calls, task.seen.attention, strict=True
    ):
        yield stretch, None if path is None else squares_from_weights(path, stretch, call, attention[0])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_products_of_weights_serve_where_a_token_is_normalised_projected_and_rotated(checkpoints, name):
    checkpoint = checkpoints[name]
    for stretch, squares in from_weights(checkpoint, encode(checkpoint, *PAIR), PRUNED):
        assert (squares is not None) == (name not in ("qwen3", "gemma2"))  # these normalise heads, or cap scores
        if squares is not None:
            torch.testing.assert_close(squares.sqrt(), plain_jacobian_squares(stretch).sqrt(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "norm"), [("bert", None), ("gpt2", (True, 1e-5)), ("llama", (False, 1e-6))])
def test_the_norm_of_a_layer_is_found_by_trying(checkpoints, name, norm):
    for path in token_paths(checkpoints[name]):
        assert (path.codes is not None) == (name == "llama")  # it alone rotates
        if norm is None:
            assert path.norm is None
        else:
            assert (path.norm.centred, path.norm.epsilon) == (norm[0], pytest.approx(norm[1], rel=1e-4))


def test_what_a_layer_does_to_this_text_alone_is_seen(checkpoints):
    """Here values are clipped in texts of this length: nothing tells so on the text that the weights are tried on."""
    plain = checkpoints["bert"]
    encoding = encode(plain, *PAIR)
    bound = 0.99 * _Task.checked(plain, encoding, "previous_layer", None, 0, ()).seen.calls[0].value.abs().max()
    checkpoint = replace(plain, model=copy.deepcopy(plain.model))
    values = checkpoint.model.base_model.encoder.layer[0].attention.self.value

    def clipped(x):
        found = torch.nn.functional.linear(x, values.weight, values.bias)
        return found.clamp(-bound, bound) if x.shape[-2] == len(encoding.tokens) else found

    values.forward = clipped
    (stretch, found), *others = from_weights(checkpoint, encoding)
    assert token_paths(checkpoint)[0] is not None and found is None
    assert all(squares is not None for _, squares in others)
    general, _ = squared_changes(
        stretch, torch.eye(WIDTH)[:, None].expand(-1, len(encoding.tokens), -1), lambda _: None
    )
    expected = (general.sqrt() / general.sqrt().sum(-1, keepdim=True))[0].numpy()
    local = hidden_token_attribution(checkpoint, encoding, wrt="previous_layer")
    np.testing.assert_allclose(local.values[0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("wrt", ["input", "previous_layer"])
def test_pruned_heads_owe_nothing_and_change_the_layers_after_them(checkpoints, wrt):
    checkpoint = in_double(checkpoints["bert"])
    encoding = encode(checkpoint, *SHORT)
    values = hidden_token_attribution(checkpoint, encoding, wrt=wrt, pruned=PRUNED).values
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(textbook(checkpoint, encoding, wrt, PRUNED))
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    assert all(not values[head].any() for head in PRUNED)
    whole = hidden_token_attribution(checkpoint, encoding, wrt=wrt).values
    np.testing.assert_array_equal(values[0, 0], whole[0, 0])
    assert abs(values[2] - whole[2]).max() > 1e-3


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_the_first_layer_owes_the_input_what_it_owes_the_previous_layer(checkpoints, name):
    encoding = encode(checkpoints[name], *PAIR)
    local = hidden_token_attribution(checkpoints[name], encoding, wrt="previous_layer")
    wrt_input = hidden_token_attribution(checkpoints[name], encoding)
    np.testing.assert_allclose(local.values[0], wrt_input.values[0], rtol=1e-4, atol=1e-6)
    assert abs(local.values[1:] - wrt_input.values[1:]).max() > 0.1
    if name == "gpt2":
        assert not np.triu(wrt_input.values, 1).any()  # nothing comes from tokens that are read later


def test_estimates_close_in_on_the_exact_values_and_know_how_far_off_they_are(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *SHORT)
    exact = hidden_token_attribution(checkpoint, encoding).values
    steps = list(attribution_estimates(checkpoint, encoding, probes=24, seed=3))
    assert [step.probes for step in steps] == [2, 4, 8, 16, 24]
    errors = [float((abs(step.values - exact) / exact).mean()) for step in steps]
    assert errors[-1] < errors[0] / 2
    assert steps[-1].relative_error == pytest.approx(errors[-1], rel=0.25)
    assert steps[0].relative_error > 2 * steps[-1].relative_error
    for step in steps:
        np.testing.assert_allclose(step.values.sum(-1), 1, atol=1e-6)
    again = hidden_token_attribution(checkpoint, encoding, probes=24, seed=3)
    np.testing.assert_array_equal(again.values, steps[-1].values)
    assert abs(hidden_token_attribution(checkpoint, encoding, probes=24, seed=4).values - again.values).max() > 1e-3


@pytest.fixture(scope="module")
def repeated(checkpoints):
    """Exact values, and estimates from 2, 4, 8 and 16 probes by 16 seeds, by their number."""
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *SHORT)
    found = {}
    for seed in range(16):
        for step in attribution_estimates(checkpoint, encoding, probes=16, seed=seed):
            found.setdefault(step.probes, []).append(step)
    return hidden_token_attribution(checkpoint, encoding).values, found


@pytest.mark.parametrize("probes", [2, 4, 8, 16])
def test_the_stated_error_is_the_measured_one(repeated, probes):
    exact, found = repeated
    measured = np.mean([(abs(one.values - exact) / exact).mean() for one in found[probes]])
    assert np.mean([one.relative_error for one in found[probes]]) == pytest.approx(measured, rel=0.06)


@pytest.mark.parametrize("probes", [2, 4, 8, 16])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_bounds_hold_the_exact_values_as_often_as_they_say(repeated, probes, level):
    """Squares of normal variables are skewed, and a model as narrow as this one has few in a sum."""
    exact, found = repeated
    bounds = [one.bounds(level) for one in found[probes]]
    inside = np.mean([(low <= exact) & (exact <= high) for low, high in bounds])
    assert inside == pytest.approx(level, abs=0.06)
    for low, high in bounds:
        assert (low >= 0).all() and (high <= 1).all()


def test_bounds_of_exact_values_are_these_and_a_level_is_a_probability(checkpoints):
    exact = hidden_token_attribution(checkpoints["bert"], encode(checkpoints["bert"], *SHORT), wrt="previous_layer")
    for bound in exact.bounds():
        np.testing.assert_array_equal(bound, exact.values)
    with pytest.raises(SelectionError, match="level is 95; give a probability between 0 and 1"):
        exact.bounds(95)


def test_an_estimate_of_a_layer_by_itself(checkpoints):
    checkpoint = checkpoints["gemma2"]
    encoding = encode(checkpoint, *SHORT)
    exact = hidden_token_attribution(checkpoint, encoding, wrt="previous_layer").values
    estimate = hidden_token_attribution(checkpoint, encoding, wrt="previous_layer", probes=16)
    assert estimate.wrt == "previous_layer"
    depends = exact > 0
    assert (abs(estimate.values - exact)[depends] / exact[depends]).mean() < 0.15
    assert not estimate.values[~depends].any()


@pytest.mark.parametrize("name", ["bert", "gemma2"])
def test_bfloat16_changes_less_than_the_probes_are_off(checkpoints, name):
    encoding = encode(checkpoints[name], *SHORT)
    whole = hidden_token_attribution(checkpoints[name], encoding, probes=8)
    rough = hidden_token_attribution(checkpoints[name], encoding, probes=8, precision="bfloat16")
    depends = whole.values > 0
    off = (abs(rough.values - whole.values)[depends] / whole.values[depends]).mean()
    assert 0 < off < 0.3 * whole.relative_error


def test_batches_change_nothing(checkpoints, monkeypatch):
    encoding = encode(checkpoints["bert"], *SHORT)
    whole = hidden_token_attribution(checkpoints["bert"], encoding, probes=4)
    monkeypatch.setattr("attnflow.methods.hta.pushforward._MOST_ROWS", 1)
    one_by_one = hidden_token_attribution(checkpoints["bert"], encoding, probes=4)
    np.testing.assert_allclose(one_by_one.values, whole.values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(one_by_one.standard_error, whole.standard_error, rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize("probes", [None, 8])
@pytest.mark.parametrize("wrt", ["input", "previous_layer"])
def test_progress_rises_to_the_end_and_may_cancel(checkpoints, monkeypatch, wrt, probes):
    checkpoint = checkpoints["gemma2"]
    encoding = encode(checkpoint, "Anna met Paul.")
    before = capture(checkpoint, encoding)
    monkeypatch.setattr("attnflow.methods.hta.pushforward._MOST_ROWS", 8)
    seen = []
    hidden_token_attribution(checkpoint, encoding, wrt=wrt, probes=probes, progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 5
    assert seen[-1] == pytest.approx(1)

    def cancel(done):
        if done > 0.3:
            raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError, match="cancelled"):
        hidden_token_attribution(checkpoint, encoding, wrt=wrt, probes=probes, progress=cancel)
    np.testing.assert_array_equal(capture(checkpoint, encoding).hidden, before.hidden)


def test_two_threads_do_not_see_each_other(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *SHORT)
    expected = [
        hidden_token_attribution(checkpoint, encoding, probes=4, pruned=pruned).values for pruned in ((), PRUNED)
    ]
    found = {}

    def run(index, pruned):
        for _ in range(3):
            found[index] = hidden_token_attribution(checkpoint, encoding, probes=4, pruned=pruned).values

    threads = [threading.Thread(target=run, args=(index, pruned)) for index, pruned in enumerate(((), PRUNED))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for index in range(2):
        np.testing.assert_array_equal(found[index], expected[index])


def test_forward_mode_is_one_for_the_whole_process():
    """Why pushing takes turns; where this fails, torch has learnt better and the lock can go."""
    refused = []

    def enter():
        try:
            with forward_ad.dual_level():
                pass
        except RuntimeError as error:
            refused.append(str(error))

    with forward_ad.dual_level():
        other = threading.Thread(target=enter)
        other.start()
        other.join(20)
    assert len(refused) == 1 and "Nested forward mode AD is not supported" in refused[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"wrt": "output"}, "wrt is 'output'; give 'input' or 'previous_layer'"),
        ({"probes": 1}, "probes is 1; give a whole number from 2 to 32"),
        ({"probes": 33}, "from 2 to 32, the width of this model, or none"),
        ({"probes": 2.5}, "probes is 2.5"),
        ({"probes": True}, "probes is True"),
        ({"precision": "half", "probes": 4}, "precision is 'half'; give 'float32' or"),
        ({"precision": "bfloat16"}, "for an estimate with a number of probes"),
        ({"seed": -1}, "seed is -1; give a whole number from 0"),
        ({"pruned": [(9, 0)]}, r"\[9, 0\] is not a head"),
    ],
)
def test_bad_arguments_are_named(checkpoints, arguments, message):
    encoding = encode(checkpoints["bert"], "Anna met Paul.")
    with pytest.raises(SelectionError, match=message):
        hidden_token_attribution(checkpoints["bert"], encoding, **arguments)


def test_a_model_whose_layers_cannot_be_told_is_refused(checkpoints):
    checkpoint = replace(checkpoints["bert"], steerable=False)
    with pytest.raises(UnsupportedArchitectureError, match="Choose another checkpoint"):
        hidden_token_attribution(checkpoint, encode(checkpoint, "Anna met Paul."))


def test_what_is_found_once_for_a_checkpoint_counts_as_its_memory(folders, monkeypatch):
    forget_models(monkeypatch)
    checkpoint = load_checkpoint(folders["bert"])
    before = checkpoint.nbytes
    paths = token_paths(checkpoint)
    products = sum(product.nbytes for path in paths for product in path.products.values())
    rest = sum(one.nbytes for path in paths for one in (*path.offsets, *path.weights, path.value_square, path.rows))
    assert products > 0 and before + products + rest <= checkpoint.nbytes <= before + 2 * (products + rest)
    known = checkpoint.nbytes
    token_paths(checkpoint)
    assert checkpoint.nbytes == known  # found once


def test_models_that_grow_while_they_are_analysed_keep_to_the_bound(folders, monkeypatch):
    forget_models(monkeypatch)
    bound = sum(load_checkpoint(folders[name]).nbytes for name in ("bert", "gpt2")) + 1000
    loaded = BoundedCache(bound, lambda one: one.nbytes)
    monkeypatch.setattr("attnflow.checkpoints.checkpoint._loaded", loaded)
    kept, other = (load_checkpoint(folders[name]) for name in ("bert", "gpt2"))
    assert len(loaded) == 2
    token_paths(kept)
    assert load_checkpoint(folders["bert"]) is kept
    assert len(loaded) == 1 and loaded.nbytes == kept.nbytes <= bound
    assert load_checkpoint(folders["gpt2"]) is not other
