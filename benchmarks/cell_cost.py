"""What a step of the optimiser costs a network, for each cell: milliseconds of one core.

    python benchmarks/cell_cost.py

Cohorts of one layer, warmed up on true values and then free-running; the window MLP reads the same
number of values at once for each forecast. The fastest of several steps, since other work on the
machine can only make one slower. Beside it stands what search/running/cost.py expects, relative to
the first cell that was asked for.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from time import perf_counter

import torch
from torch import Generator

from models.candidate import candidate_of
from models.cohort import Member
from models.methods import Scalar, methods
from models.network.cells.cell import Cell
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from search.running.cost import step_work


@dataclass(frozen=True)
class Cost:
    """Milliseconds per network and step; times as much as the first cell, and as expected."""

    cell: str
    milliseconds: float
    relative: float
    expected: float


def network_of(
    cell: str, units: int, known: int, rollout: int, steps: int, batch: int, **more: Scalar
) -> TrainedNetwork:
    """The candidate whose steps are timed; each cell takes the settings that it has.

    known: true values that are read. more: further settings.
    """
    candidate = candidate_of(
        {
            "cell": cell,
            "hidden_units": units,
            "modes": units,
            "context": "state",
            "warm_up_steps": known,
            "window_steps": known,
            "rollout_steps": rollout,
            "window_rollout_steps": rollout,
            "teacher_weight": 0.5,
            "learning_rate": 1e-3,
            "clip_norm": 1.0,
            "training_steps": steps,
            "batch_size": batch,
            **more,
        }
    )
    assert isinstance(candidate, TrainedNetwork)
    return candidate


def seconds_per_step(candidate: TrainedNetwork, members: int) -> float:
    """The fastest step of a cohort; the first, which also makes memory, does not count."""
    values = torch.randn(1, 600, 1, generator=Generator().manual_seed(0))
    training = Trainer([Member(candidate, 0, seed) for seed in range(members)], values)
    taken, began = [], perf_counter()
    for _ in training:
        now = perf_counter()
        taken.append(now - began)
        began = now
    return min(taken[1:])


def measure(options: argparse.Namespace) -> list[Cost]:
    """All cells that are asked for, in their order."""
    found: list[Cost] = []
    first: tuple[float, float] | None = None
    for cell in options.cells:
        candidate = network_of(
            cell,
            options.hidden,
            options.warm_up,
            options.rollout,
            options.steps + 1,
            options.batch,
            layer_norm=options.layer_norm,
            instance_norm=options.instance_norm,
        )
        seconds = seconds_per_step(candidate, options.members)
        calls, per_network = step_work(candidate)
        work = calls + options.members * per_network
        first = first or (seconds, work)
        milliseconds = 1000 * seconds / options.members
        found.append(Cost(cell, milliseconds, seconds / first[0], work / first[1]))
        print(f"{cell}: {milliseconds:.3f} ms", file=sys.stderr)
    return found


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cells = [method.name for method in methods() if issubclass(method, Cell)]
    parser.add_argument("--cells", nargs="+", choices=cells, default=cells)
    parser.add_argument("--members", type=int, default=32, help="networks in the cohort")
    parser.add_argument("--hidden", type=int, default=16, help="hidden units")
    parser.add_argument("--batch", type=int, default=8, help="segments per optimiser step")
    parser.add_argument("--warm-up", type=int, default=100, help="true values that are read")
    parser.add_argument("--rollout", type=int, default=16, help="free-running steps")
    parser.add_argument("--steps", type=int, default=10, help="optimiser steps that are timed")
    parser.add_argument("--layer-norm", action="store_true")
    parser.add_argument("--instance-norm", action="store_true")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    options = parse(arguments)
    torch.set_num_threads(1)
    costs = measure(options)
    if options.json:
        print(json.dumps({**vars(options), "costs": [asdict(cost) for cost in costs]}))
        return
    print("| cell | ms per network and step | relative | expected |")
    print("|---|---|---|---|")
    for cost in costs:
        print(
            f"| {cost.cell} | {cost.milliseconds:.3f} | {cost.relative:.2f} | {cost.expected:.2f} |"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
