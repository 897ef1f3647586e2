"""The long run: `python -m tests.fuzz --minutes 60`, or one case again by --kind, --seed, --case.

Each kind has a process of its own, whose memory is limited and which is ended where a case takes
too long; the next one goes on behind that case. Ends with exit code 1 where the contract was
broken.
"""

import argparse
import json
import os
import selectors
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import monotonic

from tests.fuzz.bench import KINDS, WALL_SECONDS, Bench, limit_memory

REPOSITORY = Path(__file__).parents[2]
# Cases of one kind before the next has its turn: a new process imports for seconds.
_TURN = 200
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


def turn(kind: str, seed: int, first: int, count: int, until: float, found: Found) -> int:
    """Run cases of a kind in a process of its own; return the number of the next case."""
    command = [sys.executable, "-m", "tests.fuzz", "--kind", kind, "--seed", str(seed)]
    process = subprocess.Popen(
        [*command, "--case", str(first), "--count", str(count)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    number, is_running = first, False
    try:
        while monotonic() < until:
            line = _line(process)
            if not line:
                break
            said = json.loads(line)
            is_running = "begun" in said
            if is_running:
                number = said["begun"]
                continue
            found.run[kind] += 1
            number += 1
            if said["breach"]:
                _note(found, kind, seed, number - 1, said["breach"], said["said"])
        else:
            return number
        if is_running:
            found.run[kind] += 1
            breach = f"no answer within {WALL_SECONDS:g} s, or the process died"
            process.kill()
            _note(found, kind, seed, number, breach, process.communicate()[1])
            number += 1
        return number
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    """The next line; "" at the end, and where none comes in time."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(WALL_SECONDS) else ""


def _note(found: Found, kind: str, seed: int, number: int, breach: str, said: str) -> None:
    found.breaches.append({"kind": kind, "case": str(number), "breach": breach})
    again = f"python -m tests.fuzz --kind {kind} --seed {seed} --case {number}"
    sys.stdout.write(f"{kind} {number}: {breach}   ({again})\n{said[-_SHOWN_CHARACTERS:]}\n\n")
    sys.stdout.flush()


def main() -> int:
    """Read the options, and fuzz."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
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
    until = monotonic() + 60 * options.minutes
    for kind in cycle(kinds):
        if monotonic() >= until:
            break
        following[kind] = turn(kind, options.seed, following[kind], _TURN, until, found)
    sys.stdout.write(json.dumps({"cases": dict(found.run), "breaches": found.breaches}) + "\n")
    return 1 if found.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
