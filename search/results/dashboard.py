"""optuna-dashboard on an open storage, behind a server that is meant for production."""

import ipaddress
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import optuna_dashboard
from waitress.server import create_server

from search.errors import UsageError
from search.storage import Storage

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080

# A page asks for the study, its artifacts and its plots at the same time.
_THREADS = 8
_BACKLOG = 128


def dashboard_app(storage: Storage) -> "WSGIApplication":
    """The dashboard as a WSGI application; whatever stands in front of it is wrapped around here.

    It reads through the storage's cache: given a URL, it would read every study anew each time.
    """
    app: WSGIApplication = optuna_dashboard.wsgi(storage.optuna, artifact_store=storage.artifacts)
    return app


def serve_dashboard(
    storage: Storage, *, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT
) -> signal.Signals:
    """Serve the dashboard until SIGINT or SIGTERM comes, and return which came.

    host: loopback, unless others may reach the dashboard, and with it change the studies. port: 0
    for a free one. The URL is written to standard error as soon as it answers. To be called from
    the main thread, which is where signals arrive.

    Raises UsageError where the address can't be had.
    """
    listening = _listen(host, port)
    came: list[signal.Signals] = []
    with listening, _noted_signals(came), suppress(_Ended):
        server = create_server(
            dashboard_app(storage), sockets=[listening], threads=_THREADS, ident="freerun"
        )
        sys.stderr.write(_invitation(host, listening.getsockname()[1]))
        sys.stderr.flush()
        server.run()  # returns when _Ended came and its threads have ended
    return came[0]


class _Ended(SystemExit):
    """A signal asks for the end. Waitress lets an exit through, and nothing else."""


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, made before any thread of the server."""
    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be from 0 to 65535, but got {port}")
    if not host:
        raise UsageError(f"--host must not be empty; name an address such as {DEFAULT_HOST}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a name of an address"
        raise UsageError(
            f"the dashboard can't be served on {_url(host, port)}: {reason}; "
            "name another address by --host and --port"
        ) from error


@contextmanager
def _noted_signals(came: list[signal.Signals]) -> Iterator[None]:
    """Within it, SIGINT and SIGTERM are noted in `came` and raise _Ended."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        came.append(signal.Signals(number))
        raise _Ended

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _invitation(host: str, port: int) -> str:
    text = f"Dashboard on {_url(host, port)} (Ctrl-C ends it)\n"
    if not _is_loopback(host):
        text += "Whoever can reach this address can read and change all studies.\n"
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
