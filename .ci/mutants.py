"""Mutation testing of one file, bounded in time: mutmut on a copy of the checkout.

    python .ci/mutants.py models/diagnostics/scores.py --tests tests/models/diagnostics
    python .ci/mutants.py search/storage/leases.py --minutes 30

mutmut changes one place of one function at a time and runs the tests that call the function until
one fails. A mutant that no test detects has survived: its diff is printed. It shows a missing test,
or a change without an effect; survivors that change only a text are counted, not printed. Mutants
with quick tests come first. When the time is up, the others are reported as not tried. A timeout
counts as detected: a mutant may run for ever.

Not mutated: decorated functions, code outside of functions, and code that a test runs in a process
that imports the checkout itself. Property tests draw the same examples each time and do not shrink.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUTMUT = [sys.executable, "-m", "mutmut"]
PACKAGES = ("models", "search")
DETECTED = ("killed", "timeout", "segfault")
UNTRIED = ("not checked", "check was interrupted by user")
LOG = "mutmut.log"
SPINNER = re.compile("[\r\n]*[\u2800-\u28ff] [^\r\n]*")
# How long mutmut may take to end by itself.
STOP_SECONDS = 20.0

SETTINGS = """
[tool.mutmut]
source_paths = {packages!r}
only_mutate = [{file!r}]
also_copy = {others!r}
pytest_add_cli_args_test_selection = {tests!r}
pytest_add_cli_args = ["-p", "no:cacheprovider"]
# torch's threads do not survive a fork: each run starts from a process that has run no test.
process_isolation = "forkserver"
timeout_constant = 10.0
timeout_multiplier = 4.0
track_dependencies = false
use_git_change_detection = false
"""
# Shrinking a failure takes longer than finding it.
CONFTEST = """
from hypothesis import Phase, settings

phases = [Phase.explicit, Phase.generate]
settings.register_profile(
    "mutants", phases=phases, database=None, deadline=None, derandomize=True
)
settings.load_profile("mutants")
"""


def main() -> int:
    """Run mutmut on the file that the command line names; 1 where it could not."""
    options = _options()
    with _copy_of_checkout() as folder:
        _configure(folder, options.file, options.tests or [_room_of_tests(options.file)])
        code = _run(folder, options.minutes * 60)
        if code:
            sys.stderr.write(SPINNER.sub("", (folder / LOG).read_text()))
            sys.stderr.write(f"mutmut could not test {options.file}; it says why above\n")
            return 1
        _report(folder, options.file, is_done=code is not None)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="a file of models/ or search/")
    parser.add_argument(
        "--tests", nargs="+", metavar="PATH", help="what may notice; else the tests of its folder"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="time limit (default: 10)")
    options = parser.parse_args()
    options.file = Path(options.file).as_posix().removeprefix("./")
    is_ours = options.file.startswith(tuple(f"{name}/" for name in PACKAGES))
    if not (is_ours and options.file.endswith(".py") and (ROOT / options.file).is_file()):
        parser.error(f"file must be a Python file of {' or '.join(PACKAGES)}, got {options.file}")
    for path in options.tests or []:
        if not (ROOT / path.partition("::")[0]).exists():
            parser.error(f"--tests: there is no {path}")
    return options


def _room_of_tests(file: str) -> str:
    """The folder of tests that mirrors the file's folder, or the nearest one above it."""
    folder = Path("tests", file).parent
    while not (ROOT / folder).is_dir():
        folder = folder.parent
    return folder.as_posix()


@contextmanager
def _copy_of_checkout() -> Iterator[Path]:
    """A temporary folder with all files that Git knows or would add, as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        folder = Path(name)
        for file in filter(None, listed.split("\0")):
            if (ROOT / file).is_file():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, folder / file)
        yield folder


def _configure(folder: Path, file: str, tests: Sequence[str]) -> None:
    (folder / "conftest.py").write_text(CONFTEST)
    others = sorted(path.name for path in folder.iterdir() if path.name not in PACKAGES)
    settings = SETTINGS.format(packages=list(PACKAGES), file=file, others=others, tests=list(tests))
    with (folder / "pyproject.toml").open("a") as project:
        project.write(settings)
    tomllib.loads((folder / "pyproject.toml").read_text())
    (folder / "tmp").mkdir()


def _run(folder: Path, seconds: float) -> int | None:
    """Test the mutants; mutmut's exit code, None where the time was up before all were tried."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder / "tmp")}
    command = [*MUTMUT, "run", "--max-children", str(os.cpu_count() or 1)]
    with (folder / LOG).open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            # Its progress is for a terminal: a line for each mutant.
            stdout=None if sys.stdout.isatty() else log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            _stop_databases(folder)


def _stop_databases(folder: Path) -> None:
    """End the PostgreSQL servers of tests that were killed before they could do so."""
    for file in (folder / "tmp").rglob("postmaster.pid"):
        with suppress(ProcessLookupError, OSError, ValueError):
            os.kill(int(file.read_text().splitlines()[0]), signal.SIGQUIT)


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [*MUTMUT, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def _results(folder: Path) -> dict[str, str]:
    """What became of each mutant, by its name."""
    lines = _mutmut(folder, "results", "--all", "true")
    return dict(re.findall(r"^\s+(\S+): (.+)$", lines, flags=re.MULTILINE))


def _report(folder: Path, file: str, *, is_done: bool) -> None:
    results = _results(folder)
    texts = 0
    survivors = [name for name, status in results.items() if status == "survived"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        diffs = pool.map(lambda name: _mutmut(folder, "show", name).splitlines(), survivors)
    for name, lines in zip(survivors, diffs, strict=True):
        removed, added = ([line[1:] for line in lines if _is_changed(line, s)] for s in "-+")
        if _changes_text_only("".join(removed), "".join(added)):
            texts += 1
            continue
        hunk = [line for line in lines if line.startswith("@@") or _is_changed(line, "-+")]
        print("\n".join(["", f"{name.rpartition('.')[2]} survived:", *hunk]))
    counts = Counter(results.values())
    detected = sum(counts[status] for status in DETECTED)
    tried = len(results) - sum(counts[status] for status in UNTRIED)
    print(f"\n{file}: {len(results)} mutants, {tried} tried{'' if is_done else ' (time is up)'}")
    print(", ".join(f"{number} {status}" for status, number in counts.most_common()))
    if texts:
        print(f"{texts} of the survivors change only a text")
    if tried:
        print(f"{detected} of {tried} detected: {detected / tried:.0%}")


def _is_changed(line: str, signs: str) -> bool:
    return line[:1] in tuple(signs) and not line.startswith(("---", "+++"))


def _changes_text_only(removed: str, added: str) -> bool:
    """Whether mutmut put XX around a text, or changed the case of its letters."""
    return removed.casefold() == added.replace("XX", "").casefold()


if __name__ == "__main__":
    sys.exit(main())
