"""The last season again and again; a season of one step is the last value for ever."""

from collections.abc import Sequence

import numpy as np

from models.closed_form.closed_form import ClosedForm, FittedForm, Fixed, FloatArray
from models.closed_form.known import Known
from models.methods import Choices, Whole, setting


class Seasonal(ClosedForm, name="seasonal-naive", label="the last season again", rank=17):
    """Repetition of the last season: each value is the one a season before it.

    Nothing is fitted: the one coefficient, with which the season is repeated, is 1.
    """

    is_searchable = False
    levels = (0.0,)

    season_steps: int = setting(
        Whole(1, 1_000_000),
        Choices((1,)),
        "Steps of a season, the last of which is repeated; 1 repeats the last value.",
        neutral=1,
        shared=True,
    )

    @property
    def context_steps(self) -> int:
        return self.season_steps

    @property
    def given_level(self) -> float:
        return 0.0

    def features(self, channels: int) -> int:
        return 1

    def outputs(self, channels: int) -> int:
        return 1

    def factorise(self, pieces: Sequence[FloatArray], candidate: FittedForm, fixed: Fixed) -> Known:
        return Known(np.ones((1, 1)))

    def run(
        self, fixed: Fixed, coefficients: FloatArray, context: FloatArray, steps: int
    ) -> FloatArray:
        season = context[:, -self.season_steps :]
        repeats = -(-steps // self.season_steps)
        return coefficients * np.tile(season, (1, repeats, 1))[:, :steps]

    def size(self) -> str:
        return f"season of {self.season_steps}"

    def phrase(self) -> str:
        return ""
