"""Python searches for garbage at nearly every step, in any thread: nobody waits for himself, and nothing is left."""

from __future__ import annotations

import gc
import inspect
import random
import secrets
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from attnflow.cache import BoundedCache
from attnflow.service import visitors
from attnflow.service.collections import Asked, Page, collections
from attnflow.service.corpora import corpora
from attnflow.service.uploads import uploads
from attnflow.service.visitors import AtOnce, Visitor, serving
from attnflow.service.workspace import workspace
from attnflow.web.endpoints import ENDPOINTS
from tests.bench.load import Job, hammer
from tests.test_fuzz import GOOD

TOP = Path(__file__).parent.parent
CSV = b"text_a,text_b\nAnna met Paul.,Paul left.\n"
CHEAP = {**GOOD, "rows": 10, "most": 4, "order": None, "method": None}
"""Arguments that make a call quick; None for their defaults."""


SEARCHED = tuple(str(TOP / "attnflow" / name) for name in ("cache.py", "finalizer_lock.py", "service"))


@pytest.fixture
def restless():
    """All that is there is no garbage, and threads take turns all the time."""
    thresholds, interval = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*thresholds)
    gc.enable()


@pytest.fixture
def searched(restless):
    """Search for garbage at one of fifty steps of what is shared, and nowhere else: new threads do."""
    choose, profile = random.Random(3), threading.getprofile()

    def search(frame, event, _):
        if frame.f_code.co_filename.startswith(SEARCHED) and choose.random() < 0.02:
            gc.collect()

    gc.disable()
    threading.setprofile(search)
    yield
    threading.setprofile(profile)


def caches() -> list[BoundedCache]:
    owned = [value for owner in (workspace, collections, corpora) for value in vars(owner).values()]
    return [value for value in owned if isinstance(value, BoundedCache)]


def run(seconds, *works):
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
        assert not thread.is_alive(), "it waits for itself, or for one that does"


@pytest.mark.usefixtures("searched")
def test_pages_that_end_in_any_thread_at_any_moment_are_waited_for_by_nobody():
    files = len(uploads)

    def work(number):
        visitor = Visitor(f"visitor {number}", address=f"10.0.0.{number}")
        for _ in range(40):
            page = Page()
            page.itself = page  # so that only a search for garbage ends it
            with serving(visitor):
                sent = uploads.keep(visitor.address, "x.csv", CSV)
                assert len(collections.open(Asked(sent=sent), page).texts) == 1
                assert len(collections.open(Asked(rows=100), page).texts) == 100
            del page

    run(20, *(lambda number=number: work(number) for number in range(4)))
    gc.collect()
    assert len(uploads) == files
    assert not [owner for owner, *_ in collections._texts._values if owner is not None]


def quick_jobs():
    for endpoint in ENDPOINTS:
        parameters = [one for name, one in inspect.signature(endpoint).parameters.items() if name != "oauth_token"]
        given = [CHEAP.get(one.name) for one in parameters]
        data = [
            (None if one.default is one.empty else one.default) if value is None else value
            for one, value in zip(parameters, given, strict=True)
        ]
        yield Job(endpoint.__name__, tuple(data))
    yield Job("predict", ("demo/finetuned", "", "b"))
    yield Job("survey", ("demo/finetuned", "nothing/there", None, 10**9))


def come_and_go(url, app, seconds):
    """Pages that begin to analyse, cancel, ask for something else, listen for a while, and are closed."""
    number, event = next((number, fn) for number, fn in app.fns.items() if fn.name == "analyse")
    choose, end = random.Random(1), time.monotonic() + seconds
    values = [None if block.stateful else block.value for block in event.inputs]
    while time.monotonic() < end:
        with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
            session = secrets.token_hex(5)
            for _ in range(3):
                values[1:7] = ["demo/pretrained", "", "demo/finetuned", "", f"Anna {choose.random()}", "Paul left."]
                body = {"data": values, "fn_index": number, "session_hash": session}
                asked = client.post("/gradio_api/queue/join", json=body)
                if asked.status_code == 200 and choose.random() < 0.3:
                    client.post("/gradio_api/cancel", json={**body, "event_id": asked.json()["event_id"]})
            if choose.random() < 0.7:
                with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as lines:
                    for _ in zip(lines.iter_lines(), range(choose.choice((1, 10, 1000))), strict=False):
                        pass


@pytest.mark.usefixtures("restless")
def test_the_app_answers_everybody_and_nothing_is_left(url, monkeypatch):
    from app import demo

    gc.set_threshold(50, 5, 5)
    monkeypatch.setattr(visitors, "calls", AtOnce(100))
    reports = []
    run(
        60,
        lambda: reports.append(hammer(url, list(quick_jobs()), seconds=2, clients=4)),
        lambda: come_and_go(url, demo, 5),
    )
    (report,) = reports
    assert report.wrong == [] and report.outcomes["broken"] == 0 and report.outcomes["complete"] > 0
    queue = demo._queue
    end = time.monotonic() + 20
    while time.monotonic() < end and (queue.event_ids_to_events or workspace.places._working):
        time.sleep(0.1)
    assert not queue.event_ids_to_events and not any(queue.active_jobs) and not demo.app.iterators
    assert not workspace.places._working and not workspace.places._waiting and not visitors.calls._taken
    for cache in caches():
        assert not cache._under_way
        assert (
            cache.nbytes == sum(cache._sizes.values()) <= cache.max_bytes
            and cache._sizes.keys() == cache._values.keys()
        )
