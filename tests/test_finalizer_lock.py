"""What finalizers change is never waited for by them, and is as if it was done at once."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from attnflow.cache import BoundedCache
from attnflow.finalizer_lock import FinalizerLock
from attnflow.service.uploads import Uploads


class Page:
    """Part of a cycle, so that only a search for garbage ends it."""

    def __init__(self):
        self.itself = self


def in_time(work):
    """Run something in a thread, which must end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for itself"


@pytest.mark.parametrize("step", ["find", "get", "compute"])
def test_a_page_that_ends_inside_of_a_cache_takes_along_what_is_its_own(step):
    page = Page()
    ending = False

    def size_of(value):
        if ending:
            gc.collect()  # as it may happen between any two steps
        return len(value)

    cache = BoundedCache[str](100, size_of)
    cache.get(("page", 1), lambda: "its own")
    cache.get(("other", 1), lambda: "kept")
    weakref.finalize(page, cache.forget, lambda key: key[0] == "page")
    del page
    ending = True
    steps = {
        "find": lambda: cache.find(("other", 1)),
        "get": lambda: cache.get(("other", 1), lambda: ""),
        "compute": lambda: cache.get(("other", 2), lambda: "new"),
    }
    in_time(steps[step])
    assert cache.find(("page", 1)) is None and cache.find(("other", 1)) == "kept"


def test_a_page_that_ends_while_files_are_looked_through_takes_its_files_along():
    page = Page()
    found = []

    def clock():
        found.append(gc.collect())
        return 0.0

    kept = Uploads(1_000, 600, clock)
    called = kept.keep("10.0.0.1", "x.csv", b"text")
    kept.open(called, "10.0.0.1", "page")
    weakref.finalize(page, kept.forget, "page")
    del page
    in_time(lambda: kept.keep("10.0.0.1", "y.csv", b"text"))
    assert len(kept) == 1 and found


def test_what_is_handed_in_while_another_thread_holds_the_lock_is_done_before_anybody_goes_on():
    lock, done = FinalizerLock(), []
    held, go_on = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            go_on.wait(10)
            assert not done

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    lock.do(lambda: done.append(1))
    assert not done, "it waits for nobody"
    go_on.set()
    with lock:
        assert done == [1]
    thread.join(10)
    assert done == [1]


def test_nothing_that_is_handed_in_is_lost_or_done_twice_or_at_the_same_time():
    lock, inside, done = FinalizerLock(), [], []

    def act(number):
        inside.append(number)
        assert len(inside) == 1
        inside.clear()
        done.append(number)

    def work(first):
        for number in range(first, first + 2_000):
            lock.do(lambda number=number: act(number))
            with lock:
                inside.append(number)
                assert len(inside) == 1
                inside.clear()

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 10_000, 20_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == sorted(first + number for first in (0, 10_000, 20_000) for number in range(2_000))


def test_the_lock_is_free_after_an_action_that_failed():
    lock = FinalizerLock()
    with pytest.raises(ZeroDivisionError):
        lock.do(lambda: 1 / 0)
    in_time(lambda: lock.do(lambda: None))
