"""What statistics of a corpus cost against bare forward passes that return attentions, over the same sorted batches.

`ATTNFLOW_BENCH_BASE=1` measures BERT-base size, too, and `ATTNFLOW_BENCH_RAY=1` one and two workers of Ray.
"""

from __future__ import annotations

import copy
import itertools
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertModel

from attnflow import Checkpoint, corpus_statistics, encode, load_checkpoint
from attnflow.records.texts import Text
from attnflow.runtime.batch import batches, capture_batch, padded_inputs
from attnflow.stats.head_distances import divergences
from attnflow.web.examples import load_examples
from tests.bench.capture import SIZES, random_checkpoint
from tests.bench.texts import _turns

N = 96
CHEAP = ["surface", "entropy", "positions", "patterns", "mean_attention"]
TOP = Path(__file__).parent.parent.parent


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure; times are those of the processor, but for Ray."""
    sizes = list(SIZES.items())[: 2 if os.environ.get("ATTNFLOW_BENCH_BASE") else 1]
    for name, (n_layers, n_heads, width) in sizes:
        config = BertConfig(
            hidden_size=width, num_hidden_layers=n_layers, num_attention_heads=n_heads, intermediate_size=4 * width
        )
        checkpoint = random_checkpoint(BertModel(config).eval(), load_checkpoint("demo/finetuned"))
        yield from _passes(name, checkpoint, rounds=5 if name == sizes[0][0] else 1)
        yield from _distances(name, checkpoint)
    yield from _memory()
    if os.environ.get("ATTNFLOW_BENCH_RAY"):
        yield from _workers()


def some_texts(count: int, longest: int = 5) -> list[Text]:
    """Made-up texts of one to four bundled examples, 24 to 128 tokens."""
    draw, pairs = np.random.default_rng(0), [(one.text_a, one.text_b or "") for one in load_examples()]
    found: list[Text] = []
    for number in range(count):
        chosen = [pairs[index] for index in draw.integers(0, len(pairs), draw.integers(1, longest))]
        found.append(Text(str(number), *(" ".join(part) for part in zip(*chosen, strict=True))))
    return found


def _passes(name: str, checkpoint: Checkpoint, rounds: int) -> Iterator[tuple[str, str]]:
    texts = some_texts(N)
    encodings = [encode(checkpoint, text.text_a, text.text_b, truncate=True) for text in texts]
    together = [[encodings[index] for index in rows] for rows in batches(checkpoint, encodings)]
    model = copy.deepcopy(checkpoint.model)
    model.set_attn_implementation("eager")

    def forward() -> None:
        with torch.inference_mode():
            for rows in together:
                model(**padded_inputs(checkpoint, rows), output_attentions=True)

    def cut() -> None:
        for text in texts:
            encode(checkpoint, text.text_a, text.text_b, truncate=True)

    wanted = [CHEAP, *([one] for one in CHEAP), ["head_distances"]]
    calls = [forward, cut, *(lambda names=names: corpus_statistics(checkpoint, texts, names) for names in wanted)]
    bare, cutting, *taken = _turns(calls, rounds)
    mean = sum(len(encoding.tokens) for encoding in encodings) / N
    yield f"{name}, {N} texts of {mean:.0f} tokens: bare forward", f"{1000 * bare / N:.1f} ms a text"
    for names, seconds in zip(wanted, taken, strict=True):
        what = "all of these" if len(names) > 1 else names[0]
        yield (
            f"  bare forward / {what}",
            f"{bare / (seconds - cutting):.2f}, with cutting into tokens {bare / seconds:.2f}",
        )


def loop_over_pairs(maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """The divergence of every two maps `[M, T, T]`, pair by pair, each with all its rows at once."""
    found = np.zeros((len(maps), len(maps)))
    for a, b in itertools.combinations(range(len(maps)), 2):
        p, q = maps[a], maps[b]
        middle = (p + q) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(p > 0, p * np.log(p / middle), 0) + np.where(q > 0, q * np.log(q / middle), 0)
        found[a, b] = found[b, a] = terms.sum(dtype=np.float64) / 2
    return found


def _distances(name: str, checkpoint: Checkpoint) -> Iterator[tuple[str, str]]:
    for text in (some_texts(1, 2)[0], some_texts(12)[-1]):
        encoding = encode(checkpoint, text.text_a, text.text_b, truncate=True)
        maps = capture_batch(checkpoint, [encoding]).attention[0].flatten(0, 1).numpy()
        if not np.allclose(loop_over_pairs(maps), divergences(maps), rtol=1e-3, atol=1e-4):
            raise ValueError("the loop over pairs and the divergences differ")
        loop, own = _turns([lambda maps=maps: loop_over_pairs(maps), lambda maps=maps: divergences(maps)], 3)
        what = f"{name}, {len(maps)} heads, {len(encoding.tokens)} tokens: loop over pairs / divergences"
        yield what, f"{loop / own:.1f} x  ({1000 * loop:.0f} / {1000 * own:.0f} ms)"


def _memory() -> Iterator[tuple[str, str]]:
    for count in (1_000, 10_000, 100_000) if os.environ.get("ATTNFLOW_BENCH_BASE") else (1_000, 10_000):
        call = [sys.executable, "-m", "tests.bench.corpus", str(count)]
        done = subprocess.run(call, cwd=TOP, capture_output=True, text=True, check=True)
        yield f"bundled model, {count:,} texts: most memory while they are read", f"{done.stdout.strip()} MB"


def _most_memory(count: int) -> int:
    """Megabytes that a process has held at most, less what it held when its texts were there."""
    few, checkpoint = some_texts(200, 2), load_checkpoint("demo/finetuned")
    texts = [Text(str(number), few[number % 200].text_a, few[number % 200].text_b) for number in range(count)]
    corpus_statistics(checkpoint, texts[:600], [*CHEAP, "head_distances"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    corpus_statistics(checkpoint, texts, [*CHEAP, "head_distances"])
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024


def _workers() -> Iterator[tuple[str, str]]:
    """Texts a second from the first part that is done to the last, so that starting does not count."""
    texts, rates = some_texts(1_536), []
    for workers in (1, 2):
        times: list[tuple[float, float]] = []
        corpus_statistics(
            "demo/finetuned",
            texts,
            [*CHEAP, "head_distances"],
            engine="ray",
            workers=workers,
            part_size=64,
            progress=lambda what, share, times=times: times.append((time.perf_counter(), share)),
        )
        times = [one for one in times if one[1] > 0.2]  # each worker has loaded its model
        rates.append(len(texts) * (times[-1][1] - times[0][1]) / (times[-1][0] - times[0][0]))
    yield (
        "bundled model, two workers of Ray / one",
        f"{rates[1] / rates[0]:.2f} x  ({rates[1]:.0f} / {rates[0]:.0f} texts/s)",
    )


if __name__ == "__main__":
    print(_most_memory(int(sys.argv[1])))
