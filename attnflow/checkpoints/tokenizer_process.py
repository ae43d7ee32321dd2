"""Reads and runs tokenizers of the Hub in processes that are confined, and whose death is one sentence."""

from __future__ import annotations

import atexit
import contextlib
import os
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from attnflow import limits
from attnflow.checkpoints import repository_files, tokenizer_answers, tokenizer_messages
from attnflow.checkpoints.tokenizer_pieces import PairPieces
from attnflow.checkpoints.tokenizer_reader import ENTRY_BYTES, TokenizerFacts, TokenizerReader, read_here
from attnflow.errors import CheckpointError

T = TypeVar("T")

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What the processes learn of the environment: no token is among it."""
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_TOKEN_PATH": os.devnull,
    "TOKENIZERS_PARALLELISM": "false",  # a process that forks must have one thread
    "OMP_NUM_THREADS": "1",
    "TRANSFORMERS_VERBOSITY": "critical",
}
_READING, _TEXT, _CHAT = "when it is read", "on this text", "on this text in its chat template"
_ADVICE = {_READING: "", _TEXT: "shorten the text, or ", _CHAT: "do without the template, or "}
"""What may help, by when a tokenizer fails."""
_PATIENCE = 60.0
"""Seconds to wait for a new process: the first one imports transformers, perhaps on a busy machine."""


class _Breeder:
    """The server's end of a process that forks others, as `tokenizer_child` describes it."""

    def __init__(self, orders: socket.socket) -> None:
        self.orders = orders
        self._lock = threading.Lock()

    def fork(self) -> tuple[int, socket.socket]:
        """Number of a new child, and the socket that it serves; OSError or EOFError if this process is dead."""
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            try:
                return self._fork(theirs), ours
            except BaseException:
                ours.close()
                self.orders.close()  # an answer that comes later would be taken for that to another order
                raise

    def _fork(self, theirs: socket.socket) -> int:
        self.orders.settimeout(_PATIENCE)
        socket.send_fds(self.orders, [tokenizer_messages.encode_number(tokenizer_messages.FORK)], [theirs.fileno()])
        answer = self.orders.recv(8)
        if len(answer) < 8:
            raise EOFError
        return int.from_bytes(answer, "big", signed=True)

    def kill(self, number: int) -> None:
        """End a child, whatever it does; nothing happens if it has ended."""
        with self._lock, contextlib.suppress(OSError):
            self.orders.sendall(tokenizer_messages.encode_number(number))


class _Nursery(_Breeder):
    """The process from which one forks for every tokenizer."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    "from attnflow.checkpoints.tokenizer_child import main; main()",
                    str(theirs.fileno()),
                ],
                pass_fds=[theirs.fileno()],
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ}
                | {"PYTHONPATH": os.pathsep.join(os.path.abspath(place) for place in sys.path)}
                | _ENVIRONMENT,
                cwd=os.path.abspath(os.sep),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # what interrupts the server in a terminal or notebook is not meant for it
            )
        super().__init__(ours)
        self.owner = os.getpid()

    @property
    def alive(self) -> bool:
        """Whether it runs, and was started by this very process, not by one that this was forked from."""
        return self.owner == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """End it with all that came of it."""
        self.orders.close()
        try:
            self._process.wait(_PATIENCE / 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_nursery: _Nursery | None = None
_open: weakref.WeakSet[_Connections] = weakref.WeakSet()
_starting = threading.Lock()


def warm() -> None:
    """Start what tokenizers of the Hub need, without waiting for it; else the first of them starts it."""
    if hasattr(os, "fork"):
        _warm_nursery()


def _warm_nursery() -> _Nursery:
    global _nursery
    with _starting:
        if _nursery is None or not _nursery.alive:
            _nursery = _Nursery()
        return _nursery


def close() -> None:
    """End all processes of tokenizers; those that are still in use start anew when they are asked."""
    global _nursery
    for connections in list(_open):
        connections.hang_up()
    with _starting:
        nursery, _nursery = _nursery, None
    if nursery is not None and nursery.owner == os.getpid():
        nursery.close()


def _fork_keeper() -> tuple[_Nursery, int, socket.socket]:
    """A new child of the nursery, and that; of a new one, if it was ended from outside."""
    global _nursery
    for _ in range(2):
        nursery = _warm_nursery()
        try:
            return nursery, *nursery.fork()
        except (OSError, EOFError):
            with _starting:
                if _nursery is nursery:
                    _nursery = None
                    nursery.close()
    raise CheckpointError("No process for a tokenizer can be started on this machine at the moment; try again later.")


atexit.register(close)


class _Connections:
    """The processes of one tokenizer; apart from `ChildReader`, so that they can be closed when that is gone."""

    def __init__(self) -> None:
        self.number = 0
        self.keeper: _Breeder | None = None
        self.answerer: tuple[int, socket.socket] | None = None
        _open.add(self)

    def hang_up(self) -> None:
        """End the processes, from a thread that may not be the one that listens to them."""
        for kept in (self.answerer and self.answerer[1], self.keeper and self.keeper.orders):
            if kept:
                with contextlib.suppress(OSError):
                    kept.shutdown(socket.SHUT_RDWR)

    def close_answerer(self) -> None:
        """End the process that runs texts, unless it hangs."""
        if self.answerer is not None:
            self.answerer[1].close()
            self.answerer = None

    def close(self) -> None:
        """End both; the keeper ends an answerer that hangs."""
        self.close_answerer()
        if self.keeper is not None:
            self.keeper.orders.close()
            self.keeper = None


class ChildReader:
    """A tokenizer in processes of its own, which end with this object.

    Threads take turns. The call that a process did not survive, or that took too long, fails with a sentence; the next
    one gets a new process. Pickled, it is the place and the name, and is read anew where it is unpickled.
    """

    def __init__(self, folder: Path, name: str, staged: Path | None = None) -> None:
        self._folder, self._name, self._staged = folder, name, staged
        self._turn = threading.Lock()
        self._connections = _Connections()
        weakref.finalize(self, self._connections.close)
        self._nbytes = 0
        self._facts = self._read()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._folder, self._name)

    @property
    def facts(self) -> TokenizerFacts:
        """What does not depend on a text."""
        return self._facts

    @property
    def nbytes(self) -> int:
        """Memory that it took when it had been read, apart from what all such processes share."""
        return self._nbytes

    @property
    def keeper_number(self) -> int:
        """Number of the process that has read it."""
        return self._connections.number

    def pair(self, text_a: str, text_b: str | None, most: int | None) -> PairPieces:
        """A sentence pair with its special tokens; counted only, if it has more than `most` pieces or `MOST_PIECES`."""
        told = _told(most)
        return self._ask(
            lambda found: tokenizer_answers.pair(found, text_a, text_b or "", told), "pair", text_a, text_b, told
        )

    def target(self, text: str, most: int | None) -> PairPieces:
        """A text as an encoder-decoder writes it; counted only, as a pair is."""
        told = _told(most)
        return self._ask(lambda found: tokenizer_answers.pair(found, text, "", told), "target", text, told)

    def chat(self, text_a: str, text_b: str | None, most: int | None, goes_on: bool) -> PairPieces:
        """A conversation in the chat template, which is run in the process that runs texts."""
        told = _told(most)
        return self._ask(
            lambda found: tokenizer_answers.pair(found, text_a, text_b or "", told),
            *("chat", text_a, text_b, told, goes_on),
            when=_CHAT,
        )

    def ids(self, text: str) -> list[int]:
        """The pieces of a text without special tokens."""
        return self._ask(tokenizer_answers.numbers, "ids", text)

    def pieces(self, ids: Iterable[int]) -> list[str | None]:
        """What pieces are called; None for a number that is none."""
        asked = [int(index) for index in ids]
        return self._ask(lambda found: tokenizer_answers.names(found, len(asked)), "pieces", asked)

    def id_of(self, piece: str) -> int | None:
        """The number of a piece, if it is one."""
        return self._ask(lambda found: None if found is None else tokenizer_answers.numbers([found])[0], "id_of", piece)

    def text(self, ids: Iterable[int]) -> str:
        """What pieces say, special tokens left out."""
        asked = [int(index) for index in ids]
        return self._ask(lambda found: tokenizer_answers.text(found, len(asked)), "text", asked)

    def _ask(self, checked: Callable[[Any], T], method: str, *arguments: Any, when: str = _TEXT) -> T:
        with self._turn:
            number, connection = self._answerer()
            try:
                seconds = limits.TOKENIZER_SECONDS
                return self._result(connection, (method, arguments, seconds), seconds, checked, when)
            except BaseException:  # whatever it was, the next text finds a tokenizer to which nothing has happened
                self._connections.close_answerer()
                if self._connections.keeper is not None:
                    self._connections.keeper.kill(number)
                raise

    def _answerer(self) -> tuple[int, socket.socket]:
        """The process that runs texts: the one of the last call or, if that has ended, a new one."""
        kept = self._connections.answerer
        if kept is not None and _is_silent(kept[1]):
            return kept
        self._connections.close_answerer()
        made = self._fork_answerer()
        if made is None:  # the keeper was ended from outside: nothing strange ever runs in it
            self._facts = self._read()
            made = self._fork_answerer()
        if made is None:
            raise CheckpointError(self._broken(_READING))
        self._connections.answerer = made
        return made

    def _fork_answerer(self) -> tuple[int, socket.socket] | None:
        keeper = self._connections.keeper
        try:
            return None if keeper is None else keeper.fork()
        except (OSError, EOFError):
            return None

    def _read(self) -> TokenizerFacts:
        """Read it in a new keeper: from the folder that stands in for the stranger's, made anew if that is gone."""
        staged, self._staged = self._staged, None
        with _staged(self._folder, self._name) if staged is None else nullcontext(staged) as folder:
            return self._read_from(folder)

    def _read_from(self, folder: Path) -> TokenizerFacts:
        self._connections.close()
        seconds = limits.TOKENIZER_READING_SECONDS
        nursery, number, connection = _fork_keeper()
        order = {"folder": os.path.abspath(folder), "name": self._name, "bytes": limits.TOKENIZER_BYTES}
        try:
            facts = self._result(connection, order | {"seconds": seconds}, seconds, tokenizer_answers.facts, _READING)
        except BaseException:
            connection.close()
            nursery.kill(number)
            raise
        self._nbytes = _private_bytes(number) or facts.size * ENTRY_BYTES
        self._connections.number, self._connections.keeper = number, _Breeder(connection)
        return facts

    def _result(self, connection: socket.socket, order: Any, seconds: int, checked: Callable[[Any], T], when: str) -> T:
        """What a process answers to an order, checked; any failure as a sentence."""
        try:
            connection.settimeout(seconds)
            tokenizer_messages.send(connection, order)
            answer = tokenizer_messages.receive(connection, seconds)
            if answer.get("error", ""):
                raise CheckpointError(" ".join(str(answer["error"])[:1000].split()))
            if "result" in answer:
                return checked(answer["result"])
        except TimeoutError:
            raise CheckpointError(
                f"The tokenizer of {self._name} takes more than {seconds} seconds {when} and was ended; "
                + self._advice(when)
            ) from None
        except (OSError, EOFError):
            raise CheckpointError(self._broken(when)) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise CheckpointError(
                f"The tokenizer of {self._name} answers what no tokenizer can; choose another checkpoint."
            ) from None
        raise CheckpointError(self._broken(when))

    def _broken(self, when: str) -> str:
        return (
            f"The tokenizer of {self._name} breaks down {when}, or needs more than the "
            f"{limits.TOKENIZER_BYTES / 1e6:,.0f} MB of memory that a tokenizer may take; " + self._advice(when)
        )

    def _advice(self, when: str) -> str:
        return _ADVICE[when] + "choose another checkpoint."


def _told(most: int | None) -> int:
    """Most pieces that are told and not only counted."""
    return tokenizer_messages.MOST_PIECES if most is None else min(most, tokenizer_messages.MOST_PIECES)


def _is_silent(connection: socket.socket) -> bool:
    """Whether a process that nobody has asked is there and says nothing."""
    try:
        connection.settimeout(0)
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _private_bytes(number: int) -> int:
    """Memory that a process shares with no other; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


def read_apart(folder: Path, name: str, staged: Path | None = None) -> TokenizerReader:
    """Read a tokenizer that a stranger wrote, apart from this process; where a system cannot fork, in it.

    Args:
        folder: Where the stranger's files are.
        name: What the checkpoint is called, for errors.
        staged: The folder that stands in for it, if there is one at the moment.

    Raises:
        CheckpointError: If there is none, one that cannot be trusted, or one that does not keep to the limits.
    """
    if hasattr(os, "fork"):
        return ChildReader(folder, name, staged)
    with _staged(folder, name) if staged is None else nullcontext(staged) as place:
        return read_here(place, name, chats=False)


@contextmanager
def _staged(folder: Path, name: str) -> Iterator[Path]:
    with repository_files.staged(folder, name, weights=False) as files:
        yield files.folder
