"""A network that adds the rest to an autoregression: gradients, free runs, and where it begins."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from models.cohort import Member
from models.network.parameters import AUTOREGRESSION, INCREMENT_STD
from models.network.walk import free_run
from models.tensors import CLIP_STD
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from tests.models.network.cells.reference_cells import FURTHER_CELLS
from tests.models.network.reference_network import Network, run_network
from tests.models.training.reference_step import MEMBERS, check_next_gradient, training_of
from tests.models.training.test_fused_gradient import check_engines_agree
from tests.models.training.test_fused_gradient import training_of as fused_training_of

CELLS = ["rnn", "gru", "lstm", *FURTHER_CELLS]
# Five segments before a rollout of two and a half.
STATE: dict[str, Any] = {"context": "state", "segment_steps": 2, "context_steps": 10}
WINDOW: dict[str, Any] = {"context": "window", "segment_steps": 2, "context_steps": 6}
OPTIONS: list[dict[str, Any]] = [
    STATE,
    WINDOW,
    {"context": "state", "context_steps": 7},
    {"context": "window", "context_steps": 4},
    STATE | {"instance_norm": True},
    STATE | {"instance_norm": True, "instance_level": "last", "layers": 2, "head_layers": 1},
    WINDOW | {"instance_norm": True},
    STATE | {"read_in": "relu"},
    STATE | {"layer_norm": True},
    STATE | {"teacher_span": "rollout", "professor_weight": 0.7},
    STATE | {"growth_penalty": True, "growth_weight": 0.5},
    STATE | {"velocity_weight": 0.3, "spectral_weight": 0.2},
    STATE | {"forcing": "increasing", "forcing_strength": 0.5},
    STATE | {"pushforward_steps": 1},
    WINDOW | {"data_as_demonstrator": True},
    STATE | {"dropout": 0.3, "state_noise_std": 0.1, "layers": 2},
    STATE | {"input_noise_std": 0.1, "feedback_noise_std": 0.2, "output_noise_std": 0.1},
    STATE | {"time_reversal": True, "sign_augmentation": True, "offset": False, "batch_size": 4},
    {"cell": "mlp", "context_steps": 6, "segment_steps": 2},
    {"rollout_steps": 1, "context_steps": 4},
    STATE | {"known_inputs": True, "feedback_noise_std": 0.1},
    WINDOW | {"known_inputs": True, "instance_norm": True},
]


def described(chosen: dict[str, Any]) -> str:
    return "-".join(f"{name}={value}" for name, value in chosen.items())


def disturb(training: Trainer) -> None:
    """Give all members coefficients and output layers that matter to every gradient."""
    generator = Generator().manual_seed(9)
    for name, view in training.forecaster.layout().views(training.weights).items():
        noise = torch.randn(view.shape, generator=generator)
        if name == AUTOREGRESSION:
            view.copy_(0.4 * noise / view.shape[2] ** 0.5)
        elif name == INCREMENT_STD:
            view.copy_(0.5 + noise.abs())
        elif name.startswith("head."):
            view.copy_(0.3 * noise)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("chosen", OPTIONS, ids=described)
def test_gradient_with(
    make_candidate: Callable[..., TrainedNetwork], chosen: dict[str, Any], channels: int
) -> None:
    own: dict[str, Any] = {"cell": "gru", "teacher_weight": 0.4, "rollout_steps": 5} | chosen
    columns = 2 if "known_inputs" in chosen else 0
    training = training_of([make_candidate(hybrid="ar", **own)] * MEMBERS, channels, columns)
    disturb(training)
    # The growth penalty takes the difference of two runs that have nearly met, which costs digits.
    tolerance = 1e-3 if "growth_penalty" in chosen else 1e-5
    check_next_gradient(training, tolerance)
    check_next_gradient(training, tolerance)


@pytest.mark.parametrize("cell", CELLS)
def test_gradient_of_all_cells(make_candidate: Callable[..., TrainedNetwork], cell: str) -> None:
    own = WINDOW if cell == "mlp" else STATE
    errors: dict[str, Any] = {"teacher_weight": 0.4, "rollout_steps": 5}
    candidate = make_candidate(cell=cell, hybrid="level-ar", **errors, **own)
    training = training_of([candidate] * MEMBERS, 2)
    disturb(training)
    check_next_gradient(training)


FED_BACK: list[dict[str, Any]] = [
    {},
    {"forcing": "generalised", "forcing_strength": 0.5},
    {"pushforward_steps": 1},
    {"data_as_demonstrator": True},
]


@pytest.mark.parametrize("chosen", FED_BACK, ids=described)
@pytest.mark.parametrize("cell", ["gru", "lem"])
def test_gradient_where_values_that_are_fed_back_are_constants(
    make_candidate: Callable[..., TrainedNetwork], cell: str, chosen: dict[str, Any]
) -> None:
    """Some run beyond the bound; a GRU is computed by kernels, a LEM by torch."""
    own: dict[str, Any] = {"cell": cell, "teacher_weight": 0.4, "rollout_steps": 9} | STATE | chosen
    candidate = make_candidate(hybrid="ar", **own)
    training = training_of([candidate] * MEMBERS, 2)
    disturb(training)
    training.forecaster.layout().views(training.weights)[AUTOREGRESSION].mul_(8.0)
    contexts = training.values[:, None, : training.warm_up]
    run = free_run(training.forecaster, training.weights, contexts, 9)
    assert 0.1 < (run.abs() == CLIP_STD).float().mean() < 0.9
    check_next_gradient(training)


sizes = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(["rnn", "gru", "lstm"]),
        "units": st.integers(1, 20),
        "context": st.sampled_from(["window", "state"]),
        "context_steps": st.integers(1, 20),
        "rollout_steps": st.integers(1, 12),
        "batch_size": st.integers(1, 9),
        "segment_steps": st.integers(1, 10),
        "instance_norm": st.booleans(),
        "hybrid": st.sampled_from(["ar", "level-ar"]),
        "known_inputs": st.booleans(),
    }
)


@settings(max_examples=25, deadline=None)
@given(choice=sizes, channels=st.integers(1, 3), members=st.integers(2, 4))
def test_kernels_and_torch_agree(
    make_candidate: Callable[..., TrainedNetwork],
    choice: dict[str, Any],
    channels: int,
    members: int,
) -> None:
    training = fused_training_of(make_candidate(teacher_weight=0.4, **choice), members, channels)
    disturb(training)
    check_engines_agree(training, atol=1e-3)


@pytest.mark.parametrize("cell", ["gru", "lem"])
@pytest.mark.parametrize("chosen", [STATE, WINDOW | {"instance_norm": True}], ids=described)
def test_free_run_is_that_of_the_plain_network(
    make_candidate: Callable[..., TrainedNetwork], cell: str, chosen: dict[str, Any]
) -> None:
    """With one-step forecasts of the warm-up where it is a state's, and on the truth."""
    training = training_of([make_candidate(cell=cell, hybrid="ar", **chosen)] * MEMBERS, 2)
    disturb(training)
    shape, weights = training.free_run_shape, training.weights
    contexts = training.values[:, None, : shape.warm_up]
    truth = training.values[:, None, shape.warm_up : shape.warm_up + 8]
    first = shape.one_step_from
    run = free_run(training.forecaster, weights, contexts, 8, one_step_from=first)
    forced = free_run(training.forecaster, weights, contexts, 8, truth=truth)
    for member in range(MEMBERS):
        named = training.forecaster.layout().views(weights[member : member + 1].double())
        own = {name: view[0] for name, view in named.items()}
        networks = [Network(training.candidate.architecture, own, 1) for _ in range(2)]
        known = contexts[member].double().transpose(0, 1)
        values = torch.cat([known, truth[member].double().transpose(0, 1)])
        for network, ours, start, read in (
            (networks[0], run, first, None),
            (networks[1], forced, shape.warm_up, values),
        ):
            found = run_network(network, known, 8, truth=read).forecasts
            expected = torch.stack([found[place] for place in range(start, shape.warm_up + 8)])
            torch.testing.assert_close(
                ours[member].transpose(0, 1).double(),
                expected.clamp(-CLIP_STD, CLIP_STD),
                rtol=1e-4,
                atol=1e-4,
            )


@pytest.mark.parametrize("hybrid", ["ar", "level-ar"])
@pytest.mark.parametrize("norm", [False, True])
def test_training_begins_with_the_autoregression(
    make_candidate: Callable[..., TrainedNetwork], hybrid: str, norm: bool
) -> None:
    """Before the first step the free run is the recurrence of the coefficients, of a sine it."""
    time = torch.arange(120.0)
    waves = torch.stack([torch.sin(0.4 * time), torch.cos(0.25 * time)], dim=1).unsqueeze(0)
    candidate = make_candidate(
        cell="gru", hybrid=hybrid, context="state", context_steps=40, instance_norm=norm
    )
    training = Trainer([Member(candidate, 0, seed=s) for s in range(2)], waves)
    run = free_run(
        training.forecaster, training.weights, waves[:, None, :40].repeat(2, 1, 1, 1), 60
    )
    torch.testing.assert_close(run[1, 0], waves[0, 40:100], rtol=0.0, atol=0.01)
    # Whatever they draw, members of one series share its fit; their cells differ.
    views = training.forecaster.layout().views(training.weights)
    assert torch.equal(*views[AUTOREGRESSION])
    assert not torch.equal(*views["cell.0.recurrent"])


def test_coefficients_of_levels_sum_up_to_one(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    for hybrid, is_one in (("ar", False), ("level-ar", True)):
        training = fused_training_of(make_candidate(cell="gru", hybrid=hybrid, **STATE))
        # [member, channel, lag, step]
        sums = training.forecaster.layout().views(training.weights)[AUTOREGRESSION].sum(2)
        assert torch.allclose(sums, torch.ones_like(sums)) == is_one


def test_members_that_read_backwards_too_have_a_fit_of_both_ways(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    """Beside others of the same series, as alone."""
    # It rises slowly, and falls at once.
    series = (torch.arange(120.0) % 17 / 5.0 - 1.6).view(1, -1, 1)
    candidates = [
        make_candidate(cell="gru", hybrid="ar", time_reversal=turn, **STATE)
        for turn in (False, True)
    ]

    def coefficients(own: list[TrainedNetwork]) -> Tensor:
        training = Trainer([Member(candidate, 0, seed=0) for candidate in own], series)
        return training.forecaster.layout().views(training.weights)[AUTOREGRESSION]

    together = coefficients(candidates)
    for place, candidate in enumerate(candidates):
        assert torch.equal(together[place], coefficients([candidate])[0])
    assert not torch.allclose(together[0], together[1], atol=0.01)


def test_the_autoregression_is_not_trained(make_candidate: Callable[..., TrainedNetwork]) -> None:
    candidate = make_candidate(cell="gru", hybrid="ar", weight_decay=1.0, **STATE)
    training = fused_training_of(candidate)
    before = training.weights.clone()
    for _ in training:
        pass
    layout = training.forecaster.layout()
    ours, theirs = layout.views(training.weights), layout.views(before)
    for name, view in ours.items():
        assert torch.equal(view, theirs[name]) == name.startswith("fixed.")
    fixed = 5 + 1 + 2 * 6
    assert training.parameter_count == layout.count - (fixed - 4)


def test_the_rest_is_trained(make_candidate: Callable[..., TrainedNetwork]) -> None:
    """Of a nonlinear map, the network forecasts what no autoregression can."""
    values = [0.3]
    for _ in range(399):
        values.append(3.9 * values[-1] * (1.0 - values[-1]))
    series = torch.tensor(values).view(1, -1, 1)
    series = (series - series.mean()) / series.std()
    given_: dict[str, Any] = {"context": "window", "context_steps": 4, "rollout_steps": 1}
    training = Trainer(
        [
            Member(
                make_candidate(
                    **given_,
                    cell="gru",
                    units=16,
                    hybrid="ar",
                    learning_rate=0.01,
                    training_steps=400,
                    batch_size=16,
                ),
                0,
                seed=1,
            )
        ],
        series,
    )
    before = float(training.loss())
    for _ in training:
        pass
    assert float(training.loss()) < 0.1 * before


@pytest.mark.parametrize(
    ("chosen", "named"),
    [
        ({"autonomous": True}, "autonomous"),
        ({"residual": True}, "residual"),
        ({"stateful": True, "rollout_steps": 4}, "stateful"),
        ({"decoding": "parallel", "parallel_segments": 2, "segment_steps": 2}, "parallel"),
    ],
)
def test_what_does_not_go_with_it(
    make_candidate: Callable[..., TrainedNetwork], chosen: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=f"hybrid must be none with .*{named}"):
        make_candidate(hybrid="ar", context="state", **chosen)
