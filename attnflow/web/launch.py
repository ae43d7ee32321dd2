"""How the page is served: with the gateway before it, nothing of Gradio that it does not need, and a broom."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import gradio as gr
from gradio.routes import App

from attnflow import limits
from attnflow.checkpoints import terminal, tokenizer_process
from attnflow.errors import AttnflowError
from attnflow.service import zero_gpu
from attnflow.service.bounds import check_running
from attnflow.service.uploads import uploads
from attnflow.web import gradio_compat as compat
from attnflow.web.answering import HANDLERS
from attnflow.web.gateway import Gateway
from attnflow.web.page import THEME, build
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
        cancel=mailboxes.cancel,
        answers=answers,
    )
    app.middleware_stack = gateway

    def sweep() -> None:
        answers.sweep()
        uploads.sweep()
        mailboxes.sweep(gateway.read)

    sweeping = asyncio.create_task(_keep_doing(sweep))
    try:
        yield
    finally:
        sweeping.cancel()
        with suppress(asyncio.CancelledError):
            await sweeping


async def _keep_doing(sweep: Callable[[], None]) -> None:
    """Sweep every two seconds; a time that fails is in the log and not the last, as memory would fill up."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            sweep()
        except Exception:
            logging.getLogger(__name__).exception("what visitors left could not be swept away")


def ready() -> gr.Blocks:
    """The page as it is served, in a process whose terminal is not written to by transformers."""
    terminal.silence()
    zero_gpu.prepare()  # before the page is built, which starts threads
    return queued(build())


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


def serve(page: gr.Blocks, *, host: str | None = None, port: int | None = None) -> None:
    """Serve a page until the process is interrupted.

    Args:
        page: As `ready` makes it.
        host: Address to listen on, or a name of this machine, under which the gateway then answers; Gradio's own
            choice, the machine itself or `GRADIO_SERVER_NAME`, if None.
        port: Port to listen on; that of the environment variable `PORT`, or the first free one from 7860, if None.

    Raises:
        AttnflowError: If nothing can listen there, `PORT` is no port, or checkpoints cannot run where and as they are
            to.
    """
    check_running()
    port = port_number(os.environ["PORT"]) if port is None and os.environ.get("PORT") else port
    if host is not None:
        os.environ["GRADIO_SERVER_NAME"] = host  # one of the names that `origins` answers to
    tokenizer_process.warm()  # so that the first visitor need not wait for it
    try:
        if host is not None:
            _bind(host, port or 0)
        page.launch(**options(), server_name=host, server_port=port)
    except (OSError, UnicodeError) as error:
        place = f"port {port or 7860} of {host or 'this machine'}"
        raise AttnflowError(f"Nothing can listen on {place}; choose another port or address.") from error


def _bind(host: str, port: int) -> None:
    """Listen there for a moment: with an address that is none Gradio tries a hundred ports, five seconds each."""
    family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind(address)


def port_number(text: str) -> int:
    """Read the number of a port.

    Raises:
        AttnflowError: If it is none.
    """
    if text.isascii() and text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise AttnflowError(f"The port is {text!r}; it must be a whole number from 1 to 65535.")
