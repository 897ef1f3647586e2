"""What is known of a series that is searched on; `models.diagnostics.properties` finds it out."""

from dataclasses import dataclass

# A season repeats at least this often in the record; a wave may be seen for a part of its period.
LEAST_SEASONS = 3
# The level of the tests of symmetry.
LEVEL = 0.05


@dataclass(frozen=True)
class SeriesProperties:
    """What the default space follows.

    train_steps: the length of the training span. channels: value columns, of all of which the rest
    is said together. periods: in steps, the one of the shortest season first, or that of a wave;
    empty where none was found. is_wave: whether it is a wave of which fewer than `LEAST_SEASONS`
    periods are seen. is_sign_symmetric, is_reversible: whether the
    series may look the same upside down, and backwards in time: no test at `LEVEL` says otherwise.
    is_positive: whether all its values are above zero. is_noise_free: whether a table follows a
    smooth curve that comes back to where it was, see `models.diagnostics.noise`; nobody asks it of
    a generated series, whose file says what noise there is. horizon_steps: of the task, as
    far as known. gapless_steps: of a table with masked values the longest stretch of rows without
    one that every training has; None where the task alone says it. known_columns, past_columns: how
    many columns there are beside those that are forecast, which are known in advance, and only in
    the past; known_by_series: whether the series of a long table have known columns of their own.
    has_new_level: whether a table ends, before its test, at a level that it did not have
    before, see `models.diagnostics.levels`.
    """

    train_steps: int
    periods: tuple[float, ...] = ()
    is_sign_symmetric: bool = True
    is_reversible: bool = True
    is_positive: bool = True
    channels: int = 1
    is_noise_free: bool = False
    horizon_steps: int | None = None
    gapless_steps: int | None = None
    known_columns: int = 0
    known_by_series: bool = False
    past_columns: int = 0
    has_new_level: bool = False

    @property
    def period(self) -> float | None:
        """The first period, None where there is none."""
        return self.periods[0] if self.periods else None

    @property
    def is_wave(self) -> bool:
        """Whether less than a few periods are seen."""
        return self.period is not None and self.train_steps < LEAST_SEASONS * self.period

    @property
    def has_season(self) -> bool:
        """Whether a season was found, which repeats a few times."""
        return self.period is not None and not self.is_wave
