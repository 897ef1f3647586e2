"""What masked values of a table leave to train on and to score: `missing = "mask"`.

A row of which some channel is masked is in no piece that is trained on. A free run starts only
where some of what it forecasts is known, and what is not known counts in no score.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.errors import StudyFileError
from search.series import FloatArray, Table
from search.study.cuts import Cut, Spans
from search.study.definition import Task

_REMEDY = 'missing = "interpolate" fills the gaps in'


def known_rows(table: Table) -> NDArray[np.bool_]:
    """Of which rows all channels are known, `[time]`."""
    return np.asarray(~np.isnan(table.observed).any(axis=1))


def can_start(table: Table, horizon_steps: int) -> NDArray[np.bool_]:
    """From which rows a free run forecasts some value that is known, `[time]`."""
    some: NDArray[np.bool_] = np.logical_not(np.isnan(table.observed).all(axis=1))
    before = np.concatenate([[0], np.cumsum(some)])
    rows = np.arange(len(some))
    return np.asarray(before[np.minimum(rows + horizon_steps, len(some))] > before[rows])


def without_masked(pieces: Sequence[range], is_known: NDArray[np.bool_]) -> tuple[range, ...]:
    """Stretches of rows cut at those that are not known, whose rows are in none of them."""
    found = []
    for piece in pieces:
        edges = np.diff(is_known[piece.start : piece.stop].astype(int), prepend=0, append=0)
        firsts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        found += [
            range(piece.start + first, piece.start + stop)
            for first, stop in zip(firsts.tolist(), stops.tolist(), strict=True)
        ]
    return tuple(found)


def longest_beside_a_block(is_known: NDArray[np.bool_], rows: range, block_steps: int) -> int:
    """The longest stretch of known rows that is left wherever a block of so many is left out.

    rows: that are trained on, with the block. Where a block lies depends on the contexts of
    candidates, and these on how much is left.
    """
    own = is_known[rows.start : rows.stop]
    before = _longest_up_to(own)
    after = _longest_up_to(own[::-1])[::-1]
    places = np.arange(len(own) - block_steps + 1)
    return int(np.maximum(before[places], after[places + block_steps]).min())


def _longest_up_to(is_known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The longest stretch among the first 0, 1, 2, ... rows."""
    rows = np.arange(1, len(is_known) + 1)
    last_gap = np.maximum.accumulate(np.where(is_known, 0, rows))
    return np.concatenate([[0], np.maximum.accumulate(rows - last_gap)])


def check_masked(table: Table, cut: Cut, horizon_steps: int, which: str) -> None:
    """Raise StudyFileError where masked values leave a cut nothing to train on or to score.

    which: "validation" or "the test", for messages.
    """
    if not cut.pieces:
        raise StudyFileError(
            f'[series] missing = "mask" must leave rows to train on for {which}, but in each of '
            f"them a value is masked; {_REMEDY}"
        )
    runs = [np.arange(start, start + horizon_steps) for start in cut.starts]
    rows = np.unique(np.array(runs, dtype=int))
    is_scored = ~np.isnan(table.observed[rows]).all(axis=0)
    if not is_scored.all():
        name = table.columns[int(np.argmin(is_scored))]
        raise StudyFileError(
            f'[series] missing = "mask" must leave a value of each column to score, but all of '
            f"'{name}' are masked in what the free runs of a replica forecast in {which}; "
            f"{_REMEDY}, or leave the column out"
        )


@dataclass(frozen=True)
class Masked:
    """How much of a table is masked.

    values, total: masked values, and all. gapless_steps: the longest stretch of known rows that
    every training has. validation, test: values of these spans that are left to score, and all.
    """

    values: int
    total: int
    gapless_steps: int
    validation: tuple[int, int]
    test: tuple[int, int]


def masked_in(table: Table, task: Task, spans: Spans, gapless_steps: int) -> Masked:
    """Count what is masked. Where replicas leave out blocks, validation is all they train on."""
    observed = table.observed
    validated = spans.validation
    if task.validation == "blocks":
        validated = range(spans.first, validated.stop)
    return Masked(
        int(np.isnan(observed).sum()),
        observed.size,
        gapless_steps,
        _left(observed, validated),
        _left(observed, spans.test),
    )


def _left(observed: FloatArray, span: range) -> tuple[int, int]:
    own = observed[span.start : span.stop]
    return int((~np.isnan(own)).sum()), own.size
