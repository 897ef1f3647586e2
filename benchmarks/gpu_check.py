"""Training on a GPU: whether its numbers are those of the CPU, and how fast cohorts of it are.

    python benchmarks/gpu_check.py --device cuda

For each cell, a cohort of 32 networks takes its first optimiser step and a free run on the CPU,
by compiled kernels where they cover the cell, and on the device. The gradients must agree within
1e-4 of each network's largest number, and free runs of equal weights over 200 steps within 1e-3
standard deviations of the series. Later steps are not compared: Adam turns the sign of a gradient
that is nearly zero into a whole step, so that trainings part like two initialisations.

Then cohorts of 32, 512 and 4,096 networks train for a few seconds each, beside one of 32 on one
core. Prints networks times optimiser steps per second. Ends with exit code 1 where numbers
disagree. It is meant to take less than 5 minutes.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from time import perf_counter

import torch
from torch import Generator, Tensor

from benchmarks.cell_cost import network_of
from benchmarks.command import count, end_with_messages, seconds
from models.cohort import Member
from models.methods import methods
from models.network.cells.cell import Cell
from models.network.walk import free_run
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from search.cli.options import check_device

COMPARED, FREE_RUN_STEPS = 32, 200
GRADIENT_TOLERANCE, RUN_TOLERANCE = 1e-4, 1e-3
# The first steps of a device choose its algorithms.
UNTIMED_STEPS = 3
# More than there is time for: what a network learns by is tabled for each step.
MOST_STEPS = 10_000


@dataclass(frozen=True)
class Agreement:
    """The largest differences between the device and the CPU.

    gradient: relative to the largest number of the network's gradient. run: of free runs, in
    standard deviations of the series.
    """

    cell: str
    gradient: float
    run: float

    @property
    def holds(self) -> bool:
        return self.gradient <= GRADIENT_TOLERANCE and self.run <= RUN_TOLERANCE


@dataclass(frozen=True)
class Rate:
    """Networks times optimiser steps per second, of a cohort on a device."""

    cell: str
    device: str
    members: int
    network_steps_per_second: float


def candidate_with(cell: str, options: argparse.Namespace) -> TrainedNetwork:
    """The candidate that trains."""
    return network_of(cell, options.hidden, known=50, rollout=16, steps=MOST_STEPS, batch=8)


def training_of(candidate: TrainedNetwork, members: int, device: str) -> Trainer:
    """A training on a noisy sine of 600 values, in standard deviations from its mean."""
    noise = 0.2 * torch.randn(600, generator=Generator().manual_seed(0))
    values = torch.sin(0.1 * torch.arange(600)) + noise
    scaled = ((values - values.mean()) / values.std()).view(1, -1, 1)
    return Trainer([Member(candidate, 0, seed) for seed in range(members)], scaled, device)


def first_step(training: Trainer) -> tuple[Tensor, Tensor]:
    """The gradient of the first step, and free runs of the initial weights; both on the CPU."""
    contexts = training.values[:, None, : training.warm_up]
    run = free_run(training.forecaster, training.weights, contexts, FREE_RUN_STEPS)
    next(iter(training))
    return training.grads[:COMPARED].cpu(), run[:COMPARED].cpu()


def agreement(cell: str, options: argparse.Namespace) -> Agreement:
    """Compare a cohort's first step on the device with that on the CPU."""
    candidate = candidate_with(cell, options)
    (gradient, run), (expected, expected_run) = (
        first_step(training_of(candidate, COMPARED, device)) for device in (options.device, "cpu")
    )
    largest = expected.abs().amax(1, keepdim=True).clamp(min=1e-30)
    return Agreement(
        cell,
        float(((gradient - expected).abs() / largest).max()),
        float((run - expected_run).abs().max()),
    )


def rate(cell: str, device: str, members: int, options: argparse.Namespace) -> Rate:
    """Train a cohort for a few seconds."""
    training = training_of(candidate_with(cell, options), members, device)
    steps = iter(training)
    for _ in range(UNTIMED_STEPS):
        next(steps)
    float(training.weights[0, 0])
    began, done = perf_counter(), 0
    for _ in steps:
        # Reading a number waits for what the device has yet to do.
        float(training.weights[0, 0])
        done += 1
        if perf_counter() - began >= options.seconds:
            break
    return Rate(cell, device, members, members * done / (perf_counter() - began))


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cells = [method.name for method in methods() if issubclass(method, Cell)]
    parser.add_argument("--device", default="cuda", help="torch device")
    parser.add_argument("--cells", nargs="+", choices=cells, default=cells, help="to be compared")
    timed = ["rnn", "gru", "lstm", "lru"]
    parser.add_argument("--timed", nargs="+", choices=cells, default=timed, help="to be timed")
    parser.add_argument("--members", nargs="+", type=count, default=[32, 512, 4096])
    parser.add_argument("--hidden", type=count, default=16, help="hidden units")
    parser.add_argument("--seconds", type=seconds, default=5.0, help="of each timing")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    return parser.parse_args(arguments)


def print_tables(agreements: list[Agreement], rates: list[Rate], device: str) -> None:
    """Print Markdown tables of what agrees and what is how fast."""
    print(f"| cell | gradient, {device} against cpu | free run | within bounds |")
    print("|---|---|---|---|")
    for own in agreements:
        print(f"| {own.cell} | {own.gradient:.1e} | {own.run:.1e} | {_yes(own.holds)} |")
    print("\n| cell | device | networks | networks x steps per second |")
    print("|---|---|---|---|")
    for timed in rates:
        speed = f"{timed.network_steps_per_second:,.0f}"
        print(f"| {timed.cell} | {timed.device} | {timed.members:,} | {speed} |")


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def main(arguments: list[str]) -> None:
    """Compare, measure and print."""
    options = parse(arguments)
    with end_with_messages():
        check_device(options.device)
    torch.set_num_threads(1)
    agreements = [agreement(cell, options) for cell in options.cells]
    rates = []
    for cell in options.timed:
        for device, members in [("cpu", COMPARED), *((options.device, n) for n in options.members)]:
            rates.append(rate(cell, device, members, options))
            print(f"{cell}, {members} on {device}: done", file=sys.stderr)
    if options.json:
        found = {"agreements": list(map(asdict, agreements)), "rates": list(map(asdict, rates))}
        print(json.dumps(found))
    else:
        print_tables(agreements, rates, options.device)
    if not all(own.holds for own in agreements):
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
