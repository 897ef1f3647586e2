"""Baselines that are linear recurrences: their order, ridge or rank is chosen on the span's end."""

from collections.abc import Mapping, Sequence

from models.baselines.baseline import Baseline, FloatArray
from models.closed_form.forms.ar_by_order import ORDERS
from models.methods import Scalar
from models.network.options.channels import INDEPENDENT, MOST_MIXED

# What is fitted before an order is chosen, see `models.closed_form.fitting`.
FITTED_SHARE = 0.75
# What ridge AR and SSA read takes a third of the training span, as far as that is quickly
# factorised.
CONTEXT_SHARE = 3
MOST_CONTEXT_STEPS = 300


class Autoregression(
    Baseline, name="ar", label="autoregression (AR, order chosen on the training span)", rank=802
):
    """Least-squares autoregression, its order chosen by a free run over the last quarter.

    Of a few channels each has coefficients of its own; more than `MOST_MIXED` share them.
    """

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
            **(_pooled(training) if training.shape[1] > MOST_MIXED else {}),
        }


class RidgeAR(
    Baseline,
    name="ridge-ar",
    label="ridge AR (both ways in time, ridge chosen on the training span)",
    rank=803,
):
    """Ridge autoregression in both directions of time; only the strength is chosen.

    Channels share the coefficients, which are fitted to the rows of all of them.
    """

    short_label = "ridge AR"

    @classmethod
    def settings_for(
        cls, training: FloatArray, periods: Sequence[float] = ()
    ) -> Mapping[str, Scalar]:
        order = _context_steps(training)
        return {"cell": "ar", "ar_order": order, **_CHOSEN_BOTH_WAYS, **_pooled(training)}


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
        window = _context_steps(training)
        return {"cell": "ssa", "ssa_window": window, **_CHOSEN_BOTH_WAYS, **_pooled(training)}


_CHOSEN_BOTH_WAYS: Mapping[str, Scalar] = {
    "regularisation": "held-out",
    "time_reversal": True,
    "offset": False,
}


def _pooled(training: FloatArray) -> Mapping[str, Scalar]:
    return {"channels": INDEPENDENT} if training.shape[1] > 1 else {}


def _context_steps(training: FloatArray) -> int:
    return min(max(1, len(training) // CONTEXT_SHARE), MOST_CONTEXT_STEPS)
