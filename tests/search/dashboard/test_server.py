"""How long the server waits for whom: real sockets, with a clock that goes ahead."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event
from typing import cast

import pytest
from waitress.channel import HTTPChannel

from search.dashboard.layers import App, Body, Environ, Start
from search.dashboard.server import IDLE_SECONDS, READER_SECONDS, REQUEST_SECONDS, BoundedServer

LONG = b"x" * 2**24
Serve = Callable[[App], BoundedServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[BoundedServer] = []

    def served(app: App) -> BoundedServer:
        listening = socket.create_server(("127.0.0.1", 0))
        made.append(BoundedServer(app, listening, may_upload=lambda _: False))
        return made[-1]

    yield served
    for server in made:
        server.task_dispatcher.shutdown()
        server.asyncore.close_all(server.watched)


def plain(environ: Environ, start: Start) -> Body:
    contents = [LONG, LONG] if environ["PATH_INFO"] == "/long" else [b"short"]
    start("200 OK", [("Content-Length", str(sum(map(len, contents))))])
    return contents


def turn(server: BoundedServer, until: Callable[[], bool]) -> None:
    """Let the server handle what comes until something is so."""
    ends = time.monotonic() + 60
    while not until():
        assert time.monotonic() < ends
        server.asyncore.loop(timeout=0.01, use_poll=True, map=server.watched, count=1)


def later(server: BoundedServer, seconds: float) -> None:
    """What the server does when it looks for connections after so long."""
    server.maintenance(time.time() + seconds)


def client(server: BoundedServer, content: bytes) -> socket.socket:
    """A connection that has sent something, which the server has begun to read."""
    made = socket.create_connection(("127.0.0.1", int(server.getsockname()[1])), 60)
    turn(server, lambda: bool(channels(server)))
    made.sendall(content)
    turn(
        server, lambda: not content or any(one.request or one.requests for one in channels(server))
    )
    return made


def channels(server: BoundedServer) -> list[HTTPChannel]:
    return list(cast("dict[int, HTTPChannel]", server.active_channels).values())


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        (b"", IDLE_SECONDS),
        (b"GET / HTTP/1.1\r\nX-Never: end", REQUEST_SECONDS),
        (b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nx", REQUEST_SECONDS),
    ],
)
def test_who_does_not_finish_a_request_is_cut_off(
    serve: Serve, content: bytes, seconds: float
) -> None:
    server = serve(plain)
    with closing(client(server, content)) as slow:
        later(server, seconds - 5)
        assert channels(server)
        later(server, seconds + 1)
        assert slow.recv(1) == b""
        assert not channels(server)


def test_who_stops_reading_is_cut_off_and_holds_no_thread(serve: Serve) -> None:
    server = serve(plain)
    with closing(client(server, b"GET /long HTTP/1.1\r\n\r\n")):
        turn(server, lambda: channels(server)[0].total_outbufs_len > len(LONG) // 2)
        later(server, READER_SECONDS - 5)
        assert channels(server)
        later(server, READER_SECONDS + 1)
        assert not channels(server)
        turn(server, lambda: server.task_dispatcher.active_count == 0)


def test_who_waits_for_an_answer_is_not_cut_off(serve: Serve) -> None:
    go_on = Event()

    def slow(environ: Environ, start: Start) -> Body:
        go_on.wait()
        return plain(environ, start)

    server = serve(slow)
    with closing(client(server, b"GET / HTTP/1.1\r\n\r\n")) as waiting:
        later(server, 3600)
        go_on.set()
        turn(server, lambda: not channels(server)[0].requests)
        assert waiting.recv(12) == b"HTTP/1.1 200"


def answered(server: BoundedServer, content: bytes) -> bytes:
    """All that comes back, where the server closes the connection then."""
    with closing(client(server, b"")) as connection:
        connection.sendall(content)
        turn(server, lambda: not channels(server))
        with connection.makefile("rb") as received:
            return received.read()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET a://%s x" % (b"1" * 16_000), 400),
        (b"GET http://[ HTTP/1.1", 400),
        (b"GET /\t/host/path HTTP/1.1", 400),
        (b"GET / HTTP/2.0", 400),
        (b"GET / HTTP/1.1\r\nX:" + b" " * 16_000 + b"y", 400),
        (b"GET / HTTP/1.1\r\nX:" + (b" " * 99 + b"\r\n") * 150 + b" y", 400),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4", 400),
        (b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: x", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: %s" % (b"9" * 5000), 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: odd", 501),
    ],
)
def test_what_is_no_request_is_refused_at_once_and_says_what_browsers_may_do(
    serve: Serve, line: bytes, status: int
) -> None:
    server, began = serve(plain), time.process_time()
    said = answered(server, line + b"\r\n\r\n")
    assert time.process_time() - began < 1
    assert said.split(b" ")[1] == str(status).encode()
    for header in (
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Security-Policy: default-src 'none'; ",
        b"X-Content-Type-Options: nosniff",
        b"X-Frame-Options: DENY",
        b"Cache-Control: no-store",
    ):
        assert header in said


def test_who_expects_to_be_asked_for_no_body_is_answered(serve: Serve) -> None:
    request = b"GET / HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
    assert answered(serve(plain), request).startswith(b"HTTP/1.1 200 ")


def test_an_error_is_a_500_without_its_reason(serve: Serve) -> None:
    def broken(_environ: Environ, _start: Start) -> Body:
        raise RuntimeError("a secret")

    said = answered(serve(broken), b"GET / HTTP/1.1\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 500 ")
    assert b"X-Content-Type-Options: nosniff" in said
    assert b"secret" not in said
    assert b"Traceback" not in said
