"""Layers of WSGI before optuna-dashboard, and the few words of WSGI that they share.

A layer takes an application and returns one. Guards refuse what a visitor's browser may have been
misled to ask for.
"""

import gzip
import ipaddress
import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from typing import Any, TypeAlias
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from search.names import cut

App: TypeAlias = WSGIApplication
Environ: TypeAlias = WSGIEnvironment
Start: TypeAlias = StartResponse
Headers: TypeAlias = list[tuple[str, str]]
Body: TypeAlias = Iterable[bytes]
# Status and reason.
Refused: TypeAlias = tuple[HTTPStatus, str]

_HEALTH_PATH = "/health"
_SAFE_METHODS = ("GET", "HEAD")
# What the page of optuna-dashboard uses; other sites need not ask by OPTIONS what they may not do.
_METHODS = (*_SAFE_METHODS, "POST", "PUT", "DELETE")
GZIP_LEVEL = 6
# Shorter answers gain nothing.
_LEAST_BYTES = 1000
_TEXTS = ("application/json", "text/", "application/javascript", "image/svg+xml")
# Beyond so many trials the server would draw a plot for minutes, while nobody else gets an answer.
# The page draws its own plots, and asks for these only where its settings say so.
_MOST_TRIALS = {"contour": 200, "rank": 200}
_MOST_TRIALS_OTHERWISE = 2000
# Thirty parameters make 900 panels, which take a minute whatever the number of trials.
_OF_PAIRS, _MOST_PARAMETERS = ("contour", "rank"), 12
# The file is made of Optuna's trials, which take 20 kB each in memory.
_MOST_TRIALS_OF_FILE = 10_000
_CSV = re.compile(r"/csv/(\d+)")
_PLOT = re.compile(r"/api/studies/(\d+)/plot/(\w+)")
# A name, or an address of version 6 in brackets, and perhaps a port.
_HOST = re.compile(r"(?:([\w.-]+)|\[([0-9a-f:.]+)\])(?::\d*)?", re.ASCII)


def method(environ: Environ) -> str:
    """The request's method, in capitals."""
    return str(environ["REQUEST_METHOD"]).upper()


def path(environ: Environ) -> str:
    """The request's path without slashes at its end, as the dashboard takes it; "/" for none."""
    return str(environ.get("PATH_INFO", "")).rstrip("/") or "/"


def header(environ: Environ, name: str) -> str:
    """A request header's value, "" where it was not sent."""
    return str(environ.get("HTTP_" + name.upper().replace("-", "_"), ""))


def takes_gzip(environ: Environ) -> bool:
    return "gzip" in header(environ, "Accept-Encoding").lower()


def is_same_origin(environ: Environ) -> bool:
    """Whether the browser says that a page of this dashboard sent the request.

    Browsers say so of each request that may change something, in Sec-Fetch-Site or in Origin; one
    that says neither did not come from there.
    """
    site = header(environ, "Sec-Fetch-Site")
    if site:
        return site == "same-origin"
    scheme, _, host = header(environ, "Origin").lower().partition("://")
    # A proxy that was not named may speak HTTPS where the request came by HTTP, not the reverse.
    schemes = ("https",) if environ.get("wsgi.url_scheme") == "https" else ("http", "https")
    return scheme in schemes and bool(host) and host == header(environ, "Host").lower()


def answer(
    start: Start,
    status: HTTPStatus,
    content: bytes,
    content_type: str,
    headers: Sequence[tuple[str, str]] = (),
) -> Body:
    """Start a whole answer and return its body."""
    sized = [("Content-Type", content_type), ("Content-Length", str(len(content))), *headers]
    start(f"{status.value} {status.phrase}", sized)
    return [content]


def refusal(
    start: Start, status: HTTPStatus, reason: str, headers: Sequence[tuple[str, str]] = ()
) -> Body:
    """Answer with a reason, in the form in which the dashboard's page shows it."""
    content = json.dumps({"reason": reason}).encode()
    return answer(start, status, content, "application/json", headers)


def with_health(app: App) -> App:
    """200 at /health."""

    def healthy(environ: Environ, start: Start) -> Body:
        if path(environ) == _HEALTH_PATH:
            return answer(start, HTTPStatus.OK, b"ok\n", "text/plain; charset=utf-8")
        return app(environ, start)

    return healthy


def with_known_methods(app: App) -> App:
    """405 to a method that no page uses."""

    def known(environ: Environ, start: Start) -> Body:
        if environ["REQUEST_METHOD"] in _METHODS:
            return app(environ, start)
        methods = ", ".join(_METHODS)
        reason = f"a request must be one of {methods}"
        return refusal(start, HTTPStatus.METHOD_NOT_ALLOWED, reason, [("Allow", methods)])

    return known


def with_empty_heads(app: App) -> App:
    """Headers alone to HEAD: what followed them would be taken for the next answer."""

    def emptied(environ: Environ, start: Start) -> Body:
        body = app(environ, start)
        if method(environ) != "HEAD":
            return body
        if (close := getattr(body, "close", None)) is not None:
            close()
        return []

    return emptied


def guarded(app: App, refused: Callable[[Environ], Refused | None]) -> App:
    """The application behind a guard, which returns what it refuses."""

    def guard(environ: Environ, start: Start) -> Body:
        found = refused(environ)
        return app(environ, start) if found is None else refusal(start, *found)

    return guard


def unknown_host(environ: Environ, names: Collection[str], *, any_address: bool) -> Refused | None:
    """Refuse a Host header that is none of `names`.

    A page of another name, whose address was changed to ours (DNS rebinding), would reach the
    dashboard through a visitor's browser. names: of hosts, without ports, which a proxy or a
    container may have changed. Loopback addresses are always known. any_address: whether every
    address is, since a browser that was asked for an address by number was not misled.
    """
    sent = header(environ, "Host")
    host = _host_name(sent)
    address = _address(host)
    if address is not None and (any_address or address.is_loopback):
        return None
    if host and host in {"localhost", *(name.lower().rstrip(".") for name in names)}:
        return None
    reason = f"the dashboard is not known as {cut(sent)!r}; --allow-host names it so"
    return HTTPStatus.BAD_REQUEST, reason


def odd_path(environ: Environ) -> Refused | None:
    """Refuse a path that the dashboard would take for another one than the layers before it do.

    It leaves out bytes that are no UTF-8 and a newline at the end, and takes digits of any script.
    """
    where = str(environ.get("PATH_INFO", ""))
    if where.isascii() and where.isprintable():
        return None
    return HTTPStatus.BAD_REQUEST, "a path must be of printable ASCII, as those of all pages are"


def is_wildcard(host: str) -> bool:
    """Whether a host stands for all addresses of this machine."""
    address = _address(host)
    return address is not None and address.is_unspecified


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def forbidden_change(environ: Environ, *, writable: bool) -> Refused | None:
    """Refuse what may change something, unless `writable` and our own page sent it."""
    if method(environ) in _SAFE_METHODS:
        return None
    if not writable:
        reason = "this dashboard is read-only; `freerun dashboard --writable` allows changes"
        return HTTPStatus.FORBIDDEN, reason
    if not is_same_origin(environ):
        return HTTPStatus.FORBIDDEN, "a change must be asked for by the dashboard's own page"
    return None


def costly_plot(
    environ: Environ,
    trials_of: Callable[[int], int | None],
    parameters_of: Callable[[int], int | None] = lambda _: None,
) -> Refused | None:
    """Refuse a plot, or a CSV file, that the server would make of too many trials.

    Or a plot of too many parameters, of which it draws every pair. trials_of, parameters_of: how
    many a study has, by its id; None where that is not known.
    """
    if found := _CSV.fullmatch(path(environ)):
        trials = trials_of(int(found[1]))
        if trials is None or trials <= _MOST_TRIALS_OF_FILE:
            return None
        return HTTPStatus.FORBIDDEN, (
            f"the CSV file is made up to {_MOST_TRIALS_OF_FILE:,} trials, but the study has "
            f"{trials:,}; `freerun.Study.trials()` in Python returns them as a data frame"
        )
    found = _PLOT.fullmatch(path(environ))
    if found is None:
        return None
    most = _MOST_TRIALS.get(found[2], _MOST_TRIALS_OTHERWISE)
    parameters = parameters_of(int(found[1])) if found[2] in _OF_PAIRS else None
    if parameters is not None and parameters > _MOST_PARAMETERS:
        return HTTPStatus.FORBIDDEN, (
            f"the plot {found[2]} is drawn of up to {_MOST_PARAMETERS} parameters, but the study "
            f"has {parameters}; see `freerun report`"
        )
    trials = trials_of(int(found[1]))
    if trials is None or trials <= most:
        return None
    return HTTPStatus.FORBIDDEN, (
        f"the plot {found[2]} is drawn up to {most:,} trials, but the study has {trials:,}; "
        "see `freerun report`"
    )


def compressed(app: App) -> App:
    """Texts gzipped for browsers that take it, unless the application has done so itself."""

    def packed(environ: Environ, start: Start) -> Body:
        if not takes_gzip(environ):
            return app(environ, start)
        begun: list[tuple[str, Headers]] = []

        def begin(status: str, headers: Headers, _exc_info: Any = None) -> Any:
            begun.append((status, list(headers)))

        body = app(environ, begin)
        ((status, headers),) = begun
        if not _is_text(headers):
            start(status, headers)
            return body
        with ExitStack() as stack:
            if hasattr(body, "close"):
                stack.callback(body.close)
            content = b"".join(body)
        if len(content) >= _LEAST_BYTES:
            content = gzip.compress(content, GZIP_LEVEL, mtime=0)
            headers.append(("Content-Encoding", "gzip"))
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start(status, [*kept, ("Content-Length", str(len(content))), ("Vary", "Accept-Encoding")])
        return [content]

    return packed


def _host_name(value: str) -> str:
    """The name or address in a Host header, without its port; "" for what is no such header."""
    found = _HOST.fullmatch(value.strip().lower())
    return "" if found is None else (found[1] or found[2]).rstrip(".")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_text(headers: Headers) -> bool:
    names = {name.lower(): value for name, value in headers}
    return "content-encoding" not in names and names.get("content-type", "").startswith(_TEXTS)
