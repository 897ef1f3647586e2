"""Channels that share weights: reshaped and back, and run each as if it were alone."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.candidate import Candidate, candidate_of, forecaster_of, free_run, learner_of
from models.checkpoint import Checkpoint, load, save
from models.closed_form.closed_form import MOST_FACTORISED
from models.cohort import Member
from models.methods import Choices
from models.methods.series_properties import SeriesProperties
from models.network.options.channels import MOST_MIXED, end_to_end, side_by_side, together
from search.study.space import parameter_named

MakeCandidate = Callable[..., Candidate]
SHAPES = st.tuples(*[st.integers(1, 4)] * 4)


def independent(candidate: Candidate) -> Candidate:
    return candidate_of({**candidate.values(), "channels": "independent"})


@given(SHAPES, st.integers(0, 99))
def test_what_is_taken_apart_is_put_together_again(shape: tuple[int, ...], seed: int) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    apart = side_by_side(values)
    assert apart.shape == (shape[0], shape[1] * shape[3], shape[2], 1)
    assert torch.equal(together(apart, shape[3]), values)
    # The channels of a run stand beside each other.
    assert torch.equal(apart[:, shape[3] - 1, :, 0], values[:, 0, :, -1])


@given(st.integers(1, 3), st.integers(2, 9), st.integers(1, 4))
def test_channels_stand_end_to_end_as_further_pieces(
    series: int, steps: int, channels: int
) -> None:
    values = torch.arange(series * steps * channels).double().view(series, steps, channels)
    joined, pieces = end_to_end(values, [[1, steps - 1]] * series)
    assert pieces == [[1, steps - 1] * channels] * series
    for channel, own in enumerate(joined.squeeze(2).split(steps, dim=1)):
        assert torch.equal(own, values[..., channel])
    assert end_to_end(values, None)[1] == [[steps] * channels] * series


def test_what_fills_up_a_shorter_series_is_in_no_piece() -> None:
    values = torch.arange(2 * 9 * 3).double().view(2, 9, 3)
    filled = values.clone()
    filled[1, 5:] = torch.nan
    joined, pieces = end_to_end(filled, [[4, 5], [2, 3]])
    assert pieces == [[4, 5] * 3, [2, 3] * 3]
    assert joined.shape == (2, 9 * 3, 1)
    assert torch.equal(joined[1, : 5 * 3, 0], values[1, :5].T.flatten())
    assert torch.equal(joined[0, :, 0], values[0].T.flatten())


@pytest.mark.parametrize("cell", ["gru", "lru", "ar", "ssa", "esn", "smoothing"])
def test_each_channel_runs_as_it_would_alone(make_candidate: MakeCandidate, cell: str) -> None:
    candidate = independent(make_candidate(cell=cell, fan_in=2, context_steps=12, units=6))
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(1, 60, 3, generator=generator, dtype=torch.float64)
    learner = learner_of([Member(candidate, 0, 7), Member(candidate, 0, 8)], values, "cpu")
    for _ in learner:
        pass
    assert learner.forecaster.channels == 1
    weights = learner.scored_weights
    contexts = torch.randn(2, 5, learner.warm_up, 3, generator=generator, dtype=torch.float64)
    truth = torch.randn(2, 5, 4, 3, generator=generator, dtype=torch.float64)
    runs = free_run(learner.forecaster, weights, contexts, 9)
    beside = free_run(learner.forecaster, weights, contexts, 4, truth)
    for channel in range(3):
        own = slice(channel, channel + 1)
        alone = free_run(learner.forecaster, weights, contexts[..., own], 9)
        torch.testing.assert_close(runs[..., own], alone)
        alone = free_run(learner.forecaster, weights, contexts[..., own], 4, truth[..., own])
        torch.testing.assert_close(beside[..., own], alone)


def test_more_runs_than_are_made_at_once_are_the_same(
    make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = independent(make_candidate(cell="ar", context_steps=4))
    forecaster = forecaster_of(candidate.architecture, 7)
    weights = torch.randn(2, forecaster.layout().size, dtype=torch.float64) / 4
    contexts = torch.randn(2, 3, 4, 7, dtype=torch.float64)
    whole = free_run(forecaster, weights, contexts, 20)
    monkeypatch.setattr("models.candidate.RUNS_AT_ONCE", 6)
    assert torch.equal(free_run(forecaster, weights, contexts, 20), whole)


def test_a_checkpoint_remembers_that_channels_are_independent(
    make_candidate: MakeCandidate,
) -> None:
    candidate = independent(make_candidate(cell="gru"))
    size = forecaster_of(candidate.architecture, 3).layout().size
    assert size == forecaster_of(make_candidate(cell="gru").architecture, 1).layout().size
    checkpoint = Checkpoint(
        candidate.architecture, 3, torch.randn(2, size), torch.zeros(2, 3), torch.ones(2, 3)
    )
    read = load(save(checkpoint))
    assert read.channels == 3
    assert read.architecture == candidate.architecture
    assert save(read) == save(checkpoint)


def test_networks_and_seeds_of_before_do_not_know_the_setting(
    make_candidate: MakeCandidate,
) -> None:
    candidate = make_candidate(cell="gru")
    assert candidate_of({**candidate.values(), "channels": "mixing"}) == candidate
    assert "channels" not in candidate.values()
    assert candidate.cohort_key() != independent(candidate).cohort_key()


def test_a_closed_form_of_too_many_channels_at_once_is_refused(
    make_candidate: MakeCandidate,
) -> None:
    order, channels = 64, MOST_FACTORISED // 64 + 1
    candidate = make_candidate(cell="ar", context_steps=order)
    values = torch.randn(1, 200, channels, dtype=torch.float64)
    members = [Member(candidate, 0, 1)]
    with pytest.raises(ValueError, match=r'at most 2000 .* channels = "independent"'):
        learner_of(members, values, "cpu")
    assert learner_of([Member(independent(candidate), 0, 1)], values, "cpu").warm_up == order


@pytest.mark.parametrize("channels", [1, 2, MOST_MIXED, MOST_MIXED + 1])
def test_the_default_space_follows_the_number_of_channels(channels: int) -> None:
    parameter = parameter_named("channels")
    assert parameter is not None
    assert parameter.suits is not None
    found = parameter.suits(SeriesProperties(train_steps=100, channels=channels))
    if channels == 1:
        assert found is None
    else:
        both = ("mixing", "independent")
        assert found == Choices(both if channels <= MOST_MIXED else both[1:])
