"""The cache keeps to its bound, forgets what was used longest ago, and computes a value once."""

from __future__ import annotations

import threading
import time

import pytest

from attnflow import progress
from attnflow.cache import BoundedCache
from attnflow.errors import CancelledError, SupersededError
from attnflow.service.wanted import Wanted


def test_what_was_used_longest_ago_goes_first():
    cache = BoundedCache[str](10, len)
    for name in ("aaaa", "bbbb"):
        cache.get(name, lambda name=name: name)
    cache.get("aaaa", lambda: pytest.fail("it is kept"))
    cache.get("cccc", lambda: "cccc")
    assert cache.find("bbbb") is None
    assert cache.find("aaaa") == "aaaa"
    assert (cache.nbytes, len(cache), len(cache._sizes)) == (8, 2, 2)


def test_a_value_larger_than_the_bound_is_returned_and_not_kept():
    cache = BoundedCache[str](3, len)
    cache.get("b", lambda: "bb")
    assert cache.get("a", lambda: "aaaa") == "aaaa"
    assert cache.find("a") is None
    assert cache.find("b") == "bb"


def test_a_value_that_grows_is_counted_as_large_as_it_is_when_it_is_used():
    cache, growing = BoundedCache[list[int]](10, len), [1, 2, 3]
    cache.get("grows", lambda: growing)
    cache.get("other", lambda: [1] * 5)
    assert cache.nbytes == 8
    growing += [4, 5, 6]
    assert cache.find("grows") is growing and cache.find("other") is None
    assert (cache.nbytes, len(cache)) == (6, 1)
    growing += [0] * 5
    assert cache.get("grows", lambda: pytest.fail("it is there")) is growing
    assert (cache.nbytes, len(cache)) == (0, 0)


def test_its_size_can_be_asked_for_while_others_use_it():
    cache, over = BoundedCache[int](50, lambda value: value), threading.Event()

    def use() -> None:
        for number in range(5_000):
            cache.get(number, lambda number=number: number % 7)
            if number % 50 == 0:
                cache.forget(lambda key: key % 2 == 0)
        over.set()

    users = [threading.Thread(target=use, daemon=True) for _ in range(2)]
    for user in users:
        user.start()
    while not over.is_set():
        assert cache.nbytes <= 50 + 6, "what has just come may be there before what goes for it"
    for user in users:
        user.join(20)
    assert cache.nbytes == sum(cache._sizes.values()) == sum(cache._values.values()) <= 50


def test_a_failure_is_not_remembered():
    cache = BoundedCache[str](10, len)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: str(1 / 0))
    assert cache.get("a", lambda: "ok") == "ok"


def test_who_shares_what_its_first_asker_wants_no_more_computes_it_himself():
    cache, found = BoundedCache[str](10, len), []
    entered, release = threading.Event(), threading.Event()

    def ended() -> str:
        entered.set()
        release.wait(5)
        raise SupersededError

    def first() -> None:
        with pytest.raises(SupersededError):
            cache.get("a", ended)
        found.append("ended")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    entered.wait(5)
    threads.append(threading.Thread(target=lambda: found.append(cache.get("a", lambda: "mine"))))
    threads[1].start()
    time.sleep(0.05)  # until it waits for the first
    release.set()
    for thread in threads:
        thread.join(5)
    assert sorted(found) == ["ended", "mine"]


def test_threads_share_a_value_that_is_too_large_to_keep_and_a_failure():
    cache, calls = BoundedCache[str](1, len), []
    entered, release = threading.Event(), threading.Event()

    def compute(fails=False):
        calls.append(1)
        entered.set()
        release.wait(5)
        if fails:
            raise KeyError("no")
        return "too large"

    results = []

    def ask(fails):
        try:
            results.append(cache.get("key", lambda: compute(fails)))
        except KeyError:
            results.append("failed")

    for fails in (False, True):
        entered.clear(), release.clear(), calls.clear(), results.clear()
        first = threading.Thread(target=ask, args=(fails,))
        first.start()
        entered.wait(5)
        others = [threading.Thread(target=ask, args=(fails,)) for _ in range(5)]
        for thread in others:
            thread.start()
        threading.Timer(0.1, release.set).start()
        for thread in [first, *others]:
            thread.join()
        assert len(calls) == 1
        assert results == ["failed" if fails else "too large"] * 6


def test_threads_that_ask_for_the_same_value_compute_it_once():
    cache, calls, start = BoundedCache[str](10, len), [], threading.Barrier(8)
    release = threading.Event()

    def compute():
        calls.append(1)
        release.wait(5)
        return "value"

    def ask():
        start.wait()
        assert cache.get("key", compute) == "value"

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    threading.Timer(0.1, release.set).start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_who_cancels_does_not_end_what_others_wait_for():
    cache, calls, heard, found = BoundedCache[str](100, len), [], {"first": [], "second": []}, {}
    both, release = threading.Event(), threading.Event()
    wanted = {name: Wanted() for name in heard}

    def compute() -> str:
        calls.append(1)
        both.wait(5)
        for step in range(4):
            progress.tell("steps", step / 4)
            progress.offer(f"step {step}")
            progress.go_on()
            release.wait(5)
        return "whole"

    def ask(name: str) -> None:
        with (
            progress.reporting(lambda what, share: heard[name].append(share)),
            progress.taking(str, heard[name].append),
            progress.ending(wanted[name].begin()),
        ):
            try:
                found[name] = cache.get("key", compute)
            except CancelledError:
                found[name] = "cancelled"

    threads = [threading.Thread(target=ask, args=(name,)) for name in heard]
    for thread, ready in zip(threads, (lambda: calls, lambda: len(cache._under_way["key"].watchers) > 1), strict=True):
        thread.start()
        while not ready():
            time.sleep(0.01)
    both.set()
    wanted["first"].cancel()  # whose thread computes it
    release.set()
    for thread in threads:
        thread.join(5)
    assert len(calls) == 1 and found == {"first": "whole", "second": "whole"}
    whole = [part for step in range(4) for part in (step / 4, f"step {step}")]
    assert heard["first"] == heard["second"] == whole, "both are told"


def test_who_waits_for_what_another_computes_may_leave():
    cache, entered, release = BoundedCache[str](100, len), threading.Event(), threading.Event()

    def compute() -> str:
        entered.set()
        release.wait(5)
        return "whole"

    wanted, found = Wanted(), []
    first = threading.Thread(target=lambda: found.append(cache.get("key", compute)))
    first.start()
    entered.wait(5)
    with progress.ending(wanted.begin()):
        wanted.cancel()
        with pytest.raises(CancelledError):
            cache.get("key", lambda: pytest.fail("it is under way"))
    assert not found and len(cache._under_way["key"].watchers) == 1
    release.set()
    first.join(5)
    assert found == ["whole"]
