import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from models.methods import Choices, Domain, FloatRange, IntRange, Scalar, largest, smallest

DOMAINS: list[Domain] = [
    Choices(("rnn", "gru")),
    Choices((8, 16)),
    Choices((0.0, 0.1)),
    Choices((False, True)),
    Choices((7,)),
    IntRange(1, 9),
    IntRange(1, 100, log=True),
    IntRange(8, 32, step=8),
    FloatRange(0.0, 1.0),
    FloatRange(1e-4, 1.0, log=True),
    FloatRange(0.0, 1.0, step=0.25),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_what_is_suggested_is_in_the_domain_and_from_its_distribution(domain: Domain) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        assert domain.contains(domain.suggest(trial, "x"))
        assert trial.distributions == {"x": domain.distribution()}


@pytest.mark.parametrize(
    ("domain", "outside"),
    [
        (Choices((8, 16)), 12),
        (Choices((0, 1)), True),
        (Choices((False, True)), 1),
        (Choices((8, 16)), 8.0),
        (IntRange(1, 9), 10),
        (IntRange(1, 9), 2.0),
        (IntRange(0, 9), True),
        (IntRange(8, 32, step=8), 12),
        (FloatRange(0.0, 1.0), 1.5),
        (FloatRange(0.0, 1.0), "0.5"),
        (FloatRange(0.0, 1.0, step=0.25), 0.3),
    ],
)
def test_what_is_outside_is_not_contained(domain: Domain, outside: Scalar) -> None:
    assert not domain.contains(outside)


@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [
        (Choices((16, 8, 64)), 8, 64),
        (IntRange(2, 5), 2, 5),
        (FloatRange(0.5, 0.75), 0.5, 0.75),
    ],
)
def test_numeric_domains_have_ends(domain: Domain, low: float, high: float) -> None:
    assert (smallest(domain), largest(domain)) == (low, high)


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1))
def test_a_fixed_trial_gives_its_own_value(share: float) -> None:
    assert FloatRange(0.0, 1.0).suggest(FixedTrial({"x": share}), "x") == share
