"""Runs cases one after the other in this process, and says which break the contract.

The contract: exit code 0 or 2, or an HTTP status below 500; no traceback; less than ten seconds of
computing, for a request of waiting, too; no secret in what is written; within a limit of memory;
files whole or absent.
"""

import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from types import FrameType
from typing import TYPE_CHECKING

from tests.fuzz.cases import COMMAND_KINDS, SECRET, case_random

if TYPE_CHECKING:
    from tests.fuzz.requests import Answer

KINDS = (*COMMAND_KINDS, "http", "wire")
MEMORY_BYTES = 2**30
CPU_SECONDS = WAIT_SECONDS = 10.0
# On a machine that does other things, too; a case that waits for nothing ends far sooner.
WALL_SECONDS = 180.0
_MOST_CHARACTERS = 30_000


class TooLong(BaseException):
    """A case used up its time. No error that a program could mean to catch."""


@dataclass(frozen=True)
class Outcome:
    """What a case did: "" where the contract holds, else how it was broken, and what was said."""

    breach: str
    said: str


def limit_memory() -> None:
    """Let this process have so much more memory than it has now, with all that is imported."""
    status = Path("/proc/self/status").read_text()
    used = next(line for line in status.splitlines() if line.startswith("VmData"))
    most = int(used.split()[1]) * 1024 + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


class Bench:
    """Where cases of one kind are run."""

    def __init__(self, kind: str, seed: int) -> None:
        import search.export.forecast
        import search.report.page
        import search.running.estimate  # noqa: F401

        self.kind, self.seed = kind, seed
        self.home = Path(mkdtemp(prefix="freerun-fuzz-"))
        self.send: Callable[[Random], Answer] | None = None
        if kind == "http":
            from tests.fuzz.requests import requests

            self.send = requests(self.home)
        elif kind == "wire":
            from tests.fuzz.wire import wire

            self.send = wire(self.home)
        elif kind == "export":
            COMMAND_KINDS[kind](Random(0), self._folder())  # makes the exports

    def close(self) -> None:
        """Remove what the cases left."""
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, number: int) -> Outcome:
        """Run a case by its number."""
        random = case_random(self.kind, self.seed, number)
        if self.send is not None:
            return _guarded(lambda: self._request(random))
        folder = self._folder()
        arguments, environment = COMMAND_KINDS[self.kind](random, folder)
        before = _files(folder)
        try:
            with _inside(folder, environment):
                outcome = _guarded(lambda: _command(arguments, self.home))
        finally:
            left = [name for name in _files(folder) if name.endswith(".part")]
            changed = [name for name in before if _files(folder).get(name) != before[name]]
            shutil.rmtree(folder)
        if not outcome.breach and (left or changed):
            outcome = Outcome(f"files are left or changed: {[*left, *changed]}", outcome.said)
        return Outcome(outcome.breach, f"{arguments} {environment}\n{outcome.said}")

    def _folder(self) -> Path:
        return Path(mkdtemp(dir=self.home))

    def _request(self, random: Random) -> Outcome:
        assert self.send is not None
        began = time.monotonic()
        answer = self.send(random)
        said = f"{answer.asked}\n{answer.content[:2000].decode(errors='replace')}"
        if (seconds := time.monotonic() - began) > WAIT_SECONDS:
            return Outcome(f"no answer for {seconds:.0f} s", said)
        # RFC 9112, 6.1: 501 is the answer to a transfer coding that a server does not know.
        is_broken = answer.status >= 500 and answer.status != 501
        return Outcome(f"status {answer.status}" if is_broken else "", said)


def _files(folder: Path) -> dict[str, bytes]:
    """The regular files of a folder; databases are changed by those who open them."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and not path.is_symlink() and ".db" not in path.name
    }


def _guarded(work: Callable[[], Outcome]) -> Outcome:
    """Do something within its time; what it raises breaks the contract."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGPROF, end)
    # Again and again: Python drops what is raised in a callback of a library in C.
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS, 1.0)
    began = time.process_time()
    try:
        return work()
    except TooLong:
        seconds = time.process_time() - began
        return Outcome(f"more than {seconds:.0f} s of computing", traceback.format_exc())
    except BaseException as error:  # noqa: BLE001
        return Outcome(f"raises {type(error).__name__}", traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _command(arguments: list[str], home: Path) -> Outcome:
    """Run the command line as its script does, with what it writes in files."""
    from search.cli import main

    code: object = 0
    kept = sys.stdout, sys.stderr, sys.argv
    with (
        (home / "out").open("w+", encoding="utf-8") as out,
        (home / "err").open("w+", encoding="utf-8") as err,
    ):
        sys.stdout, sys.stderr, sys.argv = out, err, ["freerun", *arguments]
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdout, sys.stderr, sys.argv = kept
        for stream in (out, err):
            stream.flush()
        said = (home / "out").read_text() + (home / "err").read_text()
        message = (home / "err").read_text()
    return Outcome(_breach(code, said, message), f"exit code {code}\n{said[:2000]}")


def _breach(code: object, said: str, message: str) -> str:
    if code not in (0, 2, None):
        return f"exit code {code}"
    if "Traceback" in said:
        return "a traceback"
    if SECRET in said:
        return "the secret is shown"
    if len(message) > _MOST_CHARACTERS:
        return f"a message of {len(message)} characters"
    if "memory is not enough" in message:
        return "more than the memory allowed"
    if code == 2 and not message.strip():
        return "no message"
    return ""


@contextmanager
def _inside(folder: Path, changes: Mapping[str, str]) -> Iterator[None]:
    """Work in a folder, with a changed environment."""
    before, kept = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ.pop("FREERUN_STORAGE", None)
    os.environ.update({**changes, "COLUMNS": "100"})
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(kept)
