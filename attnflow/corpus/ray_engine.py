"""Computes the parts of a run on Ray: the processes of one machine, or a cluster.

Each worker is an actor that holds the model and works on one thread; each part is a task of it. A worker that dies is
started again by Ray, and its parts are given out again. What a part gives does not depend on who computes it, and parts
are merged in their order, so that the result is that of one process.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from attnflow import progress
from attnflow.checkpoints.checkpoint import Checkpoint
from attnflow.corpus.corpus_part import Part
from attnflow.corpus.parts import Pace, Run, Task
from attnflow.errors import AttnflowError, EndedError, SelectionError, brief
from attnflow.extras import needed

RETRIES = 3
"""How often a part is given out again that was lost with its worker."""
_QUEUE = 2
"""Parts that a worker has been given: one that it works on, one that waits."""
_AHEAD = 4
"""Parts for each worker that may be done while an earlier one is not: they wait to be merged in their order."""
_POLL_SECONDS = 0.5
_STORE_BYTES = 500_000_000
"""Of the object store of a Ray that is started here."""


class PartWorker:
    """Holds a model and computes parts; what Ray makes an actor of.

    Args:
        checkpoint: A pickled checkpoint: its name and commit, from which it is loaded here.
    """

    def __init__(self, checkpoint: bytes) -> None:
        torch.set_num_threads(1)
        self.checkpoint: Checkpoint = pickle.loads(checkpoint)

    def compute(self, task: Task) -> bytes | None:
        """Compute a part, unless it was kept before a worker died; what is kept in a folder is not sent."""
        if task.folder is not None and task.kept() is not None:
            return None
        part = task.compute(self.checkpoint)
        return None if task.folder is not None else part.to_bytes(task.settings)


def compute(run: Run, pace: Pace, address: str | None = None, workers: int | None = None) -> Generator[Part]:
    """The parts in their order, each computed by some worker unless it is kept already.

    Args:
        run: What is to be computed.
        pace: Is told of each part that is done.
        address: Of a Ray that is running, such as `ray://head:10001` or `auto`; None uses the one that this process is
            connected to, or starts one on this machine and ends it afterwards.
        workers: How many processes; None for one for each processor, or for each GPU where the model is on one.

    Raises:
        SelectionError: If Ray is not installed or cannot be reached, or a part cannot be kept.
        EndedError: If a part ends its worker again and again.
    """
    there = [run.task(number).kept() is not None for number in range(len(run))]
    pace.found(sum(len(run.task(number).texts) for number, kept in enumerate(there) if kept))
    missing = [number for number, kept in enumerate(there) if not kept]
    if not missing:
        yield from (_opened(run, number, None) for number in range(len(run)))
        return
    arrived: dict[int, bytes | None] = {}
    with _connected(address, workers) as ray, _Pool(ray, run, missing, workers) as pool:
        for number in range(len(run)):
            while not there[number] and number not in arrived:
                done, content = pool.next(number)
                arrived[done] = content
                pace.finished(len(run.task(done).texts))
            yield _opened(run, number, arrived.pop(number, None))


def _opened(run: Run, number: int, content: bytes | None) -> Part:
    task = run.task(number)
    part = task.kept() if content is None else Part.from_bytes(content, run.settings)
    if part is None:
        raise SelectionError(
            f"{task.name} was computed, but it is not in {run.folder} here; give a folder or an address that all "
            "machines of the cluster reach."
        )
    return part


@contextmanager
def _connected(address: str | None, workers: int | None) -> Iterator[Any]:
    """Ray, connected; one that is started here is ended with this context."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers of every run
    ray = needed("ray", "ray", "cluster")
    if ray.is_initialized():
        yield ray
        return
    started: dict[str, Any] = {"num_cpus": workers, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(address=address or "local", log_to_driver=False, **({} if address else started))
    except Exception as error:  # of many kinds
        raise SelectionError(
            f"Ray cannot be {'reached at ' + address if address else 'started'} ({brief(error)}); look whether it "
            "runs, or choose engine='local'."
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


class _Pool:
    """The workers, and the parts that are with them.

    Args:
        ray: The package.
        run: What is computed.
        missing: Numbers of the parts that are to be computed, in their order.
        workers: How many processes; see `compute`.
    """

    def __init__(self, ray: Any, run: Run, missing: list[int], workers: int | None) -> None:
        self._ray, self._run, self._waiting = ray, run, missing
        kind = "GPU" if run.checkpoint.device.type == "cuda" else "CPU"
        each = {"num_gpus": 1, "num_cpus": 1} if kind == "GPU" else {"num_cpus": 1}
        count = min(workers or int(ray.cluster_resources().get(kind, 0)), len(missing))
        if count < 1:
            raise SelectionError(
                f"There is no {kind} in this Ray to compute {run.settings.model} on; add a machine that has one, or "
                "choose another device."
            )
        model = pickle.dumps(run.checkpoint)
        made = ray.remote(max_restarts=-1, max_task_retries=RETRIES, **each)(PartWorker)
        self._load = {made.remote(model): 0 for _ in range(count)}
        """Parts that are with each worker."""
        self._tasks: dict[Any, tuple[int, Any]] = {}
        """For each result to come the number of the part, and who computes it."""

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._load:
            self._ray.kill(worker)

    def next(self, wanted: int) -> tuple[int, bytes | None]:
        """Wait for a part: its number, and what came of it unless it is in the folder.

        Args:
            wanted: The part that is merged next; the others do not get far ahead of it.
        """
        while True:
            progress.go_on()
            self._give_out(wanted + _AHEAD * len(self._load))
            done, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=_POLL_SECONDS)
            for result in done:
                number, worker = self._tasks.pop(result)
                self._load[worker] -= 1
                return number, self._content(number, result)

    def _give_out(self, end: int) -> None:
        """Give parts before `end` to the workers that have least."""
        while self._waiting and self._waiting[0] < end and min(self._load.values()) < _QUEUE:
            worker = min(self._load, key=lambda one: self._load[one])
            number = self._waiting.pop(0)
            self._tasks[worker.compute.remote(self._run.task(number))] = number, worker
            self._load[worker] += 1

    def _content(self, number: int, result: Any) -> bytes | None:
        errors = self._ray.exceptions
        try:
            return self._ray.get(result)
        except errors.RayTaskError as error:  # what the part itself raised
            if isinstance(error.cause, AttnflowError):
                raise error.cause from None
            raise
        except errors.RayActorError as error:
            part = self._run.task(number)
            raise EndedError(
                f"The {len(part.texts)} texts from {part.texts[0].guid!r} ended the process that read them "
                f"{RETRIES + 1} times, as too little memory does ({brief(error)}); what was finished is kept: give "
                "smaller parts or fewer workers, or leave long texts out."
            ) from error
