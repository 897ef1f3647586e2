"""The benchmark of long horizons: free runs from all starts, shared weights, and a small study."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.every_start import batches, seasonal_naive_error, squared_errors
from benchmarks.long_horizon import SPANS, Spans, main, read_data
from benchmarks.shared_columns import SharedColumns, definition_of, trained
from models.closed_form.closed_form import FittedForm
from models.methods.registry import configure
from search.errors import SeriesError, UsageError
from search.evaluation import run_networks

ORDER = 3
CANDIDATE = FittedForm(
    configure({"cell": "ar", "ar_order": ORDER, "regularisation": "given", "offset": False})
)
RANDOM = np.random.default_rng(0)
NOISE = RANDOM.standard_normal((300, 2))
# Two channels that follow one rule, which both are driven by on their own.
VALUES = np.zeros((300, 2))
for step in range(ORDER, 300):
    VALUES[step] = 1.2 * VALUES[step - 1] - 0.7 * VALUES[step - 2] + NOISE[step]
VALUES /= np.sqrt((VALUES**2).mean(axis=0))
DEFINITION = definition_of(VALUES[:240], (200, 40), 10, 9, {})
FILE = "date,a,b\n" + "".join(f"{row},{a!r},{b!r}\n" for row, (a, b) in enumerate(VALUES.tolist()))


def test_one_forecaster_learns_from_the_training_rows_of_all_columns() -> None:
    checkpoint = trained(CANDIDATE, DEFINITION, VALUES[:240])
    shift = VALUES[:200].mean()
    training = VALUES[:200].T
    lagged = np.concatenate(
        [np.lib.stride_tricks.sliding_window_view(column, ORDER)[:-1] for column in training]
    )
    expected, *_ = np.linalg.lstsq(lagged, training[:, ORDER:].ravel(), rcond=None)
    assert (checkpoint.channels, len(checkpoint.weights)) == (1, 1)
    np.testing.assert_allclose(checkpoint.weights[0, :ORDER].numpy(), expected, rtol=1e-6)
    assert checkpoint.shift.item() in (0.0, pytest.approx(shift))


def test_a_column_is_not_forecast_from_another_one() -> None:
    view = SharedColumns(DEFINITION, VALUES[:240]).view("search", 0)
    assert view.pieces == (range(200), range(240, 440))
    assert view.starts[:2] == (200, 201)
    assert (view.starts[23], view.starts[24], view.starts[-1]) == (230, 440, 470)
    np.testing.assert_array_equal(view.values[:, 0], VALUES[:240].T.ravel())


def test_all_starts_at_once_are_as_one_by_one() -> None:
    checkpoint = trained(CANDIDATE, DEFINITION, VALUES[:240])
    starts = range(240, 300 - 10 + 1)
    errors = []
    for start in starts:
        contexts = VALUES[start - ORDER : start].T[np.newaxis, :, :, np.newaxis]
        forecast = run_networks(checkpoint, contexts, 10)[0, :, :, 0].T
        errors.append(np.mean((forecast - VALUES[start : start + 10]) ** 2))
    found = squared_errors(checkpoint, VALUES, starts, 10)
    assert found == pytest.approx((np.mean(errors), np.mean(errors)))


def test_batches_hold_each_start_once() -> None:
    checkpoint = trained(CANDIDATE, DEFINITION, VALUES[:240])
    found = list(batches(range(7, 1007), checkpoint, 10))
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
    assert row["what"].startswith("ar, order")
    assert row["published"] == {}
    assert 0.0 < row["forecast"] < row["seasonal_naive"]
    assert row["forecast"] == pytest.approx(row["network"])
