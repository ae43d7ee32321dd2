"""How the page is served: with the gateway before it, nothing of Gradio that it does not need, and a broom."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import gradio as gr
from gradio.routes import App

from attnflow import limits
from attnflow.web import gradio_compat as compat
from attnflow.web.answering import HANDLERS
from attnflow.web.gateway import Gateway
from attnflow.web.page import THEME
from attnflow.web.waiting import answers

_SWEEP_SECONDS = 2.0


@asynccontextmanager
async def guarded(app: App) -> AsyncIterator[None]:
    """While an app runs, the gateway stands before all of its own middleware."""
    sessions = compat.Sessions()
    compat.keep_sessions(app, sessions)
    mailboxes = compat.Mailboxes(compat.queue_of(app))
    assert app.middleware_stack is not None, "Starlette has made it when the lifespan begins"
    gateway = Gateway(
        app.middleware_stack,
        is_private=partial(compat.is_private, app),
        knows=mailboxes.knows,
        note=sessions.note,
        answers=answers,
    )
    app.middleware_stack = gateway

    async def sweep() -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            answers.sweep()
            mailboxes.sweep(gateway.read)

    sweeping = asyncio.create_task(sweep())
    try:
        yield
    finally:
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping


def queued(page: gr.Blocks) -> gr.Blocks:
    """A page whose events wait in a bounded queue, and cannot be run around it."""
    compat.set_environment()
    return page.queue(max_size=limits.QUEUE, api_open=False)


def options() -> dict[str, Any]:
    """How `launch` is to be called.

    The page is drawn by the browser alone (`ssr_mode`): the other way a second server stands before the gateway.
    """
    return {
        "theme": THEME,
        "footer_links": ["api", "settings"],
        "mcp_server": importlib.util.find_spec("mcp") is not None,
        "run_history": False,
        "max_threads": 40 + limits.QUEUE,  # those whose turn it is not wait in threads
        "enable_monitoring": False,
        "ssr_mode": False,
        "app_kwargs": {"lifespan": guarded, "openapi_url": None, "exception_handlers": HANDLERS},
    }
