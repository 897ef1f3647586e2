"""State with a row for each member of a cohort, and the company that a single row needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from models.tensors import Tensor, torch


class PerMember:
    """Tensors whose first axis is the member; `by_member` names the attributes that hold them."""

    by_member: ClassVar[tuple[str, ...]] = ()

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with the members at these positions only, in this order."""
        for name in self.by_member:
            own: Tensor = getattr(self, name)
            setattr(self, name, own[torch.tensor(rows, dtype=torch.long)].clone())


def in_company(rows: Sequence[int]) -> list[int]:
    """The rows, a single one twice: products of one network alone round differently."""
    return list(rows) * 2 if len(rows) == 1 else list(rows)
