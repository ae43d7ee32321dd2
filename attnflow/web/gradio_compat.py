"""All that relies on how Gradio 6 works inside: what it keeps for each session, and the answers that wait there.

Gradio keeps inputs and outputs of every call in a session, each call of an endpoint is a session of its own, and a full
house forgets the one that was idle longest, whoever made it. Here calls keep nothing, a page keeps its state and the
choices of its boxes, and a visitor who opens too many pages loses his own. `tests/test_gradio_compat.py` fails if
Gradio changes one of these parts.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from copy import copy
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import gradio as gr
from gradio import component_meta
from gradio.blocks import Block, Blocks
from gradio.component_meta import ComponentMeta
from gradio.data_classes import BlocksConfigDict
from gradio.queueing import Queue
from gradio.routes import App
from gradio.server_messages import ProcessCompletedMessage
from gradio.state_holder import SessionState, StateHolder

from attnflow import limits

_MOST_NOTED = 10_000
FORGOTTEN_AFTER = 60.0
"""Seconds that an answer waits for its visitor."""
MOST_UNREAD = 64
"""Pages and programs whose answers may wait at the same time, beside those that have only just come."""
JUST_COME = 6.0
"""Seconds in which an answer is not forgotten for another: its program is about to ask for it."""


_UNUSED_FOR = 24 * 3600.0
"""Seconds after which the state of a page that asked for nothing is gone: pages do not tell that they are closed."""


class PageState(SessionState):
    """State of one page, or of a call that keeps none: the values of `gr.State`, and components that were changed.

    Relies on: `SessionState` being all that Gradio asks for the state of a session, with these attributes; if Gradio
    adds one, calls fail with its name. Its copy of all components' settings and last values serves deep links alone,
    which are off, so it stays empty.
    """

    def __init__(self, blocks: Blocks, keep: Callable[[PageState], None]) -> None:  # not the other one, which copies
        self.blocks_config = copy(blocks.default_config)
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = 0  # which nobody tells, as pages have no heartbeat
        self._keep = keep

    def __setitem__(self, key: int, value: Any) -> None:
        """Keep a value of `gr.State`, or a component with other choices; panels are too large, and need no memory."""
        if isinstance(value, Block) and isinstance(value, gr.HTML):
            return
        super().__setitem__(key, value)
        self.config_values.clear()
        self._keep(self)

    def _update_config(self, key: int) -> None:
        """Gradio notes the settings of a component here."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Gradio notes what a component was sent or what it sends here."""


class Sessions(StateHolder):
    """The states of open pages; a session takes a place when an event of the page leaves something to keep in it.

    Relies on: Gradio reaching states through `app.state_holder[session]`, `in`, `session_data` and
    `delete_all_expired_state`; if it goes another way, states are lost and the page says that nothing was analysed.

    Args:
        most: Sessions of all visitors.
        most_of_one: Sessions of one visitor.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        most: int = limits.SESSIONS,
        most_of_one: int = limits.SESSIONS_PER_VISITOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._most, self._most_of_one, self._clock = most, most_of_one, clock
        self._running: WeakValueDictionary[str, PageState] = WeakValueDictionary()
        self._visitors: dict[str, str] = {}
        """Who named a session first; of those that keep something, and of the newest others."""
        self._used: dict[str, float] = {}

    def note(self, session_id: str, visitor: str) -> None:
        """Remember who asks in a session, unless it is somebody's already."""
        self._visitors.setdefault(session_id, visitor)
        if len(self._visitors) > _MOST_NOTED:
            for other in [name for name in self._visitors if name not in self.session_data][: _MOST_NOTED // 2]:
                del self._visitors[other]

    def __getitem__(self, session_id: str) -> PageState:
        state = self.session_data.get(session_id) or self._running.get(session_id)
        if state is None:
            state = PageState(self.blocks, lambda kept: self._keep(session_id, kept))
            self._running[session_id] = state
        elif session_id in self.session_data:
            self._touch(session_id)
        return state  # pyright: ignore[reportReturnType]  # all of it that Gradio asks for

    def _touch(self, session_id: str) -> None:
        self.session_data.move_to_end(session_id)
        self._used[session_id] = self._clock()

    def _keep(self, session_id: str, state: PageState) -> None:
        if session_id not in self.session_data:
            visitor = self._visitors.setdefault(session_id, "nobody")
            count = Counter(self._visitors[kept] for kept in self.session_data)
            if count[visitor] >= self._most_of_one:
                self._forget_oldest(visitor)
            elif count.total() >= self._most:
                self._forget_oldest(count.most_common(1)[0][0])
            self.session_data[session_id] = state
        self._touch(session_id)

    def _forget_oldest(self, visitor: str) -> None:
        self._forget(next(kept for kept in self.session_data if self._visitors[kept] == visitor))

    def _forget(self, session_id: str) -> None:
        for kept in (self.session_data, self._visitors, self._used, self._running):
            kept.pop(session_id, None)

    def delete_all_expired_state(self) -> None:
        """Forget pages that nobody used for a day, and what was theirs; Gradio asks for it every second."""
        before = self._clock() - _UNUSED_FOR
        for session_id, used in list(self._used.items()):
            if used < before:
                self._forget(session_id)


class _Idle(NamedTuple):
    """A session in which nobody listens and nothing runs."""

    since: float
    waiting: frozenset[str]
    """Its calls whose answers were not delivered by then."""


class Mailboxes:
    """The messages that wait for pages and programs.

    Relies on: `Queue` keeping messages in `pending_messages_per_session`, the events that are not delivered in
    `pending_event_ids_session`, and those that wait or run in `event_ids_to_events`. It never forgets the second, and
    of the first, when there are 2,000, the one that was made first: that of the page which is open longest, whose next
    message then has no place, which ends the queue itself if it is of an event that waits. So there is no such bound.
    """

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        queue.pending_messages_per_session.max_size = sys.maxsize
        self._queue = queue
        self._clock = clock
        self._idle: dict[str, _Idle] = {}

    def knows(self, event_id: str) -> bool:
        """Whether there is such a call, whose answer was not delivered."""
        sessions = self._queue.pending_event_ids_session.values()
        return event_id in self._queue.event_ids_to_events or any(event_id in ids for ids in sessions)

    def cancel(self, session: str, event_id: str) -> None:
        """End one call of a session, and tell whoever listens, as Gradio does.

        Gradio itself ends every call that the session has of the same function, and tells of this one alone: a program
        waits for the others for ever. It ends them by their tasks: one that has not begun never gives its place in the
        queue back, and one that is about to end is held for ever.

        Relies on: an `Event` that is not `alive` telling nothing more, and ending before its next step.
        """
        queue = self._queue
        event = queue.event_ids_to_events.get(event_id)
        if event is None or event.session_hash != session:
            return
        if session in queue.pending_messages_per_session:
            queue.send_message(event, ProcessCompletedMessage(output={}, success=True))
        event.alive = False
        line = queue.event_queue_per_concurrency_id[event.concurrency_id].queue
        if event in line:
            line.remove(event)
            del queue.event_ids_to_events[event_id]

    def sweep(self, read: Collection[str]) -> None:
        """Forget what was delivered a minute ago (the page may be about to listen again) and what nobody came for.

        Args:
            read: Sessions and events that somebody listens to now.
        """
        queue, now = self._queue, self._clock()
        boxes, events = queue.pending_messages_per_session, queue.pending_event_ids_session
        known = {*boxes, *events}
        self._idle = {session: idle for session, idle in self._idle.items() if session in known}
        for session in known:
            ids = frozenset(events.get(session, ()))
            if session in read or any(one in read or one in queue.event_ids_to_events for one in ids):
                self._idle.pop(session, None)
                continue
            idle = self._idle.get(session)
            if idle is None or not ids <= idle.waiting:  # something came and was done between two looks
                self._idle[session] = _Idle(now, ids)
            elif now - idle.since >= FORGOTTEN_AFTER:
                self._forget(session)
        unread = [
            session
            for session, idle in self._idle.items()
            if idle.since <= now - JUST_COME and session in boxes and not boxes[session].empty()
        ]
        for session in unread[: max(0, len(unread) - MOST_UNREAD)]:
            self._forget(session)

    def _forget(self, session: str) -> None:
        self._idle.pop(session, None)
        self._queue.pending_messages_per_session.pop(session, None)
        self._queue.pending_event_ids_session.pop(session, None)


def queue_of(app: App) -> Queue:
    """The queue of an app, which Gradio gives no public name."""
    return app.get_blocks()._queue


def is_private(app: App, number: int) -> bool | None:
    """Whether an event is one of the page alone; None if there is no such event.

    Relies on: `Blocks.fns`, by number, with `api_visibility`.
    """
    event = app.get_blocks().fns.get(number)
    return None if event is None else event.api_visibility == "private"


def keep_sessions(app: App, sessions: Sessions) -> None:
    """Let an app keep its sessions here."""
    sessions.set_blocks(app.get_blocks())
    app.state_holder = sessions


class Unwritten(ComponentMeta):
    """The kind of our classes of components: Gradio would write a stub beside the module of each at every start.

    That costs a second or more of every process, and leaves files in the folder of the package that no uninstaller
    knows. There is no setting for it.

    Relies on: `ComponentMeta` writing stubs with `component_meta.create_or_modify_pyi`; if it goes another way, stubs
    are written again.
    """

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Unwritten:
        """Make a class as Gradio does, but for its stub."""
        write = component_meta.create_or_modify_pyi
        component_meta.create_or_modify_pyi = lambda *_: None
        try:
            return super().__new__(mcs, name, bases, attrs)
        finally:
            component_meta.create_or_modify_pyi = write


class LeanBlocks(Blocks):
    """A page whose tree holds what is drawn on it, and not the fields of the endpoints beside it.

    Relies on: `gr.api` making an `Api` for each field of an endpoint, which the page would mount, search through and
    copy as if it were drawn; and on the page mounting what the layout names and waiting for what is visible. Clients
    find the fields among the components, as before.

    And a page without a heartbeat, a connection that stays open for as long as the page does, only to tell when it is
    closed. Over HTTP/1.1 a browser has six to one server, for all its tabs: the fifth or sixth tab drew nothing, and no
    click was answered in any of them.
    """

    def get_config_file(self) -> BlocksConfigDict:
        """What pages and clients are told of the app."""
        config: Any = super().get_config_file()
        fields = [component for component in config["components"] if component["type"] == "api"]
        for field in fields:
            field["props"]["visible"] = False
        numbers = {field["id"] for field in fields}
        for layout in (config["layout"], *(page["layout"] for page in config["page"].values())):
            layout["children"] = [child for child in layout["children"] if child["id"] not in numbers]
        config["connect_heartbeat"] = False
        return config


def set_environment() -> None:
    """Settings that Gradio and its server read from the environment, before a queue is made.

    Gradio writes a table of the last 10,000 calls after each call; nobody reads it, so it has one row and is never
    summed up. Its server takes the address of a visitor from a header; here only `addresses` does.
    """
    os.environ |= {
        "GRADIO_ANALYTICS_MAX_EVENTS": "1",
        "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
        "FORWARDED_ALLOW_IPS": "",
    }
