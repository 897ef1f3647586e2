"""What a study of a hundred thousand trials costs its users, beside bounds.

    python benchmarks/hundred_thousand.py
    python benchmarks/hundred_thousand.py --file big.db

makes the study (many_copies.py) on SQLite, or copies the study `big` of a file, and runs what users
run: `freerun status`, `list` and `report`, `freerun dashboard` with the requests of its first page,
and a worker that joins (joining.py) and asks for cohorts. Bounds are compared with the processor
time of each process, which other work on the machine disturbs least, imports included but for the
worker's. Exit code 1 where a bound is missed. Several sizes (--trials) tell how each figure grows.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import count, end_with_messages
from benchmarks.dashboard_speed import Server, served
from search.errors import FreerunError, UsageError

ROOT = Path(__file__).parents[1]
STUDY = "big"
# Seconds of the processor, MiB and MB; None where nothing is claimed.
MOST_SECONDS = {
    "status": 3.0,
    "list": 3.0,
    "dashboard, first page": 10.0,
    "dashboard, importances": None,
    "dashboard, a poll": None,
    "report": 60.0,
    "joining": 8.0,
    "asking for a cohort": 1.0,
}
MOST_MIB = {"dashboard, a poll": 1024.0}
MOST_MB = {"report": 5.0}
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Figure:
    """What one command or request took.

    wall, processor: seconds. mib: the most memory of its process so far. megabytes: of what was
    written or sent. None where it was not measured.
    """

    name: str
    wall: float | None
    processor: float
    mib: float | None = None
    megabytes: float | None = None

    @property
    def missed(self) -> list[str]:
        """The bounds that it misses, in words."""
        bounds = (
            ("s", self.processor, MOST_SECONDS.get(self.name)),
            ("MiB", self.mib, MOST_MIB.get(self.name)),
            ("MB", self.megabytes, MOST_MB.get(self.name)),
        )
        return [
            f"{self.name}: {value:.2f} {unit}, bound {bound:g} {unit}"
            for unit, value, bound in bounds
            if bound is not None and value is not None and value > bound
        ]


def measure(file: Path) -> Iterator[Figure]:
    """Measure on the study of a SQLite file, to which workers will be added."""
    url = f"sqlite:///{file}"
    yield run("status", url, ["status", STUDY])[0]
    yield run("list", url, ["list"])[0]
    yield from dashboard(url)
    report = file.with_suffix(".html")
    figure, _ = run("report", url, ["report", STUDY, "-o", str(report)])
    yield Figure("report", figure.wall, figure.processor, figure.mib, size_of(report))
    yield from worker(url)


def run(
    name: str, url: str, arguments: Sequence[str], module: str = "search"
) -> tuple[Figure, str]:
    """Run a command to its end; return its figure and what it printed."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "FREERUN_STORAGE": url},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FreerunError(f"{' '.join(arguments)} must end with 0, not {process.returncode}")
    seconds, processor = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    return Figure(name, seconds, processor, usage.ru_maxrss / 1024), printed


def dashboard(url: str) -> Iterator[Figure]:
    """The requests of the page of the study, by a browser that logs in as soon as it can."""
    command = [sys.executable, "-m", "search", "dashboard", "--port", "0"]
    began = time.monotonic()
    with served(command, url, r"(http://127\.0\.0\.1:\d+)/login\S+") as server:
        for path in ("/dashboard/studies/1", "/api/meta", "/api/studies"):
            server.get(path)
        _, page = server.get("/api/studies/1?after=0")
        wall, before = time.monotonic() - began, processor_seconds(server)
        size = len(page) / _MEGABYTE
        yield Figure("dashboard, first page", wall, before, server.peak_mib, size)
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            trials = connection.execute("SELECT count(*) FROM trials").fetchone()[0]
        further = {
            "dashboard, importances": "/api/studies/1/param_importances",
            "dashboard, a poll": f"/api/studies/1?after={trials - 1}",
        }
        for name, path in further.items():
            before = processor_seconds(server)
            seconds, content = server.get(path)
            taken = processor_seconds(server) - before
            yield Figure(name, seconds, taken, server.peak_mib, len(content) / _MEGABYTE)


def processor_seconds(server: Server) -> float:
    """What the server has taken so far, with all its threads (proc(5), utime and stime)."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def worker(url: str) -> Iterator[Figure]:
    """A worker that joins, from opening the storage to its first cohort, and asks for others."""
    arguments = ["--storage", url, "--study", STUDY]
    figure, printed = run("joining", url, arguments, module="benchmarks.joining")
    found = json.loads(printed)
    wall, seconds = found["first_cohort_seconds"], found["first_cohort_processor_seconds"]
    yield Figure("joining", wall, seconds, figure.mib)
    yield Figure("asking for a cohort", None, found["asking_processor_seconds_most"])


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table of Markdown, each beside its bounds."""
    lines = ["| figure | bound | wall s | processor s | MiB | MB |", "|---|---|---|---|---|---|"]
    for figure in figures:
        bounds = (
            (MOST_SECONDS.get(figure.name), "s"),
            (MOST_MIB.get(figure.name), "MiB"),
            (MOST_MB.get(figure.name), "MB"),
        )
        bound = ", ".join(f"{most:g} {unit}" for most, unit in bounds if most is not None)
        cells = (_shown(figure.wall, 1), _shown(figure.processor, 2))
        sizes = (_shown(figure.mib, 0), _shown(figure.megabytes, 2))
        lines.append(f"| {' | '.join((figure.name, bound, *cells, *sizes))} |")
    return "\n".join(lines)


def size_of(path: Path) -> float:
    """The size of a file in MB."""
    return path.stat().st_size / _MEGABYTE


def copied(source: Path, target: Path) -> None:
    """Copy a SQLite database, also of programs that have it open."""
    if not source.is_file():
        raise UsageError(f"--file must be a SQLite file, but there is no {source}; leave it out")
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def _shown(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", type=Path, help="a SQLite file with the study `big`")
    parser.add_argument("--trials", type=count, default=100_000, help="without --file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "big.db"
        if options.file is not None:
            copied(options.file, file)
        else:
            made = [str(file), "--trials", str(options.trials)]
            print(run("made", "", made, module="benchmarks.many_copies")[1], end="")
        before, figures = os.getloadavg(), []
        for figure in measure(file):
            print(f"{figure.name}: {figure.processor:.2f} s", file=sys.stderr)
            figures.append(figure)
    print(f"load {before[0]:.1f} before, {os.getloadavg()[0]:.1f} after\n\n{table(figures)}")
    missed = [words for figure in figures for words in figure.missed]
    for words in missed:
        print(f"missed: {words}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    with end_with_messages():
        sys.exit(main())
