"""HTTP requests to the dashboard, read-only and writable, logged in and not."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from search.dashboard.credentials import Credentials
from search.dashboard.serving import dashboard_app
from search.dashboard.sessions import OneTimeLink
from search.storage.opening import open_storage
from tests.fuzz.mutating import TOKENS, changed_bytes, changed_json
from tests.search.dashboard.client import HOST, Answer, Client
from tests.search.invented import make_study

_PATHS = (
    *("/", "/login", "/logout", "/dashboard", "/dashboard/studies/1", "/health", "/favicon.ico"),
    *("/api/studies", "/api/meta", "/api/studies/1", "/api/studies/1?after=0", "/api/studies/9"),
    *("/api/studies/1/param_importances?evaluator=ped_anova", "/api/studies/1/note", "/csv/1"),
    *("/api/studies/1/plot/contour", "/api/studies/1/plot/slice", "/api/compare-studies/plot/edf"),
    *("/api/studies/1/user-attrs", "/api/trials/1/note", "/api/trials/1/tell", "/artifacts/1/1"),
    *("/artifacts/1/1/x", "/api/artifacts/1/1", "/static/bundle.js", "/../etc/passwd"),
)
_METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW")
_HEADERS = (
    "Host",
    "Origin",
    "Cookie",
    "Accept-Encoding",
    "Content-Length",
    "Referer",
    "X-Forwarded-For",
)
_BODIES = (
    b'{"study_name": "x", "directions": ["minimize"]}',
    b'{"body": "note", "version": 1}',
    b'{"state": "Complete", "values": [1.0]}',
    b'{"user_attrs": {"a": 1}}',
    b"user=ada&password=x",
    b"",
)
_KEY = Credentials("ada", 16, 8, 1, bytes(16), bytes(32))


def requests(folder: Path) -> Callable[[Random], Answer]:
    """Return what sends a request to one of several dashboards on a study."""
    clients = [
        client
        for writable in (False, True)
        for client in _clients(folder / f"{writable}.db", writable=writable)
    ]

    def send(random: Random) -> Answer:
        client = random.choice(clients)
        target = random.choice(_PATHS)
        if random.random() < 0.4:
            target = changed_bytes(random, target.encode()).decode("latin-1")
        content = random.choice(_BODIES)
        if random.random() < 0.6:
            change = changed_json if content.startswith(b"{") else changed_bytes
            content = change(random, content)
        headers = {"Origin": f"http://{HOST}"} if random.random() < 0.7 else {}
        for name in _HEADERS:
            if random.random() < 0.1:
                headers[name] = random.choice(TOKENS).decode("latin-1")
        cookie = client.cookie
        try:
            return client.ask(random.choice(_METHODS), target, content, headers)
        finally:
            client.cookie = cookie

    return send


def _clients(path: Path, *, writable: bool) -> list[Client]:
    """A client that is logged in, and one that is not."""
    storage = open_storage(f"sqlite:///{path}", create=True)
    make_study(storage, ("complete", 0.3), ("pruned", 0.9), ("failed", 0.0), ("running", 0.5))
    links: list[str] = []
    entered = Client(dashboard_app(storage, OneTimeLink(links.append), writable=writable))
    entered.get(links[0])
    return [entered, entered, Client(dashboard_app(storage, _KEY, writable=writable))]
