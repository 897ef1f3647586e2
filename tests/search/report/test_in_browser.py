"""The report in a real Chromium, opened from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from search.report.page import write_report
from search.storage.studies import Storage

if TYPE_CHECKING:
    from tests.search.invented import Invented

# Under a load of other tests, inflating and running the plotting library takes a while.
PATIENCE_MS = 120_000
SCHEMES: dict[Literal["light", "dark"], str] = {
    "light": "rgb(31, 35, 40)",
    "dark": "rgb(232, 234, 237)",
}


@pytest.fixture(scope="module")
def report(
    finished: Invented,
    finished_table: Invented,
    finished_storage: Storage,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(finished_storage, [finished.store.name, finished_table.store.name], path)
    return path


class Visit:
    """A page, with every address that it asked for and every error that it met."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda said: self.errors.append(said.text) if said.type == "error" else None,
        )
        page.set_default_timeout(PATIENCE_MS)
        page.goto(path.as_uri())
        page.locator("html[data-drawn]").wait_for(state="attached", timeout=PATIENCE_MS)


@pytest.fixture(
    scope="module", params=[("light", 1200), ("dark", 420)], ids=["light-wide", "dark-narrow"]
)
def visit(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Visit]:
    scheme: Literal["light", "dark"] = request.param[0]
    size: ViewportSize = {"width": request.param[1], "height": 900}
    with browser.new_context(viewport=size, color_scheme=scheme) as context:
        yield Visit(context.new_page(), report)


def test_all_figures_are_drawn_and_nothing_leaves_the_machine(visit: Visit, report: Path) -> None:
    assert visit.page.locator(".plot .main-svg").count() >= 6
    assert visit.page.locator(".plot.failed").count() == 0
    assert visit.errors == []
    outside = [url for url in visit.asked if not url.startswith(("data:", "blob:"))]
    assert outside == [report.as_uri()]


def test_the_page_is_as_wide_as_the_window(visit: Visit) -> None:
    width = visit.page.evaluate("document.documentElement.scrollWidth")
    assert width <= visit.page.viewport_size["width"]  # type: ignore[index]


def test_the_answer_comes_first(visit: Visit) -> None:
    headline = visit.page.locator(".headline").first
    assert "Trial 4 won" in headline.inner_text()
    assert headline.bounding_box()["y"] < 400  # type: ignore[index]


def test_lines_follow_the_colours_of_the_page(visit: Visit) -> None:
    lines = visit.page.locator(".plot").first.locator(".trace path.js-line")
    truth = lines.nth(lines.count() - 2)  # behind the network's run
    for scheme, colour in SCHEMES.items():
        visit.page.emulate_media(color_scheme=scheme)
        expect(truth).to_have_css("stroke", colour, timeout=PATIENCE_MS)


def test_without_scripts_the_words_and_the_tables_are_there(browser: Browser, report: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(report.as_uri())
        assert page.locator(".headline").count() == 2
        assert page.locator("table.scores tr.winner").count() >= 6
        assert page.get_by_role("img", name="NMSE by horizon step").count() == 2
