"""The dashboard over HTTP and in a real Chromium."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, expect

from search.errors import UsageError
from search.results.dashboard.serving import serve_dashboard
from search.storage import Storage

if TYPE_CHECKING:
    from tests.search.results.conftest import Invented, Served

PATIENCE_MS = 120_000


def fetched(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def test_studies_are_served_until_a_signal_comes(
    finished: Invented, finished_storage: Storage, serve: Callable[[Storage], Served]
) -> None:
    served = serve(finished_storage)
    names = [
        study["study_name"] for study in fetched(f"{served.url}/api/studies")["study_summaries"]
    ]
    assert "waves" in names
    assert served.end(signal.SIGTERM) == (0, "SIGTERM")


def test_ctrl_c_ends_it_cleanly_too(storage: Storage, serve: Callable[[Storage], Served]) -> None:
    served = serve(storage)
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


def test_a_trials_page_shows_its_rollout(
    finished: Invented,
    finished_storage: Storage,
    serve: Callable[[Storage], Served],
    browser: Browser,
) -> None:
    served = serve(finished_storage)
    with browser.new_page(viewport={"width": 1400, "height": 1000}) as page:
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{served.url}/dashboard/studies/{finished.store.study_id}/trials?numbers=2")
        picture = page.get_by_role("img", name="rollout.png")
        expect(picture).to_have_js_property("naturalWidth", 900, timeout=PATIENCE_MS)
        expect(page.get_by_text("waves").first).to_be_visible()
        expect(page.get_by_text("curve.csv").first).to_be_visible()
        expect(page.get_by_text("verdict").first).to_be_visible()
