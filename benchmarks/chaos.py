"""Chaos: kernel ridge regression on delay vectors, searched on 1,000 points, against the last 200.

    python benchmarks/chaos.py dysts_dev.json.gz --seconds 20

FILE is gzipped JSON, `{name: [number, ...]}`: systems with 100 points per period and 12 periods, as
in the public dysts benchmark (Gilpin 2021, "Chaos as an interpretable benchmark for forecasting and
data-driven modelling"). For each system, candidates are searched on all but the last 200 values,
the best one is fitted on all of these, and runs freely over the 200. Prints the sMAPE of each
system, 0 to 200, then the median and the share at 5 or less, beside published medians.

A candidate's score is the mean over 15 free runs of log10(mean squared error + 1e-8): five blocks
are left out of the span in turn, what is before and after is fitted, and three runs start in each.
Half the time candidates are sampled at random; then the best eight are varied.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import torch
from numpy.typing import NDArray
from optuna.trial import FixedTrial

from benchmarks.command import count, end_with_messages, seconds
from models.closed_form.closed_form import FittedForm
from models.closed_form.forms.kernel import KernelRidge
from models.methods import Choices, Domain, FloatRange, IntRange, Scalar
from models.network.options.shape import Scaling
from search.errors import UsageError
from search.study.space import Space, complete_space, read_space

FloatArray = NDArray[np.float64]

HORIZON_STEPS = 200
# What the longest context of the space reads, and where the first block can begin therefore.
MOST_CONTEXT_STEPS = 131
BLOCKS, STARTS, START_STRIDE = 5, 3, 20
BLOCK_STEPS = HORIZON_STEPS + (STARTS - 1) * START_STRIDE
# Below it, errors are no longer told apart: a run of 1e-8 is as good as perfect.
LEAST_ERROR = 1e-8
# Half the time samples at random, then variations of so many of the best: each open parameter moves
# with this probability, by a normal number of this share of its range.
PARENTS, MOVED_SHARE, MOVED_BY = 8, 0.3, 0.15
# From so many blocks on, a candidate ends that is so far behind the eighth best there.
RACED_BLOCKS, RACED_BEHIND = 2, 0.5
SPACE: dict[str, object] = {
    "cell": "kernel-ridge",
    "kernel_delays": {"low": 4, "high": 16},
    "kernel_stride": {"low": 2, "high": 12},
    "segment_steps": [1, 2, 4],
    "regularisation": "given",
    "ridge": {"low": 1e-12, "high": 1e-4, "log": True},
    "time_reversal": False,
    "restarts": 1,
}
# Medians over the 44 systems that have published forecasts, from the benchmark's stored ones.
PUBLISHED = {
    "best of 16, with hindsight": 38.2,
    "NBEATS": 59.4,
    "LSTM": 90.7,
    "random forest": 100.7,
    "AutoARIMA": 114.7,
    "Transformer": 115.4,
    "TCN": 122.0,
    "mean": 140.6,
}


@dataclass(frozen=True)
class Block:
    """A stretch of the span that is left out: what is fitted, and the runs that start in it."""

    pieces: tuple[slice, ...]
    starts: tuple[int, ...]


def blocks(span_steps: int) -> list[Block]:
    """Blocks spread over a span from the first one that a context can lie before to its end."""
    firsts = np.linspace(MOST_CONTEXT_STEPS, span_steps - BLOCK_STEPS, BLOCKS).round().astype(int)
    return [
        Block(
            pieces=tuple(
                piece
                for piece in (slice(0, first), slice(first + BLOCK_STEPS, span_steps))
                if piece.start < piece.stop
            ),
            starts=tuple(int(first) + START_STRIDE * start for start in range(STARTS)),
        )
        for first in firsts.tolist()
    ]


@dataclass(frozen=True, eq=False)
class Span:
    """The values `[time, 1]` that are searched on."""

    values: FloatArray

    def scaling(self, candidate: FittedForm) -> tuple[float, float]:
        """Shift and scale: mean and standard deviation, or 0 and the root mean square."""
        if candidate[Scaling].offset:
            return float(self.values.mean()), float(self.values.std())
        return 0.0, float(np.sqrt(np.square(self.values).mean()))

    def scores(self, candidate: FittedForm) -> Iterator[float]:
        """Mean log10 of the mean squared errors of the runs that start in each block left out."""
        shift, scale = self.scaling(candidate)
        series = (self.values - shift) / scale
        unit = scale / float(self.values.std())
        for block in blocks(len(series)):
            pieces = [series[piece] for piece in block.pieces]
            runs = free_runs(candidate, pieces, series, block.starts)
            truth = np.stack([series[start : start + HORIZON_STEPS] for start in block.starts])
            errors = np.square(unit * (runs - truth)).mean(axis=(1, 2))
            yield float(np.log10(np.nan_to_num(errors, nan=np.inf) + LEAST_ERROR).mean())

    def forecast(self, candidate: FittedForm) -> FloatArray:
        """What follows the span, by a candidate that is fitted on all of it."""
        shift, scale = self.scaling(candidate)
        series = (self.values - shift) / scale
        (run,) = free_runs(candidate, [series], series, [len(series)])
        forecast: FloatArray = run[:, 0] * scale + shift
        return forecast


def free_runs(
    candidate: FittedForm,
    pieces: Sequence[FloatArray],
    series: FloatArray,
    starts: Sequence[int],
) -> FloatArray:
    """Free runs `[start, time, channel]` in a series by a candidate that is fitted on pieces."""
    form = candidate.form
    assert isinstance(form, KernelRidge)
    fixed = form.measure(pieces, candidate, {})
    coefficients = form.factorise(pieces, candidate, fixed).at(form.given_level)
    contexts = np.stack([series[start - form.context_steps : start] for start in starts])
    shared = np.broadcast_to(coefficients, (len(starts), *coefficients.shape))
    return form.run(fixed, shared, contexts, HORIZON_STEPS)


@dataclass(frozen=True)
class Found:
    """A candidate and its parameters, with its score on each block."""

    scores: tuple[float, ...]
    params: Mapping[str, Scalar]
    candidate: FittedForm

    @property
    def score(self) -> float:
        return float(np.mean(self.scores))


class Search:
    """Proposes parameters from a space: at random, or the best ones varied."""

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.random = np.random.default_rng(seed)
        self.best: list[Found] = []

    def propose(self, vary: bool) -> tuple[dict[str, Scalar], FittedForm]:
        """Parameters whose context is not too long, and their candidate."""
        while True:
            values = {n: self._any(domain) for n, domain in self.space.domains.items()}
            if vary and self.best:
                values |= self._varied()
            params = self.space.suggest(FixedTrial(values))
            candidate = self.space.resolve(params)
            assert isinstance(candidate, FittedForm)
            if candidate.form.context_steps <= MOST_CONTEXT_STEPS:
                return params, candidate

    def try_out(self, span: Span, params: Mapping[str, Scalar], candidate: FittedForm) -> None:
        """Score a candidate, and keep it if it is among the best.

        One that is clearly worse than the last of them on the first blocks is not finished.
        """
        scores: list[float] = []
        for score in span.scores(candidate):
            scores.append(score)
            if len(self.best) == PARENTS and len(scores) >= RACED_BLOCKS:
                rival = np.mean(self.best[-1].scores[: len(scores)])
                if np.mean(scores) > rival + RACED_BEHIND:
                    return
        ranked = sorted([*self.best, Found(tuple(scores), params, candidate)], key=_score)
        self.best = ranked[:PARENTS]

    def _varied(self) -> dict[str, Scalar]:
        """One of the best with some of its parameters moved, and at least one."""
        params = dict(self.best[self.random.integers(len(self.best))].params)
        open_ones = [name for name in params if _is_open(self.space.domains[name])]
        moved = [name for name in open_ones if self.random.random() < MOVED_SHARE]
        for name in moved or [open_ones[self.random.integers(len(open_ones))]]:
            params[name] = self._near(params[name], self.space.domains[name])
        return params

    def _any(self, domain: Domain) -> Scalar:
        """A value from anywhere in a domain."""
        match domain:
            case Choices(values):
                return values[self.random.integers(len(values))]
            case IntRange(low, high):
                return int(self.random.integers(low, high + 1))
            case FloatRange(low, high, log=True):
                return float(np.clip(np.exp(self.random.uniform(*np.log([low, high]))), low, high))
        return float(self.random.uniform(domain.low, domain.high))

    def _near(self, value: Scalar, domain: Domain) -> Scalar:
        """A value not far from one; any other of choices."""
        if isinstance(domain, Choices):
            others = [choice for choice in domain.values if choice != value]
            return others[self.random.integers(len(others))]
        step, low, high = MOVED_BY * self.random.standard_normal(), domain.low, domain.high
        if isinstance(domain, IntRange):
            change = max(1, round(abs(step) * (high - low)))
            return int(np.clip(int(value) + (change if step > 0 else -change), low, high))
        if domain.log:
            return float(np.clip(float(value) * (high / low) ** step, low, high))
        return float(np.clip(float(value) + step * (high - low), low, high))


def _score(found: Found) -> float:
    return found.score


def _is_open(domain: Domain) -> bool:
    return not isinstance(domain, Choices) or len(domain.values) > 1


def best_of(span: Span, seed: int, budget: float) -> tuple[Found, int]:
    """The best candidate that is found in so many seconds of a core, and how many were tried."""
    began, tried = process_time(), 0
    search = Search(Space(complete_space(read_space(SPACE), len(span.values))), seed)
    while not search.best or process_time() - began < budget:
        params, candidate = search.propose(vary=process_time() - began > budget / 2)
        search.try_out(span, params, candidate)
        tried += 1
    return search.best[0], tried


def smape(forecast: FloatArray, truth: FloatArray) -> float:
    """The symmetric mean absolute percentage error, 0 to 200."""
    return float(200.0 * np.mean(np.abs(truth - forecast) / (np.abs(truth) + np.abs(forecast))))


def systems(path: Path) -> Iterator[tuple[str, FloatArray]]:
    """Names and values `[time, 1]` of a file; UsageError where it holds something else."""
    least = MOST_CONTEXT_STEPS + BLOCK_STEPS + HORIZON_STEPS
    try:
        with gzip.open(path) as content:
            plain = json.load(content)
        series = {name: np.array(values, dtype=np.float64) for name, values in plain.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{path} must be gzipped JSON, a list of numbers by name, but: {error}; "
            "give the file of the benchmark"
        ) from None
    for name, values in series.items():
        if values.ndim != 1 or len(values) < least or not np.isfinite(values).all():
            raise UsageError(
                f"{path} must hold at least {least} finite numbers of each system, but "
                f"{name} has the shape {list(values.shape)}, or gaps; leave it out"
            )
        yield name, values[:, np.newaxis]


def main() -> None:
    """Search each system, then print the table's end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--seconds", type=seconds, default=60.0, help="of one core, for the search of each system"
    )
    parser.add_argument("--every", type=count, default=1, help="take each so many-th system")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with end_with_messages():
        errors = []
        for name, values in list(systems(arguments.file))[:: arguments.every]:
            span, truth = Span(values[:-HORIZON_STEPS]), values[-HORIZON_STEPS:, 0]
            best, tried = best_of(span, arguments.seed, arguments.seconds)
            errors.append(smape(span.forecast(best.candidate), truth))
            sys.stdout.write(
                f"{name:>28} {errors[-1]:7.2f}  validation {best.score:6.2f}  {tried:4} tried  "
                f"{best.candidate.description()}\n"
            )
            sys.stdout.flush()
    print_summary(errors)


def print_summary(errors: Sequence[float]) -> None:
    """The median of the systems beside published ones."""
    share = np.mean(np.array(errors) <= 5.0)
    sys.stdout.write(
        f"\nmedian sMAPE of {len(errors)} systems: {np.median(errors):.2f}, "
        f"{share:.0%} of them at 5 or less\npublished medians of 44:\n"
    )
    for name, median in PUBLISHED.items():
        sys.stdout.write(f"{name:>28} {median:7.1f}\n")


if __name__ == "__main__":
    main()
