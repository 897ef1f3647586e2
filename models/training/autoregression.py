"""The fit of a hybrid's autoregression: by ridge regression, before the network is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from models.tensors import CLIP_STD, clipped, one_thread

# Weights of squared coefficients, as shares of the mean square of a lag; and the one that is taken
# where no free run tells them apart.
STRENGTHS = tuple(10.0**exponent for exponent in range(-8, 2))
PLAIN_STRENGTH = 1e-2
# The share of each piece that is fitted when the strength is chosen; the rest is held out.
FITTED_SHARE = 0.75
# Free runs over held-out rests, and windows that are fitted, at most: both are spread evenly.
MOST_RUNS, MOST_WINDOWS = 64, 20_000
# Windows that are copied at a time.
BLOCK_WINDOWS = 4096


@dataclass(frozen=True, eq=False)
class Fit:
    """The autoregressions of the channels of a series.

    coefficients: `[channel, lag, step]`, the oldest lag first. rest_std: standard deviations of
    what they leave of the training rows, `[step * channel]`, above zero.
    """

    coefficients: Tensor
    rest_std: Tensor


def fitted(
    pieces: Sequence[Tensor],
    lags: int,
    ahead: int,
    *,
    horizon: int,
    takes_level: bool,
    both_ways: bool = False,
) -> Fit:
    """Fit x_(t+i) = sum over k of a_ik x_(t-k) for `ahead` steps i, each channel by itself.

    pieces: `[time, channel]` each, a stretch without a gap; at least one has lags + ahead steps.
    There is no offset, so that the forecast of -x is the negative one. takes_level: the same of
    deviations from the mean of the lags, with which the coefficients of a step sum up to one.
    both_ways: to the pieces from their ends to their starts, too. The strength of the ridge (Hoerl
    & Kennard 1970) is the one of the least squared error in free runs of at most `horizon` steps
    over the last quarter of the pieces, which is held out for that.
    """
    with one_thread():
        fits = [
            _Channel([piece[:, channel].double() for piece in pieces], lags, ahead, horizon)
            for channel in range(pieces[0].shape[1])
        ]
        found = [own.fit(takes_level=takes_level, both_ways=both_ways) for own in fits]
    coefficients, stds = (torch.stack(own) for own in zip(*found, strict=True))
    return Fit(coefficients, stds.T.flatten().clamp(min=1e-6))


@dataclass(frozen=True, eq=False)
class _Channel:
    """One channel of a series: its pieces `[time]`, and what is forecast from what."""

    pieces: Sequence[Tensor]
    lags: int
    ahead: int
    horizon: int

    def fit(self, *, takes_level: bool, both_ways: bool) -> tuple[Tensor, Tensor]:
        """Coefficients `[lag, step]`, and the standard deviations `[step]` of what they leave."""
        strength = PLAIN_STRENGTH
        known = [piece[: int(FITTED_SHARE * len(piece))] for piece in self.pieces]
        starts = _starts(self.pieces, [len(own) for own in known], self.lags, self.horizon)
        if starts and max(map(len, known)) >= self.lags + self.ahead:
            solutions = self._products(known, takes_level, both_ways).solutions(STRENGTHS)
            tried = _folded(solutions) if takes_level else solutions
            errors = _errors(tried, self.pieces, starts, self.horizon)
            strength = STRENGTHS[int(errors.argmin())]
        products = self._products(self.pieces, takes_level, both_ways)
        coefficients = products.solutions([strength])[0]
        rest = products.rest_std(coefficients)
        return (_folded(coefficients) if takes_level else coefficients), rest

    def _products(self, pieces: Sequence[Tensor], takes_level: bool, both_ways: bool) -> _Products:
        backwards = [piece.flip(0) for piece in pieces] if both_ways else []
        return _Products.of([*pieces, *backwards], self.lags, self.ahead, takes_level)


def _folded(coefficients: Tensor) -> Tensor:
    """Coefficients `[..., lag, step]` of values, from those of deviations from their mean."""
    missing = 1.0 - coefficients.sum(-2, keepdim=True)
    return coefficients + missing / coefficients.shape[-2]


@dataclass(frozen=True, eq=False)
class _Products:
    """Mean products of any two of the lags and the steps that follow them, `[number, number]`."""

    means: Tensor
    lags: int

    @classmethod
    def of(cls, pieces: Sequence[Tensor], lags: int, ahead: int, takes_level: bool) -> Self:
        total = torch.zeros(lags + ahead, lags + ahead, dtype=torch.float64)
        windows = 0
        for block in _blocks(pieces, lags + ahead):
            rows = block
            if takes_level:
                rows = block - block[:, :lags].mean(1, keepdim=True)
            total += rows.T @ rows
            windows += len(rows)
        return cls(total / windows, lags)

    def solutions(self, strengths: Sequence[float]) -> Tensor:
        """Coefficients `[strength, lag, step]`."""
        gram, moments = self.means[: self.lags, : self.lags], self.means[: self.lags, self.lags :]
        values, vectors = torch.linalg.eigh(gram)
        # A channel without any change has no scale, and no coefficients.
        scale = gram.diagonal().mean().clamp(min=torch.finfo(gram.dtype).tiny)
        damped = values.clamp(min=0.0) + scale * torch.tensor(strengths).double().unsqueeze(1)
        projected = vectors.T @ moments
        solved: Tensor = vectors @ (projected / damped.unsqueeze(2))
        return solved

    def rest_std(self, coefficients: Tensor) -> Tensor:
        """Standard deviations `[step]` of what coefficients `[lag, step]` leave."""
        weights = torch.cat([-coefficients, torch.eye(coefficients.shape[1]).double()])
        return (weights * (self.means @ weights)).sum(0).clamp(min=0.0).sqrt()


def _blocks(pieces: Sequence[Tensor], steps: int) -> Iterator[Tensor]:
    """Blocks of windows `[window, time]` of so many steps."""
    long = [piece.unfold(0, steps, 1) for piece in pieces if len(piece) >= steps]
    stride = -(-sum(map(len, long)) // MOST_WINDOWS)
    for windows in long:
        yield from windows[::stride].split(BLOCK_WINDOWS)


def _starts(
    pieces: Sequence[Tensor], splits: Sequence[int], lags: int, horizon: int
) -> list[tuple[int, int]]:
    """The pieces and places where free runs over held-out rests start."""
    places = [
        (number, place)
        for number, (piece, split) in enumerate(zip(pieces, splits, strict=True))
        for place in range(max(split, lags), max(len(piece) - horizon, max(split, lags)) + 1)
        if place < len(piece)
    ]
    few = torch.linspace(0, len(places) - 1, min(len(places), MOST_RUNS)).long().tolist()
    return [places[place] for place in few]


def _errors(
    coefficients: Tensor, pieces: Sequence[Tensor], starts: Sequence[tuple[int, int]], horizon: int
) -> Tensor:
    """Mean squared errors of free runs with coefficients `[strength, lag, step]`."""
    lags, ahead = coefficients.shape[1:]
    count = len(coefficients)
    known = torch.stack([pieces[piece][place - lags : place] for piece, place in starts])
    truth = torch.full((len(starts), horizon), torch.nan, dtype=torch.float64)
    for row, (piece, place) in zip(truth, starts, strict=True):
        own = pieces[piece][place : place + horizon]
        row[: len(own)] = own
    values = torch.zeros(count, len(starts), lags + -(-horizon // ahead) * ahead).double()
    values[:, :, :lags] = known
    for step in range(0, horizon, ahead):
        forecast = values[:, :, step : step + lags] @ coefficients
        values[:, :, step + lags : step + lags + ahead] = clipped(forecast, CLIP_STD)
    squares = (values[:, :, lags : lags + horizon] - truth).square()
    return squares.flatten(1).nanmean(1)
