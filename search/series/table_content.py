"""A table as a value: its time labels and numbers, and the bytes that are kept with a study."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from search.errors import SeriesError
from search.series.draw import FloatArray
from search.series.even_steps import Interval
from search.series.time_column import read_interval

MAX_TABLE_BYTES = 16 * 2**20  # compressed; what every worker fetches from the study's database

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Table:
    """Equally spaced rows of finite numbers.

    time_column: its name. times: one label a row, exactly as in the file. columns: names of the
    value channels. values: [time, channel], read-only.
    """

    time_column: str
    times: tuple[str, ...]
    columns: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        assert self.values.shape == (len(self.times), len(self.columns))
        values = np.array(self.values, dtype=np.float64, order="C")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.times)

    @cached_property
    def interval(self) -> Interval:
        """The step of the time column; `str` of it reads "1", "3 months" or "1 day, 0:00:00"."""
        return read_interval(self.times)

    def continue_time(self, steps: int) -> list[str]:
        """Return the `steps` time labels after the last row, in the format of the column."""
        return self.interval.continue_time(steps)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of names, time labels and values: equal tables in other files agree."""
        return hashlib.sha256(self._content()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the table compressed; SeriesError above MAX_TABLE_BYTES."""
        compressed = zlib.compress(self._content())
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
            header_line, _, numbers = zlib.decompress(compressed).partition(b"\n")
            header = json.loads(header_line)
            if header["format"] == _FORMAT:
                return cls._from_parts(header, numbers)
        except (zlib.error, ValueError, KeyError, TypeError) as error:
            raise SeriesError(
                f"the stored table is damaged ({error}); start a new study from the study file"
            ) from error
        raise SeriesError(
            f"the stored table has format {header['format']}, but this version of freerun reads "
            f"format {_FORMAT}; update freerun"
        )

    @classmethod
    def _from_parts(cls, header: Mapping[str, Any], numbers: bytes) -> "Table":
        times, columns = tuple(header["times"]), tuple(header["columns"])
        values = np.frombuffer(numbers, dtype="<f8").reshape(len(times), len(columns))
        return cls(header["time_column"], times, columns, values.astype(np.float64))

    def _content(self) -> bytes:
        header = {
            "format": _FORMAT,
            "time_column": self.time_column,
            "columns": self.columns,
            "times": self.times,
        }
        return json.dumps(header).encode() + b"\n" + self.values.astype("<f8").tobytes()
