"""The long run: `python -m tests.fuzz --minutes 60`, or one case again by --kind, --seed, --case.

Each kind has a process of its own, whose memory is limited and which is ended where a case takes
too long; the next one goes on behind that case. Ends when the minutes are over or so many --inputs
were tried, and prints how many of each kind; with exit code 1 where the contract was broken.
"""

import argparse
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from tests.fuzz.bench import KINDS, WALL_SECONDS, Bench, limit_memory

REPOSITORY = Path(__file__).parents[2]
# Of one kind before the next has its turn: a new process imports for seconds, and an old one has
# grown. In a short run each kind has its share of the time.
_TURN, _TURN_SECONDS = 1000, 120.0
_SHOWN_CHARACTERS = 1500


@dataclass
class Found:
    """How many cases were run, and which broke the contract, by kind."""

    run: Counter[str] = field(default_factory=Counter)
    breaches: list[dict[str, str]] = field(default_factory=list)


def work(kind: str, seed: int, first: int, count: int) -> None:
    """Run cases here; write a line of JSON before and after each to standard output."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    bench = Bench(kind, seed)
    limit_memory()
    try:
        for number in range(first, first + count):
            lines.write(json.dumps({"begun": number}) + "\n")
            outcome = bench.run(number)
            lines.write(json.dumps({"breach": outcome.breach, "said": outcome.said}) + "\n")
    finally:
        bench.close()


def turn(kind: str, seed: int, cases: range, ends: float, until: float, found: Found) -> int:
    """Run cases of a kind in a process of its own; return the number of the next case.

    ends: when no further one begins; until: when one that runs is left.
    """
    number, is_running = cases.start, False
    with _process(kind, seed, cases) as process:
        # A case that has begun may take its time, so that one which never ends is found.
        while (line := process.line(until if is_running else ends)) is not None:
            said = json.loads(line)
            is_running = "begun" in said
            if is_running:
                number = said["begun"]
                continue
            found.run[kind] += 1
            number += 1
            if said["breach"]:
                _note(found, kind, seed, number - 1, said["breach"], said["said"])
        if is_running and monotonic() < until:
            found.run[kind] += 1
            breach = f"no answer within {WALL_SECONDS:g} s, or the process died"
            _note(found, kind, seed, number, breach, process.errors.read_text(errors="replace"))
            number += 1
    return number


@dataclass
class _Process:
    """Cases that run. errors: what it wrote to standard error."""

    process: subprocess.Popen[bytes]
    errors: Path
    _read: bytes = b""

    def line(self, until: float) -> bytes | None:
        """The next line; None at the end, and where none comes in time."""
        assert self.process.stdout is not None
        until = min(until, monotonic() + WALL_SECONDS)
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            # From the descriptor: what a buffer holds already, no selector sees.
            while b"\n" not in self._read:
                if not selector.select(max(until - monotonic(), 0)):
                    return None
                content = os.read(self.process.stdout.fileno(), 2**16)
                if not content:
                    return None
                self._read += content
        line, _, self._read = self._read.partition(b"\n")
        return line


@contextmanager
def _process(kind: str, seed: int, cases: range) -> Iterator[_Process]:
    """Start cases, and end them with all that they started and all that they left."""
    command = [sys.executable, "-m", "tests.fuzz", "--kind", kind, "--seed", str(seed)]
    with TemporaryDirectory(prefix="freerun-fuzz-", ignore_cleanup_errors=True) as home:
        environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY), "TMPDIR": home}
        errors = Path(home) / "errors"
        with errors.open("wb") as written:
            process = subprocess.Popen(
                [*command, "--case", str(cases.start), "--count", str(len(cases))],
                cwd=REPOSITORY,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=written,
                start_new_session=True,
            )
        try:
            yield _Process(process, errors)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _note(found: Found, kind: str, seed: int, number: int, breach: str, said: str) -> None:
    found.breaches.append({"kind": kind, "case": str(number), "breach": breach})
    again = f"python -m tests.fuzz --kind {kind} --seed {seed} --case {number}"
    sys.stdout.write(f"{kind} {number}: {breach}   ({again})\n{said[-_SHOWN_CHARACTERS:]}\n\n")
    sys.stdout.flush()


def main() -> int:
    """Read the options, and fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--inputs", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--case", type=int)
    parser.add_argument("--count", type=int, default=1)
    options = parser.parse_args()
    if options.case is not None:
        work(options.kind, options.seed, options.case, options.count)
        return 0
    kinds, found = ([options.kind] if options.kind else KINDS), Found()
    following = dict.fromkeys(kinds, 0)
    if not {"http", "wire"}.issuperset(kinds):
        _compile_kernels()
    began = monotonic()
    until = began + 60 * options.minutes
    seconds = min(_TURN_SECONDS, 60 * options.minutes / len(kinds))
    for kind in cycle(kinds):
        left = options.inputs - found.run.total()
        if left <= 0 or monotonic() >= until:
            break
        first = following[kind]
        cases = range(first, first + min(_TURN, left))
        ends = min(until, monotonic() + seconds)
        following[kind] = turn(kind, options.seed, cases, ends, until, found)
        _say({"minutes": round((monotonic() - began) / 60, 1), "cases": dict(found.run)})
    _say({"cases": dict(found.run), "total": found.run.total(), "breaches": found.breaches})
    return 1 if found.breaches else 0


def _compile_kernels() -> None:
    """Have kernels on disk: a case that is ended while it compiles one would leave none."""
    for name in ("sine", "clean"):
        command = [sys.executable, "-m", "search", "check", f"studies/{name}.toml"]
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)


def _say(plain: object) -> None:
    sys.stdout.write(json.dumps(plain) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
