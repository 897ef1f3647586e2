"""The benchmark of long horizons: free runs from all starts, shared weights, and a small study."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.every_start import batches, seasonal_naive_error, squared_error
from benchmarks.long_horizon import SPANS, Data, Spans, main, read_data, study_sections, trained
from models.candidate import Candidate, candidate_of
from models.checkpoint import Checkpoint
from models.ensemble import Ensemble
from models.methods import Scalar
from search.errors import SeriesError, UsageError
from search.evaluation import run_networks
from search.series import FloatArray
from search.study.definition import StudyDefinition

ORDER, PERIOD = 3, 9
AR: dict[str, Scalar] = {
    **{"cell": "ar", "ar_order": ORDER, "regularisation": "given", "offset": False}
}
CANDIDATE = candidate_of({**AR, "channels": "independent"})
# It is shown more values than it reads: changes need those of a season before.
SEASONAL = candidate_of({**AR, "channels": "independent", "seasonal_lag": PERIOD})
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.standard_normal((300, 2))
# Two channels that follow one rule, which both are driven by on their own.
VALUES = np.zeros((300, 2))
for step in range(ORDER, 300):
    VALUES[step] = 1.2 * VALUES[step - 1] - 0.7 * VALUES[step - 2] + NOISE[step]
VALUES /= np.sqrt((VALUES**2).mean(axis=0))
DATA = Data(("a", "b"), VALUES, Spans(200, 40, 60))
FILE = "date,a,b\n" + "".join(f"{row},{a!r},{b!r}\n" for row, (a, b) in enumerate(VALUES.tolist()))


def test_one_forecaster_learns_from_the_training_rows_of_all_columns() -> None:
    checkpoint = trained(CANDIDATE, DATA, 10)
    assert isinstance(checkpoint, Checkpoint)
    # Each column in units of its own root mean square over the training rows.
    training = (VALUES[:200] / np.sqrt((VALUES[:200] ** 2).mean(axis=0))).T
    lagged = np.concatenate(
        [np.lib.stride_tricks.sliding_window_view(column, ORDER)[:-1] for column in training]
    )
    expected, *_ = np.linalg.lstsq(lagged, training[:, ORDER:].ravel(), rcond=None)
    assert checkpoint.channels == 2
    np.testing.assert_allclose(checkpoint.weights[0, :ORDER].numpy(), expected, rtol=1e-6)


def one_by_one(candidate: Candidate, start: int) -> FloatArray:
    checkpoint = trained(candidate, DATA, 10)
    assert isinstance(checkpoint, Checkpoint)
    context = VALUES[start - checkpoint.shown_steps : start][np.newaxis, np.newaxis]
    forecast: FloatArray = run_networks(checkpoint, context, 10)[0, 0]
    return forecast


@pytest.mark.parametrize("candidate", [CANDIDATE, SEASONAL], ids=["values", "changes"])
def test_all_starts_at_once_are_as_one_by_one(candidate: Candidate) -> None:
    starts = range(240, 300 - 10 + 1)
    errors = [
        np.mean((one_by_one(candidate, start) - VALUES[start : start + 10]) ** 2)
        for start in starts
    ]
    found = squared_error(trained(candidate, DATA, 10), VALUES, starts, 10)
    assert found == pytest.approx(np.mean(errors))


def test_members_of_an_ensemble_are_trained_and_combined() -> None:
    ensemble = Ensemble((CANDIDATE, SEASONAL), ("one", "other"), (0.25, 0.75))
    starts = (240, 260, 290)
    errors = []
    for start in starts:
        forecast = 0.25 * one_by_one(CANDIDATE, start) + 0.75 * one_by_one(SEASONAL, start)
        errors.append(np.mean((forecast - VALUES[start : start + 10]) ** 2))
    found = squared_error(trained(ensemble, DATA, 10), VALUES, starts, 10)
    assert found == pytest.approx(np.mean(errors))


def test_the_study_of_a_horizon_sees_nothing_of_the_test() -> None:
    sections = study_sections(Path("columns.csv"), DATA, 10, PERIOD, {"cell": "ar"})
    definition = StudyDefinition.model_validate(sections)
    task = definition.task
    assert (task.train_steps, task.validation_steps, task.test_steps) == (200, 40, 60)
    assert definition.series.channels == ("a", "b")
    assert "space" not in study_sections(Path("columns.csv"), DATA, 10, PERIOD, {})


def test_batches_hold_each_start_once() -> None:
    found = list(batches(range(7, 1007), 100_000))
    assert [start for batch in found for start in batch] == list(range(7, 1007))
    assert len(found) > 1


@given(period=st.integers(1, 30), horizon=st.integers(1, 80))
def test_seasonal_naive_repeats_the_last_period(period: int, horizon: int) -> None:
    starts = range(100, 110)
    errors = []
    for start in starts:
        forecast = np.resize(VALUES[start - period : start], (horizon, 2))
        errors.append(np.mean((forecast - VALUES[start : start + horizon]) ** 2))
    assert seasonal_naive_error(VALUES, starts, horizon, period) == pytest.approx(np.mean(errors))


def test_the_protocol_has_as_many_starts_as_fit() -> None:
    starts = Spans(*SPANS).starts(96)
    assert (starts[0], starts[-1] + 96, len(starts)) == (11_520, 14_400, 2785)


def test_columns_are_standardised_by_their_training_rows(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text(FILE)
    data = read_data(path, ["all"], Spans(200, 40, 40))
    assert data.columns == ("a", "b")
    assert data.values.shape == (280, 2)
    np.testing.assert_allclose(data.values[:200].mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(data.values[:200].std(axis=0), 1.0)
    alone = read_data(path, ["b"], Spans(200, 40, 40))
    np.testing.assert_allclose(alone.values[:, 0], data.values[:, 1])


def test_a_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    with pytest.raises(SeriesError, match="can't be read"):
        read_data(path, ["all"], Spans(200, 40, 40))
    path.write_text(FILE)
    with pytest.raises(UsageError, match="of a, b, but got OT"):
        read_data(path, ["OT"], Spans(200, 40, 40))
    with pytest.raises(SeriesError, match="at least 301 rows"):
        read_data(path, ["all"], Spans(221, 40, 40))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--horizons", "41"], "--horizons must fit in validation and test, but got 41"),
        (["--period", "1"], "--period must be at least 2"),
        (["--space", "none.toml"], "--space must be a TOML file"),
        (["--space", "wrong.toml"], "hidden_unit"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    rule: str,
) -> None:
    (tmp_path / "two.csv").write_text(FILE)
    (tmp_path / "wrong.toml").write_text("[space]\nhidden_unit = 3\n")
    monkeypatch.chdir(tmp_path)
    spans = ["--spans", "200", "40", "40", "--horizons", "10"]
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "two.csv"), *spans, *options])
    assert ended.value.code == UsageError.exit_code
    assert rule in capsys.readouterr().err


def test_a_small_search_is_scored_beside_seasonal_naive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.csv").write_text(FILE)
    (tmp_path / "space.toml").write_text('[space]\ncell = "ar"\nar_order = [2, 4]\n')
    spans = ["--spans", "200", "40", "40", "--horizons", "10", "--period", "9"]
    search = ["--minutes", "0.05", "--workers", "1", "--space", str(tmp_path / "space.toml")]
    main([str(tmp_path / "two.csv"), *spans, *search, "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert row["what"]
    assert row["trials"] > 0
    assert row["published"] == {}
    assert 0.0 < row["winner"] < row["seasonal_naive"]
    assert row["winner"] < 1.5 * row["baseline"]
    assert row["baseline_name"].startswith(("autoregression", "ridge AR"))
    assert 0.0 < row["validated"] < 1.5 * row["baseline_validated"]
