"""The login: by name and password, or by a link that works once. Nothing is shown without one."""

import hmac
import math
import secrets
from collections.abc import Callable
from http import HTTPStatus
from threading import Lock
from urllib.parse import parse_qs, quote

from search.dashboard.guards import is_same_origin
from search.dashboard.passwords import Credentials
from search.dashboard.sessions import SESSION_SECONDS, LoginLimit, Sessions, cookie_value
from search.dashboard.wsgi import (
    App,
    Body,
    Environ,
    Start,
    answer,
    header,
    method,
    path,
    refusal,
)
from search.files import template

LOGIN_PATH = "/login"
_PACKAGE = "search.dashboard"
_HOME = "/dashboard"
_MOST_FORM_BYTES = 4096
_PAGE_HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    ),
    ("Cache-Control", "no-store"),
)
# Browsers don't know this scheme, and so show our page instead of a password prompt of their own.
_CHALLENGE = ("WWW-Authenticate", 'Form realm="freerun dashboard"')


class OneTimeLink:
    """A secret that logs in whoever shows it first; a new one is announced when it is used.

    announce: called with the path and query of the link.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._lock = Lock()
        self._renew()

    def take(self, token: str) -> bool:
        """Whether this is the secret, which then is used up."""
        with self._lock:
            is_right = hmac.compare_digest(token.encode(), self._token.encode())
            if is_right:
                self._renew()
            return is_right

    def _renew(self) -> None:
        self._token = secrets.token_urlsafe(24)
        self._announce(f"{LOGIN_PATH}?token={self._token}")


class Login:
    """Answers 401 to whoever has no session, and opens sessions at /login.

    key: the user's credentials, or the one-time link where there are none.
    """

    def __init__(
        self,
        app: App,
        key: Credentials | OneTimeLink,
        sessions: Sessions | None = None,
        limit: LoginLimit | None = None,
    ) -> None:
        self._app = app
        self._key = key
        self._sessions = sessions or Sessions()
        self._limit = limit or LoginLimit()

    def __call__(self, environ: Environ, start: Start) -> Body:
        is_known = self._sessions.is_valid(
            cookie_value(header(environ, "Cookie"), cookie_name(environ))
        )
        if path(environ) != LOGIN_PATH:
            return self._app(environ, start) if is_known else self._refused(environ, start)
        if method(environ) == "POST":
            return self._by_password(environ, start)
        token = _query(environ, "token")
        if token:
            return self._by_link(environ, start, token)
        if is_known:
            return _redirect(start, _query(environ, "next"))
        return self._page(environ, start, HTTPStatus.UNAUTHORIZED, _query(environ, "next"))

    def _by_password(self, environ: Environ, start: Start) -> Body:
        form = _form(environ)
        wanted = form.get("next", "")
        if not isinstance(self._key, Credentials):
            return self._page(environ, start, HTTPStatus.UNAUTHORIZED, wanted)
        if not is_same_origin(environ):
            return refusal(start, HTTPStatus.FORBIDDEN, "log in on the dashboard's own page")
        if (wait := self._wait(environ)) > 0:
            return self._too_many(environ, start, wait, wanted)
        if not self._key.matches(form.get("user", ""), form.get("password", "")):
            problem = "Name or password is wrong."
            return self._page(environ, start, HTTPStatus.UNAUTHORIZED, wanted, problem)
        self._limit.forget(_address(environ))
        return _redirect(start, wanted, [self._cookie(environ)])

    def _by_link(self, environ: Environ, start: Start, token: str) -> Body:
        if not isinstance(self._key, OneTimeLink):
            return self._page(environ, start, HTTPStatus.UNAUTHORIZED, "")
        if (wait := self._wait(environ)) > 0:
            return self._too_many(environ, start, wait, "")
        if not self._key.take(token):
            problem = "This link was used before, or never was one."
            return self._page(environ, start, HTTPStatus.UNAUTHORIZED, "", problem)
        self._limit.forget(_address(environ))
        # A page instead of a redirect: where the link was clicked on another site, a redirect would
        # go on without the cookie, which is for requests of our own pages only.
        page = template(_PACKAGE, "entered.html").render(home=_HOME).encode()
        headers = [*_PAGE_HEADERS, ("Referrer-Policy", "no-referrer"), self._cookie(environ)]
        return answer(start, HTTPStatus.OK, page, "text/html; charset=utf-8", headers)

    def _wait(self, environ: Environ) -> float:
        return self._limit.wait_seconds(_address(environ))

    def _refused(self, environ: Environ, start: Start) -> Body:
        is_page = method(environ) == "GET" and "text/html" in header(environ, "Accept")
        if is_page:
            query = environ.get("QUERY_STRING", "")
            wanted = quote(path(environ)) + (f"?{query}" if query else "")
            return self._page(environ, start, HTTPStatus.UNAUTHORIZED, wanted)
        return refusal(start, HTTPStatus.UNAUTHORIZED, "log in first", [_CHALLENGE])

    def _too_many(self, environ: Environ, start: Start, wait: float, wanted: str) -> Body:
        seconds = math.ceil(wait)
        problem = f"Too many logins were tried; try again in {seconds} seconds."
        retry = [("Retry-After", str(seconds))]
        return self._page(environ, start, HTTPStatus.TOO_MANY_REQUESTS, wanted, problem, retry)

    def _page(
        self,
        environ: Environ,
        start: Start,
        status: HTTPStatus,
        wanted: str,
        problem: str = "",
        headers: list[tuple[str, str]] | None = None,
    ) -> Body:
        has_password = isinstance(self._key, Credentials)
        page = template(_PACKAGE, "login.html").render(
            wanted=wanted, problem=problem, has_password=has_password
        )
        challenge = [_CHALLENGE] if status == HTTPStatus.UNAUTHORIZED else []
        more = [*_PAGE_HEADERS, *challenge, *(headers or [])]
        return answer(start, status, page.encode(), "text/html; charset=utf-8", more)

    def _cookie(self, environ: Environ) -> tuple[str, str]:
        value = f"{cookie_name(environ)}={self._sessions.issue()}"
        secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
        limits = f"Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict{secure}"
        return ("Set-Cookie", f"{value}; {limits}")


def cookie_name(environ: Environ) -> str:
    """A name for each port, since the browser sends a host's cookies to all of its ports."""
    return f"freerun-dashboard-{environ['SERVER_PORT']}"


def _address(environ: Environ) -> str:
    return str(environ.get("REMOTE_ADDR", ""))


def _query(environ: Environ, name: str) -> str:
    return parse_qs(str(environ.get("QUERY_STRING", ""))).get(name, [""])[0]


def _form(environ: Environ) -> dict[str, str]:
    """The fields of a posted form, none where it is too long for one."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > _MOST_FORM_BYTES:
        return {}
    content = environ["wsgi.input"].read(int(length))
    fields = parse_qs(content.decode(errors="replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _redirect(start: Start, wanted: str, headers: list[tuple[str, str]] | None = None) -> Body:
    """Redirect to the wanted page if it belongs to this dashboard, else to the first one."""
    is_here = wanted.startswith("/") and not wanted.startswith(("//", "/\\", LOGIN_PATH))
    place = wanted if is_here and wanted.isascii() and wanted.isprintable() else _HOME
    start("303 See Other", [("Location", place), ("Content-Length", "0"), *(headers or [])])
    return [b""]
