"""Answers in fewer bytes: the dashboard sends megabytes of JSON as they are."""

import gzip
from typing import Any

from search.results.dashboard.wsgi import App, Body, Environ, Headers, Start, takes_gzip

# Shorter answers gain nothing.
_LEAST_BYTES = 1000
LEVEL = 6
_TYPES = ("application/json", "text/", "application/javascript", "image/svg+xml")


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
