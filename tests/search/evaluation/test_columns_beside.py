"""Forecasts with columns beside those that are forecast: how much better, and what they may see."""

from dataclasses import replace

import numpy as np
import pytest

from models.candidate import Candidate, candidate_of
from models.checkpoint import Checkpoint, CheckpointError, load, of_parts, parts_of, save
from models.ensemble import EnsembleCheckpoint, load_any, save_any
from models.methods import Scalar
from search.evaluation import Cohort
from search.evaluation.diagnostics import one_step_forecasts, sensitivity
from search.evaluation.ensembles import member_runs, run_any
from search.evaluation.held_out import held_out_runs
from search.running.training import train
from search.series import FloatArray, Table
from search.series.covariates import Covariates
from search.series.filling import Run
from search.series.tables import LongForm
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View

ROWS, HORIZON = 600, 48
FORM: dict[str, Scalar] = {"cell": "ar", "ar_order": 48, "ridge": 1e-4}
NETWORK: dict[str, Scalar] = {
    "cell": "gru",
    "hidden_units": 8,
    "context": "window",
    "window_steps": 24,
    "window_rollout_steps": 1,
    "training_steps": 60,
    "learning_rate": 0.02,
    "batch_size": 16,
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "schedule": "cosine",
}
CURVES: dict[str, Scalar] = {"known_columns": "curves"}
LAGGED: dict[str, Scalar] = {**CURVES, "known_lags": "spans"}
INPUTS: dict[str, Scalar] = {"known_inputs": True}
NETWORKS = [NETWORK | own for own in (CURVES, LAGGED, INPUTS, CURVES | INPUTS, LAGGED | INPUTS)]
DEFINITION = StudyDefinition.model_validate(
    {
        "name": "beside",
        "series": {
            "source": "table",
            "path": "load.csv",
            "columns": ["load"],
            "known": ["temperature"],
            "past": ["wind"],
            "period": 24,
        },
        "task": {
            "train_steps": 400,
            "horizon_steps": HORIZON,
            "validation_steps": 100,
            "start_points": 2,
        },
    }
)


def table(seed: int = 0) -> Table:
    """A season, a bent effect of a temperature, what wind did two steps before, and noise."""
    dice = np.random.default_rng(seed)
    steps, weather, wind = np.arange(ROWS), np.zeros(ROWS), np.zeros(ROWS)
    for t in range(1, ROWS):
        weather[t] = 0.95 * weather[t - 1] + dice.normal()
        wind[t] = 0.7 * wind[t - 1] + dice.normal()
    temperature = 16.0 + 4.0 * np.sin(2 * np.pi * steps / 24) + 3.0 * weather
    bent = np.maximum(15.0 - temperature, 0.0) * 2.0 + np.maximum(temperature - 20.0, 0.0) * 3.0
    load = 200.0 + 10.0 * np.cos(2 * np.pi * steps / 24) + bent + 0.5 * dice.normal(size=ROWS)
    load += 3.0 * np.roll(wind, 2)
    covariates = Covariates(
        ("temperature",), ("wind",), (), temperature[:, np.newaxis], wind[:, np.newaxis]
    )
    times = tuple(map(str, range(1, ROWS + 1)))
    return Table("row", times, ("load",), load[:, np.newaxis], covariates=covariates)


TABLE = table()


def view_of(own: Table) -> View:
    return TaskData(DEFINITION, own).view("search", 0)


def trained(settings: dict[str, Scalar], own: Table = TABLE) -> tuple[Checkpoint, View, float]:
    candidate, view = candidate_of(settings), view_of(own)
    checkpoint, result = train(candidate, [view], 0, "search", "cpu", lambda: None)
    return checkpoint, view, result.score


@pytest.mark.parametrize(("settings", "ratio"), [(FORM, 5.0), (NETWORK, 5.0)])
def test_a_bent_effect_of_a_known_column_is_forecast(
    settings: dict[str, Scalar], ratio: float
) -> None:
    plain, with_it = (trained({**settings, **more})[2] for more in ({}, CURVES))
    assert ratio * with_it < plain


def test_a_column_of_the_past_tells_the_next_steps() -> None:
    without, view, _ = trained({**FORM, **CURVES, "ar_order": 4})
    with_it = trained({**FORM, **CURVES, "ar_order": 4, "past_columns": True})[0]
    assert (without.past, with_it.past) == (0, 1)
    errors = [
        np.abs(member_runs([own], [view])[0][0, :, :2] - truth_of(view)[:, :2]).mean()
        for own in (without, with_it)
    ]
    assert 1.5 * errors[1] < errors[0]


def truth_of(view: View) -> FloatArray:
    return np.stack([view.truth[start : start + view.horizon_steps] for start in view.starts])


@pytest.mark.parametrize("settings", [FORM | CURVES, FORM | LAGGED, *NETWORKS])
def test_no_later_row_but_that_of_a_known_column_changes_a_forecast(
    settings: dict[str, Scalar],
) -> None:
    settings = {**settings, "past_columns": True}
    checkpoint, view, _ = trained(settings)
    before = member_runs([checkpoint], [view])[0]
    first, own = view.starts[0], TABLE.covariates
    assert own is not None
    values, past, known = (
        np.concatenate([values[:first], values[first:] + 5.0])
        for values in (TABLE.values, own.past_values, own.known_values)
    )
    changed = {
        "target": replace(TABLE, values=values),
        "past": replace(TABLE, covariates=replace(own, past_values=past)),
        "known": replace(TABLE, covariates=replace(own, known_values=known)),
    }
    for what, other in changed.items():
        again, seen, _ = trained(settings, other)
        after = member_runs([again], [seen])[0]
        assert np.array_equal(after[0, 0], before[0, 0]) == (what != "known"), what


def test_what_filled_in_a_column_of_the_past_is_not_seen_before_its_time() -> None:
    start = view_of(TABLE).starts[0]
    # The row before the start lay in a gap that ends behind it.
    filled = replace(TABLE, filled=(Run(1, start - 3, start + 4, 0.0, start + 5),))
    view = view_of(filled)
    assert view.past is not None
    assert np.ptp(view.past[start - 4 : start]) == 0.0
    assert np.array_equal(view.values, view_of(TABLE).values)


def test_candidates_of_all_kinds_are_what_they_are_alone() -> None:
    kinds: list[dict[str, Scalar]] = [{}, {"known_columns": "linear"}, CURVES, LAGGED]
    kinds.append({"known_columns": "linear", "known_lags": "steps"})
    candidates: list[Candidate] = [candidate_of({**FORM, "ar_order": 8, **kind}) for kind in kinds]
    views = [view_of(TABLE)]

    def scores(some: list[Candidate]) -> list[float]:
        for rung in Cohort(some, views, study_seed=0, purpose="search"):
            if rung is not None:
                return [rung.results[place].score for place in range(len(some))]
        raise AssertionError

    together = scores(candidates)
    assert together == [scores([own])[0] for own in candidates]
    assert len(set(together)) == len(kinds)
    cohort = Cohort(candidates, views, study_seed=0, purpose="search")
    assert list(cohort)
    for place, own in enumerate(candidates):
        alone = Cohort([own], views, study_seed=0, purpose="search")
        assert list(alone)
        assert save(cohort.checkpoint(place)) == save(alone.checkpoint())


def test_a_later_effect_of_a_known_column_is_forecast() -> None:
    own = table(1)
    assert own.covariates is not None
    warm = np.maximum(own.covariates.known_values[:, 0] - 16.0, 0.0)
    load = own.values + 2.0 * (np.roll(warm, 2) + np.roll(warm, 3))[:, np.newaxis]
    late = replace(own, values=load)
    scores = [trained({**FORM, **columns}, late)[2] for columns in (CURVES, LAGGED)]
    assert 3.0 * scores[1] < scores[0]


@pytest.mark.parametrize("columns", [CURVES, LAGGED])
def test_a_checkpoint_holds_all_that_a_free_run_needs(columns: dict[str, Scalar]) -> None:
    checkpoint, view, _ = trained({**FORM, **columns, "past_columns": True})
    content = save(checkpoint)
    again = load(content)
    assert save(again) == content
    assert (again.channels, again.past, again.known) == (1, 1, 1)
    runs = [member_runs([own], [view])[0] for own in (checkpoint, again)]
    assert np.array_equal(runs[0], runs[1])
    plain = trained(FORM)[0]
    assert b"known" not in save(plain)
    effects = again.effects
    assert effects is not None
    falling = replace(again, effects=replace(effects, knots=-effects.knots))
    with pytest.raises(CheckpointError, match="must rise"):
        load(save(falling))
    assert (effects.reads is not None) == (columns is LAGGED)
    if effects.reads is not None:
        of = replace(effects.reads, of=effects.reads.of + 0)
        of.of[0, 0, 0] = 1
        with pytest.raises(CheckpointError, match="must name known columns and rows before"):
            load(save(replace(again, effects=replace(effects, reads=of))))


def two_series() -> Table:
    """A long table of two series, each with a temperature and a wind of its own."""
    own = [table(seed) for seed in (3, 4)]
    beside = [each.covariates for each in own if each.covariates is not None]
    covariates = replace(
        beside[0],
        known_values=np.hstack([each.known_values for each in beside]),
        past_values=np.hstack([each.past_values for each in beside]),
        series=2,
    )
    return replace(
        own[0],
        columns=("a", "b"),
        values=np.hstack([each.values for each in own]),
        long=LongForm("house", ("a", "b"), ("load",)),
        covariates=covariates,
    )


@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("columns", [CURVES, LAGGED])
def test_a_series_of_a_long_table_follows_its_own_columns_alone(
    columns: dict[str, Scalar], past: bool
) -> None:
    own = two_series()
    assert own.covariates is not None
    settings = {**FORM, "ar_order": 24, **columns, "past_columns": past}
    checkpoint, view, score = trained(settings, own)
    assert 5.0 * score < trained({**FORM, "ar_order": 24}, own)[2]
    before, start = run_of(checkpoint, view), view.starts[0]
    known = own.covariates.known_values.copy()
    known[start:, 1] += 5.0
    warmer = view_of(replace(own, covariates=replace(own.covariates, known_values=known)))
    after = run_of(checkpoint, warmer)
    assert np.array_equal(after[..., 0], before[..., 0])
    assert (after[..., 1] != before[..., 1]).any()


def run_of(checkpoint: Checkpoint, view: View) -> FloatArray:
    """The free run from the first start, `[step, channel]`."""
    run: FloatArray = member_runs([checkpoint], [view])[0][0, 0]
    return run


def test_a_checkpoint_of_several_series_says_how_many() -> None:
    checkpoint, view, _ = trained({**FORM, "ar_order": 24, **LAGGED}, two_series())
    again = load(save(checkpoint))
    assert save(again) == save(checkpoint)
    assert np.array_equal(run_of(again, view), run_of(checkpoint, view))
    described, tensors = parts_of(checkpoint)
    assert described["known_groups"] == 2
    for groups in (0, 3, "2"):
        with pytest.raises(CheckpointError, match="known_groups must share out 2 known columns"):
            of_parts({**described, "known_groups": groups}, tensors)
    with pytest.raises(CheckpointError, match="known_curves must be at least its known columns"):
        of_parts({**described, "known_curves": 1}, tensors)


@pytest.mark.parametrize("change", [0.5, -1.0, 1e7])
def test_a_lag_must_be_a_number_of_rows_before(change: float) -> None:
    described, tensors = parts_of(trained({**FORM, **LAGGED})[0])
    tensors["known.reads"][0, 0, 1] += change  # of the column itself, without a lag
    with pytest.raises(CheckpointError, match="must name known columns and rows before"):
        of_parts(described, tensors)


def test_series_share_out_the_columns_of_the_past() -> None:
    settings = {**FORM, "ar_order": 24, **CURVES, "past_columns": True}
    described, tensors = parts_of(trained(settings, two_series())[0])
    assert (described["known_groups"], described["past"]) == (2, 2)
    with pytest.raises(CheckpointError, match="1 columns of the past evenly, but got 2"):
        of_parts({**described, "past": 1}, tensors)


def test_members_of_an_ensemble_read_what_is_theirs() -> None:
    kinds = [
        FORM,
        FORM | LAGGED,
        {**FORM, "ar_order": 8, "past_columns": True},
        NETWORK | LAGGED | INPUTS,
    ]
    members, weights = [trained(kind)[0] for kind in kinds], (0.4, 0.3, 0.2, 0.1)
    view = view_of(TABLE)
    ensemble = load_any(save_any(EnsembleCheckpoint(tuple(members), weights)))
    start = view.starts[0]
    values = view.all_values[np.newaxis, :start]
    known = view.known_rows(start, HORIZON, [start])
    whole = run_any(ensemble, values, HORIZON, known)
    assert whole.shape == (1, 1, HORIZON, 1)
    alone = [member_runs([own], [view])[0][0, 0] for own in members]
    assert np.allclose(whole[0, 0], np.average(alone, axis=0, weights=weights))
    held = held_out_runs(ensemble, [view])
    assert np.isfinite(held.forecast).all()


@pytest.mark.parametrize("settings", [FORM | CURVES, FORM | LAGGED, *NETWORKS])
def test_networks_are_looked_into_as_without(settings: dict[str, Scalar]) -> None:
    checkpoint, view, _ = trained({**settings, "past_columns": True})
    start = view.starts[0]
    ahead = one_step_forecasts(checkpoint, [view], [start])
    truth = view.values[start : start + ahead.shape[1]]
    assert ahead.shape == (1, *truth.shape)
    assert np.mean((ahead[0] - truth) ** 2) < 0.2 * truth.var()
    found = sensitivity(checkpoint, [view])
    assert (found is None) == (settings["cell"] == "ar")


def test_channels_that_run_by_themselves_leave_the_past_out() -> None:
    with pytest.raises(ValueError, match="past_columns must be false where each channel runs"):
        candidate_of({**FORM, "channels": "independent", "past_columns": True})


@pytest.mark.parametrize(
    "params", [FORM | CURVES, NETWORK | CURVES | INPUTS | {"past_columns": True}]
)
def test_masks_go_with_columns_beside(params: dict[str, Scalar]) -> None:
    """Of the channel that is forecast they count nowhere; beside it, what lacks is filled in."""
    gap, beside = Run(0, 200, 206), Run(1, 300, 303)
    plain = table()
    holed = replace(plain, filled=(gap, beside), is_masked=True)
    assert np.array_equal(np.flatnonzero(np.isnan(holed.observed)), np.arange(200, 206))
    view = TaskData(DEFINITION, holed).view("search", 0)
    assert [len(piece) for piece in view.pieces] == [148, 246]
    assert not np.isnan(view.all_values).any()
    values = holed.values.copy()
    values[200:206] += 50.0
    moved = TaskData(DEFINITION, replace(holed, values=values)).view("search", 0)
    scores = [
        train(candidate_of(params), [own], 0, "search", "cpu", lambda: None)[1].score
        for own in (view, moved)
    ]
    assert scores[0] == scores[1]
