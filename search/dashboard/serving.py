"""The dashboard's server: optuna-dashboard behind our layers, until a signal comes."""

import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread
from types import FrameType
from typing import NoReturn

import optuna_dashboard

from search.dashboard import headers, layers
from search.dashboard.credentials import Credentials
from search.dashboard.fitting import unfit
from search.dashboard.login import Login, has_session
from search.dashboard.server import BACKLOG, BoundedServer
from search.dashboard.sessions import OneTimeLink, Sessions
from search.dashboard.study_pages import StudyPages
from search.errors import UsageError
from search.names import cut
from search.storage.studies import Storage

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 8080


def dashboard_app(
    storage: Storage,
    key: Credentials | OneTimeLink,
    names: Collection[str] = (),
    *,
    any_address: bool = False,
    writable: bool = False,
    sessions: Sessions | None = None,
) -> layers.App:
    """The whole application, from the inside out; a thread begins to read the studies.

    key: credentials, or a link that works once. names: of hosts that the dashboard is reached by,
    beside loopback; any_address: by any address as well. writable: whether changes are let through.
    sessions: where those are kept that log in.
    """
    # Given the storage, it reads through the cache; given a URL, it would read each study again.
    app: layers.App = optuna_dashboard.wsgi(storage.optuna, artifact_store=storage.artifacts)
    pages = StudyPages(app, storage)
    Thread(target=pages.warm_up, name="warm-up", daemon=True).start()
    app = headers.with_logout_button(headers.with_safe_artifacts(pages))
    plots = partial(
        layers.costly_plot, trials_of=pages.trials_of, parameters_of=pages.parameters_of
    )
    app = layers.guarded(app, plots)
    app = layers.guarded(app, partial(unfit, storage=storage.optuna))
    app = layers.guarded(app, partial(layers.forbidden_change, writable=writable))
    app = Login(app, key, sessions or Sessions())
    app = layers.with_health(app)
    app = layers.guarded(layers.compressed(app), layers.odd_path)
    known = partial(layers.unknown_host, names=names, any_address=any_address)
    app = layers.with_known_methods(layers.guarded(app, known))
    return headers.with_security_headers(layers.with_empty_heads(app))


def serve_dashboard(
    storage: Storage,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    credentials: Credentials | None = None,
    allowed_hosts: Collection[str] = (),
    writable: bool = False,
    proxy: str | None = None,
) -> signal.Signals:
    """Serve the dashboard until SIGINT or SIGTERM comes, and return which came.

    host: loopback, unless others may reach the dashboard. port: 0 for a free one. credentials: of
    who may log in; without any, a link that logs in once is written to standard error, and the next
    one when it is used. allowed_hosts: further names by which it is reached, of a proxy perhaps.
    writable: whether changes of studies are let through. proxy: the address that a reverse proxy
    connects from, whose X-Forwarded-For and X-Forwarded-Proto are believed then. The URL is written
    to standard error as soon as it answers. To be called from the main thread, which is where
    signals arrive.

    Raises UsageError where the address can't be had.
    """
    proxy = _checked_proxy(proxy)
    listening = _listen(host, port)
    any_address = layers.is_wildcard(host)
    url = _url("127.0.0.1" if any_address else host, listening.getsockname()[1])
    came: list[signal.Signals] = []
    with listening, _noted_signals(came), suppress(_Ended):
        _say(_invitation(url, host, writable=writable))
        key = credentials or OneTimeLink(lambda link: _say(f"Log in, once: {url}{link}"))
        names = {socket.gethostname() if any_address else host, *allowed_hosts}
        sessions = Sessions()
        app = dashboard_app(
            storage, key, names, any_address=any_address, writable=writable, sessions=sessions
        )
        server = BoundedServer(
            app,
            listening,
            may_upload=lambda cookies: writable and has_session(cookies, sessions),
            proxy=proxy,
        )
        # It would say so for each request under load, and of each header of a proxy that it can't
        # read, with what the visitor sent.
        logging.getLogger("waitress").setLevel(logging.ERROR)
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
        return socket.create_server(address, family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a name of an address"
        raise UsageError(
            f"the dashboard can't be served on {_url(host, port)}: {reason}; "
            "name another address by --host and --port"
        ) from error


def _checked_proxy(address: str | None) -> str | None:
    """An address as sockets write it."""
    try:
        return None if address is None else str(ipaddress.ip_address(address))
    except ValueError:
        raise UsageError(
            "--proxy must be the IP address that the proxy connects from, 127.0.0.1 if it runs on "
            f"this machine, but got {cut(address or '')!r}"
        ) from None


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


def _invitation(url: str, host: str, *, writable: bool) -> str:
    changes = "changes are allowed" if writable else "read-only"
    text = f"Dashboard on {url} ({changes}; Ctrl-C ends it)"
    if not layers.is_loopback(host):
        text += (
            "\nOther machines reach it, over a connection that is not encrypted: put a proxy with "
            "HTTPS before it where the network is not your own."
        )
    return text


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
