"""The recurrence of an orthogonal RNN as a product of Householder reflections."""

import torch
from torch import Generator

from models.network.cells.orthogonal import Orthogonal, Reflections


def test_reflections_make_an_orthogonal_matrix_that_starts_as_slow_rotations() -> None:
    generator = Generator().manual_seed(0)
    vectors = Orthogonal(hidden_units=16, reflections=6).initialise(1, generator)["vectors"]
    other = torch.randn(6, 16, generator=Generator().manual_seed(1))
    reflections = Reflections(torch.stack([vectors, other]))
    reflections.multiply()
    products = reflections.product @ reflections.product.transpose(1, 2)
    torch.testing.assert_close(products, torch.eye(16).expand(2, 16, 16), atol=1e-5, rtol=0.0)
    angles = torch.linalg.eigvals(reflections.product[0]).angle().abs()
    assert ((angles > 2e-3) & (angles < 1.5)).sum() == 6  # three pairs
    assert (angles < 1e-3).sum() == 10
