"""Answers for the scheduler of ZeroGPU, as the package `spaces` asks it, with its refusals."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Scheduler:
    """A server on this machine.

    `answers` is how it answers the next requests for a GPU, the last one for good: gpu, waits, fails (after waiting),
    holds (lets wait for ever), none, quota, too_long or broken.
    """

    def __init__(self) -> None:
        self.answers = ["gpu"]
        self.log: list[tuple[str, dict[str, str]]] = []
        self.free = [0, 1]
        self.warm: set[int] = set()
        scheduler = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                scheduler._answer(self, parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()})

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self, what: str) -> list[dict[str, str]]:
        """The parameters of all requests of one kind."""
        return [given for path, given in self.log if path == what]

    def settled(self) -> bool:
        """Whether every GPU that was given came back, within a few seconds."""
        end = time.monotonic() + 20
        while len(self.free) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        return len(self.free) == 2

    def _answer(self, handler: BaseHTTPRequestHandler, path: str, given: dict[str, str]) -> None:
        self.log.append((path, given))
        if path == "/schedule":
            self._schedule(handler)
            return
        if path == "/release":
            number = int(given["allowToken"].partition("-")[0])
            self.warm = self.warm - {number} if given["fail"] == "true" else self.warm | {number}
            self.free.append(number)
        _reply(handler, 200, b"{}")

    def _schedule(self, handler: BaseHTTPRequestHandler) -> None:
        how = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if how == "gpu":
            _reply(handler, 200, json.dumps(self._gpu()).encode())
        elif how in ("waits", "fails", "holds"):
            self._let_wait(handler, how)
        elif how == "none":
            _reply(handler, 503, b"")
        elif how == "broken":
            _reply(handler, 500, b"")
        else:
            wait = 300.0 if how == "quota" else -1.0
            _reply(handler, 429, json.dumps({"left": 12, "wait": wait}).encode(), {"X-Authenticated": "regular"})

    def _gpu(self) -> dict[str, Any]:
        number = min(self.free)
        self.free.remove(number)
        token = f"{number}-{len(self.log)}"
        return {"idle": number in self.warm, "nvidiaIndex": number, "nvidiaUUID": f"GPU-{number}", "allowToken": token}

    def _let_wait(self, handler: BaseHTTPRequestHandler, how: str) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.close_connection = True
        try:
            for _ in range(3 if how != "holds" else 40):
                handler.wfile.write(b"event: ping\n\n")
                handler.wfile.flush()
                time.sleep(0.1)
            gpu = how == "waits" or (how == "holds" and self.answers != ["holds"])
            data = f"event: succeeded\ndata: {json.dumps(self._gpu())}\n\n" if gpu else "event: failed\n\n"
            handler.wfile.write(data.encode())
        except OSError:
            pass


def _reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **(headers or {}),
    }.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
