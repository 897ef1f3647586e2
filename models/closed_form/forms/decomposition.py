"""Classical decomposition: a seasonal profile, and ridge autoregression of what it leaves."""

from models.closed_form.closed_form import FloatArray, half_of_span
from models.closed_form.decomposing import profiles, seasons_to_decompose
from models.closed_form.patterns import IndexArray, PatternAndRemainder
from models.closed_form.season import season_length
from models.methods import counted


class Decomposition(
    PatternAndRemainder,
    name="decomposition",
    label="seasonal decomposition",
    source="Persons (1919); Cleveland et al. (1990)",
    rank=20,
    searched=True,
):
    """Classical decomposition, with a ridge autoregression of what the season leaves.

    The profile is the mean, at each place of a season, of the deviations of the last seasons from
    their centred moving average over a season; its own mean is zero. Near both ends of what is read
    the moving average is that of the first and of the last season. What the profile leaves of the
    series, its trend included, is continued by the autoregression.
    """

    needs_season = True

    season_steps: int = season_length(most=half_of_span)
    decomposed_seasons: int = seasons_to_decompose()

    @property
    def pattern_steps(self) -> int:
        return self.decomposed_seasons * self.season_steps

    def numbers(self, windows: FloatArray) -> FloatArray:
        return profiles(windows, self.season_steps)

    def pattern(self, numbers: FloatArray, places: IndexArray) -> FloatArray:
        return numbers[:, places % self.season_steps]

    def size(self) -> str:
        seasons = counted(self.decomposed_seasons, "season")
        return f"{seasons} of {counted(self.season_steps, 'step')}, order {self.remainder_order}"
