"""Who gets what from the dashboard: login, hosts, changes, and files that other programs wrote."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from optuna.artifacts import upload_artifact

from search.dashboard.credentials import Credentials, credentials_of
from search.dashboard.layers import costly_plot, guarded, is_same_origin
from search.dashboard.serving import dashboard_app
from search.dashboard.sessions import OneTimeLink
from search.dashboard.throttle import ADDRESS_SECONDS, PER_ADDRESS
from search.errors import UsageError
from search.storage.studies import Storage
from tests.search.dashboard.client import HOST, Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.search.conftest import Invent
    from tests.search.invented import Invented

ROUTES = ["/", "/dashboard", "/api/studies", "/api/studies/1", "/api/meta", "/static/bundle.js"]
ROUTES += [
    "/artifacts/1/1/abc",
    "/csv/1",
    "/favicon.ico",
    "/no/such/route",
    "/api/studies/1/plot/edf",
]


@pytest.fixture(scope="module")
def ada() -> Credentials:
    """Whose hash costs next to nothing."""
    keyless = Credentials("ada", 16, 8, 1, bytes(range(16)), bytes(32))
    return replace(keyless, key=keyless.key_of("lovelace"))


def form(user: str, password: str, wanted: str = "") -> bytes:
    return urlencode({"user": user, "password": password, "next": wanted}).encode()


def entered(storage: Storage, *, writable: bool = False) -> Client:
    """A client that has used the one-time link."""
    links: list[str] = []
    app = dashboard_app(storage, OneTimeLink(links.append), writable=writable)
    client = Client(app)
    assert client.get(links[0]).status == 200
    return client


@pytest.mark.parametrize("route", ROUTES)
def test_without_a_login_everything_but_health_is_401(storage: Storage, route: str) -> None:
    client = Client(dashboard_app(storage, OneTimeLink(lambda _: None)))
    assert client.get(route).status == 401
    assert client.post(route).status == 401
    assert b"<form" not in client.get(route, Accept="text/html").content
    assert client.get("/health").content == b"ok\n"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 400),
        ("evil.example:8080", 400),
        ("", 400),
        ("127.0.0.1.evil.example", 400),
        ("192.0.2.7:8080", 400),
        ("localhost:9000", 200),
        ("[::1]:8080", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:8080, evil.example", 400),
        ("127.0.0.1:80@evil.example", 400),
        ("[::1]evil.example", 400),
        ("Board.Example:443", 200),
    ],
)
def test_a_foreign_host_is_400(storage: Storage, host: str, status: int) -> None:
    app = dashboard_app(storage, OneTimeLink(lambda _: None), ["board.example"])
    assert Client(app).get("/health", Host=host).status == status


def test_any_address_by_number_is_known_where_all_are_listened_on(storage: Storage) -> None:
    client = Client(dashboard_app(storage, OneTimeLink(lambda _: None), any_address=True))
    assert client.get("/health", Host="192.0.2.7:8080").status == 200
    assert client.get("/health", Host="evil.example").status == 400


def test_a_link_logs_in_once_and_is_followed_by_another(storage: Storage) -> None:
    links: list[str] = []
    app = dashboard_app(storage, OneTimeLink(links.append))
    first, second, third = Client(app), Client(app), Client(app)
    answer = first.get(links[0])
    assert answer.status == 200
    for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in answer.headers["set-cookie"]
    assert first.get("/api/studies").status == 200
    assert second.get(links[0]).status == 401
    assert second.get("/api/studies").status == 401
    assert len(links) == 2
    assert third.get(links[1]).status == 200


def test_a_password_logs_in_and_leads_where_one_wanted_to_go(
    storage: Storage, ada: Credentials
) -> None:
    client = Client(dashboard_app(storage, ada))
    page = client.get("/dashboard/studies/1", Accept="text/html")
    assert page.status == 401
    assert b'value="/dashboard/studies/1"' in page.content
    for user, password in (("ada", "wrong"), ("eve", "lovelace"), ("ada", "")):
        answer = client.post("/login", form(user, password))
        assert (answer.status, "set-cookie" in answer.headers) == (401, False)
    answer = client.post("/login", form("ada", "lovelace", "/dashboard/studies/1"))
    assert (answer.status, answer.headers["location"]) == (303, "/dashboard/studies/1")
    assert client.get("/api/studies").status == 200


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil", "/a\r\nX: y"]
)
def test_a_login_leads_to_no_other_site(storage: Storage, ada: Credentials, wanted: str) -> None:
    answer = Client(dashboard_app(storage, ada)).post("/login", form("ada", "lovelace", wanted))
    assert answer.headers["location"] == "/dashboard"


def test_logins_are_limited_even_with_the_right_password(
    storage: Storage, ada: Credentials
) -> None:
    app = dashboard_app(storage, ada)
    client = Client(app)
    statuses = [client.post("/login", form("eve", "x")).status for _ in range(PER_ADDRESS + 1)]
    assert statuses == [401] * PER_ADDRESS + [429]
    limited = client.post("/login", form("ada", "lovelace"))
    assert limited.status == 429
    assert 0 < int(limited.headers["retry-after"]) <= ADDRESS_SECONDS
    assert Client(app, address="192.0.2.1").post("/login", form("ada", "lovelace")).status == 303


def test_a_login_that_another_site_sends_is_refused(storage: Storage, ada: Credentials) -> None:
    client = Client(dashboard_app(storage, ada))
    answer = client.post("/login", form("ada", "lovelace"), Origin="https://evil.example")
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)


def test_credentials_are_kept_as_a_line_without_the_password(ada: Credentials) -> None:
    line = ada.to_line()
    assert "lovelace" not in line
    assert Credentials.from_line(line + "\n", "the file") == ada
    assert Credentials.of("ada", "countess of lovelace").to_line() != line  # another salt


@pytest.mark.parametrize(
    "line",
    ["", "ada", "ada:lovelace", "ada:md5:1:1:1:QQ==:QQ==", "ada:scrypt:32768:8:3:QQ==:QQ=="]
    + [
        f"ada:scrypt:{numbers}:{'QUFB' * 8}:{'QUFB' * 12}"
        for numbers in ("3:8:1", "2:0:1", "x:8:1")
    ]
    + [f"ada:scrypt:1048576:1024:1:{'QUFB' * 8}:{'QUFB' * 12}"],
)
def test_a_line_that_is_no_login_is_refused_without_showing_it(line: str) -> None:
    with pytest.raises(UsageError, match=r"the file must hold one line USER:scrypt") as raised:
        Credentials.from_line(line, "the file")
    assert "lovelace" not in str(raised.value)


def test_credentials_come_from_a_file_or_the_environment(ada: Credentials, tmp_path: Path) -> None:
    path = tmp_path / "login"
    path.write_text(ada.to_line())
    line = Credentials.of("eve", "an apple a day").to_line()
    assert credentials_of(path, {"FREERUN_DASHBOARD_LOGIN": line}) == ada
    assert credentials_of(None, {"FREERUN_DASHBOARD_LOGIN_FILE": str(path)}) == ada
    found = credentials_of(None, {"FREERUN_DASHBOARD_LOGIN": line})
    assert found is not None
    assert found.user == "eve"
    assert credentials_of(None, {"FREERUN_DASHBOARD_LOGIN": ""}) is None
    with pytest.raises(UsageError, match="must be a login file, but does not exist"):
        credentials_of(tmp_path / "missing", {})


NEW = b'{"study_name": "new", "directions": ["minimize"]}'


@pytest.mark.parametrize(
    ("method", "target", "content", "status"),
    [
        ("GET", "/favicon.ico", b"", 200),
        ("GET", "/api/studies/99/plot/slice", b"", 404),
        ("GET", "/api/studies/99999999999", b"", 404),
        ("GET", "/api/studies/-1/plot/slice", b"", 404),
        ("GET", "/artifacts/1/-1/abc", b"", 404),
        ("GET", f"/api/studies/{'9' * 5000}/plot/slice", b"", 404),
        ("GET", "/api/studies/1/plot/contour", b"", 403),
        ("GET", "/api/studies/1?after=x", b"", 400),
        ("GET", "/api/studies/1?after=", b"", 400),
        ("GET", "/api/studies/1?after=0&after=x", b"", 400),
        ("POST", "/api/studies/1/rename", b"[1]", 400),
        ("POST", "/api/studies", b'{"study_name": "x", "directions": [1]}', 400),
        ("POST", "/api/trials/99/tell", b'{"state": "Complete", "values": [1]}', 404),
        ("POST", "/api/trials/1/user-attrs", b'{"user_attrs": {"a": 1}}', 409),
        ("POST", "/api/studies", b'{"study_name": "' + b"x" * 600 + b'"}', 400),
        ("POST", "/api/studies", b"[" * 100_000, 400),
        ("POST", "/api/studies", NEW, 201),
        ("PUT", "/api/studies/99/note", b'{"version": 1, "body": "a"}', 404),
    ],
)
def test_what_does_not_fit_is_the_requests_fault(
    invent: Invent, storage: Storage, method: str, target: str, content: bytes, status: int
) -> None:
    invent(("complete", 0.3))
    client = entered(storage, writable=True)
    answer = client.ask(method, target, content, {"Origin": f"http://{HOST}"})
    assert answer.status == status, answer.content


@pytest.mark.parametrize(
    ("method", "target", "kind", "body", "status"),
    [
        ("GET", "/api/studies/1", "application/x-www-form-urlencoded", b"after=x", 200),
        ("GET", "/api/studies/1", "application/json ;x", b"[", 200),
        ("POST", "/api/studies", "application/json ;x", NEW, 201),
        ("POST", "/api/studies", "text/plain", NEW, 400),
    ],
)
def test_a_body_is_read_as_what_it_is_or_not_at_all(
    invent: Invent,
    storage: Storage,
    method: str,
    target: str,
    kind: str,
    body: bytes,
    status: int,
) -> None:
    assert invent(("complete", 0.3)).store.study_id == 1
    client = entered(storage, writable=True)
    headers = {"Content-Type": kind, "Origin": f"http://{HOST}"}
    assert client.ask(method, target, body, headers).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_is_refused_when_read_only(invent: Invent, storage: Storage, method: str) -> None:
    study = invent(("complete", 0.3))
    client = entered(storage)
    target = f"/api/studies/{study.store.study_id}"
    answer = client.ask(method, target, b"{}", {"Origin": f"http://{HOST}"})
    assert answer.status == 403
    assert "--writable" in answer.json["reason"]
    assert [found.name for found in storage.studies()] == ["waves"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[127.0.0.1:8080"},
        {"Origin": f"//{HOST}"},
        {"Origin": "http://127.0.0.1:8081"},
        {"Sec-Fetch-Site": "cross-site", "Origin": f"http://{HOST}"},
        {"Sec-Fetch-Site": "same-site"},
        {},
    ],
)
def test_a_forged_change_is_refused_when_writable(
    invent: Invent, storage: Storage, headers: dict[str, str]
) -> None:
    study = invent(("complete", 0.3))
    client = entered(storage, writable=True)
    target = f"/api/studies/{study.store.study_id}"
    assert client.ask("DELETE", target, b"{}", headers).status == 403
    assert [found.name for found in storage.studies()] == ["waves"]


@pytest.mark.parametrize(
    ("scheme", "origin", "is_own"),
    [
        ("http", f"http://{HOST}", True),
        ("http", f"https://{HOST}", True),
        ("https", f"https://{HOST}", True),
        ("https", f"http://{HOST}", False),
    ],
)
def test_a_page_that_came_by_http_is_no_page_of_an_https_dashboard(
    scheme: str, origin: str, *, is_own: bool
) -> None:
    environ = {"wsgi.url_scheme": scheme, "HTTP_HOST": HOST, "HTTP_ORIGIN": origin}
    assert is_same_origin(environ) is is_own


def test_a_change_of_the_own_page_is_made_when_writable(invent: Invent, storage: Storage) -> None:
    study = invent(("complete", 0.3))
    client = entered(storage, writable=True)
    target = f"/api/studies/{study.store.study_id}"
    headers = {"Content-Type": "application/json", "Origin": f"http://{HOST}"}
    note = b'{"version": 1, "body": "Look at trial 0."}'
    assert client.ask("PUT", f"{target}/note", note, headers).status == 204
    assert client.get(target).json["note"]["body"] == "Look at trial 0."
    same_site = {"Sec-Fetch-Site": "same-origin"}
    assert client.ask("DELETE", target, b"{}", same_site).status == 204
    assert storage.studies() == []


@pytest.mark.parametrize(
    ("filename", "is_shown"),
    [
        *(("a.png", True), ("a.csv", True), ("a.svg", False), ("a.html", False)),
        *(("a.bin", False), ("a.js", False), ("a.xml", False), ("a.mp4", False)),
    ],
)
def test_an_artifact_cannot_run_script(
    invent: Invent, storage: Storage, tmp_path: Path, filename: str, is_shown: bool
) -> None:
    import optuna

    invent(("complete", 0.3))
    path = tmp_path / filename
    path.write_text("<script>alert(1)</script>")
    study = optuna.load_study(study_name="waves", storage=storage.optuna)
    artifact = upload_artifact(
        study_or_trial=study, file_path=str(path), artifact_store=storage.artifacts
    )
    answer = entered(storage).get(f"/artifacts/{study._study_id}/{artifact}")
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("content-disposition" not in answer.headers) == is_shown
    kind = answer.headers["content-type"]
    assert kind.partition("/")[0] in ("image", "video") or kind in (
        "text/csv; charset=utf-8",
        "application/octet-stream",
    )
    assert "access-control-allow-origin" not in answer.headers


def test_an_artifact_has_one_type(invent: Invent, storage: Storage, tmp_path: Path) -> None:
    import optuna

    invent(("complete", 0.3))
    path = tmp_path / "a"
    path.write_text("<script>alert(1)</script>")
    study = optuna.load_study(study_name="waves", storage=storage.optuna)
    artifact = upload_artifact(
        study_or_trial=study,
        file_path=str(path),
        artifact_store=storage.artifacts,
        mimetype="image/png;, text/html",
    )
    answer = entered(storage).get(f"/artifacts/{study._study_id}/{artifact}")
    assert answer.headers["content-type"] == "image/png"


def test_plots_of_too_many_trials_are_refused_and_others_drawn() -> None:
    def app(environ: object, start: Callable[..., object]) -> list[bytes]:
        start("200 OK", [])
        return [b"drawn"]

    sizes = {1: 150, 2: 300, 3: 10_000, 4: None}
    client = Client(guarded(app, partial(costly_plot, trials_of=sizes.get)))
    statuses = {
        (plot, study): client.get(f"/api/studies/{study}/plot/{plot}").status
        for plot in ("contour", "rank", "slice")
        for study in sizes
    }
    refused = {key for key, status in statuses.items() if status == 403}
    assert refused == {("contour", 2), ("rank", 2), ("contour", 3), ("rank", 3), ("slice", 3)}
    assert client.get("/api/studies/3").content == b"drawn"
    guard = partial(costly_plot, trials_of={1: 5, 2: 5}.get, parameters_of={1: 30, 2: 10}.get)
    of_pairs = Client(guarded(app, guard))
    assert of_pairs.get("/api/studies/1/plot/contour").status == 403
    assert of_pairs.get("/api/studies/1/plot/slice").status == 200
    assert of_pairs.get("/api/studies/2/plot/contour").status == 200


def test_a_csv_file_of_too_many_trials_is_refused_with_the_remedy() -> None:
    def app(environ: object, start: Callable[..., object]) -> list[bytes]:
        start("200 OK", [])
        return [b"made"]

    sizes = {1: 10_000, 2: 10_001, 3: None}
    client = Client(guarded(app, partial(costly_plot, trials_of=sizes.get)))
    assert [client.get(f"/csv/{study}").status for study in sizes] == [200, 403, 200]
    assert b"freerun.Study.trials()" in client.get("/csv/2").content


def test_texts_are_compressed_for_those_who_take_it(
    finished: Invented, finished_storage: Storage
) -> None:
    client = entered(finished_storage)
    target = f"/api/studies/{finished.store.study_id}"
    plain = client.get(target)
    packed = client.get(target, **{"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 3


def test_no_other_site_may_frame_the_page(finished: Invented, finished_storage: Storage) -> None:
    assert entered(finished_storage).get("/dashboard").headers["x-frame-options"] == "DENY"


def test_a_long_form_is_no_login(storage: Storage, ada: Credentials) -> None:
    client = Client(dashboard_app(storage, ada))
    assert client.post("/login", form("ada", "lovelace", "/" + "x" * 70_000)).status == 401


def test_a_login_leads_to_a_long_address_too(storage: Storage, ada: Credentials) -> None:
    wanted = "/dashboard/studies/1/trials?" + "&".join(f"numbers={n}" for n in range(1000))
    answer = Client(dashboard_app(storage, ada)).post("/login", form("ada", "lovelace", wanted))
    assert (answer.status, answer.headers["location"]) == (303, wanted)


def test_the_link_is_not_guessable() -> None:
    links: list[str] = []
    OneTimeLink(links.append)
    assert re.fullmatch(r"/login\?token=[\w-]{43}", links[0])
    OneTimeLink(links.append)
    assert links[0] != links[1]
