"""Devices and precisions: the same numbers but for rounding, and one sentence where there is no room."""

from __future__ import annotations

import types
import weakref
from functools import cache

import numpy as np
import pytest
import torch

import attnflow
from attnflow import (
    attention_probe,
    capture,
    cli,
    corpus_statistics,
    encode,
    head_importance,
    hidden_token_attribution,
    load_checkpoint,
    open_texts,
    saliency,
    survey,
)
from attnflow.checkpoints.loading import Loading
from attnflow.corpus import compared_heads, observed, probe_reading, survey_part
from attnflow.errors import AttnflowError, CheckpointError, NoRoomError
from attnflow.runtime import load
from attnflow.runtime.memory import within_memory
from attnflow.service import bounds, corpora, head_examples, text_heads
from attnflow.service.collections import Opened
from attnflow.service.registry import Analysis
from attnflow.service.workspace import workspace
from tests.checkpoints import PAIR

OFF = {"bfloat16": 0.15, "float16": 0.02}
"""How far numbers are off, as a share of the length of all of them: these round to 8 and 11 binary digits."""


def off(found, expected):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert np.isfinite(found).all()
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def measured(checkpoint):
    """What the analyses say of a pair."""
    encoding = encode(checkpoint, *PAIR)
    trace = capture(checkpoint, encoding)
    gradient = saliency(checkpoint, encoding, method="input_gradient", target=1)
    return {
        "probabilities": trace.probabilities,
        "attention": trace.attention,
        "hidden": trace.hidden,
        "norms": trace.value_norms,
        "local": hidden_token_attribution(checkpoint, encoding, wrt="previous_layer").values,
        "estimate": hidden_token_attribution(checkpoint, encoding, probes=8).values,
        "gradient": gradient.values,
        "lrp": saliency(checkpoint, encoding, method="lrp", target=1).values,
        "integrated": saliency(checkpoint, encoding, method="integrated_gradients", target=1).values,
        "gate": head_importance(checkpoint, [encoding], method="gate"),
    }


@pytest.fixture(scope="module")
def measured_once(checkpoints):
    """The same of a small checkpoint in single precision, computed once."""
    return cache(lambda name: measured(checkpoints[name]))


@pytest.mark.parametrize("dtype", OFF)
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_a_coarser_precision_gives_the_same_but_for_its_rounding(folders, measured_once, name, dtype):
    expected = measured_once(name)
    found = measured(load_checkpoint(folders[name], dtype=dtype, device="cpu"))
    far = {what: round(off(found[what], value), 4) for what, value in expected.items()}
    assert all(share < OFF[dtype] for share in far.values()), far
    local = [off(found["local"][layer], values) for layer, values in enumerate(expected["local"])]
    assert local[0] < OFF[dtype] / 10  # nothing but the first layer's own rounding


def full(*_args, **_values):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of ...")


def refused_for_memory():
    return pytest.raises(NoRoomError, match=r"^The GPU has no memory left for demo/finetuned on this text, .*; shorten")


def test_a_gpu_without_room_is_one_sentence_and_what_others_use_stays(monkeypatch):
    case, kept = workspace.case("demo/finetuned", *PAIR), load_checkpoint("demo/pretrained")
    with monkeypatch.context() as patched, refused_for_memory():
        patched.setattr("attnflow.service.workspace.capture", full)
        workspace.case("demo/finetuned", "Nobody has seen this text.")
    with refused_for_memory():
        case.ask(Analysis("too_large", "Tell nothing.", full, work=lambda case: 1.0))
    assert workspace.case("demo/finetuned", *PAIR) is case
    assert load_checkpoint("demo/pretrained") is kept and case.checkpoint is load_checkpoint("demo/finetuned")
    assert workspace.case("demo/finetuned", "Nobody has seen this text.").n_tokens > 2

    def read(*_args, **_values):
        try:
            full()
        except torch.OutOfMemoryError as error:
            raise CheckpointError("demo/finetuned cannot be loaded (OutOfMemoryError: CUDA out of memory.)") from error

    monkeypatch.setattr(load, "open_checkpoint", read)
    with pytest.raises(NoRoomError, match=r"^The GPU has no memory left for demo/finetuned, .*; use a smaller"):
        bounds.load_bounded("demo/finetuned", None, None)


SOME, TREES = open_texts("demo/pairs", rows=6), open_texts("demo/sentences", rows=60)


def fits(most, real):
    """A function that runs texts, on a GPU with memory for so many."""

    def run(checkpoint, encodings, **values):
        return full() if len(encodings) > most else real(checkpoint, encodings, **values)

    return run


OVER_TEXTS = {
    "survey": (survey_part, "capture_layers", lambda: survey("demo/finetuned", SOME)),
    "corpus": (observed, "capture_batch", lambda: corpus_statistics("demo/finetuned", SOME, ["entropy"])),
    "probe": (probe_reading, "capture_layers", lambda: attention_probe("demo/finetuned", TREES, most_epochs=1)),
    "compared": (
        compared_heads,
        "capture_batch",
        lambda: attnflow.compare_dependency_heads("demo/pretrained", "demo/finetuned", TREES),
    ),
}


@pytest.mark.parametrize("name", OVER_TEXTS)
def test_many_texts_on_a_gpu_without_room_are_one_sentence(monkeypatch, name):
    module, function, ask = OVER_TEXTS[name]
    kept = load_checkpoint("demo/finetuned")
    monkeypatch.setattr(module, function, fits(0, getattr(module, function)))
    with pytest.raises(AttnflowError, match="The GPU has no memory left for demo/") as refused:
        ask()
    assert "CUDA" not in str(refused.value) and load_checkpoint("demo/finetuned") is kept


@pytest.mark.parametrize("name", ["survey", "corpus", "probe"])
def test_what_has_no_room_together_is_read_one_by_one(monkeypatch, name):
    module, function, ask = OVER_TEXTS[name]
    expected = ask()
    monkeypatch.setattr(module, function, fits(1, getattr(module, function)))
    found = ask()
    if name == "survey":
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        assert not found.reasons
    elif name == "corpus":
        np.testing.assert_allclose(found["entropy"].whole, expected["entropy"].whole, atol=1e-6)
    else:
        assert found.n == expected.n and not found.failed


def test_what_a_survey_finds_no_room_for_later_is_one_sentence(monkeypatch):
    monkeypatch.setattr(survey_part.HeadImportance, "update", full)
    with pytest.raises(NoRoomError, match=r"for demo/finetuned on these texts, .*; bound the tokens of a text"):
        survey("demo/finetuned", SOME, heads=True)


def test_a_pass_after_an_epoch_and_loading_are_one_sentence(monkeypatch):
    lower = pytest.raises(NoRoomError, match=r"for Bert after the epoch, .*; lower per_device_eval_batch_size")
    with lower, within_memory("Bert", "training"):
        full()
    monkeypatch.setattr(load, "open_checkpoint", full)
    with pytest.raises(NoRoomError, match=r"for demo/finetuned, beside .*; use a smaller checkpoint, or one in half"):
        load_checkpoint("demo/finetuned")


ON_THE_PAGE = {
    "examples": (head_examples, "batches", lambda: head_examples._breadth("demo/finetuned", SOME)),
    "importance": (
        text_heads.HeadImportance,
        "update",
        lambda: text_heads.importance_over(SOME, "demo/finetuned", "gate"),
    ),
    "random weights": (
        corpora,
        "with_random_weights",
        lambda: corpora.corpora.statistics(
            Opened(SOME, None), "demo/finetuned", types.SimpleNamespace(name="p"), ["entropy"], random_weights=True
        ),
    ),
}


@pytest.mark.parametrize("name", ON_THE_PAGE)
def test_what_the_page_reads_beside_is_one_sentence_too(monkeypatch, name):
    place, function, ask = ON_THE_PAGE[name]
    monkeypatch.setattr(place, function, full)
    with pytest.raises(NoRoomError, match="The GPU has no memory left for demo/finetuned on these texts"):
        ask()


def test_a_command_on_a_gpu_without_room_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(survey_part, "capture_layers", full)
    assert cli.main(["survey", "demo/finetuned", "demo/pairs", "--rows", "4", "--out", str(tmp_path / "a")]) == 1
    assert "attnflow: " in capsys.readouterr().err.splitlines()[-1]


def test_what_ran_is_freed_and_other_errors_stay_what_they_are():
    freed = []

    def work():
        large = torch.zeros(3)
        weakref.finalize(large, freed.append, True)
        full(large)

    with pytest.raises(NoRoomError), within_memory("bert"):
        work()
    assert freed
    with pytest.raises(ValueError, match="no memory, but not of a GPU"), within_memory("bert"):
        raise ValueError("no memory, but not of a GPU")


def test_the_page_runs_checkpoints_where_and_as_its_operator_says(monkeypatch):
    monkeypatch.setenv("ATTNFLOW_DEVICE", "cpu")
    monkeypatch.setenv("ATTNFLOW_DTYPE", "bfloat16")
    loaded = bounds.load_bounded("demo/finetuned", None, None)
    assert (loaded.device.type, loaded.model.dtype) == ("cpu", torch.bfloat16)
    assert load_checkpoint("demo/finetuned").model.dtype == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_a_gpu_gives_the_same(folders, checkpoints, name):
    assert Loading(lambda model, n_layers: True).place().type == "cuda"
    expected = measured(load_checkpoint(folders[name], device="cpu"))
    found = measured(load_checkpoint(folders[name], device="cuda"))
    far = {what: float(off(found[what], value)) for what, value in expected.items()}
    assert all(share < 2e-3 for share in far.values()), far  # where its matrix products round to TensorFloat-32, too
