"""What the analyses of heads cost, against the plain way to the same numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode
from transformers import BertConfig, BertForSequenceClassification

from attnflow import Checkpoint, Encoding, encode, head_importance, load_checkpoint
from attnflow.bundled import ASSETS
from attnflow.methods.heads.sweeps import Sweep, single_removals
from attnflow.runtime import attention_hook, layers
from attnflow.runtime.capture import model_inputs
from attnflow.service.workspace import workspace
from tests.bench.capture import side_by_side

LONG = (
    "Edith bought a table from Adam and then Adam bought a book from Edith .",
    "Then Adam sold the table and Edith the old book .",
)
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    bundled = load_checkpoint("demo/finetuned")
    lines = (ASSETS / "demo" / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line) for line in lines[:64]]
    encodings = [encode(bundled, pair["text_a"], pair["text_b"]) for pair in pairs]
    labels = [pair["label"] for pair in pairs]
    base = _base(bundled)
    yield from _ablations("bundled model", bundled, encodings[0], 41)
    for copies, size in ((1, 32), (2, 61)):
        long = encode(base, *(" ".join([text] * copies) for text in LONG))
        if len(long.tokens) != size:
            raise ValueError(f"the text of the benchmark has {len(long.tokens)} tokens instead of {size}")
        yield from _ablations("BERT-base size", base, long, 2)
    yield from _taylor("bundled model", bundled, encodings, labels, 21)
    yield from _taylor("BERT-base size", base, encodings, labels, 1)
    yield from _prune_click(pairs[0])


def _base(like: Checkpoint) -> Checkpoint:
    """A random model of that size with the tokenizer of another checkpoint."""
    model = BertForSequenceClassification(BertConfig(**BASE)).eval().requires_grad_(False)
    model.set_attn_implementation(attention_hook.NAME)
    sizes = {"n_layers": 12, "n_heads": 12, "width": 768}
    return replace(like, model=model, steerable=layers.install(model.base_model, 12), **sizes)


def _ablations(name: str, checkpoint: Checkpoint, encoding: Encoding, rounds: int) -> Iterator[tuple[str, str]]:
    def loop() -> None:
        with torch.inference_mode():
            for gates in single_removals(torch.ones(checkpoint.n_layers, checkpoint.n_heads)):
                with attention_hook.record(gates, keep=False):
                    checkpoint.model(**model_inputs(encoding))

    ratio, first, second = side_by_side(loop, lambda: Sweep(checkpoint, encoding).ablations(), rounds)
    size = f"{checkpoint.n_layers * checkpoint.n_heads} heads, {len(encoding.inputs['input_ids'])} tokens"
    yield (
        f"{name}, {size}: loop of forwards / all ablations",
        f"{ratio:.1f} x  ({1000 * first:.0f} / {1000 * second:.0f} ms)",
    )
    with _Maps() as of_loop:
        loop()
    with _Maps() as of_sweep:
        Sweep(checkpoint, encoding).ablations()
    yield f"{name}, {size}: multiplications of the loop / of all ablations", f"{of_loop.work / of_sweep.work:.2f} x"
    share, *_ = side_by_side(of_sweep.again, lambda: Sweep(checkpoint, encoding).ablations(), rounds)
    yield f"{name}, {size}: linear maps alone / all ablations", f"{share:.2f} x"


@dataclass
class _Maps(TorchFunctionMode):
    """Notes the linear maps that a block applies, and applies maps of the same sizes again: nothing can be faster."""

    calls: list[tuple[torch.Size, torch.Tensor, torch.Tensor | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is linear:
            x, weight, bias = args
            self.calls.append((x.shape, weight, bias))
        return func(*args, **(kwargs or {}))

    @property
    def work(self) -> int:
        """Multiplications."""
        return sum(shape[:-1].numel() * weight.numel() for shape, weight, _ in self.calls)

    def again(self) -> None:
        """Apply maps of these sizes."""
        vectors = torch.ones(max(shape.numel() for shape, *_ in self.calls))
        with torch.inference_mode():
            for shape, weight, bias in self.calls:
                linear(vectors[: shape.numel()].view(shape), weight, bias)


def _taylor(
    name: str, checkpoint: Checkpoint, encodings: list[Encoding], labels: list[int], rounds: int
) -> Iterator[tuple[str, str]]:
    model = checkpoint.model
    size = max(len(encoding.tokens) for encoding in encodings)
    inputs = {
        key: torch.stack([torch.from_numpy(np.pad(e.inputs[key], (0, size - len(e.tokens)))) for e in encodings])
        for key in encodings[0].inputs
    }
    parameters = list(model.parameters())

    def plain() -> None:
        """One forward and backward pass over all pairs, with the gradients of all weights."""
        for parameter in parameters:
            parameter.requires_grad_(True)
        model(**inputs, labels=torch.tensor(labels)).loss.backward()
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None

    ratio, first, second = side_by_side(lambda: head_importance(checkpoint, encodings, labels), plain, rounds)
    what = f"{name}, {len(encodings)} pairs: taylor / plain forward-backward"
    yield what, f"{ratio:.2f} x  ({1000 * first:.0f} / {1000 * second:.0f} ms)"


def _prune_click(pair: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What a click that prunes a head has to compute: both models anew."""
    times = []
    before = [workspace.case(ref, pair["text_a"], pair["text_b"]) for ref in ("demo/pretrained", "demo/finetuned")]
    for head in range(4):
        start = time.perf_counter()
        for run in before:
            workspace.without(run, [(1, head), (2, head)])
        times.append(time.perf_counter() - start)
    yield "bundled pair: both models without some heads", f"{1000 * np.median(times):.0f} ms"
