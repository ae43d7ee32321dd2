"""Saliency methods: each equals its definition, answers the same twice, and leaves the model as it was."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import attnflow.methods.saliency.methods
from attnflow import SelectionError, TextError, attention_graph, capture, encode, influence, saliency
from attnflow.errors import NumberError
from attnflow.methods.saliency.common_units import on_common_units, shares
from attnflow.methods.saliency.explain import answer, on_scale
from attnflow.methods.saliency.method import Answer, Method
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.saliency.rank_correlation import rank_correlations
from attnflow.methods.saliency.ranked import units_of
from attnflow.methods.saliency.report import report
from attnflow.methods.score_function import ask
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capture import model_inputs
from attnflow.stats.correlation import spearman
from attnflow.stats.rollout import attention_rollout
from tests import reference
from tests.checkpoints import N_LAYERS, PAIR, edited_config
from tests.random_traces import random_trace

MIXED = ["bert", "modernbert", "gpt2", "llama"]


def asked(checkpoint, target="yes", **options):
    return ask(checkpoint, encode(checkpoint, *PAIR), target, **options)


class Function:
    """A question about a function of plain numbers, each a token of width 1."""

    baseline, steps = "zero", None

    def __init__(self, function, text, blank):
        self.function, self.hidden, self.blank = function, *(np.array(x, np.float32)[:, None] for x in (text, blank))

    def scores(self, removed):
        mixed = np.where(removed, self.blank[:, 0], self.hidden[:, 0])
        return self.function(torch.from_numpy(mixed).double()).numpy()

    def gradients(self, hidden):
        leaf = torch.from_numpy(hidden).double().requires_grad_()
        scores = self.function(leaf[..., 0])
        return hidden, scores.detach().numpy(), torch.autograd.grad(scores.sum(), leaf)[0].numpy()


def test_integrated_gradients_of_functions_worked_out_by_hand():
    compute = METHODS["integrated_gradients"].compute
    product = compute(Function(lambda x: x[:, 0] * x[:, 1], [3, 4], [0, 0]))
    np.testing.assert_allclose(product.values, [6, 6], rtol=1e-6)  # half of 12 each
    assert product.total == pytest.approx(12)
    square = compute(Function(lambda x: x[:, 0] ** 2 + 5 * x[:, 1], [3, 1], [1, 2]))
    np.testing.assert_allclose(square.values, [8, -5], rtol=1e-6)
    # The example of Sundararajan et al., figure 3: relu(x1 - 1 - relu(x2)) at (3, 1) gives 1.5 and -0.5.
    paper = compute(Function(lambda x: torch.relu(x[:, 0] - 1 - torch.relu(x[:, 1])), [3, 1], [0, 0]))
    np.testing.assert_allclose(paper.values, [1.5, -0.5], atol=0.02)
    late = compute(Function(lambda x: torch.relu(x[:, 0] - 2.9), [3, 0], [0, 0]))
    assert late.notes["steps"] > 16, "what happens at the very end of the way takes more steps"
    assert late.values[0] == pytest.approx(0.1, rel=0.03) and abs(late.total - late.values.sum()) > 1e-4, (
        "and it says so"
    )


@pytest.mark.parametrize("name", ["bert", "modernbert", "gpt2"])
def test_integrated_gradients_are_complete_and_equal_a_slow_sum(checkpoints, name):
    question = asked(checkpoints[name])
    found = answer(question, METHODS["integrated_gradients"])
    blank, text = question.blank, question.hidden
    change = float(np.diff(question.gradients(np.stack([blank, text]))[1])[0])
    assert found.total == pytest.approx(change, abs=1e-5)
    assert abs(found.residual) <= 0.01 * abs(change)
    assert found.residual == pytest.approx(found.total - found.values.sum())
    slow, steps = np.zeros(len(text)), 200
    places = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    for place in places:
        _, _, gradient = question.gradients((blank + place * (text - blank))[None])
        slow += ((text - blank) * gradient[0]).sum(axis=-1) / steps
    np.testing.assert_allclose(found.values, slow, atol=0.02 * np.abs(slow).max())


@pytest.mark.parametrize("name", MIXED)
def test_the_gradient_is_what_a_small_step_shows(checkpoints, name):
    question = asked(checkpoints[name])
    hidden, scores, gradient = question.gradients()
    assert scores[0] == pytest.approx(question.score, rel=1e-5)
    step = 1e-3
    for token in (0, 3, len(question.words) - 1):
        # along the token itself, and along its gradient
        for direction in (hidden[0, token], gradient[0, token] / np.linalg.norm(gradient[0, token])):
            moved = np.repeat(hidden, 2, axis=0)
            moved[0, token] += np.float32(step) * direction
            moved[1, token] -= np.float32(step) * direction
            slope = -np.diff(question.gradients(moved)[1])[0] / (2 * step)
            assert slope == pytest.approx(gradient[0, token] @ direction, rel=0.05, abs=0.02)
    signed, size = (answer(question, METHODS[m]).values for m in ("input_gradient", "input_gradient_norm"))
    np.testing.assert_allclose(signed, (hidden[0] * gradient[0]).sum(-1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(size, np.sqrt((gradient[0] ** 2).sum(-1)), rtol=1e-5)


def test_what_enters_the_first_layer_is_hidden_states_0(checkpoints):
    for name in MIXED:
        question = asked(checkpoints[name])
        np.testing.assert_allclose(question.hidden, question.trace.hidden[0], rtol=1e-5, atol=1e-6)
        assert question.root == question.trace.root


@pytest.mark.parametrize("name", ["bert", "roberta", "albert"])
def test_occlusion_is_the_text_with_each_word_masked(checkpoints, name):
    checkpoint = checkpoints[name]
    encoding = encode(checkpoint, *PAIR)
    found = saliency(checkpoint, encoding, target="yes", method="occlusion")
    expected = np.zeros(len(encoding.tokens))
    inputs = model_inputs(encoding)
    with torch.inference_mode():
        whole = checkpoint.model(**inputs).logits[0, 2]
        for token in np.flatnonzero(encoding.tokens.sentence >= 0):
            ids = inputs["input_ids"].clone()
            ids[0, token] = checkpoint.tokenizer.facts.mask
            expected[token] = whole - checkpoint.model(**{**inputs, "input_ids": ids}).logits[0, 2]
    np.testing.assert_allclose(found.values, expected, atol=1e-4)
    assert np.abs(expected).max() > 1e-2


def test_rollout_equals_its_definition():
    trace = random_trace(0, 3, 2, 7)
    rolled = attention_rollout(trace)
    np.testing.assert_allclose(rolled, reference.attention_rollout(trace.attention), rtol=1e-6)
    np.testing.assert_allclose(rolled.sum(axis=-1), 1, rtol=1e-6)


def test_attention_alone_is_read_at_the_root(checkpoints, tasks):
    checkpoint = checkpoints["gpt2"]
    encoding = encode(checkpoint, *PAIR)
    trace = capture(checkpoint, encoding)
    found = saliency(checkpoint, encoding, target="yes", method="attention_rollout")
    np.testing.assert_allclose(found.values, attention_rollout(trace)[-1], rtol=1e-6)
    assert found.residual == pytest.approx(0, abs=1e-6)
    found = saliency(checkpoint, encoding, target="yes", method="influence")
    np.testing.assert_allclose(found.values, influence(attention_graph(trace, 0.1))[0])
    masked = tasks["masked-lm"]
    encoding = encode(masked, "Anna gave [MASK] book to a friend.")
    place = encoding.tokens.piece.index("[MASK]")
    found = saliency(masked, encoding, method="attention_rollout")
    np.testing.assert_allclose(found.values, attention_rollout(capture(masked, encoding))[place], rtol=1e-6)


@pytest.mark.parametrize("name", ["bert", "gpt2", "gemma2"])
def test_hidden_token_attribution_is_the_root_row_over_all_heads_of_the_last_layer(checkpoints, name):
    checkpoint = checkpoints[name]
    encoding = encode(checkpoint, *PAIR)
    pruned = [(N_LAYERS - 1, 0)]
    found = saliency(checkpoint, encoding, target="yes", method="hidden_token_attribution", pruned=pruned)
    hidden = torch.from_numpy(capture(checkpoint, encoding, pruned=pruned).hidden[0].copy())
    gates = torch.ones(N_LAYERS, checkpoint.n_heads)
    gates[-1, 0] = 0
    root = 0 if checkpoint.root == "first" else len(encoding.tokens) - 1

    def outputs(source):
        with attention_hook.record(gates) as recording, layers.steer(hidden=source[None]):
            checkpoint.model.base_model(**model_inputs(encoding))
        return recording.head_output[-1][0, root].flatten()

    jacobian = torch.autograd.functional.jacobian(outputs, hidden)  # [H * K, T, D]
    norms = jacobian.square().sum((0, 2)).sqrt().numpy()
    assert found.values.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.values, norms / norms.sum(), rtol=0.45, atol=1e-6)
    assert np.abs(found.values - norms / norms.sum()).sum() < 0.2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["masked-lm", "causal-lm", "token-classification"])
def test_tokens_are_explained_too(tasks, task, method):
    checkpoint = tasks[task]
    encoding = encode(checkpoint, f"Anna gave {'[MASK]' if task == 'masked-lm' else 'the'} old book")
    found = saliency(checkpoint, encoding, method=method, steps=16)
    assert found.values.shape == (len(encoding.tokens),) and np.isfinite(found.values).all()
    assert np.abs(found.values).max() > 0
    if method == "lrp":
        assert abs(found.residual) < 1e-4 * np.abs(found.values).sum()


@pytest.mark.parametrize("method", ["input_gradient", "lrp", "attn_lrp", "integrated_gradients", "occlusion"])
def test_a_contrast_is_the_difference_of_two_explanations(checkpoints, method):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    yes, no, both = (
        saliency(checkpoint, encoding, target=target, against=against, method=method, steps=16)
        for target, against in (("yes", None), ("no", None), ("yes", "no"))
    )
    np.testing.assert_allclose(both.values, yes.values - no.values, atol=1e-4)
    assert (both.target, both.against) == ("yes", "no")


@pytest.mark.parametrize("method", METHODS)
def test_the_same_twice_in_threads_and_nothing_left_changed(checkpoints, method):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    before = {name: value.clone() for name, value in checkpoint.model.state_dict().items()}
    first = saliency(checkpoint, encoding, target="yes", method=method)
    elsewhere = []

    def work():
        elsewhere.append(saliency(checkpoint, encoding, target="yes", method=method).values)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for values in [saliency(checkpoint, encoding, target="yes", method=method).values, *elsewhere]:
        np.testing.assert_allclose(values, first.values, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in checkpoint.model.state_dict().items())
    assert not checkpoint.model.training
    assert not any(p.requires_grad or p.grad is not None for p in checkpoint.model.parameters())


@pytest.mark.parametrize("name", MIXED)
def test_what_no_score_reads_is_spared_without_changing_a_gradient(checkpoints, name):
    spared, whole = asked(checkpoints[name]), asked(checkpoints[name])
    whole.__dict__["_read"] = None
    assert spared._read == spared.root
    np.testing.assert_allclose(spared.gradients()[2], whole.gradients()[2], rtol=1e-5, atol=1e-5)
    for rule in ("constant", "bilinear"):
        (values, *sums), (expected, *whole_sums) = spared.relevance(rule), whole.relevance(rule)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(sums, whole_sums, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MIXED)
def test_many_variants_at_once_are_as_one_by_one(checkpoints, name, monkeypatch):
    question = asked(checkpoints[name])
    removed = np.random.default_rng(0).random((7, len(question.words))) < 0.4
    removed[0], removed[1] = False, True
    hidden = np.where(removed[:, :, None], question.blank, question.hidden)
    together, (_, scores, gradients) = question.scores(removed), question.gradients(hidden)
    assert together[0] == pytest.approx(question.score, abs=1e-4)
    np.testing.assert_allclose(together, scores, atol=1e-4)
    for one, gradient in zip(hidden, gradients, strict=True):
        np.testing.assert_allclose(question.gradients(one[None])[2][0], gradient, rtol=1e-5, atol=1e-4)
    masked = question.scores(removed[:1] | ~question.words, "attention")
    monkeypatch.setattr("attnflow.methods.score_function._TOKENS_AT_ONCE", 2 * len(question.words))
    np.testing.assert_allclose(question.scores(removed), together, atol=1e-4)
    np.testing.assert_allclose(question.scores(removed[:1] | ~question.words, "attention"), masked, atol=1e-4)


@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients"])
def test_a_model_that_takes_one_text_at_a_time_is_explained_too(checkpoints, folders, tmp_path, method):
    """A causal classifier without padding does not know where the texts of a batch end."""
    folder = edited_config(folders["gpt2"], tmp_path / "unpadded", pad_token_id=None)
    alone, usual = attnflow.load_checkpoint(folder), checkpoints["gpt2"]
    with pytest.raises(ValueError, match="no padding token"):
        alone.model(**model_inputs(encode(alone, *PAIR), 2))
    found, expected = (
        saliency(c, encode(c, *PAIR), target="yes", method=method, baseline="zero") for c in (alone, usual)
    )
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-3, atol=1e-5)


def test_a_pruned_head_is_out_of_every_explanation(checkpoints):
    checkpoint = checkpoints["bert"]
    everything = [(layer, head) for layer in range(checkpoint.n_layers) for head in range(checkpoint.n_heads)]
    encoding = encode(checkpoint, *PAIR)
    for method in ("input_gradient", "integrated_gradients", "lrp", "occlusion"):
        found = saliency(checkpoint, encoding, target="yes", method=method, pruned=everything, steps=16)
        # with no attention at all, only the token that is read can matter
        assert np.abs(found.values[0]) > 0 or method in ("occlusion", "integrated_gradients")
        np.testing.assert_allclose(found.values[1:], 0, atol=1e-6)


@pytest.mark.parametrize("baseline", ["mask", "mean", "pad", "zero"])
def test_baselines(checkpoints, baseline):
    question = asked(checkpoints["roberta"], baseline=baseline)
    if baseline == "zero":
        assert not question.blank.any()
        return
    special = ~question.words
    np.testing.assert_allclose(question.blank[special], question.hidden[special], atol=1e-5)
    assert (np.abs(question.blank - question.hidden).max(axis=-1) > 1e-3)[question.words].all()
    if baseline == "mask":
        inputs = model_inputs(question.encoding)
        inputs["input_ids"] = torch.where(torch.from_numpy(question.words), 4, inputs["input_ids"])
        with torch.inference_mode():
            expected = question.checkpoint.model(**inputs, output_hidden_states=True).hidden_states[0][0]
        np.testing.assert_allclose(question.blank, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("bert", {"method": "shap"}, "There is no method 'shap'; the methods are attention_rollout, influence"),
        ("bert", {"method": None}, "There is no method 'None'"),
        ("bert", {"target": "maybe"}, "There is no target 'maybe'; the classes are"),
        ("bert", {"target": "yes", "against": 2}, "both 'yes'; give two different ones"),
        ("bert", {"steps": 0}, "steps is 0; give a whole number from 1 to 1024"),
        ("bert", {"baseline": "noise"}, "The baseline is 'noise'; for bert give 'mask' or 'mean' or 'pad' or 'zero'"),
        ("gpt2", {"baseline": "mask"}, "The baseline is 'mask'; for gpt2 give"),
        ("bert", {"pruned": [(9, 0)]}, "is not a head of this checkpoint"),
        ("none", {}, "has no trained task head"),
        ("masked-lm", {"target": "unbelievable"}, "is not one token of"),
    ],
)
def test_bad_input_is_named(checkpoints, tasks, name, arguments, message):
    checkpoint = tasks.get(name) or checkpoints[name]
    text = "Anna gave [MASK] book." if name == "masked-lm" else PAIR[0]
    with pytest.raises(SelectionError, match=message):
        saliency(checkpoint, encode(checkpoint, text), **arguments)


def test_a_text_of_special_tokens_only_is_refused(checkpoints):
    with pytest.raises(TextError, match="holds special tokens only"):
        saliency(checkpoints["bert"], encode(checkpoints["bert"], "[SEP] [CLS]"), target="yes")


def test_a_scale_for_colours():
    np.testing.assert_allclose(on_scale([0.0, 0.0]), [0, 0])
    np.testing.assert_allclose(on_scale([0.3, 0.3]), [1, 1])
    np.testing.assert_allclose(on_scale([1, -4, 0, 2]), [0.25, -1, 0, 0.5])
    assert on_scale([]).shape == (0,)


def test_two_models_meet_on_common_units_where_pieces_add_up(checkpoints):
    found = {
        name: [saliency(checkpoints[name], encode(checkpoints[name], *PAIR), target="yes", method=m) for m in METHODS]
        for name in ("bert", "gpt2", "electra")
    }
    common = on_common_units(found["bert"], found["gpt2"])
    assert common.unit == "word" and common.a.shape == common.b.shape == (len(METHODS), len(common.text))
    for one, values in zip([*found["bert"], *found["gpt2"]], [*common.a, *common.b], strict=True):
        assert np.nansum(values) == pytest.approx(one.values.sum(), rel=1e-4, abs=1e-4)
    assert np.isnan(common.b[0, 0]) and common.text[0] == "[CLS]", "GPT-2 has no such token"
    unit = common.text.index("unbelievable")
    pieces = [t for t, w in enumerate(found["bert"][0].tokens.word) if w == common.in_a[unit]]
    assert common.a[2, unit] == pytest.approx(found["bert"][2].values[pieces].sum(), rel=1e-4)
    same = on_common_units(found["bert"], found["electra"])
    assert same.unit == "piece"
    np.testing.assert_allclose(same.a, [one.values for one in found["bert"]], rtol=1e-5)
    np.testing.assert_allclose(np.nansum(np.abs(shares(same.a)), axis=-1), 1)
    assert not np.nan_to_num(on_common_units(found["bert"], found["bert"]).difference).any()
    assert not shares(np.zeros((1, 3))).any()


def test_without_a_task_head_the_methods_that_need_none_answer(tasks):
    checkpoint = tasks["none"]
    encoding = encode(checkpoint, *PAIR)
    found = saliency(checkpoint, encoding, method="attention_rollout")
    assert found.target is None and found.values.sum() == pytest.approx(1)
    told = report(checkpoint, encoding)
    needing_none = [name for name, method in METHODS.items() if not method.about_target]
    assert [one.method.name for one in told.answers] == needing_none and len(needing_none) == 7
    assert "has no trained task head" in told.missing and told.faithfulness is None
    assert told.verdict.startswith("There is no prediction")
    unknown = report(tasks["token-classification"], encoding, target="maybe")
    assert "There is no target 'maybe'" in unknown.missing and len(unknown.answers) == 7
    with pytest.raises(SelectionError, match="has no trained task head"):
        saliency(checkpoint, encoding, method="attention_rollout", target="yes")


def test_a_report_tells_what_stands_up_and_what_does_not(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    told = report(checkpoint, encoding, target="yes", against="no")
    assert [one.method.name for one in told.answers] == list(METHODS) == list(told.faithfulness.names)
    assert (told.target, told.against, told.missing) == ("yes", "no", "")
    units = units_of(encoding.tokens, ask(checkpoint, encoding, "yes").words, "word")
    np.testing.assert_allclose(told.rank_correlation, rank_correlations(told.answers, units))
    best = told.answers[int(np.argmax(told.faithfulness.merit))].method.title
    lost = [o.method.title for o, b in zip(told.answers, told.faithfulness.beats_random, strict=True) if not b]
    assert best in told.verdict or len(lost) == len(METHODS)
    assert all(title in told.verdict for title in lost) or len(lost) == len(METHODS)
    merit = np.linspace(0, 1, len(METHODS))
    for beaten, line in ((merit[-1] + 9, "trust none"), (merit[2], "No better than random"), (-9.0, "All beat")):
        chance = np.full((5, 2, 3), beaten) + np.arange(5)[:, None, None] * 1e-3
        measured = replace(
            told.faithfulness,
            comprehensiveness=np.broadcast_to(merit[:, None, None], (len(METHODS), 2, 3)),
            sufficiency=np.zeros((len(METHODS), 2, 3)),
            random_comprehensiveness=chance,
            random_sufficiency=np.zeros((5, 2, 3)),
        )
        assert line in replace(told, faithfulness=measured).verdict


def test_the_rank_correlation_of_methods_is_a_spearman():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, size=(2, 12)).astype(float)
    assert spearman(x, y) == pytest.approx(reference.spearman(list(x), list(y)))
    assert np.isnan(spearman(x, np.ones(12)))

    def found(values, signed):
        return SimpleNamespace(values=np.array(values, float), method=SimpleNamespace(signed=signed))

    one, other, size = found([1, -3, 2, 99], True), found([-1, 3, -2, 0], True), found([1, 3, 2, 0], False)
    table = rank_correlations([one, other, size], np.array([0, 1, 2, -1]))
    np.testing.assert_allclose(table, [[1, -1, 1], [-1, 1, 1], [1, 1, 1]])
    table = rank_correlations([one, other], np.array([0, 1, 0, 2]))  # a word of two pieces: 3, -3, 99 and -3, 3, 0
    np.testing.assert_allclose(table[0, 1], -0.5)


def test_every_module_of_the_folder_is_a_method_and_says_what_a_reader_must_know(checkpoints, monkeypatch):
    folder = attnflow.methods.saliency.methods.__path__[0]
    for method in METHODS.values():
        assert method.title and method.measures.endswith(".") and method.ignores.endswith(".") and method.source
    defined = sum(path.read_text().count("    Method(\n") for path in Path(folder).glob("[!_]*.py"))
    assert defined == len(METHODS)

    def length(question):
        return Answer(np.array([float(len(text)) for text in question.encoding.tokens.text]))

    mine = Method("length", "Length", False, False, "How long it is.", "All else.", "Nobody", length)
    monkeypatch.setitem(METHODS, "length", mine)
    encoding = encode(checkpoints["bert"], *PAIR)
    found = saliency(checkpoints["bert"], encoding, target="yes", method="length")
    assert found.values[0] == len(encoding.tokens.text[0]) and found.residual is None


def test_values_that_are_no_numbers_are_refused(checkpoints):
    checkpoint = checkpoints["bert"]
    encoding = encode(checkpoint, *PAIR)
    broken = replace(METHODS["lrp"], compute=lambda question: Answer(np.full(len(encoding.tokens), np.nan)))
    with pytest.raises(NumberError, match="not finite"):
        answer(ask(checkpoint, encoding), broken)
