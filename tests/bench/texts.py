"""What a survey of many texts costs against bare forward passes over the same sorted batches, and layouts of many."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from transformers import BertConfig, BertModel

from attnflow import encode, load_checkpoint, open_texts, projection, survey
from attnflow.corpus import survey_part
from attnflow.records.texts import Text
from attnflow.runtime.batch import batches, padded_inputs
from attnflow.web.examples import load_examples
from tests.bench.capture import SIZES, random_checkpoint
from tests.bench.writing import BART
from tests.checkpoints import make_checkpoint

N = 96
"""Texts of the pass; long enough that it is the model that takes the time."""


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure; all times are those of the processor, which others do not lengthen."""
    yield from _pass()
    yield from _two_stacks()
    yield from _layouts()


def _pass() -> Iterator[tuple[str, str]]:
    (name, (n_layers, n_heads, width)) = next(iter(SIZES.items()))
    config = BertConfig(
        hidden_size=width, num_hidden_layers=n_layers, num_attention_heads=n_heads, intermediate_size=4 * width
    )
    checkpoint = random_checkpoint(BertModel(config).eval(), load_checkpoint("demo/finetuned"))
    draw, pairs = np.random.default_rng(0), [(one.text_a, one.text_b or "") for one in load_examples()]
    texts: list[Text] = []
    for number in range(N):
        chosen = [pairs[index] for index in draw.integers(0, len(pairs), draw.integers(1, 5))]
        texts.append(Text(str(number), *(" ".join(part) for part in zip(*chosen, strict=True))))
    encodings = [encode(checkpoint, text.text_a, text.text_b, truncate=True) for text in texts]
    together = [[encodings[index] for index in rows] for rows in batches(checkpoint, encodings)]
    mean = sum(len(encoding.tokens) for encoding in encodings) / N

    def bare(implementation: str) -> Callable[[], None]:
        model = copy.deepcopy(checkpoint.model)
        model.set_attn_implementation(implementation)

        def run() -> None:
            with torch.inference_mode():
                for rows in together:
                    model(**padded_inputs(checkpoint, rows), output_attentions=implementation == "eager")

        return run

    calls = [
        lambda: survey(checkpoint, texts),
        bare("sdpa"),
        bare("eager"),
        lambda: [encode(checkpoint, text.text_a, text.text_b, truncate=True) for text in texts],
    ]
    whole, sdpa, eager, encoding = _turns(calls, rounds=5)
    for what, other in (("SDPA", sdpa), ("eager, with attentions", eager)):
        yield f"{name}, {N} texts of {mean:.0f} tokens: bare forward ({what}) / survey", f"{other / whole:.2f}"
        yield "  the same without cutting texts into tokens", f"{other / (whole - encoding):.2f}"
    yield "  a text", f"{1000 * whole / N:.1f} ms, of which {1000 * encoding / N:.1f} ms to cut it into tokens"


def _two_stacks() -> Iterator[tuple[str, str]]:
    """Of an encoder-decoder that classifies, texts of one length run together, beside each by itself."""
    texts = list(open_texts("demo/pairs", rows=4 * N))
    with tempfile.TemporaryDirectory() as top:
        checkpoint = load_checkpoint(make_checkpoint(Path(top) / "it", "bart", **BART))

    def alone() -> None:
        with patch.object(survey_part, "batches", lambda _, encodings: ([row] for row in range(len(encodings)))):
            survey(checkpoint, texts)

    together, each = _turns([lambda: survey(checkpoint, texts), alone], rounds=1)
    lengths = {len(encode(checkpoint, text.text_a, text.text_b).tokens) for text in texts}
    label = f"bart, 6 layers x 384, {len(texts)} texts of {len(lengths)} lengths: one by one / together"
    yield label, f"{each / together:.1f} x  ({1000 * each / len(texts):.1f} ms / {1000 * together / len(texts):.1f} ms)"


def _layouts() -> Iterator[tuple[str, str]]:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(20, 384)) * 0.4
    values = (draw.normal(size=(5_000, 384)) + centres[draw.integers(0, 20, 5_000)]).astype(np.float32)
    for method in ("pca", "tsne"):
        start = time.process_time()
        found = projection(values, method=method)
        taken = time.process_time() - start
        yield (
            f"{method} of 5,000 x 384, trustworthiness {found.trustworthiness:.3f}, with its measures",
            f"{taken:.1f} s of a processor",
        )


def _turns(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median processor time of calls that take turns, in seconds."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 1):
        for call, taken in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            if turn:  # the first round warms up
                taken.append(time.process_time() - start)
    return [median(taken) for taken in times]
