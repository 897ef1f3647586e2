"""Singular spectrum analysis on draws of a study: the rank that is chosen, and given ones.

    python benchmarks/ssa_ranks.py studies/sine.toml --draws 40

Prints how often the held-out quarter chooses each rank, and median and mean NMSE of the test's free
runs with the rank so chosen (as the baseline `ssa` does) and with each given one.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from models.baselines.linear import SSA
from models.candidate import Candidate, candidate_of
from models.closed_form.forms.ssa import RANKS
from models.methods import Scalar
from search.evaluation import CandidateResult
from search.running.training import train
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
    settings = SSA.settings_for(view.values[: view.train_steps])
    results: dict[int | str, CandidateResult] = {}
    for rank in RANKS:
        given: dict[str, Scalar] = {"regularisation": "given", "ssa_rank": rank}
        results[rank] = result_of(candidate_of({**settings, **given}), view)
    results[CHOSEN] = result_of(candidate_of(settings), view)
    losses = {rank: results[rank].replicas[0].training_loss for rank in RANKS}
    return min(RANKS, key=losses.__getitem__), {
        name: result.score for name, result in results.items()
    }


def result_of(candidate: Candidate, view: View) -> CandidateResult:
    """A candidate fitted on one draw."""
    return train(candidate, [view], 0, "benchmark", "cpu", lambda: None)[1]


if __name__ == "__main__":
    main()
