"""The range of contexts of a space: known for some, and around those of sampled candidates."""

from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler

from search.study.definition import StudyDefinition
from search.study.space import Space
from search.study.space.contexts import context_names, context_range

SPACES: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({}, (1, 300)),
    ({"cell": "gru", "context": "state", "warm_up_steps": [20, 60]}, (20, 60)),
    ({"cell": "gru", "context": "window", "window_steps": {"low": 5, "high": 9}}, (5, 9)),
    ({"cell": ["mlp"], "window_steps": [3, 8]}, (3, 8)),
    ({"cell": "ar", "ar_order": {"low": 6, "high": 30}}, (6, 30)),
    ({"cell": "ssa", "ssa_window": [12, 40]}, (12, 40)),
    ({"cell": "nvar", "nvar_delays": [2, 4], "delay_stride": [1, 5], "degree": 2}, (2, 16)),
    ({"cell": "esn", "warm_up_steps": [50, 70]}, (50, 70)),
    ({"cell": ["ar", "gru"], "ar_order": 7, "context": "state", "warm_up_steps": 50}, (7, 50)),
    ({"cell": "gru", "context": "state", "warm_up_steps": 50, "segment_steps": [1, 16]}, (48, 50)),
]


def space_of(raw: Mapping[str, Any], **more: Any) -> Space:
    series = {"source": "sine", "angular_frequency": 0.1}
    task = {"train_steps": 600, "horizon_steps": 200}
    plain = {"name": "waves", "series": series, "task": task, "space": raw, **more}
    return StudyDefinition.model_validate(plain).full_space()


@pytest.mark.parametrize(("raw", "expected"), SPACES, ids=lambda value: str(value))
def test_the_range_is_that_of_the_candidates(raw: dict[str, Any], expected: object) -> None:
    space = space_of(raw)
    assert context_range(space) == expected
    least, most = context_range(space)
    sampling = optuna.create_study(sampler=RandomSampler(seed=0))
    found = [space.resolve(space.suggest(sampling.ask())) for _ in range(30)]
    assert all(least <= candidate.architecture.context_steps <= most for candidate in found)


def test_a_preset_has_its_own_range() -> None:
    presets = {"baseline": 2, "running-on-state": 2}
    space = space_of({"warm_up_steps": 20, "rollout_steps": 8}, presets=presets)
    assert context_range(space, "baseline") == (4, 4)
    assert context_range(space, "running-on-state") == (20, 20)
    assert context_range(space) == (4, 20)


WIDE: list[dict[str, Any]] = [
    {},
    {
        "cell": ["gru", "lru", "ar", "nvar", "ssa", "esn", "kernel-ridge", "seasonal-profile"],
        "segment_steps": [1, 4, 16],
        "seasonal_lag": [0, 24],
        "lag_seasons": [1, 2],
    },
]


@pytest.mark.parametrize("raw", [*(raw for raw, _ in SPACES), *WIDE], ids=str)
def test_candidates_that_are_equal_in_what_decides_it_read_equally_many(
    raw: dict[str, Any],
) -> None:
    check_names(space_of(raw))


def test_with_presets_they_do_so_too() -> None:
    presets = {"baseline": 2, "running-on-state": 2}
    space = space_of({"warm_up_steps": [20, 50], "rollout_steps": 8}, presets=presets)
    check_names(space)
    assert "preset" in context_names(space)


def check_names(space: Space) -> None:
    """Sample candidates, and for each another one that is equal to it in the named parameters."""
    names = context_names(space)
    assert "learning_rate" not in names
    sampling = optuna.create_study(sampler=RandomSampler(seed=0))
    for _ in range(20):
        params = space.suggest(sampling.ask())
        sampling.enqueue_trial({name: params[name] for name in names if name in params})
        other = space.suggest(sampling.ask())
        assert [other.get(name) for name in names] == [params.get(name) for name in names]
        one, two = space.resolve(params).architecture, space.resolve(other).architecture
        assert one.shown_steps == two.shown_steps
