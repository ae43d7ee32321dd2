"""Runs in processes of their own: one that has transformers loaded, from which one forks for every strange tokenizer.

    server  ->  nursery  ->  keeper of a tokenizer  ->  answerer

The *nursery* imports transformers once, without torch, and forks a *keeper* for each tokenizer. The keeper confines
itself, reads the tokenizer, tells its facts, and from then on only forks: no visitor's text is ever run in it. The
*answerer* runs texts. A text that kills it, or for which the server has it killed, leaves the keeper as it was, and the
next answerer is there within milliseconds, without reading anything again.

Each of them has one socket to the server and ends when that is closed. Nursery and keeper take orders over theirs: to
fork a child that serves the socket which is attached, or to kill one of their children.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from attnflow.checkpoints.tokenizer_messages import FORK, LARGEST, encode_number, receive, send

_KIND = 5
"""How far strange tokenizers stand back behind the server's own threads (`nice`)."""
_FILES = 64
_LAST_WORDS = 0.5
"""Seconds that a keeper waits for an answerer to end by itself; the nursery waits longer, for the keepers to do so."""


def main() -> None:
    """Be the nursery, on the socket whose number is the argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Saves four of five parts of memory, and its threads.
    sys.modules["torch"] = None  # pyright: ignore[reportArgumentType]  # as Python has it for "cannot be imported"
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    from attnflow.checkpoints import tokenizer_reader  # noqa: F401  # what the keepers run

    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # a panic writes what it likes, and may do so without end
        os.dup2(silence, stream)
    _breed(socket.socket(fileno=int(sys.argv[1])), _keep, 4 * _LAST_WORDS)


def _breed(orders: socket.socket, life: Callable[[socket.socket], None], last_words: float) -> None:
    """Fork a child for each socket that arrives and kill those that are named, until the orders end."""
    living: set[int] = set()

    def bury(*_: object) -> None:
        for number in list(living):
            with contextlib.suppress(ChildProcessError):  # a signal came in between, and was answered first
                if not os.waitpid(number, os.WNOHANG)[0]:
                    continue
            living.discard(number)

    gc.collect()
    gc.freeze()  # a collection in a child would copy all that it shares with this process
    signal.signal(signal.SIGCHLD, bury)
    orders.settimeout(None)
    while True:
        order, attached, *_ = socket.recv_fds(orders, 8, 1)
        if len(order) < 8:
            break
        number = int.from_bytes(order, "big", signed=True)
        if number == FORK:
            number = _fork(orders, attached[0], life)
            living.add(number)
            bury()  # it may have ended before it was among the living
            orders.sendall(encode_number(number))
        elif number in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
    end = time.monotonic() + last_words  # theirs are closed, too, so they end by themselves; unless they hang
    while living and time.monotonic() < end:
        time.sleep(0.02)
        bury()
    for number in list(living):  # those that end meanwhile are buried
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def _fork(orders: socket.socket, attached: int, life: Callable[[socket.socket], None]) -> int:
    """The number of a child that lives on a socket, which this process then no longer has."""
    number = os.fork()
    if number:
        os.close(attached)
        return number
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        orders.close()
        life(socket.socket(fileno=attached))
    except BaseException:  # nobody listens any more, and the parent's code must not go on here
        pass
    finally:
        os._exit(0)


def _keep(connection: socket.socket) -> None:
    """Read the tokenizer that is asked for, tell its facts, and fork answerers."""
    from pathlib import Path

    from attnflow.checkpoints.tokenizer_reader import read_here

    order = receive(connection)
    _confine(order["bytes"])
    _allow(order["seconds"])
    result: dict[str, Any] = {}

    def read() -> dict[str, Any]:
        reader = result["reader"] = read_here(Path(order["folder"]), order["name"])
        reader.pair("a", "b", 100)  # what is made at the first use is made once, for all answerers
        return vars(reader.facts) | {"special": sorted(reader.facts.special)}

    _reply(connection, read)
    _allow(math.inf)
    if "reader" in result:
        _breed(connection, lambda answers: _answer(answers, result["reader"]), _LAST_WORDS)


def _answer(connection: socket.socket, reader: Any) -> None:
    """Answer one call after the other; those that are named here are all there is."""
    calls = {name: getattr(reader, name) for name in ("pair", "target", "chat", "ids", "pieces", "id_of", "text")}
    while True:
        method, arguments, seconds = receive(connection)
        _allow(seconds)
        _reply(connection, lambda call=calls[method], arguments=arguments: call(*arguments))


def _reply(connection: socket.socket, call: Callable[[], Any]) -> None:
    """Send `{"result": …}`, or `{"error": sentence}`, or `{"error": None}` if memory or the length of answers ends."""
    from attnflow.errors import CheckpointError

    try:
        result = call()
        answer = {"result": vars(result) if hasattr(result, "__dict__") else result}
        data = json.dumps(answer)
    except CheckpointError as error:
        answer = {"error": None if isinstance(error.__cause__, MemoryError) else str(error)}
    except MemoryError:
        answer = {"error": None}
    else:
        if len(data) > LARGEST:
            answer = {"error": None}
    send(connection, answer)


def _confine(memory: int) -> None:
    """Bound what this process may take beyond what it has; a system that knows a limit not is without it."""
    import resource

    def limit(which: int, amount: int) -> None:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (amount, amount))

    with contextlib.suppress(OSError):
        with open("/proc/self/statm", encoding="ascii") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        limit(resource.RLIMIT_AS, mapped + memory)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NOFILE, _FILES)
    with contextlib.suppress(OSError):
        os.nice(_KIND)


def _allow(seconds: float) -> None:
    """End this process once it has computed for so long from now on, even if the server is no longer there."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = hard if seconds == math.inf else math.ceil(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
