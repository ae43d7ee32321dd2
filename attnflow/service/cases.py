"""The use cases, for page and programs alike: checks plain inputs, runs checkpoints, keeps their traces."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.checkpoints import hub_search
from attnflow.checkpoints.checkpoint import BUNDLED, Checkpoint
from attnflow.checkpoints.hub import check_repo_id
from attnflow.checkpoints.hub_search import Listing
from attnflow.checkpoints.task_head import TaskHead
from attnflow.errors import AttnflowError, SelectionError, UnsupportedArchitectureError, brief
from attnflow.methods.hta.attribution import Progress, Wrt, attribution_estimates, hidden_token_attribution, operations
from attnflow.records.trace import Attribution, Encoding, Head, Trace, is_whole
from attnflow.runtime.capture import capture
from attnflow.service import visitors
from attnflow.service.bounds import check_trace, encode_bounded, load_bounded

T = TypeVar("T")


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
    encoder_alone: bool = False
    """Whether it is the encoder of an encoder-decoder, without its decoder."""
    license: str | None = None
    """As its page on the Hub names it."""


@dataclass(frozen=True)
class Run:
    """One checkpoint on one sentence pair."""

    key: tuple[object, ...]
    """Under which the run is kept."""
    card: ModelCard
    encoding: Encoding
    trace: Trace
    loaded: weakref.ReferenceType[Checkpoint]
    """The checkpoint, for as long as the models in memory hold it: a kept run must not keep a model."""


_MOST_OPERATIONS = limits.MAX_TERA_OPERATIONS * 10**12
_AT_ONCE = threading.BoundedSemaphore(2)
"""Models that run at the same time, whoever asked: the page's quick events run one, too, if its trace is gone."""
_runs: BoundedCache[Run] = BoundedCache(limits.TRACE_CACHE_BYTES, lambda run: run.trace.nbytes)
_results: BoundedCache[Any] = BoundedCache(limits.RESULT_CACHE_BYTES, lambda result: result.nbytes + 1000)


def run(
    ref: str, text_a: str, text_b: str | None = None, pruned: Iterable[Head] = (), *, token: str | None = None
) -> Run:
    """Run a checkpoint on a sentence pair, or recall what it did with it before.

    Args:
        ref: A bundled reference or a Hub id, perhaps with `@` and a revision. Never a local path.
        text_a: The first sentence.
        text_b: The second sentence, if any.
        pruned: Heads that are switched off.
        token: Hub access token of the visitor; of the one who is served (`visitors`) if left out.

    Raises:
        AttnflowError: With one sentence for whatever is wrong with the input or the checkpoint.
    """
    visitors.admit()
    checkpoint = _open(ref, token)
    # Reached only by who may read the checkpoint: loading has just asked the Hub.
    return _run(checkpoint, encode_bounded(checkpoint, text_a, text_b), pruned)


def look_up(ref: str, *, token: str | None = None) -> Listing | None:
    """What the Hub tells of a checkpoint before it is loaded; None for a bundled one.

    Args:
        ref: A bundled reference or a Hub id, perhaps with `@` and a revision.
        token: Hub access token of the visitor.

    Raises:
        CheckpointError: If there is none, or it cannot be analysed.
    """
    name, revision = _parted(ref)
    if name in BUNDLED:
        return None
    visitors.admit()
    return hub_search.look_up(name, revision, token or visitors.own_token())


def rerun(run: Run, pruned: Iterable[Head], *, token: str | None = None) -> Run:
    """The same checkpoint and pair with other heads switched off.

    Args:
        run: A run that this visitor was given before.
        pruned: Heads that are switched off.
        token: Hub access token of the visitor, for a checkpoint that has left the memory.
    """
    visitors.admit()
    return _run(_checkpoint(run, token), run.encoding, pruned)


def analysis(run: Run, what: Hashable, compute: Callable[[Checkpoint, Encoding], T], *, token: str | None = None) -> T:
    """Something more about a run, computed once and kept.

    Args:
        run: The run it is about.
        what: Name and parameters of the analysis; with the run's key they tell the result from every other.
        compute: Called with the checkpoint and the encoding if the result is not in memory; its result is a record
            that has `nbytes`.
        token: Hub access token of the visitor, for a checkpoint that has left the memory.
    """
    return _kept(run, (run.key, what), lambda checkpoint: compute(checkpoint, run.encoding), token)


def checkpoint_analysis(run: Run, what: Hashable, compute: Callable[[Checkpoint], T], *, token: str | None = None) -> T:
    """Something about the checkpoint of a run, whatever the pair, computed once and kept; as `analysis`."""
    return _kept(run, (run.card.ref, run.card.sha, what), compute, token)


def _kept(run: Run, key: Hashable, compute: Callable[[Checkpoint], T], token: str | None) -> T:
    """A result from memory or, if the visitor may ask for more, computed."""

    def computed() -> T:
        checkpoint = _checkpoint(run, token)
        with _AT_ONCE, _followed(run.card):
            return compute(checkpoint)

    known = _results.find(key)
    if known is not None:
        return known
    visitors.admit()
    return _results.get(key, computed)


@contextmanager
def _followed(card: ModelCard) -> Iterator[None]:
    """Tell of an analysis that does not follow an architecture in one sentence; the log has the rest."""
    try:
        yield
    except AttnflowError:
        raise
    except Exception as error:
        logging.getLogger(__name__).exception("an analysis of %s failed", card.architecture)
        raise UnsupportedArchitectureError(
            f"This analysis cannot follow how {card.architecture} computes ({brief(error)}); choose another method or "
            "another checkpoint."
        ) from error


def _open(ref: str, token: str | None) -> Checkpoint:
    name, revision = _parted(ref)
    return load_bounded(name, revision, token or visitors.own_token())


def _parted(ref: str) -> tuple[str, str | None]:
    """Name and revision of a reference; never a local path."""
    name, _, revision = ref.strip().partition("@") if isinstance(ref, str) else (ref, "", "")
    return name if name in BUNDLED else check_repo_id(name), revision or None


def _checkpoint(run: Run, token: str | None) -> Checkpoint:
    return run.loaded() or _open(pinned(run.card), token)


def pinned(card: ModelCard) -> str:
    """A reference to the very commit that was run."""
    return card.ref if card.ref in BUNDLED else f"{card.ref}@{card.sha}"


def _run(checkpoint: Checkpoint, encoding: Encoding, pruned: Iterable[Head]) -> Run:
    heads = frozenset(map(tuple, pruned)) if pruned else frozenset()
    key = (*checkpoint.key, encoding.text_a, encoding.text_b, heads)

    def compute() -> Run:
        check_trace(checkpoint, len(encoding.tokens))
        card = ModelCard(
            ref=checkpoint.name,
            sha=checkpoint.sha,
            architecture=checkpoint.architecture,
            n_layers=checkpoint.n_layers,
            n_heads=checkpoint.n_heads,
            n_parameters=checkpoint.n_parameters,
            head=checkpoint.head,
            encoder_alone=checkpoint.encoder_alone,
            license=checkpoint.license,
        )
        with _AT_ONCE:
            return Run(key, card, encoding, capture(checkpoint, encoding, pruned=heads), weakref.ref(checkpoint))

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
        if not is_whole(value) or not 0 <= value < size:
            raise SelectionError(
                f"{name} is {value!r}; this checkpoint has {size} {name}s, so give a number from 0 to {size - 1}."
            )
    return trace.attention[layer, head]


def attribution(
    run: Run, wrt: Wrt, probes: int | None = None, *, progress: Progress | None = None, token: str | None = None
) -> Attribution:
    """Hidden Token Attribution of a run, computed once and kept.

    Args:
        run: The run.
        wrt: `input` or `previous_layer`.
        probes: Random probes per token to estimate from; None for the exact values.
        progress: Called with the share that is done; what it raises ends the work.
        token: Hub access token of the visitor, for a checkpoint that has left the memory.

    Raises:
        SelectionError: If a choice is out of range, or the work is more than `limits.MAX_TERA_OPERATIONS`.
    """

    def compute(checkpoint: Checkpoint, encoding: Encoding) -> Attribution:
        if wrt == "input":
            _check_work(run, probes)
        return hidden_token_attribution(
            checkpoint, encoding, wrt=wrt, probes=probes, pruned=run.trace.pruned, progress=progress
        )

    return analysis(run, _attribution_name(wrt, probes), compute, token=token)


def attribution_steps(run: Run, probes: int, *, token: str | None = None) -> Iterator[Attribution]:
    """Estimates of what each head owes to the input, sharper and sharper, each kept as `attribution` keeps it.

    Args:
        run: The run.
        probes: Of the last estimate; fewer if that is more work than `limits.MAX_TERA_OPERATIONS`.
        token: Hub access token of the visitor, for a checkpoint that has left the memory.

    Yields:
        Estimates from 2, 4, 8, … probes; the last one at once if it is in memory.
    """
    checkpoint = _checkpoint(run, token)
    probes = max(2, min(probes, checkpoint.width, _MOST_OPERATIONS // _operations(run, 1)))
    kept = _results.find((run.key, _attribution_name("input", probes)))
    if kept is not None:
        yield kept
        return
    steps = attribution_estimates(checkpoint, run.encoding, probes=probes, pruned=run.trace.pruned)
    while True:
        with _AT_ONCE:  # others may come between two steps
            step = next(steps, None)
        if step is None:
            return
        yield _results.get((run.key, _attribution_name("input", step.probes)), lambda step=step: step)


def exact_is_affordable(run: Run) -> bool:
    """Whether the exact contributions of the input are within `limits.MAX_TERA_OPERATIONS`."""
    return _operations(run, None) <= _MOST_OPERATIONS


def _attribution_name(wrt: Wrt, probes: int | None) -> Hashable:
    return "attribution", wrt, probes


def _operations(run: Run, probes: int | None) -> int:
    size, width = run.trace.hidden.shape[1:]
    return operations(run.trace.n_layers, width, size, probes)


def _check_work(run: Run, probes: int | None) -> None:
    work = _operations(run, probes)
    if work > _MOST_OPERATIONS:
        asked = "exact contributions" if probes is None else f"{probes} probes"
        affordable = _MOST_OPERATIONS // _operations(run, 1)
        remedy = f"give probes={affordable} or fewer" if affordable > 1 else "shorten the text or use a smaller model"
        raise SelectionError(
            f"For this text and model, {asked} take about {work / 1e12:,.1f} million million operations; this machine "
            f"does at most {_MOST_OPERATIONS / 1e12:,.4g} for one request. Please {remedy}."
        )
