"""What stands among the weights and is not trained: settings of cells, and what data measure."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from models.cohort import Member
from models.methods.registry import methods_of
from models.network.cells.cell import Cell
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer

CELLS = {method.name: method for method in methods_of("cell") if issubclass(method, Cell)}
STORED: dict[str, list[dict[str, float]]] = {
    "cornn": [
        {"cornn_step": 0.02, "cornn_stiffness": 3.0, "cornn_damping": 0.0},
        {"cornn_step": 0.1, "cornn_stiffness": 30.0, "cornn_damping": 4.0},
    ],
    "lem": [{"lem_step": 0.1}, {"lem_step": 0.9}],
    "antisymmetric": [
        {"antisymmetric_step": 0.2, "antisymmetric_diffusion": 0.0},
        {"antisymmetric_step": 0.7, "antisymmetric_diffusion": 0.3},
    ],
}


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(1))


@pytest.mark.parametrize("cell", STORED)
def test_stored_settings_differ_by_member_and_are_not_trained(
    make_candidate: Callable[..., TrainedNetwork], cell: str
) -> None:
    candidates = [
        make_candidate(cell=cell, context="state", weight_decay=1.0, **values)
        for values in STORED[cell]
    ]
    assert {own.name for own in CELLS[cell].stored_settings()} == set(STORED[cell][0])
    training = Trainer([Member(c, 0, seed=0) for c in candidates], random(1, 30, 1))
    before = training.weights.clone()
    for _ in training:
        pass
    views = training.forecaster.layout().views(training.weights)
    for member, values in enumerate(STORED[cell]):
        for name, value in values.items():
            assert views[f"fixed.{name}"][member].item() == pytest.approx(value)
    assert not torch.equal(training.weights, before)
    plain = training.parameter_count
    assert plain == sum(v[0].numel() for n, v in views.items() if not n.startswith("fixed."))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_stored_settings_are_numbers_in_which_a_cohort_may_differ(cell: type[Cell]) -> None:
    for own in cell.stored_settings():
        assert isinstance(own.neutral, float), own.name
        assert not own.shared, own.name


def test_increments_have_the_scale_of_those_of_the_training_span(
    make_candidate: Callable[..., TrainedNetwork],
) -> None:
    candidate = make_candidate(residual=True, scaled_increments=True, weight_decay=1.0)
    values = torch.stack([random(30, 1), torch.ones(30, 1)])
    training = Trainer([Member(candidate, series, seed=0) for series in (0, 1)], values)
    for _ in training:
        pass
    found = training.forecaster.layout().views(training.weights)["fixed.increment_std"]
    assert found[0].item() == pytest.approx(values[0].diff(dim=0).std(correction=0).item())
    assert found[1].item() == pytest.approx(1e-6)  # a constant series has none
