"""Baselines that are linear recurrences: their order, ridge or rank is chosen on the span's end."""

from collections.abc import Mapping, Sequence

from models.baselines.baseline import Baseline, FloatArray
from models.closed_form.forms.ar_by_order import ORDERS
from models.methods import Scalar

# What is fitted before an order is chosen, see `models.closed_form.fitting`.
FITTED_SHARE = 0.75
# What ridge AR and SSA read takes a third of the training span, as far as that is quickly
# factorised.
CONTEXT_SHARE = 3
MOST_CONTEXT_STEPS = 300


class Autoregression(
    Baseline, name="ar", label="autoregression (AR, order chosen on the training span)", rank=802
):
    """Least-squares autoregression, its order chosen by a free run over the last quarter."""

    short_label = "AR"

    @classmethod
    def settings_for(
        cls, training: FloatArray, periods: Sequence[float] = ()
    ) -> Mapping[str, Scalar]:
        fitted = int(FITTED_SHARE * len(training))
        # Else noise is fitted exactly.
        orders = [order for order in ORDERS if fitted > 2 * order]
        return {
            "cell": "ar-by-order",
            "largest_order": max(orders, default=1),
            "regularisation": "held-out",
        }


class RidgeAR(
    Baseline,
    name="ridge-ar",
    label="ridge AR (both ways in time, ridge chosen on the training span)",
    rank=803,
):
    """Ridge autoregression in both directions of time; only the strength is chosen."""

    short_label = "ridge AR"

    @classmethod
    def settings_for(
        cls, training: FloatArray, periods: Sequence[float] = ()
    ) -> Mapping[str, Scalar]:
        return {"cell": "ar", "ar_order": _context_steps(training), **_CHOSEN_BOTH_WAYS}


class SSA(
    Baseline,
    name="ssa",
    label="singular spectrum analysis (SSA, rank chosen on the training span)",
    rank=804,
):
    """Singular spectrum analysis, strong on waves; only the rank is chosen."""

    short_label = "SSA"

    @classmethod
    def settings_for(
        cls, training: FloatArray, periods: Sequence[float] = ()
    ) -> Mapping[str, Scalar]:
        return {"cell": "ssa", "ssa_window": _context_steps(training), **_CHOSEN_BOTH_WAYS}


_CHOSEN_BOTH_WAYS: Mapping[str, Scalar] = {
    "regularisation": "held-out",
    "time_reversal": True,
    "offset": False,
}


def _context_steps(training: FloatArray) -> int:
    return min(max(1, len(training) // CONTEXT_SHARE), MOST_CONTEXT_STEPS)
