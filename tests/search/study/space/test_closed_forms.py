"""Spaces of closed forms: what fits into the training span, and what their candidates are."""

from typing import Any

import pytest

from models.candidate import Candidate
from models.closed_form.closed_form import ClosedForm, FittedForm
from models.closed_form.forms.ar import AR
from models.closed_form.forms.esn import ESN
from models.closed_form.forms.nvar import NVAR
from models.closed_form.forms.ssa import SSA
from models.methods import Choices, Domain, IntRange, Scalar, SettingError
from models.methods.condition import TRAINED
from models.methods.series_properties import SeriesProperties
from models.network.options.learning import TimeReversal
from models.network.options.shape import Residual, Scaling
from search.errors import UsageError
from search.study.definition import StudyDefinition
from search.study.space import (
    Space,
    complete_space,
    parameter_named,
    parameters,
    read_space,
)
from tests.search.study.space.samples import all_cells

FORMS = [name for name in all_cells() if not TRAINED.holds({"cell": name})]
SHARED: dict[str, Scalar] = {"offset": False, "time_reversal": True, "regularisation": "held-out"}


def space_of(train_steps: int = 600, **raw: Any) -> dict[str, Domain]:
    return complete_space(read_space(raw), train_steps)


def resolved(**params: Scalar) -> Candidate:
    return Space(space_of(cell=list(all_cells()))).resolve(SHARED | params)


def fitted(**params: Scalar) -> FittedForm:
    candidate = resolved(**params)
    assert isinstance(candidate, FittedForm)
    return candidate


def default_of(name: str) -> Domain:
    parameter = parameter_named(name)
    assert parameter is not None
    return parameter.default


def test_training_has_no_part_in_a_space_of_closed_forms() -> None:
    opened: dict[str, Any] = {
        **{"segment_steps": [1, 4], "sign_augmentation": False},
        **{"power_transform": "none", "seasonal_lag": 0, "channels": "independent"},
        **{"known_columns": "none", "past_columns": False, "tied_channels": True},
    }
    space = space_of(cell=FORMS, **opened)
    assert set(space) == {p.name for p in parameters() if p.when.can_hold(space)}
    for name in space:
        parameter = parameter_named(name)
        assert parameter is not None
        assert [owner for owner in parameter.owners if owner.applies is not TRAINED], name
    assert not {"learning_rate", "training_steps", "batch_size", "layers", "context"} & set(space)
    assert set(space_of(cell="ssa")) == {
        *("cell", "offset", "time_reversal", "ssa_window", "regularisation", "ssa_rank")
    }


def test_closed_forms_for_noisy_series_are_part_of_the_default_space() -> None:
    space = space_of()
    cells = space["cell"]
    assert isinstance(cells, Choices)
    assert {*FORMS, "kernel-ridge"} - set(cells.values) == {"esn", "kernel-ridge"}
    assert {own.name for form in (AR, NVAR, SSA) for own in form.settings} - set(space) == {
        *("segment_steps", "sign_augmentation")  # which follow a series
    }


def test_candidates_have_their_own_names_of_size_and_context() -> None:
    reservoir = fitted(
        cell="esn",
        reservoir_units=200,
        warm_up_steps=100,
        residual=True,
        fan_in=7,
        spectral_radius=0.9,
        restarts=4,
    )
    esn = reservoir.form
    assert isinstance(esn, ESN)
    assert (esn.units, esn.context_steps, esn.fan_in) == (200, 100, 7)
    assert (reservoir[Residual].residual, reservoir.restarts) == (True, 4)
    assert esn.spectral_radius == 0.9
    nvar = fitted(cell="nvar", nvar_delays=4, delay_stride=6, degree=2).form
    assert isinstance(nvar, NVAR)
    assert (nvar.nvar_delays, nvar.context_steps, nvar.degree) == (4, 19, 2)
    order = fitted(cell="ar", ar_order=64)
    assert isinstance(order.form, AR)
    assert (order.form.context_steps, order.form.regularisation) == (64, "held-out")
    assert (order[Scaling].offset, order[TimeReversal].time_reversal) == (False, True)
    subspace = fitted(cell="ssa", ssa_window=200, regularisation="given", ssa_rank=3).form
    assert isinstance(subspace, SSA)
    assert (subspace.context_steps, subspace.ssa_rank) == (200, 3)


def test_a_closed_form_has_no_setting_of_training() -> None:
    for candidate in (fitted(cell="ar", ar_order=64), fitted(cell="ssa", ssa_window=200)):
        assert not candidate.architecture.is_trained
        assert candidate.find(ClosedForm) is candidate.form
        assert not {"learning_rate", "training_steps", "rollout_steps"} & candidate.values().keys()


def test_what_belongs_to_training_is_not_looked_at() -> None:
    plain = resolved(cell="ar", ar_order=64)
    assert plain == resolved(
        cell="ar", ar_order=64, context="window", learning_rate=0.1, batch_size=8, layers=2
    )


def test_what_a_closed_form_needs_must_be_there() -> None:
    with pytest.raises(UsageError, match="a trial's ar_order is missing, which ridge AR needs"):
        resolved(cell="ar")
    with pytest.raises(UsageError, match="a trial's nvar_delays is missing"):
        resolved(cell="nvar")


def test_defaults_leave_half_of_the_training_span() -> None:
    space = space_of(100, cell=FORMS, warm_up_steps=50)
    assert space["ar_order"] == Choices((16, 32))
    assert space["ssa_window"] == Choices((50,))
    assert space["delay_stride"] == Choices((1, 2, 4))
    for name in ("ar_order", "ssa_window"):
        assert space_of(cell=FORMS)[name] == default_of(name)


@pytest.mark.parametrize(
    ("raw", "train_steps", "key", "words"),
    [
        ({"cell": "ar", "ar_order": [10, 31]}, 60, "ar_order", "at most 30,"),
        ({"cell": "ar", "ar_order": 16}, 20, "ar_order", "for example ar_order = [10]"),
        ({"cell": "ar", "ar_order": 1}, 2, "ar_order", "at most 0"),
        ({"cell": "ssa", "ssa_window": {"low": 10, "high": 40}}, 60, "ssa_window", "at most 30"),
        ({"cell": "esn", "warm_up_steps": 301}, 600, "warm_up_steps", "at most 300"),
        ({"cell": "nvar", "nvar_delays": 40, "delay_stride": 8}, 600, "delay_stride", "at most 7"),
        ({"cell": "nvar", "nvar_delays": 30, "degree": 3}, 600, "degree", "make 5456"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(
    raw: dict[str, Any], train_steps: int, key: str, words: str
) -> None:
    with pytest.raises(SettingError) as raised:
        complete_space(read_space(raw), train_steps)
    assert raised.value.key == key
    assert words in raised.value.rule


def test_as_many_features_as_can_be_factorised_are_accepted() -> None:
    assert space_of(cell="nvar", nvar_delays=20, degree=3)["degree"] == Choices((3,))


def test_what_only_training_has_is_named_in_vain() -> None:
    with pytest.raises(SettingError, match="no candidate of this space is like that"):
        space_of(cell="ar", dropout=0.1)


def test_a_study_of_closed_forms_may_have_any_number_of_rungs() -> None:
    raw = {
        "name": "x",
        "series": {"source": "sine"},
        "task": {"train_steps": 600, "horizon_steps": 400},
        "search": {"rungs": 10},
        "space": {"cell": ["ar", "ssa"]},
    }
    definition = StudyDefinition.model_validate(raw)
    again = StudyDefinition.model_validate_json(definition.model_dump_json())
    assert again == definition


def test_without_noise_default_ranges_end_where_the_span_does() -> None:
    for train_steps, stride in ((120, 3), (1000, 12)):
        series = SeriesProperties(train_steps=train_steps, periods=(40.0,), is_noise_free=True)
        space = complete_space({}, train_steps, series)
        assert space["cell"] == Choices(("esn", "nvar", "kernel-ridge"))
        assert space["kernel_delays"] == IntRange(4, 16)
        assert space["kernel_stride"] == IntRange(1, stride)
        assert space["segment_steps"] == Choices((1, 2, 4))
        assert space["time_reversal"] == Choices((False,))
        assert "seasonal_lag" not in space
    short = SeriesProperties(train_steps=20, is_noise_free=True)
    assert "kernel-ridge" not in complete_space({}, 20, short)["cell"].to_plain()
    long = SeriesProperties(train_steps=1000, is_noise_free=True)
    named = complete_space(read_space({"cell": ["ar"], "ridge": [1e-3]}), 1000, long)
    assert named["ridge"] == Choices((1e-3,))


@pytest.mark.parametrize("train_steps", [40, 60, 120, 400])
@pytest.mark.parametrize("period", [12.0, 24.0, 48.0])
def test_a_season_is_never_cut_to_what_fits(train_steps: int, period: float) -> None:
    """What has no room for it is left out, and the lag of a season stays."""
    series = SeriesProperties(train_steps, (period,), horizon_steps=10)
    space = complete_space({}, train_steps, series)
    cells = space["cell"]
    assert isinstance(cells, Choices)
    if "periodic-ridge" in cells.values:
        assert space["periodic_steps"] == Choices((round(period),))
    season = space["season_steps"]
    assert isinstance(season, Choices)
    assert set(season.values) <= {1, round(period)}
    assert ("periodic-ridge" in cells.values) == (train_steps >= 5 * period and series.has_season)
    if series.has_season:
        assert space["seasonal_lag"] == Choices((0, round(period)))


def test_a_season_that_is_asked_for_and_does_not_fit_is_refused() -> None:
    series = SeriesProperties(60, (24.0,), horizon_steps=10)
    with pytest.raises(SettingError, match=r"periodic_steps must be at most 15.*\[24\]; lengthen"):
        complete_space(read_space({"cell": ["periodic-ridge"]}), 60, series)
