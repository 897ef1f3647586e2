"""The parameters of a population: one flat row per member, and named views into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Self

from models.tensors import Tensor, torch

# Offsets are multiples of 16 floats (64 bytes), so that every member's matrices are aligned alike:
# BLAS kernels may round differently for other alignments, and a member's place must not matter.
ALIGNMENT = 16
# Names of parameters that are not trained begin so: settings, and what is measured of the data.
FIXED = "fixed."
INCREMENT_STD = "fixed.increment_std"
# Of the autoregression of a hybrid, `[channel, lag, step]`, the oldest lag first.
AUTOREGRESSION = "fixed.autoregression"
# What parallel decoding reads in the place of a segment, `[segment, number]`.
EMBEDDING = "decoder.embedding"


@dataclass(frozen=True)
class Layout:
    """Where each named parameter lies in a member's row; `size` counts floats, padding included."""

    shapes: Mapping[str, tuple[int, ...]]
    offsets: Mapping[str, int]
    size: int

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> Self:
        """Lay out the named shapes one after another, each aligned."""
        offsets: dict[str, int] = {}
        end = 0
        for name, shape in shapes.items():
            offsets[name] = end
            end += aligned(prod(shape))
        return cls(dict(shapes), offsets, end)

    @property
    def count(self) -> int:
        """Numbers per member, padding left out."""
        return sum(prod(shape) for shape in self.shapes.values())

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Named views `[member, *shape]` into `flat` `[member, parameter]`."""
        return {
            name: flat[:, self.offsets[name] : self.offsets[name] + prod(shape)].unflatten(1, shape)
            for name, shape in self.shapes.items()
        }

    def pack(self, named: Mapping[str, Tensor], dtype: "torch.dtype | None" = None) -> Tensor:
        """One member's row `[parameter]` from its named parameters; padding is zero.

        dtype: None for single precision.
        """
        row = torch.zeros(self.size, dtype=dtype or torch.float32)
        for name, value in named.items():
            offset = self.offsets[name]
            row[offset : offset + value.numel()] = value.flatten()
        return row


def aligned(length: int) -> int:
    """The length with padding behind it, so that what follows is aligned."""
    return -(-length // ALIGNMENT) * ALIGNMENT


def under(views: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The views whose names begin with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: v for name, v in views.items() if name.startswith(prefix)}
