"""Login by name and password or by a link that works once, and logout. Nothing is shown without."""

import math
from collections.abc import Sequence
from http import HTTPStatus
from threading import BoundedSemaphore
from urllib.parse import parse_qs, quote

from search.dashboard import layers
from search.dashboard.credentials import Credentials
from search.dashboard.layers import App, Body, Environ, Start
from search.dashboard.sessions import LOGIN_PATH, SESSION_SECONDS, OneTimeLink, Sessions
from search.dashboard.throttle import LoginLimit
from search.files import template

_PACKAGE = "search.dashboard"
_HOME = "/dashboard"
# The page that was asked for is a field; its address may be as long as headers are.
_MOST_FORM_BYTES = 64 * 2**10
_LOGOUT_PATH = "/logout"
_PAGE_HEADERS = (("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),)
_COOKIE = "freerun-dashboard"
# Hashes of passwords at once, of 32 MiB and a third of a second each. Whoever comes meanwhile tries
# again: logins that wait would take the threads of those who are logged in.
_HASHES = 2
# Browsers don't know this scheme, and so show our page instead of a password prompt of their own.
_CHALLENGE = ("WWW-Authenticate", 'Form realm="freerun dashboard"')


class Login:
    """Answers 401 to whoever has no session, opens sessions at /login and ends them at /logout.

    key: the user's credentials, or the one-time link where there are none.
    """

    def __init__(self, app: App, key: Credentials | OneTimeLink, sessions: Sessions) -> None:
        self._app = app
        self._key = key
        self._sessions = sessions
        self._limit = LoginLimit()
        self._hashes = BoundedSemaphore(_HASHES)

    def __call__(self, environ: Environ, start: Start) -> Body:
        is_known = self._sessions.is_open(_token(environ))
        if layers.path(environ) == _LOGOUT_PATH and layers.method(environ) == "POST":
            return self._logout(environ, start)
        if layers.path(environ) != LOGIN_PATH:
            return self._app(environ, start) if is_known else self._refused(environ, start)
        if layers.method(environ) == "POST":
            return self._by_password(environ, start)
        token, wanted = _query(environ, "token"), _query(environ, "next")
        if token and layers.method(environ) == "GET":
            return self._by_link(environ, start, token)
        return _redirect(start, wanted) if is_known else self._page(start, wanted)

    def _by_password(self, environ: Environ, start: Start) -> Body:
        form = _form(environ)
        wanted = form.get("next", "")
        if not isinstance(self._key, Credentials):
            return self._page(start, wanted)
        if not layers.is_same_origin(environ):
            return layers.refusal(start, HTTPStatus.FORBIDDEN, "log in on the dashboard's own page")
        if not self._hashes.acquire(blocking=False):
            return self._too_many(start, 1.0, wanted)
        try:
            address = str(environ.get("REMOTE_ADDR", ""))
            if (wait := self._limit.wait_seconds(address)) > 0:
                return self._too_many(start, wait, wanted)
            if not self._key.matches(form.get("user", ""), form.get("password", "")):
                return self._page(start, wanted, "Name or password is wrong.")
            self._limit.succeeded(address)
        finally:
            self._hashes.release()
        return _redirect(start, wanted, [self._opened(environ)])

    def _by_link(self, environ: Environ, start: Start, token: str) -> Body:
        if not isinstance(self._key, OneTimeLink):
            return self._page(start)
        # Not limited: nobody guesses it, and a limit would let strangers keep its owner out.
        if not self._key.take(token):
            return self._page(start, problem="This link was used before, is too old or never was.")
        # A page instead of a redirect: where the link was clicked on another site, a redirect would
        # go on without the cookie, which is for requests of our own pages only.
        page = template(_PACKAGE, "entered.html").render(home=_HOME).encode()
        headers = [*_PAGE_HEADERS, ("Referrer-Policy", "no-referrer"), self._opened(environ)]
        return layers.answer(start, HTTPStatus.OK, page, "text/html; charset=utf-8", headers)

    def _logout(self, environ: Environ, start: Start) -> Body:
        if not layers.is_same_origin(environ):
            reason = "log out on the dashboard's own page"
            return layers.refusal(start, HTTPStatus.FORBIDDEN, reason)
        self._sessions.end(_token(environ))
        gone = _cookie(environ, "", 0)
        return _redirect(start, LOGIN_PATH, [gone, ("Clear-Site-Data", '"cache"')])

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
        if isinstance(self._key, OneTimeLink):
            self._key.offer()
        page = template(_PACKAGE, "login.html").render(
            wanted=wanted, problem=problem, has_password=isinstance(self._key, Credentials)
        )
        headers = [*_PAGE_HEADERS, header]
        return layers.answer(start, status, page.encode(), "text/html; charset=utf-8", headers)

    def _opened(self, environ: Environ) -> tuple[str, str]:
        """The cookie of a new session, which takes the place of the one that was shown, if any."""
        self._sessions.end(_token(environ))
        return _cookie(environ, self._sessions.open(), SESSION_SECONDS)


def has_session(cookies: str, sessions: Sessions) -> bool:
    """Whether a request's Cookie header shows an open session, whatever its scheme and port."""
    return any(
        sessions.is_open(value) for name, value in _cookies(cookies).items() if _COOKIE in name
    )


def _cookie(environ: Environ, token: str, seconds: int) -> tuple[str, str]:
    """A header that sets the session's cookie for so long; 0 takes it away."""
    secure = "; Secure" if _is_https(environ) else ""
    limits = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
    return ("Set-Cookie", f"{_cookie_name(environ)}={token}; {limits}")


def _cookie_name(environ: Environ) -> str:
    """A name that no other site can set, or, without HTTPS, one for each port.

    The browser sends a host's cookies to all of its ports.
    """
    if _is_https(environ):
        return f"__Host-{_COOKIE}"
    return f"{_COOKIE}-{environ['SERVER_PORT']}"


def _token(environ: Environ) -> str:
    """What the session's cookie says; "" where there is none."""
    return _cookies(layers.header(environ, "Cookie")).get(_cookie_name(environ), "")


def _cookies(header: str) -> dict[str, str]:
    """The values by name.

    Not by http.cookies: it needs seconds for some headers, and takes no cookie from one that holds
    a cookie of another program which it does not like. Blanks are those of HTTP alone: browsers
    let any site of the domain set a name that begins with another one, such as \\xa0__Host-.
    """
    pairs = (part.partition("=") for part in header.split(";"))
    return {name.strip(" \t"): value.strip(" \t") for name, _, value in pairs}


def _is_https(environ: Environ) -> bool:
    """Whether the browser's connection is encrypted, as a proxy that is trusted says."""
    return environ.get("wsgi.url_scheme") == "https"


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
    is_here = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    place = wanted if is_here and wanted.isascii() and wanted.isprintable() else _HOME
    found = [("Location", place), *headers]
    return layers.answer(start, HTTPStatus.SEE_OTHER, b"", "text/plain; charset=utf-8", found)
