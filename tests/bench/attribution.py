"""How fast Hidden Token Attribution is, against one backward pass per output dimension and a matrix product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

import torch
from transformers import BertConfig, BertModel

from attnflow import Checkpoint, encode, hidden_token_attribution, load_checkpoint
from attnflow.methods.hta.attribution import _Task
from attnflow.methods.hta.pushforward import Stretch, squared_changes
from attnflow.records.trace import Encoding
from attnflow.web.examples import load_examples
from tests.bench.capture import SIZES, random_checkpoint

PROBES = 16
LENGTHS = (24, 34)
_PASSES = 24
"""The textbook method takes hours, so this many of its passes are timed, spread over the layers, and scaled."""


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure.

    Seconds are processor time of one thread: other work on the machine would disturb two threads that wait for each
    other far more than it disturbs the ratios.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from _all_sizes()
    finally:
        torch.set_num_threads(threads)


def _all_sizes() -> Iterator[tuple[str, str]]:
    bundled = load_checkpoint("demo/finetuned")
    yield from _measure("bundled", bundled)
    for size, (n_layers, n_heads, width) in SIZES.items():
        config = BertConfig(
            hidden_size=width,
            num_hidden_layers=n_layers,
            num_attention_heads=n_heads,
            intermediate_size=4 * width,
            initializer_range=0.05,
        )
        torch.manual_seed(0)
        yield from _measure(size.split(" size")[0], random_checkpoint(BertModel(config).eval(), bundled))


def _measure(name: str, checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    for length in LENGTHS:
        encoding = pair_of(checkpoint, length)
        label = f"{name}, {length} tokens"
        task = _Task.checked(checkpoint, encoding, "input", PROBES, 0, ())
        local = _Task.checked(checkpoint, encoding, "previous_layer", None, 0, ())
        dimensions = checkpoint.width * length * checkpoint.n_layers  # of all heads' outputs at all tokens
        textbook = dimensions * _backward(task.stretches)
        textbook_local = dimensions * _backward(local.stretches)

        passes = length * PROBES
        work = passes * _work(checkpoint, length)
        square = torch.randn(2048, 2048)
        _, product = _shortest(lambda square=square: square @ square, 10)
        estimate, taken = _shortest(
            lambda encoding=encoding: hidden_token_attribution(checkpoint, encoding, probes=PROBES), 3
        )
        product = min(product, _shortest(lambda square=square: square @ square, 10)[1])
        rate = (work / taken) / (2 * 2048**3 / product)
        yield f"{label}: textbook (scaled) / {PROBES} probes", f"{textbook / taken:,.0f} x  ({taken:.2f} s)"
        yield f"{label}: rate of {PROBES} probes / of one matrix product", f"{rate:.2f}"
        yield f"{label}: expected mean relative error, told by itself", f"{estimate.relative_error:.1%}"
        rough, faster = _shortest(
            lambda encoding=encoding: hidden_token_attribution(
                checkpoint, encoding, probes=PROBES, precision="bfloat16"
            ),
            2,
        )
        off = (abs(rough.values - estimate.values) / estimate.values).mean()
        figure = f"{taken / faster:.2f} x  ({faster:.2f} s), off by {off:.1%} more"
        yield f"{label}: float32 / bfloat16 probes", figure
        if checkpoint.width * length < 15_000:
            start = process_time()
            exact = hidden_token_attribution(checkpoint, encoding)
            whole = process_time() - start
            error = (abs(estimate.values - exact.values) / exact.values).mean()
            yield f"{label}: its mean relative error, against the exact values", f"{error:.1%}"
            how = ""
        else:
            whole, how = checkpoint.width * length * _push(task.stretches[0]), "scaled, "
        yield f"{label}: textbook (scaled) / exact", f"{textbook / whole:,.1f} x  ({how}{whole:.1f} s)"
        start = process_time()
        hidden_token_attribution(checkpoint, encoding, wrt="previous_layer")
        closed = process_time() - start
        figure = f"{textbook_local / closed:,.0f} x  ({closed:.2f} s)"
        yield f"{label}: textbook (scaled) / closed form, previous layer", figure


def pair_of(checkpoint: Checkpoint, length: int) -> Encoding:
    """A pair of exactly so many tokens, from words of the examples."""
    words = " ".join(f"{example.text_a} {example.text_b}" for example in load_examples()).split()
    for count in range(4, len(words)):
        encoding = encode(checkpoint, " ".join(words[: count // 2]), " ".join(words[count // 2 : count]))
        if len(encoding.tokens) == length:
            return encoding
    raise ValueError(f"no pair of {length} tokens")


def _backward(stretches: list[Stretch]) -> float:
    """Mean seconds of one backward pass from one dimension of a head's output, over all layers."""
    taken = []
    generator = torch.Generator().manual_seed(0)
    for stretch in stretches:
        hidden = stretch.hidden.clone().requires_grad_()
        for output in stretch.head_outputs(hidden):
            for turn in range(1 + _PASSES // len(stretches) // stretch.n_layers):
                at = tuple(int(torch.randint(size, (), generator=generator)) for size in output.shape)
                start = process_time()
                torch.autograd.grad(output[at], hidden, retain_graph=True)
                if turn:  # the first pass of a graph warms up
                    taken.append(process_time() - start)
    return sum(taken) / len(taken)


def _push(stretch: Stretch) -> float:
    """Seconds of pushing one direction of one token."""
    size, width = stretch.hidden.shape[1:]
    directions = torch.eye(width)[:8, None].expand(-1, size, -1)
    squared_changes(stretch, directions[:2], lambda _: None)
    start = process_time()
    squared_changes(stretch, directions, lambda _: None)
    return (process_time() - start) / (len(directions) * size)


def _work(checkpoint: Checkpoint, length: int) -> int:
    """Operations of the linear maps that one pushed direction takes; the last layer ends with its attention."""
    config = checkpoint.model.config
    projection, feed_forward = config.hidden_size**2, config.hidden_size * config.intermediate_size
    whole = 4 * projection + 2 * feed_forward
    return 2 * length * ((checkpoint.n_layers - 1) * whole + 3 * projection)


def _shortest(call: Callable[[], Any], rounds: int) -> tuple[Any, float]:
    """A result, and the shortest of some times: a busy machine only ever adds."""
    times = []
    for _ in range(rounds):
        start = process_time()
        result = call()
        times.append(process_time() - start)
    return result, min(times)
