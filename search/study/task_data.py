"""The data of a task, cut so that each purpose sees what it may: never the test while searching."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.diagnostics.levels import has_new_level
from models.diagnostics.noise import is_noise_free
from models.diagnostics.properties import properties_of
from models.diagnostics.scores import ERROR_HORIZONS, Averaging, PerChannel
from models.effects import MOST_KNOTS, lags_of
from models.methods import Choices, counted
from models.methods.series_properties import SeriesProperties
from models.regression import MOST_LAGGED_KNOTS
from search.errors import ConstantError, SeriesError, StudyFileError, UsageError
from search.series import FloatArray, GeneratedSource, Purpose, Table, TableSeries
from search.series.calendar import calendar_seasons
from search.series.filling import Run, blanked, without_foresight
from search.study.cuts import Cut, Spans, cut_of, spans_of, spread_starts
from search.study.definition import ScoreAgainst, StudyDefinition, Task
from search.study.masking import (
    Masked,
    can_start,
    check_masked,
    known_rows,
    longest_beside_a_block,
    masked_in,
    without_masked,
)
from search.study.space.contexts import context_range

# What a candidate's channels may take, and up to how long a context is expected for that.
MOST_BYTES = 2 * 2**30
# What the draws of all replicas may take together: each has values and signal.
MOST_DRAWN_BYTES = 2**30
LONGEST_CONTEXT = 2000
# Realisations of a generated series that its properties are taken from.
LOOKED_AT = 4


@dataclass(frozen=True, eq=False)
class View:
    """What one replica trains on and is scored by. Its arrays are its own, and end where it does.

    values: [time, channel], as observed. truth: [time, channel], what the forecast is compared
    with: the signal, or the observations again. pieces: the rows on which to train, stretches in
    their order with a gap between any two. starts: index of the first forecast row of each free
    run; its warm-up ends with the row before. horizon_steps: rows of each free run. variance: what
    a squared error is divided by, of each channel or of all; that of the signal where that is the
    truth, else of the training span, or of all rows that the replicas may see where each has a cut
    of its own. error_horizons: the steps of a free run whose errors are recorded. averaging: how
    replicas become one score. leaves_block_out: whether the free runs lie within a block that is
    left out of the training, as those of other replicas do within others. names: of the channels;
    has_one_unit: whether these are in the same unit. season_steps: of the naive forecasts that
    absolute errors are scaled by. filled: values that were not observed, but filled in, see
    `Table`. Of those that are masked, truth is NaN. known: columns known in advance, `[time,
    known]`, which do not end where the others do. past: columns known only in the past, `[time,
    past]`, as observed. Both are None without any. known_groups: how many groups of channels have
    known columns of their own, see `Groups`.
    """

    values: FloatArray
    truth: FloatArray
    pieces: tuple[range, ...]
    starts: tuple[int, ...]
    horizon_steps: int
    variance: PerChannel
    scored_against: ScoreAgainst
    error_horizons: tuple[int, ...] = ERROR_HORIZONS
    averaging: Averaging = "median"
    leaves_block_out: bool = False
    names: tuple[str, ...] = ("value",)
    has_one_unit: bool = True
    season_steps: int = 1
    filled: tuple[Run, ...] = ()
    known: FloatArray | None = None
    past: FloatArray | None = None
    known_groups: int = 1

    @cached_property
    def all_values(self) -> FloatArray:
        """The values, and behind them the columns known only in the past, `[time, channel]`."""
        return self.values if self.past is None else np.hstack([self.values, self.past])

    def stretches(self, *, with_past: bool) -> list[FloatArray]:
        """The stretches `[time, channel]` that are trained on, with columns of the past or not."""
        own = self.all_values if with_past else self.values
        return [own[piece.start : piece.stop] for piece in self.pieces]

    def known_stretches(self, before: int = 0) -> list[FloatArray]:
        """The columns known in advance of the same rows, `[time, known]` each.

        before: how many rows before each stretch come with it, as far as there are so many.
        """
        assert self.known is not None
        return [self.known[max(0, own.start - before) : own.stop] for own in self.pieces]

    def contexts(
        self, steps: int, starts: Sequence[int] | None = None, *, with_past: bool = False
    ) -> FloatArray:
        """So many values before each free run, `[start, time, channel]`.

        starts: of the free runs, None for the view's own. with_past: whether columns known only in
        the past stand behind the others.
        """
        own = self.all_values if with_past else self.values
        return np.stack([own[start - steps : start] for start in starts or self.starts])

    def known_rows(
        self, before: int, after: int, starts: Sequence[int] | None = None
    ) -> FloatArray:
        """The columns known in advance around each start, `[start, time, known]`.

        before, after: how many rows. Rows behind the last one, whose forecasts nothing is compared
        with, are as that one, and rows before the first one, which lags alone may read, as that.
        """
        assert self.known is not None
        last = len(self.known) - 1
        rows = [np.arange(s - before, s + after) for s in starts or self.starts]
        taken: FloatArray = self.known[np.clip(np.stack(rows), 0, last)]
        return taken

    def starting_at(self, starts: tuple[int, ...]) -> "View":
        """The same view with other starts, none of which reads what later rows filled in."""
        seen = without_foresight(self.all_values, self.filled, starts)
        values, past = _apart(seen, self.values.shape[1])
        return replace(self, starts=starts, values=values, past=past)

    @property
    def has_masks(self) -> bool:
        """Whether some truth is masked."""
        return bool(np.isnan(self.truth).any())

    @property
    def pieces_of_values(self) -> list[FloatArray]:
        """The stretches `[time, channel]` that are trained on."""
        return [self.values[piece.start : piece.stop] for piece in self.pieces]

    @property
    def train_steps(self) -> int:
        """How many rows are trained on."""
        return sum(map(len, self.pieces))

    @property
    def training(self) -> FloatArray:
        """The rows that are trained on, `[time, channel]`, one piece after the other."""
        return rows_in(self.values, self.pieces)

    @property
    def longest(self) -> FloatArray:
        """The longest piece that is trained on, `[time, channel]`, the later of equals."""
        own = max(self.pieces, key=lambda piece: (len(piece), piece.start))
        return self.values[own.start : own.stop]


class TaskData:
    """The views of a study's series.

    definition: of the study. table: the rows of a table series, None for a generated one.
    Raises StudyFileError for a table too short for its task, or for the cuts of its replicas;
    SeriesError for a training span whose variance is zero or too large for a float, or a signal
    without any; StudyFileError, too, where masked values leave nothing to train on or to score.
    """

    def __init__(self, definition: StudyDefinition, table: Table | None) -> None:
        self._definition = definition
        self._table = table
        series = definition.series
        assert (table is not None) == isinstance(series, TableSeries)
        if table is None:
            _check_draws(definition)
        else:
            _check_rows(definition.task, table.rows)
            read = len(table.columns) + table.past_count
            # Shared by all channels, they are few.
            known = len(table.known_columns) if table.known_groups > 1 else 0
            check_memory(definition, read, known)
            _check_known(definition, len(table.known_names))
            purposes: tuple[Purpose, ...] = ("search", "final")
            for purpose in purposes:
                for cut in self.cuts(purpose):
                    if table.is_masked:
                        check_masked(table, cut, definition.task.horizon_steps, "validation")
                    training_variance(rows_in(table.values, cut.pieces), table.columns)
            self._check_beside(table)
            self.view("test", 0)
        if table is None and definition.task.score_against == "signal":
            assert isinstance(series, GeneratedSource)  # the definition refuses others
            _ = series.signal_variance

    def properties(self) -> SeriesProperties:
        """Return what the training span shows, and the horizon that is scored.

        Of several realisations, some are looked at.

        The replicas of "rolling" and "expanding" are such realisations; those of "blocks" together
        train on all of a span, which is looked at without its gaps. So is one with masked values:
        where they are, what they were filled with, since a spectrum needs a whole series. Periods
        that were found when the study began stay, whatever a later version would find.
        """
        task, period = self._definition.task, self._definition.series.period
        if task.validation == "blocks":
            spans = [self.view("search", 0).values[self.spans.first :]]
        else:
            most = LOOKED_AT if self._table is None else len(list(self.cuts("search")))
            views = [self.view("search", index) for index in range(min(LOOKED_AT, most))]
            spans = [view.training for view in views]
            if self._is_masked:
                spans = [v.values[v.pieces[0].start : v.pieces[-1].stop] for v in views]
        if period is None and self._definition.properties is not None:
            period = self._definition.properties.periods
        calendar = () if self._table is None else calendar_seasons(self._table.interval)
        found = properties_of(spans, period, calendar)
        # On the straight lines that stand for masked values no curve is smooth.
        is_smooth = self._table is not None and not self._is_masked
        known, past, has_groups = 0, 0, False
        if self._table is not None and self._table.covariates is not None:
            known, past = len(self._table.known_columns), self._table.past_count
            has_groups = self._table.known_groups > 1
        found = replace(
            found,
            known_columns=known,
            known_by_series=has_groups,
            past_columns=past,
            is_noise_free=is_smooth and all(map(is_noise_free, spans)),
            horizon_steps=task.horizon_steps,
            gapless_steps=None if self.masked is None else self.masked.gapless_steps,
        )
        return replace(found, has_new_level=self._has_new_level(found))

    def _has_new_level(self, found: SeriesProperties) -> bool:
        """Whether a table's rows before the test end at a level that they did not have before.

        A wave, and what follows a curve, is at levels of its own all the time. A gap at the end,
        which the last value before it goes on through, is no level.
        """
        if self._table is None or found.is_wave or found.is_noise_free:
            return False
        end, table = self.spans.validation.stop, self._table
        rows = without_foresight(table.all_values[:end], table.filled, [end])[self.spans.first :]
        least = max(self._definition.task.test_horizon_steps, *map(round, found.periods), 1)
        is_known = np.isfinite(blanked(table.values[:end], table.filled))[self.spans.first :]
        return has_new_level(_apart(rows, len(table.columns))[0], least, is_known)

    @cached_property
    def masked(self) -> Masked | None:
        """How much is masked, and what that leaves; None where nothing is."""
        if self._table is None or not self._is_masked:
            return None
        task, spans, is_known = self._definition.task, self.spans, known_rows(self._table)
        if task.validation == "blocks":
            rows = range(spans.first, spans.validation.stop)
            steps = longest_beside_a_block(is_known, rows, task.validation_steps)
        else:
            cuts = [*self.cuts("search"), *self.cuts("final")]
            steps = min(max(map(len, cut.pieces)) for cut in cuts)
        tested = without_masked([spans.test_training], is_known)
        return masked_in(self._table, task, spans, min(steps, max(map(len, tested))))

    @property
    def _is_masked(self) -> bool:
        return self._table is not None and self._table.is_masked

    def _check_beside(self, table: Table) -> None:
        """Raise ConstantError for columns beside the others that are constant where learnt."""
        own, series = table.covariates, self._definition.series
        if own is None:
            return
        rows = sorted({row for cut in self.cuts("search") for p in cut.pieces for row in p})
        assert isinstance(series, TableSeries)
        for key, names, values, count in (
            ("known", own.known, own.known_values, own.series),
            ("past", own.past, own.past_values, own.series),
            ("calendar", () if series.calendar is True else own.calendar, None, own.groups),
        ):
            columns = table.known if values is None else values
            if not names or columns is None:
                continue
            # Of each series, the last ones of its columns.
            seen = columns[rows].reshape(len(rows), count, -1)[:, :, -len(names) :]
            # A column that is constant in some series alone tells of the others.
            is_constant = (np.ptp(seen, axis=0) == 0).all(axis=0)
            if is_constant.any():
                worst = int(is_constant.argmax())
                first = seen[0, :, worst]
                is_one = first.min() == first.max()
                of_each = f"{first[0]:g}" if is_one else "the same number of each series"
                raise ConstantError(
                    f"{key} must name columns that vary in the training span, but "
                    f"'{names[worst]}' is {of_each} in all of its {len(rows)} rows, so "
                    f"that nothing can be learnt from it; leave it out of {key}, or lengthen "
                    "train_steps",
                    [names[column] for column in np.flatnonzero(is_constant)],
                )

    @cached_property
    def spans(self) -> Spans:
        """Which rows of a table are for what; of a generated series, which values."""
        return spans_of(self._definition.task, self._rows)

    @cached_property
    def _rows(self) -> int:
        """Rows of the table, or as many as the task needs of a generated series."""
        task = self._definition.task
        needed = task.train_steps + task.validation_steps + task.test_steps
        return needed if self._table is None else self._table.rows

    def cuts(self, purpose: Purpose) -> Iterator[Cut]:
        """The different cuts of the replicas, in the search or in the final."""
        search = self._definition.search
        count = search.replicas if purpose == "search" else search.final_replicas
        if self._definition.task.validation == "end":
            count = 1
        for replica in range(count):
            yield self._cut(replica, count)

    def _cut(self, replica: int, count: int) -> Cut:
        """The cut of a replica of so many, without masked rows."""
        task, table, can = self._definition.task, self._table, None
        if table is not None and table.is_masked:
            can = can_start(table, task.horizon_steps)
        cut = cut_of(task, self._rows, replica, count, self._context_steps, can)
        if can is None or table is None:
            return cut
        return replace(cut, pieces=without_masked(cut.pieces, known_rows(table)))

    def view(self, purpose: Purpose, index: int) -> View:
        """Return the view of draw `index` for a purpose.

        "search" and "final" end with the validation span; "test", "benchmark" and "transfer" (draws
        on which networks run that were trained on others) end with the test. Of a generated series
        every purpose and index has its own draw, and its test is one free run. A table has one
        draw, on which `validation` in its task gives each index its cut; the final has
        final_replicas cuts as the search has replicas, and beyond these numbers cuts are used
        again. Its test view trains on the rows before the test span, but for those that are left
        over at the beginning, whatever the index.
        Raises UsageError for the benchmark and the transfer of a table, which has no fresh draw
        left for them.
        """
        if isinstance(self._definition.series, TableSeries):
            return self._of_table(purpose, index)
        task, series = self._definition.task, self._definition.series
        assert isinstance(series, GeneratedSource)
        is_test = purpose in ("test", "benchmark", "transfer")
        span = task.test_horizon_steps if is_test else task.validation_steps
        steps = task.train_steps + span
        draw = series.draw(self._definition.seed, purpose, index, steps)
        horizon_steps = task.test_horizon_steps if is_test else task.horizon_steps
        truth: FloatArray
        variance: PerChannel
        if task.score_against == "signal":
            assert draw.signal is not None
            truth, variance = draw.signal, series.signal_variance
        else:
            truth, variance = draw.values.copy(), training_variance(draw.values[: task.train_steps])
        return View(
            values=draw.values,
            truth=truth,
            pieces=(range(task.train_steps),),
            starts=spread_starts(task.train_steps, steps, horizon_steps, task.start_points),
            horizon_steps=horizon_steps,
            variance=variance,
            scored_against=task.score_against,
            error_horizons=task.error_horizons,
            names=_names(series, draw.values.shape[1]),
            has_one_unit=draw.values.shape[1] == 1,
        )

    def _of_table(self, purpose: Purpose, index: int) -> View:
        task, search = self._definition.task, self._definition.search
        assert self._table is not None
        if purpose in ("benchmark", "transfer"):
            raise UsageError(
                f"a {purpose} needs fresh draws, but a table has only one; "
                "see the final's test, which scores its last rows"
            )
        is_test = purpose == "test"
        horizon_steps = task.test_horizon_steps if is_test else task.horizon_steps
        if is_test:
            cut = self._test_cut(self._table)
        else:
            replicas = search.replicas if purpose == "search" else search.final_replicas
            cut = self._cut(index, replicas)
        # Replicas with their own cuts share a variance: squared errors weigh the same in all.
        is_shared = not is_test and task.validation != "end"
        span = cut.pieces
        if is_shared:
            span = (range(self.spans.first, self.spans.validation.stop),)
            if self._is_masked:
                span = without_masked(span, known_rows(self._table))
        # Copies, which lead to no other rows, also not by what gaps were filled in with.
        filled, channels = self._table.filled, len(self._table.columns)
        truth = without_foresight(self._table.all_values[: cut.end], filled, [cut.end])
        values, past = _apart(without_foresight(truth, filled, cut.starts), channels)
        forecast = _apart(truth, channels)[0]
        return View(
            values=values,
            truth=blanked(forecast, filled) if self._is_masked else forecast,
            pieces=cut.pieces,
            starts=cut.starts,
            horizon_steps=horizon_steps,
            variance=training_variance(rows_in(self._table.values, span), self._table.columns),
            scored_against=task.score_against,
            error_horizons=task.error_horizons,
            averaging="median" if is_test else task.score_averaging,
            leaves_block_out=task.validation == "blocks" and not is_test,
            season_steps=season_steps(self._definition),
            names=self._table.columns,
            has_one_unit=self._table.has_one_unit,
            filled=filled,
            known=self._table.known,
            past=past,
            known_groups=self._table.known_groups,
        )

    def _test_cut(self, table: Table) -> Cut:
        """What is trained on for the test, and where its free runs start."""
        task, test, pieces = self._definition.task, self.spans.test, (self.spans.test_training,)
        horizon_steps, end = task.test_horizon_steps, test.stop
        if not table.is_masked:
            starts = spread_starts(test.start, end, horizon_steps, task.start_points)
            return Cut(pieces, starts, end)
        can = can_start(table, horizon_steps)
        starts = spread_starts(test.start, end, horizon_steps, task.start_points, can)
        cut = Cut(without_masked(pieces, known_rows(table)), starts, end)
        check_masked(table, cut, horizon_steps, "the test")
        return cut

    @cached_property
    def _context_steps(self) -> int:
        """The longest context of the study's candidates, before which no block is left out."""
        if self._definition.task.validation != "blocks":
            return 0
        return context_range(self._definition.full_space())[1]


def season_steps(definition: StudyDefinition) -> int:
    """The shortest season of a table, in whole steps; 1 where none is known.

    A wave of which less than a few periods are seen is no season, and a generated series has none.
    """
    series, found = definition.series, definition.properties
    if series.is_generated:
        return 1
    periods = series.period or () if found is None else () if found.is_wave else found.periods
    seasons = [round(period) for period in periods if round(period) > 1]
    return min(seasons, default=1)


def _names(series: GeneratedSource, channels: int) -> tuple[str, ...]:
    """The names of a source's channels; numbers where it does not name as many as it draws."""
    if len(series.channels) == channels:
        return series.channels
    return tuple(f"channel {number}" for number in range(1, channels + 1))


def _apart(values: FloatArray, channels: int) -> tuple[FloatArray, FloatArray | None]:
    """The first channels, and copies of those behind them; None for none."""
    if values.shape[1] == channels:
        return values, None
    return values[:, :channels].copy(), values[:, channels:].copy()


def rows_in(values: FloatArray, pieces: Sequence[range]) -> FloatArray:
    """Return a copy of the rows `[time, channel]` in some pieces, one after the other."""
    return np.concatenate([values[piece.start : piece.stop] for piece in pieces])


def training_variance(values: FloatArray, names: Sequence[str] = ()) -> FloatArray:
    """Return the variance of each channel of a training span [time, channel], `[channel]`.

    names: of the channels, for messages. Raises SeriesError where one is zero or not finite, since
    no error could be divided by it.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        variances: FloatArray = values.var(axis=0)
    # Of equal numbers, too, rounding can leave a variance above 0.
    varies = (np.ptp(values, axis=0) > 0) & (variances > 0) & (variances < math.inf)
    if varies.all():
        return variances
    worst = int(np.argmin(varies))
    of = f" of '{names[worst]}'" if len(names) > 1 else ""
    raise SeriesError(
        f"the training span of {len(values)} rows{of} must vary, by less than 1e150, but has the "
        f"variance {variances[worst]:g}; lengthen train_steps, or write the column in other units"
    )


def check_memory(definition: StudyDefinition, channels: int, known: int) -> None:
    """Raise StudyFileError where the free runs of one candidate would take too much memory.

    known: columns known in advance that the series of a long table have for themselves.
    """
    found = definition.search.replicas * channels_bytes(definition.task, channels + known)
    if found > MOST_BYTES:
        task, replicas = definition.task, definition.search.replicas
        beside = f" and {counted(known, 'column')} known in advance" if known else ""
        raise StudyFileError(
            f"[series] the {channels} channels of the table{beside}, with start_points = "
            f"{task.start_points} of horizon_steps = {task.horizon_steps} on {replicas} replicas, "
            f"must take at most {MOST_BYTES / 2**30:g} GiB for a candidate, but would take about "
            f"{found / 2**30:.1f}; take fewer columns or ids, start points or replicas"
        )


def _check_known(definition: StudyDefinition, known: int) -> None:
    """Raise StudyFileError where a regression on the known columns would take too much memory."""
    task, kinds = definition.task, definition.space.get("known_lags")
    lags = [
        len(lags_of(str(kind), season_steps(definition))) - 1
        for kind in (kinds.values if isinstance(kinds, Choices) else ("none",))
    ]
    # Features of a column, filtered and not.
    features = 1 + MOST_KNOTS + max(lags) * (1 + MOST_LAGGED_KNOTS)
    found = 3 * 8 * task.train_steps * known * features
    if found > MOST_BYTES:
        raise StudyFileError(
            f"[series] the {known} columns known in advance must take at most "
            f"{MOST_BYTES / 2**30:g} GiB in a regression on {task.train_steps:,} rows, but would "
            f"take about {found / 2**30:.1f}; name fewer in known, or shorten train_steps"
        )


def channels_bytes(task: Task, channels: int) -> int:
    """About how much memory several channels take for one member; 0 for one channel.

    Its training span, and the contexts and forecasts of its free runs, which may be as long as the
    training span is.
    """
    if channels == 1:
        return 0
    context = min(task.train_steps, LONGEST_CONTEXT)
    runs = task.start_points * (context + 3 * task.horizon_steps)
    return 8 * channels * (2 * task.train_steps + runs)


def _check_draws(definition: StudyDefinition) -> None:
    """Raise StudyFileError where the draws of a generated series are too much for memory."""
    task, search = definition.task, definition.search
    channels = len(definition.series.channels)
    validated = task.train_steps + task.validation_steps
    for key, count, steps in (
        ("replicas", search.replicas, validated),
        ("final_replicas", search.final_replicas, validated),
        ("test_draws", search.test_draws, task.train_steps + task.test_horizon_steps),
    ):
        found = 2 * 8 * count * steps * channels
        if found > MOST_DRAWN_BYTES:
            raise StudyFileError(
                f"[search] {key} must leave draws of at most {MOST_DRAWN_BYTES / 2**30:g} GiB, but "
                f"{count} of {steps:,} steps are {found / 2**30:.1f} GiB; take fewer, or shorten "
                "the spans in [task]"
            )


def _check_rows(task: Task, rows: int) -> None:
    needed = task.train_steps + task.validation_steps + task.test_steps
    if needed > rows:
        raise StudyFileError(
            f"[task] train_steps + validation_steps + test_steps must be at most the table's "
            f"{rows} rows, but got {task.train_steps} + {task.validation_steps} + "
            f"{task.test_steps} = {needed}; shorten a span, or give a longer table"
        )
