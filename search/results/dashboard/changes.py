"""Requests that change something: refused when read-only, and when another page made them."""

from http import HTTPStatus
from urllib.parse import urlsplit

from search.results.dashboard.wsgi import (
    SAFE_METHODS,
    App,
    Body,
    Environ,
    Start,
    header,
    method,
    refusal,
)


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
