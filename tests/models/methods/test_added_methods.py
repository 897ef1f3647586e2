"""A cell, a loss and a closed form that are declared elsewhere are methods like all others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.samplers import RandomSampler
from torch import Generator, Tensor

from models import checkpoint
from models.candidate import Candidate, candidate_of, free_run, from_plain, learner_of, to_plain
from models.checkpoint import Checkpoint, CheckpointError
from models.closed_form.closed_form import LaggedRidge, half_of_span
from models.cohort import Member
from models.methods import (
    Choices,
    FloatRange,
    Method,
    Real,
    Scalar,
    SettingError,
    Stage,
    Whole,
    choice,
    flag,
    method_named,
    methods,
    setting,
)
from models.methods.condition import TRAINED
from models.network.cells.cell import BackwardStep, Layer, UnitCell
from models.tensors import MemberBatchChannelTime, MemberBatchUnit
from models.training.losses.loss import CountedSteps, Loss, loss_weight, per_member
from models.training.options.averaging import WeightAverage
from models.training.options.noise import Noise, Place
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from search.study.space import Space, complete_space, parameter_named, read_space
from search.study.space.ablation import components, without_each
from tests.models.methods.declaring import declared_here, without_methods
from tests.models.network.cells.contract import check_differences

TRAIN_STEPS = 60
SMALL: dict[str, Any] = {
    "cell": ["leaky", "rnn"],
    "hidden_units": 4,
    "context": "state",
    "warm_up_steps": 10,
    "rollout_steps": [1, 8],
    "quartic_weight": {"low": 0.1, "high": 1.0},
    "leaky_rate": [0.3, 0.9],
    "learning_rate": {"low": 0.01, "high": 0.05},
    "training_steps": 40,
}


@pytest.fixture(scope="module", autouse=True)
def added() -> Iterator[dict[str, type[Method]]]:
    """The methods by their names, while these tests run."""
    with declared_here():

        class Leaky(UnitCell, name="leaky", label="leaky units", source="Nobody (2000)"):
            """Leaky units, which forget at a rate of their own: h' = h + a (tanh(x W + b) - h)."""

            runs_on_state = True

            rate: float = setting(
                Real(0, 1),
                FloatRange(0.1, 1.0),
                "The rate at which leaky units forget.",
                name="leaky_rate",
                neutral=0.5,
                is_stored=True,
            )

            def shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
                return {"input": (inputs, self.units), "bias": (1, self.units)}

        class LeakyLayer(Layer, cell=Leaky):
            """See `Leaky`."""

            def allocate(self) -> None:
                self.squashed = self._slots(self.weights["bias"].shape[-1])

            def forward(
                self, slot: int, x: MemberBatchUnit, state: MemberBatchUnit, new: MemberBatchUnit
            ) -> None:
                squashed = self.squashed[slot]
                torch.baddbmm(self.weights["bias"], x, self.weights["input"], out=squashed).tanh_()
                new.copy_(state + self.weights["leaky_rate"] * (squashed - state))

            def backward(self, at: BackwardStep) -> None:
                rate, squashed = self.weights["leaky_rate"], self.squashed[at.slot]
                at.grad_state.copy_((1.0 - rate) * at.grad_new_state)
                grad_sum = rate * at.grad_new_state * (1.0 - squashed * squashed)
                self.through_input(at, grad_sum)

        class Quartic(Loss, name="quartic", label="quartic loss"):
            """The fourth power of errors, so that the largest ones count."""

            weight: float = loss_weight("quartic_weight", "The weight of the quartic error.")

            @staticmethod
            def gradient(
                forecast: MemberBatchChannelTime,
                truth: MemberBatchChannelTime,
                counted: CountedSteps,
            ) -> MemberBatchChannelTime:
                _, batch, channels, steps = forecast.shape
                numbers = per_member(counted.number) * (batch * channels)
                return 4.0 * (forecast - truth) ** 3 * (counted.mask(steps) / numbers)

        class Pairs(LaggedRidge, name="pairs", label="two lags"):
            """Ridge regression on the last value and on one some steps before."""

            gap_steps: int = setting(
                Whole(1, 100),
                Choices((2, 5)),
                "Steps between the two values.",
                shared=True,
                most=half_of_span,
            )

            @property
            def context_steps(self) -> int:
                return self.gap_steps + 1

            def features(self, channels: int) -> int:
                return 2 * channels

            def expand(self, values: Any, channels: int, constant: float) -> Any:
                return np.concatenate([values[:, :channels], values[:, -channels:]], axis=1)

            def size(self) -> str:
                return f"gap of {self.gap_steps}"

        class Warp(Method, name="warp"):
            """An option that bends what is read, what is forecast, or how training walks."""

            kind = "warp"
            stage = Stage.SIZE
            applies = TRAINED
            shapes_forecast = True

            early: float = setting(
                Real(0, 1), Choices((0.0, 0.5)), "Before.", neutral=0.0, shared=True, nonlinear=True
            )
            late: str = choice(
                ("none", "bend"), "After.", stage=Stage.OUTPUT, shared=True, nonlinear=("bend",)
            )

        class Detour(Method, name="detour"):
            """A way of training that walks over time step by step."""

            kind = "detour"
            stage = Stage.LOSS
            applies = TRAINED

            detour: bool = flag("Whether there is one.", shared=True, loops=True)

        class EvenNoise(Noise, name="even_noise"):
            """Noise on targets that is even between two bounds."""

            place = Place.TARGET

            std: float = setting(
                Real(0, 1), Choices((0.0, 0.1)), "Of what.", name="even_noise_std", neutral=0.0
            )

            def draw(self, shape: tuple[int, ...], generator: Generator) -> Tensor:
                return (torch.rand(shape, generator=generator) - 0.5) * (self.std * 12**0.5)

        class First(WeightAverage, name="first"):
            """The weights after the first step, for ever."""

            def shares(self, training_steps: int) -> Tensor:
                return (torch.arange(training_steps) == 0).float()

        yield {m.name: m for m in (EvenNoise, First, Leaky, Quartic, Pairs, Warp, Detour)}


def space() -> Space:
    return Space(complete_space(read_space(SMALL), TRAIN_STEPS))


def samples(count: int, within: Space | None = None) -> list[dict[str, Scalar]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    within = within or space()
    return [within.suggest(study.ask()) for _ in range(count)]


def leaky_candidate(**more: Scalar) -> TrainedNetwork:
    params = next(p for p in samples(50) if p["cell"] == "leaky" and p["rollout_steps"] == 8)
    candidate = space().resolve({**params, **more})
    assert isinstance(candidate, TrainedNetwork)
    return candidate


def sine() -> Tensor:
    return torch.sin(0.3 * torch.arange(TRAIN_STEPS).double()).view(1, -1, 1) * 2**0.5


def test_added_methods_are_found_like_all_others(added: dict[str, type[Method]]) -> None:
    assert set(added.values()) <= set(methods())
    assert method_named("cell", "leaky") is added["leaky"]
    assert method_named("cell", "pairs") is added["pairs"]
    assert method_named("loss", "quartic") is added["quartic"]
    rate, weight = parameter_named("leaky_rate"), parameter_named("quartic_weight")
    assert rate is not None
    assert rate.owners == (added["leaky"],)
    assert not rate.shared
    assert weight is not None
    assert not weight.searched
    units = parameter_named("hidden_units")
    assert units is not None
    assert added["leaky"] in units.owners


def test_added_methods_leave_the_default_space_as_it_was(added: dict[str, type[Method]]) -> None:
    """A study that does not name them goes on as it would have."""
    extended = complete_space({}, 600)
    with without_methods(*added):
        assert list(extended.items()) == list(complete_space({}, 600).items())
    own = {"leaky_rate", "quartic_weight", "gap_steps", "early", "late", "detour"}
    assert not own & extended.keys()


def test_a_space_samples_the_settings_of_added_methods_where_they_apply() -> None:
    found = samples(60)
    assert {params["cell"] for params in found} == {"leaky", "rnn"}
    for params in found:
        assert ("leaky_rate" in params) == (params["cell"] == "leaky")
        assert ("quartic_weight" in params) == (params["rollout_steps"] == 8)
    with pytest.raises(SettingError, match="Did you mean 'leaky_rate'"):
        read_space({"leaky_rat": 0.5})


def test_samples_with_an_added_nonlinear_part_contradict_nothing() -> None:
    """It rules out what needs a linear network, and opens what needs the loop over time."""
    raw = {
        "cell": "lru",
        "context": "state",
        "autonomous": [False, True],
        "state_estimate": ["recurrence", "least-squares"],
        "residual": False,
        "segment_steps": [1, 4],
        "decoding": ["recurrent", "parallel"],
        "rollout_steps": 8,
        "warm_up_steps": 10,
        "head_layers": 0,
        "early": [0.0, 0.5],
        "late": ["none", "bend"],
        "detour": [False, True],
        "dropout": 0.1,
        "state_noise_std": 0.1,
        "sign_augmentation": True,
        "offset": False,
    }
    found = samples(200, Space(complete_space(read_space(raw), TRAIN_STEPS)))
    for params in found:
        is_bent = params["early"] == 0.5 or params.get("late") == "bend"
        candidate = candidate_of(params)
        assert isinstance(candidate, TrainedNetwork)
        loops = is_bent or params.get("detour") is True or params.get("segment_steps") == 4
        if params.get("state_estimate") == "least-squares":
            assert not loops
        assert ("dropout" in params) == ("sign_augmentation" in params) == is_bent
        assert ("state_noise_std" in params) == loops
        assert candidate.is_linear == (not loops)
    estimated = [p for p in found if p.get("state_estimate") == "least-squares"]
    parallel = [p for p in found if p.get("decoding") == "parallel"]
    assert estimated
    assert parallel
    assert not [p for p in parallel if "detour" in p]
    dropout = parameter_named("dropout")
    assert dropout is not None
    assert 'or early is above 0 or late is "bend"' in str(dropout.when)


def test_an_added_cell_passes_the_contract_of_cells() -> None:
    check_differences(leaky_candidate().cell)


def trained(*candidates: Candidate) -> Any:
    members = [Member(candidate, 0, seed=5) for candidate in candidates]
    learner = learner_of(members, sine(), "cpu")
    before = learner.loss()
    for _ in learner:
        pass
    return learner, before


def test_a_network_of_added_methods_trains_and_each_setting_matters() -> None:
    """Members differ in the stored setting and in the weight of the loss, in one cohort."""
    candidates = [
        leaky_candidate(leaky_rate=rate, quartic_weight=weight, learning_rate=0.05)
        for rate, weight in ((0.3, 0.0), (0.3, 1.0), (0.9, 1.0))
    ]
    learner, before = trained(*candidates)
    assert (learner.loss() < before).all()
    assert torch.unique(learner.weights, dim=0).shape[0] == 3
    named = learner.forecaster.layout().views(learner.weights)
    assert named["fixed.leaky_rate"].flatten().tolist() == pytest.approx([0.3, 0.3, 0.9])
    for position, candidate in enumerate(candidates):
        alone, _ = trained(candidate)
        assert torch.equal(alone.weights[0], learner.weights[position])


def test_an_added_noise_is_drawn_and_an_added_average_is_scored() -> None:
    plain, noisy, averaged = (
        leaky_candidate(learning_rate=0.05, **more)
        for more in (dict[str, Scalar](), {"even_noise_std": 0.1}, {"weight_average": "first"})
    )
    learner, _ = trained(plain, noisy, averaged)
    assert torch.equal(learner.weights[0], learner.weights[2])
    assert not torch.equal(learner.weights[0], learner.weights[1])
    assert torch.equal(learner.scored_weights[:2], learner.weights[:2])
    for position, candidate in enumerate((plain, noisy, averaged)):
        alone, _ = trained(candidate)
        assert torch.equal(alone.scored_weights[0], learner.scored_weights[position])
    begun = Trainer([Member(plain, 0, seed=5)], sine().float())
    next(iter(begun))
    assert torch.equal(learner.scored_weights[2], begun.weights[0])


def test_added_methods_have_ablations() -> None:
    params = dict(next(p for p in samples(50) if "leaky_rate" in p and "quartic_weight" in p))
    assert components()["quartic weight"].without == "none"
    assert "leaky rate" not in components()
    found = without_each(space(), params)
    assert "quartic_weight" not in found["quartic weight"].values()
    assert found["cell"].values()["cell"] == "rnn"
    assert "leaky_rate" not in found["cell"].values()


def test_candidates_and_checkpoints_of_added_methods_need_the_methods() -> None:
    candidate = leaky_candidate(leaky_rate=0.7)
    plain = json.loads(json.dumps(to_plain(candidate)))
    assert from_plain(plain) == candidate
    learner, _ = trained(candidate)
    one = torch.ones(1, 1)
    saved = Checkpoint(candidate.architecture, 1, learner.scored_weights[:1], one, one)
    content = checkpoint.save(saved)
    loaded = checkpoint.load(content)
    assert loaded.architecture == candidate.architecture
    context = sine()[:, None, :10].float()
    runs = [free_run(learner.forecaster, c.weights, context, 9) for c in (saved, loaded)]
    assert torch.equal(*runs)
    with without_methods("leaky", "quartic"):
        with pytest.raises(SettingError, match="is a setting of no method here"):
            from_plain(plain)
        with pytest.raises(CheckpointError, match="leaky_rate is a setting of no method here"):
            checkpoint.load(content)


def test_an_added_closed_form_is_fitted_and_fits_the_training_span() -> None:
    """A sine is a sum of two of its values."""
    domains = complete_space(read_space({"cell": "pairs", "regularisation": "given"}), 8)
    assert domains["gap_steps"] == Choices((2,))
    form = candidate_of({"cell": "pairs", "gap_steps": 3, "ridge": 0.0, "offset": False})
    assert form.description() == "pairs, gap of 3, ridge 0"
    learner, _ = trained(form)
    context = sine()[:, None, : learner.warm_up]
    run = free_run(learner.forecaster, learner.scored_weights, context, TRAIN_STEPS - 4)
    torch.testing.assert_close(run[:, 0], sine()[:, 4:], rtol=0.0, atol=1e-8)
