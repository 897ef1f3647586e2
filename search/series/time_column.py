"""The time column of a table: what its labels say, whatever way they are written in."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from search.names import cut
from search.series.intervals import (
    Interval,
    Spacing,
    UnevenError,
    Zone,
    space_dates,
    space_numbers,
)
from search.series.time_format import (
    EPOCH_NAMES,
    EpochFormat,
    IsoFormat,
    TimeFormat,
    TimePattern,
    compact_pattern,
    epoch_of,
    patterns_of,
)

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
_EMPTY = "the time is empty; fill it in, or remove the row"
# Whole numbers are read as dates by their digits between these years.
_YEARS = range(1800, 2200)
_FORMAT_REMEDY = 'write how it is written in [series], for example time_format = "%d.%m.%Y %H:%M"'


class TimeLabelError(ValueError):
    """A time label breaks a rule.

    row: index of the offending row, 0 for the first row of data.
    rule: what is wrong and how to put it right; the caller knows the row's place in the file.
    """

    def __init__(self, row: int, rule: str) -> None:
        super().__init__(rule)
        self.row = row
        self.rule = rule


@dataclass(frozen=True)
class Times:
    """The labels of a time column, read.

    instants: of each label, by which rows are sorted: numbers, or instants (of UTC, where the rows'
    offsets from it differ). locals: the same on the clock of the place. written: how dates are
    written, None for numbers. offsets: from UTC, of dates that name one. said: what the whole
    column has decided, "" where nothing was open.
    """

    labels: Sequence[str]
    instants: Sequence[Decimal] | Sequence[datetime]
    written: TimeFormat | None
    locals: Sequence[datetime] = ()
    offsets: Sequence[timedelta] | None = None
    zone: str | None = None
    said: str = ""

    @property
    def name(self) -> str | None:
        """The format as `time_format` names it; None where the labels show it by themselves."""
        return None if self.written is None else self.written.name

    def spaced(self, rows: Sequence[int]) -> Spacing:
        """Return the step of some rows, which rise in time, and at which step each of them is.

        Raises TimeLabelError for the first row that is no whole number of steps behind the first.
        """
        try:
            return self._spaced(rows)
        except UnevenError as error:
            before, row = rows[error.place - 1], rows[error.place]
            raise TimeLabelError(
                row,
                f"times must have equal steps, but from '{self.labels[before]}' to "
                f"'{self.labels[row]}' it is {error.step}, where most steps are {error.usual}; "
                "resample the table to equal steps, or leave out time in [series], so that the "
                "rows are numbered",
            ) from None

    def _spaced(self, rows: Sequence[int]) -> Spacing:
        if self.written is None:
            return space_numbers([self.labels[row] for row in rows])
        local = [self.locals[row] for row in rows]
        if self.offsets is None:
            return space_dates(local, Zone(self.written))
        offsets = [self.offsets[row] for row in rows]
        zone = Zone(self.written, offsets[-1], self.zone)
        if len(set(offsets)) == 1 and self.zone is None:
            return space_dates(local, zone)
        utc = [own - offset for own, offset in zip(local, offsets, strict=True)]
        # Days and longer are those of the calendar, hours those of the clock that runs through.
        usual = sorted(b - a for a, b in itertools.pairwise(utc))[(len(utc) - 1) // 2]
        on_utc = Zone(self.written, offsets[-1], self.zone, is_utc=True)
        ways = [(local, zone), (utc, on_utc)]
        if usual < timedelta(hours=23):
            ways.reverse()
        return _fewest_gaps(ways)


def _fewest_gaps(ways: Sequence[tuple[Sequence[datetime], Zone]]) -> Spacing:
    """The first spacing of some clocks with the fewest gaps; UnevenError where there is none."""
    found: list[Spacing] = []
    first: UnevenError | None = None
    for instants, zone in ways:
        try:
            found.append(space_dates(instants, zone))
        except UnevenError as error:
            first = first or error
    if not found:
        assert first is not None
        raise first
    return min(found, key=lambda spacing: spacing.gaps)


def read_times(
    labels: Sequence[str],
    time_format: str | None = None,
    zone: str | None = None,
    like: str | None = None,
) -> Times:
    """Read a time column of at least one label, in any order.

    time_format: how it is written, as a study file may say; None to find it from the whole column.
    zone: the name of the time zone, where it is known. like: the format of an earlier table of the
    same series, which decides where the column does not.
    Raises TimeLabelError for the first label that can't be read, or is written differently from the
    first, and where a day can't be told from a month.
    """
    for row, label in enumerate(labels):
        if not label.strip():
            raise TimeLabelError(row, _EMPTY)
    if time_format is not None:
        return _by_name(labels, time_format)
    first = labels[0]
    if is_number(first):
        return _numbers(labels)
    if (iso := IsoFormat.of(first)) is not None:
        return _iso(labels, iso, zone)
    return _by_pattern(labels, like)


def read_interval(
    labels: Sequence[str], time_format: str | None = None, zone: str | None = None
) -> Interval:
    """Return the interval of the labels of a table, at least two, that rise by equal steps.

    Raises what `read_times` and `Times.spaced` raise, and TimeLabelError for labels that repeat or
    go back or leave a gap.
    """
    times = read_times(labels, time_format, zone)
    for row in range(1, len(labels)):
        if not times.instants[row - 1] < times.instants[row]:  # type: ignore[operator]
            raise TimeLabelError(
                row, f"times must increase, but '{labels[row]}' comes after '{labels[row - 1]}'"
            )
    spacing = times.spaced(range(len(labels)))
    if spacing.gaps:
        gap = next(i for i, place in enumerate(spacing.positions) if place != i)
        raise TimeLabelError(
            gap,
            f"times must have equal steps, but from '{labels[gap - 1]}' to '{labels[gap]}' there "
            f"are {spacing.positions[gap] - gap + 1}, where most steps are {spacing.interval}",
        )
    return spacing.interval


def is_number(text: str) -> bool:
    """Whether a text is a plain number, as a time or an id may be."""
    return _NUMBER.fullmatch(text.strip()) is not None


def _by_name(labels: Sequence[str], name: str) -> Times:
    """Times in a format that was named."""
    if name in EPOCH_NAMES:
        numbers = _decimals(labels)
        decimals = max(0, *(-int(number.as_tuple().exponent) for number in numbers))
        return _dates(labels, EpochFormat(name, decimals))
    return _dates(labels, TimePattern(name).fitted(labels))


def _dates(
    labels: Sequence[str], written: TimeFormat, zone: str | None = None, said: str = ""
) -> Times:
    found = []
    for row, label in enumerate(labels):
        try:
            found.append(written.read(label))
        except ValueError as error:
            raise TimeLabelError(row, f"the time '{cut(label)}' {error}") from None
    local = [own.local for own in found]
    offsets = [own.offset for own in found if own.offset is not None]
    if len(offsets) < len(found):
        return Times(labels, local, written, local, None, None, said)
    utc = [own - offset for own, offset in zip(local, offsets, strict=True)]
    if isinstance(written, IsoFormat) and (zone is not None or len(set(offsets)) > 1):
        style = written.zone if zone is None or written.zone != "Z" else "+00:00"
        written = IsoFormat(written.dash, written.between, written.length, style, varies=True)
    return Times(labels, utc, written, local, offsets, zone, said)


def _iso(labels: Sequence[str], written: IsoFormat, zone: str | None) -> Times:
    for row, label in enumerate(labels):
        own = IsoFormat.of(label)
        if own is None or not own.like(written):
            raise TimeLabelError(
                row,
                f"the time '{cut(label)}' is not written like the first, '{cut(labels[0])}'; "
                "write all times in one format",
            )
    return _dates(labels, written, zone)


def _decimals(labels: Sequence[str]) -> list[Decimal]:
    for row, label in enumerate(labels):
        if not is_number(label):
            raise TimeLabelError(
                row,
                f"the time '{cut(label)}' is no number, but the first time is "
                f"('{cut(labels[0])}'); "
                "write all times in one format",
            )
    return [Decimal(label.strip()) for label in labels]  # exact, unlike a float


def _numbers(labels: Sequence[str]) -> Times:
    """Counters and years, dates by their digits, and times since 1970."""
    numbers = _decimals(labels)
    plain = Times(labels, numbers, None)
    if (dated := _compact(labels)) is not None:
        # Six or ten digits may as well count something.
        is_surely = len(labels[0].strip()) not in (6, 10) and not _is_even(plain)
        if is_surely or _is_even(dated):
            return dated
    if (epoch := epoch_of(numbers)) is not None:
        since = _all_read(labels, epoch, f"times count {epoch.unit} since 1970")
        # Rounding makes numbers even that instants are not.
        if since is not None and (_is_even(since) or not _is_even(plain)):
            return since
    months = _all_read(labels, TimePattern("%Y.%m"))
    if months is not None and _is_even(months) and not _is_even(plain):
        return months
    return plain


def _compact(labels: Sequence[str]) -> Times | None:
    pattern = compact_pattern(labels[0])
    if pattern is None:
        return None
    dated = _all_read(labels, pattern, f"times are dates by their digits, {pattern.name}")
    if dated is None or any(own.year not in _YEARS for own in dated.locals):
        return None
    return dated


def _all_read(
    labels: Sequence[str], written: TimePattern | EpochFormat, said: str = ""
) -> Times | None:
    """The times in a format that can read all of them; None where it can't."""
    try:
        if isinstance(written, TimePattern):
            written = written.fitted(labels)
        return _dates(labels, written, said=said)
    except TimeLabelError:
        return None


def _is_even(times: Times) -> bool:
    """Whether times are equal steps apart, in their own order, each once."""
    places = sorted(range(len(times.labels)), key=times.instants.__getitem__)
    each = [
        a
        for a, b in zip(places, [*places[1:], -1], strict=True)
        if b < 0 or times.instants[a] != times.instants[b]
    ]
    if len(each) < 2:
        return False
    try:
        return times.spaced(each).gaps == 0
    except TimeLabelError:
        return False


def _by_pattern(labels: Sequence[str], like: str | None) -> Times:
    """Dates that are no ISO 8601: the pattern is that by which all labels can be read."""
    candidates = patterns_of(labels[0])
    if not candidates:
        raise TimeLabelError(
            0,
            f"the time '{labels[0]}' is neither a number nor a date that freerun knows; "
            f"{_FORMAT_REMEDY}, or leave out time, so that the rows are numbered",
        )
    readable = [times for own in candidates if (times := _all_read(labels, own)) is not None]
    if not readable:
        raise _first_unreadable(labels, candidates)
    chosen = readable[0]
    if len(readable) > 1:
        even = [times for times in readable if _is_even(times)]
        alike = [times for times in readable if like is not None and times.name == like]
        if len(even) == 1:
            chosen = even[0]
        elif alike:
            chosen = alike[0]
        else:
            raise _ambiguous(labels, readable)
    said = f"times are read as {chosen.name}" if len(candidates) > 1 else ""
    return replace(chosen, said=said)


def _ambiguous(labels: Sequence[str], readable: Sequence[Times]) -> TimeLabelError:
    """Several formats fit; the first label that shows how they differ is named."""
    rows = range(len(labels))
    row = next((i for i in rows if len({times.locals[i] for times in readable}) > 1), 0)
    meanings = [
        f'time_format = "{times.name}" ({times.locals[row]:%Y-%m-%d})' for times in readable
    ]
    return TimeLabelError(
        row,
        f"the time '{labels[row]}' can be read in {len(readable)} ways, and no other row tells "
        f"which; write in [series] {' or '.join(meanings)}",
    )


def _first_unreadable(labels: Sequence[str], candidates: Sequence[TimePattern]) -> TimeLabelError:
    """The first label that the pattern with the most readable labels before it can't read."""
    furthest, reason = 0, ""
    for pattern in candidates:
        for row, label in enumerate(labels):
            try:
                pattern.read(label)
            except ValueError as error:
                if row >= furthest:
                    furthest, reason = row, str(error)
                break
    return TimeLabelError(
        furthest,
        f"the time '{labels[furthest]}' is not written like the first, '{labels[0]}': it {reason}; "
        f"write all times in one format, or {_FORMAT_REMEDY}",
    )
