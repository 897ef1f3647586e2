"""The dashboard over HTTP and in a real Chromium."""

from __future__ import annotations

import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import optuna
import pytest
from optuna.artifacts import upload_artifact
from playwright.sync_api import Browser, Page, expect

from search.dashboard.credentials import Credentials
from search.dashboard.serving import serve_dashboard
from search.errors import UsageError
from search.storage.studies import Storage
from tests.search.dashboard.served import serving

if TYPE_CHECKING:
    from tests.search.invented import Invented

PATIENCE_MS = 120_000


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code


def test_it_answers_until_a_signal_comes(finished: Invented, finished_storage: Storage) -> None:
    with serving(finished_storage) as served:
        assert status_of(f"{served.url}/health") == 200
        assert status_of(f"{served.url}/api/studies") == 401
        assert served.end(signal.SIGTERM) == (0, "SIGTERM")


def test_ctrl_c_ends_it_cleanly_too(storage: Storage) -> None:
    with serving(storage) as served:
        assert served.end(signal.SIGINT) == (0, "SIGINT")


def test_a_port_in_use_is_refused_with_the_remedy(storage: Storage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port}: .*in use.*--port"):
            serve_dashboard(storage, port=port)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_does_not_exist_is_refused(storage: Storage, port: int) -> None:
    with pytest.raises(UsageError, match=f"from 0 to 65535, but got {port}"):
        serve_dashboard(storage, port=port)


@pytest.mark.parametrize("host", ["", "no such host", "203.0.113.7"])
def test_an_address_that_is_not_here_is_refused(storage: Storage, host: str) -> None:
    with pytest.raises(UsageError, match="--host"):
        serve_dashboard(storage, host=host, port=0)


@pytest.mark.parametrize("proxy", ["", "*", "proxy.example", "127.0.0.1/8"])
def test_a_proxy_that_is_no_address_is_refused(storage: Storage, proxy: str) -> None:
    with pytest.raises(UsageError, match="--proxy must be the IP address"):
        serve_dashboard(storage, port=0, proxy=proxy)


@pytest.fixture(scope="module")
def visit(
    finished: Invented, finished_storage: Storage, browser: Browser
) -> Iterator[tuple[Page, str]]:
    """A page that has logged in by the link, and the dashboard's URL."""
    with (
        serving(finished_storage) as served,
        browser.new_page(viewport={"width": 1400, "height": 1000}) as page,
    ):
        page.set_default_timeout(PATIENCE_MS)
        page.goto(served.link)
        page.wait_for_url("**/dashboard**")
        yield page, served.url


def test_the_studies_are_listed(visit: tuple[Page, str]) -> None:
    page, url = visit
    page.goto(f"{url}/dashboard")
    expect(page.get_by_text("waves", exact=False).first).to_be_visible(timeout=PATIENCE_MS)


def test_a_study_shows_its_verdicts(visit: tuple[Page, str], finished: Invented) -> None:
    page, url = visit
    page.goto(f"{url}/dashboard/studies/{finished.store.study_id}")
    title = page.get_by_text("What free runs do (verdicts)")
    expect(title).to_be_visible(timeout=PATIENCE_MS)


def test_a_trials_page_shows_its_pictures(visit: tuple[Page, str], finished: Invented) -> None:
    page, url = visit
    page.goto(f"{url}/dashboard/studies/{finished.store.study_id}/trials?numbers=2")
    for name in ("rollout.png", "error-by-horizon.png", "training-loss.png"):
        picture = page.get_by_role("img", name=name, exact=True)
        expect(picture).to_have_js_property("naturalWidth", 900, timeout=PATIENCE_MS)
    for text in ("curve.csv", "verdict"):
        expect(page.get_by_text(text).first).to_be_visible()


def test_a_change_is_refused_on_the_page(visit: tuple[Page, str], finished: Invented) -> None:
    page, url = visit
    page.goto(f"{url}/dashboard")
    status = page.evaluate(
        "id => fetch(`/api/studies/${id}`, {method: 'DELETE', body: '{}'}).then(r => r.status)",
        finished.store.study_id,
    )
    assert status == 403
    expect(page.get_by_text("waves", exact=False).first).to_be_visible(timeout=PATIENCE_MS)


def test_an_svg_that_was_uploaded_runs_no_script(
    visit: tuple[Page, str], finished_table: Invented, finished_storage: Storage, tmp_path: Path
) -> None:
    page, url = visit
    evil = tmp_path / "evil.svg"
    evil.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=\'ran\'">'
        "<script>document.title='ran'</script></svg>"
    )
    study = optuna.load_study(study_name=finished_table.store.name, storage=finished_storage.optuna)
    artifact = upload_artifact(
        study_or_trial=study, file_path=str(evil), artifact_store=finished_storage.artifacts
    )
    with page.expect_download():
        page.evaluate(
            "address => { location.href = address; }",
            f"{url}/artifacts/{study._study_id}/{artifact}",
        )
    assert page.title() != "ran"


def test_the_button_logs_out(
    finished: Invented, finished_storage: Storage, browser: Browser
) -> None:
    with serving(finished_storage) as served, browser.new_page() as page:
        page.set_default_timeout(PATIENCE_MS)
        page.goto(served.link)
        page.wait_for_url("**/dashboard**")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        answer = page.goto(f"{served.url}/dashboard")
        assert answer is not None
        assert answer.status == 401


def test_a_password_is_asked_for_refused_and_accepted(
    finished: Invented, finished_storage: Storage, browser: Browser
) -> None:
    login = Credentials.of("ada", "countess of lovelace").to_line()
    with serving(finished_storage, login) as served, browser.new_page() as page:
        page.set_default_timeout(PATIENCE_MS)
        answer = page.goto(f"{served.url}/dashboard/studies/{finished.store.study_id}")
        assert answer is not None
        assert answer.status == 401
        for password, is_right in (("wrong", False), ("countess of lovelace", True)):
            page.get_by_label("Name").fill("ada")
            page.get_by_label("Password").fill(password)
            page.get_by_role("button", name="Log in").click()
            if not is_right:
                expect(page.get_by_role("alert")).to_have_text("Name or password is wrong.")
        page.wait_for_url(f"**/dashboard/studies/{finished.store.study_id}")
        expect(page.get_by_text("waves").first).to_be_visible(timeout=PATIENCE_MS)
