"""The absolute loss against torch's, over the steps that count."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.losses.absolute import Absolute
from models.training.losses.loss import CountedSteps


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), first=st.integers(0, 3), end=st.integers(4, 9))
def test_the_gradient_is_that_of_torch(seed: int, first: int, end: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    forecast, truth = (2 * torch.randn(1, 3, 2, 9, generator=generator) for _ in range(2))
    counted = CountedSteps(torch.tensor([float(first)]), torch.tensor([float(end)]))
    found = Absolute.gradient(forecast, truth, counted)
    leaf = forecast[..., first:end].clone().requires_grad_()
    torch.nn.functional.l1_loss(leaf, truth[..., first:end]).backward()
    torch.testing.assert_close(found[..., first:end], leaf.grad)
    assert float(found[..., :first].abs().sum() + found[..., end:].abs().sum()) == 0.0


@pytest.mark.parametrize("error", [1e-9, 1.0, 1e6])
def test_large_errors_pull_as_hard_as_small_ones(error: float) -> None:
    counted = CountedSteps(torch.tensor([0.0]), torch.tensor([1.0]))
    gradient = Absolute.gradient(torch.full((1, 1, 1, 1), error), torch.zeros(1, 1, 1, 1), counted)
    assert float(gradient) == 1.0
