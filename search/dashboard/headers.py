"""Layers that say to browsers what they may do with an answer."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from search.dashboard.layers import App, Body, Environ, Headers, Start, method, path

_ARTIFACT = re.compile(r"/artifacts/.+")
# Browsers show these types; any other type is downloaded.
_SHOWN_TYPES = ("image/png", "image/jpeg", "text/csv")
# Of the others, these keep their type; scripts do not, which the policy of the page lets run.
_MEDIA = re.compile(r"(?:image|audio|video)/[\w.+-]+", re.ASCII)
_UNKNOWN_TYPE = "application/octet-stream"
_ARTIFACT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
# optuna-dashboard lets any site read artifacts.
_OF_ARTIFACTS = (
    *("content-security-policy", "x-content-type-options", "content-disposition"),
    *("content-type", "access-control-allow-origin"),
)

_POLICY = "default-src 'none'"
# Those of optuna-dashboard's page say where scripts come from, but nothing of these.
_POLICY_OF_ALL = "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_OF_ALL = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Of what the server answers by itself, before or instead of the application.
OF_ERRORS = (
    *_OF_ALL.items(),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", f"{_POLICY}; {_POLICY_OF_ALL}"),
)
# A year. Not for subdomains, on which others may serve what they like.
_HTTPS_ONLY = "max-age=31536000"
_OF_FILES = ("content-length", "last-modified", "etag", "accept-ranges")
_OF_PARTS = ("HTTP_RANGE", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH")
# The same for everybody.
_PUBLIC = "/static/"
_LOGOUT = (
    b'<form method="post" action="/logout" style="position:fixed;right:8px;bottom:8px;z-index:9">'
    b"<button>Log out</button></form>\n"
)


def with_safe_artifacts(app: App) -> App:
    """Files without scripts, as what they say they are, and mostly as downloads."""
    safe = _with_headers(app, _artifact_headers)

    def chosen(environ: Environ, start: Start) -> Body:
        return (safe if _ARTIFACT.fullmatch(path(environ)) else app)(environ, start)

    return chosen


def with_security_headers(app: App) -> App:
    """What other sites may not do with answers, whence scripts may come, and that none is kept."""

    def secured(environ: Environ, start: Start) -> Body:
        wanted = dict(_OF_ALL)
        if environ.get("wsgi.url_scheme") == "https":
            wanted["Strict-Transport-Security"] = _HTTPS_ONLY
        if not path(environ).startswith(_PUBLIC):
            wanted["Cache-Control"] = "no-store"
        if path(environ).startswith("/api/"):
            wanted["Content-Disposition"] = 'attachment; filename="api.json"'
        return _with_headers(app, lambda headers: _completed(headers, wanted))(environ, start)

    return secured


def with_logout_button(app: App) -> App:
    """A button that ends the session, on optuna-dashboard's page."""

    def extended(environ: Environ, start: Start) -> Body:
        if method(environ) != "GET" or not f"{path(environ)}/".startswith("/dashboard/"):
            return app(environ, start)
        # Whole and new each time: it has our button, of which its date says nothing.
        asked = {**environ, **dict.fromkeys(_OF_PARTS, "")}
        begun: list[tuple[str, Headers]] = []

        def begin(status: str, headers: Headers, _exc_info: Any = None) -> Any:
            begun.append((status, headers))

        body = app(asked, begin)
        try:
            content = b"".join(body).replace(b"</body>", _LOGOUT + b"</body>")
        finally:
            if (close := getattr(body, "close", None)) is not None:
                close()
        ((status, headers),) = begun
        kept = [(name, value) for name, value in headers if name.lower() not in _OF_FILES]
        start(status, [*kept, ("Content-Length", str(len(content)))])
        return [content]

    return extended


def _with_headers(app: App, change: Callable[[Headers], Headers]) -> App:
    """The application with other response headers; `change` gets what it would have sent."""

    def changed(environ: Environ, start: Start) -> Body:
        def start_changed(status: str, headers: Headers, exc_info: Any = None) -> Any:
            return start(status, change(list(headers)), exc_info)

        return app(environ, start_changed)

    return changed


def _artifact_headers(headers: Headers) -> Headers:
    own = {name.lower(): value for name, value in headers}
    kind = own.get("content-type", "").partition(";")[0].strip().lower()
    is_shown = kind in _SHOWN_TYPES
    kept = [(name, value) for name, value in headers if name.lower() not in _OF_ARTIFACTS]
    ours = [
        ("Content-Type", kind if is_shown or _MEDIA.fullmatch(kind) else _UNKNOWN_TYPE),
        ("Content-Security-Policy", _ARTIFACT_POLICY),
    ]
    return kept + ours + ([] if is_shown else [("Content-Disposition", "attachment")])


def _completed(headers: Headers, wanted: Mapping[str, str]) -> Headers:
    """The headers, those that lack, a policy that says all, and the encoding of every text."""
    headers = [
        (name, _with_charset(value) if name.lower() == "content-type" else value)
        for name, value in headers
    ]
    own = {name.lower(): value for name, value in headers}
    policy = own.get("content-security-policy", _POLICY).rstrip("; ")
    kept = [pair for pair in headers if pair[0].lower() != "content-security-policy"]
    more = [pair for pair in wanted.items() if pair[0].lower() not in own]
    return [*kept, *more, ("Content-Security-Policy", f"{policy}; {_POLICY_OF_ALL}")]


def _with_charset(content_type: str) -> str:
    """UTF-8 unless a charset is named; optuna-dashboard's CSV misspells the word, and is UTF-8."""
    if not content_type.startswith("text/") or "charset=" in content_type:
        return content_type
    return f"{content_type.partition(';')[0]}; charset=utf-8"
