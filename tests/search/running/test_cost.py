"""What candidates are expected to cost, and what a study with little time proposes."""

from collections.abc import Mapping

import pytest

from models.candidate import candidate_of
from models.methods import Scalar
from search.running.cost import Cost
from search.running.proposer import TIME_SHARE, Proposer
from search.study.definition import StudyDefinition
from search.study.space import Space
from tests.search.study.space.samples import all_cells


def wide() -> StudyDefinition:
    return StudyDefinition.model_validate(
        {
            "name": "wide",
            "series": {"source": "sine"},
            "task": {"train_steps": 600, "horizon_steps": 400},
        }
    )


# Sizes for all cells and closed forms, from which each takes its own.
SETTINGS: dict[str, Scalar] = {
    "cell": "gru",
    "hidden_units": 16,
    "modes": 16,
    "expanded_units": 32,
    "reflections": 4,
    "layers": 1,
    "context": "state",
    "warm_up_steps": 100,
    "window_steps": 100,
    "rollout_steps": 16,
    "window_rollout_steps": 16,
    "learning_rate": 0.01,
    "clip_norm": 1.0,
    "training_steps": 200,
    "batch_size": 4,
    "reservoir_units": 200,
    "fan_in": 10,
    "nvar_delays": 16,
    "degree": 4,
    "ar_order": 100,
    "ssa_window": 100,
    "kernel_delays": 8,
    "kernel_components": 5,
    "kernel_points": 200,
    "remainder_order": 20,
    "harmonic_steps": 100,
    "neighbour_window": 20,
    "direct_window": 96,
    "direct_steps": 48,
    "periodic_steps": 12,
    "seasons_read": 8,
    "seasons_ahead": 4,
}
# They make no product of a closed form larger.
NO_SIZES = {
    *("warm_up_steps", "fan_in", "delay_stride", "segment_steps", "context_level"),
    *("kernel_delays", "kernel_stride", "kernel_components", "kernel_function"),
    *("season_steps", "trend", "smoothing_steps"),
    *("profile_seasons", "profile_average", "level_steps", "profile_drift"),
    *("decomposed_seasons", "second_season_steps", "harmonic_steps", "harmonic_count"),
    *("harmonic_trend", "neighbour_window", "neighbour_steps", "season_means"),
    "tied_channels",
}
# They go over the span as often, and as fast, whatever their settings are.
WITHOUT_SIZES = {"smoothing", "seasonal-profile", "nearest-neighbours", "theta"}
GRU = candidate_of(SETTINGS)


def cost_of(changes: Mapping[str, Scalar], train_steps: int = 600) -> float:
    """Expected seconds of the GRU with some other settings."""
    candidate = candidate_of({**SETTINGS, **changes})
    return Cost(wide().search, train_steps).seconds([candidate])


@pytest.mark.parametrize(
    "more",
    [
        {"hidden_units": 32},
        {"layers": 2},
        {"head_layers": 1},
        {"warm_up_steps": 200},
        {"cell": "lstm"},
        {"context": "window"},
        {"batch_size": 8},
        {"rollout_steps": 64},
    ],
    ids=str,
)
def test_more_of_anything_costs_more(more: dict[str, Scalar]) -> None:
    assert cost_of(more) > cost_of({})


def test_linear_networks_are_cheaper_than_others() -> None:
    cost, linear = Cost(wide().search, 600), candidate_of({**SETTINGS, "cell": "lru"})
    # The calls cost one network as much as a cohort.
    assert cost.seconds([linear] * 100) < cost.seconds([GRU] * 100)


@pytest.mark.parametrize("cell", all_cells())
def test_every_cell_has_a_cost_that_grows_with_its_sizes(cell: str) -> None:
    base = cost_of({"cell": cell})
    assert base > 0
    own = candidate_of({**SETTINGS, "cell": cell}).architecture.core.settings
    sizes = [setting.name for setting in own if setting.shared and setting.name not in NO_SIZES]
    assert sizes or cell in WITHOUT_SIZES
    for name in sizes:
        assert cost_of({"cell": cell, name: 2 * int(SETTINGS[name])}) > base, name


def test_costs_of_cells_are_told_apart() -> None:
    lem, cornn, antisymmetric, mlp = (
        cost_of({"cell": cell}) for cell in ("lem", "cornn", "antisymmetric", "mlp")
    )
    assert lem > cornn > antisymmetric
    # One step for a window, where a recurrent cell takes one for each value.
    assert mlp < cost_of({"cell": "orthogonal", "context": "window"}) / 3
    assert mlp < cost_of({"cell": "mlp", "window_steps": 200})


def test_more_of_a_closed_form_costs_more() -> None:
    reservoir: dict[str, Scalar] = {"cell": "esn"}
    base = cost_of(reservoir)
    assert cost_of({"cell": "nvar"}) > base > cost_of({"cell": "ar"})
    assert cost_of({**reservoir, "time_reversal": True}) > base
    assert cost_of({**reservoir, "restarts": 3}) == pytest.approx(3 * base)
    assert cost_of(reservoir, train_steps=3000) > base


def test_the_rate_is_learned_from_cohorts() -> None:
    cost = Cost(wide().search, 600)
    before = cost.seconds([GRU])
    cost.learn([GRU, GRU], 3 * cost.seconds([GRU, GRU]))
    assert cost.seconds([GRU]) == pytest.approx(3 * before)
    # One cohort that was held up does not count for much.
    for _ in range(3):
        cost.learn([GRU], 3 * before)
    cost.learn([GRU], 1000 * before)
    assert cost.seconds([GRU]) == pytest.approx(3 * before)


def test_replicas_that_follow_later_make_a_pruned_study_cheaper() -> None:
    search = wide().search.model_copy(update={"replicas": 8, "first_replicas": 8})
    follow, unpruned = (
        search.model_copy(update=update)
        for update in ({"first_replicas": 1}, {"pruner": "none", "first_replicas": 8})
    )
    seconds = [Cost(own, 600).seconds([GRU] * 100) for own in (follow, search, unpruned)]
    assert seconds == sorted(set(seconds))
    # Of few small networks, calls are most of the work, and are made again for those that follow.
    small = [candidate_of({**SETTINGS, "hidden_units": 1})]
    assert Cost(follow, 600).seconds(small) > Cost(search, 600).seconds(small)
    # Where company is what makes networks cheap, all replicas train from the start.
    orthogonal = [candidate_of({**SETTINGS, "cell": "orthogonal"})] * 100
    assert Cost(follow, 600).seconds(orthogonal) == Cost(search, 600).seconds(orthogonal)


def test_company_is_cheaper_than_cohorts_apart() -> None:
    cost = Cost(wide().search, 600)
    assert cost.seconds([GRU]) < cost.seconds([GRU] * 8) < 8 * cost.seconds([GRU])


def test_pruning_is_expected() -> None:
    search = wide().search
    whole = Cost(search.model_copy(update={"pruner": "none"}), 600)
    assert Cost(search, 600).seconds([GRU] * 8) < whole.seconds([GRU] * 8)


def test_a_cohort_is_affordable_where_there_is_little_time() -> None:
    definition = wide()
    proposer, space = Proposer(definition, sampler_seed=0), Space(definition.space)
    for seconds_left in (1000.0, 100.0, 30.0):
        for _ in range(5):
            proposals = proposer.propose(None, seconds_left=seconds_left)
            proposer.forget()
            expected = proposer.cost.seconds([space.resolve(p.params) for p in proposals])
            is_affordable = expected <= seconds_left * TIME_SHARE
            # With 30 seconds left few structures of the space are; then the cheapest goes alone.
            assert is_affordable or (seconds_left == 30.0 and len(proposals) == 1)


def test_without_time_the_cheapest_of_several_is_proposed() -> None:
    definition = wide()
    proposer, space = Proposer(definition, sampler_seed=0), Space(definition.space)
    hurried = proposer.propose(None, seconds_left=1e-9, family="gru")
    proposer.forget()
    assert len(hurried) == 1
    seconds = proposer.cost.seconds([space.resolve(hurried[0].params)])
    unhurried = [
        proposer.cost.seconds([space.resolve(proposer.propose(None, family="gru")[0].params)])
        for _ in range(10)
    ]
    assert seconds < sorted(unhurried)[len(unhurried) // 2]
