"""A dashboard in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import search
from search.storage.studies import Storage

SCRIPT = Path(__file__).with_name("serving.py")


@dataclass(frozen=True)
class Served:
    """A running dashboard. link: that logs in once; the URL itself if a password does."""

    process: subprocess.Popen[str]
    url: str
    link: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal; return the exit code and what was written to standard output."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=60)
        return self.process.returncode, output


@contextmanager
def serving(storage: Storage, *login: str, options: Sequence[str] = ()) -> Iterator[Served]:
    """Run serving.py on a storage while the block runs.

    login: a line of who may log in. options: further ones of serving.py.
    """
    assert search.__file__ is not None
    lines = [f"--login={line}" for line in login]
    process = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).with_name("serving.py")),
            storage.url,
            *lines,
            *options,
        ],
        env={**os.environ, "PYTHONPATH": str(Path(search.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield _when_it_listens(process, has_link=not login)
    finally:
        process.kill()
        process.communicate()


def _when_it_listens(process: subprocess.Popen[str], *, has_link: bool) -> Served:
    assert process.stderr is not None
    pattern = r"(http://127\.0\.0\.1:[0-9]+)" + (r"/login\S+" if has_link else "")
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(pattern, line):
            return Served(process, found[1], found[0])
    raise AssertionError(f"the dashboard ended with {process.wait()}: {said}")
