"""What a workspace has a GPU of ZeroGPU compute: which work is worth one, how it gets there, and what is done there."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from attnflow import limits
from attnflow.cache import BoundedCache
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.checkpoints.from_disk import OnDisk
from attnflow.records.trace import Encoding, Head, Trace
from attnflow.runtime.capture import capture
from attnflow.runtime.memory import within_memory
from attnflow.service import zero_gpu
from attnflow.service.analyses.attribution import CONTRIBUTIONS
from attnflow.service.analyses.expected import EXPECTED
from attnflow.service.analyses.heads import CURVE, IMPORTANCE, INTERACTIONS
from attnflow.service.analyses.saliency import REPORT, SALIENCY
from attnflow.service.analyses.statistics import HEAD_TABLES
from attnflow.service.case import Case, ModelCard
from attnflow.service.registry import Analysis

T = TypeVar("T")

ANALYSES: Mapping[str, Analysis[Any]] = {
    one.name: one
    for one in (
        *(CONTRIBUTIONS, EXPECTED, CURVE, IMPORTANCE, INTERACTIONS, REPORT, SALIENCY),
        *(table.over_texts for table in HEAD_TABLES.values()),
    )
}
"""Those that run a model, by name."""
DEVICE = "cuda"
_BEGIN_SECONDS = 15.0
"""For a process to be forked, for CUDA to begin, and for transformers to import a model."""
_READ_BYTES = 5e8
"""Of weights in a second."""
_OPERATIONS = 5e11
"""In a second; far below what a GPU can do, as texts are short."""


def worth(work: float) -> bool:
    """Whether work is done on a GPU: where one can be asked for, and the processor would take longer than that does."""
    return work >= limits.GPU_OPERATIONS and zero_gpu.ready()


def reaches(checkpoint: Checkpoint) -> bool:
    """Whether a process with a GPU can load a checkpoint."""
    return OnDisk.of(checkpoint) is not None


def trace_of(checkpoint: Checkpoint, encoding: Encoding, pruned: Iterable[Head], work: float) -> Trace:
    """`runtime.capture.capture` on a GPU."""
    held = _held(checkpoint)
    (trace,) = zero_gpu.run(_traced, held, encoding, frozenset(pruned), seconds=seconds(checkpoint, work))
    return trace


def answer(analysis: Analysis[T], case: Case, work: float, values: Mapping[str, Any]) -> T:
    """What an analysis says of a case, computed on a GPU."""
    given, held = _Given.of(case), _held(case.checkpoint)
    (found,) = zero_gpu.run(_answered, held, given, analysis.name, values, seconds=seconds(case.checkpoint, work))
    return found


def answers(
    analysis: Analysis[T], case: Case, work: float, values: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], T]]:
    """The same, coarse at first and finer at each step, as `Analysis.steps` gives it."""
    given, held = _Given.of(case), _held(case.checkpoint)
    return zero_gpu.run(_stepped, held, given, analysis.name, values, seconds=seconds(case.checkpoint, work))


def seconds(checkpoint: Checkpoint, work: float) -> int:
    """How long a GPU is asked for, which a visitor's share is counted by."""
    about = _BEGIN_SECONDS + checkpoint.nbytes / _READ_BYTES + work / _OPERATIONS
    return min(math.ceil(about), limits.GPU_SECONDS)


def _held(checkpoint: Checkpoint) -> OnDisk:
    held = OnDisk.of(checkpoint)
    assert held is not None, "asked for where it is not worth it"
    return held


@dataclass(frozen=True)
class _Given:
    """A case as it travels."""

    card: ModelCard
    encoding: Encoding
    trace: Trace
    label: int | None
    position: int | None
    """The token whose prediction is meant; None for the usual one."""
    most_operations: float

    @classmethod
    def of(cls, case: Case) -> _Given:
        usual = case.at(None)
        assert case.workspace is not None, "only cases of a workspace are computed on a GPU"
        position = None if case.usual is None else case.encoding.position
        return cls(case.card, usual.encoding, usual.trace, case.label, position, case.workspace.most_operations)

    def case(self, checkpoint: Checkpoint) -> Case:
        """The case, of the checkpoint as it is here."""
        here = _Alone(self.most_operations)
        case = Case(self.card, self.encoding, self.trace, self.label, weakref.ref(checkpoint), here)
        return case.at(self.position)


# ---- in a process with a GPU, which serves nobody in particular


@dataclass
class _Alone:
    """What an analysis asks another one of, where nothing is kept."""

    most_operations: float

    def get(self, analysis: Analysis[T], case: Case, /, **values: Any) -> T:
        """What an analysis says of a case."""
        return analysis.compute(analysis.about(case), **analysis.complete(values))


_loaded: BoundedCache[Checkpoint] = BoundedCache(limits.MODEL_CACHE_BYTES, lambda loaded: loaded.nbytes)
"""Checkpoints on the GPU, for as long as this process is kept."""


def _checkpoint(held: OnDisk) -> Checkpoint:
    with within_memory(held.known["name"], "loading"):
        return _loaded.get(held.key, lambda: held.load(DEVICE))


def _traced(held: OnDisk, encoding: Encoding, pruned: frozenset[Head]) -> Iterator[Trace]:
    checkpoint = _checkpoint(held)
    with within_memory(checkpoint.name):
        yield capture(checkpoint, encoding, pruned=pruned)


def _answered(held: OnDisk, given: _Given, name: str, values: Mapping[str, Any]) -> Iterator[Any]:
    checkpoint = _checkpoint(held)
    with within_memory(checkpoint.name):
        yield ANALYSES[name].compute(given.case(checkpoint), **values)


def _stepped(held: OnDisk, given: _Given, name: str, values: Mapping[str, Any]) -> Iterator[Any]:
    checkpoint, steps = _checkpoint(held), ANALYSES[name].steps
    assert steps is not None, f"{name} has no steps"
    with within_memory(checkpoint.name):
        yield from steps(given.case(checkpoint), **values)
