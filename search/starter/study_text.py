"""A short study file with comments, from what was found in a table."""

import json
import re
import shlex
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from search.starter.starting import Start

_COLUMN = 40
_COMMENT = 90
# What a user said of how the table is to be read, and how gaps are filled in.
_AS_READ = {
    "time_format": "how times are written",
    "separator": "between cells",
    "decimal": "the sign before decimals",
    "duplicates": "what becomes of rows of one time",
    "missing": '"interpolate", "seasonal" or "mask": what becomes of gaps',
    "known": "known in advance, also for the rows that are forecast",
    "past": "known only in the past, read beside the others",
    "calendar": "hour and weekday, as far as they vary, and from about a year on the month",
}


def study_text(start: Start, file_name: str) -> str:
    """Return the content of a study file (TOML); file_name: the path under which it is written.

    It depends on the table and on what was asked for alone, so that the same start gives the same
    file again.
    """
    return "\n".join(_lines(start, file_name)) + "\n"


def _lines(start: Start, file_name: str) -> Iterator[str]:
    series, search = start.sections["series"], start.sections["search"]
    times, task, spans = start.table.times, start.task, start.spans
    yield _comment(f"Made by `freerun init` from {start.path.name}. Change what you know better.")
    quoted = shlex.quote(file_name)
    yield _comment(
        f"  freerun check {quoted}    shows what would run, and for about how long", None
    )
    yield _comment(f"  freerun run {quoted}      runs it, or goes on where it was stopped", None)
    yield from (_pair("name", start.name), _pair("seed", 0), "", "[series]")
    yield _pair("source", "table")
    yield _pair("path", series["path"], "relative to this file")
    if "time" in series:
        yield _pair("time", series["time"], f"a step of {start.table.interval}")
    if "id" in series:
        yield _pair("id", series["id"], "tells the series apart")
    yield _pair("columns", series["columns"])
    for key, what in _AS_READ.items():
        if key in series:
            yield _pair(key, series[key], what)
    if "period" in series:
        found = "" if "period" in start.said else ", as found in the training span"
        yield _pair("period", series["period"], f"in steps{found}")
    else:
        yield _comment("period = 24    in steps; none was found: name it if you know one")
    yield from (*start_notes(start), "", "[task]")

    def rows(span: range) -> str:
        return f"{times[span.start]} to {times[span.stop - 1]}"

    yield _pair("horizon_steps", task.horizon_steps, "how far a forecast has to go")
    yield _pair("train_steps", task.train_steps, f"at least {rows(spans.training)}")
    validated = f"{rows(spans.validation)}, where candidates run freely"
    yield _pair("validation_steps", task.validation_steps, validated)
    yield _pair("start_points", task.start_points, "free runs of each training, from other rows")
    yield _pair("validation", task.validation, "a training sees all rows before its free runs")
    tested = f"{rows(spans.test)}: once, by the winner"
    yield _pair("test_horizon_steps", task.test_horizon_steps, tested)
    yield from ("", "[search]")
    said = {
        "minutes": "of the search, without --minutes of a run; the final comes after",
        "trials": "at most",
        "replicas": "trainings of each candidate",
        "final_replicas": "trainings of each of the best ones in the final",
    }
    for key, value in search.items():
        yield _pair(key, value, said[key])


def start_notes(start: Start) -> list[str]:
    """What is odd about the table, as comments."""
    return [_comment(line) for note in start.notes for line in wrap(note, _COMMENT)]


def _pair(key: str, value: Any, comment: str = "") -> str:
    # JSON's text, numbers and lists are TOML's, but for the one character that only JSON allows.
    text = f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
    return f"{text:<{_COLUMN}} {_comment(comment)}" if comment else text


def _comment(text: str, most: int | None = _COMMENT) -> str:
    """A comment in one line, whatever names of columns hold; most: characters, None for all."""
    plain = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
    return f"# {plain[:most]}"
