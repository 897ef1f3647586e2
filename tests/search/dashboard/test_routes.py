"""Every route of optuna-dashboard, whatever it is: who may ask for it, and what answers say."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import optuna_dashboard
import pytest

from search.dashboard.credentials import Credentials
from search.dashboard.serving import dashboard_app
from search.dashboard.sessions import OneTimeLink
from tests.search.dashboard.client import HOST, Client
from tests.search.dashboard.served import serving

if TYPE_CHECKING:
    from search.storage.studies import Storage
    from tests.search.invented import Invented

CHANGES = ("POST", "PUT", "DELETE")
NEVER_CACHED = "no-store"


@pytest.fixture(scope="module")
def routes(finished: Invented, finished_storage: Storage) -> list[tuple[str, str]]:
    """Method and path of each."""
    app = optuna_dashboard.wsgi(finished_storage.optuna, artifact_store=finished_storage.artifacts)
    found = [(route.method, re.sub(r"<[^/]*>", "1", route.rule)) for route in app.routes]
    assert sum(method in CHANGES for method, _ in found) > 10
    return found


def entered(storage: Storage, *, writable: bool) -> Client:
    links: list[str] = []
    client = Client(dashboard_app(storage, OneTimeLink(links.append), writable=writable))
    assert client.get(links[0]).status == 200
    return client


def test_no_route_answers_without_a_login(
    finished_storage: Storage, routes: list[tuple[str, str]]
) -> None:
    client = Client(dashboard_app(finished_storage, OneTimeLink(lambda _: None), writable=True))
    headers = {"Origin": f"http://{HOST}"}
    statuses = {client.ask(method, path, b"{}", headers).status for method, path in routes}
    assert statuses == {401}


def test_no_route_that_changes_something_answers_when_read_only(
    finished_storage: Storage, routes: list[tuple[str, str]]
) -> None:
    client, headers = entered(finished_storage, writable=False), {"Origin": f"http://{HOST}"}
    changing = [route for route in routes if route[0] in CHANGES]
    answers = [client.ask(method, path, b"{}", headers) for method, path in changing]
    assert {answer.status for answer in answers} == {403}
    assert all("--writable" in answer.json["reason"] for answer in answers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": f"http://{HOST}"},
        {"Referer": f"http://{HOST}/dashboard", "Content-Type": "application/json"},
    ],
)
def test_no_route_that_changes_something_answers_another_site(
    finished_storage: Storage, routes: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    client = entered(finished_storage, writable=True)
    changing = [*(route for route in routes if route[0] in CHANGES), ("POST", "/logout")]
    statuses = {client.ask(method, path, b"{}", headers).status for method, path in changing}
    assert statuses == {403}
    assert client.get("/api/studies").status == 200


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "PATCH", "PROPFIND", "get"])
def test_a_method_that_no_page_uses_is_refused(finished_storage: Storage, method: str) -> None:
    answer = entered(finished_storage, writable=True).ask(method, "/api/studies", b"", {})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST, PUT, DELETE")


@pytest.mark.parametrize(
    "target",
    [
        *("/login", "/health", "/dashboard", "/api/studies", "/api/studies/1", "/api/none"),
        *("/csv/1", "/static/bundle.js", "/favicon.ico", "/artifacts/1/1/abc", "/none"),
    ],
)
def test_every_answer_says_what_browsers_may_do_with_it(
    finished: Invented, finished_storage: Storage, target: str
) -> None:
    app = dashboard_app(finished_storage, OneTimeLink(lambda _: None))
    for client in (Client(app), entered(finished_storage, writable=False)):
        answer = client.get(target)
        assert answer.headers["content-type"]
        if answer.headers["content-type"].startswith("text/"):
            assert "charset=utf-8" in answer.headers["content-type"].lower()
        policy = answer.headers["content-security-policy"]
        for part in ("default-src ", "frame-ancestors 'none'", "base-uri 'none'", "form-action"):
            assert part in policy
        assert "script-src 'self'" in policy or "script" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer")
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        is_public = target.startswith("/static/")
        assert (answer.headers.get("cache-control") == NEVER_CACHED) != is_public
        if target.startswith("/api/"):
            assert answer.headers["content-disposition"] == 'attachment; filename="api.json"'


def test_an_api_answers_alike_whether_a_session_was_made_up_or_is_missing(
    finished_storage: Storage,
) -> None:
    app = dashboard_app(finished_storage, OneTimeLink(lambda _: None))
    made_up = Client(app)
    made_up.cookie = "freerun-dashboard-8080=" + "x" * 43
    assert Client(app).get("/api/studies") == made_up.get("/api/studies")
    for cookie in ("=", "freerun-dashboard-8080", 'freerun-dashboard-8080="', "\xff", ";;;"):
        made_up.cookie = cookie
        assert made_up.get("/api/studies").status == 401


@pytest.mark.parametrize(
    "target",
    [
        *("/static/", "/static/../_app.py", "/static/%2e%2e/_app.py", "/static//etc/passwd"),
        *("/static/..\\_app.py", "/artifacts/1/1/..", "/artifacts/../x", "/dashboard/../../x"),
        *("/.git/config", "/static/../../../../../../etc/passwd"),
    ],
)
def test_no_path_leads_out_of_the_static_files(
    finished: Invented, finished_storage: Storage, target: str
) -> None:
    answer = entered(finished_storage, writable=False).get(target)
    assert answer.status in (200, 403, 404)
    if answer.status == 200:  # the page, for any path below its own
        assert target.startswith("/dashboard/")
        assert b'<div id="dashboard">' in answer.content


@pytest.mark.parametrize("target", ["/health", "/login", "/api/studies", "/none", "/dashboard"])
def test_a_head_has_no_body(finished: Invented, finished_storage: Storage, target: str) -> None:
    app = dashboard_app(finished_storage, OneTimeLink(lambda _: None))
    for client in (Client(app), entered(finished_storage, writable=False)):
        answer = client.ask("HEAD", target, b"", {"Accept": "text/html"})
        assert answer.status in (200, 303, 401, 404)
        assert answer.content == b""


def test_a_head_costs_no_more_than_a_get(finished: Invented, finished_storage: Storage) -> None:
    client = entered(finished_storage, writable=False)
    target = f"/api/studies/{finished.store.study_id}"
    lengths = [client.ask(m, target, b"", {}).headers["content-length"] for m in ("GET", "HEAD")]
    assert lengths[0] == lengths[1]


@pytest.mark.parametrize("blank", ["\xa0", "\x85", "\x1f", "\x0b"])
def test_a_cookie_that_browsers_take_for_another_one_is_no_session(
    finished_storage: Storage, blank: str
) -> None:
    client = entered(finished_storage, writable=False)
    own = client.cookie
    name, _, token = own.partition("=")
    for client.cookie in (f"{blank}{own}", f"{name}{blank}={token}"):
        assert client.get("/api/meta").status == 401
    client.cookie = f"{own}; {blank}{name}=other"
    assert client.get("/api/meta").status == 200


def test_no_answer_names_a_version(finished_storage: Storage) -> None:
    with serving(finished_storage) as served:
        for target in ("/login", "/health", "/none"):
            try:
                headers = urlopen(f"{served.url}{target}", timeout=60).headers
            except HTTPError as refused:
                headers = refused.headers
            assert headers["Server"] == "freerun"
            assert "X-Powered-By" not in headers


def test_what_a_visitor_sends_is_escaped_in_the_login_page(finished_storage: Storage) -> None:
    keyless = Credentials("ada", 16, 8, 1, bytes(16), bytes(32))
    client = Client(dashboard_app(finished_storage, keyless))
    wanted = "/\"><script>alert('ねこ')</script>"
    page = client.get(f"/login?next={quote(wanted)}", Accept="text/html").content.decode()
    assert "<script>" not in page
    assert "ねこ" in page


def test_the_first_of_two_equal_parameters_counts(finished_storage: Storage) -> None:
    keyless = Credentials("ada", 16, 8, 1, bytes(16), bytes(32))
    ada = replace(keyless, key=keyless.key_of("lovelace"))
    client = Client(dashboard_app(finished_storage, ada))
    assert client.post("/login", b"user=eve&user=ada&password=lovelace").status == 401
    answer = client.post("/login", b"user=ada&password=lovelace&user=eve&password=x")
    assert answer.status == 303


@pytest.mark.parametrize(
    "other",
    [
        *("flag", "a[0]=1", 'settings={"a": 1}', "path=/x", "expires=", "$Version=1", "=", ""),
        *("=" * 16_000 + '"', '"' + "\\" * 16_000 + '"'),
    ],
)
def test_cookies_of_other_programs_change_nothing(finished_storage: Storage, other: str) -> None:
    client = entered(finished_storage, writable=False)
    own = client.cookie
    for client.cookie in (f"{other}; {own}", f"{own}; {other}", f"a={other}; {own}"):
        began = time.thread_time()
        assert client.get("/api/meta").status == 200
        assert time.thread_time() - began < 1


@pytest.mark.parametrize(
    "target",
    [
        *("/artifacts/1/abc\n", "/arti\xfffacts/1/abc", "/csv/1\n", "/a\xffpi/studies"),
        *("/api/studies/\xd9\xa1/plot/contour", "/dashboard/\0", "/\x7f"),
    ],
)
def test_a_path_that_two_layers_read_differently_is_refused(
    finished_storage: Storage, target: str
) -> None:
    client = entered(finished_storage, writable=True)
    for method in ("GET", *CHANGES):
        assert client.ask(method, target, b"{}", {"Origin": f"http://{HOST}"}).status == 400
