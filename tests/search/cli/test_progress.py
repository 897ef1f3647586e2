"""The lines of a run without a terminal."""

from dataclasses import replace

import pytest

from search.cli.progress import shown_progress
from search.running.fleet import Progress
from search.storage.records import Budget, Counts


def test_the_end_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    over = Progress(
        counts=Counts(complete=9, running=0),
        budget=Budget(9, None, used_trials=9, spent_seconds=60.0, stop_requested=False),
        best=0.5,
        in_final=True,
        finals_done=29,
        finals=29,
    )
    with shown_progress("load") as show:
        show(replace(over, finals_done=3))
        for _ in range(3):
            show(over)
    lines = capsys.readouterr().err.splitlines()
    assert [line.count("final 29/29") for line in lines] == [0, 1]
