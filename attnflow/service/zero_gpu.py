"""ZeroGPU: runs functions where there is a GPU, in processes that the package `spaces` forks for them on a Space.

The process that serves the page must not be the one that is forked. It holds the models and requests of all visitors,
its threads hold locks, and torch counts the GPUs once, at the latest for the first gradient, and every fork inherits
that there were none. So `prepare` forks a process before anything is loaded, the dispatcher, which does nothing but ask
for GPUs and pass on what is told. Only there `spaces` is imported, so that nothing of torch is replaced in this one.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from attnflow import limits, progress
from attnflow.errors import AttnflowError, EndedError, GoneError, NoGpuError, brief
from attnflow.service import visitors

T = TypeVar("T")

_LOOK = 0.2
"""Seconds after which one who waits looks whether he is still wanted."""
_PATIENCE = 5.0
"""Seconds that the dispatcher has to end."""
_BEGINNING = 60.0
"""Seconds that it has to begin."""
_OF_EXAMPLES = "Try re-running outside of examples"
"""Where `spaces` begins to speak of examples of Gradio, which there are none of here."""
_NO_TITLE = "ZeroGPU error"


class _Dispatcher:
    """This process's end of the one that asks for GPUs."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._process = multiprocessing.get_context("fork").Process(target=_dispatch, args=(self._orders, theirs))
        self._process.start()
        theirs.close()

    def begins(self) -> bool:
        """Whether it can ask for GPUs, which takes it a moment to know."""
        self._orders.settimeout(_BEGINNING)
        try:
            return bool(self._orders.recv(1))
        except OSError:
            return False
        finally:
            self._orders.settimeout(None)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def connect(self) -> Connection:
        """A connection for one order.

        Raises:
            OSError: If it has ended.
        """
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                socket.send_fds(self._orders, [b"+"], [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return Connection(ours.detach())

    def close(self) -> None:
        """End it with all that it forked."""
        self._orders.close()
        self._process.join(_PATIENCE)
        self._process.kill()


_dispatcher: _Dispatcher | None = None


def prepare() -> None:
    """Make ready for GPUs where this is a ZeroGPU Space and `spaces` is installed; elsewhere nothing happens.

    It must be called before anything is computed, and while there is one thread.
    """
    global _dispatcher
    lent = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")  # as `spaces.config` reads it
    if _dispatcher is not None or not lent or find_spec("spaces") is None:
        return
    _dispatcher = _Dispatcher()
    atexit.register(_dispatcher.close)
    if not _dispatcher.begins():
        _dispatcher.close()
        logging.getLogger(__name__).error("no GPU can be asked for here, so all runs without one")


def ready() -> bool:
    """Whether GPUs can be asked for."""
    return _dispatcher is not None and _dispatcher.alive


def run(function: Callable[..., Iterator[T]], *arguments: Any, seconds: int) -> Iterator[T]:
    """Run a generator function in a process that has a GPU, and give what it yields.

    What it tells and offers (`attnflow.progress`) is told and offered here, and what ends the work here ends it there.

    Args:
        function: One of a module; it is called where no visitor is served and no token is known.
        *arguments: What it is called with; they and what it yields are pickled.
        seconds: How long a GPU is asked for.

    Raises:
        NoGpuError: If there is none, or not for long enough.
        Exception: Whatever the function raises.
    """
    order = pickle.dumps((function, arguments), protocol=5)  # which leaves arrays that are read-only so
    progress.tell("Waiting for a GPU", 0)
    with _asked(order, seconds) as connection:
        while True:
            kind, value = _received(connection)
            progress.go_on()
            match kind:
                case "told":
                    progress.tell(*value)
                case "offered":
                    progress.offer(value)
                case "found":
                    yield value
                case "raised":
                    raise value
                case "refused":
                    raise NoGpuError(
                        f"No GPU computes this ({value}). Try again later, or ask for less, by a shorter text, a "
                        "smaller model or a quicker method: what takes fewer than "
                        f"{limits.GPU_OPERATIONS / 1e9:,.4g} thousand million operations needs none."
                    )
                case "done":
                    return
                case _:  # it goes on
                    pass


@contextlib.contextmanager
def _asked(order: bytes, seconds: int) -> Generator[Connection]:
    """A connection on which an order was sent; whoever closes it wants it no more."""
    try:
        assert _dispatcher is not None, "asked where `ready` says no"
        connection = _dispatcher.connect()
    except OSError as error:
        raise _gone() from error
    with connection:
        try:
            connection.send_bytes(pickle.dumps((order, seconds, visitors.gpu_token())))
        except OSError as error:
            raise _gone() from error
        yield connection


def _received(connection: Connection) -> tuple[str, Any]:
    try:
        while not connection.poll(_LOOK):
            progress.go_on()
            if not ready():
                raise _gone()
        return pickle.loads(connection.recv_bytes())
    except (OSError, EOFError) as error:
        raise _gone() from error


def _gone() -> NoGpuError:
    return NoGpuError("The process that asks for GPUs has ended, so this runs without one from now on; ask again.")


# ---- in the dispatcher


@dataclass
class _Headers:
    """Of a request, what `spaces` reads: whose time it is."""

    known: dict[str, str]

    def get(self, name: str, default: str | None = None) -> str | None:
        return self.known.get(name, default)


@dataclass
class _Request:
    headers: _Headers


def _dispatch(ours: socket.socket, orders: socket.socket) -> None:
    """Ask for GPUs until whoever serves the page has ended."""
    ours.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what interrupts the server ends this by its end of the connection
    gpu = _on_gpu()
    orders.send(b"+")
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, 1, 1)
        if not order:
            break
        threading.Thread(target=_answer, args=(gpu, Connection(descriptors[0])), daemon=True).start()
    for child in multiprocessing.active_children():
        child.terminate()
    os._exit(0)  # threads may still wait for a GPU


_OnGpu = Callable[[bytes, int], Generator[tuple[bytes, bool]]]
"""Yields messages, and whether each is the last."""


def _on_gpu() -> _OnGpu:
    """The function that runs in processes with a GPU."""
    import spaces  # pyright: ignore[reportMissingTypeStubs]  # it has none
    from spaces.zero import client  # pyright: ignore[reportMissingTypeStubs]

    decorated = spaces.GPU(_work, duration=_duration)
    try:
        client.startup_report()  # `spaces` does it where a page is launched, which is not here
    except Exception:
        logging.getLogger(__name__).exception("the Space could not tell that it uses GPUs")
    return decorated


def _duration(order: bytes, seconds: int) -> int:
    return seconds


def _answer(gpu: _OnGpu, connection: Connection) -> None:
    """Have one order done, and pass on what is told of it."""
    from spaces.utils import gradio_request_var  # pyright: ignore[reportMissingTypeStubs]

    with connection:
        try:
            order, seconds, token = pickle.loads(connection.recv_bytes())
            known = {"x-gradio-user": "app"} | ({} if token is None else {"x-ip-token": token})
            gradio_request_var().set(_Request(_Headers(known)))  # pyright: ignore[reportArgumentType]  # all it reads
            last = False
            with contextlib.closing(gpu(order, seconds)) as messages:
                for message, last in messages:
                    connection.send_bytes(message)
                    # Nothing more is sent from there, so it was closed. What has ended is not stopped, too: `spaces`
                    # might by then have given its process something else to do.
                    if not last and connection.poll():
                        return
            if not last:
                connection.send_bytes(_packed("refused", "the GPU was taken away before it was done"))
        except BaseException as error:  # of `spaces`: what the function raises is a message
            with contextlib.suppress(OSError):
                connection.send_bytes(_packed("refused", _reason(error)))


def _reason(error: BaseException) -> str:
    """Why there is no GPU, from an error of `spaces`, which is one of Gradio's with a title, or any other."""
    message = getattr(error, "message", None)
    if message is None:
        return brief(error)
    told = str(message).partition(_OF_EXAMPLES)[0]
    return f"{getattr(error, 'title', _NO_TITLE)}: {' '.join(told.split()).rstrip('. ')}"


# ---- in a process with a GPU


@dataclass
class _Outbox:
    """What the thread that computes has to tell; of progress and of what is offered only the newest."""

    found: queue.SimpleQueue[tuple[str, Any]] = field(default_factory=queue.SimpleQueue[tuple[str, Any]])
    newest: dict[str, Any] = field(default_factory=dict[str, Any])
    unwanted: threading.Event = field(default_factory=threading.Event)

    def tell(self, what: str, share: float) -> None:
        """Of progress."""
        self.newest["told"] = what, share

    def offer(self, found: object) -> None:
        """What is known so far."""
        self.newest["offered"] = found

    def check(self) -> None:
        """Raise if nobody waits any more."""
        if self.unwanted.is_set():
            raise GoneError("Nobody waits for this any more.")


def _work(order: bytes, seconds: int) -> Generator[tuple[bytes, bool]]:
    """Do what was ordered; yields messages, and whether each is the last, and a sign of life a few times a second."""
    outbox = _Outbox()
    # A context of its own: that of this process is what it was when it was forked for its first order.
    thread = threading.Thread(target=Context().run, args=(_compute, order, outbox), daemon=True)
    thread.start()
    last = False
    try:
        while not last:
            try:
                kind, value = outbox.found.get(timeout=_LOOK)
            except queue.Empty:
                kind, value = "going on", None
            for name in ("told", "offered"):
                if name in outbox.newest:
                    yield _packed(name, outbox.newest.pop(name)), False
            last = kind in ("done", "raised")
            yield _packed(kind, value), last
    finally:
        outbox.unwanted.set()
        thread.join()


def _compute(order: bytes, outbox: _Outbox) -> None:
    try:
        function, arguments = pickle.loads(order)
        with progress.reporting(outbox.tell), progress.taking(object, outbox.offer), progress.ending(outbox.check):
            for found in function(*arguments):
                outbox.found.put(("found", found))
    except BaseException as error:
        outbox.found.put(("raised", _as_told(error)))
    else:
        outbox.found.put(("done", None))


def _as_told(error: BaseException) -> Exception:
    """An error as it can be pickled: ours as they are, of others what they say."""
    if isinstance(error, AttnflowError):
        return error
    logging.getLogger(__name__).error("what was to be computed on a GPU failed", exc_info=error)
    if not isinstance(error, Exception):
        return EndedError(f"The analysis was ended before it had a result ({brief(error)}); try again.")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(brief(error))
    return error


def _packed(kind: str, value: Any) -> bytes:
    return pickle.dumps((kind, value), protocol=5)
