"""Names and texts from outside: what is refused, and that a message stays readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import UsageError
from search.names import MOST_CHARACTERS, check_name, cut

ANY_TEXT = st.text(st.characters(), max_size=300)  # surrogates, too


@given(text=ANY_TEXT, most=st.integers(0, 250))
def test_what_is_shown_is_short_printable_and_on_one_line(text: str, most: int) -> None:
    shown = cut(text, most)
    assert len(shown) <= most + 3
    assert shown.isprintable()
    shown.encode()


@given(text=st.text(st.characters(categories=["L", "N"]), max_size=100))
def test_what_is_readable_is_shown_as_it_is(text: str) -> None:
    assert cut(text) == text


@pytest.mark.parametrize("name", ["a\udcff", "a\0b", "x" * (MOST_CHARACTERS + 1)])
def test_what_no_database_could_hold_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="the name of a study must") as refused:
        check_name(name, "the name of a study")
    assert len(str(refused.value)) < 300
    str(refused.value).encode()


def test_other_names_are_returned() -> None:
    assert check_name("wave é 1", "the name") == "wave é 1"
