"""How events of the page are connected: what they read by name, who asks, and one sentence for whatever fails.

Gradio passes the values of components by position. `on` is the one place where they become the values and records that
an event is written for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeAlias

import gradio as gr
from gradio.components import Component

from attnflow.service.visitors import serving
from attnflow.service.wanted import Wanted
from attnflow.web.answering import one_sentence
from attnflow.web.forms import Form
from attnflow.web.panels import Panel
from attnflow.web.signin import current_visitor
from attnflow.web.working import FAILED, in_card

# What a person does with the page: answered at once, however many do so, and no endpoint of the API. It goes through
# the queue all the same: outside of it Gradio shows no sentence of an error, and does not tell that a State changed.
CLICK: dict[str, Any] = {
    "queue": True,
    "concurrency_limit": None,
    "show_progress": "hidden",
    # Nowhere: else Gradio tells every output each step of every event, and copies all that the output shows to do so.
    "show_progress_on": [],
    "api_visibility": "private",
    "trigger_mode": "always_last",
}
# What answers while a visitor types, and has no error to tell.
TYPING: dict[str, Any] = {**CLICK, "queue": False, "concurrency_limit": "default"}
# What runs a model, perhaps for long: a card shows how far it is, and what is asked for next ends it. Whose turn it is
# the workspace says (`service.places`).
WORK: dict[str, Any] = {**CLICK, "trigger_mode": "multiple"}

Source: TypeAlias = "Component | Form[Any]"
"""What an event reads: one value of a component, or the record of a form."""


def components(sources: Sequence[Source]) -> list[Component]:
    """All components that an event reads."""
    return [one for source in sources for one in (source.controls if isinstance(source, Form) else [source])]


def arguments_of(sources: Sequence[Source], values: Sequence[Any]) -> list[Any]:
    """What an event gets: for each source its value or record."""
    rest = iter(values)
    return [
        source.read([next(rest) for _ in source.controls]) if isinstance(source, Form) else next(rest)
        for source in sources
    ]


def on(
    triggers: Any,
    function: Callable[..., Any],
    sources: Sequence[Source],
    outputs: Component | Sequence[Component],
    **options: Any,
) -> Any:
    """Connect an event; what fails is told in one sentence.

    Args:
        triggers: What happens, such as `button.click`, or several of them.
        function: Called with a value or record for each source and, if it has a parameter `event`, with the event;
            returns, or yields, values of the outputs.
        sources: What it reads.
        outputs: What it fills.
        **options: As Gradio takes them.
    """
    called, inputs = positional(told(function), sources), components(sources)
    filled = list(outputs) if isinstance(outputs, Sequence) else outputs
    connect = (
        (lambda *args, **kwargs: gr.on(list(triggers), *args, **kwargs)) if isinstance(triggers, Sequence) else triggers
    )
    return connect(called, inputs, filled, **options)


def on_card(
    triggers: Any,
    function: Callable[..., Any],
    sources: Sequence[Source],
    outputs: Sequence[Component],
    card: Panel | None = None,
    **options: Any,
) -> Any:
    """Connect an event that may take longer than a moment: its card shows how far it is, and why it failed.

    Args:
        triggers: As `on` takes them.
        function: Called with a value or record for each source; returns or yields values of the outputs. It is run in a
            thread, where `working.shower` shows what is found on the way.
        sources: What it reads.
        outputs: What it fills.
        card: The panel that waits, one of the outputs; the first of them if None.
        **options: As `working.in_card` takes them; `when` is called with the same values and records.
    """
    card = card or next(one for one in outputs if isinstance(one, Panel))
    if card.wanted is None:
        card.wanted = gr.State(Wanted())
        events: Any = card  # Gradio gives it the events that it names
        on(events.cancel, lambda wanted: wanted.cancel(), [card.wanted], [], **CLICK)
    if "when" in options:
        options["when"] = positional(options["when"], sources)
    steps = in_card(positional(function, sources), card, outputs, **options)
    connect = (
        (lambda *args, **kwargs: gr.on(list(triggers), *args, **kwargs)) if isinstance(triggers, Sequence) else triggers
    )
    return connect(steps, [card.wanted, *components(sources)], list(outputs), **WORK)


@dataclass(frozen=True)
class Verb:
    """Something that any part of the page may ask for."""

    act: Callable[..., Any]
    """Called with what is shown, what is asked for, and the rest of `sources`; returns values of the outputs."""
    sources: Sequence[Source]
    """What is shown, first, and what else it reads."""
    outputs: Sequence[Component]
    follow: Callable[[Any], Any] = lambda event: event
    """Connects to the event what comes after it."""

    def on(self, triggers: Any, find: Callable[..., Any], sources: Sequence[Source] = ()) -> Any:
        """Ask for it when something happens.

        Args:
            triggers: What happens, such as `button.click`, or several of them.
            find: Called with what is shown, a value or record for each source and, if it has a parameter `event`, with
                the event; returns what is asked for, or None for nothing.
            sources: What `find` reads.
        """
        n_own = len(self.sources)

        def ask(shown: Any, *values: Any, **event: Any) -> Any:
            own, others = values[: n_own - 1], values[n_own - 1 :]
            wanted = find(shown, *others, **event)
            return gr.skip() if wanted is None else self.act(shown, wanted, *own)

        ask.__signature__ = inspect.signature(find)  # whether it takes the event
        ask.__name__ = self.act.__name__
        return self.follow(on(triggers, ask, [*self.sources, *sources], self.outputs, **CLICK))


def positional(function: Callable[..., Any], sources: Sequence[Source]) -> Callable[..., Any]:
    """A function of records as Gradio calls it: with the value of each component, after the event if there is one."""
    takes_event = "event" in inspect.signature(function).parameters
    if inspect.isgeneratorfunction(function):
        assert not takes_event, "an event that yields is not told what happened"

        def steps(*values: Any) -> Iterator[Any]:
            yield from function(*arguments_of(sources, values))

        called: Callable[..., Any] = steps
    elif takes_event:
        # Gradio puts the event where the parameter stands, and a parameter after `*values` nowhere.
        def with_event(event: gr.EventData, *values: Any) -> Any:
            return function(*arguments_of(sources, values), event=event)

        called = with_event
    else:

        def plain(*values: Any) -> Any:
            return function(*arguments_of(sources, values))

        called = plain
    called.__name__ = function.__name__  # which Gradio shows in its log
    return called


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run an event for its visitor, and tell what fails in one sentence; what is on the page stays."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def guarded_steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
            steps, over = function(*args, **kwargs), object()
            while True:
                with one_sentence(FAILED), serving(current_visitor()):  # anew: each step has a context of its own
                    values = next(steps, over)
                if values is over:
                    return
                yield values

        return guarded_steps

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        with one_sentence(FAILED), serving(current_visitor()):
            return function(*args, **kwargs)

    return guarded
