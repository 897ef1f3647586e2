"""Sampling of a space, and the candidates that its samples stand for."""

import json
from itertools import pairwise

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from models.candidate import from_plain, to_plain
from models.methods import Choices, Domain, FloatRange, IntRange, Scalar
from models.training.losses.squared_error import SquaredError
from models.training.options.noise import FeedbackNoise
from models.training.trained_network import TrainedNetwork
from search.errors import UsageError
from search.study.space import (
    PRESET,
    Space,
    complete_space,
    distribution_of,
    parameter_named,
    parameters,
    read_space,
)
from tests.search.study.space.samples import (
    full_space,
    other_values,
    sample,
    sample_with,
    samples,
    settings_of,
)

FULL = full_space()
PARAMETERS = parameters()

DOMAINS: list[tuple[str, Domain]] = [
    ("cell", Choices(("rnn", "gru"))),
    ("hidden_units", Choices((8, 16))),
    ("hidden_units", IntRange(1, 9)),
    ("hidden_units", IntRange(1, 100, log=True)),
    ("hidden_units", IntRange(8, 32, step=8)),
    ("layers", Choices((7,))),
    ("offset", Choices((False, True))),
    ("input_noise_std", Choices((0.0, 0.1))),
    ("input_noise_std", FloatRange(0.0, 1.0)),
    ("input_noise_std", FloatRange(1e-4, 1.0, log=True)),
    ("input_noise_std", FloatRange(0.0, 1.0, step=0.25)),
]


@pytest.mark.parametrize(("name", "domain"), DOMAINS, ids=str)
def test_what_is_suggested_is_in_the_domain_and_from_its_distribution(
    name: str, domain: Domain
) -> None:
    space = Space({"cell": Choices(("gru",)), name: domain})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        assert domain.contains(space.suggest(trial)[name])
        assert trial.distributions[name] == distribution_of(domain)


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1))
def test_a_fixed_trial_gives_its_own_values(std: float) -> None:
    space = Space({"cell": Choices(("gru", "rnn")), "input_noise_std": FloatRange(0.0, 1.0)})
    params: dict[str, Scalar] = {"cell": "rnn", "input_noise_std": std}
    assert space.suggest(FixedTrial(params)) == params


def test_samples_are_in_the_order_of_the_domains() -> None:
    """A stored study goes on as it began when a later version has another order."""
    names = ["offset", "cell", "learning_rate", "hidden_units", "modes", "context"]
    domains = {name: FULL[name] for name in names}
    for seed in range(20):
        params = sample(seed, domains)
        assert list(params) == [name for name in names if name in params]
        backwards = sample(seed, {name: FULL[name] for name in ["offset", "learning_rate", "cell"]})
        assert list(backwards) == ["offset", "cell"]  # before the cell, nothing is trained
    space = Space(domains, presets={"small": {"hidden_units": 4}})
    params = space.suggest(
        FixedTrial({**sample(0, {**domains, "cell": Choices(("gru",))}), PRESET: "small"})
    )
    assert list(params) == [PRESET, *(name for name in names if name in params)]
    assert "hidden_units" not in params


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_every_sample_has_what_applies_nothing_else_and_resolves(seed: int) -> None:
    space = full_space(train_steps=600)
    params = sample(seed, space)
    assert set(params) == {row.name for row in PARAMETERS if row.when.holds(params)}
    candidate = Space(space).resolve(params)
    assert from_plain(json.loads(json.dumps(to_plain(candidate)))) == candidate
    assert candidate.least_steps <= 600
    if isinstance(candidate, TrainedNetwork):
        sizes = [params[name] for name in ("hidden_units", "modes") if name in params]
        assert [candidate.cell.units] == sizes
        if candidate.rollout_steps == 1:
            assert candidate[SquaredError].teacher_weight == 1.0
            assert candidate[SquaredError].curriculum_fraction == 0.0
            assert candidate[FeedbackNoise].std == 0.0


def test_a_candidate_has_the_methods_whose_settings_were_sampled() -> None:
    """A sampled setting belongs to a method that applies; a method that is not neutral is there."""
    for params in samples()[:100]:
        methods = set(map(type, Space(FULL).resolve(params)))
        for name, value in params.items():
            parameter = parameter_named(name)
            assert parameter is not None
            applying = [owner for owner in parameter.owners if owner.presence().holds(params)]
            assert len(applying) == (value != "none" or name not in ("forcing", "weight_average"))
            if value != parameter.neutral:
                assert methods >= set(applying), name


@pytest.mark.parametrize("name", [row.name for row in PARAMETERS])
def test_each_parameter_reaches_its_own_setting(name: str) -> None:
    met = [params for params in samples() if name in params]
    assert met
    for params in met[:20]:
        before = settings_of(Space(FULL).resolve(params))
        assert before[name] == params[name]
        for value in other_values(name, params):
            after = settings_of(Space(FULL).resolve({**params, name: value}))
            assert after == {**before, name: value}


def test_a_parameter_that_does_not_apply_changes_nothing() -> None:
    params = sample_with(cell="gru", context="state")
    more: dict[str, Scalar] = {"modes": 4, "window_steps": 16, "window_rollout_steps": 4}
    assert Space(FULL).resolve(params | more) == Space(FULL).resolve(params)


def test_whole_numbers_become_real_where_a_real_one_is_meant() -> None:
    params = sample_with(context="state") | {"clip_norm": 1, "teacher_weight": 0, "weight_decay": 0}
    candidate = Space(FULL).resolve(params)
    assert isinstance(candidate, TrainedNetwork)
    assert repr(candidate.optimiser.clip_norm) == "1.0"
    assert repr(candidate.optimiser.weight_decay) == "0.0"


def test_parameters_that_freerun_did_not_sample_are_refused() -> None:
    space = Space(FULL)
    params = sample_with(cell="gru")
    with pytest.raises(UsageError, match="a trial's hidden_units is missing, which GRU needs"):
        space.resolve({name: value for name, value in params.items() if name != "hidden_units"})
    with pytest.raises(UsageError, match=r"a trial's cell must be .* Did you mean 'gru'"):
        space.resolve(params | {"cell": "gruu"})
    with pytest.raises(UsageError, match="a trial's cell is missing; there are only none"):
        space.resolve({})
    with pytest.raises(UsageError, match="a trial's hidden_units must be a whole number"):
        space.resolve(params | {"hidden_units": "8"})


@pytest.mark.parametrize("name", [row.name for row in PARAMETERS if row.neutral is not None])
def test_a_parameter_that_came_later_is_neutral_in_an_older_space(name: str) -> None:
    older: dict[str, Domain] = {n: d for n, d in FULL.items() if n != name}
    parameter = parameter_named(name)
    assert parameter is not None
    for seed in range(3):
        params = sample(seed, older)
        assert name not in params
        values = Space(older).resolve(params).values()
        assert values.get(name, parameter.neutral) == parameter.neutral


def test_the_cohort_names_are_those_of_the_space() -> None:
    space = complete_space(read_space({"cell": ["rnn", "gru"]}), 600)
    names = Space(space).cohort_names
    assert names == tuple(row.name for row in PARAMETERS if row.shared and row.name in space)
    assert {"cell", "hidden_units", "rollout_steps"} <= set(names)
    assert not {"modes", "learning_rate"} & set(names)


def test_candidates_share_a_cohort_exactly_when_their_cohort_names_agree() -> None:
    space = Space(FULL)
    for one, other in pairwise(samples()[:60]):
        # As `one`, but with what `other` has for the parameters that cohorts do not depend on.
        partner: dict[str, Scalar] = {
            name: value if name in space.cohort_names else other.get(name, value)
            for name, value in one.items()
        }
        key = space.resolve(one).cohort_key()
        assert space.resolve(partner).cohort_key() == key
        agree = all(one.get(name) == other.get(name) for name in space.cohort_names)
        assert (space.resolve(other).cohort_key() == key) == agree
