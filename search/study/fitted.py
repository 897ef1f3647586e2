"""Candidates that are fitted in closed form: what they have instead of training, and what fits."""

from collections.abc import Mapping
from math import comb
from types import MappingProxyType

from models.candidate import FITTED_CELLS
from search.series.section import SectionError
from search.study.condition import Condition
from search.study.domain import Choices, Domain, Scalar, largest
from search.study.parameters import AUTOREGRESSION, BY_NAME, NONLINEAR_LAGS, RESERVOIR, SUBSPACE
from search.study.wording import shown

# What every candidate has and only training uses, by the names of the parameters.
UNTRAINED: Mapping[str, Scalar] = MappingProxyType(
    {
        "hidden_units": 1,
        "layers": 1,
        "context": "state",
        "rollout_steps": 1,
        "learning_rate": 1.0,
        "clip_norm": 1.0,
        "training_steps": 1,
        "batch_size": 1,
    }
)
# The features of an NVAR are at most as many: they are factorised in their third power. They are
# counted for one channel, as a series of a study has one value column.
MOST_FEATURES = 2000
# The values that a closed form starts from, which may take half of the training span: the other
# half is fitted, and held out.
CONTEXTS: tuple[tuple[Condition, str], ...] = (
    (RESERVOIR, "warm_up_steps"),
    (AUTOREGRESSION, "ar_order"),
    (SUBSPACE, "ssa_window"),
)


def without_training(params: Mapping[str, Scalar | None]) -> Mapping[str, Scalar | None]:
    """Return a trial's parameters with what training would need, where nothing is trained.

    What belongs to training alone (as a preset may fix it) is not looked at.
    """
    if params.get("cell") not in FITTED_CELLS:
        return params
    own = {
        name: value for name, value in params.items() if name in BY_NAME and BY_NAME[name].fitted
    }
    return {**own, **UNTRAINED}


def nvar_window(delays: int, stride: int) -> int:
    """How many values an NVAR reads at least: from its latest to its earliest delay."""
    return (delays - 1) * stride + 1


def fit_contexts(
    space: Mapping[str, Domain], named: Mapping[str, Domain], train_steps: int
) -> dict[str, Domain]:
    """Return the space with defaults of closed forms that leave half of the training span.

    Raises SectionError where what the study file names leaves less, or no default does.
    """
    fitted = dict(space)
    room = train_steps // 2 if train_steps > 2 else 0
    for condition, name in CONTEXTS:
        if condition.can_hold(fitted):
            fitted[name] = _within(name, fitted[name], name in named, room, train_steps)
    if NONLINEAR_LAGS.can_hold(fitted):
        delays = int(largest(fitted["nvar_delays"]))
        reach = (room - 1) // max(1, delays - 1)
        stride = _within(
            "delay_stride", fitted["delay_stride"], "delay_stride" in named, reach, train_steps
        )
        fitted["delay_stride"] = stride
        _check_features(delays, int(largest(fitted["degree"])))
    return fitted


def _within(name: str, domain: Domain, is_named: bool, most: int, train_steps: int) -> Domain:
    """A domain as far as it fits; one that is named has to fit as it is."""
    if largest(domain) <= most:
        return domain
    if not is_named and isinstance(domain, Choices):
        fitting = tuple(v for v in domain.values if isinstance(v, int) and v <= most)
        if fitting:
            return Choices(fitting)
    remedy = f"name some, for example {name} = [{most}], or " if most > 0 else ""
    raise SectionError(
        name,
        f"must be at most {most}, so that what is read takes half of train_steps = {train_steps}, "
        f"but got {shown(domain.to_plain())}; {remedy}lengthen train_steps",
    )


def _check_features(delays: int, degree: int) -> None:
    features = comb(delays + degree, degree)  # as NVAR.features has them for one channel
    if features > MOST_FEATURES:
        raise SectionError(
            "degree",
            f"and nvar_delays must make at most {MOST_FEATURES} monomials, but {delays} delays "
            f"make {features} up to degree {degree}; take fewer delays or a lower degree",
        )
