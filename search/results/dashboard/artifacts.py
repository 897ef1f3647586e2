"""Files of trials and studies, of which other programs may have uploaded any: none may run."""

import re

from search.results.dashboard.wsgi import App, Body, Environ, Headers, Start, path, with_headers

_ROUTE = re.compile(r"/artifacts/.+")
# What a browser may show by itself; anything else is saved as a file where it is opened.
_SHOWN_TYPES = ("image/png", "image/jpeg", "text/csv")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class SafeArtifacts:
    """Serves artifacts without scripts, as what they say they are, and mostly as downloads."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._safe = with_headers(app, _safe_headers)

    def __call__(self, environ: Environ, start: Start) -> Body:
        is_artifact = _ROUTE.fullmatch(path(environ)) is not None
        return (self._safe if is_artifact else self._app)(environ, start)


def _safe_headers(headers: Headers) -> Headers:
    kept = [(name, value) for name, value in headers if name.lower() not in _OURS]
    types = [value for name, value in headers if name.lower() == "content-type"]
    is_shown = bool(types) and types[0].partition(";")[0].strip().lower() in _SHOWN_TYPES
    ours = [("Content-Security-Policy", _POLICY), ("X-Content-Type-Options", "nosniff")]
    return kept + ours + ([] if is_shown else [("Content-Disposition", "attachment")])


_OURS = ("content-security-policy", "x-content-type-options", "content-disposition")
