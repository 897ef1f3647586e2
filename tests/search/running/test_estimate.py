"""What `check` says of time: expected of random candidates, on a machine as fast as this one."""

from search.running.estimate import estimate, machine_slowness
from search.study.definition import StudyDefinition


def study(**sections: object) -> StudyDefinition:
    plain = {
        "name": "x",
        "series": {"source": "sine"},
        "task": {"train_steps": 600, "horizon_steps": 400},
        "search": {"trials": 100, "workers": 2},
        "space": {"cell": ["gru"], "hidden_units": 16, "training_steps": 100},
    }
    return StudyDefinition.model_validate({**plain, **sections})


def seconds(**space: object) -> float:
    fixed = {"cell": ["gru"], "context": "window", "layers": 1, "restarts": 1, "batch_size": 8}
    sizes = {"window_steps": 64, "window_rollout_steps": 16, "training_steps": 300}
    return estimate(study(space={**fixed, **sizes, **space})).seconds_per_trial


def test_more_work_takes_longer() -> None:
    # Machines that are timed twice differ by less than the work does.
    assert seconds(hidden_units=64, training_steps=1200) > 4 * seconds(hidden_units=16)


def test_minutes_are_those_of_all_trials_unless_fewer_may_be_spent() -> None:
    found = estimate(study())
    assert found.workers == 2
    assert found.minutes == found.seconds_per_trial * 100 / 2 / 60
    assert estimate(study(search={"trials": 10**6, "minutes": 3})).minutes == 3


def test_presets_count_by_their_quotas() -> None:
    # Windows of four values, against a stateful network of two layers.
    dear, cheap = "recursive-three-loss", "baseline"
    few = estimate(study(search={}, space={}, presets={cheap: 99, dear: 1}))
    many = estimate(study(search={}, space={}, presets={cheap: 1, dear: 99}))
    assert many.seconds_per_trial > 2 * few.seconds_per_trial


def test_this_machine_is_neither_thousands_of_times_faster_nor_slower() -> None:
    assert 1e-3 < machine_slowness() < 1e3
