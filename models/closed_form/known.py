"""Coefficients that there is nothing to choose about."""

from dataclasses import dataclass

from models.closed_form.closed_form import FloatArray


@dataclass(frozen=True, eq=False)
class Known:
    """Solutions that are the same at every level: coefficients `[feature, output]`."""

    coefficients: FloatArray

    def at(self, level: float) -> FloatArray:
        return self.coefficients
