"""What a call brings is checked against what it is for, a parameter of an endpoint or a control of the page."""

from __future__ import annotations

import inspect
import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypedDict, Union, get_args, get_origin

import gradio as gr
from gradio.blocks import Block
from gradio.components.api_component import Api

from attnflow import limits
from attnflow.errors import SelectionError

MOST_ENTRIES = 4096
"""Of one list: more heads than any checkpoint has that can be analysed here."""
LARGEST = 10**9
_SHOWN = 80


class SentFile(TypedDict):
    """A file that was sent to `/gradio_api/upload`, as `gradio_client.handle_file` does: what that answered.

    What reaches a function is `path` alone, as a text: Gradio would fetch whatever an object with a path or an address
    names.
    """

    path: str


class _Came(reprlib.Repr):
    """What came, as JSON names it, and never more of it than can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict = 3, 4, 3

    def repr_NoneType(self, x: None, level: int) -> str:
        return "null"

    def repr_bool(self, x: bool, level: int) -> str:
        return "true" if x else "false"

    def repr_int(self, x: int, level: int) -> str:
        # A number of many thousand digits cannot even be written down.
        return str(x) if abs(x) < 10**30 else f"a number of about {int(x.bit_length() * 0.30103)} digits"

    def repr_str(self, x: str, level: int) -> str:
        return repr(x) if len(x) <= _SHOWN else f"{x[:_SHOWN]!r}…"


def came(value: Any) -> str:
    """What was sent, in few characters, for a sentence that refuses it.

    Example:
        >>> came([None, True, "x", [[1]] * 9])
        "[null, true, 'x', [[1], [1], [1], [1], ...]]"
    """
    text = _Came().repr(value)
    return text if len(text) <= 2 * _SHOWN else f"{text[: 2 * _SHOWN]}…"


def checked(name: str, value: Any, kind: Any) -> Any:
    """A value of a kind; a whole number that JSON has turned into a float becomes one again.

    Args:
        name: Of the argument.
        value: What JSON brought.
        kind: An annotation made of `str`, `int`, `float`, `bool`, `None`, `Literal`, `list[…]`, `SentFile` and `|`.

    Raises:
        SelectionError: In the words *argument NAME is …; give …*, if it is of another kind or too large.
    """
    kinds = _alternatives(kind)
    if isinstance(value, str) and str in kinds and len(value) > limits.MAX_CHARACTERS:
        raise SelectionError(
            f"argument {name} is a text of {len(value):,} characters ({came(value)}); give at most "
            f"{limits.MAX_CHARACTERS:,} characters."
        )
    if isinstance(value, list) and len(value) > MOST_ENTRIES and any(get_origin(one) is list for one in kinds):
        raise SelectionError(
            f"argument {name} is a list of {len(value):,} entries; give at most {MOST_ENTRIES:,} entries."
        )
    for one in kinds:
        fits, found = _fitting(value, one)
        if fits:
            return found
    if isinstance(value, str) and str in kinds and not _has_whole_characters(value):
        raise SelectionError(
            f"argument {name} is {came(value)}, which holds half of a character (a lone surrogate); remove it."
        )
    if isinstance(value, int | float) and abs(value) > LARGEST and (int in kinds or float in kinds):
        wanted = f"{_wanted(kinds)}, from {-LARGEST:,} to {LARGEST:,}"
        raise SelectionError(f"argument {name} is {came(value)}; give {wanted}.")
    raise SelectionError(f"argument {name} is {came(value)}; give {_wanted(kinds)}.")


def bound(signature: inspect.Signature, hints: Mapping[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The arguments of a call by name, each of the kind that its annotation names.

    Args:
        signature: Of what is called.
        hints: Its annotations, evaluated.
        *args: Arguments by position.
        **kwargs: Arguments by name.

    Raises:
        SelectionError: If one is missing, unknown, or of another kind.
    """
    names = list(signature.parameters)
    unknown = [name for name in kwargs if name not in names]
    if unknown or len(args) > len(names):
        extra = unknown[0] if unknown else f"number {len(names) + 1}"
        raise SelectionError(f"argument {came(extra)} is unknown; give {', '.join(names)}.")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    for name, parameter in signature.parameters.items():
        if name not in given and parameter.default is parameter.empty:
            raise SelectionError(f"argument {name} is missing; give {_wanted(_alternatives(hints[name]))}.")
    return {name: checked(name, value, hints[name]) for name, value in given.items()}


def inputs_of(function: Callable[..., Any], components: Sequence[Block], values: Sequence[Any]) -> list[Any]:
    """What an event or endpoint was sent, before Gradio reads it: it would fetch the files that are named.

    Values of the page's controls are checked by the control. Those of endpoints are only counted and kept from naming
    files, but for a `SentFile`, which becomes a text; for their annotations are checked by `bound`. What is left out at
    the end is filled with the defaults.

    Args:
        function: The event or endpoint.
        components: What its values come from.
        values: What came.

    Raises:
        SelectionError: If there are too few or too many values, or one is of another kind.
    """
    parameters = list(inspect.signature(function).parameters.values())
    names = [
        parameters[place].name if isinstance(component, Api) else _label(component, place)
        for place, component in enumerate(components)
    ]
    if len(values) > len(components):
        extra = came(values[len(components)])
        raise SelectionError(
            f"argument number {len(components) + 1} is one too many ({extra}); give {len(components) or 'none'}."
        )
    values = list(values)
    for place in range(len(values), len(components)):
        default = parameters[place].default if isinstance(components[place], Api) else inspect.Parameter.empty
        if default is inspect.Parameter.empty:
            raise SelectionError(f"argument {names[place]} is missing; give all {len(components)}.")
        values.append(default)
    kinds = getattr(function, "__annotations__", {})
    for place, (name, component, value) in enumerate(zip(names, components, values, strict=True)):
        if isinstance(component, Api) and SentFile in _alternatives(kinds.get(name)):
            values[place] = checked(name, value, kinds[name])
            continue
        if component.stateful:  # kept on the server; what is sent in its place is never read
            continue
        if _holds_object(value):
            raise SelectionError(f"argument {name} is {came(value)}; give no object and no file; none is read here.")
        checked(name, value, _given_by(component))
    return values


def plain_event(data: Any) -> dict[str, Any]:
    """What a panel tells of an event, as names with plain values; empty if it tells nothing.

    Raises:
        SelectionError: If it is anything else.
    """
    if data is None:
        return {}
    if not isinstance(data, dict) or any(_holds_object(value) for value in data.values()):
        raise SelectionError(f"argument event_data is {came(data)}; give what the page sends, or reload it.")
    return data


def _holds_object(value: Any) -> bool:
    """Whether there is a JSON object at any depth; without recursion, for it may be nested without end."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            return True
        if isinstance(one, list | tuple):
            waiting.extend(one)
    return False


def _label(component: Block, place: int) -> str:
    label = getattr(component, "label", None)
    return repr(label) if label else f"number {place + 1}"


def _given_by(component: Block) -> Any:
    """What a control of the page can send."""
    if isinstance(component, gr.Textbox):
        return str | None
    if isinstance(component, gr.Checkbox):
        return bool | None
    if isinstance(component, gr.Slider | gr.Number):
        return float | None
    if isinstance(component, gr.Dataset):
        return int
    if isinstance(component, gr.Dropdown) and component.multiselect:
        return list[str] | None
    if isinstance(component, gr.Radio):
        # Made while the page runs, for `checked` to read.
        return Literal[tuple(value for _, value in component.choices)] | None  # pyright: ignore[reportOperatorIssue]
    if isinstance(component, gr.Dropdown):  # what it offers changes, so Gradio itself keeps to its choices
        return str | None if component.allow_custom_value else str | int | None
    if isinstance(component, gr.BrowserState):
        return list[str] | None
    return Any


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _fitting(value: Any, kind: Any) -> tuple[bool, Any]:
    """Whether a value is of one kind, and the value as it is then passed on."""
    if kind is Any:
        return True, value
    if kind in (None, NoneType):
        return value is None, None
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind), value
    if get_origin(kind) is list:
        if not isinstance(value, list | tuple) or len(value) > MOST_ENTRIES:
            return False, None
        entries = [_fitting(one, get_args(kind)[0]) for one in value]
        return all(fits for fits, _ in entries), [found for _, found in entries]
    if kind is SentFile:
        called = value.get("path") if isinstance(value, dict) else value
        return isinstance(called, str) and 0 < len(called) <= _SHOWN and _has_whole_characters(called), called
    if kind is str:
        fits = isinstance(value, str) and len(value) <= limits.MAX_CHARACTERS and _has_whole_characters(value)
        return fits, value
    if kind is bool:
        return isinstance(value, bool), value
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST <= value <= LARGEST:
        return False, None  # NaN is in no range
    if kind is int:
        return isinstance(value, int) or value.is_integer(), math.trunc(value)
    return kind is float, value


def _has_whole_characters(text: str) -> bool:
    """Whether a text can be sent back: JSON can name half of a character, UTF-8 cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _wanted(kinds: Sequence[Any], many: bool = False) -> str:
    """What to give instead, in words."""
    return " or ".join(_word(one, many) for one in kinds)


def _word(kind: Any, many: bool) -> str:
    if kind in (None, NoneType):
        return "null"
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if get_origin(kind) is list:
        inner = get_args(kind)[0]
        example = ", such as [[0, 3], [2, 1]]" if inner == list[int] and not many else ""
        return f"{'lists' if many else 'a list'} of {_wanted(_alternatives(inner), many=True)}{example}"
    one, several = {
        str: ("a text", "texts"),
        int: ("a whole number", "whole numbers"),
        float: ("a number", "numbers"),
        bool: ("true or false", "true or false"),
        SentFile: ("a file that you sent, such as handle_file('pairs.csv')", "files"),
    }[kind]
    return several if many else one
