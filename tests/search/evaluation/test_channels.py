"""Scores of several channels: each by its own variance, and the same whatever their order is."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
import optuna
import pytest

from models.candidate import Candidate, candidate_of
from models.methods import Scalar
from models.methods.registry import methods_of
from search.errors import SeriesError, StudyFileError
from search.evaluation import CandidateResult, Cohort, baseline_candidates, baseline_results
from search.evaluation.diagnostics import one_step, run_networks, sensitivity
from search.evaluation.twins import first_equals
from search.series import FloatArray, Table
from search.study.definition import StudyDefinition
from search.study.space import Space, complete_space, read_space
from search.study.task_data import TaskData, View, training_variance

TRAIN, HORIZON = 120, 10
NETWORK: Mapping[str, Scalar] = {
    **{"layers": 1, "head_layers": 0, "hidden_units": 4, "modes": 2, "context": "state"},
    **{"warm_up_steps": 8, "window_steps": 8, "rollout_steps": 4, "window_rollout_steps": 4},
    **{"teacher_weight": 0.5, "curriculum_fraction": 0.0, "input_noise_std": 0.0},
    **{"feedback_noise_std": 0.0, "learning_rate": 1e-2, "weight_decay": 0.0, "clip_norm": 1.0},
    **{"schedule": "constant", "training_steps": 6, "batch_size": 4, "restarts": 2},
}
FORMS: Mapping[str, Mapping[str, Scalar]] = {
    "ar": {"ar_order": 10, "ridge": 1e-4},
    "ssa": {"ssa_window": 20, "regularisation": "held-out"},
    "nvar": {"nvar_delays": 3, "degree": 2, "regularisation": "held-out"},
    "smoothing": {"season_steps": 6, "trend": "damped", "smoothing_steps": 30},
    "seasonal-profile": {"season_steps": 6, "profile_seasons": 2, "level_steps": 4},
    "direct-ridge": {"direct_window": 12, "direct_steps": 5, "context_level": "last"},
    "periodic-ridge": {"periodic_steps": 6, "seasons_read": 3, "seasons_ahead": 2},
    "kernel-ridge": {
        **{"kernel_delays": 4, "kernel_stride": 2, "kernel_components": 3, "kernel_whitening": 0.5},
        **{"kernel_function": "gaussian", "kernel_length": 1.0, "kernel_linear_weight": 10.0},
        **{"kernel_points": 400, "ridge": 1e-3},
    },
}
CHANNELS = ("mixing", "independent")


def series(channels: int, seed: int = 0) -> FloatArray:
    """Waves of different phases, sizes and noise on the same season."""
    generator = np.random.default_rng(seed)
    time = np.arange(TRAIN + 30)[:, np.newaxis]
    phases, scales = generator.uniform(0, 6, channels), 10.0 ** np.arange(channels)
    waves = np.sin(2 * np.pi * time / 12 + phases)
    noise = 0.2 * generator.standard_normal((len(time), channels))
    values: FloatArray = (waves + noise) * scales + 3 * scales
    return values


def view_of(values: FloatArray) -> View:
    return View(
        values=values,
        truth=values,
        pieces=(range(TRAIN),),
        starts=(TRAIN, TRAIN + 12),
        horizon_steps=HORIZON,
        variance=training_variance(values[:TRAIN]),
        scored_against="observations",
        names=tuple(f"channel {number}" for number in range(values.shape[1])),
    )


def scored(candidate: Candidate, values: FloatArray) -> CandidateResult:
    for rung in Cohort([candidate], [view_of(values)], study_seed=0, purpose="search"):
        if rung is not None:
            return rung.results[0]
    raise AssertionError


def form(cell: str, channels: str) -> Candidate:
    return candidate_of({"cell": cell, **FORMS[cell], "channels": channels})


def by_channel(result: CandidateResult) -> list[float]:
    return list(result.replicas[0].channel_scores)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("cell", FORMS)
def test_a_score_is_the_mean_of_those_of_the_channels_in_their_own_variance(
    cell: str, channels: str
) -> None:
    values = series(3)
    result = scored(form(cell, channels), values)
    own = by_channel(result)
    assert result.score == pytest.approx(np.mean(own))
    assert result.record.channel_scores == dict(zip(view_of(values).names, own, strict=True))
    # Units have no say: another scale of a channel gives the same scores.
    other = by_channel(scored(form(cell, channels), values * [1.0, 8.0, 0.25]))
    assert other == pytest.approx(own, rel=1e-6)


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("cell", FORMS)
def test_the_order_of_columns_is_that_of_the_results(cell: str, channels: str) -> None:
    values = series(3)
    own = by_channel(scored(form(cell, channels), values))
    for order in list(permutations(range(3)))[1:]:
        found = by_channel(scored(form(cell, channels), values[:, order]))
        assert found == pytest.approx([own[channel] for channel in order], rel=1e-6)


@pytest.mark.parametrize("cell", FORMS)
def test_equal_channels_by_themselves_score_as_one_column_does(cell: str) -> None:
    values = series(1)
    (alone,) = by_channel(scored(form(cell, "independent"), values))
    equal = by_channel(scored(form(cell, "independent"), np.repeat(values, 3, axis=1)))
    assert len(set(equal)) == 1
    if cell != "kernel-ridge":  # which has support points in each channel
        assert equal == pytest.approx([alone] * 3, rel=1e-6)


def test_equal_channels_of_a_network_by_themselves_have_equal_scores() -> None:
    candidate = candidate_of({**NETWORK, "cell": "gru", "channels": "independent"})
    equal = by_channel(scored(candidate, np.repeat(series(1), 3, axis=1)))
    assert equal == pytest.approx([equal[0]] * 3, rel=1e-4)


def test_one_column_is_the_same_with_either_setting_but_for_its_seed() -> None:
    values = series(1)
    for cell in FORMS:
        one, other = (scored(form(cell, channels), values).score for channels in CHANNELS)
        assert one == other


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("cell", [m.name for m in methods_of("cell") if m.is_trained])  # type: ignore[attr-defined]
def test_every_cell_trains_on_two_channels(cell: str, channels: str) -> None:
    space = Space(complete_space(read_space({"cell": cell}), TRAIN))
    wanted = {name: own.to_plain() for name, own in space.domains.items()}
    neutral = {name: plain[0] for name, plain in wanted.items() if isinstance(plain, list)}
    candidate = candidate_of({**neutral, **NETWORK, "cell": cell, "channels": channels})
    values = series(2)
    view = view_of(values)
    cohort = Cohort([candidate], [view], study_seed=0, purpose="search")
    (result,) = [rung.results[0] for rung in cohort if rung is not None]
    networks = cohort.checkpoint()
    assert networks.channels == 2
    context = values[: networks.shown_steps][np.newaxis, np.newaxis]
    assert run_networks(networks, context, 5).shape == (1, 1, 5, 2)
    assert np.isfinite(by_channel(result)).all()
    ahead = one_step(networks, [view], 0)
    assert ahead is None or np.isfinite(ahead.nmse)
    left = sensitivity(networks, [view])
    assert left is None or np.isfinite(left.norms).all()


def study(values: FloatArray) -> TaskData:
    names = tuple(f"c{number}" for number in range(values.shape[1]))
    table = Table("t", tuple(map(str, range(len(values)))), names, values)
    raw = {
        "name": "waves",
        "series": {"source": "table", "path": "t.csv", "time": "t", "columns": list(names)},
        "task": {"train_steps": TRAIN, "horizon_steps": HORIZON, "test_horizon_steps": HORIZON},
    }
    return TaskData(StudyDefinition.model_validate(raw), table)


def scores_of_baselines(values: FloatArray) -> dict[str, Sequence[float]]:
    data = study(values)
    found = baseline_results(baseline_candidates(data), [data.view("search", 0)])
    return {name: by_channel(result) for name, result in found.items()}


def test_baselines_of_equal_channels_are_those_of_one_column() -> None:
    values = series(1)
    alone, equal = scores_of_baselines(values), scores_of_baselines(np.repeat(values, 3, axis=1))
    assert alone.keys() == equal.keys()
    for name, (own,) in alone.items():
        assert equal[name] == pytest.approx([own] * 3, rel=1e-6)


def test_baselines_are_the_same_in_other_units_and_another_order() -> None:
    values = series(3)
    own = scores_of_baselines(values)
    other = scores_of_baselines((values * [100.0, 1.0, 0.01])[:, [2, 0, 1]])
    for name, scores in own.items():
        assert other[name] == pytest.approx([scores[c] for c in (2, 0, 1)], rel=1e-6)


def test_many_channels_share_the_coefficients_of_all_baselines() -> None:
    found = baseline_candidates(study(series(9)))
    shared = {name for name, own in found.items() if own.values().get("channels") == "independent"}
    assert shared == {"ar", "ridge-ar", "ssa"}


def test_a_table_whose_free_runs_take_too_much_memory_is_refused() -> None:
    values, rule = series(3), r"\[series\] the 3 channels .* 2 GiB .*; take fewer columns or ids"
    task = {"train_steps": TRAIN, "horizon_steps": HORIZON, "test_horizon_steps": HORIZON}
    table = Table("t", tuple(map(str, range(len(values)))), ("a", "b", "c"), values)
    raw = {"source": "table", "path": "t.csv", "time": "t", "columns": ["a", "b", "c"]}
    definition = StudyDefinition.model_validate(
        {"name": "x", "series": raw, "task": {**task, "validation_steps": 12, "start_points": 3}}
    )
    TaskData(definition, table)
    greedy = definition.search.model_copy(update={"replicas": 1_000_000})
    with pytest.raises(StudyFileError, match=rule):
        TaskData(definition.model_copy(update={"search": greedy}), table)


def test_a_channel_whose_training_span_does_not_vary_is_named() -> None:
    values = series(3)
    values[:, 1] = 4.0
    with pytest.raises(SeriesError, match="the training span of 120 rows of 'c1' must vary"):
        study(values)


def test_a_space_leaves_out_what_is_too_large_for_all_channels_at_once() -> None:
    named = read_space({"cell": "ar", "ar_order": 60, "channels": list(CHANNELS)})
    few, many = (Space(complete_space(named, TRAIN), channels=c) for c in (3, 60))
    trials = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert "channels" in few.suggest(trials.ask())
    params = many.suggest(trials.ask())
    assert "channels" not in params
    assert many.resolve(params).values()["channels"] == "independent"


def test_equal_views_of_several_channels_are_known_as_such() -> None:
    one, other = series(2), series(2, seed=1)
    views = [view_of(one), view_of(one.copy()), view_of(other), view_of(one)]
    assert first_equals(views) == [0, 0, 2, 0]
