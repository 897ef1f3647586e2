"""Take pictures of a report's figures, for pages that show some of them.

    freerun report report report-clean -o report.html
    python benchmarks/report_pictures.py report.html -o docs/pictures/answer \\
        --figures attempts- study-1-rollout

writes one PNG for each figure whose name starts so, in the colours of a light page. It needs the
extra `test` and a Chromium of the system.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

WIDTH, HEIGHT = 1000, 900
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
PATIENCE_MS = 60_000


def main() -> None:
    """Open the report and take the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path, help="a file that `freerun report` wrote")
    parser.add_argument("-o", "--output", type=Path, default=Path("pictures"))
    parser.add_argument("--figures", nargs="+", default=[""], help="how their names start")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("there is no chromium on PATH. On Debian: apt-get install chromium.")
    arguments.output.mkdir(parents=True, exist_ok=True)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=list(FLAGS)) as browser,
    ):
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", device_scale_factor=1
        )
        page.goto(arguments.report.resolve().as_uri())
        page.wait_for_selector("html[data-drawn]", timeout=PATIENCE_MS)
        # What lies over a figure's corner while a pointer is near it.
        page.add_style_tag(content=".modebar { display: none !important; }")
        places = page.locator("[data-plot]").all()
        keys = [place.get_attribute("data-plot") or "" for place in places]
        several = any(key.startswith("study-2-") for key in keys)
        for place, key in zip(places, keys, strict=True):
            # A figure of the only study needs no number; the part on presets is there once.
            name = key if several else key.removeprefix("study-1-")
            if name.startswith(tuple(arguments.figures)):
                path = arguments.output / f"{name}.png"
                place.screenshot(path=path)
                print(path)


if __name__ == "__main__":
    main()
