"""The two screenshots of the README, of a study that was run before.

    freerun run studies/sine.toml
    python benchmarks/screenshots.py sine --storage sqlite:///freerun.db

writes docs/pictures/dashboard.png (the best trial's page) and report.png (the top of the report).
"""

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.dashboard_speed import freerun, served
from search.errors import UserError
from search.report.page import write_report
from search.storage.opening import open_storage

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
# Small files: pages have few colours.
COLOURS = 128


def dashboard(browser: Browser, storage: str, study_id: int, trial: int) -> None:
    """A trial's page, scrolled to its pictures."""
    with (
        served(*freerun(storage)) as server,
        browser.new_context(viewport={"width": 1400, "height": 900}) as context,
    ):
        name, value = server.cookie.split("=", 1)
        context.add_cookies([{"name": name, "value": value, "url": server.url}])
        page = context.new_page()
        page.goto(f"{server.url}/dashboard/studies/{study_id}/trials?numbers={trial}")
        pictures = page.get_by_role("img", name="rollout")
        pictures.first.wait_for()
        pictures.first.scroll_into_view_if_needed()
        page.wait_for_load_state("networkidle")
        save(page, "dashboard.png")


def report(browser: Browser, path: Path) -> None:
    """The answer and the winner's free run."""
    with browser.new_page(viewport={"width": 1120, "height": 860}) as page:
        page.goto(path.as_uri())
        page.locator("html[data-drawn]").wait_for(state="attached")
        save(page, "report.png")


def save(page: Page, name: str) -> None:
    """What is seen of a page, as a small PNG."""
    pixels = Image.open(io.BytesIO(page.screenshot()))
    pixels.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        PICTURES / name, optimize=True
    )


def main(arguments: list[str]) -> None:
    """Take both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("study")
    parser.add_argument("--storage", default="sqlite:///freerun.db")
    options = parser.parse_args(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        parser.error("there is no chromium on PATH; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        try:
            with open_storage(options.storage, create=False) as storage:
                study = storage.study(options.study)
                best = study.best_trial()
                write_report(storage, [study.name], path)
                url = storage.url
        except UserError as error:
            parser.error(str(error))
        if best is None:
            parser.error(f"{options.study} has no complete trial yet; run it first")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        dashboard(browser, url, study.study_id, best.number)
        report(browser, path)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
