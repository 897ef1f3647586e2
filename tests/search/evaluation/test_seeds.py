"""The seed of an initialisation: what it depends on, and that every version has the same."""

from collections.abc import Mapping

import pytest

from models.candidate import Candidate, candidate_of
from models.methods import Scalar
from search.evaluation import initialisation_seed
from search.series import Purpose
from search.study.space import parameters
from tests.search.study.space.samples import other_values, samples

TRAINING: Mapping[str, Scalar] = {
    "layers": 1,
    "learning_rate": 0.01,
    "clip_norm": 1.0,
    "training_steps": 8,
    "batch_size": 3,
}
STATE: Mapping[str, Scalar] = {"context": "state", "warm_up_steps": 10, "rollout_steps": 6}
GRU: Mapping[str, Scalar] = {
    "cell": "gru",
    "hidden_units": 4,
    **TRAINING,
    **STATE,
    "teacher_weight": 0.4,
    "curriculum_fraction": 0.5,
    "input_noise_std": 0.1,
    "feedback_noise_std": 0.05,
    "weight_decay": 1e-4,
    "schedule": "cosine",
    "restarts": 2,
}
# The seeds of replica 1 of these candidates, written down by version 0.1.0.
BY_VERSION_0_1_0: list[tuple[Mapping[str, Scalar], int]] = [
    (
        {
            **TRAINING,
            "cell": "gru",
            "hidden_units": 4,
            "layers": 2,
            "head_layers": 1,
            "context": "window",
            "window_steps": 4,
            "window_rollout_steps": 4,
            "residual": True,
            "forcing": "sparse",
            "forcing_interval": 8,
        },
        2501063581077693594,
    ),
    (
        {
            **TRAINING,
            "cell": "mlp",
            "hidden_units": 4,
            "window_steps": 4,
            "window_rollout_steps": 1,
            "weight_average": "tail",
        },
        2275688244887473219,
    ),
    (
        {
            **TRAINING,
            **STATE,
            "cell": "lru",
            "modes": 2,
            "autonomous": True,
            "state_estimate": "least-squares",
            "damping": False,
            "restarts": 4,
        },
        8139214563219940643,
    ),
    (
        {
            **TRAINING,
            **STATE,
            "cell": "shplrnn",
            "hidden_units": 4,
            "expanded_units": 32,
            "growth_penalty": True,
            "growth_weight": 0.01,
            "velocity_weight": 1.0,
            "instance_norm": True,
        },
        3036195173292389043,
    ),
    (
        {
            "cell": "esn",
            "reservoir_units": 12,
            "warm_up_steps": 10,
            "fan_in": 3,
            "leak_rate": 0.5,
            "regularisation": "held-out",
            "restarts": 2,
        },
        7252392894101722396,
    ),
    (
        {
            "cell": "nvar",
            "nvar_delays": 4,
            "delay_stride": 2,
            "degree": 2,
            "ridge": 1e-3,
            "offset": False,
        },
        2801083994178692281,
    ),
    ({"cell": "ar", "ar_order": 16, "residual": True, "time_reversal": True}, 3141949304541003513),
    ({"cell": "ssa", "ssa_window": 20, "ssa_rank": 3}, 2411647545606424830),
]


def test_seeds_depend_on_everything_that_names_an_initialisation() -> None:
    candidate = candidate_of(GRU)
    other = candidate_of({**GRU, "learning_rate": 0.02})
    keys: list[tuple[int, Purpose, Candidate, int, int]] = [
        (0, "search", candidate, 0, 0),
        (1, "search", candidate, 0, 0),
        (0, "final", candidate, 0, 0),
        (0, "search", other, 0, 0),
        (0, "search", candidate, 1, 0),
        (0, "search", candidate, 0, 1),
    ]
    seeds = [initialisation_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert seeds == [initialisation_seed(*key) for key in keys]
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("settings", "seed"), BY_VERSION_0_1_0, ids=[str(s["cell"]) for s, _ in BY_VERSION_0_1_0]
)
def test_a_candidate_has_the_seed_of_version_0_1_0(
    settings: Mapping[str, Scalar], seed: int
) -> None:
    assert initialisation_seed(3, "search", candidate_of(settings), 1, 0) == seed


def test_a_setting_that_came_later_changes_no_seed_where_it_is_neutral() -> None:
    assert initialisation_seed(3, "search", candidate_of(GRU), 0, 0) == 2794285984646352276
    neutral = {p.name: p.neutral for p in parameters() if p.neutral is not None}
    same = candidate_of({**neutral, **GRU})
    assert initialisation_seed(3, "search", same, 0, 0) == 2794285984646352276


@pytest.mark.parametrize("name", [p.name for p in parameters()])
def test_every_setting_is_part_of_the_seed(name: str) -> None:
    for params in [params for params in samples() if name in params][:5]:
        values = [params[name], *other_values(name, params)]
        seeds = {
            initialisation_seed(0, "search", candidate_of({**params, name: value}), 0, 0)
            for value in values
        }
        assert len(seeds) == len(values)
