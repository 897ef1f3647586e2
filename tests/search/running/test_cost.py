"""What candidates are expected to cost, and what a study with little time proposes."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from models.candidate import FITTED_CELLS, Candidate, CellName
from search.running.cost import GATES, Cost
from search.running.proposer import TIME_SHARE, Proposer
from search.study.definition import StudyDefinition
from search.study.space import Space


def wide() -> StudyDefinition:
    return StudyDefinition.model_validate(
        {
            "name": "wide",
            "series": {"source": "sine"},
            "task": {"train_steps": 600, "horizon_steps": 400},
        }
    )


GRU = Space(wide().space).resolve(
    {
        "cell": "gru",
        "hidden_units": 16,
        "layers": 1,
        "context": "state",
        "warm_up_steps": 100,
        "rollout_steps": 16,
        "learning_rate": 0.01,
        "clip_norm": 1.0,
        "training_steps": 200,
        "batch_size": 4,
    }
)


def test_more_of_anything_costs_more() -> None:
    def seconds(candidate: Candidate) -> float:
        return Cost(wide().search, 600).seconds([candidate])

    base = seconds(GRU)
    for architecture in (
        replace(GRU.architecture, units=32),
        replace(GRU.architecture, layers=2),
        replace(GRU.architecture, head_layers=1),
        replace(GRU.architecture, context_steps=200),
        replace(GRU.architecture, cell="lstm"),
        replace(GRU.architecture, context="window"),
    ):
        assert seconds(replace(GRU, architecture=architecture)) > base
    for strategy in (replace(GRU.strategy, batch_size=8), replace(GRU.strategy, rollout_steps=64)):
        assert seconds(replace(GRU, strategy=strategy)) > base
    linear = replace(GRU, architecture=replace(GRU.architecture, cell="lru"))
    assert seconds(linear) < base


def test_every_cell_has_a_cost_and_its_own_sizes_count() -> None:
    def seconds(**changes: Any) -> float:
        architecture = replace(GRU.architecture, **changes)
        return Cost(wide().search, 600).seconds([replace(GRU, architecture=architecture)])

    assert GATES.keys() == set(get_args(CellName)) - set(FITTED_CELLS)
    assert seconds(cell="lem") > seconds(cell="cornn") > seconds(cell="antisymmetric")
    assert seconds(cell="shplrnn", expanded_units=128) > seconds(cell="shplrnn", expanded_units=32)
    assert seconds(cell="orthogonal", reflections=16) > seconds(cell="orthogonal", reflections=4)
    window = {"cell": "mlp", "context": "window"}
    assert seconds(**window, context_steps=200) > seconds(**window, context_steps=100)
    # One step for a window, where a recurrent cell takes one for each value.
    assert seconds(**window) < seconds(cell="rnn", context="window") / 10


def test_more_of_a_closed_form_costs_more() -> None:
    cost = Cost(wide().search, 600)
    reservoir = replace(
        GRU, architecture=replace(GRU.architecture, cell="esn", units=200, context_steps=100)
    )
    base = cost.seconds([reservoir])
    for architecture in (
        replace(reservoir.architecture, units=400),
        replace(reservoir.architecture, cell="nvar", units=16, degree=4),
    ):
        assert cost.seconds([replace(reservoir, architecture=architecture)]) > base
    both = replace(reservoir, strategy=replace(reservoir.strategy, time_reversal=True))
    assert cost.seconds([both]) > base
    assert cost.seconds([replace(reservoir, restarts=3)]) == pytest.approx(3 * base)
    assert Cost(wide().search, 3000).seconds([reservoir]) > base
    order = replace(reservoir, architecture=replace(reservoir.architecture, cell="ar"))
    assert cost.seconds([order]) < base


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
    hurried = proposer.propose(None, seconds_left=1e-9)
    proposer.forget()
    assert len(hurried) == 1
    seconds = proposer.cost.seconds([space.resolve(hurried[0].params)])
    unhurried = [
        proposer.cost.seconds([space.resolve(proposer.propose(None)[0].params)]) for _ in range(10)
    ]
    assert seconds < sorted(unhurried)[len(unhurried) // 2]
