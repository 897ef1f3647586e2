"""The Huber loss against torch's, over the steps that count."""

import pytest
import torch
from torch import Generator

from models.training.losses.huber import LARGE_ERROR, Huber
from models.training.losses.loss import CountedSteps


@pytest.mark.parametrize(("first", "end"), [(0, 7), (2, 5), (3, 4)])
def test_gradient_is_that_of_torch(first: int, end: int) -> None:
    generator = Generator().manual_seed(0)
    forecast, truth = (torch.randn(2, 3, 2, 7, generator=generator) for _ in range(2))
    counted = CountedSteps(torch.tensor([first, 0]).float(), torch.tensor([end, 7]).float())
    found = Huber.gradient(forecast, truth, counted)
    leaf = forecast[0].clone().requires_grad_()
    inside = leaf[..., first:end], truth[0, ..., first:end]
    torch.nn.functional.huber_loss(*inside, delta=LARGE_ERROR).backward()
    assert leaf.grad is not None
    torch.testing.assert_close(found[0], leaf.grad)


def test_a_large_error_weighs_no_more_than_one_at_the_bound() -> None:
    counted = CountedSteps(torch.zeros(1), torch.ones(1))
    large, bound = (
        Huber.gradient(torch.full((1, 1, 1, 1), error), torch.zeros(1, 1, 1, 1), counted)
        for error in (100.0, LARGE_ERROR)
    )
    assert torch.equal(large, bound)
