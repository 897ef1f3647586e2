"""The promise: a member's numbers are the same, bit for bit, alone or in any company."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gc import collect
from typing import Any
from weakref import ref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from models.cohort import Member
from models.methods.registry import methods_of
from models.network.cells.cell import Cell
from models.network.walk import free_run
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer

SERIES, SPAN, STEPS = 3, 40, 4
CELLS = [method for method in methods_of("cell") if issubclass(method, Cell)]
FORCINGS, AVERAGES = (
    ["none", *(method.name for method in methods_of(selector))]
    for selector in ("forcing", "weight_average")
)

LEAST_SQUARES: dict[str, Any] = {
    "state_estimate": "least-squares",
    "cell": "lru",
    "head_layers": 0,
    "residual": False,
    "context": "state",
    "autonomous": True,
    "teacher_span": "warm-up",
    "stateful": False,
    "growth_penalty": False,
    "dropout": 0.0,
    "state_noise_std": 0.0,
    "forcing": "none",
    "pushforward_steps": 0,
    "data_as_demonstrator": False,
    "layer_norm": False,
    "scaled_increments": False,
    "hybrid": "none",
}
# What makes a linear candidate train in a loop over time, apart from those that do without.
LOOPING = ("dropout", "state_noise_std", "forcing", "pushforward_steps", "data_as_demonstrator")
VALUE_BY_VALUE: dict[str, Any] = {"read_in": "none", "decoding": "recurrent"}
# What goes with parallel decoding.
DECODED_IN_PARALLEL: dict[str, Any] = {
    "autonomous": False,
    "stateful": False,
    "growth_penalty": False,
    "teacher_span": "warm-up",
    "forcing": "none",
    "pushforward_steps": 0,
    "data_as_demonstrator": False,
}
WHOLE_WINDOW: dict[str, Any] = {"cell": "mlp", "context": "window"}
shapes = st.fixed_dictionaries(
    {
        "cell": st.sampled_from([cell.name for cell in CELLS if cell.is_recurrent]),
        "units": st.sampled_from([1, 2, 3, 5, 8, 16]),
        "reflections": st.integers(1, 4),
        "expanded_units": st.sampled_from([1, 3, 16]),
        "layers": st.integers(1, 3),
        "head_layers": st.integers(0, 2),
        "layer_norm": st.booleans(),
        "residual": st.booleans(),
        "context": st.sampled_from(["window", "state"]),
        "context_steps": st.sampled_from([1, 2, 5, 9]),
        "autonomous": st.booleans(),
        "rollout_steps": st.sampled_from([1, 2, 6]),
        "teacher_span": st.sampled_from(["warm-up", "rollout"]),
        "stateful": st.booleans(),
        "growth_penalty": st.booleans(),
        "batch_size": st.sampled_from([1, 2, 3, 8, 17]),
        "instance_norm": st.booleans(),
        "scaled_increments": st.booleans(),
        "hybrid": st.sampled_from(["none", "none", "ar", "level-ar"]),
        "segment_steps": st.sampled_from([1, 1, 2, 3, 7]),
        "read_in": st.sampled_from(["none", "linear", "relu"]),
        "decoding": st.sampled_from(["recurrent", "parallel"]),
        "parallel_segments": st.integers(1, 3),
    }
)


def can_be_hybrid(chosen: dict[str, Any]) -> bool:
    """Whether an autoregression can make a part of the forecasts."""
    return not (
        chosen["residual"]
        or chosen["autonomous"]
        or chosen["stateful"]
        or chosen["decoding"] == "parallel"
    )


def possible(chosen: dict[str, Any]) -> dict[str, Any]:
    """The same without what can't go together."""
    chosen = chosen | {"hybrid": chosen["hybrid"] if can_be_hybrid(chosen) else "none"}
    increments = chosen["scaled_increments"] and chosen["residual"]
    carried = chosen["stateful"] and not chosen["instance_norm"]
    possible = chosen | {"scaled_increments": increments, "stateful": carried}
    if chosen.get("state_estimate") == "least-squares":
        return possible | {"segment_steps": 1} | VALUE_BY_VALUE
    if chosen["segment_steps"] == 1 or chosen["cell"] == "mlp":
        return possible | VALUE_BY_VALUE
    if chosen["decoding"] == "parallel":
        return possible | DECODED_IN_PARALLEL
    return possible


architectures = st.one_of(
    shapes,
    shapes,
    shapes.map(lambda chosen: chosen | WHOLE_WINDOW),
    shapes.map(lambda chosen: chosen | LEAST_SQUARES),
).map(possible)
noise = st.sampled_from([0.0, 0.1])
weight = st.sampled_from([0.0, 1.0])
strategies = st.fixed_dictionaries(
    {
        "teacher_weight": st.sampled_from([0.0, 0.3, 1.0]),
        "curriculum_fraction": st.sampled_from([0.0, 0.6]),
        "input_noise_std": noise,
        "feedback_noise_std": noise,
        "output_noise_std": noise,
        "label_noise_std": noise,
        "learning_rate": st.sampled_from([1e-3, 3e-2]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
        "clip_norm": st.sampled_from([0.1, 10.0]),
        "schedule": st.sampled_from(["constant", "cosine"]),
        "time_reversal": st.booleans(),
        "offset": st.booleans(),
        "damping": st.booleans(),
        "professor_weight": st.sampled_from([0.0, 0.5, 10.0]),
        "professor_detach": st.sampled_from(["teacher", "free", "none"]),
        "dropout": st.sampled_from([0.0, 0.3]),
        "initial_phases": st.sampled_from(["random", "spectrum"]),
        "growth_weight": weight,
        "velocity_weight": weight,
        "spectral_weight": weight,
        "amplitude_weight": weight,
        "forcing": st.sampled_from(FORCINGS),
        "forcing_midpoint": st.sampled_from([0.1, 0.5]),
        "forcing_interval": st.sampled_from([2, 5]),
        "pushforward_steps": st.sampled_from([0, 0, 1, 4]),
        "data_as_demonstrator": st.booleans(),
        "sign_augmentation": st.booleans(),
        "scale_augmentation_std": noise,
        "state_noise_std": noise,
        "weight_average": st.sampled_from(AVERAGES),
        "average_fraction": st.sampled_from([0.3, 1.0]),
        "cornn_step": st.sampled_from([0.1, 1.0]),
        "cornn_damping": st.sampled_from([0.0, 2.0]),
        "lem_step": st.sampled_from([0.2, 1.0]),
        "antisymmetric_step": st.sampled_from([0.1, 1.0]),
        "antisymmetric_diffusion": st.sampled_from([0.0, 0.5]),
    }
)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def values(channels: int = 1) -> Tensor:
    return torch.randn(SERIES, SPAN, channels, generator=Generator().manual_seed(4))


def numbers(
    members: list[Member[TrainedNetwork]],
    wanted: Member[TrainedNetwork],
    kept: list[int] | None = None,
    channels: int = 1,
) -> dict[str, Tensor]:
    """What training leaves of one member: weights, loss, free run. Some may be dropped halfway."""
    training, order = Trainer(members, values(channels), "cpu"), list(members)
    for step in training:
        if step == STEPS // 2 and kept is not None:
            training.keep(kept)
            order = [order[i] for i in kept]
    row = order.index(wanted)
    context = values(channels)[:1, None, : training.warm_up].expand(
        len(training.weights), 3, -1, -1
    )
    run = free_run(training.forecaster, training.weights, context, 5)
    return {"weights": training.weights[row], "loss": training.loss()[row], "free run": run[row]}


def check_equal(found: dict[str, Tensor], expected: dict[str, Tensor], where: str) -> None:
    for name, value in expected.items():
        assert torch.equal(found[name], value), f"{name} differs {where}"


def members_of(
    make_candidate: Callable[..., TrainedNetwork],
    architecture: dict[str, Any],
    chosen: list[dict[str, Any]],
) -> list[Member[TrainedNetwork]]:
    shared = {"training_steps": STEPS} | architecture
    if shared.get("state_estimate") == "least-squares":
        chosen = [strategy | LEAST_SQUARES for strategy in chosen]
    if shared.get("decoding") == "parallel":
        chosen = [strategy | DECODED_IN_PARALLEL for strategy in chosen]
    candidates = [make_candidate(**(shared | strategy)) for strategy in chosen]
    if len({c.cohort_key() for c in candidates}) > 1:
        shared |= {name: chosen[0][name] for name in LOOPING if name in chosen[0]}
        candidates = [make_candidate(**(strategy | shared)) for strategy in chosen]
    return [Member(c, i % SERIES, seed=i) for i, c in enumerate(candidates)]


@settings(deadline=None, max_examples=40)
@given(
    architecture=architectures,
    chosen=st.lists(strategies, min_size=3, max_size=9),
    data=st.data(),
)
def test_company_order_and_dropped_members_change_nothing(
    make_candidate: Callable[..., TrainedNetwork],
    architecture: dict[str, Any],
    chosen: list[dict[str, Any]],
    data: st.DataObject,
) -> None:
    members = members_of(make_candidate, architecture, chosen)
    wanted = data.draw(st.sampled_from(members), label="wanted")
    alone = numbers([wanted], wanted)
    shuffled = data.draw(st.permutations(members), label="order")
    check_equal(numbers(shuffled, wanted), alone, "in company")
    others = [i for i in range(len(members)) if shuffled[i] is not wanted]
    survivors = data.draw(st.lists(st.sampled_from(others), unique=True), label="survivors")
    kept = data.draw(st.permutations([*survivors, shuffled.index(wanted)]), label="kept")
    check_equal(numbers(shuffled, wanted, kept), alone, "after others were dropped")


@settings(deadline=None, max_examples=30)
@given(
    architecture=architectures,
    chosen=st.lists(strategies, min_size=2, max_size=6),
    data=st.data(),
)
def test_members_that_follow_the_others_are_the_same(
    make_candidate: Callable[..., TrainedNetwork],
    architecture: dict[str, Any],
    chosen: list[dict[str, Any]],
    data: st.DataObject,
) -> None:
    """Some rest before training, catch up with the others, and go on together with them."""
    members = members_of(make_candidate, architecture, chosen)
    order = data.draw(st.permutations(range(len(members))), label="order")
    first = data.draw(st.integers(1, len(members) - 1), label="first")
    until = data.draw(st.integers(1, STEPS), label="until")
    training = Trainer(members, values(), "cpu")
    late = training.part(order[first:])
    training.keep(order[:first])
    for step in training:
        if step == until:
            assert next(done for done in late if done == until)
            training.join(late)
    assert training.count == len(members)
    losses = training.loss()
    for row, place in enumerate(order):
        alone = numbers([members[place]], members[place])
        assert torch.equal(training.weights[row], alone["weights"])
        assert torch.equal(losses[row], alone["loss"])


def test_parts_join_where_they_have_come_as_far(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    members = members_of(make_candidate, {"cell": "gru"}, [{}, {}])
    training = Trainer(members, values(), "cpu")
    late = training.part([1])
    training.keep([0])
    next(iter(training))
    with pytest.raises(ValueError, match="as many steps, but one has done 1, the other 0"):
        training.join(late)


def test_a_part_that_rests_has_the_losses_of_its_members(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    chosen = [{"teacher_weight": weight} for weight in (0.0, 0.5, 1.0)]
    training = Trainer(members_of(make_candidate, {"cell": "gru"}, chosen), values(), "cpu")
    losses = training.loss()
    for rows in ([0], [2], [2, 1]):
        assert torch.equal(training.part(rows).loss(), losses[rows])


def test_a_part_that_rests_keeps_nothing_of_the_others(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    members = members_of(make_candidate, {"cell": "gru"}, [{}, {}, {}])
    training = Trainer(members, values(), "cpu")
    of_all = [ref(own) for own in (training.values, training.grads, training.gradient)]
    late = training.part([1])
    training.keep([0, 2])
    later = late.part([0])
    collect()
    assert [own() for own in of_all] == [None] * 3
    assert list(later) == list(training) == list(range(1, STEPS + 1))


@pytest.mark.parametrize("loss", ["amplitude_weight", "velocity_weight", "spectral_weight"])
@pytest.mark.parametrize(
    "architecture",
    [
        *({"cell": cell, "context": "state"} for cell in ("rnn", "gru", "lstm", "cornn", "lru")),
        {"cell": "gru", "context": "window"},
        LEAST_SQUARES,
    ],
    ids=["rnn", "gru", "lstm", "cornn", "lru", "gru-window", "least-squares"],
)
def test_a_loss_of_another_changes_nothing(
    make_candidate: Callable[..., TrainedNetwork], architecture: dict[str, Any], loss: str
) -> None:
    sizes = {"units": 3, "batch_size": 3, "context_steps": 9, "rollout_steps": 6}
    chosen = [
        {"teacher_weight": 0.3, "label_noise_std": 0.1, "learning_rate": 0.01, loss: weight}
        for weight in (0.0, 1.0)
    ]
    members = members_of(make_candidate, architecture | sizes, chosen)
    for wanted in members:
        check_equal(numbers(members, wanted), numbers([wanted], wanted), "beside another loss")


# Large enough for torch to share the work of a kernel among threads, with odd ends of blocks.
WIDE: dict[str, Any] = {"units": 33, "batch_size": 16, "context_steps": 2, "training_steps": 2}
NORMS: dict[str, Any] = {
    "layer_norm": True,
    "instance_norm": True,
    "residual": True,
    "scaled_increments": True,
}


@pytest.mark.parametrize(
    "architecture",
    [
        {"cell": "rnn", "context": "window", "layers": 2, "head_layers": 1} | WIDE,
        {"cell": "gru", "context": "window", "residual": True} | WIDE,
        {"cell": "lstm", "context": "state", "rollout_steps": 2} | WIDE,
        LEAST_SQUARES | {"layers": 2, "rollout_steps": 2} | WIDE,
        LEAST_SQUARES | {"rollout_steps": 2} | WIDE | {"units": 9},
        {"cell": "lru", "context": "window", "head_layers": 1} | WIDE,
        {"cell": "lru", "context": "state", "rollout_steps": 19} | WIDE | {"context_steps": 20},
        {"cell": "lstm", "context": "state", "rollout_steps": 3, "layers": 2, "stateful": True}
        | {"teacher_span": "rollout"}
        | WIDE,
        *(
            {"cell": cell, "context": "state", "rollout_steps": 2, "layers": 2} | NORMS | WIDE
            for cell in ("cornn", "lem", "antisymmetric", "orthogonal", "shplrnn")
        ),
        WHOLE_WINDOW | {"rollout_steps": 3, "layers": 2} | NORMS | WIDE | {"context_steps": 9},
        {"cell": "gru", "context": "state", "rollout_steps": 13, "read_in": "relu"}
        | {"residual": True, "instance_norm": True}
        | WIDE
        | {"segment_steps": 5, "context_steps": 10},
        {"cell": "lstm", "context": "window", "rollout_steps": 15, "decoding": "parallel"}
        | DECODED_IN_PARALLEL
        | WIDE
        | {"segment_steps": 5, "context_steps": 10, "parallel_segments": 2},
    ],
    ids=[
        *("rnn", "gru", "lstm", "least-squares", "estimated", "lru", "linear", "recipe"),
        *("cornn", "lem", "antisymmetric", "orthogonal", "shplrnn", "mlp"),
        *("segments", "parallel"),
    ],
)
def test_threads_and_a_large_cohort_change_nothing(
    make_candidate: Callable[..., TrainedNetwork], architecture: dict[str, Any]
) -> None:
    """Two threads on a busy machine are slow, so these trainings are short."""
    chosen = [
        {"learning_rate": rate, "input_noise_std": 0.1, "teacher_weight": 0.5, "weight_decay": 0.1}
        | {"professor_weight": 0.5, "dropout": 0.2 if "teacher_span" in architecture else 0.0}
        | {"velocity_weight": 0.5, "spectral_weight": 0.5, "amplitude_weight": 0.5}
        | {"scale_augmentation_std": 0.1, "weight_average": "tail"}
        for rate in (1e-3, 1e-2, 3e-2) * 12
    ]
    members = members_of(make_candidate, architecture, chosen)
    wanted = members[31]
    alone = numbers([wanted], wanted)
    check_equal(numbers(members, wanted), alone, "among 36")
    with threads(2):
        check_equal(numbers(members, wanted), alone, "among 36 on 2 threads")


@pytest.mark.parametrize("cell", [cell.name for cell in CELLS])
def test_company_changes_nothing_for_several_channels(
    make_candidate: Callable[..., TrainedNetwork], cell: str
) -> None:
    architecture: dict[str, Any] = {"cell": cell, "context": "state", "rollout_steps": 3}
    architecture |= {"units": 5}
    if cell not in ("rnn", "gru", "lstm", "lru"):
        architecture |= {"instance_norm": True, "layer_norm": True}
    if cell == "mlp":
        architecture |= WHOLE_WINDOW
    members = members_of(make_candidate, architecture, [{"input_noise_std": 0.1}] * 5)
    alone = numbers([members[2]], members[2], channels=3)
    check_equal(numbers(members, members[2], channels=3), alone, "in company")
