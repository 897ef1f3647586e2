"""Known columns as inputs of networks: an effect that depends on the state, and what they keep."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.candidate import candidate_of
from models.checkpoint import Checkpoint, CheckpointError, load, save
from models.methods import Scalar
from search.evaluation import Cohort
from search.evaluation.ensembles import member_runs, run_on
from search.evaluation.held_out import held_out_runs
from search.running.retraining import retrain_on
from search.running.training import train
from search.running.updating import update_on
from search.series import Table
from search.series.covariates import Covariates
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View

ROWS, TRAIN, HORIZON, PERIOD = 1200, 800, 48, 12
DEFINITION = StudyDefinition.model_validate(
    {
        "name": "switched",
        "series": {
            "source": "table",
            "path": "load.csv",
            "columns": ["load"],
            "known": ["is_on"],
            "period": PERIOD,
        },
        "task": {
            "train_steps": TRAIN,
            "horizon_steps": HORIZON,
            "validation_steps": 200,
            "start_points": 4,
        },
    }
)
FORM: dict[str, Scalar] = {"cell": "ar", "ar_order": 24, "ridge": 1e-4, "known_columns": "curves"}
NETWORK: dict[str, Scalar] = {
    "cell": "gru",
    "hidden_units": 12,
    "context": "state",
    "warm_up_steps": 24,
    "rollout_steps": 24,
    "training_steps": 250,
    "learning_rate": 0.01,
    "batch_size": 8,
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "schedule": "cosine",
}
INPUTS: dict[str, Scalar] = {"known_inputs": True}
FEW: dict[str, Scalar] = {"training_steps": 5, "hidden_units": 4}


def table(seed: int = 0, rows: int = ROWS) -> Table:
    """A season whose amplitude a known switch triples, and noise."""
    dice = np.random.default_rng(seed)
    is_on, row = np.zeros(rows), 0
    while row < rows:
        length = int(dice.integers(4, 20))
        is_on[row : row + length] = dice.integers(0, 2)
        row += length
    season = np.sin(2 * np.pi * np.arange(rows) / PERIOD)
    load = 10.0 + (1.0 + 2.0 * is_on) * season + 0.05 * dice.normal(size=rows)
    covariates = Covariates(("is_on",), (), (), is_on[:, np.newaxis], np.zeros((rows, 0)))
    times = tuple(map(str, range(1, rows + 1)))
    return Table("row", times, ("load",), load[:, np.newaxis], covariates=covariates)


TABLE = table()


def trained(settings: dict[str, Scalar], own: Table = TABLE) -> tuple[Checkpoint, View, float]:
    candidate, view = candidate_of(settings), TaskData(DEFINITION, own).view("search", 0)
    checkpoint, result = train(candidate, [view], 0, "search", "cpu", lambda: None)
    return checkpoint, view, result.score


def test_an_effect_that_depends_on_the_state_is_forecast() -> None:
    """An additive effect of the switch is nothing: only a network that reads it can multiply."""
    form, regression, inputs = (
        trained(settings)[2]
        for settings in (FORM, {**NETWORK, "known_columns": "curves"}, NETWORK | INPUTS)
    )
    assert 5.0 * inputs < min(form, regression)


def test_a_checkpoint_holds_all_that_a_free_run_needs() -> None:
    checkpoint, view, _ = trained({**NETWORK, **INPUTS, **FEW, "segment_steps": 3})
    content = save(checkpoint)
    again = load(content)
    assert save(again) == content
    assert (again.channels, again.past, again.known, again.effects) == (1, 0, 1, None)
    runs = [member_runs([own], [view])[0] for own in (checkpoint, again)]
    assert np.array_equal(runs[0], runs[1])
    both = trained({**NETWORK, **INPUTS, **FEW, "known_columns": "linear"})[0]
    assert load(save(both)).effects is not None
    shift, scale = again.known_shift, again.known_scale
    assert shift is not None
    assert scale is not None
    for bad in (torch.zeros_like(scale), torch.full_like(scale, torch.nan)):
        with pytest.raises(CheckpointError, match=r"known\.scale of the checkpoint must be finite"):
            load(save(replace(again, known_scale=bad)))
    with pytest.raises(
        CheckpointError, match=r"known\.shift of the checkpoint must have the shape"
    ):
        save(replace(again, known_shift=shift[:0]))


def test_inputs_are_standardised_by_the_training_span() -> None:
    checkpoint, view, score = trained(NETWORK | INPUTS | FEW)
    (own,) = view.known_stretches()
    assert len(own) == TRAIN
    assert checkpoint.known_shift is not None
    assert checkpoint.known_scale is not None
    assert checkpoint.known_shift.numpy() == pytest.approx(own.mean(axis=0)[np.newaxis])
    assert checkpoint.known_scale.numpy() == pytest.approx(own.std(axis=0)[np.newaxis])
    covariates = TABLE.covariates
    assert covariates is not None
    scaled = replace(covariates, known_values=1000.0 - 7.0 * covariates.known_values)
    turned = trained(NETWORK | INPUTS | FEW, replace(TABLE, covariates=scaled))[2]
    assert turned != score  # the switch is upside down, which initial weights notice
    back = replace(covariates, known_values=1000.0 + 7.0 * covariates.known_values)
    same = trained(NETWORK | INPUTS | FEW, replace(TABLE, covariates=back))[2]
    assert same == pytest.approx(score, rel=1e-3)


@pytest.mark.parametrize("settings", [{}, {"seasonal_lag": PERIOD}, {"known_columns": "curves"}])
def test_candidates_are_what_they_are_alone(settings: dict[str, Scalar]) -> None:
    candidates = [
        candidate_of({**NETWORK, **INPUTS, **FEW, **settings, "learning_rate": rate})
        for rate in (0.01, 0.03)
    ]
    view = TaskData(DEFINITION, TABLE).view("search", 0)

    def scores(count: list[int]) -> list[float]:
        cohort = Cohort([candidates[i] for i in count], [view], study_seed=0, purpose="search")
        *_, last = cohort
        assert last is not None
        assert np.array_equal(
            member_runs([cohort.checkpoint(0)], [view])[0],
            member_runs([load(save(cohort.checkpoint(0)))], [view])[0],
        )
        return [last.results[place].score for place in range(len(count))]

    together = scores([0, 1])
    assert together == [*scores([0]), *scores([1])]
    assert together[0] != together[1]


def test_free_runs_of_validation_read_the_rows_that_are_forecast() -> None:
    checkpoint, view, _ = trained(NETWORK | INPUTS)
    run = run_on(checkpoint, [view])[0]
    assert view.known is not None
    for start, own in zip(view.starts, run, strict=True):
        is_on = view.known[start : start + HORIZON, 0] > 0.5
        season = np.sin(2 * np.pi * np.arange(start, start + HORIZON) / PERIOD)
        # The slope of the forecast against the season is the amplitude.
        amplitude = [
            float(np.polyfit(season[part], own[part, 0], 1)[0]) for part in (is_on, ~is_on)
        ]
        assert amplitude[0] == pytest.approx(3.0, rel=0.25)
        assert amplitude[1] == pytest.approx(1.0, rel=0.5)
    held = held_out_runs(checkpoint, [view])
    assert np.isfinite(held.forecast).all()


def test_networks_learn_new_rows() -> None:
    settings = NETWORK | INPUTS | FEW
    checkpoint = trained(settings)[0]
    longer = table(rows=ROWS + 100)
    updated = update_on(candidate_of(settings), checkpoint, longer, 0)
    assert (updated.trained_on, updated.refitted) == (1, 0)
    networks = updated.checkpoint
    assert isinstance(networks, Checkpoint)
    assert not torch.equal(networks.weights, checkpoint.weights)
    assert networks.known_shift is checkpoint.known_shift
    again = retrain_on(candidate_of(settings), longer, HORIZON, 0, 1, season_steps=PERIOD)
    assert again.result is not None
    assert np.isfinite(again.result.score)


def test_two_channels_by_themselves_read_the_same_switch() -> None:
    both = StudyDefinition.model_validate(
        {
            **DEFINITION.model_dump(exclude_unset=True, include={"name", "task"}),
            "series": {**DEFINITION.series.model_dump(exclude_none=True), "columns": ["a", "b"]},
        }
    )
    values = np.hstack([TABLE.values, 20.0 - TABLE.values])
    own = replace(TABLE, columns=("a", "b"), values=values)
    view = TaskData(both, own).view("search", 0)
    settings = NETWORK | INPUTS | FEW | {"channels": "independent"}
    checkpoint, result = train(candidate_of(settings), [view], 0, "search", "cpu", lambda: None)
    assert np.isfinite(result.score)
    runs = member_runs([load(save(checkpoint))], [view])[0]
    assert runs.shape == (1, len(view.starts), HORIZON, 2)
