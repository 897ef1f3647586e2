from itertools import pairwise
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import RandomSampler

from models.candidate import Candidate
from search.errors import UsageError
from search.series.section import SectionError
from search.study.domain import Choices, Domain, FloatRange, IntRange, Scalar
from search.study.parameters import BY_NAME, PARAMETERS
from search.study.space import Space, check_complete, complete_space, read_space

optuna.logging.set_verbosity(optuna.logging.WARNING)

DEFAULT = complete_space({}, train_steps=600)

PARAMS: dict[str, Scalar] = {
    "cell": "gru",
    "hidden_units": 16,
    "layers": 2,
    "head_layers": 1,
    "residual": True,
    "context": "state",
    "warm_up_steps": 100,
    "rollout_steps": 64,
    "teacher_weight": 0.25,
    "curriculum_fraction": 0.5,
    "input_noise_std": 0.02,
    "feedback_noise_std": 0.05,
    "output_noise_std": 0.1,
    "label_noise_std": 0.2,
    "learning_rate": 0.01,
    "weight_decay": 0.001,
    "clip_norm": 1.0,
    "schedule": "cosine",
    "training_steps": 200,
    "batch_size": 8,
    "restarts": 4,
}


def sample(seed: int, domains: dict[str, Domain] = DEFAULT) -> dict[str, Scalar]:
    trial = optuna.create_study(sampler=RandomSampler(seed=seed)).ask()
    params = Space(domains).suggest(trial)
    assert params == trial.params
    assert trial.distributions == Space(domains).distributions(params)
    return params


def test_without_a_word_the_space_is_the_default_in_the_order_of_the_table() -> None:
    assert list(DEFAULT.items()) == [(row.name, row.default) for row in PARAMETERS]


def test_what_is_named_replaces_its_default() -> None:
    named = read_space({"cell": "gru", "learning_rate": {"low": 0.001, "high": 0.01}})
    space = complete_space(named, 600)
    assert space["cell"] == Choices(("gru",))
    assert space["learning_rate"] == FloatRange(0.001, 0.01)
    assert space["layers"] == BY_NAME["layers"].default


def test_parameters_that_no_candidate_could_have_are_left_out() -> None:
    raw = {"cell": ["gru"], "modes": [4], "context": "state", "rollout_steps": 1}
    left_out = set(DEFAULT) - set(complete_space(read_space(raw), 600))
    assert left_out == {
        "modes",
        "window_steps",
        "window_rollout_steps",
        "teacher_weight",
        "curriculum_fraction",
        "feedback_noise_std",
    }


@pytest.mark.parametrize(
    ("raw", "train_steps", "warm_ups", "rollouts"),
    [
        ({}, 600, (50, 100, 200), (1, 16, 64, 256)),
        ({}, 300, (50, 100), (1, 16, 64)),
        ({}, 100, (50,), (1, 16)),
        ({"warm_up_steps": [20]}, 300, (20,), (1, 16, 64, 256)),
        ({"rollout_steps": [250]}, 300, (50,), (250,)),
        ({"warm_up_steps": 44, "rollout_steps": 256}, 300, (44,), (256,)),
    ],
)
def test_defaults_that_do_not_fit_the_training_span_are_dropped(
    raw: dict[str, Any], train_steps: int, warm_ups: tuple[int, ...], rollouts: tuple[int, ...]
) -> None:
    space = complete_space(read_space(raw), train_steps)
    assert space["warm_up_steps"] == Choices(warm_ups)
    assert space["rollout_steps"] == Choices(rollouts)


@pytest.mark.parametrize(
    ("raw", "train_steps", "key", "words"),
    [
        ({}, 60, "warm_up_steps", "name some, for example warm_up_steps = [30]"),
        ({"warm_up_steps": 600}, 600, "warm_up_steps", "leave room for rollout_steps"),
        ({"rollout_steps": {"low": 1, "high": 700}}, 600, "rollout_steps", "reaches 700"),
        ({"rollout_steps": 590}, 600, "warm_up_steps", "leaves 10 steps"),
        (
            {"warm_up_steps": 400, "rollout_steps": [1, 201]},
            600,
            "warm_up_steps",
            "together must be at most train_steps = 600, but reach 400 + 201 = 601",
        ),
        ({"window_steps": 598, "window_rollout_steps": 4}, 600, "window_steps", "598 + 4"),
    ],
)
def test_a_context_and_rollout_that_can_not_fit_are_refused(
    raw: dict[str, Any], train_steps: int, key: str, words: str
) -> None:
    with pytest.raises(SectionError) as raised:
        complete_space(read_space(raw), train_steps)
    assert raised.value.key == key
    assert words in raised.value.rule


def test_a_context_that_is_not_searched_need_not_fit() -> None:
    raw = {"context": "window", "warm_up_steps": 5000}
    assert "warm_up_steps" not in complete_space(read_space(raw), 60)


def test_an_unknown_parameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SectionError, match="Did you mean 'hidden_units'"):
        read_space({"hidden_unit": [8]})


def test_a_stored_space_must_have_what_every_candidate_needs() -> None:
    check_complete(DEFAULT)
    check_complete({name: domain for name, domain in DEFAULT.items() if name != "restarts"})
    with pytest.raises(SectionError, match="modes is missing"):
        check_complete({name: domain for name, domain in DEFAULT.items() if name != "modes"})


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_every_sample_has_what_applies_nothing_else_and_resolves(seed: int) -> None:
    params = sample(seed)
    assert set(params) == {row.name for row in PARAMETERS if row.applies(params)}
    candidate = Space(DEFAULT).resolve(params)
    assert Candidate.from_dict(candidate.to_dict()) == candidate
    architecture, strategy = candidate.architecture, candidate.strategy
    assert architecture.units == params["modes" if params["cell"] == "lru" else "hidden_units"]
    assert architecture.context_steps + strategy.rollout_steps <= 600
    if strategy.rollout_steps == 1:
        assert strategy.teacher_weight == 1.0
        assert strategy.curriculum_fraction == strategy.feedback_noise_std == 0.0


def test_each_parameter_reaches_its_own_field() -> None:
    candidate = Space(DEFAULT).resolve(PARAMS)
    plain = candidate.to_dict()
    flat = plain["architecture"] | plain["strategy"] | {"restarts": plain["restarts"]}
    renamed = {"hidden_units": "units", "warm_up_steps": "context_steps"}
    assert flat == {renamed.get(name, name): value for name, value in PARAMS.items()}


def test_a_window_and_modes_reach_the_same_fields() -> None:
    windowed: dict[str, Scalar] = {
        "cell": "lru",
        "modes": 4,
        "context": "window",
        "window_steps": 16,
    }
    candidate = Space(DEFAULT).resolve(PARAMS | windowed | {"window_rollout_steps": 4})
    assert candidate.architecture.units == 4
    assert candidate.architecture.context_steps == 16
    assert candidate.strategy.rollout_steps == 4


def test_whole_numbers_become_real_where_a_real_one_is_meant() -> None:
    candidate = Space(DEFAULT).resolve(PARAMS | {"clip_norm": 1, "teacher_weight": 0})
    assert repr(candidate.strategy.clip_norm) == "1.0"
    assert repr(candidate.strategy.teacher_weight) == "0.0"


def test_parameters_that_freerun_did_not_sample_are_refused() -> None:
    space = Space(DEFAULT)
    with pytest.raises(UsageError, match="a trial must have a value for hidden_units"):
        space.resolve({name: value for name, value in PARAMS.items() if name != "hidden_units"})
    with pytest.raises(UsageError, match="Did you mean 'gru'"):
        space.resolve(PARAMS | {"cell": "gruu"})
    with pytest.raises(UsageError, match="must have a value for context, but has only none"):
        space.resolve({})


def test_a_parameter_that_came_later_is_neutral_in_an_older_space() -> None:
    older: dict[str, Domain] = {n: d for n, d in DEFAULT.items() if n != "label_noise_std"}
    params = sample(0, older)
    assert "label_noise_std" not in params
    assert Space(older).resolve(params).strategy.label_noise_std == 0.0


def test_the_cohort_names_are_those_of_the_space() -> None:
    names = Space(complete_space(read_space({"cell": ["rnn", "gru"]}), 600)).cohort_names
    assert names == (
        "cell",
        "hidden_units",
        "layers",
        "head_layers",
        "residual",
        "context",
        "window_steps",
        "warm_up_steps",
        "rollout_steps",
        "window_rollout_steps",
        "training_steps",
        "batch_size",
    )


def test_candidates_share_a_cohort_exactly_when_their_cohort_names_agree() -> None:
    space = Space(DEFAULT)
    for one, other in pairwise(sample(seed) for seed in range(60)):
        # As `one`, but with what `other` has for the parameters that cohorts do not depend on.
        partner: dict[str, Scalar] = {
            name: value if name in space.cohort_names else other.get(name, value)
            for name, value in one.items()
        }
        key = space.resolve(one).cohort_key()
        assert space.resolve(partner).cohort_key() == key
        agree = all(one.get(name) == other.get(name) for name in space.cohort_names)
        assert (space.resolve(other).cohort_key() == key) == agree


def test_a_range_is_searched_where_the_study_file_gives_one() -> None:
    space = complete_space(read_space({"hidden_units": {"low": 8, "high": 64, "step": 8}}), 600)
    assert space["hidden_units"] == IntRange(8, 64, step=8)
    for seed in range(20):
        units = sample(seed, space).get("hidden_units", 8)
        assert isinstance(units, int)
        assert units % 8 == 0
