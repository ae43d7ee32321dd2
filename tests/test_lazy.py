"""An attribute that is computed once, when it is asked for, and for which no other object waits."""

from __future__ import annotations

import threading
from dataclasses import FrozenInstanceError, dataclass

import pytest

from attnflow.lazy import lazy


@dataclass(frozen=True)
class Asked:
    """Computes for as long as nobody says that it may go on."""

    begun: threading.Event
    go_on: threading.Event
    calls: list[int]

    @lazy
    def answer(self) -> int:
        """What is asked for."""
        self.calls.append(1)
        self.begun.set()
        assert self.go_on.wait(10)
        return len(self.calls)


def test_it_is_computed_once_and_kept_with_a_frozen_record():
    asked = Asked(threading.Event(), threading.Event(), [])
    asked.go_on.set()
    assert (asked.answer, asked.answer, len(asked.calls)) == (1, 1, 1)
    assert Asked.answer.__doc__ == "What is asked for."
    with pytest.raises(FrozenInstanceError):
        asked.answer = 2


def test_nobody_waits_for_another_object_of_the_class():
    slow, quick = (Asked(threading.Event(), threading.Event(), []) for _ in range(2))
    quick.go_on.set()
    threads = [threading.Thread(target=lambda one=one: one.answer, daemon=True) for one in (slow, quick)]
    threads[0].start()
    assert slow.begun.wait(10)
    threads[1].start()
    assert quick.begun.wait(5), "it waits for the other"
    slow.go_on.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
