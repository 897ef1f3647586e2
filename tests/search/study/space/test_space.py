from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.samplers import RandomSampler
from search.study.parameters import BY_NAME, CELLS, PARAMETERS

from models.candidate import Candidate
from models.methods import Choices, Domain, FloatRange, IntRange, Scalar, SettingError, largest
from search.errors import UsageError
from search.study.space import Space, check_complete, complete_space, read_space

optuna.logging.set_verbosity(optuna.logging.WARNING)

# Long enough for every default choice of context and rollout.
DEFAULT = complete_space({}, train_steps=100_000)
# All that a study file may ask for beyond the default.
EVERYTHING: dict[str, Domain] = {r.name: r.default for r in PARAMETERS if r.opt_in} | {
    "cell": Choices(CELLS)
}
FULL = complete_space(EVERYTHING, train_steps=100_000)

# The fields of a candidate that are not named as the parameters that set them.
RENAMED = {
    "hidden_units": "units",
    "modes": "units",
    "warm_up_steps": "context_steps",
    "window_steps": "context_steps",
    "window_rollout_steps": "rollout_steps",
    "reservoir_units": "units",
    "nvar_delays": "units",
    "ar_order": "context_steps",
    "ssa_window": "context_steps",
}


def sample(seed: int, domains: dict[str, Domain] = FULL) -> dict[str, Scalar]:
    trial = optuna.create_study(sampler=RandomSampler(seed=seed)).ask()
    params = Space(domains).suggest(trial)
    assert params == trial.params
    assert trial.distributions == Space(domains).distributions(params)
    return params


@cache
def samples() -> list[dict[str, Scalar]]:
    """Enough samples of the full space to meet every parameter several times."""
    return [sample(seed) for seed in range(600)]


def sample_with(**values: Scalar) -> dict[str, Scalar]:
    """A sample of the full space that has these values."""
    return dict(next(params for params in samples() if values.items() <= params.items()))


def test_without_a_word_the_space_is_the_default_in_the_order_of_the_table() -> None:
    rows = [row for row in PARAMETERS if not row.opt_in and row.can_apply(DEFAULT)]
    assert list(DEFAULT.items()) == [(row.name, row.default) for row in rows]
    assert "hidden_units" in DEFAULT


def test_what_is_no_part_of_the_default_space_is_searched_where_it_is_named() -> None:
    assert list(FULL.items()) == [
        (row.name, EVERYTHING.get(row.name, row.default)) for row in PARAMETERS
    ]
    named = read_space({"dropout": [0.3]})
    assert set(complete_space(named, 100_000)) == {*DEFAULT, "dropout"}


LINEAR_CELL: dict[str, Any] = {"cell": "lru", "head_layers": 0}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"professor_weight": 0.5}, 'is sampled where teacher_span is "rollout", but no'),
        ({"stateful": True, "context": "window"}, "where rollout_steps is above 1"),
        ({"dropout": 0.1, "context": "state"} | LINEAR_CELL, "head_layers"),
        ({"sign_augmentation": True, "offset": False} | LINEAR_CELL, "or offset is true"),
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_is_named_in_vain_is_refused(raw: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match="name what it rests on") as raised:
        complete_space(read_space(raw), 600)
    assert raised.value.key == next(iter(raw))
    assert words in raised.value.rule


def test_a_cells_own_numbers_come_with_the_cell() -> None:
    assert not {"lem_step", "reflections"} & set(DEFAULT)
    space = complete_space(read_space({"cell": ["gru", "lem"]}), 600)
    assert {"lem_step", "hidden_units"} <= set(space)
    assert not {"cornn_step", "modes"} & set(space)


def test_a_window_mlp_has_no_other_context() -> None:
    space = complete_space(read_space({"cell": "mlp"}), 600)
    assert not {"context", "warm_up_steps", "rollout_steps", "autonomous"} & set(space)
    candidate = Space(space).resolve(sample(0, space))
    assert candidate.architecture.context == "window"
    assert candidate.architecture.context_steps in (4, 16, 64)


def test_what_is_named_replaces_its_default() -> None:
    named = read_space({"cell": "gru", "learning_rate": {"low": 0.001, "high": 0.01}})
    space = complete_space(named, 600)
    assert space["cell"] == Choices(("gru",))
    assert space["learning_rate"] == FloatRange(0.001, 0.01)
    assert space["layers"] == BY_NAME["layers"].default


def test_parameters_that_no_candidate_could_have_are_left_out() -> None:
    raw = {"cell": ["gru"], "modes": [4], "context": "state", "rollout_steps": 1}
    space = complete_space(read_space(raw), 600)
    left_out = set(DEFAULT) - set(space)
    assert left_out == {
        row.name for row in PARAMETERS if row.name in DEFAULT and not row.can_apply(space)
    }
    assert left_out >= {
        *("modes", "window_steps", "window_rollout_steps"),
        *("teacher_weight", "curriculum_fraction", "feedback_noise_std"),
    }
    assert set().union(*(sample(seed, space) for seed in range(20))) == set(space)


def defaults_up_to(name: str, steps: int) -> Choices:
    default = BY_NAME[name].default
    assert isinstance(default, Choices)
    return Choices(tuple(v for v in default.values if isinstance(v, int) and v <= steps))


@pytest.mark.parametrize("train_steps", [100, 300, 598, 600])
def test_defaults_that_do_not_fit_the_training_span_are_dropped(train_steps: int) -> None:
    space = complete_space({}, train_steps)
    assert space["warm_up_steps"] == defaults_up_to("warm_up_steps", train_steps // 2)
    left = train_steps - int(largest(space["warm_up_steps"]))
    assert space["rollout_steps"] == defaults_up_to("rollout_steps", left)


def test_what_is_named_takes_its_part_of_the_training_span() -> None:
    space = complete_space(read_space({"warm_up_steps": [20]}), 300)
    assert space["warm_up_steps"] == Choices((20,))
    assert space["rollout_steps"] == defaults_up_to("rollout_steps", 280)
    space = complete_space(read_space({"rollout_steps": [250]}), 300)
    assert space["warm_up_steps"] == defaults_up_to("warm_up_steps", 50)
    assert space["rollout_steps"] == Choices((250,))
    space = complete_space(read_space({"warm_up_steps": 44, "rollout_steps": 256}), 300)
    assert space["warm_up_steps"] == Choices((44,))
    assert space["rollout_steps"] == Choices((256,))


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
    with pytest.raises(SettingError) as raised:
        complete_space(read_space(raw), train_steps)
    assert raised.value.key == key
    assert words in raised.value.rule


def test_a_context_that_is_not_searched_need_not_fit() -> None:
    raw = {"context": "window", "warm_up_steps": 5000}
    assert "warm_up_steps" not in complete_space(read_space(raw), 60)


def test_an_unknown_parameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingError, match="Did you mean 'hidden_units'"):
        read_space({"hidden_unit": [8]})


def test_a_stored_space_must_have_what_every_candidate_needs() -> None:
    check_complete(FULL)
    for row in PARAMETERS:
        rest = {name: domain for name, domain in FULL.items() if name != row.name}
        if row.neutral is not None:
            check_complete(rest)
            continue
        with pytest.raises(SettingError, match="is missing") as raised:
            check_complete(rest)
        assert raised.value.key == row.name


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_every_sample_has_what_applies_nothing_else_and_resolves(seed: int) -> None:
    space = complete_space(EVERYTHING, train_steps=600)
    params = sample(seed, space)
    assert set(params) == {row.name for row in PARAMETERS if row.applies(params)}
    candidate = Space(space).resolve(params)
    assert Candidate.from_dict(candidate.to_dict()) == candidate
    architecture, strategy = candidate.architecture, candidate.strategy
    sizes = [params[n] for n, field in RENAMED.items() if field == "units" and n in params]
    assert [architecture.units] == (sizes or [1])
    assert candidate.least_steps <= 600
    if strategy.rollout_steps == 1:
        assert strategy.teacher_weight == 1.0
        assert strategy.curriculum_fraction == strategy.feedback_noise_std == 0.0


def fields(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a candidate by their names, without its sections."""
    found: dict[str, Any] = {}
    for name, value in plain.items():
        for field, content in fields(value).items() if isinstance(value, dict) else [(name, value)]:
            assert field not in found
            found[field] = content
    return found


def other_values(name: str, params: Mapping[str, Scalar]) -> list[Scalar]:
    """Values that the parameter could have instead, with which the same others apply."""
    domain = FULL[name]
    values = domain.values if isinstance(domain, Choices) else (domain.low, domain.high)
    return [
        value
        for value in values
        if value != params[name]
        and set(params) == {r.name for r in PARAMETERS if r.applies({**params, name: value})}
    ]


@pytest.mark.parametrize("name", BY_NAME)
def test_each_parameter_reaches_its_own_field(name: str) -> None:
    met = [params for params in samples() if name in params]
    assert met
    for params in met[:20]:
        before = fields(Space(FULL).resolve(params).to_dict())
        assert before[RENAMED.get(name, name)] == params[name]
        for value in other_values(name, params):
            after = fields(Space(FULL).resolve({**params, name: value}).to_dict())
            expected = {**before, RENAMED.get(name, name): value}
            if params["cell"] == "nvar":  # whose context reaches to its earliest delay
                expected["context_steps"] = (expected["units"] - 1) * expected["delay_stride"] + 1
            assert after == expected


def test_a_parameter_that_does_not_apply_changes_nothing() -> None:
    params = sample_with(cell="gru", context="state")
    more: dict[str, Scalar] = {"modes": 4, "window_steps": 16, "window_rollout_steps": 4}
    assert Space(FULL).resolve(params | more) == Space(FULL).resolve(params)


def test_whole_numbers_become_real_where_a_real_one_is_meant() -> None:
    params = sample_with(context="state") | {"clip_norm": 1, "teacher_weight": 0}
    candidate = Space(FULL).resolve(params)
    assert repr(candidate.strategy.clip_norm) == "1.0"
    assert repr(candidate.strategy.teacher_weight) == "0.0"


def test_parameters_that_freerun_did_not_sample_are_refused() -> None:
    space = Space(FULL)
    params = sample_with(cell="gru")
    with pytest.raises(UsageError, match="a trial must have a value for hidden_units"):
        space.resolve({name: value for name, value in params.items() if name != "hidden_units"})
    with pytest.raises(UsageError, match="Did you mean 'gru'"):
        space.resolve(params | {"cell": "gruu"})
    with pytest.raises(UsageError, match="must have a value for cell, but has only none"):
        space.resolve({})


@pytest.mark.parametrize("name", [row.name for row in PARAMETERS if row.neutral is not None])
def test_a_parameter_that_came_later_is_neutral_in_an_older_space(name: str) -> None:
    older: dict[str, Domain] = {n: d for n, d in FULL.items() if n != name}
    params = sample(0, older)
    assert name not in params
    candidate = Space(older).resolve(params)
    assert fields(candidate.to_dict())[RENAMED.get(name, name)] == BY_NAME[name].neutral


def test_the_cohort_names_are_those_of_the_space() -> None:
    space = complete_space(read_space({"cell": ["rnn", "gru"]}), 600)
    names = Space(space).cohort_names
    assert names == tuple(row.name for row in PARAMETERS if row.cohort and row.name in space)
    assert {"cell", "hidden_units", "rollout_steps"} <= set(names)
    assert not {"modes", "learning_rate"} & set(names)


def test_candidates_share_a_cohort_exactly_when_their_cohort_names_agree() -> None:
    space = Space(FULL)
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
