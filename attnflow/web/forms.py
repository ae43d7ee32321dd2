"""Records that a visitor fills in by controls: each field is described once, for page, events and the page's address.

A record is a frozen dataclass whose fields are made by `setting` or one of its kin. Its `Form` lays out a control for
each, reads what they hold as a record, and says how the address of the page tells it. Events take records (`wiring`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

import gradio as gr
from gradio.components import Component

from attnflow.views.payloads import LinkedSetting
from attnflow.web.gradio_compat import Unwritten

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class Control(Component):
        """A component with the events that Gradio gives to its class and `Component` does not tell of."""

        change: Any
        input: Any
        submit: Any
        key_up: Any


R = TypeVar("R", bound="DataclassInstance")
Choices: TypeAlias = Sequence[tuple[str, Any]]
"""What a control offers, as `(label, value)`."""

_SETTING = "attnflow.setting"


@dataclass(frozen=True)
class Setting:
    """One thing that a visitor sets."""

    control: Callable[[Any], Component]
    """Makes its control, which begins with a value."""
    link: str = ""
    """Its name in the address of the page; empty if the address does not tell it."""
    read: Callable[[str], Any] = str
    """The value that a text of the address stands for; None if it stands for nothing."""
    unless: str = ""
    """The switch of the same record that chooses this one while it is on: the address tells one of the two."""
    offers: Callable[[Any], Choices] | None = None
    """The choices of a control that gets them with an analysis, before there is one."""
    more: bool = False
    """Whether it is seldom needed, and so stands apart."""


def setting(default: Any, control: Callable[[Any], Component], **described: Any) -> Any:
    """A field of a record that a visitor fills in.

    Args:
        default: What an empty control stands for, and the address leaves out.
        control: Makes the control, which begins with a value.
        **described: The rest of `Setting`.
    """
    return field(default=default, metadata={_SETTING: Setting(control, **described)})


def number(default: float, low: float, high: float, step: float, **described: Any) -> Any:
    """A number that is set by a slider; what the address tells is brought within its bounds as the slider does it."""

    def read(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return min(max(value, low), high) if math.isfinite(value) else None

    rest, look = _parted(described)
    return setting(default, lambda value: Slider(low, high, value, step=step, **look), read=read, **rest)


def switch(default: bool, **described: Any) -> Any:
    """Something that is on or off: "1" or "0" in the address."""
    rest, look = _parted(described)
    read = {"1": True, "0": False}.get
    return setting(default, lambda value: gr.Checkbox(value, **look), read=read, **rest)


def choice(default: Any, choices: Choices, **described: Any) -> Any:
    """One of a few choices, all of which are seen."""
    rest, look = _parted(described)
    read = {str(value): value for _, value in choices}.get
    return setting(default, lambda value: gr.Radio(list(choices), value=value, **look), read=read, **rest)


def _parted(described: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What belongs to a `Setting`, and how its control looks."""
    own = {one.name for one in fields(Setting)}
    rest = {name: value for name, value in described.items() if name in own}
    return rest, {name: value for name, value in described.items() if name not in own}


class Slider(gr.Slider, metaclass=Unwritten):
    """A slider that takes what its box shows once it is left: the end for a number beyond it, the minimum for none."""

    def preprocess(self, payload: float | None) -> float:
        """Pass a number within bounds on."""
        value = self.minimum if payload is None else payload
        return super().preprocess(min(max(value, self.minimum), self.maximum))


class Form(Generic[R]):
    """The controls of a record.

    Args:
        start: What they hold at first.
    """

    def __init__(self, start: R) -> None:
        self._start = start
        self._record = type(start)
        self._settings: dict[str, Setting] = {one.name: one.metadata[_SETTING] for one in fields(start)}
        self._defaults = {one.name: one.default for one in fields(start)}
        self._controls: dict[str, Control] = {}

    def place(self, *, more: bool = False) -> None:
        """Lay out the controls here, or those that stand apart."""
        for name, described in self._settings.items():
            if described.more == more:
                value = getattr(self._start, name)
                control = described.control(list(value) if isinstance(value, tuple) else value)
                self._controls[name] = cast("Control", control)

    @property
    def names(self) -> tuple[str, ...]:
        """All fields."""
        return tuple(self._settings)

    def __getitem__(self, name: str) -> Control:
        """The control of a field."""
        return self._controls[name]

    @property
    def controls(self) -> list[Control]:
        """All controls, in the order of the fields."""
        return [self._controls[name] for name in self._settings]

    def read(self, values: Sequence[Any]) -> R:
        """The record that the controls hold.

        Args:
            values: Of the controls, in their order; None for one that is empty, which stands for the default.
        """
        held = {
            name: self._defaults[name] if value is None else tuple(value) if isinstance(value, list) else value
            for name, value in zip(self._settings, values, strict=True)
        }
        return self._record(**held)

    def restored(self, query: Mapping[str, str]) -> list[Any]:
        """An update of each control from the address of the page; what it does not tell stays.

        Args:
            query: Texts of the address by name.
        """
        told = {
            name: described.read(query[described.link])
            for name, described in self._settings.items()
            if described.link and described.link in query
        }
        told = {name: value for name, value in told.items() if value is not None}
        told |= {self._settings[name].unless: False for name in told if self._settings[name].unless}
        return [self._restored(name, told[name]) if name in told else gr.skip() for name in self._settings]

    def _restored(self, name: str, value: Any) -> Any:
        offers = self._settings[name].offers
        return gr.update(value=value) if offers is None else gr.update(choices=list(offers(value)), value=value)

    @property
    def linked(self) -> list[LinkedSetting]:
        """How the address tells each field, for the script that writes it."""
        return [
            {"name": name, "link": one.link, "unless": one.unless, "plain": self._defaults[name]}
            for name, one in self._settings.items()
        ]
