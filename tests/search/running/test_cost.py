"""What candidates are expected to cost, and what a study with little time proposes."""

from dataclasses import replace

import optuna
from optuna.trial import FrozenTrial, TrialState

from models.candidate import Architecture, Candidate, Strategy
from search.running.cost import FIRST_RATE, Cost, step_work
from search.running.proposer import TIME_SHARE, Proposer
from search.study.definition import StudyDefinition
from search.study.space import Space

STRATEGY = Strategy(
    rollout_steps=16,
    teacher_weight=0.5,
    curriculum_fraction=0.0,
    input_noise_std=0.0,
    feedback_noise_std=0.0,
    output_noise_std=0.0,
    label_noise_std=0.0,
    learning_rate=0.01,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="cosine",
    training_steps=200,
    batch_size=4,
)
GRU = Candidate(Architecture("gru", 16, 1, 0, False, "state", 100), STRATEGY, restarts=1)


def wide() -> StudyDefinition:
    return StudyDefinition.model_validate(
        {
            "name": "wide",
            "series": {"source": "sine"},
            "task": {"train_steps": 600, "horizon_steps": 400},
        }
    )


def cost_of(definition: StudyDefinition) -> Cost:
    return Cost(definition.search, Space(definition.space))


def finished(definition: StudyDefinition, seconds_per_unit: float) -> FrozenTrial:
    """A trial that took so long up to its last rung."""
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)).ask()
    space = Space(definition.space)
    candidate = space.resolve(space.suggest(trial))
    # Without pruning, the expected seconds are those of the whole training.
    whole = definition.model_copy(
        update={"search": definition.search.model_copy(update={"pruner": "none"})}
    )
    seconds = cost_of(whole).seconds(candidate) / FIRST_RATE * seconds_per_unit
    return optuna.trial.create_trial(
        state=TrialState.COMPLETE,
        value=1.0,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={"seconds": seconds},
        intermediate_values=dict.fromkeys((1, 2, 3, 4), 1.0),
    )


def test_more_of_anything_costs_more() -> None:
    base = step_work(GRU)
    for architecture in (
        replace(GRU.architecture, units=32),
        replace(GRU.architecture, layers=2),
        replace(GRU.architecture, head_layers=1),
        replace(GRU.architecture, context_steps=200),
        replace(GRU.architecture, cell="lstm"),
        replace(GRU.architecture, context="window"),
    ):
        assert step_work(replace(GRU, architecture=architecture)) > base
    for strategy in (replace(STRATEGY, batch_size=8), replace(STRATEGY, rollout_steps=64)):
        assert step_work(replace(GRU, strategy=strategy)) > base
    linear = replace(GRU, architecture=replace(GRU.architecture, cell="lru"))
    assert step_work(linear) < base


def test_the_rate_is_learned_from_finished_trials() -> None:
    definition = wide()
    cost = cost_of(definition)
    before = cost.seconds(GRU)
    cost.learn(finished(definition, 3 * FIRST_RATE))
    assert abs(cost.seconds(GRU) / before - 3) < 1e-6


def test_pruning_is_expected() -> None:
    definition = wide()
    whole = definition.search.model_copy(update={"pruner": "none"})
    assert cost_of(definition).seconds(GRU) < Cost(whole, Space(definition.space)).seconds(GRU) / 2


def test_a_cohort_is_affordable_where_there_is_little_time() -> None:
    definition = wide()
    proposer, space = Proposer(definition, sampler_seed=0), Space(definition.space)
    for seconds_left in (1000.0, 30.0, 5.0):
        for _ in range(5):
            proposals = proposer.propose(None, seconds_left=seconds_left)
            proposer.forget()
            expected = sum(proposer.cost.seconds(space.resolve(p.params)) for p in proposals)
            assert expected <= seconds_left * TIME_SHARE


def test_without_time_the_cheapest_of_several_is_proposed() -> None:
    definition = wide()
    proposer, space = Proposer(definition, sampler_seed=0), Space(definition.space)
    hurried = proposer.propose(None, seconds_left=1e-9)
    proposer.forget()
    assert len(hurried) == 1
    seconds = proposer.cost.seconds(space.resolve(hurried[0].params))
    unhurried = [
        proposer.cost.seconds(space.resolve(proposer.propose(None)[0].params)) for _ in range(10)
    ]
    assert seconds < sorted(unhurried)[len(unhurried) // 2]
