"""Layers that refuse or disarm what a visitor's browser may have been misled to do.

HostCheck        names that the dashboard is not known by
Changes          changes when it is read-only, or that another site asked for
CostlyPlots      plots that would keep the server busy for minutes
SafeArtifacts    scripts in files that other programs uploaded
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from search.dashboard.wsgi import (
    SAFE_METHODS,
    App,
    Body,
    Environ,
    Headers,
    Start,
    header,
    method,
    path,
    refusal,
    with_headers,
)

_KNOWN_HOSTS = frozenset({"localhost"})
# Beyond so many trials the server would draw a plot for minutes, while nobody else gets an answer.
# The page draws its own plots, and asks for these only where its settings say so.
MOST_TRIALS = {"contour": 200, "rank": 200}
MOST_TRIALS_OTHERWISE = 2000
_PLOT = re.compile(r"/api/studies/(\d+)/plot/(\w+)")
_ARTIFACT = re.compile(r"/artifacts/.+")
# Browsers show these types; any other type is downloaded.
_SHOWN_TYPES = ("image/png", "image/jpeg", "text/csv")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_OURS = ("content-security-policy", "x-content-type-options", "content-disposition")


class HostCheck:
    """Answers 400 where the Host header is none of `names`.

    A page of another name, whose address was changed to ours (DNS rebinding), would reach the
    dashboard through a visitor's browser. names: of hosts, without ports, which a proxy or a
    container may have changed. Loopback addresses are always known. any_address: whether every
    address is, since a browser that was asked for an address by number was not misled.
    """

    def __init__(self, app: App, names: Collection[str], *, any_address: bool) -> None:
        self._app = app
        self._names = _KNOWN_HOSTS | {name.lower().rstrip(".") for name in names}
        self._any_address = any_address

    def __call__(self, environ: Environ, start: Start) -> Body:
        host = host_name(header(environ, "Host"))
        if self._is_known(host):
            return self._app(environ, start)
        reason = f"the dashboard is not known as {host!r}; --allow-host names it so"
        return refusal(start, HTTPStatus.BAD_REQUEST, reason)

    def _is_known(self, host: str) -> bool:
        if host in self._names:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return address.is_loopback or self._any_address


def host_name(value: str) -> str:
    """The name or address in a Host header or an origin's authority, without its port."""
    value = value.strip().lower()
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0].rstrip(".")


def own_names(listening_on: str) -> set[str]:
    """Under which names a dashboard that listens there is reached, beside loopback."""
    if is_wildcard(listening_on):
        return {socket.gethostname()}
    return {listening_on}


def is_wildcard(host: str) -> bool:
    """Whether a host stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Changes:
    """Lets a request that may change something through if `writable`, and if our own page sent it.

    Browsers say with each such request where it comes from, in Sec-Fetch-Site or in Origin; one
    that says neither is refused, too.
    """

    def __init__(self, app: App, *, writable: bool) -> None:
        self._app = app
        self._writable = writable

    def __call__(self, environ: Environ, start: Start) -> Body:
        if method(environ) in SAFE_METHODS:
            return self._app(environ, start)
        if not self._writable:
            reason = "this dashboard is read-only; `freerun dashboard --writable` allows changes"
            return refusal(start, HTTPStatus.FORBIDDEN, reason)
        if not is_same_origin(environ):
            reason = "a change must be asked for by the dashboard's own page"
            return refusal(start, HTTPStatus.FORBIDDEN, reason)
        return self._app(environ, start)


def is_same_origin(environ: Environ) -> bool:
    """Whether the browser says that a page of this dashboard sent the request."""
    site = header(environ, "Sec-Fetch-Site")
    if site:
        return site == "same-origin"
    origin = urlsplit(header(environ, "Origin"))
    return bool(origin.netloc) and origin.netloc.lower() == header(environ, "Host").lower()


class CostlyPlots:
    """Refuses plots that the server would draw of too many trials.

    trials_of: how many a study has, by its id; None where that is not known.
    """

    def __init__(self, app: App, trials_of: Callable[[int], int | None]) -> None:
        self._app = app
        self._trials_of = trials_of

    def __call__(self, environ: Environ, start: Start) -> Body:
        found = _PLOT.fullmatch(path(environ))
        if found is None:
            return self._app(environ, start)
        most = MOST_TRIALS.get(found[2], MOST_TRIALS_OTHERWISE)
        trials = self._trials_of(int(found[1]))
        if trials is not None and trials > most:
            reason = (
                f"the plot {found[2]} is drawn up to {most:,} trials, but the study has "
                f"{trials:,}; see `freerun report`"
            )
            return refusal(start, HTTPStatus.FORBIDDEN, reason)
        return self._app(environ, start)


class SafeArtifacts:
    """Serves artifacts without scripts, as what they say they are, and mostly as downloads."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._safe = with_headers(app, _safe_headers)

    def __call__(self, environ: Environ, start: Start) -> Body:
        is_artifact = _ARTIFACT.fullmatch(path(environ)) is not None
        return (self._safe if is_artifact else self._app)(environ, start)


def _safe_headers(headers: Headers) -> Headers:
    kept = [(name, value) for name, value in headers if name.lower() not in _OURS]
    types = [value for name, value in headers if name.lower() == "content-type"]
    is_shown = bool(types) and types[0].partition(";")[0].strip().lower() in _SHOWN_TYPES
    ours = [("Content-Security-Policy", _POLICY), ("X-Content-Type-Options", "nosniff")]
    return kept + ours + ([] if is_shown else [("Content-Disposition", "attachment")])
