"""The regression that finds effects of known columns, with errors that are correlated.

Coefficients are those of ridge regression; the straight part of a curve is cheap in its penalty,
and what bends it is dear.

The errors of such a regression are correlated from row to row and from season to season, and a
known column often has the season of the series itself: least squares would then take that season
for an effect. So both sides are filtered by (1 - a B^season) (1 - b B), whose factors are estimated
from the residuals in turn with the coefficients (Cochrane & Orcutt 1949; Pankratz 1991,
"Forecasting with dynamic regression models", chapter 4). Of a series with a strong season a is near
1, and changes from season to season are compared; of independent errors both are near 0. The
penalty is the one of the least filtered error on blocks of rows that are held out in turn, no
effect at all among the choices.

Rows that would need lags of rows before the first one of a table are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.effects import (
    MOST_KNOTS,
    Effects,
    FloatArray,
    Groups,
    Reads,
    lagged,
    lags_of,
    place_between,
)
from models.tensors import one_thread, torch

# A column of so few values has a level for each, also beyond them.
FEW_VALUES = 12
# Knots of a lagged column at most, of which there are several for each known column.
MOST_LAGGED_KNOTS = 8
# Rows for each knot, of a column of many values.
ROWS_PER_KNOT = 25
# Lags that reach farther are left out where they would cost more than such a share of all rows.
MOST_LOST = 0.25
# How often filter and coefficients are estimated in turn, and the blocks that are held out.
ROUNDS, BLOCKS = 3, 5
# Penalties in units of the mean square of a filtered feature, the strongest first.
PENALTIES = tuple(10.0**exponent for exponent in range(2, -7, -1))
# Filtered rows without which there is nothing to tell effects from.
LEAST_ROWS = 8
# Estimates that are kept: each cohort of a study asks for the same few, of each replica's span.
MOST_FOUND = 64
_found: dict[bytes, Effects] = {}


def effects_of(
    kind: str,
    pieces: Sequence[FloatArray],
    known: Sequence[FloatArray],
    season: int,
    lags: str = "none",
    groups: Groups | None = None,
) -> Effects:
    """The effects of one member, estimated on its training span.

    kind: "linear" or "curves". pieces: stretches `[time, channel]` of the series. known: the rows
    `[time, known]` of the same stretches, behind rows before them, if there are some. season: in
    steps, 1 or less for none. lags: "none", "steps" or "spans", see `lags_of`. groups: None where
    each known column acts on all channels.
    """
    groups = groups or Groups()
    key = _key(f"{kind} {season} {lags} {groups}", pieces, known)
    found = _found.get(key)
    if found is None:
        found = _estimated(kind, pieces, known, season, lags, groups)
        while len(_found) >= MOST_FOUND:
            _found.pop(next(iter(_found)), None)
        _found[key] = found
    return found


def _key(what: str, pieces: Sequence[FloatArray], known: Sequence[FloatArray]) -> bytes:
    digest = hashlib.sha256(what.encode())
    for own in (*pieces, *known):
        digest.update(str(own.shape).encode())
        digest.update(np.ascontiguousarray(own).tobytes())
    return digest.digest()


def _estimated(
    kind: str,
    pieces: Sequence[FloatArray],
    known: Sequence[FloatArray],
    season: int,
    lags: str,
    groups: Groups,
) -> Effects:
    columns, channels = known[0].shape[1], pieces[0].shape[1]
    of_each = columns // groups.count
    before = [len(own) - len(piece) for own, piece in zip(known, pieces, strict=True)]
    read = _affordable(lags_of(lags, season), [*map(len, pieces)], before)
    reach = max(lag + span - 1 for lag, span in read)
    skipped = [max(0, reach - rows) for rows in before]
    reads = np.array(
        [
            (group * of_each + column, lag, span)
            for group in range(groups.count)
            for lag, span in read
            for column in range(of_each)
        ]
    )
    found = Effects.none(1, len(reads), channels, groups)
    if read != [(0, 1)]:
        found = replace(found, reads=Reads(columns, reads[np.newaxis]))
    of_group = len(reads) // groups.count
    for group in range(groups.count):
        own = slice(group * of_group, (group + 1) * of_group)
        acted_on = groups.channels(group, channels)
        rows = [
            np.ascontiguousarray(
                np.stack([lagged(every[:, c], len(p), *at) for c, *at in reads[own]], axis=1)[s:]
            )
            for every, p, s in zip(known, pieces, skipped, strict=True)
        ]
        values = [
            piece[s:] if groups.count == 1 else piece[s:, acted_on]
            for piece, s in zip(pieces, skipped, strict=True)
        ]
        most = [MOST_KNOTS if lag == 0 else MOST_LAGGED_KNOTS for _, lag, _ in reads[own]]
        of_curves = _curves(kind, values, rows, most, season)
        found.knots[0, own], found.values[0, own], found.is_level[0, own] = of_curves
    return found


def _affordable(
    lags: list[tuple[int, int]], lengths: Sequence[int], before: Sequence[int]
) -> list[tuple[int, int]]:
    """Lags, the nearest first, without those for which too many rows of stretches would be lost."""
    kept = list(lags)

    def lost() -> int:
        reach = sum(kept[-1]) - 1
        return sum(min(n, max(0, reach - b)) for n, b in zip(lengths, before, strict=True))

    while len(kept) > 1 and lost() > MOST_LOST * sum(lengths):
        kept.pop()
    return kept


def _curves(
    kind: str,
    pieces: Sequence[FloatArray],
    known: Sequence[FloatArray],
    most_knots: Sequence[int],
    season: int,
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Knots `[curve, knot]`, values `[curve, knot, channel]`, and which curves are level.

    known: `[time, curve]`, of the rows of the pieces.
    """
    rows = np.concatenate(known)
    columns = [
        _Column.of(kind, column, most) for column, most in zip(rows.T, most_knots, strict=True)
    ]
    features = [
        np.concatenate([column.features(own[:, k]) for k, column in enumerate(columns)], axis=1)
        for own in known
    ]
    channels = pieces[0].shape[1]
    knots = np.zeros((len(columns), MOST_KNOTS))
    values = np.zeros((len(columns), MOST_KNOTS, channels))
    is_level = np.array([column.is_level for column in columns])
    if not features[0].shape[1]:
        return knots, values, is_level
    coefficients = np.stack(
        [_coefficients(features, [own[:, c] for own in pieces], season) for c in range(channels)],
        axis=1,
    )
    begin = 0
    for place, column in enumerate(columns):
        own = coefficients[begin : begin + column.width]
        begin += column.width
        knots[place] = _filled_up(column.knots)
        values[place] = _filled_up(column.curve(own, rows[:, place]))
    return knots, values, is_level


@dataclass(frozen=True, eq=False)
class _Column:
    """A known column as features: one for a straight line, and one for each knot that bends it."""

    knots: FloatArray
    mean: float
    std: float
    is_bent: bool
    is_level: bool

    @classmethod
    def of(cls, kind: str, column: FloatArray, most_knots: int = MOST_KNOTS) -> Self:
        found = np.unique(column)
        if len(found) == 1:
            return cls(found, float(found[0]), 1.0, is_bent=False, is_level=True)
        mean, std = float(column.mean()), float(column.std())
        if not std > 0.0:  # a spread below what numbers of that size can tell
            return cls(found[:1], mean, 1.0, is_bent=False, is_level=True)
        if len(found) == 2:  # as a flag, which says nothing of a third value
            return cls(found, mean, std, is_bent=False, is_level=True)
        if kind == "linear":
            ends = np.array([mean - std, mean + std])
            return cls(ends, mean, std, is_bent=False, is_level=False)
        is_level = len(found) <= FEW_VALUES
        if len(found) > FEW_VALUES:
            count = int(np.clip(len(column) // ROWS_PER_KNOT, 2, most_knots))
            if len(found) > count:
                found = np.unique(np.quantile(column, np.linspace(0.0, 1.0, count)))
        return cls(found, mean, std, is_bent=len(found) > 2, is_level=is_level)

    @property
    def width(self) -> int:
        """How many features it is."""
        return 0 if len(self.knots) == 1 else 1 + len(self.knots) * self.is_bent

    def features(self, column: FloatArray) -> FloatArray:
        """Features `[time, feature]` of values `[time]`."""
        if not self.width:
            return np.zeros((len(column), 0))
        straight = ((column - self.mean) / self.std)[:, np.newaxis]
        if not self.is_bent:
            return straight
        first, share = place_between(column, self.knots, is_level=self.is_level)
        hats, rows = np.zeros((len(column), len(self.knots))), np.arange(len(column))
        hats[rows, first] = 1.0 - share
        hats[rows, first + 1] = share
        return np.concatenate([straight, hats], axis=1)

    def curve(self, coefficients: FloatArray, column: FloatArray) -> FloatArray:
        """The curve at the knots `[knot, channel]`, with the mean zero over a column `[time]`."""
        if not self.width:
            return np.zeros((1, coefficients.shape[1]))
        values = (self.knots - self.mean)[:, np.newaxis] / self.std * coefficients[:1]
        if not self.is_bent:
            return values
        values = values + coefficients[1:]
        first, share = place_between(column, self.knots, is_level=self.is_level)
        weights = np.bincount(first, 1.0 - share, len(self.knots))
        weights += np.bincount(first + 1, share, len(self.knots))
        centred: FloatArray = values - (weights[:, np.newaxis] * values).sum(axis=0) / len(column)
        return centred


def _filled_up(numbers: FloatArray) -> FloatArray:
    """Numbers by knot, the last repeated up to MOST_KNOTS."""
    pad = [(0, MOST_KNOTS - len(numbers)), *[(0, 0)] * (numbers.ndim - 1)]
    return np.pad(numbers, pad, "edge")


def _coefficients(
    features: Sequence[FloatArray], pieces: Sequence[FloatArray], season: int
) -> FloatArray:
    """The coefficients `[feature]` of one channel, whose pieces are `[time]`."""
    coefficients = np.zeros(features[0].shape[1])
    for _ in range(ROUNDS):
        with one_thread():
            rests = [
                own - (torch.from_numpy(of) @ torch.from_numpy(coefficients)).numpy()
                for own, of in zip(pieces, features, strict=True)
            ]
        filters = _filters(rests, season)
        targets = np.concatenate([_filtered(own, filters) for own in pieces])
        if len(targets) < LEAST_ROWS:
            break
        rows = np.concatenate([_filtered(own, filters) for own in features])
        coefficients = _ridge(rows - rows.mean(axis=0), targets - targets.mean())
    return coefficients


def _filters(rests: Sequence[FloatArray], season: int) -> list[tuple[int, float]]:
    """Lags and factors by which residuals are filtered, one after the other."""
    mean = np.concatenate(rests).mean()
    left, found = [own - mean for own in rests], []
    for lag in [season, 1] if season > 1 else [1]:
        rows = sum(max(0, len(own) - lag) for own in left)
        if rows < max(LEAST_ROWS, lag):
            continue  # it would take more rows than it leaves
        products = squares = 0.0
        for own in left:
            products += float((own[lag:] * own[:-lag]).sum())
            squares += float((own[:-lag] ** 2).sum())
        factor = float(np.clip(products / squares, -1.0, 1.0)) if squares > 0.0 else 0.0
        found.append((lag, factor))
        left = [own[lag:] - factor * own[:-lag] for own in left]
    return found


def _filtered(piece: FloatArray, filters: Sequence[tuple[int, float]]) -> FloatArray:
    """A piece `[time, ...]`, less what its rows some steps before have of it."""
    for lag, factor in filters:
        piece = piece[lag:] - factor * piece[:-lag]
    return piece


def _ridge(rows: FloatArray, targets: FloatArray) -> FloatArray:
    """Coefficients of the penalty of the least error on blocks that are held out in turn."""
    with one_thread():
        features, values = torch.from_numpy(rows), torch.from_numpy(targets)
        blocks = list(zip(features.tensor_split(BLOCKS), values.tensor_split(BLOCKS), strict=True))
        grams = torch.stack([own.T @ own for own, _ in blocks])
        products = torch.stack([own.T @ of for own, of in blocks])
        unit = grams.sum(0).diagonal().mean()
        if not unit > 0.0:
            return np.zeros(rows.shape[1])
        levels = unit * torch.tensor(PENALTIES, dtype=torch.float64)
        errors = torch.zeros(1 + len(levels), dtype=torch.float64)
        errors[0] = values.square().sum()  # of no effect at all
        for (own, of), gram, product in zip(blocks, grams, products, strict=True):
            solved = _solved(grams.sum(0) - gram, products.sum(0) - product, levels)
            errors[1:] += (own @ solved - of.unsqueeze(1)).square().sum(0)
        best = int(errors.argmin())
        if best == 0:
            return np.zeros(rows.shape[1])
        found: FloatArray = _solved(grams.sum(0), products.sum(0), levels)[:, best - 1].numpy()
        return found


def _solved(gram: torch.Tensor, products: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Solutions `[feature, level]` of the normal equations at all penalties."""
    values, vectors = torch.linalg.eigh(gram)
    damped = (vectors.T @ products).unsqueeze(1) / (values.clamp(min=0.0).unsqueeze(1) + levels)
    solutions: torch.Tensor = vectors @ damped
    return solutions
