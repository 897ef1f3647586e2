"""How much faster a network is trained in a cohort than by itself with plain `torch.nn` modules.

Both train the same candidates on the same data in the same run, on one thread: windows of a noisy
sine, the state reset for every window, one-step loss, Adam, the gradient clipped to its norm. One
at a time that is `nn.RNN` or `nn.GRU`, `nn.Linear` and `torch.optim.Adam`. Repeats alternate
between the two, since other work on the machine slows both. Example:

    python benchmarks/cohort_speed.py --cells rnn gru --members 64 --steps 50
"""

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter

import torch
from torch import Generator, Tensor, nn

from models.candidate import Architecture, Candidate, Strategy
from models.training import Member, Training

TRAIN_STEPS = 600
CELLS: dict[str, type[nn.RNN] | type[nn.GRU]] = {"rnn": nn.RNN, "gru": nn.GRU}


@dataclass(frozen=True)
class Speed:
    """Seconds of one core per trained network; the ratio is the median over repeats."""

    cell: str
    members: int
    cohort_seconds: float
    single_seconds: float
    ratio: float
    cohort_loss: float
    single_loss: float


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


def candidate_of(cell: str, options: argparse.Namespace) -> Candidate:
    """The candidate that both ways train."""
    return Candidate.from_dict(
        {
            "architecture": asdict(
                Architecture(
                    cell=cell,  # type: ignore[arg-type]
                    units=options.hidden,
                    layers=1,
                    head_layers=0,
                    residual=False,
                    context="window",
                    context_steps=options.window,
                )
            ),
            "strategy": asdict(
                Strategy(
                    rollout_steps=1,
                    teacher_weight=1.0,
                    curriculum_fraction=0.0,
                    input_noise_std=0.0,
                    feedback_noise_std=0.0,
                    output_noise_std=0.0,
                    label_noise_std=0.0,
                    learning_rate=1e-3,
                    weight_decay=0.0,
                    clip_norm=1.0,
                    schedule="constant",
                    training_steps=options.steps,
                    batch_size=options.batch,
                )
            ),
            "restarts": 1,
        }
    )


def train_cohort(candidate: Candidate, values: Tensor, members: int) -> tuple[float, float]:
    """Seconds per network for a cohort, setting up included, and the median loss."""
    started = perf_counter()
    training = Training([Member(candidate, 0, seed) for seed in range(members)], values)
    for _ in training:
        pass
    seconds = (perf_counter() - started) / members
    return seconds, float(training.loss().median())


def train_alone(candidate: Candidate, values: Tensor, networks: int) -> tuple[float, float]:
    """Seconds per network for plain modules one after another, and the median loss."""
    strategy, window = candidate.strategy, candidate.architecture.context_steps
    losses = []
    started = perf_counter()
    for seed in range(networks):
        torch.manual_seed(seed)
        model = Plain(candidate.architecture.cell, candidate.architecture.units)
        optimiser = torch.optim.Adam(model.parameters(), lr=strategy.learning_rate)
        segments = values[0].unfold(0, window + 1, 1).transpose(1, 2).contiguous()
        for _ in range(strategy.training_steps):
            chosen = segments[torch.randint(len(segments), (strategy.batch_size,))]
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(model(chosen[:, :window]), chosen[:, window])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), strategy.clip_norm)
            optimiser.step()
        with torch.no_grad():
            forecast = model(segments[:, :window])
            losses.append(float(nn.functional.mse_loss(forecast, segments[:, window])))
    return (perf_counter() - started) / networks, median(losses)


def measure(cell: str, options: argparse.Namespace) -> Speed:
    """Train both ways in turn, after one short warm-up of each."""
    candidate, values = candidate_of(cell, options), series()
    train_cohort(candidate, values, options.members)
    train_alone(candidate, values, 1)
    cohort, alone = [], []
    for _ in range(options.repeats):
        cohort.append(train_cohort(candidate, values, options.members))
        alone.append(train_alone(candidate, values, options.networks))
    return Speed(
        cell=cell,
        members=options.members,
        cohort_seconds=median(seconds for seconds, _ in cohort),
        single_seconds=median(seconds for seconds, _ in alone),
        ratio=median(a[0] / c[0] for a, c in zip(alone, cohort, strict=True)),
        cohort_loss=median(loss for _, loss in cohort),
        single_loss=median(loss for _, loss in alone),
    )


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, but got {text!r}")
    return int(text)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", choices=sorted(CELLS), default=["rnn", "gru"])
    parser.add_argument("--members", type=count, default=64, help="networks in the cohort")
    parser.add_argument("--networks", type=count, default=4, help="networks trained one at a time")
    parser.add_argument("--hidden", type=count, default=32, help="hidden units")
    parser.add_argument("--window", type=count, default=16, help="values read per forecast")
    parser.add_argument("--batch", type=count, default=16, help="windows per optimiser step")
    parser.add_argument("--steps", type=count, default=100, help="optimiser steps")
    parser.add_argument("--repeats", type=count, default=5, help="measurements of each way")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Measure and print."""
    options = parse(arguments)
    torch.set_num_threads(1)
    speeds = [measure(cell, options) for cell in options.cells]
    if options.json:
        print(json.dumps({**vars(options), "speeds": [asdict(speed) for speed in speeds]}))
        return
    print(
        f"{options.members} networks of {options.hidden} units, window {options.window}, "
        f"batch {options.batch}, {options.steps} steps, one thread, median of {options.repeats}"
    )
    for speed in speeds:
        assert math.isfinite(speed.ratio)
        print(
            f"{speed.cell}: {speed.single_seconds:.4f} s per network alone (loss "
            f"{speed.single_loss:.3f}), {speed.cohort_seconds:.4f} s in the cohort (loss "
            f"{speed.cohort_loss:.3f}): {speed.ratio:.1f} times as fast"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
