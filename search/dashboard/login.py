"""The login page: by name and password, or by a link that works once. Nothing is shown without."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote

from search.dashboard import layers
from search.dashboard.credentials import (
    LOGIN_PATH,
    SESSION_SECONDS,
    Credentials,
    LoginLimit,
    OneTimeLink,
    Sessions,
)
from search.dashboard.layers import App, Body, Environ, Start
from search.files import template

_PACKAGE = "search.dashboard"
_HOME = "/dashboard"
_MOST_FORM_BYTES = 4096
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"
_PAGE_HEADERS = (("Content-Security-Policy", _POLICY), ("Cache-Control", "no-store"))
# Browsers don't know this scheme, and so show our page instead of a password prompt of their own.
_CHALLENGE = ("WWW-Authenticate", 'Form realm="freerun dashboard"')


class Login:
    """Answers 401 to whoever has no session, and opens sessions at /login.

    key: the user's credentials, or the one-time link where there are none.
    """

    def __init__(self, app: App, key: Credentials | OneTimeLink) -> None:
        self._app = app
        self._key = key
        self._sessions = Sessions()
        self._limit = LoginLimit()

    def __call__(self, environ: Environ, start: Start) -> Body:
        is_known = self._sessions.is_valid(_cookie(environ))
        if layers.path(environ) != LOGIN_PATH:
            return self._app(environ, start) if is_known else self._refused(environ, start)
        if layers.method(environ) == "POST":
            return self._by_password(environ, start)
        token, wanted = _query(environ, "token"), _query(environ, "next")
        if token:
            return self._by_link(environ, start, token)
        return _redirect(start, wanted) if is_known else self._page(start, wanted)

    def _by_password(self, environ: Environ, start: Start) -> Body:
        form = _form(environ)
        wanted = form.get("next", "")
        if not isinstance(self._key, Credentials):
            return self._page(start, wanted)
        if not layers.is_same_origin(environ):
            return layers.refusal(start, HTTPStatus.FORBIDDEN, "log in on the dashboard's own page")
        if (wait := self._limit.wait_seconds(_address(environ))) > 0:
            return self._too_many(start, wait, wanted)
        if not self._key.matches(form.get("user", ""), form.get("password", "")):
            return self._page(start, wanted, "Name or password is wrong.")
        return _redirect(start, wanted, [self._opened(environ)])

    def _by_link(self, environ: Environ, start: Start, token: str) -> Body:
        if not isinstance(self._key, OneTimeLink):
            return self._page(start)
        if (wait := self._limit.wait_seconds(_address(environ))) > 0:
            return self._too_many(start, wait)
        if not self._key.take(token):
            return self._page(start, problem="This link was used before, or never was one.")
        # A page instead of a redirect: where the link was clicked on another site, a redirect would
        # go on without the cookie, which is for requests of our own pages only.
        page = template(_PACKAGE, "entered.html").render(home=_HOME).encode()
        headers = [*_PAGE_HEADERS, ("Referrer-Policy", "no-referrer"), self._opened(environ)]
        return layers.answer(start, HTTPStatus.OK, page, "text/html; charset=utf-8", headers)

    def _refused(self, environ: Environ, start: Start) -> Body:
        if layers.method(environ) == "GET" and "text/html" in layers.header(environ, "Accept"):
            query = environ.get("QUERY_STRING", "")
            return self._page(start, quote(layers.path(environ)) + (f"?{query}" if query else ""))
        return layers.refusal(start, HTTPStatus.UNAUTHORIZED, "log in first", [_CHALLENGE])

    def _too_many(self, start: Start, wait: float, wanted: str = "") -> Body:
        seconds = math.ceil(wait)
        problem = f"Too many logins were tried; try again in {seconds} seconds."
        retry = ("Retry-After", str(seconds))
        return self._page(start, wanted, problem, HTTPStatus.TOO_MANY_REQUESTS, retry)

    def _page(
        self,
        start: Start,
        wanted: str = "",
        problem: str = "",
        status: HTTPStatus = HTTPStatus.UNAUTHORIZED,
        header: tuple[str, str] = _CHALLENGE,
    ) -> Body:
        page = template(_PACKAGE, "login.html").render(
            wanted=wanted, problem=problem, has_password=isinstance(self._key, Credentials)
        )
        headers = [*_PAGE_HEADERS, header]
        return layers.answer(start, status, page.encode(), "text/html; charset=utf-8", headers)

    def _opened(self, environ: Environ) -> tuple[str, str]:
        """The cookie of a new session, for an address whose tries are forgotten."""
        self._limit.forget(_address(environ))
        value = f"{_cookie_name(environ)}={self._sessions.issue()}"
        secure = "; Secure" if environ.get("wsgi.url_scheme") == "https" else ""
        limits = f"Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Strict{secure}"
        return ("Set-Cookie", f"{value}; {limits}")


def _cookie_name(environ: Environ) -> str:
    """A name for each port, since the browser sends a host's cookies to all of its ports."""
    return f"freerun-dashboard-{environ['SERVER_PORT']}"


def _cookie(environ: Environ) -> str:
    try:
        found = SimpleCookie(layers.header(environ, "Cookie")).get(_cookie_name(environ))
    except CookieError:
        return ""
    return "" if found is None else found.value


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


def _redirect(start: Start, wanted: str, headers: Sequence[tuple[str, str]] = ()) -> Body:
    """Redirect to the wanted page if it belongs to this dashboard, else to the first one."""
    is_here = wanted.startswith("/") and not wanted.startswith(("//", "/\\", LOGIN_PATH))
    place = wanted if is_here and wanted.isascii() and wanted.isprintable() else _HOME
    start("303 See Other", [("Location", place), ("Content-Length", "0"), *headers])
    return [b""]
