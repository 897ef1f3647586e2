"""How soon a study reaches a target in several spaces, from a narrow one to one of everything.

    python benchmarks/spaces.py studies/sine.toml --target 0.02 --minutes 4 --seeds 3

The narrow space has four cells and what one would vary by hand: sizes, context, rollouts, noise and
the optimiser. Before: the default space of version 0.2.0, which adds what the field knows of
oscillators and costs little. The default space has segments and symmetries beside, its lengths
follow the series, and it varies less of what hardly matters. The widest has every cell that is
trained and every strategy and loss, each beside being left out. A study ends as soon as one trial's
score, over its search draws, is at the target. Prints a Markdown table: seconds to the target for
each seed, and what the best score was then.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep

from benchmarks.command import count, end_with_messages, seconds
from benchmarks.forked_study import forked_study
from models.methods import methods
from models.network.cells.cell import Cell
from models.training.losses.loss import Loss
from search.running.worker import Worker
from search.storage.study_store import StudyStore
from search.study.definition import RECORDED, StudyDefinition
from search.study.space import parameters
from search.study.study_file import StudyFile, read_study_file
from search.study.task_data import TaskData

_NOISE = [0.0, 0.02, 0.05, 0.1, 0.2]
# The default space of version 0.2.0, before its choices followed the series.
BEFORE: Mapping[str, object] = {
    "hidden_units": [8, 16, 32],
    "modes": [1, 2, 4, 8],
    "layers": [1, 2],
    "head_layers": [0, 1],
    "warm_up_steps": [50, 100, 200, 300],
    "segment_steps": 1,
    "rollout_steps": [1, 16, 64, 256],
    "sign_augmentation": False,
    "input_noise_std": _NOISE,
    "feedback_noise_std": _NOISE,
    "output_noise_std": _NOISE,
    "label_noise_std": _NOISE,
    "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "weight_decay": {"low": 1e-6, "high": 1e-1, "log": True},
    "clip_norm": {"low": 0.1, "high": 10.0, "log": True},
    "schedule": ["constant", "cosine"],
    "training_steps": [200, 400],
    "batch_size": [4, 8],
    "restarts": [1, 2, 4, 8],
}
# What later versions added to the first default space, at the values that leave it out.
NARROW: Mapping[str, object] = {
    **BEFORE,
    "hidden_units": [8, 16, 32, 64],
    "layers": [1, 2, 3],
    "head_layers": [0, 1, 2],
    "state_estimate": "recurrence",
    "offset": True,
    "damping": True,
    "time_reversal": False,
    "initial_phases": "random",
    "learning_rate": {"low": 1e-4, "high": 3e-2, "log": True},
    "training_steps": [200, 400, 800],
    "batch_size": [4, 8, 16],
}
WIDEST: Mapping[str, object] = {
    "cell": [method.name for method in methods() if issubclass(method, Cell)],
    **{row.name: row.default.to_plain() for row in parameters() if not row.searched},
    # Their domains are of weights that a file asks for; zero leaves a loss out.
    **{
        setting.name: [0.0, 0.1, 1.0]
        for method in methods()
        if issubclass(method, Loss)
        for setting in method.settings
        if setting.field == "weight"
    },
}
SPACES: Mapping[str, Mapping[str, object]] = {
    "narrow": NARROW,
    "before": BEFORE,
    "default": {},
    "widest": WIDEST,
}
# How often the parent looks at the best trial, and how exact the seconds are therefore.
LOOK_SECONDS = 0.25


class Searcher(Worker):
    """A worker that leaves the final out."""

    def final(self) -> None:
        """None."""


@dataclass(frozen=True)
class Search:
    """Seconds until a score at the target, None for not in time; the best score, trials by then."""

    seconds: float | None
    best: float
    trials: int


def search(definition: StudyDefinition, target: float, minutes: float, workers: int) -> Search:
    """Run a study without its final until the target or the end of its time."""
    file = StudyFile(definition, None)
    data = TaskData(definition, None)
    with forked_study(file, data, kind=Searcher, workers=workers, minutes=minutes) as study:
        began = monotonic()
        reached = wait_for(study.store, target, began, began + 60.0 * minutes)
        study.store.request_stop()
        study.wait()
        best, counts = study.store.best_trial(), study.store.counts()
    score = best.value if best is not None and best.value is not None else float("inf")
    return Search(reached, score, counts.complete + counts.pruned)


def wait_for(store: StudyStore, target: float, began: float, until: float) -> float | None:
    """Seconds until a trial is at the target; None if none is in time."""
    while monotonic() < until:
        best = store.best_trial()
        if best is not None and best.value is not None and best.value <= target:
            return monotonic() - began
        sleep(LOOK_SECONDS)
    return None


def in_space(study: StudyDefinition, space: Mapping[str, object], seed: int) -> StudyDefinition:
    """A study in another space, of the cells that its file names or of all in that space."""
    plain = study.model_dump(exclude={"space", *RECORDED})
    cells = {"cell": study.space["cell"].to_plain()} if "cell" in (study.named or ()) else {}
    assert study.properties is not None
    raw = {**plain, "seed": seed, "space": {**cells, **space}}
    return StudyDefinition.of_file(raw, study.properties)


def searches(file: StudyFile, options: argparse.Namespace) -> dict[str, list[Search]]:
    """What each space came to, by its name, for each seed."""
    found: dict[str, list[Search]] = {name: [] for name in options.spaces}
    for seed in range(options.seeds):
        for name in options.spaces:
            definition = in_space(file.definition, SPACES[name], seed)
            result = search(definition, options.target, options.minutes, options.workers)
            found[name].append(result)
            print(f"{name}, seed {seed}: {result}", file=sys.stderr)
    return found


def table(found: Mapping[str, list[Search]], target: float, minutes: float) -> str:
    """In Markdown; a search that did not reach the target counts as longer than its time."""
    lines = [
        f"| space | seconds to {target:g} | median | best score | trials |",
        "|---|---|---|---|---|",
    ]

    def shown(taken: float) -> str:
        return f"over {60 * minutes:.0f}" if taken == float("inf") else f"{taken:.0f}"

    for name, results in found.items():
        taken = [float("inf") if r.seconds is None else r.seconds for r in results]
        each, middle = ", ".join(map(shown, taken)), shown(median(taken))
        best = ", ".join(f"{result.best:.3g}" for result in results)
        trials = ", ".join(f"{result.trials:,}" for result in results)
        lines.append(f"| {name} | {each} | {middle} | {best} | {trials} |")
    return "\n".join(lines)


def main() -> None:
    """Search each space with each seed, in turn; print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "study", type=Path, help="a study file, whose [space] is replaced but for cells"
    )
    parser.add_argument("--target", type=seconds, default=0.02, help="score of a trial")
    parser.add_argument("--minutes", type=seconds, default=4.0, help="of each search at most")
    parser.add_argument("--seeds", type=count, default=3)
    parser.add_argument("--workers", type=count, default=os.cpu_count() or 1)
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    options = parser.parse_args()
    file = read_study_file(options.study)
    print(table(searches(file, options), options.target, options.minutes))


if __name__ == "__main__":
    with end_with_messages():
        main()
