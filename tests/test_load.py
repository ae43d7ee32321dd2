"""A few seconds of load: no wrong answer, no leak, and the app is healthy after clients went away."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from attnflow import limits, load_checkpoint
from attnflow.cache import BoundedCache
from attnflow.checkpoints import checkpoint
from attnflow.errors import GoneError
from attnflow.runtime import capture as capture_module
from attnflow.service import visitors
from attnflow.service.visitors import AtOnce
from attnflow.service.workspace import workspace
from tests.bench.load import FULL, Job, hammer, make_jobs
from tests.checkpoints import make_checkpoint
from tests.conftest import SERVER_TOKEN, forget_models


@pytest.fixture
def small_caches(monkeypatch):
    """Caches that hold about half of what is asked for."""
    monkeypatch.setattr(checkpoint, "_loaded", BoundedCache(4 * 10**6, lambda loaded: 4 * loaded.n_parameters))
    monkeypatch.setattr(workspace, "_cases", BoundedCache(500_000, lambda case: case.trace.nbytes))
    monkeypatch.setattr(visitors, "calls", AtOnce(100))  # all clients here are one visitor
    monkeypatch.setattr(limits, "DISK_BYTES", 600_000)


@pytest.mark.usefixtures("small_caches")
def test_many_clients_get_what_one_gets(url, hub, tmp_path):
    jobs = make_jobs(hub, tmp_path / "made", ("gpt2", "deberta-v2"), pairs=1)
    seen = len(hub.requests)
    report = hammer(url, jobs, seconds=4, clients=8)
    assert report.wrong == []
    assert report.outcomes["complete"] > 10
    assert report.outcomes["error"] > 2
    assert report.outcomes["broken"] == 0
    assert workspace._cases.nbytes <= 500_000
    assert not any(SERVER_TOKEN in (request.authorization or "") for request in hub.requests[seen:])


def test_a_wrong_answer_under_load_is_noticed(url, monkeypatch):
    """The comparison above can fail."""
    sent = Job.send
    calls = []

    def changing(job, client, **options):
        outcome, answer = sent(job, client, **options)
        calls.append(job)
        return outcome, {**answer, "note": "changed"} if len(calls) > 2 and answer else answer

    monkeypatch.setattr(Job, "send", changing)
    jobs = [Job("predict", ("demo/finetuned", "A cat sleeps.", "", []))]
    assert len(hammer(url, jobs, seconds=1, clients=1).wrong) > 1
    assert FULL.search("Queue is full! Please try again.")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError])
def test_a_worker_that_dies_takes_nobody_with_it(url, monkeypatch, error):
    """Two clients wait for one run, which dies: both get a sentence, and the next one its answer."""
    run, started, died = capture_module.capture, threading.Event(), []

    def capture(*arguments, **options):
        if not died:
            died.append(error)
            started.wait(10)
            raise error("killed")
        return run(*arguments, **options)

    monkeypatch.setattr("attnflow.service.workspace.capture", capture)
    job = Job("predict", ("demo/finetuned", f"A cat meets {error.__name__}.", "", []))

    def ask(_: int = 0) -> tuple[str, object]:
        with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
            return job.send(client)

    with ThreadPoolExecutor(2) as clients:
        answers = clients.map(ask, range(2))
        time.sleep(0.5)  # so that both of them wait
        started.set()
        outcomes = list(answers)
    assert [outcome for outcome, _ in outcomes] == ["error", "error"]
    if error is not MemoryError:  # which Gradio tells without details
        assert all("was ended before it had a result" in str(told) for _, told in outcomes)
    assert ask()[0] == "complete"


def test_models_that_are_read_at_the_same_time_are_read_right(tmp_path, monkeypatch):
    """transformers alone then takes the head of a masked language model, whose weights are tied, for untrained."""
    made = [
        make_checkpoint(tmp_path / f"{task}-{n}", "bert", task=task) for task in ("masked-lm", "none") for n in (1, 2)
    ]

    def trained(folder: Path) -> list[bool]:
        found = []
        for _ in range(6):
            forget_models(monkeypatch)
            found.append(load_checkpoint(folder).head.trained)
        return found

    with ThreadPoolExecutor(len(made)) as threads:
        assert list(threads.map(trained, made)) == [[True] * 6] * 2 + [[False] * 6] * 2


@pytest.fixture
def endless(monkeypatch):
    """Pruning curves that never end by themselves; tells that one has begun, and that one was ended."""
    begun, ended = threading.Semaphore(0), threading.Semaphore(0)

    def curve(checkpoint, encoding, **options):
        begun.release()
        try:
            while True:
                capture_module.capture(checkpoint, encoding)
        except GoneError:
            ended.release()
            raise

    monkeypatch.setattr("attnflow.service.analyses.heads.pruning_curve", curve)
    monkeypatch.setattr("attnflow.web.presence.GRACE", 0.2)
    return begun, ended


def test_one_visitor_has_two_calls_and_what_a_client_leaves_is_ended(url, endless):
    """A third call is refused at once, and the first two end with the connections that waited for them."""
    begun, ended = endless
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client, ExitStack() as streams:
        for number in range(2):
            data = ["demo/finetuned", f"Anna met Paul {number} times.", "", "taylor", 4]
            event = client.post("/gradio_api/call/pruning_curve", json={"data": data}).json()["event_id"]
            streams.enter_context(client.stream("GET", f"/gradio_api/call/pruning_curve/{event}"))
            assert begun.acquire(timeout=20)
        third = Job("predict", ("demo/finetuned", "Anna met Paul.", "", []))
        assert third.send(client) == (
            "error",
            "2 calls of yours wait or run already, which is the most of one visitor; let one of them end first.",
        )
        streams.close()
        assert ended.acquire(timeout=30) and ended.acquire(timeout=30)
        for _ in range(100):
            if third.send(client)[0] == "complete":
                return
            time.sleep(0.1)
    raise AssertionError("the places of the calls that were left are not free again")
