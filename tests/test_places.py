"""Places: short work before long, nobody before those who have less, and an end to waiting."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from attnflow import progress
from attnflow.errors import GoneError, TooManyRequestsError
from attnflow.service.places import Places, give_way


class Worker:
    """Work that lasts until it is told to end."""

    def __init__(self, places, name, *, long=False, order=None):
        self.begun, self.end = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._work = self._pool.submit(self._run, places, name, long, order)

    def _run(self, places, name, long, order):
        with places.one(name, long=long):
            if order is not None:
                order.append(name)
            self.begun.set()
            assert self.end.wait(10)

    def done(self):
        self.end.set()
        self._work.result(10)


def waiting(places, count):
    """Returns once so many wait."""
    for _ in range(500):
        if len(places._waiting) == count:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{len(places._waiting)} wait, not {count}")


def test_long_work_leaves_a_place_for_short_work():
    places = Places(2, 1, 10, 10)
    first, second = (Worker(places, name, long=True) for name in ("a", "b"))
    assert first.begun.wait(5) or second.begun.wait(5)
    waiting(places, 1)
    short = Worker(places, "c")
    assert short.begun.wait(5), "a short question is not behind a long one"
    assert not (first.begun.is_set() and second.begun.is_set())
    short.done()
    (first if first.begun.is_set() else second).end.set()
    assert first.begun.wait(5) and second.begun.wait(5)
    for one in (first, second):
        one.done()


def test_short_work_goes_first_and_then_who_came_first():
    places, order = Places(1, 1, 10, 10), []
    now = Worker(places, "now")
    assert now.begun.wait(5)
    rest = []
    for number, (name, long) in enumerate([("long", True), ("one", False), ("two", False)]):
        rest.append(Worker(places, name, long=long, order=order))
        waiting(places, number + 1)
        rest[-1].end.set()
    now.done()
    for one in rest:
        one.done()
    assert order == ["one", "two", "long"]


def test_long_work_that_waited_its_time_is_passed_no_more():
    clock = [0.0]
    places, order = Places(1, 1, 10, 10, clock=lambda: clock[0]), []
    now = Worker(places, "now")
    assert now.begun.wait(5)
    late = Worker(places, "long", long=True, order=order)
    waiting(places, 1)
    clock[0] = 11.0
    short = Worker(places, "short", order=order)
    waiting(places, 2)
    late.end.set()
    short.end.set()
    now.done()
    late.done()
    short.done()
    assert order == ["long", "short"]


def test_a_visitor_who_has_a_place_lets_others_pass():
    places, order = Places(2, 2, 10, 10), []
    held, other = Worker(places, "greedy"), Worker(places, "other")
    assert held.begun.wait(5) and other.begun.wait(5)
    again = Worker(places, "greedy", order=order)
    waiting(places, 1)
    new = Worker(places, "new", order=order)
    waiting(places, 2)
    again.end.set()
    new.end.set()
    other.done()
    new.done()
    again.done()
    held.done()
    assert order == ["new", "greedy"]


def test_too_many_who_wait_are_refused_of_one_and_of_all():
    places = Places(1, 1, 2, 1)
    now = Worker(places, "now")
    assert now.begun.wait(5)
    first = Worker(places, "a")
    waiting(places, 1)
    with pytest.raises(TooManyRequestsError, match="1 analyses of yours wait already"), places.one("a"):
        pass
    second = Worker(places, "b")
    waiting(places, 2)
    with pytest.raises(TooManyRequestsError, match="2 analyses wait for this machine"), places.one("c"):
        pass
    for one in (first, second):
        one.end.set()
    now.done()
    first.done()
    second.done()


def test_who_left_waits_no_longer_and_takes_no_place():
    places = Places(1, 1, 10, 10)
    now = Worker(places, "now")
    assert now.begun.wait(5)

    def gone():
        raise GoneError("gone")

    with pytest.raises(GoneError), progress.ending(gone), places.one("left"):
        pass
    assert not places._waiting
    now.done()
    with places.one("next"):
        pass


def test_work_inside_of_work_takes_no_place_of_its_own():
    places = Places(1, 1, 10, 10)
    with places.one("a"), places.one("a", long=True):
        assert len(places._working) == 1
    assert not places._working


def test_long_work_gives_way_between_its_steps_and_then_goes_on():
    places, order = Places(1, 1, 10, 10), []
    goes_on = threading.Event()

    def long_work():
        with places.one("a", long=True):
            give_way()
            order.append("first step")
            goes_on.wait(10)
            give_way()
            order.append("second step")

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(long_work)
        while order != ["first step"]:
            threading.Event().wait(0.01)
        short = Worker(places, "b", order=order)
        waiting(places, 1)
        goes_on.set()
        assert short.begun.wait(5)
        short.done()
        work.result(10)
    assert order == ["first step", "b", "second step"]
    assert places._working == places._waiting == []


def test_who_gives_way_and_is_no_longer_wanted_leaves_no_place_taken():
    places = Places(1, 1, 10, 10)
    begun, ended = threading.Event(), threading.Event()

    def check():
        if ended.is_set():
            raise GoneError("gone")

    def long_work():
        with progress.ending(check), places.one("a", long=True):
            begun.set()
            while True:
                give_way()

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(long_work)
        assert begun.wait(5)
        short = Worker(places, "b")
        assert short.begun.wait(5)
        ended.set()
        with pytest.raises(GoneError):
            work.result(10)
        short.done()
    assert places._working == places._waiting == []
