"""Work that a card of the page waits for: how far it is, what is found so far, how to cancel it, and why it failed.

Every event that may take longer than a moment runs like this (`in_card`): in a thread of its own, while the event tells
the panel by its property `work` how far it has come. What is told and offered comes through `attnflow.progress`.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from attnflow import progress
from attnflow.errors import CancelledError, GoneError, SupersededError
from attnflow.service.case import Case
from attnflow.service.registry import Analysis
from attnflow.service.visitors import serving
from attnflow.service.wanted import CANCELLED, Wanted
from attnflow.service.workspace import workspace
from attnflow.views.payloads import Work
from attnflow.web.answering import Told, one_sentence
from attnflow.web.panels import Panel
from attnflow.web.signin import current_visitor

FAILED = "That did not work"
"""What the page shows above a sentence that tells of a failure."""
PATIENCE = 0.6
"""Seconds that work may take before a bar is shown."""
APART = 0.3
"""Seconds between two looks at the bar."""
_LEAST_SHARE, _LEAST_SECONDS = 0.04, 1.0
"""What must be done, and in what time, before anything is said of the rest."""
WORKING = "Working"
DONE: Work = {"state": "done", "what": ""}
"""Nothing to wait for. Gradio leaves what is None out of an update, so it is said."""


class Pace:
    """How long the rest of some work takes, by what was done since the first that was told of it.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: tuple[float, float] | None = None
        self.share: float | None = None
        """What is done, 0 to 1; None before anything was told."""

    def told(self, share: float) -> None:
        """So much is done now; a bar never goes back."""
        share = min(max(share, self.share or 0.0), 1.0)
        if self._begun is None:
            self._begun = self._clock(), share
        self.share = share

    @property
    def rest(self) -> float | None:
        """Seconds; None as long as too little is done to tell."""
        if self._begun is None or self.share is None:
            return None
        seconds, done = self._clock() - self._begun[0], self.share - self._begun[1]
        if done < _LEAST_SHARE or seconds < _LEAST_SECONDS:
            return None
        return seconds / done * (1 - self.share)


@dataclass(frozen=True)
class Seen:
    """What a card shows at a moment."""

    work: Work
    values: Any = None
    """What is found so far or, at the end, all of it; None for nothing new."""


class _Run:
    """Some work in its thread, as the event sees it."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.what = WORKING
        self.error: BaseException | None = None
        self.done = threading.Event()
        self.left = False
        """Whether the event has ended, so that nobody sees what comes."""
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._found: deque[tuple[bool, Any]] = deque()
        """What is to be shown, and whether what follows may take its place."""

    def tell(self, what: str, share: float) -> None:
        """How far it is."""
        self.what = what
        self.pace.told(share)

    def show(self, found: Any, *, passing: bool = True) -> None:
        """Something to be shown: values of the outputs, or a function that makes them once there is time to.

        Args:
            found: What it is.
            passing: Whether it need not be shown if something newer is there by then.
        """
        with self._lock:
            if self._found and self._found[-1][0]:
                self._found.pop()
            self._found.append((passing, found))
            self._news.set()

    def end(self) -> None:
        """Nothing more comes."""
        self.done.set()
        self._news.set()

    def wait(self, seconds: float) -> None:
        """Until there is something to be shown, but no longer than that."""
        self._news.wait(seconds)

    @property
    def waiting(self) -> bool:
        """Whether there is more to be shown."""
        return bool(self._found)

    def take(self) -> Any:
        """What is to be shown, once; None for nothing new."""
        with self._lock:
            _, found = self._found.popleft() if self._found else (True, None)
            if not self._found:
                self._news.clear()
        with one_sentence(FAILED):
            return found() if callable(found) else found

    @property
    def work(self) -> Work:
        """The bar."""
        work: Work = {"state": "working", "what": self.what}
        share, rest = self.pace.share, self.pace.rest
        if share is not None:
            work["share"] = share
        if rest is not None:
            work["rest"] = rest
        return work


_current: ContextVar[_Run | None] = ContextVar("attnflow_run", default=None)


def shower() -> Callable[[Any], None]:
    """What shows a card what is found so far: it is called with values of the outputs, or what makes them.

    It may be called in any thread; of work that no card waits for it shows nothing.
    """
    run = _current.get()
    return run.show if run is not None else lambda found: None


def watch(function: Callable[[], Any], check: Callable[[], None]) -> Iterator[Seen]:
    """Run something in a thread, and see how it comes along.

    Args:
        function: Returns what is shown in the end, or yields what is shown one after the other.
        check: Raises what ends it.

    Yields:
        What is to be shown: at once what it shows, and a bar if it takes longer than a moment. The last one has no bar,
        or says that it was cancelled or failed. Nothing more comes once something newer was asked for.
    """
    run = _Run()

    def still() -> None:
        check()
        if run.left:
            raise GoneError("Nobody waits for this any more.")

    def work() -> None:
        _current.set(run)
        try:
            with (
                one_sentence(FAILED),
                serving(current_visitor()),
                progress.ending(still),
                progress.reporting(run.tell),
            ):
                found = function()
                for values in found if inspect.isgenerator(found) else [found]:
                    run.show(values, passing=False)
        except BaseException as error:
            run.error = error
        finally:
            run.end()

    threading.Thread(target=copy_context().run, args=(work,), daemon=True, name="attnflow-work").start()
    begun, late = time.monotonic(), False
    try:
        while not run.done.is_set():
            run.wait(APART)
            check()
            late = time.monotonic() - begun > PATIENCE
            values = None if run.done.is_set() else run.take()
            if values is not None or (late and not run.done.is_set()):
                yield Seen(run.work if late else DONE, values)
                run.done.wait(APART)  # what comes quickly is shown together
        check()
        bar = run.work if late else DONE
        values = run.take()
        while run.waiting:
            yield Seen(bar, values)
            values = run.take()
        if run.error is None:
            yield Seen(DONE, values)
            return
        if values is not None:
            yield Seen(bar, values)
        raise run.error
    except SupersededError:
        return
    except CancelledError as cancelled:
        yield Seen(_over("cancelled", str(cancelled)))
    except Told as failed:
        yield from _failed(failed)
    finally:
        run.left = True


def _failed(failed: Told) -> Iterator[Seen]:
    """Of what was given up there is nothing to tell, unless somebody pressed Cancel."""
    if isinstance(failed.__cause__, SupersededError):
        return
    if isinstance(failed.__cause__, GoneError):
        yield Seen(_over("cancelled", str(failed.message)))
        return
    yield Seen(_over("failed", str(failed.message)))


def _over(state: Any, what: str) -> Work:
    return {"state": state, "what": what}


def parts(cases: Sequence[Case], analysis: Analysis[Any], **values: Any) -> list[AbstractContextManager[None]]:
    """For each model of the page what an analysis of it runs in, so that the bar goes on from one to the next.

    Args:
        cases: Both, in their order.
        analysis: Of which the work of each is told before.
        **values: Those of its parameters that its work depends on.
    """
    works = [workspace.operations(analysis, case, **values) or 1.0 for case in cases]
    done = [sum(works[:number]) / sum(works) for number in range(len(works) + 1)]
    return [progress.part(done[number], done[number + 1], "AB"[number]) for number in range(len(works))]


def in_card(
    function: Callable[..., Any],
    card: Panel,
    outputs: Sequence[Component],
    *,
    when: Callable[..., bool] = lambda *values: True,
    raises: bool = False,
    otherwise: Callable[[], Any] = lambda: None,
    cancelled: str = CANCELLED,
) -> Callable[..., Iterator[Any]]:
    """An event that runs in a thread, and shows in a card how far it is.

    Args:
        function: Called with the values of the event; returns or yields values of the outputs.
        card: The panel that waits; one of the outputs.
        outputs: What it fills.
        when: Called likewise: whether there is anything to do; if not, what is under way goes on.
        raises: Whether what failed or was cancelled is raised, and so told in the corner of the page and to the events
            that follow; of these two the card keeps only what failed.
        otherwise: Gives the values of the outputs once it was cancelled or failed; they stay if it gives None.
        cancelled: What the card says once it is cancelled.

    Returns:
        Called with the `Wanted` of the card before the other values.
    """
    place, count = list(outputs).index(card), len(outputs)

    def steps(wanted: Wanted, *values: Any) -> Iterator[Any]:
        if not when(*values):
            nothing = _filled(None, count)
            yield nothing[0] if count == 1 else nothing
            return
        for seen in watch(lambda: function(*values), wanted.begin(cancelled)):
            over = seen.work["state"] in ("cancelled", "failed")
            filled = _filled(otherwise() if over else seen.values, count)
            work = DONE if raises and seen.work["state"] == "cancelled" else seen.work
            filled[place] = _with_work(filled[place], work)
            yield filled[0] if count == 1 else filled
            if raises and over:
                raise Told(seen.work["what"], FAILED if seen.work["state"] == "failed" else "Cancelled")

    steps.__name__ = function.__name__
    return steps


def _filled(values: Any, count: int) -> list[Any]:
    """Values of the outputs, one for each; none for what stays."""
    if values is None:
        return [gr.skip()] * count
    if count == 1:
        return [values[0] if isinstance(values, tuple) else values]
    return list(values) if isinstance(values, list | tuple) else [values] * count  # a skip of all


def _with_work(value: Any, work: Work) -> dict[str, Any]:
    """The update of a panel, with its bar."""
    update = value if isinstance(value, dict) and value.get("__type__") == "update" else gr.update(value=value)
    return {**update, "work": work}
