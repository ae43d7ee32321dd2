"""Presence: work is given up for who went away, and for nobody else."""

from __future__ import annotations

from attnflow.web.presence import GRACE, UNHEARD, Presence


def test_who_went_away_is_gone_after_a_moment_and_who_came_back_is_not():
    now = [0.0]
    presence = Presence(lambda: now[0])
    left = presence.watch("call")
    with presence.listening("call"):
        now[0] = 1000.0
        assert not left(), "however long it takes"
    assert not left()
    now[0] += GRACE + 0.1
    assert left()
    with presence.listening("call"):
        assert not left()


def test_a_call_that_nobody_listens_to_is_given_up_when_its_answer_would_be():
    now = [0.0]
    presence = Presence(lambda: now[0])
    with presence.listening("page"):
        pass  # for an event of before
    now[0] = 10.0
    left = presence.watch("page")
    now[0] += UNHEARD - 1
    assert not left()
    now[0] += 2
    assert left()


def test_two_connections_of_one_page_are_two():
    now = [0.0]
    presence = Presence(lambda: now[0])
    left = presence.watch("page")
    with presence.listening("page"):
        with presence.listening("page"):
            pass
        now[0] = 100.0
        assert not left()


def test_only_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr("attnflow.web.presence._REMEMBERED", 5)
    presence = Presence()
    for number in range(50):
        with presence.listening(str(number)):
            pass
    assert len(presence._closed) == 5 and not presence._open
