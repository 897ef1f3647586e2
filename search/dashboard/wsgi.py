"""The few words of WSGI that every layer uses: what was asked, a short answer, fewer bytes."""

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
else:
    # Names for annotations alone, which nothing evaluates.
    StartResponse = WSGIApplication = WSGIEnvironment = object

App: TypeAlias = WSGIApplication
Environ: TypeAlias = WSGIEnvironment
Start: TypeAlias = StartResponse
Headers: TypeAlias = list[tuple[str, str]]
Body: TypeAlias = Iterable[bytes]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Shorter answers gain nothing.
_LEAST_BYTES = 1000
LEVEL = 6
_TYPES = ("application/json", "text/", "application/javascript", "image/svg+xml")


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
    """Whether the answer may be compressed."""
    return "gzip" in header(environ, "Accept-Encoding").lower()


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


def with_headers(app: App, change: Callable[[Headers], Headers]) -> App:
    """The application with other response headers; `change` gets what it would have sent."""

    def changed(environ: Environ, start: Start) -> Body:
        def start_changed(status: str, headers: Headers, exc_info: Any = None) -> Any:
            return start(status, change(list(headers)), exc_info)

        return app(environ, start_changed)

    return changed


class Compression:
    """Gzips texts for browsers that take it, unless the application has done so itself."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(self, environ: Environ, start: Start) -> Body:
        if not takes_gzip(environ):
            return self._app(environ, start)
        begun: list[tuple[str, Headers]] = []

        def begin(status: str, headers: Headers, _exc_info: Any = None) -> Any:
            begun.append((status, list(headers)))

        body = self._app(environ, begin)
        ((status, headers),) = begun
        if not _is_text(headers):
            start(status, headers)
            return body
        content = _read(body)
        if len(content) >= _LEAST_BYTES:
            content = gzip.compress(content, LEVEL, mtime=0)
            headers.append(("Content-Encoding", "gzip"))
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start(status, [*kept, ("Content-Length", str(len(content))), ("Vary", "Accept-Encoding")])
        return [content]


def _is_text(headers: Headers) -> bool:
    names = {name.lower(): value for name, value in headers}
    return "content-encoding" not in names and names.get("content-type", "").startswith(_TYPES)


def _read(body: Body) -> bytes:
    try:
        return b"".join(body)
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
