"""How freerun's dashboard and report cope with thousands of trials, beside the plain dashboard.

    python benchmarks/dashboard_speed.py --trials 10000

makes the study (benchmarks/big_study.py) in a temporary folder, or takes that of --storage, then
serves the same storage by `freerun dashboard` and by `optuna-dashboard`, one after the other, and
measures each: the first answer about the study, polls, importances, the study's page in Chromium
until it is drawn and reacts, and the server's memory. Last, the report. --skip-plain leaves the
plain dashboard out, which takes minutes.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from playwright.sync_api import Browser, Error, Page, sync_playwright

BIN = Path(sys.executable).parent
PATIENCE_SECONDS = 300
# The page is usable once it answers within this, three times in a row.
REACTS_SECONDS = 0.2


@dataclass(frozen=True)
class Speed:
    """Seconds and bytes on the wire. page_seconds: None where the page was not usable in time."""

    server: str
    first_seconds: float
    first_bytes: int
    again_seconds: float
    poll_seconds: float
    poll_bytes: int
    importances_seconds: float
    page_seconds: float | None
    server_mib: float


@dataclass
class Server:
    """A dashboard in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    cookie: str = ""

    def get(self, path: str) -> tuple[float, bytes]:
        """Ask as a browser does; seconds, and the answer as it came over the wire."""
        headers = {"Accept-Encoding": "gzip", "Cookie": self.cookie}
        began = time.monotonic()
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            content = answer.read()
        return time.monotonic() - began, content

    @property
    def peak_mib(self) -> float:
        """The most memory that the process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) / 1024


def measure(server: Server, name: str, browser: Browser, last: int) -> Speed:
    """Measure one dashboard. last: the number of trials from which on a poll asks."""
    first_seconds, first = server.get("/api/studies/1?after=0")
    again_seconds, _ = server.get("/api/studies/1?after=0")
    poll_seconds, poll = server.get(f"/api/studies/1?after={last}")
    importances_seconds, _ = server.get("/api/studies/1/param_importances")
    return Speed(
        server=name,
        first_seconds=round(first_seconds, 2),
        first_bytes=len(first),
        again_seconds=round(again_seconds, 2),
        poll_seconds=round(poll_seconds, 2),
        poll_bytes=len(poll),
        importances_seconds=round(importances_seconds, 2),
        page_seconds=_page_seconds(server, browser),
        server_mib=round(server.peak_mib),
    )


def _page_seconds(server: Server, browser: Browser) -> float | None:
    """Until the history is drawn with its points and the page reacts."""
    with browser.new_context(viewport={"width": 1400, "height": 1000}) as context:
        if server.cookie:
            name, value = server.cookie.split("=", 1)
            context.add_cookies([{"name": name, "value": value, "url": server.url}])
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE_SECONDS)
        began = time.monotonic()
        try:
            page.goto(f"{server.url}/dashboard/studies/1")
            page.locator(".scatterlayer .points path").first.wait_for(state="attached")
            _wait_until_it_reacts(page)
        except Error as error:
            print(f"  the page was not usable: {str(error).splitlines()[0]}", file=sys.stderr)
            return None
        return round(time.monotonic() - began, 2)


def _wait_until_it_reacts(page: Page) -> None:
    calm = 0
    while calm < 3:
        began = time.monotonic()
        page.evaluate("new Promise(resolve => setTimeout(resolve, 0))")
        calm = calm + 1 if time.monotonic() - began < REACTS_SECONDS else 0


@contextmanager
def served(command: list[str], storage: str, announced: str) -> Iterator[Server]:
    """Run a dashboard and wait until it writes its URL to standard error."""
    process = subprocess.Popen(
        command,
        env={**os.environ, "FREERUN_STORAGE": storage},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(announced, line):
                # Whatever it still says must not fill the pipe.
                Thread(target=_drain, args=(process.stderr,), daemon=True).start()
                yield _opened(process, found[1], found[0])
                return
        raise RuntimeError(f"{command[0]} ended with {process.wait()}")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def _drain(said: IO[str]) -> None:
    for _ in said:
        pass


def _opened(process: subprocess.Popen[str], url: str, link: str) -> Server:
    """Wait until it answers; log in where the link does so."""
    server = Server(process, url)
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(link, timeout=60) as answer:
                server.cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]
                return server
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def freerun(storage: str) -> tuple[list[str], str, str]:
    """How freerun's dashboard is started, and how it says where it is."""
    command = [str(BIN / "freerun"), "dashboard", "--port", "0"]
    return command, storage, r"(http://127\.0\.0\.1:\d+)/login\S+"


def plain(storage: str) -> tuple[list[str], str, str]:
    """The same of optuna-dashboard."""
    command = [str(BIN / "optuna-dashboard"), storage, "--host", "127.0.0.1", "--port", "18123"]
    return command, storage, r"(http://127\.0\.0\.1:\d+)/?"


def report(storage: str, name: str, folder: Path) -> dict[str, float]:
    """Seconds, with the start of the interpreter, and bytes of `freerun report`."""
    path = folder / "report.html"
    began = time.monotonic()
    subprocess.run(
        [str(BIN / "freerun"), "report", name, "-o", str(path), "--storage", storage],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return {"seconds": round(time.monotonic() - began, 1), "bytes": path.stat().st_size}


def main(arguments: list[str]) -> None:
    """Measure what the command line asks for and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--storage", help="that of a study `big` that was made before")
    parser.add_argument("--skip-plain", action="store_true")
    options = parser.parse_args(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        parser.error("there is no chromium on PATH; on Debian: apt-get install chromium")
    found: dict[str, object] = {"load_before": os.getloadavg()[0], "trials": options.trials}
    with tempfile.TemporaryDirectory() as written, sync_playwright() as playwright:
        folder, storage = Path(written), options.storage
        if storage is None:
            storage = f"sqlite:///{folder / 'big.db'}"
            began = time.monotonic()
            maker = Path(__file__).with_name("big_study.py")
            made = [sys.executable, str(maker), "--storage", storage]
            subprocess.run([*made, "--trials", str(options.trials)], check=True)
            found["made_seconds"] = round(time.monotonic() - began, 1)
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        dashboards = [("freerun", freerun)] + ([] if options.skip_plain else [("plain", plain)])
        for name, how in dashboards:
            with served(*how(storage)) as server:
                found[name] = asdict(measure(server, name, browser, options.trials - 32))
        browser.close()
        found["report"] = report(storage, "big", folder)
    found["load_after"] = os.getloadavg()[0]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
