"""The cache keeps to its bound, forgets what was used longest ago, and computes a value once."""

from __future__ import annotations

import threading

import pytest

from attnflow.cache import BoundedCache


def test_what_was_used_longest_ago_goes_first():
    cache = BoundedCache[str](10, len)
    for name in ("aaaa", "bbbb"):
        cache.get(name, lambda name=name: name)
    cache.get("aaaa", lambda: pytest.fail("it is kept"))
    cache.get("cccc", lambda: "cccc")
    assert cache.find("bbbb") is None
    assert cache.find("aaaa") == "aaaa"
    assert (cache.nbytes, len(cache)) == (8, 2)


def test_a_value_larger_than_the_bound_is_returned_and_not_kept():
    cache = BoundedCache[str](3, len)
    cache.get("b", lambda: "bb")
    assert cache.get("a", lambda: "aaaa") == "aaaa"
    assert cache.find("a") is None
    assert cache.find("b") == "bb"


def test_a_failure_is_not_remembered():
    cache = BoundedCache[str](10, len)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: str(1 / 0))
    assert cache.get("a", lambda: "ok") == "ok"


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
