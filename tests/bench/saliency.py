"""What an explanation costs, in plain forward passes of the same model and input (6 x 12 x 384, as MiniLM).

Relevance is compared with the least that such rules take, too: modules of the same model replaced by ones that hold the
rules, as Achtibat et al. 2024 ("AttnLRP", section 4) do, one forward and one backward pass, and no share for biases.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification
from transformers.masking_utils import AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

from attnflow import Checkpoint, Encoding, capture, encode, faithfulness, load_checkpoint, saliency
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.score_function import ask
from attnflow.runtime import attention_hook
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.compat import eager_attention, eager_mask
from attnflow.runtime.instrument import instrument
from tests.bench.capture import SIZES, side_by_side

TEXTS = (
    "While the sailor cleaned the map, the cook repaired the book and sold it to Anna for ten coins.",
    "Anna bought a book from the cook before the sailor cleaned the map.",
)


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    bundled = load_checkpoint("demo/finetuned")
    for name, size in SIZES.items():
        checkpoint = _random(bundled, *size)
        yield from _against_patched_modules(name, checkpoint, encode(checkpoint, *TEXTS))
    checkpoint = _random(bundled, *SIZES["MiniLM size 6 x 12 x 384"])
    model, encoding = checkpoint.model, encode(checkpoint, *TEXTS)
    name = f"MiniLM size, {len(encoding.tokens)} tokens"

    def forward() -> None:
        with torch.inference_mode():
            model(**model_inputs(encoding))

    for method in ("input_gradient", "lrp", "attn_lrp"):
        ratio, *_ = side_by_side(
            lambda method=method: saliency(checkpoint, encoding, target=1, method=method), forward, rounds=15
        )
        yield f"{name}: {method} / plain forward", f"{ratio:.2f} x"
    question = ask(checkpoint, encoding, 1)
    text, blank = question.hidden, question.blank

    def loop() -> None:
        for place in np.linspace(0, 1, 32, dtype=np.float32):
            question.gradients((blank + place * (text - blank))[None])

    ratio, *_ = side_by_side(lambda: saliency(checkpoint, encoding, target=1, steps=32), loop, rounds=5)
    yield f"{name}: integrated gradients, 32 steps / a loop of 32 steps", f"{ratio:.2f} x"
    yield from _context_mixing(name, checkpoint, encoding, forward)
    apart = [name for name in METHODS if not name.startswith("influence_")][:7]
    found = {name: saliency(checkpoint, encoding, target=1, method=name, steps=16) for name in apart}
    ratio, *_ = side_by_side(lambda: faithfulness(checkpoint, encoding, found, target=1), forward, rounds=7)
    yield f"{name}: faithfulness of {len(found)} methods, random rankings included / plain forward", f"{ratio:.0f} x"


def _context_mixing(
    name: str, checkpoint: Checkpoint, encoding: Encoding, forward: Callable[[], None]
) -> Iterator[tuple[str, str]]:
    """Value zeroing beside a pass for each token, which is what running every layer once for each token takes."""

    def each_token() -> None:
        for _ in encoding.tokens.piece:
            forward()

    ratio, first, second = side_by_side(lambda: saliency(checkpoint, encoding, method="value_zeroing"), each_token, 5)
    figure = f"{ratio:.2f} x  ({first:.2f} s / {second:.2f} s)"
    yield f"{name}: value zeroing of all tokens / a loop of forward passes, one a token", figure
    ratio, first, second = side_by_side(
        lambda: saliency(checkpoint, encoding, method="norm_rollout"), lambda: capture(checkpoint, encoding), 15
    )
    yield f"{name}: norm rollout / capture", f"{ratio:.2f} x  ({1000 * first:.0f} ms / {1000 * second:.0f} ms)"


def _random(like: Checkpoint, n_layers: int, n_heads: int, width: int) -> Checkpoint:
    """A random classifier with the tokenizer of another checkpoint."""
    sizes = {"num_hidden_layers": n_layers, "num_attention_heads": n_heads, "hidden_size": width}
    config = BertConfig(**sizes, intermediate_size=4 * width, num_labels=2)
    model = BertForSequenceClassification(config).eval().requires_grad_(False)
    model.set_attn_implementation(attention_hook.NAME)
    steerable = instrument(model, n_layers)
    return replace(
        like, name="random", model=model, n_layers=n_layers, n_heads=n_heads, width=width, steerable=steerable
    )


def _against_patched_modules(name: str, checkpoint: Checkpoint, encoding: Encoding) -> Iterator[tuple[str, str]]:
    for method in ("lrp", "attn_lrp"):
        patched = _patched(checkpoint.model, method)
        inputs = model_inputs(encoding)
        ids = inputs.pop("input_ids")

        def plain(patched: Any = patched, inputs: Any = inputs, ids: Any = ids) -> None:
            vectors = patched.get_input_embeddings()(ids).requires_grad_()
            (gradient,) = torch.autograd.grad(patched(inputs_embeds=vectors, **inputs).logits[0, 1], vectors)
            (gradient * vectors).sum(-1)

        ratio, *_ = side_by_side(
            lambda method=method: saliency(checkpoint, encoding, target=1, method=method), plain, rounds=15
        )
        yield f"{name}, {len(encoding.tokens)} tokens: {method} / patched modules", f"{ratio:.2f} x"


class _Identity(torch.autograd.Function):
    """An activation whose gradient is its value over its input."""

    @staticmethod
    def forward(ctx: Any, compute: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        value = compute(x)
        ctx.save_for_backward(value / (x + 1e-10))
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return None, ctx.saved_tensors[0] * gradients[0]


class _Divided(torch.autograd.Function):
    """The same value with a part of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, divisor: int) -> torch.Tensor:
        ctx.divisor = divisor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0] / ctx.divisor, None


def _patched(model: nn.Module, method: str) -> Any:
    """A copy of a BERT whose modules hold the rules."""
    patched: Any = copy.deepcopy(model)

    def attention(module: nn.Module, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        if method == "lrp":
            query, key = query.detach(), key.detach()
        else:
            query, key, value = _Divided.apply(query, 4), _Divided.apply(key, 4), _Divided.apply(value, 2)
        return eager_attention(type(module))(module, query, key, value, *args, **kwargs)

    def layer_norm(self: nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(-1, keepdim=True)
        deviation = (((x - mean) ** 2).mean(-1, keepdim=True) + self.eps).sqrt()
        return (x - mean) / deviation.detach() * self.weight + self.bias

    AttentionInterface.register(f"patched_{method}", attention)
    AttentionMaskInterface.register(f"patched_{method}", eager_mask)
    patched.set_attn_implementation(f"patched_{method}")
    for module in patched.modules():
        if isinstance(module, nn.LayerNorm):
            module.forward = types.MethodType(layer_norm, module)
        elif isinstance(module, nn.Tanh) or "activation" in type(module).__module__.rsplit(".", 1)[-1]:
            module.forward = lambda x, compute=module.forward: _Identity.apply(compute, x)
    return patched
