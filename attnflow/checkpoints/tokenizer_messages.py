"""What passes between the server and the processes of tokenizers: numbers, and JSON behind its length.

Nothing that a process sends which strange data may have corrupted is ever unpickled.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

FORK = 0
"""The order to fork, and to answer with the number of the child; any other number is that of a child to kill."""
LARGEST = 4_000_000
"""Bytes of one message: a thousand times what a pair of sentences takes."""
MOST_PIECES = 30_000
"""Pieces of a pair that fit into a message, at some sixty bytes each; of longer texts only the number is told."""


def encode_number(number: int) -> bytes:
    """A process number, or FORK, as eight bytes."""
    return number.to_bytes(8, "big", signed=True)


def send(connection: socket.socket, message: Any) -> None:
    """Send a message of plain data."""
    data = json.dumps(message).encode()
    connection.sendall(len(data).to_bytes(4, "big") + data)


def receive(connection: socket.socket, seconds: float | None = None) -> Any:
    """Receive a message of plain data.

    Args:
        connection: Where it comes from.
        seconds: How long to wait for the whole of it; without end if None.

    Raises:
        TimeoutError: If it has not arrived by then.
        EOFError: If the other side has ended.
        ValueError: If it is no message, or too large for one.
    """
    end = None if seconds is None else time.monotonic() + seconds
    size = int.from_bytes(_exactly(connection, 4, end), "big")
    if size > LARGEST:
        raise ValueError(f"a message of {size:,} bytes")
    try:
        return json.loads(_exactly(connection, size, end))
    except RecursionError as error:
        raise ValueError("a message nested without end") from error


def _exactly(connection: socket.socket, size: int, end: float | None) -> bytes:
    data = bytearray()
    while len(data) < size:
        if end is not None:
            connection.settimeout(max(end - time.monotonic(), 1e-3))
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
