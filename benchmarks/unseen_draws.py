"""Retrain an exported configuration on draws that its study never saw, beside AR on the same draws.

    python benchmarks/unseen_draws.py results/sine/export --draws 40

Prints, for the free runs of the test horizon: median, mean and worst NMSE, the share of draws on
which the network beats AR, and the share with the verdict "tracks".
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.baselines.baseline import baselines
from search.errors import FreerunError, UserError
from search.evaluation import baseline_candidates, baseline_results
from search.export import read_export
from search.running.training import train_any
from search.study.task_data import TaskData


def main() -> None:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path, help="an export folder of a generated series")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        found = measure(arguments.export, arguments.draws)
    except UserError as error:
        sys.exit(f"error: {error}")
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    print(
        f"{found['draws']} unseen draws, {found['horizon_steps']} free-running steps, "
        f"NMSE against the {found['scored_against']}"
    )
    for name in ("network", *baselines()):
        row = found[name]
        print(
            f"  {name:12} median {row['median']:.4f}  mean {row['mean']:.4f}  "
            f"worst {row['worst']:.4f}"
        )
    print(
        f"  better than AR on {found['better_than_ar']:.0%} of draws; "
        f"tracks on {found['tracks']:.0%}"
    )


def measure(folder: Path, draws: int) -> dict[str, Any]:
    """Train and score on `draws` benchmark draws; raises UserError for a table's export."""
    if draws < 1:
        raise FreerunError(f"--draws must be at least 1, but got {draws}")
    exported = read_export(folder)
    definition = exported.definition
    data = TaskData(definition, exported.table)
    views = [data.view("benchmark", draw) for draw in range(draws)]
    _, result = train_any(
        exported.candidate, views, definition.seed, "benchmark", "cpu", lambda: None
    )
    scores = {"network": result.replica_scores}
    beside = baseline_results(baseline_candidates(data), views)
    scores |= {name: own.replica_scores for name, own in beside.items()}
    better = np.array(scores["network"]) < np.array(scores["ar"])
    return {
        "draws": draws,
        "horizon_steps": views[0].horizon_steps,
        "scored_against": result.scored_against,
        **{
            name: {
                "median": float(np.median(values)),
                "mean": float(np.mean(values)),
                "worst": float(np.max(values)),
            }
            for name, values in scores.items()
        },
        "better_than_ar": float(better.mean()),
        "tracks": float(np.mean([r.verdict == "tracks" for r in result.replicas])),
    }


if __name__ == "__main__":
    main()
