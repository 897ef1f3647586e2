"""HTTP requests to the dashboard, read-only and writable, logged in and not."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from urllib.parse import quote

import optuna_dashboard
from optuna.storages import InMemoryStorage

from search.dashboard.credentials import Credentials
from search.dashboard.serving import dashboard_app
from search.dashboard.sessions import OneTimeLink
from search.storage.opening import open_storage
from tests.fuzz.mutating import TOKENS, VALUES, changed_bytes, changed_json
from tests.search.dashboard.client import HOST, Client
from tests.search.invented import make_study

_PATHS = (
    *("/", "/login", "/logout", "/dashboard", "/health", "/static/bundle.js", "/../etc/passwd"),
    *("/login?token=x", "/login?next=//x", "/api/studies/1?after=0", "/api/studies/9"),
    *(
        "/api/studies/1/param_importances?evaluator=ped_anova",
        "/dashboard/studies/1/trials?numbers=1",
    ),
    *("/api/studies/1/plot/contour", "/api/studies/1/plot/slice", "/api/compare-studies/plot/edf"),
)
_IDS = ("0", "1", "2", "9", "-1", "01", "9" * 30, "x", "edf", "abc-def", "")
_METHODS = (
    *("GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "POST", "POST", "PUT", "PUT", "DELETE"),
    *("PATCH", "OPTIONS", "BREW"),
)
_HEADERS = (
    *("Host", "Origin", "Cookie", "Accept", "Accept-Encoding", "Accept-Language", "Authorization"),
    *("Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Forwarded"),
    *("If-Modified-Since", "If-None-Match", "Range", "Referer", "Sec-Fetch-Site", "User-Agent"),
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-HTTP-Method-Override"),
)
_VALUES = (
    *("text/html", "gzip", "bytes=0-", "bytes=9-1", "bytes=-1,2-", "same-origin", "https", "close"),
    *("multipart/form-data", "multipart/form-data; boundary=x", "application/json; charset=utf-7"),
    *("Wed, 21 Oct 2015 07:28:00 GMT", "*", "0", "-1", "1e9", "localhost", "[::1]:80", "a, b"),
)
_KEYS = ("after", "evaluator", "numbers", "token", "next", "study_ids[]", "study_ids", "plot_type")
_BODIES = (
    b'{"study_name": "x", "directions": ["minimize"]}',
    b'{"body": "note", "version": 1}',
    b'{"state": "Complete", "values": [1.0]}',
    b'{"user_attrs": {"a": 1}}',
    b'{"mode": "ChooseWorst", "candidates": [0, 1], "clicked": 1}',
    b'{"output_type": "note", "artifact_key": null}',
    b'{"file": "data:text/plain;base64,eA==", "filename": "x"}',
    b"user=ada&password=x&next=/dashboard",
    b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--x--\r\n',
    b"",
)
_KEY = Credentials("ada", 16, 8, 1, bytes(16), bytes(32))


@dataclass(frozen=True)
class Request:
    """What is sent; texts of bytes, as Latin-1."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    content: bytes


@dataclass(frozen=True)
class Answer:
    """What came back, and what was asked."""

    status: int
    content: bytes
    asked: Request


@cache
def _routes() -> list[str]:
    """The routes of optuna-dashboard, with * for what they take."""
    app = optuna_dashboard.wsgi(InMemoryStorage())
    return sorted({re.sub(r"<[^/]*>", "*", route.rule) for route in app.routes})


def any_request(random: Random, cookie: str) -> Request:
    """A request of which anything may be odd. cookie: of a session, or ""."""
    content = random.choice(_BODIES)
    if random.random() < 0.6:
        change = changed_json if content.startswith(b"{") else changed_bytes
        content = change(random, content)
    headers = [("Host", HOST), ("Content-Type", "application/json")]
    if random.random() < 0.7:
        headers.append(("Origin", f"http://{HOST}"))
    if random.random() < 0.8:
        headers.append(("Cookie", _cookie(random, cookie)))
    for name in _HEADERS:
        if random.random() < 0.06:
            headers = [pair for pair in headers if pair[0] != name or random.random() < 0.3]
            headers.append((name, _value(random)))
    return Request(random.choice(_METHODS), _target(random), headers, content)


def _target(random: Random) -> str:
    target = random.choice((*_PATHS, *_routes()))
    while "*" in target:
        target = target.replace("*", random.choice(_IDS), 1)
    if random.random() < 0.3:
        pairs = [f"{random.choice(_KEYS)}={_word(random)}" for _ in range(random.randint(1, 4))]
        target += ("&" if "?" in target else "?") + random.choice("&&;").join(pairs)
    if random.random() < 0.4:
        target = changed_bytes(random, target.encode()).decode("latin-1")
    return target


def _word(random: Random) -> str:
    if random.random() < 0.5:
        return quote(json.dumps(random.choice(VALUES))[:2000])
    return quote(random.choice(TOKENS)) if random.random() < 0.7 else random.choice(_VALUES)


def _value(random: Random) -> str:
    if random.random() < 0.5:
        return random.choice(_VALUES)
    return random.choice(TOKENS).decode("latin-1")


def _cookie(random: Random, cookie: str) -> str:
    """The session's cookie, others beside it, or one that was changed."""
    if random.random() < 0.6:
        return cookie
    others = [f"{random.choice(('a', '$Path', cookie.partition('=')[0]))}={_value(random)}"]
    parts = [cookie, *others * random.choice((1, 1, 50))]
    random.shuffle(parts)
    changed = random.choice("; ; ;,").join(parts).encode("latin-1")
    return (changed_bytes(random, changed) if random.random() < 0.5 else changed).decode("latin-1")


def requests(folder: Path) -> Callable[[Random], Answer]:
    """Return what sends a request to one of several dashboards on a study, without a server."""
    clients = [
        client
        for writable in (False, True)
        for client in _clients(folder / f"{writable}.db", writable=writable)
    ]

    def send(random: Random) -> Answer:
        client = random.choice(clients)
        cookie = client.cookie
        asked = any_request(random, cookie)
        try:
            answer = client.ask(asked.method, asked.target, asked.content, dict(asked.headers))
        finally:
            client.cookie = cookie
        return Answer(answer.status, answer.content, asked)

    return send


def _clients(path: Path, *, writable: bool) -> list[Client]:
    """A client that is logged in, and one that is not."""
    storage = open_storage(f"sqlite:///{path}", create=True)
    make_study(storage, ("complete", 0.3), ("pruned", 0.9), ("failed", 0.0), ("running", 0.5))
    links: list[str] = []
    entered = Client(dashboard_app(storage, OneTimeLink(links.append), writable=writable))
    entered.get(links[0])
    return [entered, entered, Client(dashboard_app(storage, _KEY, writable=writable))]
