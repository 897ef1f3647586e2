"""Singular spectrum analysis on draws of a study: the rank that is chosen, and given ones.

    python benchmarks/ssa_ranks.py studies/sine.toml --draws 40

Prints how often the held-out quarter chooses each rank, and median and mean NMSE of the test's free
runs with the rank so chosen (as the baseline `ssa` does) and with each given one.
"""

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from models.baselines.fitted import SSABaseline
from models.candidate import candidate_of
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import Fitting
from models.closed_form.forms.ssa import RANKS
from models.cohort import Member
from models.diagnostics.scores import score
from search.evaluation.results import truth_of
from search.study.study_file import read_study_file
from search.study.task_data import TaskData, View

CHOSEN = "held-out"


def main() -> None:
    """Parse, fit, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study_file", type=Path, help="of a generated series")
    parser.add_argument("--draws", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    definition, table = read_study_file(arguments.study_file)
    data = TaskData(definition, table)
    found = [scores_by_rank(data.view("benchmark", draw)) for draw in range(arguments.draws)]
    chosen = Counter(rank for rank, _ in found)
    print("rank chosen: " + ", ".join(f"{r} on {n}" for r, n in sorted(chosen.items())))
    for name in (CHOSEN, *RANKS):
        scores = [by_rank[name] for _, by_rank in found]
        print(f"  {name!s:>8}  median {np.median(scores):.4f}  mean {np.mean(scores):.4f}")


def scores_by_rank(view: View) -> tuple[int, dict[int | str, float]]:
    """The chosen rank of one draw, and the NMSE with it and with each given one."""
    training = view.values[: view.train_steps]
    baseline = SSABaseline.fit(training)
    settings = SSABaseline.settings_for(len(training))
    members = []
    for rank in RANKS:
        candidate = candidate_of({**settings, "regularisation": "given", "ssa_rank": rank})
        assert isinstance(candidate, FittedForm)
        members.append(Member(candidate, series=0, seed=0))
    fitting = Fitting(members, torch.from_numpy(training / baseline.scale).unsqueeze(0))
    _ = list(fitting)
    fitted: dict[int | str, SSABaseline] = {CHOSEN: baseline}
    for row, rank in enumerate(RANKS):
        fitted[rank] = replace(baseline, weights=fitting.scored_weights[row : row + 1])
    return RANKS[int(fitting.loss().argmin())], {
        name: nmse_of(forecaster, view) for name, forecaster in fitted.items()
    }


def nmse_of(fitted: SSABaseline, view: View) -> float:
    """The NMSE of a draw's free runs."""
    training = view.values[: view.train_steps]
    forecast = np.stack(
        [fitted.forecast(view.values[:start], view.horizon_steps) for start in view.starts]
    )
    mean, std = training.mean(axis=0), training.std(axis=0)
    return score(forecast, truth_of(view), view.variance, mean, std).nmse


if __name__ == "__main__":
    main()
