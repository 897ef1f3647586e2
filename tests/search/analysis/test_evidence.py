"""What stands behind a score: the number of free runs, and what is said where nothing is shown."""

import pytest

from search.analysis.evidence import plain_finding, shown_runs
from search.analysis.study_results import Standing
from search.analysis.wording import beaten

_FOUND = "This study found no forecaster that is clearly better than the baseline ridge AR."


@pytest.mark.parametrize(
    ("is_baseline", "in_final", "in_test", "found"),
    [
        (False, False, False, _FOUND),
        (False, False, None, _FOUND),
        (True, False, False, _FOUND),
        (True, True, True, _FOUND),
        (False, False, True, None),
        (False, True, False, None),
        (False, True, True, None),
        (False, None, None, None),
    ],
)
def test_a_winner_that_beats_nothing_clearly_is_called_no_better_than_the_baseline(
    is_baseline: bool, in_final: bool | None, in_test: bool | None, found: str | None
) -> None:
    standing = Standing(is_baseline, in_final, in_test, opponent_final="ridge-ar")
    own = "ridge-ar" if is_baseline else None
    assert plain_finding(standing, own, is_generated=False) == found
    assert plain_finding(standing, own, is_generated=True) is None


def test_few_free_runs_are_called_little_evidence() -> None:
    assert shown_runs(None) == ""
    assert shown_runs(1) == " (1 free run, which is little evidence)"
    assert shown_runs(28) == " (28 free runs)"
    said = beaten(True, False, shown_runs(28), shown_runs(4))
    assert said == (
        "beats every baseline in validation (28 free runs), but not in the test "
        "(4 free runs, which is little evidence)"
    )
