"""Domains as a study file gives them: their types, their bounds, and what is refused."""

import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.methods import (
    Choices,
    Domain,
    Flag,
    FloatRange,
    IntRange,
    Names,
    Real,
    SettingError,
    Values,
    Whole,
)
from search.study.space import distribution_of, read_domain

CELL = Names(("rnn", "gru"))
UNITS = Whole(1, 4096)
RATE = Real(1e-9, 100)


@pytest.mark.parametrize(
    ("raw", "values", "domain"),
    [
        ("gru", CELL, Choices(("gru",))),
        (["gru", "rnn"], CELL, Choices(("gru", "rnn"))),
        (False, Flag(), Choices((False,))),
        (8, UNITS, Choices((8,))),
        ([8, 16], UNITS, Choices((8, 16))),
        ([1, 0.5], RATE, Choices((1.0, 0.5))),
        ({"low": 8, "high": 64}, UNITS, IntRange(8, 64)),
        ({"low": 8, "high": 64, "step": 8}, UNITS, IntRange(8, 64, step=8)),
        ({"low": 8, "high": 64, "log": True}, UNITS, IntRange(8, 64, log=True)),
        ({"low": 1, "high": 2}, RATE, FloatRange(1.0, 2.0)),
        ({"low": 0.1, "high": 0.4, "step": 0.1}, RATE, FloatRange(0.1, 0.4, step=0.1)),
        ({"low": 1e-4, "high": 1, "log": True}, RATE, FloatRange(1e-4, 1.0, log=True)),
    ],
)
def test_a_domain_takes_the_type_of_its_parameter(
    raw: object, values: Values, domain: Domain
) -> None:
    read = read_domain("x", raw, values)
    assert read == domain
    plain, expected = read.to_plain(), domain.to_plain()
    assert repr(plain) == repr(expected)  # 1 and 1.0 are equal, but not as JSON
    assert read_domain("x", plain, values) == domain
    assert read_domain("x", domain, values) == domain


@pytest.mark.parametrize(
    ("raw", "values", "key", "words"),
    [
        ("gruu", CELL, "x", """must be "rnn" or "gru", but got "gruu". Did you mean 'gru'?"""),
        (["gru", 3], CELL, "x", "but got 3"),
        ([], CELL, "x", "at least one choice"),
        (["gru", "gru"], CELL, "x", '"gru" twice'),
        ({"low": 1, "high": 2}, CELL, "x", "list of choices"),
        ({"low": 1, "high": 2}, Flag(), "x", "list of choices"),
        (1, Flag(), "x", "true or false"),
        (True, UNITS, "x", "whole number, but got true"),
        (8.0, UNITS, "x", "whole number, but got 8.0"),
        ([0], UNITS, "x", "from 1 to 4096, but got 0"),
        ("8", UNITS, "x", 'but got "8"'),
        ([[8]], UNITS, "x", "but got [8]"),
        (float("nan"), RATE, "x", "finite number, but got nan"),
        ([float("-inf")], RATE, "x", "finite number, but got -inf"),
        (True, RATE, "x", "must be a number, but got true"),
        (10**400, RATE, "x", "but got a number of 1329 bits"),
        ({}, RATE, "x.low", "is missing"),
        ({"low": 1}, RATE, "x.high", "is missing"),
        ({"low": 1, "hgih": 2}, RATE, "x.hgih", "Did you mean 'high'?"),
        ({"low": 0.1, "high": 0.001}, RATE, "x.low", "low = 0.1, high = 0.001; swap them"),
        ({"low": 2, "high": 2}, RATE, "x.low", "write x = 2.0"),
        ({"low": 0, "high": 2}, RATE, "x.low", "from 1e-09 to 100, but got 0"),
        ({"low": 0, "high": 1, "log": True}, Real(0, 1), "x.low", "above 0 where log = true"),
        ({"low": 1, "high": 2, "log": 1}, RATE, "x.log", "true or false"),
        ({"low": 1, "high": 2, "log": True, "step": 1}, RATE, "x.step", "left out"),
        ({"low": 1, "high": 3, "log": True, "step": 2}, UNITS, "x.step", "left out"),
        ({"low": 1, "high": 2, "step": 0}, RATE, "x.step", "but got 0"),
        ({"low": 1, "high": 2, "step": 0}, UNITS, "x.step", "but got 0"),
        ({"low": 1, "high": 2, "step": 5}, UNITS, "x.step", "1 to 10000000 steps"),
        ({"low": 1, "high": 32, "step": 5}, UNITS, "x.high", "write high = 31"),
        ({"low": 0.1, "high": 1, "step": 0.25}, RATE, "x.high", "write high = 0.85"),
    ],
)
def test_what_is_no_domain_is_refused_at_its_key(
    raw: object, values: Values, key: str, words: str
) -> None:
    with pytest.raises(SettingError) as raised:
        read_domain("x", raw, values)
    assert raised.value.key == key
    assert words in raised.value.rule


NUMBERS = st.one_of(st.integers(-3, 50), st.floats(), st.sampled_from([0.1, 0.3, 0.25, 1e-9]))
RANGES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"low": NUMBERS, "high": NUMBERS}, optional={"log": st.booleans(), "step": NUMBERS}
)


@settings(deadline=None, max_examples=100)
@given(raw=RANGES, values=st.sampled_from([UNITS, RATE, Real(0, 100), Whole(0, 1000)]))
def test_every_range_that_is_accepted_is_one_for_optuna(
    raw: dict[str, Any], values: Values
) -> None:
    try:
        domain = read_domain("x", raw, values)
    except SettingError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distribution = distribution_of(domain)
    assert not distribution.single()
