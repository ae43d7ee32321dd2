"""Bodies of requests: counted while they arrive, and checked as JSON, before anything else reads them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.types import Message, Receive

from attnflow import limits

SECONDS = 30.0
"""How long a body may take to arrive."""
DEPTH = 32
ENTRIES = 20_000
"""Values in one body: more than all heads of two models, which is the most that the page sends."""


class RefusedError(Exception):
    """A request that is not passed on.

    Args:
        status: HTTP status.
        sentence: What came, what was expected, what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


async def read_body(receive: Receive, declared: str | None) -> bytes:
    """The whole body.

    Args:
        receive: Gives the messages of the request.
        declared: Its `Content-Length`, which is only believed if it is too much.

    Raises:
        RefusedError: If it is more than `limits.REQUEST_BYTES`, arrives too slowly, or its sender has left.
    """
    if declared is not None and (
        not declared.isdecimal() or len(declared) > 12 or int(declared) > limits.REQUEST_BYTES
    ):
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise RefusedError(400, "The request ended before its body was complete; send it again.")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limits.REQUEST_BYTES:
                    raise _too_large()
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError as error:
        raise RefusedError(408, f"The body did not arrive within {SECONDS:.0f} seconds; send it again.") from error


def _too_large() -> RefusedError:
    return RefusedError(
        413,
        f"The body of this request has more than {limits.REQUEST_BYTES // 1000} kB, which is more than any request "
        "needs; send shorter texts and lists.",
    )


def replayed(body: bytes, receive: Receive) -> Receive:
    """What gives the body again as one message, and then whatever follows it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def parsed(body: bytes) -> Any:
    """A body as JSON.

    Raises:
        RefusedError: If it is none, too deep, or has too many entries.
    """
    try:
        value = json.loads(body)
    except RecursionError as error:
        raise _too_many() from error
    except ValueError as error:
        raise RefusedError(400, f"The body of this request is no JSON ({type(error).__name__}).") from error
    waiting, seen = [(value, 1)], 0
    while waiting:
        one, depth = waiting.pop()
        inner = list(one.values()) if isinstance(one, dict) else one if isinstance(one, list) else ()
        seen += len(inner)
        if depth > DEPTH or seen > ENTRIES:
            raise _too_many()
        waiting += [(item, depth + 1) for item in inner if isinstance(item, list | dict)]
    return value


def _too_many() -> RefusedError:
    return RefusedError(
        413,
        f"The body of this request has lists within lists {DEPTH} deep or more than {ENTRIES:,} entries, which no "
        "request needs; send shorter lists.",
    )
