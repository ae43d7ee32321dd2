"""Takes a file that a visitor sends: bounded while it arrives, in memory alone, and told by a name that is no path."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive

from attnflow import limits
from attnflow.errors import TextsError, TooManyRequestsError
from attnflow.service.uploads import Uploads, uploads
from attnflow.service.visitors import RateLimit
from attnflow.web.bodies import RefusedError

SECONDS = 120.0
"""How long a file may take to arrive."""
MOST_OF_ONE, MOST = 2, 8
"""Files of one visitor, and of all, that arrive at the same time."""
_AROUND = 4_000
"""Bytes of a form around its file."""


class Receiver:
    """Takes files as forms hold them, one each.

    Args:
        kept: Where they are kept.
        rate: How many one visitor may send.
    """

    def __init__(self, kept: Uploads = uploads, rate: RateLimit | None = None) -> None:
        self._kept = kept
        self._rate = rate or RateLimit(limits.UPLOADS_PER_MINUTE, what="files to be taken")
        self._arriving: Counter[str] = Counter()

    async def take(self, sender: str, headers: Headers, receive: Receive) -> str:
        """Keep the file of a form, and return what it is called from now on.

        Args:
            sender: The address that it comes from.
            headers: Those of the request.
            receive: Gives the messages of the request.

        Raises:
            RefusedError: If it is too large, arrives too slowly, is one of too many, or there is none.
        """
        try:
            self._rate.admit(sender)
        except TooManyRequestsError as error:
            raise RefusedError(429, str(error)) from error
        told = headers.get("content-length")
        if told is not None and (not told.isdecimal() or len(told) > 12 or int(told) > limits.UPLOAD_BYTES + _AROUND):
            raise _too_large()
        if not headers.get("content-type", "").startswith("multipart/form-data"):
            raise RefusedError(415, "A file is sent as the field files of a form (multipart/form-data); send it so.")
        with self._place(sender):
            name, data = await _file_of(headers, receive)
        try:
            return self._kept.keep(sender, name, data)
        except TextsError as error:
            raise RefusedError(413, str(error)) from error

    @contextmanager
    def _place(self, sender: str) -> Generator[None]:
        if self._arriving[sender] >= MOST_OF_ONE or self._arriving.total() >= MOST:
            raise RefusedError(429, "Too many files arrive at the same time; wait a little, and send it again.")
        self._arriving[sender] += 1
        try:
            yield
        finally:
            self._arriving[sender] -= 1
            if not self._arriving[sender]:
                del self._arriving[sender]


async def _file_of(headers: Headers, receive: Receive) -> tuple[str, bytes]:
    """Name and content of the only file of a form."""
    parser = MultiPartParser(headers, _parts(receive), max_files=1, max_fields=0)
    parser.spool_max_size = 2 * limits.UPLOAD_BYTES  # never to disk
    try:
        async with asyncio.timeout(SECONDS):
            form = await parser.parse()
    except TimeoutError as error:
        raise RefusedError(408, f"The file did not arrive within {SECONDS:.0f} seconds; send a smaller one.") from error
    except (MultiPartException, ValueError) as error:
        raise RefusedError(400, "The form that should hold a file cannot be read; send one file in it.") from error
    try:
        sent = next((one for one in form.values() if isinstance(one, UploadFile)), None)
        if sent is None:
            raise RefusedError(400, "The form holds no file; send one in it.")
        data = await sent.read()
    finally:
        await form.close()
    name = sent.filename or ""
    if not data:
        raise RefusedError(400, f"{name[-60:] or 'The file'} is empty; send a file with texts.")
    return name, data


async def _parts(receive: Receive) -> AsyncGenerator[bytes]:
    """The body of a request in pieces, no more than a file may have."""
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise RefusedError(400, "The request ended before its file was complete; send it again.")
        piece = message.get("body", b"")
        size += len(piece)
        if size > limits.UPLOAD_BYTES + _AROUND:
            raise _too_large()
        yield piece
        if not message.get("more_body", False):
            return


def _too_large() -> RefusedError:
    return RefusedError(
        413,
        f"This file has more than {limits.UPLOAD_BYTES // 10**6} MB, which is the most that is taken; send fewer "
        "texts, or put it on the Hub and name it.",
    )
