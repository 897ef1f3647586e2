"""What a setting can be, and the domains that a study searches."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.methods import (
    Choices,
    Domain,
    Flag,
    FloatRange,
    IntRange,
    Names,
    Real,
    Scalar,
    SettingError,
    Values,
    Whole,
    counted,
    either,
    largest,
    nearest,
    shown,
    smallest,
)


@pytest.mark.parametrize(
    ("values", "raw", "kept"),
    [
        (Names(("rnn", "gru")), "gru", "gru"),
        (Flag(), False, False),
        (Whole(1, 8), 1, 1),
        (Whole(1, 8), 8, 8),
        (Real(0, 2), 2, 2.0),
        (Real(0, 2), 0.5, 0.5),
    ],
)
def test_a_value_is_kept_in_its_own_type(values: Values, raw: object, kept: Scalar) -> None:
    found = values.check("x", raw)
    assert (found, type(found)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("values", "raw", "rule"),
    [
        (Names(("rnn", "gru")), "gruu", 'must be "rnn" or "gru", but got "gruu". Did you mean'),
        (Names(("rnn",)), 3, 'must be "rnn", but got 3.'),
        (Names(("rnn",)), ["rnn"], 'but got ["rnn"]'),
        (Flag(), 1, "must be true or false, without quotes, but got 1"),
        (Flag(), "true", 'must be true or false, without quotes, but got "true"'),
        (Whole(1, 8), 9, "must be from 1 to 8, but got 9"),
        (Whole(1, 8), True, "must be a whole number, but got true"),
        (Whole(1, 8), 2.0, "must be a whole number, but got 2.0"),
        (Whole(1, 8), None, "must be a whole number, but got None"),
        (Real(0, 2), 2.5, "must be from 0 to 2, but got 2.5"),
        (Real(0, 2), "1", 'must be a number, but got "1"'),
        (Real(0, 2), False, "must be a number, but got false"),
        (Real(0, 2), math.nan, "must be a finite number, but got nan"),
        (Real(0, 2), math.inf, "must be a finite number, but got inf"),
        (Real(0, 2), 10**400, "but got a number of 1329 bits"),
    ],
)
def test_another_value_is_refused_by_its_rule(values: Values, raw: object, rule: str) -> None:
    with pytest.raises(SettingError) as raised:
        values.check("space.x", raw)
    assert raised.value.key == "space.x"
    assert rule in raised.value.rule
    assert str(raised.value) == f"space.x {raised.value.rule}"


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (Choices((8, 16)), (8, 16), (12, 8.0)),
        (Choices((0, 1)), (0, 1), (True,)),
        (Choices((False, True)), (True, False), (1, 0.0)),
        (Choices(("rnn", "gru")), ("gru",), ("lstm",)),
        (IntRange(0, 9), (0, 5, 9), (10, 2.0, True, "5")),
        (IntRange(8, 32, step=8), (8, 16, 32), (12, 40)),
        (FloatRange(0.0, 1.0), (0.0, 0.5, 1, 1.0), (1.5, "0.5", True)),
        (FloatRange(0.0, 1.0, step=0.25), (0.25, 1.0), (0.3,)),
        (FloatRange(0.0, 0.3, step=0.1), (0.1 + 0.1,), (0.15,)),
    ],
    ids=str,
)
def test_a_domain_contains_what_may_be_sampled(
    domain: Domain, inside: tuple[Scalar, ...], outside: tuple[Scalar, ...]
) -> None:
    assert all(domain.contains(value) for value in inside)
    assert not any(domain.contains(value) for value in outside)


@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [
        (Choices((16, 8, 64)), 8, 64),
        (IntRange(2, 5), 2, 5),
        (FloatRange(0.5, 0.75), 0.5, 0.75),
    ],
    ids=str,
)
def test_numeric_domains_have_ends(domain: Domain, low: float, high: float) -> None:
    assert (smallest(domain), largest(domain)) == (low, high)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        ("a", '"a"'),
        (1.5, "1.5"),
        (-math.inf, "-inf"),
        ([1, "a", False], '[1, "a", false]'),
        ({"low": 1, "log": True}, "{ low = 1, log = true }"),
        ({}, "an empty table"),
    ],
)
def test_messages_show_values_as_a_study_file_holds_them(value: object, text: str) -> None:
    assert shown(value) == text


@given(st.recursive(st.integers() | st.text() | st.floats(), st.lists, max_leaves=30))
def test_shown_values_are_short(value: object) -> None:
    assert len(shown(value)) <= 63


def test_words() -> None:
    assert either(["a"]) == '"a"'
    assert either(["a", "b", 3]) == '"a", "b" or 3'
    assert nearest("learning_rat", ["learning_rate", "layers"]) == " Did you mean 'learning_rate'?"
    assert nearest("wings", ["learning_rate", "layers"]) == ""
    assert [counted(n, "draw") for n in (0, 1, 2, 1000)] == [
        *("0 draws", "1 draw", "2 draws", "1,000 draws")
    ]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("trails", " Did you mean 'trials'?"),
        ("trials", " Did you mean 'trials'?"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_nearest_offers_a_close_name_or_nothing(word: str, hint: str) -> None:
    assert nearest(word, ["minutes", "trials", "workers"]) == hint
