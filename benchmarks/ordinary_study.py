"""A study as a user runs it, for benchmarks: from a study file, by `freerun run`, in a folder."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.ensemble.ensemble_checkpoint import AnyCandidate
from search.analysis.study_results import StudyResults, baselines_of
from search.contest import is_baseline
from search.errors import FreerunError, UserError
from search.series import FloatArray
from search.storage.opening import open_storage

ROOT = Path(__file__).parents[1]
# No study ends by it: its minutes do.
MOST_TRIALS = 1_000_000
# What a table has room for of a message.
MESSAGE_WORDS = 60


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline of a study. nmse: of validation."""

    name: str
    nmse: float
    candidate: AnyCandidate


@dataclass(frozen=True, eq=False)
class Tested:
    """The winner of a study's final on the test.

    what: the winner in words. nmse: of its test; validated: of its validation; baselines: of the
    tests of the baselines, by name. Squared errors are divided by the variance of all rows before
    the test. best_baseline: the one of the least error in validation. forecast: `[time]`, the first
    free run over the test, of the first column.
    """

    what: str
    nmse: float
    validated: float
    best_baseline: Baseline
    baselines: Mapping[str, float]
    forecast: FloatArray


@dataclass(frozen=True, eq=False)
class Ran:
    """A study that has run. trials: complete ones; export: its folder; seconds: of the command."""

    tested: Tested
    trials: int
    seconds: float
    export: Path


def study_text(sections: Mapping[str, object]) -> str:
    """Return a study file: keys of their own first, then one section for each mapping."""
    lines = [f"{k} = {_toml(v)}" for k, v in sections.items() if not isinstance(v, Mapping)]
    for name, section in sections.items():
        if isinstance(section, Mapping):
            lines += ["", f"[{name}]", *(f"{key} = {_toml(v)}" for key, v in section.items())]
    return "\n".join(lines) + "\n"


def run_study(
    folder: Path, sections: Mapping[str, object], minutes: float, workers: int | None
) -> Ran:
    """Run the study of some sections in a folder that it may fill.

    workers: processes, None for one per CPU. Raises UserError where the study is refused,
    FreerunError where it fails or finds no winner; both with the command's message.
    """
    file, database = folder / "study.toml", f"sqlite:///{folder / 'study.db'}"
    file.write_text(study_text(sections))
    command = [sys.executable, "-m", "search", "run", str(file), "--json"]
    command += ["--minutes", str(minutes), "--trials", str(MOST_TRIALS)]
    command += ["--storage", database, "--output", str(folder / "out")]
    command += [] if workers is None else ["--workers", str(workers)]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        kind = UserError if ended.returncode == UserError.exit_code else FreerunError
        raise kind(_last_words(ended.stderr))
    summary: Mapping[str, Any] = json.loads(ended.stdout)
    with open_storage(database, create=False) as storage:
        results = StudyResults.read(storage.study(str(sections["name"])))
        tested = winner_on_test(results)
    if tested is None:
        raise FreerunError("the study has no winner that was tested; give it more minutes")
    return Ran(tested, len(results.complete), summary["seconds"], folder / "out" / "export")


def winner_on_test(results: StudyResults) -> Tested | None:
    """What the test found of the winner and of the baselines; None without a tested winner."""
    winner = results.winner
    if winner is None or winner.tested is None:
        return None
    best = next(final for final in results.finals if is_baseline(final.subject))
    return Tested(
        validated=winner.final.found.score,
        best_baseline=Baseline(
            results.name_of(best.subject), best.found.score, results.candidate_of(best)
        ),
        what=f"{winner.name}: {results.candidate_of(winner.final).description()}",
        nmse=winner.tested.score,
        forecast=np.asarray(winner.tested.example.forecast, dtype=np.float64),
        baselines={name: baseline.score for name, baseline in baselines_of(results.tests).items()},
    )


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(own)}' for key, own in value.items())} }}"
    # Strings, numbers, truth values and lists of them are written as in JSON.
    return json.dumps(value)


def _last_words(said: str) -> str:
    """The message that a command ended with, in one line, without what it said of its progress."""
    _, found, message = said.rpartition("freerun: error: ")
    words = message.split() if found else said.split()[-MESSAGE_WORDS:]
    return " ".join(words[:MESSAGE_WORDS]) or "it said nothing"
