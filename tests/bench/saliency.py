"""What an explanation costs, in plain forward passes of the same model and input (6 x 12 x 384, as MiniLM)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from attnflow import encode, faithfulness, load_checkpoint, saliency
from attnflow.methods.saliency.methods import METHODS
from attnflow.methods.score_function import ask
from attnflow.runtime import attention_hook
from attnflow.runtime.capture import model_inputs
from attnflow.runtime.instrument import instrument
from tests.bench.capture import side_by_side

TEXTS = (
    "While the sailor cleaned the map, the cook repaired the book and sold it to Anna for ten coins.",
    "Anna bought a book from the cook before the sailor cleaned the map.",
)


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    bundled = load_checkpoint("demo/finetuned")
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, num_labels=2
    )
    model = BertForSequenceClassification(config).eval().requires_grad_(False)
    model.set_attn_implementation(attention_hook.NAME)
    checkpoint = replace(bundled, name="random", model=model, n_layers=6, n_heads=12, steerable=instrument(model, 6))
    encoding = encode(checkpoint, *TEXTS)
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
    found = {name: saliency(checkpoint, encoding, target=1, method=name, steps=16) for name in list(METHODS)[:7]}
    ratio, *_ = side_by_side(lambda: faithfulness(checkpoint, encoding, found, target=1), forward, rounds=7)
    yield f"{name}: faithfulness of {len(found)} methods, random rankings included / plain forward", f"{ratio:.0f} x"
