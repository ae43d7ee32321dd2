"""Devices and precisions: the same numbers but for rounding, and one sentence where there is no room."""

from __future__ import annotations

import weakref
from functools import cache

import numpy as np
import pytest
import torch

from attnflow import (
    capture,
    encode,
    head_importance,
    hidden_token_attribution,
    load_checkpoint,
    saliency,
)
from attnflow.checkpoints.loading import Loading
from attnflow.errors import CheckpointError, NoRoomError
from attnflow.runtime.memory import within_memory
from attnflow.service import bounds
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

    def load(*_args, **_values):
        try:
            full()
        except torch.OutOfMemoryError as error:
            raise CheckpointError("demo/finetuned cannot be loaded (OutOfMemoryError: CUDA out of memory.)") from error

    monkeypatch.setattr(bounds, "load_checkpoint", load)
    with refused_for_memory():
        bounds.load_bounded("demo/finetuned", None, None)


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
