"""The order in which an unroll reads, resets and emits."""

import torch

from models.network.architecture import Architecture
from models.network.plan import Step, plan

WINDOW, STATE, WHOLE_WINDOW = (
    Architecture.of({"cell": cell, "hidden_units": 1, "context": context, **steps})
    for cell, context, steps in (
        ("rnn", "window", {"window_steps": 3}),
        ("rnn", "state", {"warm_up_steps": 3}),
        ("mlp", None, {"window_steps": 3}),
    )
)


def test_a_window_is_read_anew_for_every_forecast() -> None:
    assert plan(WINDOW, warm_up=3, rollout_steps=2, one_step_from=3) == [
        Step(reads=0, reset=True, emits=None),
        Step(reads=1, reset=False, emits=None),
        Step(reads=2, reset=False, emits=3),
        Step(reads=1, reset=True, emits=None),
        Step(reads=2, reset=False, emits=None),
        Step(reads=3, reset=False, emits=4),
    ]


def test_a_state_is_carried_along() -> None:
    assert plan(STATE, warm_up=3, rollout_steps=3, one_step_from=2) == [
        Step(reads=0, reset=True, emits=None),
        Step(reads=1, reset=False, emits=2),
        Step(reads=2, reset=False, emits=3),
        Step(reads=3, reset=False, emits=4),
        Step(reads=4, reset=False, emits=5),
    ]


def test_a_state_that_comes_from_an_earlier_chunk_is_never_reset() -> None:
    assert plan(STATE, 1, rollout_steps=2, one_step_from=1, carries_state=True) == [
        Step(reads=0, reset=False, emits=1),
        Step(reads=1, reset=False, emits=2),
    ]


def test_a_whole_window_is_read_in_one_step() -> None:
    steps = plan(WHOLE_WINDOW, warm_up=3, rollout_steps=2, one_step_from=3)
    assert steps == [
        Step(reads=0, reset=True, emits=3, count=3),
        Step(reads=1, reset=True, emits=4, count=3),
    ]
    assert [step.newest for step in steps] == [2, 3]


def test_a_window_is_read_oldest_first() -> None:
    values = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 3, 1)
    assert Step(reads=1, reset=True, emits=None, count=3).read(values)[1, 2].tolist() == [1, 2, 3]
    assert Step(reads=4, reset=True, emits=None).read(values)[0, 0].tolist() == [4]
