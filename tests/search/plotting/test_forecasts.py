"""The picture of a forecast: what of the series it shows, and lines that leave bands in sight."""

import numpy as np
import pytest

from search.plotting.drawing import Drawing
from search.plotting.forecasts import forecast_drawings
from search.series import Table


def drawn(ahead: int, rows: int = 1000, columns: int = 1) -> Drawing:
    names = tuple(f"c{column}" for column in range(columns))
    history = Table("step", tuple(map(str, range(rows))), names, np.zeros((rows, columns)))
    times = tuple(map(str, range(rows, rows + ahead)))
    point = Table("step", times, names, np.ones((ahead, columns)))
    band = (80.0, point.values - 1.0, point.values + 1.0)
    return forecast_drawings(history, point, [band])[0][1]


@pytest.mark.parametrize(("ahead", "shown"), [(6, 60), (50, 100), (100, 200), (400, 200)])
def test_a_long_forecast_has_most_of_the_picture(ahead: int, shown: int) -> None:
    observed = drawn(ahead).lines[0]
    assert len(observed.x) == shown


def test_lines_get_thinner_with_the_rows_on_an_inch() -> None:
    def widths(ahead: int, columns: int = 1) -> list[float]:
        return [line.width for line in drawn(ahead, columns=columns).lines]

    short, long, narrow = widths(28), widths(400), widths(100, columns=4)
    assert all(a < b for a, b in zip(long, short, strict=True))
    assert all(a < b for a, b in zip(narrow, widths(100), strict=True))
    assert long[0] <= long[1] <= 1.0
    # However many rows, a line is seen.
    assert min(widths(20_000)) >= 0.5
