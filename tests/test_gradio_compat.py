"""What is kept for visitors, and all that relies on how Gradio works inside: these tests fail if Gradio changes it."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import httpx2
import pytest
from gradio.queueing import Queue
from gradio.state_holder import SessionState, StateHolder
from gradio.utils import LRUCache
from gradio_client.exceptions import AppError

from attnflow.errors import SelectionError
from attnflow.service import visitors
from attnflow.service.visitors import AtOnce
from attnflow.web import gradio_compat as compat
from attnflow.web import launch
from attnflow.web.gradio_compat import FORGOTTEN_AFTER, JUST_COME, MOST_UNREAD, Mailboxes, PageState, Sessions
from attnflow.web.page import build
from attnflow.web.waiting import answers
from tests.bench.load import Job
from tests.fresh_process import printed

LONG = ("demo/finetuned", "a " * 60, "", 0.0, 0.5, [], None, None)
"""Arguments of `attention_flow` whose answer has a megabyte or more."""


@pytest.fixture(scope="module")
def page():
    with gr.Blocks() as blocks:
        state, box, panel = gr.State(None), gr.Dropdown(["a"]), gr.HTML("x")
    return blocks, state, box, panel


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def sessions(page, clock):
    made = Sessions(4, 2, lambda: clock[0])
    page[0].state_session_capacity = 4
    made.set_blocks(page[0])
    return made


# ---- what Gradio must have for this to hold


def test_gradio_keeps_in_a_session_what_it_kept(page):
    theirs = vars(SessionState(page[0]))
    ours = vars(PageState(page[0], lambda state: None))
    assert set(theirs) == set(ours) - {"_keep"}
    used = ("_update_config", "_update_value_in_config", "__setitem__", "__getitem__", "__contains__")
    assert all(name in vars(SessionState) for name in used)
    assert {"__getitem__", "delete_all_expired_state", "set_blocks"} <= set(vars(StateHolder))


def test_gradio_keeps_messages_where_it_kept_them(page):
    queue = page[0].queue()._queue
    assert isinstance(queue, Queue)
    assert isinstance(queue.pending_messages_per_session, LRUCache)
    assert queue.pending_event_ids_session == queue.event_ids_to_events == queue.event_analytics == {}


def test_gradio_is_told_to_count_nothing(monkeypatch):
    for name in ("GRADIO_ANALYTICS_MAX_EVENTS", "GRADIO_ANALYTICS_CACHE_FREQUENCY", "FORWARDED_ALLOW_IPS"):
        monkeypatch.setenv(name, "5")
    compat.set_environment()
    with gr.Blocks() as blocks:
        pass
    queue = blocks.queue()._queue
    assert queue.ANALYTICS_MAX_EVENTS == 1
    queue.events_recorded = 10**6
    assert queue.compute_analytics_summary([{"function": "f", "status": "success", "process_time": 1.0}]) == {
        "functions": {}
    }


def test_no_stub_is_written_beside_our_components():
    code = """
from gradio import component_meta
written, write = [], lambda kind, *_: written.append(kind.__module__)
component_meta.create_or_modify_pyi = write
import gradio as gr
import attnflow.web.page
class Theirs(gr.HTML):
    pass
print([module for module in written if module.startswith("attnflow")], written[-1])
"""
    assert printed(code) == "[] __main__\n"


# ---- what the page is spared


def test_the_page_is_told_of_what_it_draws_and_no_event_copies_what_its_outputs_show():
    config = build().get_config_file()
    types = {component["id"]: component["type"] for component in config["components"]}

    def drawn(node):
        yield types.get(node["id"])
        for child in node.get("children", ()):
            yield from drawn(child)

    fields = [component for component in config["components"] if component["type"] == "api"]
    assert len(fields) > 100, "clients find the fields of endpoints"
    assert all(field["props"]["visible"] is False for field in fields), "the page would wait for them"
    assert "html" in drawn(config["layout"]) and "api" not in drawn(config["layout"])
    of_page = [event for event in config["dependencies"] if event["targets"] and event["backend_fn"]]
    assert of_page and all(event["show_progress_on"] == [] for event in of_page)
    assert config["connect_heartbeat"] is False, "each open page would hold one of the six connections of its browser"


def test_a_call_that_keeps_nothing_takes_no_place(sessions, page):
    _, state, box, panel = page
    call = sessions["call"]
    assert call[state._id] is None
    call._update_value_in_config(box._id, "x" * 10**6)
    call[panel._id] = gr.HTML("x" * 10**6, render=False)
    assert "call" not in sessions
    assert call[panel._id] is panel
    assert sessions["call"] is call  # while it runs
    del call
    gc.collect()
    assert not sessions._running


def test_a_page_keeps_its_state_and_its_choices(sessions, page):
    _, state, box, _ = page
    sessions.note("page", "1.1.1.1")
    sessions["page"][state._id] = "shown"
    sessions["page"][box._id] = gr.Dropdown(["b"], render=False)
    gc.collect()
    assert sessions["page"][state._id] == "shown"
    assert sessions["page"][box._id].choices == [("b", "b")]
    assert sessions["page"].config_values == {}
    assert sessions["other"][state._id] is None


def test_who_opens_too_many_pages_loses_his_own(sessions, page):
    _, state, *_ = page
    for name, visitor in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "one"), ("e", "three"), ("f", "four")):
        sessions.note(name, visitor)
        sessions.note(name, "somebody else")
        sessions[name][state._id] = name
    # The third page of `one` cost him the first one; the sixth page of all costs who then has most.
    assert list(sessions.session_data) == ["b", "d", "e", "f"]
    for number in range(405):  # calls, refused or not, that only ask
        sessions.note(str(number), "stranger")
        assert sessions[str(number)][state._id] is None
    assert list(sessions.session_data) == ["b", "d", "e", "f"]
    assert sessions["b"][state._id] == "b"
    sessions.note("g", "five")
    sessions["g"][state._id] = "g"
    assert list(sessions.session_data) == ["e", "f", "b", "g"]


def test_a_page_that_nobody_used_for_a_day_is_forgotten(sessions, page, clock):
    _, state, *_ = page
    for name in ("used", "unused"):
        sessions[name][state._id] = name
    clock[0] += 20 * 3600
    sessions.delete_all_expired_state()
    assert set(sessions.session_data) == {"used", "unused"}
    assert sessions["used"][state._id] == "used"
    clock[0] += 5 * 3600
    sessions.delete_all_expired_state()
    assert set(sessions.session_data) == {"used"} == set(sessions._visitors)


def test_names_of_sessions_are_not_collected_for_ever(sessions, monkeypatch):
    monkeypatch.setattr(compat, "_MOST_NOTED", 100)
    for number in range(1000):
        sessions.note(str(number), "one")
    assert len(sessions._visitors) <= 101


# ---- messages


@pytest.fixture
def boxes(page, clock):
    queue = page[0].queue()._queue
    return queue, Mailboxes(queue, lambda: clock[0])


def deliver(queue, session, event, message="answer"):
    box = queue.pending_messages_per_session[session] = asyncio.Queue()
    queue.pending_event_ids_session[session] = {event}
    box.put_nowait(message)


def test_a_session_that_is_forgotten_begins_anew_even_while_an_event_of_it_runs(sessions, page):
    _, state, *_ = page
    running = sessions["one"]
    running[state._id] = "kept"
    assert sessions["one"] is running
    sessions._forget("one")
    assert sessions["one"] is not running


def test_messages_that_nobody_reads_are_forgotten_after_a_minute(boxes, clock):
    queue, mailboxes = boxes
    for name in ("read", "unread", "running"):
        deliver(queue, name, f"event of {name}")
    queue.event_ids_to_events["event of running"] = object()
    assert mailboxes.knows("event of unread")
    for now in (0.0, FORGOTTEN_AFTER - 1):
        clock[0] = now
        mailboxes.sweep({"event of read"})
        assert len(queue.pending_messages_per_session) == 3
    clock[0] = FORGOTTEN_AFTER
    mailboxes.sweep({"event of read"})
    assert set(queue.pending_messages_per_session) == set(queue.pending_event_ids_session) == {"read", "running"}
    assert not mailboxes.knows("event of unread")
    queue.event_ids_to_events.clear()


def test_an_answer_between_two_looks_waits_as_long_as_any_other(boxes, clock):
    """A program that calls now and then, and whose calls are always over when somebody looks."""
    queue, mailboxes = boxes
    deliver(queue, "often", "first")
    mailboxes.sweep(())
    clock[0] = FORGOTTEN_AFTER
    queue.pending_event_ids_session["often"].clear()  # the first was read, in a moment
    queue.pending_messages_per_session["often"].get_nowait()
    deliver(queue, "often", "second")
    mailboxes.sweep(())
    assert mailboxes.knows("second") and not queue.pending_messages_per_session["often"].empty()
    clock[0] = 2 * FORGOTTEN_AFTER
    mailboxes.sweep(())
    assert not mailboxes.knows("second") and "often" not in queue.pending_messages_per_session


def test_so_many_wait_beside_those_that_have_only_just_come(boxes, clock):
    queue, mailboxes = boxes
    for number in range(MOST_UNREAD + 5):
        deliver(queue, str(number), f"event {number}")
        mailboxes.sweep(())
    assert len(queue.pending_messages_per_session) == MOST_UNREAD + 5, "their programs are about to ask for them"
    clock[0] = JUST_COME
    deliver(queue, "new", "event new")
    mailboxes.sweep(())
    assert set(queue.pending_messages_per_session) == {"new", *(str(number) for number in range(5, MOST_UNREAD + 5))}


def test_no_session_loses_its_messages_because_there_are_many(boxes):
    """Gradio would forget the box that was made first, and be stopped by the next message to it."""
    queue, mailboxes = boxes
    assert LRUCache(2).max_size == 2
    for number in range(2_100):
        deliver(queue, str(number), f"event {number}")
    mailboxes.sweep(())
    assert len(queue.pending_messages_per_session) == 2_100


def test_sweeping_goes_on_after_a_time_that_failed(monkeypatch, caplog):
    monkeypatch.setattr(launch, "_SWEEP_SECONDS", 0)
    swept = []

    def sweep():
        swept.append(1)
        if len(swept) == 1:
            raise RuntimeError("once")

    async def scene():
        sweeping = asyncio.create_task(launch._keep_doing(sweep))
        while len(swept) < 3 and not sweeping.done():
            await asyncio.sleep(0)
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)

    with ThreadPoolExecutor() as pool:  # as Playwright may have a loop in this thread
        pool.submit(asyncio.run, scene()).result()
    assert len(swept) == 3 and "once" in caplog.text


# ---- the app


@pytest.fixture
def app(url):
    from app import demo

    return demo.app


def event_of(app):
    """An event of the page that takes several values and fills a `gr.State`."""
    events = app.get_blocks().fns.items()
    return next(n for n, event in events if len(event.inputs) > 5 and any(b.stateful for b in event.outputs))


def kept(app):
    """What Gradio holds for calls."""
    queue = app.get_blocks()._queue
    return {
        "sessions": len(app.state_holder.session_data),
        "running": len(app.state_holder._running),
        "events": len(queue.event_ids_to_events),
        "iterators": len(app.iterators),
        "reset": len(app.iterators_to_reset),
    }


def forget_what_waits(monkeypatch):
    """Let the minute be over in which answers wait."""
    later = time.monotonic() + 61
    with monkeypatch.context() as changed:
        changed.setattr(answers, "_clock", lambda: later)
        answers.sweep()
    assert (len(answers), answers.nbytes) == (0, 0)


def test_calls_leave_nothing_behind(app, url, monkeypatch):
    """Answers that are collected, answers that are not, and calls that are refused."""
    monkeypatch.setattr(visitors, "calls", AtOnce(3))
    forget_what_waits(monkeypatch)  # of other tests
    before = kept(app)
    queue = app.get_blocks()._queue
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
        outcome, answer = Job("attention_flow", LONG).send(client)
        assert outcome == "complete"
        assert len(json.dumps(answer)) > 10**6
        assert (len(answers), answers.nbytes) == (0, 0)
        for _ in range(3):
            assert client.post("/gradio_api/call/attention_flow", json={"data": list(LONG)}).status_code == 200
        assert Job("predict", ("../etc", "a", "", [])).send(client)[0] == "error"
        odd = {"data": [1], "fn_index": event_of(app), "session_hash": "invented"}
        client.post("/gradio_api/queue/join", json=odd)
        for _ in range(100):
            if len(answers) == 3 and not queue.event_ids_to_events:
                break
            time.sleep(0.1)
    gc.collect()
    assert len(answers) == 3
    assert kept(app) == before
    waiting = [m for box in queue.pending_messages_per_session.values() for m in list(box._queue)]
    assert sum(len(str(message)) for message in waiting) < 100_000  # claims, not answers
    forget_what_waits(monkeypatch)


def test_a_program_that_cancels_a_call_is_answered_the_others(app, client, monkeypatch):
    """Gradio ends all calls of the same endpoint, and leaves the program waiting."""
    monkeypatch.setattr(visitors, "calls", AtOnce(10))
    begun, go_on = threading.Barrier(4), threading.Event()

    def waits(*args, **kwargs):
        begun.wait(30)
        assert go_on.wait(30)
        raise SelectionError("It was read.")

    monkeypatch.setattr("attnflow.web.endpoints.runs.workspace.case", waits)
    jobs = [client.submit("demo/finetuned", f"text {number}", api_name="/predict") for number in range(3)]
    begun.wait(30)
    jobs[1].cancel()
    go_on.set()
    for job in (jobs[0], jobs[2]):
        with pytest.raises(AppError, match="It was read"):
            job.result(timeout=20)
    queue = app.get_blocks()._queue
    for _ in range(100):
        if not queue.event_ids_to_events and not any(queue.active_jobs):
            break
        time.sleep(0.1)
    assert not queue.event_ids_to_events and not any(queue.active_jobs) and not app.iterators_to_reset


def test_a_call_that_waits_in_the_queue_is_cancelled_and_told(app, url, monkeypatch):
    queue = app.get_blocks()._queue
    monkeypatch.setattr(queue, "get_events", lambda: None)  # nobody's turn
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
        body = {"data": ["demo/finetuned", "a"], "session_hash": "waits"}
        event = client.post("/gradio_api/call/predict", json=body).json()["event_id"]
        of_another = {"session_hash": "stranger", "event_id": event, "fn_index": 0}
        assert client.post("/gradio_api/cancel", json=of_another).status_code == 200
        assert len(queue) == 1
        assert client.post("/gradio_api/cancel", json={**of_another, "session_hash": "waits"}).status_code == 200
        assert (len(queue), event in queue.event_ids_to_events) == (0, False)
        lines = client.get(f"/gradio_api/call/predict/{event}").text.splitlines()
    assert "event: complete" in lines


def test_a_stranger_does_not_wipe_the_pages_of_others(app, url):
    """405 calls in sessions of his own invention, refused and odd."""
    state = app.state_holder
    number = event_of(app)
    key = next(block._id for block in app.get_blocks().blocks.values() if isinstance(block, gr.State))
    state.note("a page", "9.9.9.9")
    state["a page"][key] = "shown"
    before = len(state.session_data)
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
        for stranger in range(405):
            body = {"data": [None], "fn_index": number, "session_hash": f"odd{stranger}"}
            assert client.post("/gradio_api/queue/join", json=body).status_code in (200, 503)
            if stranger % 20 == 0:
                time.sleep(0.1)  # the queue has 32 places
    assert state["a page"][key] == "shown"
    assert len(state.session_data) < before + 10
    state._forget("a page")
