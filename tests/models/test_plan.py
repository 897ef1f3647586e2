"""The order in which an unroll reads, resets and emits."""

from collections.abc import Callable

from models.candidate import Candidate
from models.plan import Step, plan


def test_a_window_is_read_anew_for_every_forecast(
    make_candidate: Callable[..., Candidate],
) -> None:
    architecture = make_candidate(context="window", context_steps=3).architecture
    assert plan(architecture, rollout_steps=2, one_step_from=3) == [
        Step(reads=0, reset=True, emits=None),
        Step(reads=1, reset=False, emits=None),
        Step(reads=2, reset=False, emits=3),
        Step(reads=1, reset=True, emits=None),
        Step(reads=2, reset=False, emits=None),
        Step(reads=3, reset=False, emits=4),
    ]


def test_a_state_is_carried_along(make_candidate: Callable[..., Candidate]) -> None:
    architecture = make_candidate(context="state", context_steps=3).architecture
    assert plan(architecture, rollout_steps=3, one_step_from=2) == [
        Step(reads=0, reset=True, emits=None),
        Step(reads=1, reset=False, emits=2),
        Step(reads=2, reset=False, emits=3),
        Step(reads=3, reset=False, emits=4),
        Step(reads=4, reset=False, emits=5),
    ]


def test_an_autonomous_run_reads_nothing_after_its_warm_up(
    make_candidate: Callable[..., Candidate],
) -> None:
    choice = {"context": "state", "context_steps": 2, "autonomous": True}
    assert plan(make_candidate(**choice).architecture, rollout_steps=3, one_step_from=2) == [
        Step(reads=0, reset=True, emits=None),
        Step(reads=1, reset=False, emits=2),
        Step(reads=None, reset=False, emits=3),
        Step(reads=None, reset=False, emits=4),
    ]
