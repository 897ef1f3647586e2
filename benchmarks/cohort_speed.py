"""How much faster a network is trained in a cohort than by itself with plain `torch.nn` modules.

Both train the same candidate on the same data in the same run, on one thread: windows of a noisy
sine, the state reset for every window, one-step loss, Adam, the gradient clipped to its norm. One
at a time that is `nn.RNN`, `nn.GRU` or `nn.LSTM`, `nn.Linear` and `torch.optim.Adam`. Beside them
the same cohort trains with the torch engine, as on a GPU, instead of compiled kernels. Example:

    python benchmarks/cohort_speed.py --study sine

takes the size of the cohorts from that study: the median, over its trials, of the networks that
began to train together.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from statistics import median, quantiles
from time import process_time

import torch
from torch import Generator, Tensor, nn

from benchmarks.command import count
from models.candidate import candidate_of
from models.cohort import Member
from models.network.walk import free_run
from models.training.gradient import UnrolledGradient
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from search.cli.options import storage_at
from search.errors import FreerunError, UserError

TRAIN_STEPS = 600
CELLS: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {
    "rnn": nn.RNN,
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}


@dataclass(frozen=True)
class Speed:
    """Seconds of processor time per trained network, and how many times as fast the cohort is.

    torch_seconds: of the cohort with the torch engine. ratio: of all the time spent, alone to
    cohort; kernel_ratio: torch engine to cohort. undisturbed_ratio, undisturbed_kernel_ratio: of
    the fastest step of each, which other work on the machine did not slow. Losses: of one-step
    forecasts, to show that all learn alike.
    """

    cell: str
    members: int
    cohort_seconds: float
    torch_seconds: float
    alone_seconds: float
    ratio: float
    kernel_ratio: float
    undisturbed_ratio: float
    undisturbed_kernel_ratio: float
    cohort_loss: float
    torch_loss: float
    alone_loss: float


class Plain(nn.Module):
    """One network of plain modules that forecasts the value after a window."""

    def __init__(self, cell: str, hidden: int) -> None:
        super().__init__()
        self.recurrent = CELLS[cell](1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """Forecasts `[batch, channel]` after windows `[batch, time, channel]`, from zero state."""
        outputs, _ = self.recurrent(windows)
        forecast: Tensor = self.head(outputs[:, -1])
        return forecast


def series() -> Tensor:
    """A noisy sine in standard deviations from its mean, `[series, time, channel]`."""
    noise = 0.2 * torch.randn(TRAIN_STEPS, generator=Generator().manual_seed(0))
    values = torch.sin(0.01 * torch.arange(TRAIN_STEPS)) + noise
    return ((values - values.mean()) / values.std()).view(1, -1, 1)


def network_of(cell: str, options: argparse.Namespace) -> TrainedNetwork:
    """The candidate that both ways train."""
    candidate = candidate_of(
        {
            "cell": cell,
            "hidden_units": options.hidden,
            "context": "window",
            "window_steps": options.window,
            "window_rollout_steps": 1,
            "learning_rate": 1e-3,
            "clip_norm": 1.0,
            "training_steps": options.steps,
            "batch_size": options.batch,
        }
    )
    assert isinstance(candidate, TrainedNetwork)
    return candidate


def windows(values: Tensor, steps: int) -> Tensor:
    """All windows of a series and the value after each, `[window, time, channel]`."""
    return values[0].unfold(0, steps + 1, 1).transpose(1, 2).contiguous()


def train_plain(
    model: Plain, candidate: TrainedNetwork, values: Tensor, seed: int
) -> Iterator[None]:
    """Train one network of plain modules; yields after each optimiser step."""
    settings, window = candidate.optimiser, candidate.architecture.context_steps
    generator = Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    segments = windows(values, window)
    for _ in range(settings.training_steps):
        size = (settings.batch_size,)
        chosen = segments[torch.randint(len(segments), size, generator=generator)]
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(model(chosen[:, :window]), chosen[:, window])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimiser.step()
        yield


def timed(steps: Iterator[object], times: list[float]) -> None:
    """Take one step, and note the processor time it took."""
    started = process_time()
    next(steps)
    times.append(process_time() - started)


def by_torch(training: Trainer) -> Trainer:
    """Let a training go on with the torch engine."""
    training.gradient = UnrolledGradient(
        training.forecaster,
        training.candidate,
        training.weights,
        training.grads,
        training.forcing,
        masks=None,
        state_noise=None,
        stream_state=None,
    )
    return training


def compare(candidate: TrainedNetwork, members: int, networks: int) -> Speed:
    """Train a cohort twice and some networks alone side by side, step by step.

    So both meet the same disturbances by other work on the machine.
    """
    values, cell = series(), candidate.cell
    started = process_time()
    training = Trainer([Member(candidate, 0, seed) for seed in range(members)], values)
    cohort_times, cohort = [process_time() - started], iter(training)
    started = process_time()
    reference = by_torch(Trainer([Member(candidate, 0, seed) for seed in range(members)], values))
    torch_times, torch_cohort = [process_time() - started], iter(reference)
    torch.manual_seed(0)
    models = [Plain(cell.name, cell.units) for _ in range(networks)]
    alone = [train_plain(model, candidate, values, i) for i, model in enumerate(models)]
    alone_times: list[float] = []
    for _ in range(candidate.optimiser.training_steps):
        timed(cohort, cohort_times)
        timed(torch_cohort, torch_times)
        for steps in alone:
            timed(steps, alone_times)
    cohort_seconds = sum(cohort_times) / members
    alone_seconds = sum(alone_times) / networks
    torch_seconds, fastest = sum(torch_times) / members, min(cohort_times[1:]) / members
    cohort_loss, alone_loss = losses(training, models, values)
    return Speed(
        cell=cell.name,
        members=members,
        cohort_seconds=cohort_seconds,
        torch_seconds=torch_seconds,
        alone_seconds=alone_seconds,
        ratio=alone_seconds / cohort_seconds,
        kernel_ratio=torch_seconds / cohort_seconds,
        undisturbed_ratio=min(alone_times) / fastest,
        undisturbed_kernel_ratio=min(torch_times[1:]) / members / fastest,
        cohort_loss=cohort_loss,
        torch_loss=losses(reference, models, values)[0],
        alone_loss=alone_loss,
    )


@torch.no_grad()
def losses(training: Trainer, models: list[Plain], values: Tensor) -> tuple[float, float]:
    """One-step loss over all windows of both ways, the mean over networks."""
    given, target = windows(values, training.warm_up).split([training.warm_up, 1], dim=1)
    contexts = given.expand(len(training.weights), *given.shape)
    forecasts = free_run(training.forecaster, training.weights, contexts, 1)
    alone = torch.stack([nn.functional.mse_loss(model(given), target[:, 0]) for model in models])
    return float(((forecasts - target) ** 2).mean()), float(alone.mean())


def measure(cell: str, options: argparse.Namespace) -> Speed:
    """The median of each figure over the repeats, after one that does not count."""
    warm_up = argparse.Namespace(**{**vars(options), "steps": 2})
    compare(network_of(cell, warm_up), options.members, options.networks)
    candidate = network_of(cell, options)
    repeats = [
        compare(candidate, options.members, options.networks) for _ in range(options.repeats)
    ]
    figures = {
        field.name: median(getattr(speed, field.name) for speed in repeats)
        for field in fields(Speed)
        if field.name not in ("cell", "members")
    }
    return Speed(cell=cell, members=options.members, **figures)


def cohort_sizes(name: str, storage: str | None) -> list[int]:
    """Networks in the cohort of each of a study's trials; UserError where it has none."""
    reader = storage_at(storage).study(name)
    attributes = [row.user_attrs for row in reader.frozen_trials()]
    sizes = [a["cohort_networks"] for a in attributes if "cohort_networks" in a]
    if not sizes:
        raise FreerunError(f"study {name} has no finished trial yet; run it first")
    return sizes


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", choices=sorted(CELLS), default=["rnn", "gru", "lstm"])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--members", type=count, default=64, help="networks in the cohort")
    size.add_argument("--study", metavar="NAME", help="as many as in the cohorts of this study")
    parser.add_argument("--storage", metavar="URL", help="where that study is")
    parser.add_argument("--networks", type=count, default=8, help="networks trained one at a time")
    parser.add_argument("--hidden", type=count, default=16, help="hidden units")
    parser.add_argument("--window", type=count, default=16, help="values read per forecast")
    parser.add_argument("--batch", type=count, default=8, help="windows per optimiser step")
    parser.add_argument("--steps", type=count, default=50, help="optimiser steps")
    parser.add_argument("--repeats", type=count, default=5, help="measurements of each way")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    options = parse(arguments)
    torch.set_num_threads(1)
    if options.study is not None:
        try:
            sizes = cohort_sizes(options.study, options.storage)
        except UserError as error:
            sys.exit(f"error: {error}")
        options.members = round(median(sizes))
        quarters = quantiles(sizes, n=4) if len(sizes) > 1 else sizes * 3
        print(
            f"cohorts of {options.study}: {options.members} networks in the median of "
            f"{len(sizes)} trials, {quarters[0]:.0f} to {quarters[2]:.0f} in the middle half",
            file=sys.stderr,
        )
    speeds = [measure(cell, options) for cell in options.cells]
    if options.json:
        print(json.dumps({**vars(options), "speeds": [asdict(speed) for speed in speeds]}))
        return
    print(
        f"{options.members} networks of {options.hidden} units, window {options.window}, "
        f"batch {options.batch}, {options.steps} steps, one thread, median of {options.repeats}"
    )
    for speed in speeds:
        print(
            f"{speed.cell}: alone {speed.alone_seconds:.4f} s per network (loss "
            f"{speed.alone_loss:.3f}), in the cohort {speed.cohort_seconds:.4f} s (loss "
            f"{speed.cohort_loss:.3f}): {speed.ratio:.1f} times as fast, "
            f"{speed.undisturbed_ratio:.1f} by the fastest steps; with the torch engine "
            f"{speed.torch_seconds:.4f} s (loss {speed.torch_loss:.3f}), {speed.kernel_ratio:.1f} "
            f"times as long, {speed.undisturbed_kernel_ratio:.1f} by the fastest steps"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
