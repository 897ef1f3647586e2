"""Closed forms whose fit has no level of regularisation."""

from collections.abc import Sequence
from typing import ClassVar

from models.closed_form.closed_form import ClosedForm


class Unregularised(ClosedForm):
    """A closed form with nothing to choose after its fit: it has one level, and no name for it."""

    levels: ClassVar[Sequence[float]] = (0.0,)
    # A class variable is no setting: a study would search it in vain.
    regularisation: ClassVar[str] = "given"  # type: ignore[misc]

    @property
    def given_level(self) -> float:
        return 0.0

    def phrase(self) -> str:
        return ""
