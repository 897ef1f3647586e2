"""Networks that read known columns, against the plain network; what can't have such inputs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from models.candidate import candidate_of, forecaster_of, learner_of
from models.candidate import free_run as any_free_run
from models.cohort import Member
from models.diagnostics.sensitivity import sensitivity
from models.network.forecaster import Forecaster
from models.network.options.channels import beside_each, end_to_end
from models.network.options.segments import rows_ahead
from models.network.walk import free_run
from models.tensors import CLIP_STD
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from tests.models.network.cells.reference_cells import FURTHER_CELLS
from tests.models.network.reference_network import Network, run_network
from tests.models.training.reference_step import MEMBERS, check_next_gradient, training_of

Make = Callable[..., TrainedNetwork]

KNOWN: dict[str, Any] = {"known_inputs": True, "rollout_steps": 5, "teacher_weight": 0.4}
SEGMENTS: dict[str, Any] = {"segment_steps": 3, "context_steps": 7, "rollout_steps": 8}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"context": "state", "residual": True},
    {"cell": "mlp", "residual": True},
    {"cell": "mlp", "instance_norm": True} | SEGMENTS,
    SEGMENTS,
    {"context": "state", "read_in": "relu", "residual": True, "instance_norm": True} | SEGMENTS,
    {"read_in": "linear", "layer_norm": True, "layers": 2, "scaled_increments": True}
    | {"residual": True}
    | SEGMENTS,
    {"context": "state", "autonomous": True},
    {"context": "state", "stateful": True, "teacher_span": "rollout"},
    {"context": "state", "forcing": "increasing", "pushforward_steps": 1},
    {"context": "state", "instance_norm": True, "input_noise_std": 0.2, "feedback_noise_std": 0.1},
    {"time_reversal": True, "sign_augmentation": True, "batch_size": 4} | SEGMENTS,
]


def described(chosen: dict[str, Any]) -> str:
    return "-".join(f"{name}={value}" for name, value in chosen.items())


@pytest.mark.parametrize("context", ["window", "state"])
@pytest.mark.parametrize(
    "cell", ["rnn", "gru", "lstm", "lru", *sorted(set(FURTHER_CELLS) - {"mlp"})]
)
def test_gradient_of_every_cell(make_candidate: Make, cell: str, context: str) -> None:
    candidate = make_candidate(cell=cell, context=context, **KNOWN)
    check_next_gradient(training_of([candidate] * MEMBERS, columns=2))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("chosen", OPTIONS, ids=described)
@pytest.mark.parametrize("cell", ["gru", "cornn"])
def test_gradient_with(
    make_candidate: Make, cell: str, chosen: dict[str, Any], channels: int
) -> None:
    """A GRU is computed by kernels, a coRNN by torch."""
    candidate = make_candidate(**{"cell": cell} | KNOWN | chosen)
    training = training_of([candidate] * MEMBERS, channels, columns=3)
    check_next_gradient(training)
    check_next_gradient(training)


@pytest.mark.parametrize("steps", [1, 3, 8])
@pytest.mark.parametrize("chosen", OPTIONS, ids=described)
@pytest.mark.parametrize("cell", ["lstm", "lem"])
def test_free_run(make_candidate: Make, cell: str, chosen: dict[str, Any], steps: int) -> None:
    architecture = make_candidate(**{"cell": cell} | KNOWN | chosen).architecture
    forecaster, warm_up = Forecaster(architecture, 2, 3), architecture.context_steps
    generator = Generator().manual_seed(2)
    population = torch.stack([forecaster.initialise(generator) for _ in range(MEMBERS)])
    contexts = torch.randn(MEMBERS, 4, warm_up, 2, generator=generator)
    known = torch.randn(MEMBERS, 4, warm_up + steps + 2, 3, generator=generator)
    given_ = known[:, :, : warm_up + steps]
    run = free_run(forecaster, population, contexts, steps, exogenous=given_)
    longer = free_run(forecaster, population, contexts, steps + 2, exogenous=known)
    # Of a segment that the horizon cuts, the last row given stands for those behind it.
    whole = steps // architecture.segment_steps * architecture.segment_steps
    assert torch.equal(run[:, :, :whole], longer[:, :, :whole])
    views = forecaster.layout().views(population)
    for member in range(MEMBERS):
        weights = {name: view[member].double() for name, view in views.items()}
        found = run_network(
            Network(architecture, weights, batch=4),
            contexts[member].transpose(0, 1).double(),
            steps,
            exogenous=given_[member].transpose(0, 1).double(),
        ).forecasts
        expected = torch.stack([found[warm_up + step] for step in range(steps)], dim=1)
        torch.testing.assert_close(
            run[member].double(), expected.clamp(-CLIP_STD, CLIP_STD), rtol=1e-4, atol=1e-4
        )


@settings(deadline=None, max_examples=40)
@given(
    segment=st.integers(1, 4),
    steps=st.integers(1, 9),
    first=st.integers(0, 30),
)
def test_a_known_row_changes_the_forecasts_from_its_own_segment_on(
    make_candidate: Make, segment: int, steps: int, first: int
) -> None:
    choice = {"context": "state", "context_steps": 2 * segment, "segment_steps": segment}
    architecture = make_candidate(cell="gru", known_inputs=True, **choice).architecture
    forecaster, warm_up = Forecaster(architecture, 1, 1), architecture.context_steps
    weights = torch.stack([forecaster.initialise(Generator().manual_seed(i)) for i in range(2)])
    generator = Generator().manual_seed(5)
    contexts = torch.randn(2, 1, warm_up, 1, generator=generator)
    known = torch.randn(2, 1, warm_up + steps, 1, generator=generator)
    changed, row = known.clone(), first % (warm_up + steps)
    changed[:, :, row] += 1.0
    runs = [free_run(forecaster, weights, contexts, steps, exogenous=k) for k in (known, changed)]
    # The first segment of the context is read without the known columns of its own rows.
    began = max(row // segment * segment - warm_up, 0) if row >= segment else steps
    differs = (runs[0] != runs[1]).any(dim=0)[0, :, 0]
    assert not differs[:began].any()
    assert differs[began:].all()


@pytest.mark.parametrize("context", ["window", "state"])
def test_sensitivity_is_the_derivative_beside_known_columns(
    make_candidate: Make, context: str
) -> None:
    candidate = make_candidate(cell="gru", known_inputs=True, context=context)
    forecaster, steps = Forecaster(candidate.architecture, 1, 2), 6
    weights = torch.stack([forecaster.initialise(Generator().manual_seed(i)) for i in range(2)])
    generator = Generator().manual_seed(0)
    contexts = torch.randn(2, 3, 4, 1, generator=generator)
    known = torch.randn(2, 3, 4 + steps, 2, generator=generator)
    norms = sensitivity(forecaster, weights, contexts, steps, known)
    for member in range(2):
        views = forecaster.layout().views(weights.double())
        own = {name: view[member].requires_grad_() for name, view in views.items()}
        found = run_network(
            Network(candidate.architecture, own, batch=3),
            contexts[member].double().transpose(0, 1),
            steps,
            exogenous=known[member].double().transpose(0, 1),
        ).forecasts
        last = found[4 + steps - 1]
        for lag in range(1, steps):
            (grad,) = torch.autograd.grad(last.sum(), found[4 + steps - 1 - lag], retain_graph=True)
            expected = grad.square().sum(1).mean().sqrt()
            torch.testing.assert_close(
                norms[member, lag - 1].double(), expected, rtol=2e-4, atol=1e-7
            )


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 3))
def test_rows_ahead_are_those_of_the_next_segment(segment: int, count: int, cut: int) -> None:
    steps = segment * count
    rows = torch.arange(1, steps + 1 - min(cut, segment - 1)).float().view(-1, 1, 1, 1)
    found = rows_ahead(rows, segment, steps)
    assert found.shape == (count, 1, 1, segment)
    for position, own in enumerate(found[:, 0, 0].tolist()):
        wanted = [min((position + 1) * segment + i + 1, len(rows)) for i in range(segment)]
        assert own == wanted


@settings(deadline=None)
@given(series=st.integers(1, 3), channels=st.integers(1, 4), filled=st.integers(0, 2))
def test_channels_in_a_row_have_the_known_columns_of_their_rows(
    series: int, channels: int, filled: int
) -> None:
    steps = 7
    values = torch.arange(series * steps * channels).double().view(series, steps, channels)
    known = torch.stack([values.sum(2), -values.sum(2)], dim=2)
    pieces = [[2, steps - 2 - filled]] * series
    joined, lengths = end_to_end(values, pieces)
    beside = beside_each(known, pieces, channels)
    assert beside.shape == (series, steps * channels, 2)
    used = sum(pieces[0])
    sums = joined[:, : used * channels, 0].view(series, channels, used).sum(1)
    rows = beside[:, : used * channels, 0].view(series, channels, used)
    assert torch.equal(rows, sums.unsqueeze(1).expand_as(rows))
    assert len(lengths[0]) == 2 * channels


def test_each_channel_runs_with_the_known_columns(make_candidate: Make) -> None:
    plain = make_candidate(cell="gru", context="state", known_inputs=True, context_steps=5)
    candidate = candidate_of({**plain.values(), "channels": "independent"})
    generator = Generator().manual_seed(1)
    values = torch.randn(1, 40, 3, generator=generator, dtype=torch.float64)
    known = torch.randn(1, 40, 2, generator=generator, dtype=torch.float64)
    members = [Member(candidate, 0, 7), Member(candidate, 0, 8)]
    learner = learner_of(members, values, "cpu", exogenous=known)
    assert list(learner)
    contexts = torch.randn(2, 4, 5, 3, generator=generator, dtype=torch.float64)
    ahead = torch.randn(2, 4, 5 + 9, 2, generator=generator, dtype=torch.float64)
    given_ = (learner.forecaster, learner.scored_weights)
    runs = any_free_run(*given_, contexts, 9, exogenous=ahead)
    for channel in range(3):
        own = slice(channel, channel + 1)
        alone = any_free_run(*given_, contexts[..., own], 9, exogenous=ahead)
        torch.testing.assert_close(runs[..., own], alone)


@pytest.mark.parametrize("segment", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "lru", "cornn", "orthogonal"])
def test_a_member_is_what_it_is_alone(make_candidate: Make, cell: str, segment: int) -> None:
    more = {"context": "state", "segment_steps": segment, "batch_size": 3}
    candidates = [
        make_candidate(cell=cell, time_reversal=turn, **more, **KNOWN)
        for turn in (False, True, False)
    ]
    whole, alone = training_of(candidates, columns=3), training_of(candidates, columns=3)
    alone.keep([1])
    for training in (whole, alone):
        assert list(training) == [1, 2, 3]
    assert torch.equal(whole.weights[1], alone.weights[0])
    assert whole.loss()[1] == alone.loss()[0]


def test_what_can_not_have_known_inputs_is_refused(make_candidate: Make) -> None:
    linear = {"cell": "lru", "context": "state", "autonomous": True}
    with pytest.raises(ValueError, match="known_inputs must be false with parallel decoding"):
        make_candidate(**linear, state_estimate="least-squares", known_inputs=True)
    with pytest.raises(ValueError, match="known_inputs must be false with parallel decoding"):
        make_candidate(segment_steps=2, decoding="parallel", known_inputs=True)
    assert not make_candidate(**linear, known_inputs=True, offset=False).is_linear


def test_known_columns_are_there_where_they_are_read_and_nowhere_else(
    make_candidate: Make,
) -> None:
    values = torch.randn(1, 40, 1, generator=Generator().manual_seed(0))
    with_it, without = make_candidate(known_inputs=True), make_candidate()
    for candidate, known in ((with_it, None), (without, values)):
        with pytest.raises(ValueError, match="networks with known_inputs need known columns"):
            Trainer([Member(candidate, 0, 0)], values, exogenous=known)
    forecaster = forecaster_of(with_it.architecture, 1, 1)
    assert isinstance(forecaster, Forecaster)
    weights, contexts = torch.zeros(2, forecaster.layout().size), torch.zeros(2, 1, 4, 1)
    for known in (None, torch.zeros(2, 1, 4 + 2, 1)):
        with pytest.raises(ValueError, match=r"must have the shape \(7, 1\)"):
            free_run(forecaster, weights, contexts, 3, exogenous=known)


def test_networks_and_seeds_of_before_do_not_know_the_setting(make_candidate: Make) -> None:
    candidate = make_candidate(cell="gru")
    assert candidate_of({**candidate.values(), "known_inputs": False}) == candidate
    assert "known_inputs" not in candidate.values()
    with_it = make_candidate(cell="gru", known_inputs=True)
    assert candidate.cohort_key() != with_it.cohort_key()
    assert candidate.family() != with_it.family()
    assert "known columns as inputs" in with_it.description()
