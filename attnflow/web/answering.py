"""Every call of the page and of programs gets a result or one sentence, whatever was sent and whatever fails."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from gradio.helpers import special_args
from gradio.route_utils import FnIndexInferError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from attnflow.errors import AttnflowError, SelectionError
from attnflow.web import arguments
from attnflow.web.gradio_compat import LeanBlocks

_LOG = logging.getLogger(__name__)
_PYTHON_TYPE = re.compile(r" \(type: <class '\w+'>\)")


class Told(gr.Error):
    """One sentence for who called; Gradio hides what any other exception says."""

    def __init__(self, message: str, title: str = "Error") -> None:
        super().__init__(message, title=title, print_exception=False)


@contextmanager
def one_sentence(title: str = "Error") -> Iterator[None]:
    """Turn whatever fails into one sentence: our errors say it themselves, all others are in the log by a reference.

    Args:
        title: What the page shows above it.
    """
    try:
        yield
    except AttnflowError as error:
        raise Told(str(error), title) from error
    except Told:
        raise
    except gr.Error as error:  # from a control of the page that was sent what it does not offer
        sent = _PYTHON_TYPE.sub("", str(error.message).partition(" is not in ")[0])
        raise Told(
            f"A control of the page does not offer what was sent for it ({arguments.came(sent)}); reload the page and "
            "choose again.",
            title,
        ) from error
    except Exception as error:
        raise Told(logged(error), title) from error


def logged(error: Exception) -> str:
    """Write an error to the log, and return the sentence that refers to it."""
    reference = secrets.token_hex(4)
    _LOG.error("reference %s", reference, exc_info=error)
    return (
        f"This failed for a reason that is not yours, which the log of this server has under {reference}; try again, "
        "or report that reference."
    )


class AnsweringBlocks(LeanBlocks):
    """A page whose events and endpoints check what they are sent and always answer."""

    async def process_api(
        self,
        block_fn: Any,
        inputs: list[Any],
        *args: Any,
        event_data: gr.EventData | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Run an event or endpoint: all calls come through here, queued or not."""
        with one_sentence():
            function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
            if not function.fn:
                raise SelectionError("This event runs in the browser alone, so there is nothing to call.")
            if event_data is not None and special_args(function.fn)[2] is not None:
                event_data = gr.EventData(event_data.target, arguments.plain_event(event_data._data))
            inputs = arguments.inputs_of(function.fn, function.inputs, inputs)
            return await super().process_api(block_fn, inputs, *args, event_data=event_data, **kwargs)


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    """A call of something by a name or number that nothing has."""
    _LOG.info("nothing of this name or number", exc_info=error)
    return _refusal(404, "There is no event or endpoint of this name or number; ask /gradio_api/info which there are.")


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    """A body that is no call at all."""
    places = error.errors()[:3] if isinstance(error, RequestValidationError) else []
    where = ", ".join(str(one["loc"][-1])[:40] for one in places) or "body"
    return _refusal(422, f"This request cannot be read (see {where}); send a JSON object whose data is a list.")


async def _refused(request: Request, error: Exception) -> Response:
    """What the server itself refuses; of a body that it cannot parse it would say so less clearly."""
    assert isinstance(error, HTTPException)
    if not str(error.detail).endswith(".") and error.status_code == 400:
        return await _malformed(request, error)
    return await http_exception_handler(request, error)


async def _miscalled(request: Request, error: Exception) -> JSONResponse:
    """Gradio itself puts the named arguments of a call in order, and so finds what is missing or unknown."""
    if "/call/v2/" not in request.url.path:
        return await _failed(request, error)
    found = str(error).partition(" Please ")[0].rstrip(".").replace("`", "")[:120]
    return _refusal(422, f"This call does not fit its endpoint ({found}); ask /gradio_api/info for its arguments.")


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """A failure that is nobody's doing who called."""
    return _refusal(500, logged(error))


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence, "detail": sentence}, status)


HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    KeyError: _unknown,
    FnIndexInferError: _unknown,
    RequestValidationError: _malformed,
    HTTPException: _refused,
    TypeError: _miscalled,
    Exception: _failed,
}
"""For what fails before a call has begun; given to the server."""
