"""Where subsequences lie: at random, or in streams that walk through the span with their state."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from models.training.batches import Subsequences
from models.training.subsequence import SubsequenceShape
from models.training.trained_network import TrainedNetwork

STATEFUL: dict[str, Any] = {"context": "state", "stateful": True}


def subsequences_of(candidates: list[TrainedNetwork], span: int) -> Subsequences:
    shape = SubsequenceShape.of_training(candidates[0])
    generators = [Generator().manual_seed(seed) for seed in range(len(candidates))]
    return Subsequences(candidates, shape, [(span,)] * len(candidates), generators)


def test_a_subsequence_that_is_trained_on_is_shaped_like_the_free_run(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(context="state", context_steps=6, rollout_steps=3)
    assert SubsequenceShape.of_training(candidate) == SubsequenceShape(6, 3, one_step_from=4)
    assert SubsequenceShape.of_free_run(candidate) == SubsequenceShape(6, 3, one_step_from=4)
    window = make_candidate(context="window", context_steps=6, rollout_steps=3)
    assert SubsequenceShape.of_training(window) == SubsequenceShape(6, 3, one_step_from=6)


def test_teacher_forcing_beside_the_rollout_forecasts_nothing_during_the_warm_up(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(context="state", context_steps=6, teacher_span="rollout")
    assert SubsequenceShape.of_training(candidate).one_step_from == 6


def test_a_chunk_that_carries_its_state_is_led_by_one_true_value(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(context_steps=6, rollout_steps=3, **STATEFUL)
    assert SubsequenceShape.of_training(candidate) == SubsequenceShape(1, 3, one_step_from=1)
    assert SubsequenceShape.of_free_run(candidate) == SubsequenceShape(6, 3, one_step_from=4)


def test_random_subsequences_all_start_anew(make_candidate: Callable[..., TrainedNetwork]) -> None:
    candidates = [make_candidate(time_reversal=reversal) for reversal in (False, True)]
    subsequences = subsequences_of(candidates, span=30)
    assert subsequences.fresh.all()
    assert not subsequences.backwards[0].any()
    assert subsequences.backwards[1].float().mean() == 0.5


@settings(deadline=None, max_examples=60)
@given(
    rollout=st.integers(1, 12),
    batch=st.integers(1, 9),
    more=st.integers(0, 40),
    reversals=st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_streams_walk_through_the_span_and_start_anew_at_its_end(
    make_candidate: Callable[..., TrainedNetwork],
    rollout: int,
    batch: int,
    more: int,
    reversals: list[bool],
) -> None:
    candidates = [
        make_candidate(
            rollout_steps=rollout,
            batch_size=batch,
            training_steps=30,
            time_reversal=reversal,
            **STATEFUL,
        )
        for reversal in reversals
    ]
    span = 1 + rollout + more
    subsequences = subsequences_of(candidates, span)
    before = subsequences.positions(0)
    assert subsequences.fresh[:, 0].all()
    for step in range(1, 30):
        now, fresh = subsequences.positions(step), subsequences.fresh[:, step]
        assert now.min() >= 0
        assert now.max() < span
        # A chunk's first value is the last that was forecast before.
        assert torch.equal(now[..., 0][~fresh], before[..., -1][~fresh])
        turned = subsequences.backwards[:, step - 1 : step + 1]
        end = torch.where(turned[:, 0], span - 1 - before[..., -1], before[..., -1])
        assert (end[fresh] + rollout >= span).all()
        start = torch.where(turned[:, 1], span - 1 - now[..., 0], now[..., 0])
        assert (start[fresh] < rollout).all()
        before = now


def test_streams_share_the_span(make_candidate: Callable[..., TrainedNetwork]) -> None:
    """They set out evenly spread, each member's elsewhere, and train on all of it alike."""
    candidate = make_candidate(rollout_steps=10, batch_size=5, training_steps=400, **STATEFUL)
    subsequences = subsequences_of([candidate] * 2, span=111)
    first = subsequences.starts[:, 0].sort(dim=1).values
    gaps = torch.diff(torch.cat([first, first[:, :1] + 101], dim=1))
    assert gaps.min() >= 20
    assert gaps.max() <= 21
    assert not torch.equal(first[0], first[1])
    targets = torch.stack([subsequences.positions(step) for step in range(400)])[:, 0, :, 1:]
    counts = torch.bincount(targets.flatten(), minlength=111)[20:-20]
    assert counts.min() > 0.8 * counts.float().mean()


@pytest.mark.parametrize("stateful", [False, True])
def test_company_and_dropped_members_change_nothing(
    make_candidate: Callable[..., TrainedNetwork], stateful: bool
) -> None:
    candidates = [
        make_candidate(context="state", stateful=stateful, time_reversal=reversal)
        for reversal in (True, False, True)
    ]
    alone, among = subsequences_of(candidates[:1], span=40), subsequences_of(candidates, span=40)
    among.keep([2, 0])
    for name in ("starts", "backwards", "fresh"):
        assert torch.equal(getattr(among, name)[1], getattr(alone, name)[0])
