"""Numbers mean the same however they are written."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.series.numbers import CellError, DecimalSign, is_missing, read_numbers


def written(value: float, sign: str, thousands: str) -> str:
    """A number with two decimals, its thousands apart."""
    text = f"{value:,.2f}"
    return text.replace(",", "!").replace(".", sign).replace("!", thousands)


@settings(deadline=None, max_examples=100)
@given(
    values=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=20),
    way=st.sampled_from(
        [(".", ","), (",", "."), (".", " "), (",", "\u00a0"), (".", "'"), (",", "")]
    ),
    blank=st.sampled_from(["", "NA", "?"]),
    is_told=st.booleans(),
)
def test_a_column_is_read_in_any_way_of_writing(
    values: list[int], way: tuple[DecimalSign, str], blank: str, is_told: bool
) -> None:
    sign, thousands = way
    hundredths = [value / 100 for value in values]
    cells = [*(written(value, sign, thousands) for value in hundredths), blank]
    found = read_numbers({"x": cells}, sign if is_told else None, ";")
    np.testing.assert_array_equal(found.values[:, 0], [*hundredths, math.nan])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_a_float_that_python_wrote_is_the_same_float(values: list[float]) -> None:
    found = read_numbers({"x": [repr(value) for value in values]}, None, ",")
    assert found.values[:, 0].tobytes() == np.array(values).tobytes()
    assert found.notices == ()


def test_columns_have_one_decimal_sign_which_one_of_them_may_tell() -> None:
    cells = {"a": ["1,000", "2,000"], "b": ["1,5", "2"]}
    np.testing.assert_array_equal(read_numbers(cells).values, [[1, 1.5], [2, 2]])
    cells = {"a": ["1,000", "2,000"], "b": ["1.5", "2"]}
    np.testing.assert_array_equal(read_numbers(cells).values, [[1000, 1.5], [2000, 2]])


@pytest.mark.parametrize(
    ("cells", "row", "words"),
    [
        (
            ["1", "1,000", "2,000"],
            1,
            r"the sign ',' of '1,000' .* write decimal = .,. in \[series\] where it stands before "
            r"decimals, decimal = .\.. where it stands between thousands",
        ),
        (["1", "1.000", "20"], 1, "may stand before decimals or between thousands"),
        (["1.5", "2.5", "1,5"], 2, r"while other cells have the decimal sign '\.'"),
        (["1", "12,34,5"], 1, "must hold finite numbers, but has '12,34,5'"),
        (["1", "Infinity"], 1, "'Infinity'"),
        (["1", "0x10"], 1, "'0x10'"),
        (["1", "12 %"], 1, "write numbers without a unit"),
        (["1", "2", "True"], 2, "has 'True'; write 1 and 0"),
        (["1", "2", "x"], 2, "has 'x'; correct it, or leave it empty"),
        (["red", "blue", "1"], 0, "has 'red'; text is not read: .* a column of 1 and 0"),
    ],
)
def test_what_is_no_number_is_named(cells: list[str], row: int, words: str) -> None:
    with pytest.raises(CellError, match=words) as raised:
        read_numbers({"x": cells}, None, ";")
    assert raised.value.row == row


def test_three_decimals_everywhere_are_decimals_between_commas() -> None:
    np.testing.assert_array_equal(
        read_numbers({"x": ["1.500", "20"]}, None, ",").values.T, [[1.5, 20]]
    )
    np.testing.assert_array_equal(
        read_numbers({"x": ["1.500", "2.000"]}, None, ";").values.T, [[1.5, 2]]
    )


def test_what_stands_for_no_value() -> None:
    assert all(map(is_missing, ["", " ", "NA", "nan", "#N/A", "<NA>", "null", "?", "-", ".."]))
    assert not any(map(is_missing, ["0", "-1", "inf", "x", "nano"]))


def test_a_decimal_sign_that_was_named_is_what_is_wrong() -> None:
    named = (
        r"'1\.5', while the decimal sign is named as ','; .* write decimal = \"\.\" in \[series\]"
    )
    with pytest.raises(CellError, match=named):
        read_numbers({"x": ["3", "1.5"]}, ",", ";")


def test_later_rows_have_the_sign_of_the_series() -> None:
    later = r"'1,5', while the file of the series has the decimal sign '\.'; write later rows with"
    with pytest.raises(CellError, match=later) as raised:
        read_numbers({"x": ["3.5", "1.5", "1,5", "2,5"]}, None, ";", own_rows=2)
    assert raised.value.row == 2
