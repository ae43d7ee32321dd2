"""Every call of the page and of programs gets a result or one sentence, whatever was sent and whatever fails."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio.helpers import EventData, special_args
from gradio.route_utils import FnIndexInferError
from starlette.requests import Request
from starlette.responses import JSONResponse

from attnflow.errors import AttnflowError, SelectionError
from attnflow.web import arguments

_LOG = logging.getLogger(__name__)


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
    except gr.Error as error:  # a control of the page that was sent what it does not offer
        raise Told(
            f"A value does not suit the control of the page it is for ({arguments.came(error.message)}); reload the "
            "page and choose again.",
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


class AnsweringBlocks(gr.Blocks):
    """A page whose events and endpoints check what they are sent and always answer."""

    async def process_api(
        self,
        block_fn: Any,
        inputs: list[Any],
        *args: Any,
        event_data: EventData | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Run an event or endpoint: all calls come through here, queued or not."""
        with one_sentence():
            function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
            if not function.fn:
                raise SelectionError("This event runs in the browser alone, so there is nothing to call.")
            if event_data is not None and special_args(function.fn)[2] is not None:
                event_data = EventData(event_data.target, arguments.plain_event(event_data._data))
            inputs = arguments.inputs_of(function.fn, function.inputs, inputs)
            return await super().process_api(block_fn, inputs, *args, event_data=event_data, **kwargs)


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    """A call of something by a name or number that nothing has."""
    return _refusal(404, "There is no event or endpoint of this name or number; ask /gradio_api/info which there are.")


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    """A body that is no call at all."""
    assert isinstance(error, RequestValidationError)
    where = ", ".join(str(one["loc"][-1])[:40] for one in error.errors()[:3])
    return _refusal(422, f"This request cannot be read (see {where}); send a JSON object whose data is a list.")


async def _failed(request: Request, error: Exception) -> JSONResponse:
    return _refusal(500, logged(error))


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence, "detail": sentence}, status)


HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[JSONResponse]]] = {
    KeyError: _unknown,
    FnIndexInferError: _unknown,
    RequestValidationError: _malformed,
    Exception: _failed,
}
"""For what fails before a call has begun; given to the server."""
