"""What every endpoint needs: checked arguments, its visitor, and one sentence for whatever is wrong."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar, get_type_hints

import gradio as gr
from gradio.context import LocalContext

from attnflow.errors import SelectionError
from attnflow.records.head_names import head_name, shape_told
from attnflow.records.trace import Head
from attnflow.service import visitors
from attnflow.service.bounds import reading
from attnflow.service.registry import Parameter
from attnflow.service.visitors import serving
from attnflow.web import arguments
from attnflow.web.answering import one_sentence
from attnflow.web.signin import current_visitor
from attnflow.web.waiting import MARK, answers

P = ParamSpec("P")
R = TypeVar("R")


SHARED = {
    "model": 'Hub id such as "google-bert/bert-base-uncased", with "@revision" if needed, or "demo/finetuned".',
    "sentence_a": "The first sentence.",
    "sentence_b": "The second sentence; may be empty.",
    "position": "Number of the token whose prediction is meant, from 0, of a checkpoint that predicts something of "
    "each; left out, the usual one: the first word, the first mask, the last token, or where the answer begins.",
    "pruned": "Heads to switch off as [layer, head], both counted from 0.",
    "truncate": "Whether a text that is too long is cut, token by token from the end of the longer sentence, instead "
    "of refused; the answer says how much is left out.",
    "texts": 'The collection: "demo/pairs", or the id of a data set of the Hub, such as "nyu-mll/glue".',
    "name": "Configuration of a data set of the Hub; empty for the first.",
    "split": "Split of a data set of the Hub; empty for the only one, or validation, or train.",
    "revision": "Branch, tag or commit of a data set of the Hub; empty for the newest.",
    "columns": 'Columns that are not to be guessed, such as ["text_a=premise", "text_b=", "label=gold"]; an empty one '
    "is not used.",
    "labels": 'Classes of the model for labels that do not have their names, such as ["1=entailment", "-1="].',
    "rows": "How many texts are drawn, in the proportions of their labels.",
    "seed": "The same seed draws the same texts.",
    "too_long": 'Whether a text that is too long is cut ("cut") or left out ("leave_out").',
    "offset": "The first row of the answer, from 0.",
    "file": "A file of your own in the place of texts: CSV, TSV, JSON Lines, Parquet, TXT, CoNLL-U or CoNLL-2012, as "
    'handle_file("pairs.csv") sends it. It is read for this call alone, and forgotten with it.',
    "limit": "How many rows the answer has at most; up to 1000.",
    "chat": "Whether the pair is read as a conversation in the chat template of the checkpoint: the first sentence as "
    "the user's message, the second, if any, as the assistant's answer.",
}
"""What the arguments are that most endpoints have."""
READING = ("truncate", "chat")
"""How a text is read, which every endpoint can be told: see `reading`."""


def endpoint(*parameters: Parameter, one_text: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Publish a function: check every argument, run it for its visitor, and tell what fails in one sentence.

    What belongs to an analysis is described there alone: a keyword-only parameter without a default takes type, default
    and description from the parameter of the same name, and can be given by position as all others. Each argument is
    described in the published documentation: by the docstring, else by its `Parameter`, else by `SHARED`.

    The function gets more parameters at the end: those of `READING`, which say how a text is read, and one that Gradio
    fills with the visitor's own Hub token: that of his sign-in, or what a program gave as `Client(...,
    oauth_token=...)`. That one is no argument of the endpoint.

    Args:
        *parameters: Those of the analyses that it asks.
        one_text: Whether it reads one text, so that `READING` says how.
    """
    reads = READING if one_text else ()
    known = {parameter.name: parameter for parameter in parameters}

    def publish(function: Callable[P, R]) -> Callable[P, R]:
        signature, hints = published(function, known, reads)
        defaults = {name: one.default for name, one in signature.parameters.items() if one.default is not one.empty}
        own = inspect.Parameter(
            "oauth_token", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=gr.OAuthToken | None
        )

        run: Callable[..., R] = function  # by name, with what was checked

        @wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            token = kwargs.pop("oauth_token", None)
            if len(args) > len(signature.parameters):
                args, token = args[:-1], args[-1]
            with one_sentence(), serving(current_visitor(token)), visitors.calls.one(visitors.name()):
                given = defaults | arguments.bound(signature, hints, *args, **kwargs)
                with reading(**{name: given.pop(name) for name in reads}):
                    answer = run(**given)
                return answers.keep(answer) if _through_the_gateway() else answer

        guarded.__doc__ = documentation(function, {**SHARED, **{name: one.says for name, one in known.items()}}, reads)
        guarded.__signature__ = signature.replace(parameters=[*signature.parameters.values(), own])  # pyright: ignore[reportAttributeAccessIssue]  # for `inspect`
        guarded.__annotations__ = {**function.__annotations__, **hints, own.name: own.annotation}
        return guarded

    return publish


def published(
    function: Callable[..., Any], known: Mapping[str, Parameter], reads: Sequence[str] = READING
) -> tuple[inspect.Signature, dict[str, Any]]:
    """Signature and types of an endpoint: those of its function, of analyses what it leaves to them, and `reads`."""
    signature, hints, filled = inspect.signature(function), get_type_hints(function), []
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY:
            one = one.replace(kind=one.POSITIONAL_OR_KEYWORD)
            if one.default is one.empty:
                told = known[one.name]
                one, hints[one.name] = one.replace(default=told.default, annotation=told.kind), told.kind
        filled.append(one)
    for name in reads:
        filled.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=False, annotation=bool))
    return signature.replace(parameters=filled), hints | dict.fromkeys(reads, bool)


def documentation(function: Callable[..., Any], told: Mapping[str, str], reads: Sequence[str] = READING) -> str:
    """The docstring of a function with a description of each of its parameters.

    Args:
        function: It describes what nothing else does, as Google's style has it.
        told: Descriptions of other parameters by name.
        reads: Those of `READING` that it has.

    Raises:
        KeyError: If nothing describes a parameter.
    """
    text, _, args = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
    own = {name: " ".join(says.split()) for name, says in _DESCRIBED.findall(args)}
    lines = [
        f"    {name}: {own[name] if name in own else told[name]}"
        for name in [*inspect.signature(function).parameters, *reads]
    ]
    return "\n".join([text, "", "Args:", *lines])


_DESCRIBED = re.compile(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", re.MULTILINE | re.DOTALL)


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


def sent_head(head: Any, name: str, shape: tuple[int, int]) -> Head:
    """The head of a model that a panel sent, by the layers of that model.

    Args:
        head: What was sent.
        name: Of the model.
        shape: Its layers and heads.

    Raises:
        SelectionError: If it is none of them.
    """
    if not isinstance(head, list | tuple) or len(head) != 2:
        raise SelectionError(f"head is {arguments.came(head)}; give layer and head.")
    own = whole_number("layer", head[0]), whole_number("head", head[1])
    if not all(0 <= index < size for index, size in zip(own, shape, strict=True)):
        raise SelectionError(f"{name} has no {head_name(own)}: it has {shape_told(*shape)}; choose one of these.")
    return own
