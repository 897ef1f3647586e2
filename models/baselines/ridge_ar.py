"""Ridge autoregression in both directions of time: the modified covariance method, regularised."""

from typing import ClassVar

from models.baselines.fitted import FittedBaseline
from models.candidate import FittedCellName


class RidgeAR(FittedBaseline):
    """See `models.closed_form.AR` and `FittedBaseline`: only the strength is chosen."""

    cell: ClassVar[FittedCellName] = "ar"
