"""Sessions end on the server; the link works once, for a while, whoever asks at the same time."""

from threading import Barrier, Thread

import pytest

from search.dashboard.sessions import (
    IDLE_SECONDS,
    LINK_SECONDS,
    MOST_SESSIONS,
    SESSION_SECONDS,
    OneTimeLink,
    Sessions,
)
from tests.search.dashboard.clock import Clock


def test_a_session_is_known_by_its_token_alone() -> None:
    sessions = Sessions()
    first, second = sessions.open(), sessions.open()
    assert first != second
    assert len(first) >= 43  # 256 bits
    assert sessions.is_open(first)
    for other in ("", ".", "é", first[:-1], first + "x", "\udcff"):
        assert not sessions.is_open(other)
    assert not Sessions().is_open(first)


def test_a_session_that_is_ended_stays_ended() -> None:
    sessions = Sessions()
    ended, kept = sessions.open(), sessions.open()
    sessions.end(ended)
    sessions.end("none such")
    assert not sessions.is_open(ended)
    assert sessions.is_open(kept)


def test_a_session_ends_when_nobody_uses_it() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    used, idle = sessions.open(), sessions.open()
    clock.now += IDLE_SECONDS - 1
    assert sessions.is_open(used)
    clock.now += 1
    assert sessions.is_open(used)
    assert not sessions.is_open(idle)


def test_a_session_ends_however_much_it_is_used() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    token, began = sessions.open(), clock.now
    while clock.now < began + SESSION_SECONDS - 60:
        assert sessions.is_open(token)
        clock.now += 60
    clock.now = began + SESSION_SECONDS
    assert not sessions.is_open(token)


def test_sessions_are_bounded_in_number() -> None:
    sessions = Sessions()
    tokens = [sessions.open() for _ in range(MOST_SESSIONS + 1)]
    assert [sessions.is_open(token) for token in tokens[:2]] == [False, True]


@pytest.mark.parametrize("visitors", [2, 16])
def test_a_link_that_many_show_at_once_lets_one_in(visitors: int) -> None:
    links: list[str] = []
    link = OneTimeLink(links.append)
    token, barrier, let_in = links[0].partition("=")[2], Barrier(visitors), []

    def visit() -> None:
        barrier.wait()
        let_in.append(link.take(token))

    threads = [Thread(target=visit) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(let_in) == [False] * (visitors - 1) + [True]
    assert len(links) == 2


def test_a_link_is_good_for_ten_minutes_and_then_replaced() -> None:
    clock, links = Clock(), list[str]()
    link = OneTimeLink(links.append, clock)
    clock.now += LINK_SECONDS - 1
    link.offer()
    assert len(links) == 1
    clock.now += 1
    assert not link.take(links[0].partition("=")[2])
    link.offer()
    assert len(links) == 2
    assert link.take(links[1].partition("=")[2])
