"""The workspace: runs checkpoints and analyses for visitors, each once, within the limits of this machine.

Whatever is asked for goes through `Workspace.case` and `Workspace.get`. They own what no analysis should know of: what
is kept in memory, that two who ask for the same share one computation, who may ask how often, whose turn it is, how
much work one request may be, and when it ends before it is done.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.checkpoints import hub_search
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.hub_search import Listing
from attnflow.errors import (
    AttnflowError,
    SelectionError,
    UnsupportedArchitectureError,
    brief,
)
from attnflow.records.trace import Encoding, Head, check_heads
from attnflow.runtime.capture import capture
from attnflow.runtime.memory import within_memory
from attnflow.service import on_gpu, own_models, visitors
from attnflow.service.analyses.work import pass_through
from attnflow.service.bounds import check_trace, encode_bounded
from attnflow.service.case import Case, ModelCard, key_of, open_checkpoint, parted
from attnflow.service.deadline import within
from attnflow.service.places import Places
from attnflow.service.registry import Analysis

T = TypeVar("T")

_LENT = 2
"""GPUs of ZeroGPU that work for this machine at the same time."""
_OVERHEAD = 1000
"""Bytes that the smallest result takes."""


class Workspace:
    """Cases and what was computed of them, bounded in memory.

    Args:
        case_bytes: Memory for cases, most of it their traces.
        result_bytes: Memory for results of analyses.
        places: Who computes now.
        most_operations: Floating-point operations of one analysis.
        most_seconds: Seconds after which an analysis is ended.
    """

    def __init__(
        self, *, case_bytes: int, result_bytes: int, places: Places, most_operations: float, most_seconds: float
    ) -> None:
        self._cases: BoundedCache[Case] = BoundedCache(case_bytes, lambda case: case.trace.nbytes)
        self._results: BoundedCache[Any] = BoundedCache(result_bytes, lambda result: _size(result) + _OVERHEAD)
        self.places = places
        self.lent = Places(_LENT, _LENT, limits.QUEUE, limits.WAITING_OF_ONE)
        self.most_operations = most_operations
        self.most_seconds = most_seconds

    def case(
        self,
        ref: str,
        text_a: str,
        text_b: str | None = None,
        pruned: Iterable[Head] = (),
        position: int | None = None,
    ) -> Case:
        """Run a checkpoint on a text, or recall what it did with it before.

        Args:
            ref: A bundled reference or a Hub id, perhaps with `@` and a revision. Never a local path.
            text_a: The first sentence.
            text_b: The second sentence, if any.
            pruned: Heads that are switched off.
            position: The token whose prediction is meant, of a checkpoint that predicts something of each.

        Raises:
            AttnflowError: With one sentence for whatever is wrong with the input or the checkpoint.
        """
        visitors.admit()
        checkpoint = open_checkpoint(ref)  # which may take long, if it has to be downloaded first
        with self._time():
            # Reached only by who may read the checkpoint: loading has just asked the Hub.
            return self._run(checkpoint, encode_bounded(checkpoint, text_a, text_b), pruned).at(position)

    def without(self, case: Case, pruned: Iterable[Head]) -> Case:
        """The same checkpoint and text with these heads switched off, and only these and those that it never had."""
        pruned = list(pruned)
        if frozenset(map(tuple, pruned)) | case.card.pruned == case.pruned:
            return case
        visitors.admit()
        checkpoint = case.checkpoint
        with self._time():
            return self._run(checkpoint, case.at(None).encoding, pruned).at(case.encoding.position)

    def recall(self, key: tuple[object, ...]) -> Case | None:
        """A case from memory, without asking the Hub again; only for keys that never left the server."""
        return self._cases.find(key)

    def look_up(self, ref: str) -> Listing | None:
        """What the Hub tells of a checkpoint before it is loaded; None for one of this machine.

        Raises:
            CheckpointError: If there is none, or it cannot be analysed.
        """
        name, revision = parted(ref)
        if own_models.own(name) is not None:
            return None
        visitors.admit()
        return hub_search.look_up(name, revision, visitors.own_token())

    def get(self, analysis: Analysis[T], case: Case, /, **values: Any) -> T:
        """What an analysis says of a case, computed once and kept.

        Args:
            analysis: One of the registry.
            case: What it is about.
            **values: Values of its parameters; defaults for those left out.

        Raises:
            SelectionError: If a value is out of range, or it is more work than one request may be.
            AttnflowError: With one sentence for whatever else is in the way.
        """
        values, case = analysis.complete(values), analysis.about(case)
        if not analysis.kept:
            return analysis.compute(case, **values)
        key = _key(analysis, case, values)
        known = self._results.find(key)
        if known is not None:
            return known
        work = self.affordable(analysis, case, **values)
        if work:  # what only joins results that are there, or asks for others, is no run of a model
            visitors.admit()

        def compute() -> T:
            about, _held = _with_checkpoint(case) if work else (case, None)
            lent = self._lent(analysis, about, work)
            with self._working(about, work, lent):
                return on_gpu.answer(analysis, about, work, values) if lent else analysis.compute(about, **values)

        with self._time():
            return self._results.get(key, compute)

    def known(self, analysis: Analysis[T], case: Case, **values: Any) -> T | None:
        """The same if it was computed already and is still in memory; None if not."""
        return self._results.find(_key(analysis, analysis.about(case), analysis.complete(values)))

    def steps(self, analysis: Analysis[T], case: Case, **values: Any) -> Iterator[T]:
        """The same, coarse at first and finer at each step; others may come between two steps.

        Yields:
            Results of `analysis.steps`, each kept under the values that it is the result of; the last one at once if it
            is in memory.
        """
        assert analysis.steps is not None, f"{analysis.name} has no steps"
        values, case = analysis.complete(values), analysis.about(case)
        known = self._results.find(_key(analysis, case, values))
        if known is not None:
            yield known
            return
        visitors.admit()
        work = self.affordable(analysis, case, **values)
        end = time.monotonic() + self.most_seconds
        with self._time(end):
            case, _held = _with_checkpoint(case)
        lent = self._lent(analysis, case, work)
        steps = on_gpu.answers(analysis, case, work, values) if lent else analysis.steps(case, **values)
        while True:
            # Each step by itself: a generator's own context would be that of whoever asks for its next value.
            with self._time(end), self._working(case, work, lent):
                step = next(steps, None)
            if step is None:
                return
            yield self._results.get(_key(analysis, case, step[0]), lambda found=step[1]: found)

    def operations(self, analysis: Analysis[Any], case: Case, **values: Any) -> float:
        """How many floating-point operations an analysis takes, about and at most."""
        return analysis.work(case, **analysis.complete(values))

    def affordable(self, analysis: Analysis[Any], case: Case, **values: Any) -> float:
        """The operations that an analysis takes, if this machine does so many for one request.

        Raises:
            SelectionError: If it does not, with what to ask for instead.
        """
        values = analysis.complete(values)
        work = analysis.work(case, **values)
        if work > self.most_operations:
            instead = analysis.remedy(case, self.most_operations, **values) if analysis.remedy is not None else ""
            raise SelectionError(
                f"For this text and checkpoint, {analysis.name.replace('_', ' ')} takes about {work / 1e12:,.1f} "
                f"million million operations; this machine does at most {self.most_operations / 1e12:,.4g} for one "
                f"request. Please {instead or 'shorten the text or use a smaller checkpoint'}."
            )
        return work

    def _run(self, checkpoint: Checkpoint, encoding: Encoding, pruned: Iterable[Head]) -> Case:
        heads = check_heads(pruned, checkpoint.n_layers, checkpoint.n_heads) | checkpoint.pruned

        def compute() -> Case:
            check_trace(checkpoint, len(encoding.tokens))
            card = ModelCard.of(checkpoint)
            work = pass_through(card, len(encoding.tokens))
            lent = on_gpu.worth(work) and on_gpu.reaches(checkpoint)
            with (self.lent if lent else self.places).one(visitors.name()), within_memory(checkpoint.name):
                if lent:
                    trace = on_gpu.trace_of(checkpoint, encoding, heads, work)
                else:
                    trace = capture(checkpoint, encoding, pruned=heads)
            return Case(card, encoding, trace, loaded=weakref.ref(checkpoint), workspace=self)

        return self._cases.get(key_of(checkpoint.name, checkpoint.sha, encoding, heads), compute)

    def _lent(self, analysis: Analysis[Any], case: Case, work: float) -> bool:
        """Whether a GPU is asked for."""
        return analysis.name in on_gpu.ANALYSES and on_gpu.worth(work) and on_gpu.reaches(case.checkpoint)

    @contextmanager
    def _working(self, case: Case, work: float, lent: bool) -> Generator[None]:
        """Hold a place, and tell of an analysis that does not follow an architecture in one sentence."""
        long = work > limits.LONG_OPERATIONS
        places = self.lent.one(visitors.name()) if lent else self.places.one(visitors.name(), long=long)
        with places if work else nullcontext():
            try:
                with within_memory(case.card.ref):
                    yield
            except AttnflowError:
                raise
            except Exception as error:
                logging.getLogger(__name__).exception("an analysis of %s failed", case.card.architecture)
                raise UnsupportedArchitectureError(
                    f"This analysis cannot follow how {case.card.architecture} computes ({brief(error)}); choose "
                    "another method or another checkpoint."
                ) from error

    def _time(self, end: float | None = None) -> AbstractContextManager[None]:
        """End what takes too long, or what nobody waits for any more."""
        advice = "shorten the text, ask for less, or use a smaller checkpoint"
        return within(self.most_seconds, "one request", advice, end=end)


def _with_checkpoint(case: Case) -> tuple[Case, Checkpoint]:
    """A case that has its checkpoint as long as that is held, too.

    One that has left the memory is loaded again, perhaps from the Hub, before it is anybody's turn, and not meanwhile.
    """
    checkpoint = case.checkpoint
    return (case if checkpoint is case.in_memory else replace(case, loaded=weakref.ref(checkpoint))), checkpoint


def _key(analysis: Analysis[Any], case: Case, values: Mapping[str, Any]) -> Hashable:
    about: Hashable = (case.card.ref, case.card.sha, case.pruned) if analysis.of_checkpoint else case.key
    # The kind of a value counts: 1, 1.0 and True are one key, but not one question.
    return about, analysis.name, tuple((name, type(value).__name__, value) for name, value in sorted(values.items()))


def _size(result: object) -> int:
    """Bytes of all arrays in a result, however it is put together."""
    if isinstance(result, np.ndarray):
        return result.nbytes
    if isinstance(result, list | tuple):
        return sum(map(_size, cast("Iterable[object]", result)))
    if is_dataclass(result) and not isinstance(result, type):
        return sum(_size(getattr(result, field.name)) for field in fields(result))
    return 0


workspace = Workspace(
    case_bytes=limits.TRACE_CACHE_BYTES,
    result_bytes=limits.RESULT_CACHE_BYTES,
    places=Places(places=2, for_long=1, most_waiting=limits.QUEUE, most_of_one=limits.WAITING_OF_ONE),
    most_operations=limits.MAX_TERA_OPERATIONS * 1e12,
    most_seconds=limits.MAX_SECONDS,
)
"""That of the app: page and endpoints share it."""
