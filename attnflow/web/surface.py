"""The addresses that are answered: what the page, programs and MCP need; everything else of Gradio is off."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from attnflow.web import signin

_NAME = r"[A-Za-z0-9_]{1,100}"
_HASH = r"[A-Za-z0-9_-]{1,100}"
ASSETS_AT = "/attnflow/assets/"
"""Where the page's own scripts and styles are."""
SESSION = re.compile(_HASH)
"""Name of an open page or of a program's connection, which it chooses itself."""


@dataclass(frozen=True)
class Place:
    """One kind of address."""

    methods: frozenset[str]
    path: re.Pattern[str]
    static: bool = False
    """Whether it is the same file for everybody, and costs next to nothing."""
    stream: bool = False
    """Whether it is answered bit by bit, for as long as the visitor stays."""
    page_only: bool = False
    """Whether another web site has no use for it."""
    file: bool = False
    """Whether a file is sent there."""
    ending: bool = False
    """Whether a call is ended there."""


def _place(methods: str, path: str, **what: Any) -> Place:
    return Place(frozenset(methods.split()), re.compile(path), **what)


_PLACES = (
    _place("GET HEAD", r"/"),
    _place("GET", rf"{ASSETS_AT}(?P<asset>[0-9a-f]{{12}}/[a-z_/.-]{{1,80}})", static=True),
    _place("GET", r"/(assets|static)/[A-Za-z0-9_./@+-]+", static=True),
    _place(
        "GET", r"/(gradio_api/)?theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/pwa_icon(/\d+)?", static=True
    ),
    _place("GET", r"/config/?|/gradio_api/(info|app_id|startup-events)/?"),
    _place("POST", r"/gradio_api/queue/join"),
    _place("GET", r"/gradio_api/queue/data", stream=True),
    _place("POST", rf"/gradio_api/call/(v2/)?(?P<endpoint>{_NAME})/?"),
    _place("GET", rf"/gradio_api/call/(v2/)?{_NAME}/(?P<event>{_HASH})", stream=True),
    _place("POST", r"/gradio_api/upload/?", page_only=True, file=True),
    # For what is answered while a visitor types; all else is queued, and Gradio refuses it here.
    _place("POST", rf"/gradio_api/run/(?P<run>{_NAME})/?", page_only=True),
    _place("POST", r"/gradio_api/cancel/?", page_only=True, ending=True),
    _place("POST", r"/gradio_api/reset/?", page_only=True),
    _place("GET POST DELETE", r"/gradio_api/mcp(/|/http/?)?", page_only=True),
    _place("GET", r"/gradio_api/mcp/schema"),
)
_SIGN_IN = (_place("GET", r"/login/(huggingface|callback)|/logout", page_only=True),)


def place_of(method: str, path: str) -> tuple[Place, dict[str, str]] | None:
    """What is at an address, and the names in it; None if nothing is.

    Args:
        method: HTTP method.
        path: As the app sees it, without the path under which a proxy serves the app.
    """
    for place in _PLACES + _SIGN_IN * signin.offered():
        found = place.path.fullmatch(path)
        if found and method in place.methods and ".." not in path:
            return place, {name: value for name, value in found.groupdict().items() if value}
    return None
