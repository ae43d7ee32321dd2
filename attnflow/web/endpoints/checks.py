"""What every endpoint needs: our errors reach the client as one sentence, and what JSON brings is checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.context import LocalContext

from attnflow.errors import AttnflowError, SelectionError
from attnflow.service.visitors import serving
from attnflow.web.signin import current_visitor
from attnflow.web.waiting import MARK, answers

MOST_HEADS = 4096
"""Heads that one request may name."""
P = ParamSpec("P")
R = TypeVar("R")


def endpoint(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function for its visitor, and let a client see the sentence of our own errors; Gradio hides all others.

    The function gets one more parameter at the end, which Gradio fills with the visitor's own Hub token: that of his
    sign-in, or what a program gave as `Client(..., oauth_token=...)`. It is no argument of the endpoint.
    """
    signature = inspect.signature(function)
    own = inspect.Parameter(
        "oauth_token", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=gr.OAuthToken | None
    )

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        token = kwargs.pop("oauth_token", None)
        if len(args) > len(signature.parameters):
            *args, token = args  # type: ignore[assignment]
        try:
            with serving(current_visitor(token)):
                answer = function(*args, **kwargs)
                return answers.keep(answer) if _through_the_gateway() else answer  # type: ignore[return-value]
        except AttnflowError as error:
            raise gr.Error(str(error), print_exception=False) from error

    guarded.__signature__ = signature.replace(parameters=[*signature.parameters.values(), own])  # type: ignore[attr-defined]
    guarded.__annotations__ = {**function.__annotations__, own.name: own.annotation}
    return guarded


def _through_the_gateway() -> bool:
    """Whether the answer goes out by the gateway, which fetches it where it waits."""
    request = getattr(LocalContext.request.get(None), "request", None)
    return request is not None and MARK in request.scope


def checked_heads(name: str, heads: Any) -> list[tuple[int, int]]:
    """Heads as pairs; none if None.

    Raises:
        SelectionError: If they are no list of pairs of whole numbers, or more than any model has. Whether they exist is
            checked where they serve.
    """
    if heads is None:
        return []
    if isinstance(heads, list | tuple) and len(heads) > MOST_HEADS:
        raise SelectionError(f"{name} has {len(heads):,} entries; give at most {MOST_HEADS:,} heads.")
    if not isinstance(heads, list | tuple) or not all(isinstance(h, list | tuple) and len(h) == 2 for h in heads):
        raise SelectionError(f"{name} is {str(heads)[:80]!r}; give a list of [layer, head], such as [[0, 3], [2, 1]].")
    return [(whole_number(f"a layer of {name}", at), whole_number(f"a head of {name}", head)) for at, head in heads]


def whole_number(name: str, value: Any) -> int:
    """A number that JSON may have turned into a float.

    Raises:
        SelectionError: If it is not whole.
    """
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or abs(value) > 10**9:
        raise SelectionError(f"{name} is {str(value)[:40]!r}; give a whole number, counted from 0.")
    return int(value)
