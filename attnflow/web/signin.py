"""Who a request comes from: the address, and the Hub token of a visitor who signed in or sent his own.

A token goes to the checkpoint that this visitor asks for and nowhere else. The token of the process is never used, so
sign-in is offered on Spaces only: elsewhere Gradio would sign every visitor in with that token.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from importlib.util import find_spec

import gradio as gr
from gradio.context import LocalContext
from gradio.helpers import special_args
from starlette.datastructures import Headers

from attnflow.service.visitors import Visitor
from attnflow.web.addresses import visitor_address
from attnflow.web.presence import presence
from attnflow.web.waiting import MARK


def offered() -> bool:
    """Whether visitors can sign in here: on a Space whose README asks for it, with `gradio[oauth]` installed."""
    on_space = bool(os.environ.get("SPACE_ID") and os.environ.get("OAUTH_CLIENT_ID"))
    return on_space and all(find_spec(name) for name in ("authlib", "itsdangerous"))


def current_visitor(token: gr.OAuthToken | None = None) -> Visitor | None:
    """The visitor whose request is being answered; None outside a request.

    Args:
        token: What came with the request itself; it serves where nobody is signed in.
    """
    request = LocalContext.request.get(None)
    if request is None:
        return None
    (signed_in,), *_ = special_args(_takes_token, [], request)
    if signed_in is not None:
        # Not the token itself: this name is kept for a minute, the token only while the request is answered.
        name = "token " + hashlib.sha256(signed_in.token.encode()).hexdigest()[:16]
        return Visitor(name, signed_in.token, _left(request), _address(request), request.headers.get("x-ip-token"))
    # A token that was only sent may be made up, so it gives nobody a name, and with it more requests.
    address = _address(request)
    sent = token.token if token is not None else None
    return Visitor(address, sent, _left(request), address, request.headers.get("x-ip-token"))


def _left(request: gr.Request) -> Callable[[], bool]:
    """Tells whether the visitor went away; of a request that came past the gateway nobody can know."""
    behind = getattr(request, "request", None)
    known = behind is not None and MARK in behind.scope and request.session_hash
    return presence.watch(str(request.session_hash)) if known else lambda: False


def _takes_token(token: gr.OAuthToken | None) -> None:
    """Gradio fills such a parameter with the token of the sign-in."""


def _address(request: gr.Request) -> str:
    headers = Headers(raw=[(name.lower().encode(), value.encode()) for name, value in request.headers.items()])
    client = request.client.host if request.client else ""
    return visitor_address(client, headers.getlist("x-forwarded-for"))
