"""A checkpoint in another process, on a device, in a precision."""

from __future__ import annotations

import ast
import copy
import dataclasses
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from attnflow import CheckpointError, capture, encode, load_checkpoint
from tests.checkpoints import PAIR, make_checkpoint
from tests.fresh_process import elsewhere

PACKAGE = Path(__file__).parent.parent / "attnflow"


def captured(pickled):
    """What a process does that is given a checkpoint."""
    checkpoint = pickle.loads(pickled)
    return capture(checkpoint, encode(checkpoint, *PAIR), pruned=[(1, 2)]).hidden, checkpoint.steerable


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_checkpoint_travels_as_its_name(name, checkpoints):
    checkpoint = checkpoints[name]
    expected = capture(checkpoint, encode(checkpoint, *PAIR), pruned=[(1, 2)]).hidden
    changed = dataclasses.replace(checkpoint, name="changed")
    assert changed.origin is None
    assert len(pickle.dumps(checkpoint)) < 2000 < checkpoint.nbytes
    hidden, steerable = elsewhere(captured, pickle.dumps(checkpoint))
    np.testing.assert_allclose(hidden, expected, atol=1e-6)
    assert steerable
    with pytest.raises(CheckpointError, match="changed was put together or changed after it was loaded"):
        pickle.dumps(changed)


def test_the_bundled_pair_travels_as_its_name():
    checkpoint = load_checkpoint("demo/finetuned")
    assert pickle.loads(pickle.dumps(checkpoint)) is checkpoint  # in memory already


def test_watched_modules_are_watched_again(tmp_path):
    checkpoint = load_checkpoint(make_checkpoint(tmp_path / "bloom", "bloom"))
    again = dataclasses.replace(checkpoint, model=pickle.loads(pickle.dumps(checkpoint.model)))
    encoding = encode(checkpoint, *PAIR)
    np.testing.assert_array_equal(capture(again, encoding).attention, capture(checkpoint, encoding).attention)


def test_a_folder_that_has_changed_is_not_taken_for_what_it_was(folders, tmp_path):
    folder = shutil.copytree(folders["bert"], tmp_path / "copy")
    pickled = pickle.dumps(load_checkpoint(folder))
    make_checkpoint(folder, "bert", seed=1)
    with pytest.raises(CheckpointError, match="files of copy have changed since it was loaded"):
        pickle.loads(pickled)


def test_a_deep_copy_may_be_changed(checkpoints):
    checkpoint = checkpoints["bert"]
    twin = copy.deepcopy(checkpoint)
    assert twin.origin is None and twin.model is not checkpoint.model
    encoding = encode(checkpoint, *PAIR)
    before = capture(checkpoint, encoding).scores
    with torch.no_grad():
        twin.model.classifier.weight.zero_()
    np.testing.assert_array_equal(capture(checkpoint, encoding).scores, before)


def test_a_precision_and_a_device_are_kept_apart_and_checked(folders):
    plain = load_checkpoint(folders["bert"])
    coarse = load_checkpoint(folders["bert"], dtype="bfloat16", device="cpu")
    assert (plain.device.type, coarse.model.dtype) == ("cpu", torch.bfloat16) and coarse is not plain
    assert load_checkpoint(folders["bert"], dtype=torch.bfloat16) is coarse
    weights = [loaded.nbytes - loaded.tokenizer.nbytes for loaded in (coarse, plain)]
    assert weights[0] < 0.6 * weights[1]
    encoding = encode(plain, *PAIR)
    expected, found = capture(plain, encoding), capture(coarse, encoding)
    assert found.attention.dtype == np.float32
    np.testing.assert_allclose(found.hidden[0], expected.hidden[0], atol=0.02 * abs(expected.hidden[0]).max())
    assert abs(found.attention[0] - expected.attention[0]).mean() < 0.02
    with pytest.raises(CheckpointError, match="dtype is 'int8'; give one of float32"):
        load_checkpoint(folders["bert"], dtype="int8")
    with pytest.raises(CheckpointError, match="device is 'abacus', and this machine has no such device"):
        load_checkpoint(folders["bert"], device="abacus")


CREATE = "ones zeros full tensor arange eye randn rand randint randperm empty linspace from_numpy as_tensor".split()


@pytest.mark.parametrize("path", [p for f in ("runtime", "methods") for p in (PACKAGE / f).rglob("*.py")], ids=str)
def test_no_tensor_is_made_without_a_word_on_its_device(path):
    """Each is made with `device=`, or moved at once by `.to(...)`; what is drawn, is drawn on the CPU by a seed."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    moved = {
        id(node.func.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "to"
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        creates = name.removeprefix("torch.") in CREATE and name.startswith("torch.")
        if creates or name == "model_inputs":
            told = any(keyword.arg == "device" for keyword in node.keywords)
            assert told or id(node) in moved, f"line {node.lineno}: {ast.unparse(node)}"
