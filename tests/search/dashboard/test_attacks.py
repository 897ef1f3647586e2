"""Strangers at a real server, over HTTP; `benchmarks/dashboard_attacks.py` sends more of them."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest

from benchmarks.dashboard_attacks import (
    STRANGER,
    USER,
    hold_idle,
    log_in,
    memory_mib,
    noticing,
    send_slow_bodies,
    send_slow_headers,
    try_passwords,
)
from search.dashboard.credentials import Credentials
from search.dashboard.server import MOST_BODY_BYTES, MOST_FILE_BYTES, MOST_HEADER_BYTES
from search.dashboard.throttle import PER_ADDRESS
from tests.search.dashboard.served import Served, serving

if TYPE_CHECKING:
    from collections import Counter

    from search.storage.studies import Storage
    from tests.search.invented import Invented

PASSWORD = "countess of lovelace"
MOST_SECONDS = 10.0
MOST_MIB = 1024
PROXY = "127.0.0.9"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="has one loopback address only")


@pytest.fixture(scope="module")
def guarded(finished: Invented, finished_storage: Storage) -> Iterator[Served]:
    """A writable dashboard with a password, behind a proxy."""
    line = Credentials.of("ada", PASSWORD).to_line()
    with serving(finished_storage, line, options=["--proxy", PROXY, "--writable"]) as served:
        yield served


@contextmanager
def connected(port: int, address: str = USER) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", port, 60, source_address=(address, 0))
    try:
        yield connection
    finally:
        connection.close()


def asked(
    port: int,
    method: str,
    target: str,
    headers: Mapping[str, str] = {},
    body: bytes | None = None,
    address: str = USER,
) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer."""
    with connected(port, address) as connection:
        connection.request(method, target, body, dict(headers))
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def said(port: int, content: bytes) -> bytes:
    """The first line that answers raw bytes."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(content)
        return connection.makefile("rb").readline()


@pytest.mark.parametrize(
    ("attack", "count"),
    [(try_passwords, 400), (hold_idle, 2300), (send_slow_headers, 2300), (send_slow_bodies, 300)],
)
def test_users_are_answered_while_strangers_attack(
    guarded: Served, attack: Callable[[int, int], Counter[str]], count: int
) -> None:
    status, cookie = log_in(guarded.port, PASSWORD)
    assert status == 303
    with noticing(guarded.port, cookie) as noticed:
        got = attack(guarded.port, count)
        assert log_in(guarded.port, PASSWORD)[0] == 303
    assert not noticed.others
    assert noticed.answers > 0
    assert noticed.slowest_seconds < MOST_SECONDS
    assert memory_mib(guarded.process.pid) < MOST_MIB
    assert got.total() == count
    assert got["401"] <= PER_ADDRESS


def test_a_link_that_many_open_at_once_lets_one_in(
    finished: Invented, finished_storage: Storage
) -> None:
    visitors = 24
    with serving(finished_storage) as served:
        target, barrier = served.link.removeprefix(served.url), Barrier(visitors)
        let_in: list[bool] = []

        def visit() -> None:
            with connected(served.port) as connection:
                connection.connect()
                barrier.wait()
                connection.request("GET", target)
                let_in.append(connection.getresponse().getheader("Set-Cookie") is not None)

        threads = [Thread(target=visit) for _ in range(visitors)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(let_in) == [False] * (visitors - 1) + [True]


def test_a_link_that_is_looked_at_is_not_used_up(
    finished: Invented, finished_storage: Storage
) -> None:
    with serving(finished_storage) as served:
        target = served.link.removeprefix(served.url)
        assert "set-cookie" not in asked(served.port, "HEAD", target)[1]
        assert asked(served.port, "GET", target)[0] == 200


def test_a_logout_ends_the_session_on_the_server(guarded: Served) -> None:
    cookies = [log_in(guarded.port, PASSWORD)[1] for _ in range(2)]
    origin = {"Origin": guarded.url}
    forged = asked(
        guarded.port, "POST", "/logout", {"Cookie": cookies[0], "Origin": "http://evil.example"}
    )
    assert forged[0] == 403
    status, headers = asked(guarded.port, "POST", "/logout", {"Cookie": cookies[0], **origin})
    assert (status, headers["location"]) == (303, "/login")
    assert "Max-Age=0" in headers["set-cookie"]
    assert headers["clear-site-data"] == '"cache"'
    statuses = [asked(guarded.port, "GET", "/api/studies", {"Cookie": one})[0] for one in cookies]
    assert statuses == [401, 200]


def test_a_login_ends_the_session_that_it_replaces(guarded: Served) -> None:
    _, before = log_in(guarded.port, PASSWORD)
    headers = {"Cookie": before, "Origin": guarded.url}
    form = f"user=ada&password={PASSWORD.replace(' ', '+')}".encode()
    status, answer = asked(guarded.port, "POST", "/login", headers, form)
    assert status == 303
    after = answer["set-cookie"].partition(";")[0]
    statuses = [
        asked(guarded.port, "GET", "/api/studies", {"Cookie": one})[0] for one in (before, after)
    ]
    assert statuses == [401, 200]


def test_the_page_has_a_button_that_logs_out(guarded: Served) -> None:
    _, cookie = log_in(guarded.port, PASSWORD)
    for target in ("/dashboard", "/dashboard/studies/1"):
        with connected(guarded.port) as connection:
            connection.request("GET", target, headers={"Cookie": cookie, "Range": "bytes=0-9"})
            answer = connection.getresponse()
            content = answer.read().decode()
        assert answer.status == 200
        assert re.search(r'<form method="post" action="/logout".*</body>', content, re.DOTALL)


def test_a_cookie_is_secure_behind_the_proxy_that_was_named(guarded: Served) -> None:
    headers = {
        "Origin": guarded.url.replace("http:", "https:"),
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "192.0.2.7",
    }
    form = f"user=ada&password={PASSWORD.replace(' ', '+')}".encode()
    found = {
        address: asked(guarded.port, "POST", "/login", headers, form, address)
        for address in (PROXY, USER)
    }
    assert [status for status, _ in found.values()] == [303, 303]
    cookie = found[PROXY][1]["set-cookie"]
    assert cookie.startswith("__Host-freerun-dashboard=")
    for part in ("Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict", "Secure"):
        assert part in cookie.split("; ")
    assert found[PROXY][1]["strict-transport-security"] == "max-age=31536000"
    plain = found[USER][1]
    assert plain["set-cookie"].startswith(f"freerun-dashboard-{guarded.port}=")
    assert "Secure" not in plain["set-cookie"]
    assert "strict-transport-security" not in plain
    shown = {"Cookie": cookie.partition(";")[0]}
    assert asked(guarded.port, "GET", "/api/studies", {**shown, **headers}, address=PROXY)[0] == 200
    assert asked(guarded.port, "GET", "/api/studies", {**shown, **headers})[0] == 401


def test_tries_are_counted_by_the_address_that_the_proxy_states(guarded: Served) -> None:
    def statuses(sender: str, visitor: str) -> list[int]:
        origin = guarded.url.replace("http:", "https:")
        headers = {"Origin": origin, "X-Forwarded-For": visitor, "X-Forwarded-Proto": "https"}
        form = b"user=eve&password=x"
        return [
            asked(guarded.port, "POST", "/login", headers, form, sender)[0]
            for _ in range(PER_ADDRESS + 1)
        ]

    assert statuses(PROXY, "192.0.2.8") == [401] * PER_ADDRESS + [429]
    assert statuses(PROXY, "192.0.2.9")[0] == 401
    assert statuses("127.0.0.4", "192.0.2.10") == [401] * PER_ADDRESS + [429]
    assert statuses("127.0.0.4", "192.0.2.11")[0] == 429


@pytest.mark.parametrize(
    ("hops", "status"),
    [
        *(
            (hops, 401)
            for hops in ("192.0.2.7", "x, 192.0.2.7:80", "2001:db8::1", "[2001:db8::]:8")
        ),
        *((hops, 400) for hops in (":.", "192.0.2.7, :.a", "", "nobody", "[]")),
    ],
)
def test_the_proxy_has_to_state_an_address(guarded: Served, hops: str, status: int) -> None:
    headers = {"X-Forwarded-For": hops, "X-Forwarded-Proto": "https"}
    assert asked(guarded.port, "GET", "/login", headers, address=PROXY)[0] == status


def test_headers_and_bodies_of_strangers_are_bounded(guarded: Served) -> None:
    port, head = guarded.port, b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    long = b"GET / HTTP/1.1\r\nX: " + b"x" * MOST_HEADER_BYTES + b"\r\n\r\n"
    assert b" 431 " in said(port, long)
    length = f"Content-Length: {MOST_BODY_BYTES}\r\n\r\n".encode()
    assert b" 413 " in said(port, head + length)
    assert b" 400 " in said(port, head + b"Transfer-Encoding: chunked\r\n\r\n1\n\r\nx\r\n")


def test_who_is_logged_in_may_send_a_file(guarded: Served) -> None:
    _, cookie = log_in(guarded.port, PASSWORD)
    headers = {"Cookie": cookie, "Origin": guarded.url, "Content-Type": "application/json"}
    body = b'{"file": "' + b"x" * MOST_BODY_BYTES + b'"}'
    assert asked(guarded.port, "POST", "/api/artifacts/99", headers, body)[0] == 404
    head = f"POST /api/artifacts/99 HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n"
    length = f"Content-Length: {MOST_FILE_BYTES}\r\n\r\n"
    assert b" 413 " in said(guarded.port, (head + length).encode())


def test_nothing_says_which_part_of_a_login_was_wrong(guarded: Served) -> None:
    headers = {"Origin": guarded.url}
    pages = []
    for form in (b"user=ada&password=wrong", b"user=eve&password=wrong"):
        with connected(guarded.port, STRANGER.replace(".2", ".5")) as connection:
            connection.request("POST", "/login", form, headers)
            answer = connection.getresponse()
            pages.append((answer.status, answer.read()))
    assert pages[0] == pages[1]
    assert pages[0][0] == 401
