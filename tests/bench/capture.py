"""How much recording costs: capture against transformers' plain eager forward of the same model and input."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from statistics import median

import torch
from transformers import BertConfig, BertModel

from attnflow import Checkpoint, capture, encode, load_checkpoint
from attnflow.checkpoints.reading import Reading
from attnflow.checkpoints.task_head import TaskHead
from attnflow.runtime import attention_hook, layers
from attnflow.web.examples import load_examples

SIZES = {"MiniLM size 6 x 12 x 384": (6, 12, 384), "BERT-base size 12 x 12 x 768": (12, 12, 768)}


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    bundled = load_checkpoint("demo/finetuned")
    example = load_examples()[0]
    texts = (example.text_a, example.text_b)
    yield from _compare("bundled pair", bundled, *texts)
    for name, (n_layers, n_heads, width) in SIZES.items():
        config = BertConfig(
            hidden_size=width, num_hidden_layers=n_layers, num_attention_heads=n_heads, intermediate_size=4 * width
        )
        yield from _compare(name, random_checkpoint(BertModel(config).eval(), bundled), *texts)


def random_checkpoint(model: BertModel, like: Checkpoint) -> Checkpoint:
    """A random model with the tokenizer of another checkpoint."""
    model.set_attn_implementation(attention_hook.NAME)
    config = model.config
    sizes = (config.num_hidden_layers, config.num_attention_heads, config.hidden_size, model.num_parameters())
    return Checkpoint(
        "random",
        "0" * 40,
        model.requires_grad_(False),
        like.tokenizer,
        "BertModel",
        *sizes,
        TaskHead("none", False),
        Reading("first"),
        128,
        layers.install(model, config.num_hidden_layers),
    )


def _compare(name: str, checkpoint: Checkpoint, text_a: str, text_b: str) -> Iterator[tuple[str, str]]:
    encoding = encode(checkpoint, text_a, text_b)
    eager = copy.deepcopy(checkpoint.model)
    eager.set_attn_implementation("eager")
    inputs = {key: torch.from_numpy(values)[None] for key, values in encoding.inputs.items()}

    def plain() -> None:
        with torch.inference_mode():
            eager(**inputs)

    ratio, first, second = side_by_side(lambda: capture(checkpoint, encoding), plain)
    label = f"{name}, {len(encoding.tokens)} tokens: capture / eager forward"
    yield label, f"{ratio:.2f} x  ({1000 * first:.1f} ms / {1000 * second:.1f} ms)"


def side_by_side(
    one: Callable[[], object], other: Callable[[], object], rounds: int = 41
) -> tuple[float, float, float]:
    """Median ratio of two calls that take turns, so that a noisy machine disturbs both alike, and both medians."""
    times: list[tuple[float, float]] = []
    for turn in range(rounds + 3):
        taken = []
        for call in (one, other):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
        if turn >= 3:  # the first rounds warm up
            times.append((taken[0], taken[1]))
    return median(a / b for a, b in times), median(a for a, _ in times), median(b for _, b in times)
