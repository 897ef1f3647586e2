"""A table looked at: what was found in it, and the study file that it leads to."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from models.diagnostics.properties import properties_of
from models.methods import counted
from models.methods.series_properties import LEAST_SEASONS, SeriesProperties
from search.errors import SeriesError, StudyFileError, UsageError
from search.files import at_home
from search.series import Table, TableSeries
from search.series.calendar import calendar_seasons
from search.series.source import Series
from search.starter.columns import Roles, columns_of, roles_of
from search.starter.names import study_name
from search.starter.oddities import oddity_lines
from search.starter.spans import default_horizon, spans
from search.study.cuts import Spans, spans_of
from search.study.definition import StudyDefinition, Task
from search.study.study_file import problems
from search.study.task_data import TaskData

# With the final, the report and the start, so many minutes are four on two cores.
MINUTES = 2.5
# The minutes end the search, not the trials.
TRIALS = 2000
_NAMED, _UNNAMED = 8, "a column without a name"


class _Section(BaseModel):
    """The section of a study file on its series, alone."""

    series: Series


@dataclass(frozen=True, eq=False)
class Start:
    """What is known of a table, and what a study on it would be.

    name: of the study. path: of the table. file_rows: of the file, before gaps are filled in.
    sections: of the study file, task among them. periods: in steps, found on the training span.
    horizon_reason: why the horizon is what it is. notes: what is odd. said: keys of [series] that
    the user gave.
    """

    name: str
    path: Path
    file_rows: int
    table: Table
    roles: Roles
    sections: Mapping[str, Any]
    task: Task
    periods: tuple[float, ...]
    horizon_reason: str
    notes: tuple[str, ...]
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def spans(self) -> Spans:
        """Which rows are for what."""
        return spans_of(self.task, self.table.rows)

    def lines(self) -> list[str]:
        """What was found, in a few plain lines."""
        table, roles = self.table, self.roles
        lines = [f"{self.path}: {self._size()}"]
        if roles.time is None:
            lines.append("  time      none: the rows are numbered")
        else:
            span = f"{table.times[0]} to {table.times[-1]}"
            lines.append(f"  time      {roles.time}: {span}, a step of {table.interval}")
        if table.long is not None:
            lines.append(f"  series    by {roles.id}: {_listed(table.long.ids)}")
        ranges = [
            f"{name} ({table.values[:, i].min():.6g} to {table.values[:, i].max():.6g})"
            for i, name in enumerate(table.columns)
        ]
        lines.append(f"  values    {_listed(ranges if table.long is None else roles.values)}")
        lines += [f"  beside    {line}" for line in table.lines_beside()]
        left_out = [f"{name or _UNNAMED} {reason}" for name, reason in roles.left_out.items()]
        if left_out:
            lines.append(f"  left out  {_listed(left_out)}")
        lines.append(f"  period    {periods_in_words(self.periods)}")
        lines += [f"  note      {note}" for note in self.notes]
        lines.append(
            f"  horizon   {counted(self.task.horizon_steps, 'step')}, {self.horizon_reason}"
        )
        return lines

    def _size(self) -> str:
        """Rows, and steps of time where some are filled in, merged or left out."""
        long, rows, steps = self.table.long, self.file_rows, self.table.rows
        series = 1 if long is None else len(long.ids)
        of = "" if long is None else f" of each of {series} series"
        if rows == steps * series:
            return f"{counted(steps, 'row')}{of}"
        return f"{counted(rows, 'row')} of the file, {counted(steps, 'step')} of time{of}"

    def to_plain(self) -> dict[str, Any]:
        """What was found as JSON values."""
        table, roles = self.table, self.roles
        return {
            "study": self.name,
            "table": str(self.path),
            "rows": table.rows,
            "file_rows": self.file_rows,
            "time": roles.time,
            "first_time": table.times[0],
            "last_time": table.times[-1],
            "step": str(table.interval),
            "id": roles.id,
            "ids": None if table.long is None else list(table.long.ids),
            "columns": list(roles.values),
            **{key: self.said[key] for key in ("known", "past", "calendar") if key in self.said},
            "left_out": dict(roles.left_out),
            "periods": list(self.periods),
            "notes": list(self.notes),
            "horizon_steps": self.task.horizon_steps,
        }


def start(
    path: Path,
    folder: Path,
    *,
    name: str | None = None,
    horizon_steps: int | None = None,
    columns: Sequence[str] = (),
    said: Mapping[str, Any] = MappingProxyType({}),
    found_before: Sequence[float] | None = None,
) -> Start:
    """Look at a table, and say what a study on it would be.

    folder: of the study file, from which it names the table. name: of the study, else the table's.
    horizon_steps: None for that of `default_horizon`. columns: the value columns, none for all.
    said: further keys of [series], which count instead of what would be found; `time` None
    numbers the rows. found_before: the periods that were found when the study began, which stay,
    whatever is found now; None to look for them. Raises SeriesError for a table that can't serve as
    it is, UsageError for a horizon that it is too short for, StudyFileError where its study would
    be refused.
    """
    if horizon_steps is not None and horizon_steps < 1:
        raise UsageError(f"horizon must be at least 1 step, but got {horizon_steps}")
    series: dict[str, Any] = {"source": "table", "path": _relative(path, folder)}
    others = {key: value for key, value in said.items() if key not in ("time", "id", "columns")}
    # Names of columns are checked with those of the others, which are not known yet.
    keys = {key: value for key, value in others.items() if key not in ("known", "past")}
    _checked({**series, "time": "time", "columns": ["value"], **keys})
    found_columns = columns_of(path, said.get("separator"))
    roles = roles_of(path, found_columns, columns, said)
    series |= {} if roles.time is None else {"time": roles.time}
    series["columns"] = list(roles.values)
    if roles.id is not None:
        series["id"] = roles.id
    series |= others
    table = _read(path, series)
    # Before the horizon is known, two thirds stand for the training span.
    known = table.values[: -(-2 * table.rows // 3)]
    seasons = _checked(series).period
    if seasons is None:
        seasons = None if found_before is None else tuple(found_before)
    else:
        _check_periods(seasons, table.rows)
    if seasons is None:
        guess = properties_of([known], calendar=calendar_seasons(table.interval))
        seasons = guess.periods if guess.has_season else ()
    reason = "as asked for"
    if horizon_steps is None:
        horizon_steps = default_horizon(table.rows, seasons)
        reason = _horizon_in_words(horizon_steps, seasons)
        # A run ends with a forecast, which reads the known columns of its rows.
        if 0 < (ahead := table.known_ahead) < horizon_steps:
            reason = f"as far as the known columns go ({reason} would be {horizon_steps})"
            horizon_steps = ahead
        reason += "; --horizon N names another"
    # Whatever the period: a long season need not be seen twice.
    task, search = spans(table.rows, 1, horizon_steps)
    name = study_name(path) if name is None else name
    sections: dict[str, Any] = {"name": name, "seed": 0, "series": series, "task": task}
    sections["search"] = dict[str, Any](minutes=MINUTES, trials=TRIALS, **search)
    try:
        definition = StudyDefinition.model_validate(sections)
    except ValidationError as error:
        raise StudyFileError("\n".join(problems(error))) from error
    found = TaskData(definition, table).properties()
    periods = found.periods if found.has_season or "period" in said else ()
    if found_before is not None and "period" not in series:
        periods = tuple(found_before)
    if periods and "period" not in series:
        whole = [_whole(period) for period in periods]
        series["period"] = whole[0] if len(whole) == 1 else whole
    return Start(
        name,
        path,
        len(next(iter(found_columns.values()))),
        table,
        roles,
        sections,
        definition.task,
        periods,
        reason,
        (*table.notices, *roles.notes, *_period_notes(found, said), *oddity_lines(table)),
        said,
    )


def _read(path: Path, series: dict[str, Any]) -> Table:
    """The table, with gaps and missing values filled in; adds to `series` that they are."""
    try:
        return _checked(series).read_file(path)
    except SeriesError:
        if "missing" in series:
            raise
        filled = {**series, "missing": "interpolate"}
        try:
            table = _checked(filled).read_file(path)
        except SeriesError:
            table = None
        if table is None:  # something else is wrong, too: the first message says it
            raise
        series["missing"] = "interpolate"
        return table


def _checked(series: Mapping[str, Any]) -> TableSeries:
    """The section as a value; StudyFileError for a key that can't be as it is given."""
    try:
        section = _Section.model_validate({"series": series}).series
    except ValidationError as error:
        raise StudyFileError("\n".join(problems(error))) from error
    assert isinstance(section, TableSeries)
    return section


def periods_in_words(periods: Sequence[float]) -> str:
    """The seasons that were found, in steps."""
    if not periods:
        return "none found in the training span; name it with --period if you know one"
    return " and ".join(f"{period:.6g}" for period in periods) + " steps"


def _check_periods(periods: Sequence[float], rows: int) -> None:
    """Raise UsageError for a period that was named, and of which the table holds not one."""
    if too_long := [period for period in periods if period >= rows]:
        raise UsageError(
            f"period must be shorter than the table, which has {counted(rows, 'row')}, but got "
            f"{too_long[0]:g}; give it in steps of the table, or leave it out"
        )


def _period_notes(found: SeriesProperties, said: Mapping[str, Any]) -> list[str]:
    """That a period which was named is too long for what is trained on."""
    if "period" not in said:
        return []
    return [
        f"the period of {period:g} steps is seen {found.train_steps / period:.1f} times by the "
        f"first training, and counts as a season from {LEAST_SEASONS} times on"
        for period in found.periods
        if found.train_steps < LEAST_SEASONS * period
    ]


def _horizon_in_words(horizon_steps: int, periods: Sequence[float]) -> str:
    for times, words in ((2, "two periods"), (1, "a period")):
        if horizon_steps in [round(times * period) for period in periods]:
            return words
    return "a tenth of the rows"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _whole(number: float) -> int | float:
    return int(number) if number == int(number) else number


def _relative(path: Path, folder: Path) -> str:
    """The path of a table as a study file in a folder names it."""
    found = os.path.relpath(at_home(path).resolve(), at_home(folder).resolve())
    try:
        found.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the path of the table must be UTF-8 text to stand in a study file, but is {found!r}; "
            "rename the file or its folder"
        ) from None
    return found
