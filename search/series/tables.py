"""Tables: what was read from a file, and how it is kept as bytes beside a study."""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from models.methods.values import counted
from search.errors import SeriesError
from search.files import expand, read_json
from search.series.covariates import Covariates, calendar_of_labels
from search.series.filling import Run, blanked
from search.series.intervals import Interval
from search.series.source import FloatArray
from search.series.time_column import TimeLabelError, read_interval, read_times

MAX_TABLE_BYTES = 16 * 2**20  # compressed; what every worker fetches from the study's database

MAX_EXPANDED_BYTES = 256 * 2**20  # what each of them then holds in memory

# Tables without covariates, or with those of one series, are as earlier versions write them.
_FORMAT, _WITH_COVARIATES, _WITH_OWN_COVARIATES = 1, 2, 3


# The types of times and ids that a forecast has again; what another program noted is text.
_TYPES = re.compile(
    r"String|Categorical|Boolean|Date|Float(32|64)|U?Int(8|16|32|64|128)|Datetime\[[mun]s\]"
)


def _known_type(name: object) -> str | None:
    return name if isinstance(name, str) and _TYPES.fullmatch(name) else None


@dataclass(frozen=True)
class LongForm:
    """How the channels of a table were rows of a long one: ids, each with the value columns."""

    id_column: str
    ids: tuple[str, ...]
    value_columns: tuple[str, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels: the ids; where there are several columns, with their names."""
        if len(self.value_columns) == 1:
            return self.ids
        return tuple(f"{name} {column}" for name in self.ids for column in self.value_columns)

    def __str__(self) -> str:
        """What its channels are, such as "sales by store"."""
        return f"{', '.join(self.value_columns)} by {self.id_column}"

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {"id": self.id_column, "ids": self.ids, "columns": self.value_columns}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild what `to_plain` gave."""
        return cls(plain["id"], tuple(plain["ids"]), tuple(plain["columns"]))


class KnownColumn(NamedTuple):
    """A column known in advance.

    name: in the file, or of the calendar. id: of the series of a long table that it belongs to,
    None where it is that of all. is_made: from the times.
    """

    name: str
    id: str | None
    is_made: bool

    def __str__(self) -> str:
        return f"the column '{self.name}'" + ("" if self.id is None else f" of '{self.id}'")


@dataclass(frozen=True, eq=False)
class Table:
    """Equally spaced rows of finite numbers.

    time_column: its name. times: one label a row, exactly as in the file; those of rows that were
    filled in are written alike. columns: names of the value channels. values: [time, channel],
    read-only. long: what made the channels of a long table, None for one with a column each.
    time_format: how times are written, None where they show it by themselves. zone: the name of
    their time zone, where the file had it. filled: the values that no file had, of the value
    channels and behind them of the columns known only in the past. is_masked: whether those of the
    value channels count in no training and no score. notices: what was found in the file that a
    user may want to know; they are not kept with a study. covariates: columns beside those that are
    forecast, None where there are none. time_type, id_type: of these columns in the file, as polars
    calls it, None where the file has no types.
    """

    time_column: str
    times: tuple[str, ...]
    columns: tuple[str, ...]
    values: FloatArray
    long: "LongForm | None" = None
    time_format: str | None = None
    zone: str | None = None
    filled: tuple[Run, ...] = ()
    notices: tuple[str, ...] = ()
    is_masked: bool = False
    covariates: Covariates | None = None
    time_type: str | None = None
    id_type: str | None = None

    def __post_init__(self) -> None:
        assert self.values.shape == (len(self.times), len(self.columns))
        assert self.long is None or self.long.channels == self.columns
        values = np.array(self.values, dtype=np.float64, order="C")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.times)

    @property
    def observed(self) -> FloatArray:
        """A copy of the values `[time, channel]`, NaN where they are masked."""
        return blanked(self.values, self.filled if self.is_masked else ())

    @property
    def has_one_unit(self) -> bool:
        """Whether all channels are in the same unit: one column, or the ids of a long table."""
        return len(self.columns if self.long is None else self.long.value_columns) == 1

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of a file that holds this table: of a long one the ids, times and values."""
        if self.long is None:
            return (self.time_column, *self.columns)
        return (self.long.id_column, self.time_column, *self.long.value_columns)

    @cached_property
    def interval(self) -> Interval:
        """The step of the time column; SeriesError where the times of a stored table are none."""
        try:
            return read_interval(self.times, self.time_format, self.zone)
        except TimeLabelError as error:
            raise SeriesError(f"the table's times can't be read: {error}") from error

    @property
    def known_names(self) -> tuple[str, ...]:
        """The names of the columns that are known in advance."""
        return () if self.covariates is None else self.covariates.known_names

    @property
    def file_known_names(self) -> tuple[str, ...]:
        """Those of them that a file holds, and that are not made from the times."""
        return () if self.covariates is None else self.covariates.known

    @property
    def known_groups(self) -> int:
        """How many groups of channels have known columns of their own: the ids of a long table."""
        return 1 if self.covariates is None else self.covariates.groups

    @property
    def known_columns(self) -> tuple[KnownColumn, ...]:
        """What the known columns are, those that each id has for itself included, `[known]`."""
        own = self.covariates
        if own is None:
            return ()
        ids = self.long.ids if self.long is not None and own.groups > 1 else (None,)
        names = [*((name, False) for name in own.known), *((name, True) for name in own.calendar)]
        return tuple(KnownColumn(name, own_id, made) for own_id in ids for name, made in names)

    @property
    def past_names(self) -> tuple[str, ...]:
        """The names of the columns that are known only in the past."""
        return () if self.covariates is None else self.covariates.past

    @property
    def past_count(self) -> int:
        """How many columns of the past there are, those that each id has for itself included."""
        return 0 if self.covariates is None else self.covariates.past_values.shape[1]

    @property
    def past(self) -> FloatArray | None:
        """The columns that are known only in the past, `[time, past]`; None without any."""
        own = self.covariates
        return own.past_values if own is not None and own.past else None

    @property
    def all_values(self) -> FloatArray:
        """The values, and behind them the columns known only in the past, `[time, channel]`."""
        return self.values if self.past is None else np.hstack([self.values, self.past])

    @cached_property
    def known(self) -> FloatArray | None:
        """The columns that are known in advance, `[time, known]`; None without any."""
        return self.known_until(0) if self.known_names else None

    @property
    def known_ahead(self) -> int:
        """For how many rows behind the last one all columns of the file that are known have values.

        Rows that were cut off, and that lack a column, are none of which it is known.
        """
        own = self.covariates
        if own is None or not own.known:
            return 0
        is_known = np.isfinite(own.known_values[self.rows :]).all(axis=1)
        return int(np.logical_and.accumulate(is_known).sum())

    def lines_beside(self) -> list[str]:
        """Which columns stand beside those that are forecast, in plain lines."""
        said, own = [], self.covariates
        if own is not None and own.known_names:
            ahead = self.known_ahead
            rows = f", also for {counted(ahead, 'row')} ahead" if ahead else ""
            said.append(f"known in advance{rows}: {', '.join(own.known_names)}")
        if own is not None and own.past:
            said.append(f"known only in the past: {', '.join(own.past)}")
        return said

    def known_until(self, steps: int) -> FloatArray:
        """The columns known in advance, of all rows and of `steps` after them, `[time, known]`.

        Raises SeriesError with the name of a column and the first of these times that lacks it.
        """
        own = self.covariates
        assert own is not None
        ahead = self.continue_time(steps) if steps else []
        given = own.known_values[: self.rows + steps]
        short = self.rows + steps - len(given)
        given = np.pad(given, ((0, short), (0, 0)), constant_values=np.nan)
        lacking = np.argwhere(np.isnan(given))
        if len(lacking):
            row, column = map(int, lacking[0])
            at = column // len(own.known) if own.groups > 1 else None
            of = None if at is None or self.long is None else self.long.ids[at]
            name = KnownColumn(own.known[column % len(own.known)], of, is_made=False)
            raise SeriesError(
                f"{name} is known in advance, so that a forecast of "
                f"{steps} steps needs it up to '{ahead[-1]}', but it has no value at "
                f"'{ahead[row - self.rows]}'; add rows with it to the file, without values in "
                f"{', '.join(self._value_columns)}, or give them in a file of their own with "
                "--future (in Python: future=...), or forecast fewer steps"
            )
        if not own.calendar:
            return given
        labels = [*self.times, *ahead]
        made = calendar_of_labels(labels, self.time_format, self.zone, own.calendar)
        return replace(own, known_values=given).known_with(made, len(given))

    @property
    def _value_columns(self) -> tuple[str, ...]:
        return self.columns if self.long is None else self.long.value_columns

    @property
    def positions(self) -> list[float | str]:
        """The times for an axis: numbers, or dates as ISO 8601."""
        times = read_times(self.times, self.time_format, self.zone)
        if times.written is None:
            return [float(label) for label in self.times]
        return [instant.isoformat(" ") for instant in times.locals]

    def continue_time(self, steps: int) -> list[str]:
        """Return the `steps` time labels after the last row, in the format of the column."""
        return self.interval.continue_time(steps)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of names, time labels and values: equal tables in other files agree.

        Rows of known columns that are ahead of the table are none of it: more of them come with
        each forecast.
        """
        own = self.covariates
        if own is not None and len(own.known_values) > self.rows:
            own = replace(own, known_values=own.known_values[: self.rows])
        return hashlib.sha256(replace(self, covariates=own)._content({})).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the table compressed; SeriesError above MAX_TABLE_BYTES."""
        content = self._content(self._reading())
        if len(content) > MAX_EXPANDED_BYTES:
            raise SeriesError(
                f"a table must be at most {MAX_EXPANDED_BYTES / 2**20:g} MiB to be kept with its "
                f"study, but {self.rows} rows of {len(self.columns)} columns are "
                f"{len(content) / 2**20:.1f} MiB; give fewer rows, or resample to longer steps"
            )
        compressed = zlib.compress(content)
        if len(compressed) > MAX_TABLE_BYTES:
            raise SeriesError(
                f"a table must be at most {MAX_TABLE_BYTES / 2**20:g} MiB compressed to be kept "
                f"with its study, but {self.rows} rows are {len(compressed) / 2**20:.1f} MiB; "
                "give fewer rows, or resample to longer steps"
            )
        return compressed

    @classmethod
    def from_bytes(cls, compressed: bytes) -> "Table":
        """Rebuild what `to_bytes` wrote; SeriesError where the bytes are damaged or newer."""
        try:
            content = expand(compressed, MAX_EXPANDED_BYTES)
            end = content.find(b"\n")
            header = read_json(content[:end])
            if header["format"] in (_FORMAT, _WITH_COVARIATES, _WITH_OWN_COVARIATES):
                return cls._of_parts(header, content, end + 1)
        except (ValueError, KeyError, TypeError) as error:
            raise SeriesError(
                f"the stored table is damaged ({error}); start a new study from the study file"
            ) from error
        raise SeriesError(
            f"the stored table has format {header['format']}, but this version of freerun reads "
            f"formats up to {_WITH_OWN_COVARIATES}; update freerun"
        )

    def _reading(self) -> dict[str, Any]:
        """What is needed to read the labels again, and no part of what makes tables equal."""
        known = {
            "time_format": self.time_format,
            "zone": self.zone,
            "filled": [astuple(run) for run in self.filled],
            "masked": self.is_masked,
            "time_type": self.time_type,
            "id_type": self.id_type,
        }
        return {key: value for key, value in known.items() if value}

    @classmethod
    def _of_parts(cls, header: Mapping[str, Any], content: bytes, begin: int) -> "Table":
        """A table of its header and of the numbers from a byte of the content on."""
        times, columns = tuple(header["times"]), tuple(header["columns"])
        long = LongForm.from_plain(header["long"]) if "long" in header else None
        names = [header["time_column"], *times, *columns]
        if not columns or not all(isinstance(name, str) for name in names):
            raise ValueError("its columns and times must be texts, one column at least")
        if long is not None and long.channels != columns:
            raise ValueError("its columns must be those of its ids")
        numbers, covariates = np.frombuffer(content, dtype="<f8", offset=begin), None
        values = numbers
        if "covariates" in header:
            count = len(times) * len(columns)
            values = numbers[:count]
            covariates = Covariates.of_parts(header["covariates"], len(times), numbers[count:])
            if covariates.series not in (1, 0 if long is None else len(long.ids)):
                raise ValueError("its columns beside the others must be those of its ids")
        if not np.isfinite(values).all():
            raise ValueError("its numbers must be finite")
        return cls(
            header["time_column"],
            times,
            columns,
            values.reshape(len(times), len(columns)),
            long,
            header.get("time_format"),
            header.get("zone"),
            tuple(Run(*run) for run in header.get("filled", ())),
            is_masked=bool(header.get("masked")),
            covariates=covariates,
            time_type=_known_type(header.get("time_type")),
            id_type=_known_type(header.get("id_type")),
        )

    def _content(self, reading: Mapping[str, Any]) -> bytes:
        header: dict[str, Any] = {
            **reading,
            "format": _FORMAT,
            "time_column": self.time_column,
            "columns": self.columns,
            "times": self.times,
        }
        if self.long is not None:
            header["long"] = self.long.to_plain()
        numbers = self.values.astype("<f8").tobytes()
        if self.covariates is not None:
            is_shared = self.covariates.series == 1
            header["format"] = _WITH_COVARIATES if is_shared else _WITH_OWN_COVARIATES
            header["covariates"] = self.covariates.to_plain()
            numbers += self.covariates.to_bytes()
        return json.dumps(header).encode() + b"\n" + numbers
