"""What stands before Gradio: it lets through what the page and programs need, bounded, and counts who asks for it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attnflow import limits
from attnflow.errors import TooManyRequestsError
from attnflow.service.visitors import RateLimit
from attnflow.web import assets, bodies, origins, surface
from attnflow.web.addresses import visitor_address
from attnflow.web.bodies import RefusedError
from attnflow.web.presence import presence
from attnflow.web.sending import Receiver
from attnflow.web.waiting import MARK, ForgottenError, WaitingAnswers

HEADER_BYTES = 16_000
QUERY_BYTES = 4_000
MOST_STREAMS = 64
"""Connections of one visitor that stay open."""
_PIECE = 1 << 16
_PIECE_SECONDS, _ANSWER_SECONDS = 20.0, 120.0
"""How long one piece of an answer, and all of it, may take to be fetched."""
_ANY_SITE = {"access-control-allow-origin": "*"}
_PREFLIGHT = {
    **_ANY_SITE,
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "600",
}


class Gateway:
    """An ASGI app around Gradio's.

    Args:
        app: What answers the requests that are let through.
        is_private: Tells of an event, by number, whether it belongs to the page alone; None if there is none.
        knows: Tells of a call whether its answer is still to come or to be collected.
        note: Called with a session and the visitor who asks in it.
        cancel: Called with a session and a call of it that is to end.
        answers: Where the answers of endpoints wait.
        rate: How many requests one visitor may send.
        files: Takes the files that visitors send.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        is_private: Callable[[int], bool | None],
        knows: Callable[[str], bool],
        note: Callable[[str, str], None],
        cancel: Callable[[str, str], None],
        answers: WaitingAnswers,
        rate: RateLimit | None = None,
        files: Receiver | None = None,
    ) -> None:
        self._app = app
        self._is_private, self._knows, self._note, self._cancel = is_private, knows, note, cancel
        self._answers = answers
        self._rate = rate or RateLimit(limits.CALLS_PER_MINUTE, what="requests")
        self._files = files or Receiver()
        self._streams: Counter[str] = Counter()
        self._read: Counter[str] = Counter()

    @property
    def read(self) -> frozenset[str]:
        """Sessions and calls that somebody listens to."""
        return frozenset(self._read)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except RefusedError as refused:
                await _answer(send, refused.status, json.dumps({"detail": refused.sentence}).encode())
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        visitor = visitor_address((scope.get("client") or ("", 0))[0], headers.getlist("x-forwarded-for"))
        foreign = self._checked_origin(scope, headers)
        if foreign and scope["method"] == "OPTIONS":
            await _answer(send, 204, b"", _PREFLIGHT)
            return
        root, path = scope.get("root_path", ""), scope["path"]
        found = surface.place_of(scope["method"], path.removeprefix(root) if root else path)
        if found is None or not found[0].static:
            self._count(visitor)
        if found is None:
            raise RefusedError(404, "There is nothing at this address; the endpoints are at /gradio_api/info.")
        place, names = found
        if "asset" in names:
            await _send_asset(send, names["asset"], headers)
            return
        if foreign and place.page_only:
            raise _foreign()
        if place.file:  # Gradio would write it to disk, for as long as it runs
            called = await self._files.take(visitor, headers, receive)
            await _answer(send, 200, json.dumps([called]).encode())
            return
        if scope["method"] == "POST":
            body = await bodies.read_body(receive, headers.get("content-length"))
            receive = bodies.replayed(body, receive)
            self._check_body(body, visitor, foreign)
            if place.ending:
                self._cancel(*_named_call(body))
                await _answer(send, 200, b'{"success":true}')
                return
        if foreign:
            scope, send = _without_credentials(scope), _open_to_any_site(send)
        scope = {**scope, MARK: True}
        if not place.stream:
            await self._app(scope, receive, send)
            return
        session = QueryParams(scope["query_string"]).get("session_hash")
        event = names.get("event")
        if event is not None and not self._knows(event):
            raise RefusedError(404, "There is no such call, or its answer was not collected in time; ask again.")
        with self._listening(visitor, event or session), presence.listening(event or session or ""):
            await self._app(_unpacked(scope), receive, self._filling(send))

    def _checked_origin(self, scope: Scope, headers: Headers) -> bool:
        """Whether another web site asks; refuses what is not for this app, or comes from where it may not."""
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            raise RefusedError(431, f"The headers of this request have more than {HEADER_BYTES // 1000} kB.")
        if len(scope["query_string"]) > QUERY_BYTES:
            raise RefusedError(414, f"The address of this request has more than {QUERY_BYTES // 1000} kB after the ?.")
        host = headers.get("host", "localhost")
        if not origins.host_is_ours(host):
            raise RefusedError(
                403,
                f"This app is not known as {host[:80]!r}; ask for it by its address or its own name, or let its owner "
                "name it in ATTNFLOW_HOSTS.",
            )
        foreign = origins.from_another_site(headers)
        asks = "origin" in headers or scope["method"] not in ("GET", "HEAD")  # not a link that somebody follows
        if foreign and asks and not origins.on_space():
            raise _foreign()
        return foreign and asks

    def _count(self, visitor: str) -> None:
        try:
            self._rate.admit(visitor)
        except TooManyRequestsError as error:
            raise RefusedError(429, str(error)) from error

    def _check_body(self, body: bytes, visitor: str, foreign: bool) -> None:
        value = bodies.parsed(body) if body else {}
        if not isinstance(value, dict):
            return
        session, number = value.get("session_hash"), value.get("fn_index")
        if session is not None and not (isinstance(session, str) and surface.SESSION.fullmatch(session)):
            raise RefusedError(400, "session_hash must be up to 100 letters, digits, - or _.")
        if isinstance(number, bool) or not isinstance(number, int | None) or value.get("batched"):
            raise RefusedError(400, "fn_index must be the number of an event, and batched must be left out.")
        private = number is not None and self._is_private(number)
        if private is None:
            raise RefusedError(404, f"There is no event {number}; reload the page, or use an endpoint by its name.")
        if private and foreign:
            raise _foreign()
        if private and isinstance(session, str):
            self._note(session, visitor)

    @contextmanager
    def _listening(self, visitor: str, name: str | None) -> Any:
        if self._streams[visitor] >= MOST_STREAMS:
            raise RefusedError(429, f"You have {MOST_STREAMS} open connections, which is the most; close some.")
        self._streams[visitor] += 1
        self._read[name or ""] += 1
        try:
            yield
        finally:
            for counter, one in ((self._streams, visitor), (self._read, name or "")):
                counter[one] -= 1
                if not counter[one]:
                    del counter[one]

    def _filling(self, send: Send) -> Send:
        """Send messages with the answers in the place of their claims, in pieces, to who fetches them in time."""

        async def fill(message: Message) -> None:
            body = message.get("body", b"")
            if b"attnflow-answer:" not in body:
                await send(message)
                return
            try:
                body = self._answers.filled(body)
            except ForgottenError as error:
                body = _as_error(body, str(error))
            async with asyncio.timeout(_ANSWER_SECONDS):
                for start in range(0, len(body), _PIECE):
                    piece = {"type": message["type"], "body": body[start : start + _PIECE], "more_body": True}
                    await asyncio.wait_for(send(piece), _PIECE_SECONDS)
            await send({"type": message["type"], "body": b"", "more_body": message.get("more_body", False)})

        return fill


def _as_error(sent: bytes, sentence: str) -> bytes:
    """The message that tells of a finished call, changed into one of a failed call."""
    event, _, data = sent.decode().rpartition("data: ")
    if event:
        return f"event: error\ndata: {json.dumps({'error': sentence})}\n\n".encode()
    message = json.loads(data) | {"success": False, "output": {"error": sentence}}
    return f"data: {json.dumps(message)}\n\n".encode()


def _named_call(body: bytes) -> tuple[str, str]:
    """The session and the call that a body names."""
    value = bodies.parsed(body) if body else None
    session, event = (value.get(name) if isinstance(value, dict) else None for name in ("session_hash", "event_id"))
    if not isinstance(session, str) or not isinstance(event, str):
        raise RefusedError(422, "To cancel a call, send a JSON object with its session_hash and event_id.")
    return session, event


def _foreign() -> RefusedError:
    return RefusedError(
        403, "Another web site may not ask for this; open the page itself, or call an endpoint by its name on a Space."
    )


def _without_credentials(scope: Scope) -> Scope:
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name not in _SECRET]}


_SECRET = (b"cookie", b"authorization", b"origin")


def _unpacked(scope: Scope) -> Scope:
    """A request whose answer comes as plain text, in which claims can be found."""
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]}


def _open_to_any_site(send: Send) -> Send:
    async def opened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            del headers["access-control-allow-credentials"]
            headers.update(_ANY_SITE)
        await send(message)

    return opened


async def _send_asset(send: Send, name: str, headers: Headers) -> None:
    found = await asyncio.to_thread(assets.current, name)
    if found is None:
        raise RefusedError(404, "The page has no such file.")
    told = {
        "content-type": found.media_type,
        "cache-control": "public, max-age=31536000, immutable",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if "gzip" in headers.get("accept-encoding", ""):
        await _answer(send, 200, found.packed, {**told, "content-encoding": "gzip"})
    else:
        await _answer(send, 200, found.plain, told)


async def _answer(send: Send, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
