"""Bytes to a real server of the dashboard: requests that are changed once more on their way."""

import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from threading import Thread

from search.dashboard.login import has_session
from search.dashboard.server import BoundedServer
from search.dashboard.serving import dashboard_app
from search.dashboard.sessions import OneTimeLink, Sessions
from search.storage.opening import open_storage
from tests.fuzz.mutating import changed_bytes
from tests.fuzz.requests import Answer, Request, any_request
from tests.search.invented import make_study

_PATIENCE_SECONDS = 60.0
_CODINGS = ("chunked", "gzip", "chunked, chunked", "identity", "x" * 100)


def wire(folder: Path) -> Callable[[Random], Answer]:
    """Start a writable dashboard, and return what sends it bytes."""
    storage = open_storage(f"sqlite:///{folder}/wire.db", create=True)
    make_study(storage, ("complete", 0.3), ("running", 0.5))
    sessions = Sessions()
    app = dashboard_app(storage, OneTimeLink(lambda _: None), writable=True, sessions=sessions)
    listening = socket.create_server(("127.0.0.1", 0))
    server = BoundedServer(
        app, listening, may_upload=lambda cookies: has_session(cookies, sessions), proxy="127.0.0.1"
    )
    Thread(target=server.run, daemon=True).start()
    address, token = listening.getsockname(), sessions.open()
    cookie = f"freerun-dashboard-{address[1]}={token}"

    def send(random: Random) -> Answer:
        asked = any_request(random, cookie)
        content = _bytes(random, asked)
        with socket.create_connection(address, _PATIENCE_SECONDS) as connection:
            try:
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.makefile("rb").read()
            except TimeoutError:
                raise
            except OSError:  # closed before all was sent
                answer = b""
        return Answer(_status(answer), answer, asked)

    return send


def _bytes(random: Random, request: Request) -> bytes:
    """The request on the wire; more than one in four has a length or a coding that is wrong."""
    headers, content = list(request.headers), request.content
    match random.randrange(10):
        case 0:
            headers.append(("Transfer-Encoding", random.choice(_CODINGS)))
            content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)
        case 1:
            headers.append(("Content-Length", str(random.choice((0, 10**5, 10**8, 10**30)))))
        case _:
            headers.append(("Content-Length", str(len(content))))
    lines = [f"{request.method} {request.target} HTTP/1.1", *map(": ".join, headers), "", ""]
    whole = "\r\n".join(lines).encode("latin-1") + content
    return changed_bytes(random, whole) if random.random() < 0.4 else whole


def _status(answer: bytes) -> int:
    """The status; 0 where the server closed the connection without an answer."""
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
