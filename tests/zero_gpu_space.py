"""A ZeroGPU Space in a process of its own: the real package `spaces`, of which only what needs a GPU is replaced.

`python -m tests.zero_gpu_space` prepares it and then does one thing a line: a function of this module by its name and a
list of its arguments, as JSON, and so is the answer; what the package prints goes elsewhere.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

import numpy as np
import torch

MASKED = ("Anna lent [MASK] [MASK] book.", None)
TEXTS = ("Anna lent Paul a book.", "Paul borrowed a book from Anna.")


PAGE: list[Any] = []
"""What is served."""


def prepare() -> None:
    """Serve the page as a Space does, up to listening."""
    torch.version.cuda = "12.8"  # `spaces` asks what torch was built for
    torch._C._cuda_init = lambda: None  # which a build without CUDA does not have
    torch.cuda._is_in_bad_fork = bool  # which it has as one that cannot be pickled
    from attnflow.service import on_gpu, zero_gpu

    on_gpu.DEVICE = "cpu"
    decorated = zero_gpu._on_gpu

    def without_gpu() -> Any:
        gpu = decorated()
        from spaces.zero import torch as moving

        moving.init = lambda uuid: None
        moving.move = lambda callback=None: None
        return gpu

    zero_gpu._on_gpu = without_gpu
    from attnflow.web import launch

    PAGE.append(launch.ready())


# ---- what runs where the GPU is


def slow(seconds: float, share: float = 0.0) -> Any:
    from attnflow import progress

    progress.tell("slow", share)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        progress.go_on()
        time.sleep(0.02)
    yield seconds


def facts() -> Any:
    from attnflow.service import visitors

    torch.zeros(2, requires_grad=True).sum().backward()
    yield {
        "pid": os.getpid(),
        "own": torch.cuda.is_available.__module__,
        "token": visitors.own_token(),
        "name": visitors.name(),
        "read_only": not np.frombuffer(b"12345678").flags.writeable,
    }


def fails(kind: str) -> Any:
    from attnflow.errors import SelectionError

    if kind == "ours":
        raise SelectionError("This is how a selection is refused.")
    if kind == "memory":
        from attnflow.runtime.memory import within_memory

        with within_memory("demo/finetuned"):
            raise torch.OutOfMemoryError("CUDA out of memory.")
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("not ours")
    yield


def arrays() -> Any:
    fixed = np.arange(3)
    fixed.flags.writeable = False
    yield fixed


# ---- what can be asked for


def here() -> Any:
    from attnflow.checkpoints.loading import Loading
    from attnflow.service import bounds, zero_gpu

    running = bounds._running()
    return {
        "ready": zero_gpu.ready(),
        "spaces": "spaces.zero" in sys.modules,
        "cuda": torch.cuda.is_available.__module__,
        "device": running["device"],
        "auto": str(Loading(lambda model, n_layers: True).place()),
        "pid": os.getpid(),
    }


def ran(name: str, *arguments: Any, token: str | None = None, own: str | None = None) -> Any:
    """What a function of this module yields where the GPU is, or the error it ends with; and what was told of it."""
    from attnflow import progress
    from attnflow.service import visitors, zero_gpu

    told: list[Any] = []
    visitor = visitors.Visitor("somebody", own, gpu_token=token)
    with visitors.serving(visitor), progress.reporting(lambda what, share: told.append([what, share])):
        try:
            found = list(zero_gpu.run(globals()[name], *arguments, seconds=30))
        except Exception as error:
            return {"error": type(error).__name__, "says": str(error), "told": told}
    return {"found": [str(one.flags.writeable) if isinstance(one, np.ndarray) else one for one in found], "told": told}


def ran_for(token: str, own: str) -> Any:
    return ran("facts", token=token, own=own)


def cancelled(after: float, seconds: float) -> Any:
    """How long it takes until work that is cancelled gives up, and with what."""
    from attnflow import progress
    from attnflow.errors import CancelledError

    begin = time.monotonic()

    def check() -> None:
        if time.monotonic() > begin + after:
            raise CancelledError("cancelled")

    with progress.ending(check):
        outcome = ran("slow", seconds)
    return outcome | {"seconds": time.monotonic() - begin}


def too_long(most: float, seconds: float) -> Any:
    from attnflow.service.deadline import within

    with within(most, "one request", "shorten the text"):
        return ran("slow", seconds)


def _case(ref: str, pruned: Any, position: int | None, token: str | None) -> Any:
    from attnflow.service import visitors
    from attnflow.service.workspace import workspace

    ref, texts = ("demo/pretrained", MASKED) if ref == "masked" else (ref, TEXTS)
    with visitors.serving(visitors.Visitor("somebody", token)):
        return workspace.case(ref, *texts, pruned=[tuple(head) for head in pruned], position=position)


def _numbers(found: Any) -> list[np.ndarray]:
    from dataclasses import fields, is_dataclass

    if isinstance(found, np.ndarray):
        return [found]
    if isinstance(found, list | tuple):
        return [array for one in found for array in _numbers(one)]
    if isinstance(found, dict):
        return [array for one in found.values() for array in _numbers(one)]
    if is_dataclass(found):
        return [array for field in fields(found) for array in _numbers(getattr(found, field.name))]
    return []


def analysed(
    ref: str, name: str, values: dict[str, Any], pruned: Any = (), position: int | None = None, token: str | None = None
) -> Any:
    """How far what the GPU says of a case is from what this process says; all of it asked for once."""
    from attnflow import limits
    from attnflow.service import on_gpu, visitors
    from attnflow.service.workspace import workspace

    analysis = on_gpu.ANALYSES[name]
    before, limits.GPU_OPERATIONS = limits.GPU_OPERATIONS, 1
    try:
        case = _case(ref, pruned, position, token)
        with visitors.serving(visitors.Visitor("somebody", token)):
            found = case.ask(analysis, **values)
            steps = list(workspace.steps(analysis, case, **values)) if analysis.steps else []
    except Exception as error:
        return {"error": type(error).__name__, "says": str(error)}
    finally:
        limits.GPU_OPERATIONS = before
    expected = analysis.compute(analysis.about(case), **analysis.complete(values))
    pairs = list(zip(_numbers(found), _numbers(expected), strict=True))
    numbers = [(a, b) for a, b in pairs if a.dtype.kind == "f"]
    return {
        "arrays": len(numbers),
        "off": max(float(np.max(np.abs(a - b), initial=0.0, where=np.isfinite(b))) for a, b in numbers),
        "steps": len(steps),
    }


def stepped(ref: str, probes: int) -> Any:
    """How many probes each step of an estimate has, the last of them as it is kept."""
    from attnflow import limits
    from attnflow.service.analyses.attribution import CONTRIBUTIONS
    from attnflow.service.workspace import workspace

    case = _case(ref, (), None, None)
    before, limits.GPU_OPERATIONS = limits.GPU_OPERATIONS, 1
    try:
        found = [one.probes for one in workspace.steps(CONTRIBUTIONS, case, wrt="input", probes=probes)]
    finally:
        limits.GPU_OPERATIONS = before
    known = workspace.known(CONTRIBUTIONS, case, wrt="input", probes=probes)
    return {"probes": found, "kept": known is not None and known.probes}


def serve() -> Any:
    """The address of the page, which has a GPU compute whatever runs a model."""
    from attnflow import limits
    from attnflow.web import launch

    limits.GPU_OPERATIONS = 1
    served = PAGE[0].launch(**launch.options(), server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    return served[1]


def small(ref: str) -> Any:
    """What is no work for a GPU is done here."""
    from attnflow.service.analyses.saliency import SALIENCY

    return {"values": len(_case(ref, [(0, 1)], None, None).ask(SALIENCY, method="lrp").values)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # for all that is forked, too
    prepare()
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = globals()[name](*arguments)
        except Exception as error:
            answer = {"error": type(error).__name__, "says": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
