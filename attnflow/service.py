"""The use cases, for page and programs alike: checks plain inputs, runs checkpoints, keeps their traces."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.checkpoint import BUNDLED, TaskHead, load_checkpoint
from attnflow.errors import SelectionError
from attnflow.hub import check_repo_id
from attnflow.records import Head, Trace
from attnflow.tracing import capture, encode


@dataclass(frozen=True)
class ModelCard:
    """What is known of a checkpoint without its weights."""

    ref: str
    """As it was asked for: a Hub id or a bundled reference."""
    sha: str
    architecture: str
    n_layers: int
    n_heads: int
    n_parameters: int
    head: TaskHead


@dataclass(frozen=True)
class Run:
    """One checkpoint on one sentence pair."""

    key: tuple[object, ...]
    """Under which the run is kept."""
    card: ModelCard
    trace: Trace


_AT_ONCE = threading.BoundedSemaphore(2)
"""Models that run at the same time, whoever asked: the page's quick events run one, too, if its trace is gone."""
_runs: BoundedCache[Run] = BoundedCache(limits.TRACE_CACHE_BYTES, lambda run: run.trace.nbytes)


def run(
    ref: str, text_a: str, text_b: str | None = None, pruned: Iterable[Head] = (), *, token: str | None = None
) -> Run:
    """Run a checkpoint on a sentence pair, or recall what it did with it before.

    Args:
        ref: A bundled reference or a Hub id, perhaps with `@` and a revision. Never a local path.
        text_a: The first sentence.
        text_b: The second sentence, if any.
        pruned: Heads that are switched off.
        token: Hub access token of the visitor.

    Raises:
        AttnflowError: With one sentence for whatever is wrong with the input or the checkpoint.
    """
    name, _, revision = ref.strip().partition("@") if isinstance(ref, str) else (ref, "", "")
    name = name if name in BUNDLED else check_repo_id(name)
    checkpoint = load_checkpoint(name, revision=revision or None, token=token)
    encoding = encode(checkpoint, text_a, text_b)
    # Reached only by who may read the checkpoint: loading has just asked the Hub.
    heads = frozenset(map(tuple, pruned)) if pruned else frozenset()
    key = (*checkpoint.key, encoding.text_a, encoding.text_b, heads)

    def compute() -> Run:
        card = ModelCard(
            ref=checkpoint.name,
            sha=checkpoint.sha,
            architecture=checkpoint.architecture,
            n_layers=checkpoint.n_layers,
            n_heads=checkpoint.n_heads,
            n_parameters=checkpoint.n_parameters,
            head=checkpoint.head,
        )
        with _AT_ONCE:
            return Run(key, card, capture(checkpoint, encoding, pruned=heads))

    return _runs.get(key, compute)


def recall(key: tuple[object, ...]) -> Run | None:
    """A run from memory, without asking the Hub again; only for keys that never left the server."""
    return _runs.find(key)


def attention_map(trace: Trace, layer: int, head: int) -> NDArray[np.float32]:
    """`[T, T]`: attention of one head, as `[query, key]`.

    Raises:
        SelectionError: If the head does not exist.
    """
    for name, value, size in (("layer", layer, trace.n_layers), ("head", head, trace.n_heads)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 0 <= value < size:
            raise SelectionError(
                f"{name} is {value!r}; this checkpoint has {size} {name}s, so give a number from 0 to {size - 1}."
            )
    return trace.attention[layer, head]
