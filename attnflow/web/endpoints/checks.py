"""What every endpoint needs: checked arguments, its visitor, and one sentence for whatever is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

import gradio as gr
from gradio.context import LocalContext

from attnflow.errors import SelectionError
from attnflow.records.trace import Head
from attnflow.service import visitors
from attnflow.service.bounds import cutting
from attnflow.service.visitors import serving
from attnflow.web import arguments
from attnflow.web.answering import one_sentence
from attnflow.web.signin import current_visitor
from attnflow.web.waiting import MARK, answers

P = ParamSpec("P")
R = TypeVar("R")


def endpoint(function: Callable[P, R]) -> Callable[P, R]:
    """Check every argument by its annotation, run a function for its visitor, and tell what fails in one sentence.

    The function gets two more parameters at the end: `truncate`, whether a text that is too long is cut, and one that
    Gradio fills with the visitor's own Hub token: that of his sign-in, or what a program gave as `Client(...,
    oauth_token=...)`. That one is no argument of the endpoint.
    """
    function = _cut_if_asked(function)
    signature, hints = inspect.signature(function), get_type_hints(function)
    own = inspect.Parameter(
        "oauth_token", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=gr.OAuthToken | None
    )

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        token = kwargs.pop("oauth_token", None)
        if len(args) > len(signature.parameters):
            *args, token = args  # type: ignore[assignment]
        with one_sentence(), serving(current_visitor(token)), visitors.calls.one(visitors.name()):
            answer = function(**arguments.bound(function, hints, *args, **kwargs))
            return answers.keep(answer) if _through_the_gateway() else answer  # type: ignore[return-value]

    guarded.__signature__ = signature.replace(parameters=[*signature.parameters.values(), own])  # type: ignore[attr-defined]
    guarded.__annotations__ = {**function.__annotations__, own.name: own.annotation}
    return guarded


_TRUNCATE = """
        truncate: Whether a text that is too long is cut, token by token from the end of the longer sentence, instead of
            refused; the answer says how much is left out.
    """


def _cut_if_asked(function: Callable[P, R]) -> Callable[P, R]:
    """The same function with an argument `truncate`."""
    signature = inspect.signature(function)
    own = inspect.Parameter("truncate", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False, annotation="bool")

    @wraps(function)
    def cut(*args: P.args, **kwargs: P.kwargs) -> R:
        with cutting(bool(kwargs.pop("truncate", False))):
            return function(*args, **kwargs)

    cut.__signature__ = signature.replace(parameters=[*signature.parameters.values(), own])  # type: ignore[attr-defined]
    cut.__annotations__ = {**function.__annotations__, "truncate": bool}
    cut.__doc__ = (function.__doc__ or "").rstrip() + _TRUNCATE
    return cut


def _through_the_gateway() -> bool:
    """Whether the answer goes out by the gateway, which fetches it where it waits."""
    request = getattr(LocalContext.request.get(None), "request", None)
    return request is not None and MARK in request.scope


def checked_heads(name: str, heads: Any) -> list[Head]:
    """Heads as pairs; none if None.

    Raises:
        SelectionError: If they are no list of pairs of whole numbers, or more than any model has. Whether they exist is
            checked where they serve.
    """
    if heads is None:
        return []
    if not isinstance(heads, list | tuple) or not all(isinstance(h, list | tuple) and len(h) == 2 for h in heads):
        raise SelectionError(
            f"{name} is {arguments.came(heads)}; give a list of [layer, head], such as [[0, 3], [2, 1]]."
        )
    return [(whole_number(f"a layer of {name}", at), whole_number(f"a head of {name}", head)) for at, head in heads]


def checked_head(name: str, head: Any) -> Head:
    """One head as a pair; whether it exists is checked where it serves.

    Raises:
        SelectionError: If it is no pair of whole numbers.
    """
    if not isinstance(head, list | tuple) or len(head) != 2:
        raise SelectionError(f"{name} is {str(head)[:80]!r}; give [layer, head], such as [0, 3].")
    return whole_number(f"the layer of {name}", head[0]), whole_number(f"the head of {name}", head[1])


def whole_number(name: str, value: Any) -> int:
    """A number that JSON may have turned into a float.

    Raises:
        SelectionError: If it is not whole.
    """
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or abs(value) > 10**9:
        raise SelectionError(f"{name} is {arguments.came(value)}; give a whole number, counted from 0.")
    return int(value)
