"""The few words of WSGI that every part of the layer uses: what was asked, and a short answer."""

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
