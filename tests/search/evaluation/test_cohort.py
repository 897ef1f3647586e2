"""The protocol of a score: equal alone and in company, chosen on the training span only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

from models import checkpoint
from models.baselines.baseline import baselines
from models.candidate import Candidate, candidate_of, forecaster_of, free_run
from models.closed_form.closed_form import FittedForm
from models.closed_form.fitting import Fitting
from models.cohort import Member
from models.methods import Scalar
from models.training.trained_network import TrainedNetwork
from models.training.trainer import Trainer
from search.evaluation import (
    CandidateResult,
    Cohort,
    Rung,
    baseline_candidates,
    baseline_results,
    initialisation_seed,
)
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View
from tests.models.other_device import OTHER, other_device

TRAINING: Mapping[str, Scalar] = {
    "layers": 1,
    "head_layers": 0,
    "context": "state",
    "warm_up_steps": 10,
    "rollout_steps": 6,
    "teacher_weight": 0.4,
    "curriculum_fraction": 0.5,
    "input_noise_std": 0.1,
    "feedback_noise_std": 0.05,
    "learning_rate": 1e-2,
    "weight_decay": 1e-4,
    "clip_norm": 1.0,
    "schedule": "cosine",
    "training_steps": 8,
    "batch_size": 3,
}
GRU: Mapping[str, Scalar] = {"cell": "gru", "hidden_units": 4, **TRAINING}
GRU_STEPS = 8
LRU: Mapping[str, Scalar] = {"cell": "lru", "modes": 2, **TRAINING}
AR: Mapping[str, Scalar] = {"cell": "ar", "ar_order": 10}
ESN: Mapping[str, Scalar] = {"cell": "esn", "reservoir_units": 12, "warm_up_steps": 10, "fan_in": 3}


def candidates(settings: Mapping[str, Scalar]) -> list[Candidate]:
    """Three candidates of one cohort, with 1, 2 and 3 restarts."""
    return [
        candidate_of({**settings, "learning_rate": rate, "ridge": rate, "restarts": restarts})
        for rate, restarts in zip((1e-3, 1e-2, 3e-2), (1, 2, 3), strict=True)
    ]


def network(settings: Mapping[str, Scalar] = GRU, **changes: Scalar) -> TrainedNetwork:
    """The first candidate of a cohort, with some other settings."""
    found = candidate_of({**candidates(settings)[0].values(), **changes})
    assert isinstance(found, TrainedNetwork)
    return found


@pytest.fixture
def data() -> TaskData:
    definition = StudyDefinition.model_validate(
        {
            "name": "tiny",
            "series": {"source": "sine", "angular_frequency": 0.2, "noise_std": 0.1},
            "task": {
                "train_steps": 60,
                "horizon_steps": 20,
                "validation_steps": 30,
                "start_points": 3,
            },
            "space": {"warm_up_steps": 10, "rollout_steps": 6, "window_steps": 4},
        }
    )
    return TaskData(definition, None)


@pytest.fixture
def views(data: TaskData) -> list[View]:
    return [data.view("search", replica) for replica in range(2)]


def rungs(
    chosen: Sequence[Candidate],
    views: Sequence[View],
    fractions: Sequence[float] = (0.5, 1.0),
    drop: Sequence[int] = (),
) -> list[Rung]:
    cohort = Cohort(chosen, views, study_seed=3, purpose="search", rung_fractions=fractions)
    found = []
    for rung in cohort:
        if rung is not None:
            found.append(rung)
            if drop and not rung.is_last:
                cohort.drop(drop)
    return found


def following(
    chosen: Sequence[Candidate],
    views: Sequence[View],
    fractions: Sequence[float],
    replicas: Sequence[int],
) -> Cohort:
    """A cohort of which so many replicas train up to each rung, and the others follow."""
    return Cohort(
        chosen,
        views,
        study_seed=3,
        purpose="search",
        rung_fractions=fractions,
        rung_replicas=replicas,
    )


def same(one: CandidateResult, other: CandidateResult) -> bool:
    return one.replica_scores == other.replica_scores and np.array_equal(one.curve, other.curve)


@pytest.mark.parametrize("settings", [GRU, LRU, AR, ESN], ids=["gru", "lru", "ar", "esn"])
def test_a_score_is_the_same_alone_and_in_any_cohort(
    settings: Mapping[str, Scalar], views: list[View]
) -> None:
    three = candidates(settings)
    together = rungs(three, views)
    for i, candidate in enumerate(three):
        alone = rungs([candidate], views)
        for rung, rung_alone in zip(together, alone, strict=True):
            assert same(rung.results[i], rung_alone.results[0])
    backwards = rungs(three[::-1], views)
    assert same(together[-1].results[0], backwards[-1].results[2])


@pytest.mark.parametrize("settings", [GRU, LRU, AR, ESN], ids=["gru", "lru", "ar", "esn"])
def test_another_device_has_the_same_scores_and_networks(
    settings: Mapping[str, Scalar], views: list[View]
) -> None:
    def scored(device: str) -> tuple[list[CandidateResult], torch.Tensor]:
        cohort = Cohort(candidates(settings), views, study_seed=3, purpose="search", device=device)
        (last,) = (rung for rung in cohort if rung is not None)
        return [last.results[i] for i in range(3)], cohort.checkpoint(1).weights

    with other_device():
        results, weights = scored(OTHER)
    expected, expected_weights = scored("cpu")
    torch.testing.assert_close(weights, expected_weights, rtol=1e-3, atol=1e-3)
    for own, here in zip(results, expected, strict=True):
        assert own.replica_scores == pytest.approx(here.replica_scores, rel=1e-2)


def test_dropping_others_changes_nothing_for_those_that_go_on(views: list[View]) -> None:
    together = rungs(candidates(GRU), views)
    thinned = rungs(candidates(GRU), views, drop=[0, 2])
    assert set(thinned[-1].results) == {1}
    assert same(together[-1].results[1], thinned[-1].results[1])


def test_more_rungs_do_not_change_the_last_score(views: list[View]) -> None:
    one = rungs(candidates(LRU), views, fractions=(1.0,))
    four = rungs(candidates(LRU), views, fractions=(0.125, 0.25, 0.5, 1.0))
    assert [rung.rung for rung in four] == [1, 2, 3, 4]
    assert [rung.is_last for rung in four] == [False, False, False, True]
    assert same(one[-1].results[2], four[-1].results[2])


@pytest.mark.parametrize("settings", [GRU, LRU], ids=["follow", "train from the start"])
@pytest.mark.parametrize("counts", [(1, 1, 2, 4), (2, 2, 2, 4), (1, 3, 4, 4)])
def test_replicas_that_are_scored_later_have_the_scores_of_those_that_are_scored_at_once(
    settings: Mapping[str, Scalar], counts: Sequence[int], data: TaskData
) -> None:
    views, three = [data.view("search", replica) for replica in range(4)], candidates(settings)
    fractions = (0.125, 0.25, 0.5, 1.0)
    full = rungs(three, views, fractions)
    cohort = following(three, views, fractions, counts)
    running = {0, 1, 2}
    for rung in filter(None, cohort):
        before, count = full[rung.rung - 1].results, counts[rung.rung - 1]
        assert set(rung.results) == running
        for candidate, result in rung.results.items():
            known = before[candidate].replicas[:count]
            assert result.replica_scores == before[candidate].replica_scores[:count]
            assert [r.restart for r in result.replicas] == [r.restart for r in known]
            assert [r.loss_curve for r in result.replicas] == [r.loss_curve for r in known]
        if rung.rung == 2:
            cohort.drop([1])
            running.remove(1)
    last, expected = cohort.checkpoint(2), Cohort(three, views, study_seed=3, purpose="search")
    list(expected)
    assert torch.equal(last.weights, expected.checkpoint(2).weights)


def test_replicas_of_what_is_dropped_never_train(views: list[View]) -> None:
    cohort = following(candidates(GRU), views, (0.5, 1.0), (1, 2))
    for rung in filter(None, cohort):
        if not rung.is_last:
            cohort.drop([0, 2])
    trained = {key for key, curve in cohort.loss_curves.items() if curve}
    assert trained == {(0, 0), (1, 0), (2, 0), (1, 1)}


@pytest.mark.parametrize("settings", [GRU, LRU], ids=["follow", "train from the start"])
def test_no_replica_trains_before_it_is_wanted_unless_company_makes_it_cheap(
    settings: Mapping[str, Scalar], data: TaskData
) -> None:
    counts = (1, 2, 4)
    cohort = Cohort(
        candidates(settings),
        [data.view("search", replica) for replica in range(4)],
        study_seed=3,
        purpose="search",
        rung_fractions=(0.25, 0.5, 1.0),
        rung_replicas=counts,
    )
    for rung in filter(None, cohort):
        trained = {replica for (_, replica), curve in cohort.loss_curves.items() if curve}
        assert trained == set(range(4 if settings is LRU else counts[rung.rung - 1]))


def test_replicas_that_catch_up_take_time_of_their_own_candidates(
    views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = count()
    monkeypatch.setattr("search.evaluation.cohort.perf_counter", lambda: float(next(moments)))
    cohort = Cohort(
        candidates(GRU),
        views,
        study_seed=3,
        purpose="search",
        rung_fractions=(0.5, 1.0),
        rung_replicas=(1, 2),
    )
    first, last = filter(None, cohort)
    # A second for each of 4 steps. At the first one, the third candidate has two of four networks,
    # and as many as the others from then on.
    by_rung = [[rung.results[i].seconds for i in range(3)] for rung in (first, last)]
    assert by_rung[0] == pytest.approx([1.25, 1.25, 1.5])
    # As many steps of those that follow alone, the other 4 of all, and the first score.
    shared = (4 + 1) / 3
    assert by_rung[1] == pytest.approx([2 * own + shared for own in by_rung[0]])


def test_replicas_follow_before_a_rung_on_the_step_of_an_earlier_one(views: list[View]) -> None:
    cohort = following(candidates(GRU), views, (0.5, 0.501, 1.0), (1, 2, 2))
    found, full = list(filter(None, cohort)), rungs(candidates(GRU), views, (0.5, 1.0))
    assert [rung.rung for rung in found] == [2, 3]
    for rung, same_one in zip(found, full, strict=True):
        assert all(same(rung.results[i], same_one.results[i]) for i in range(3))


@pytest.mark.parametrize("settings", [GRU, LRU])
def test_without_rungs_all_replicas_train_to_the_end(
    settings: Mapping[str, Scalar], views: list[View]
) -> None:
    """As those do that are trained on all rows, of which none is left to be scored."""
    networks = []
    for fractions in ((), (1.0,)):
        chosen = candidates(settings)[:1]
        cohort = Cohort(chosen, views, study_seed=3, purpose="final", rung_fractions=fractions)
        scored = [rung for rung in cohort if rung is not None]
        assert len(scored) == len(fractions)
        networks.append(cohort.checkpoint())
    assert networks[0].weights.shape[0] == len(views)
    assert torch.equal(networks[0].weights, networks[1].weights)


def test_what_is_dropped_while_replicas_catch_up_is_gone(views: list[View]) -> None:
    cohort = following(candidates(GRU), views, (0.5, 1.0), (1, 2))
    found: list[Rung] = []
    for rung in cohort:
        if rung is None and len(found) == 1 and cohort.waking is not None:
            cohort.drop([0, 2])
        found += [rung] if rung is not None else []
    assert [set(rung.results) for rung in found] == [{0, 1, 2}, {1}]
    assert same(found[-1].results[1], rungs(candidates(GRU), views)[-1].results[1])


@pytest.mark.parametrize("settings", [AR, ESN], ids=["ar", "esn"])
def test_what_is_fitted_reports_once_at_the_last_rung(
    settings: Mapping[str, Scalar], views: list[View]
) -> None:
    """At an earlier one, halving would compare it with networks that are half trained."""
    (rung,) = rungs(candidates(settings), views, fractions=(0.125, 0.25, 0.5, 1.0))
    assert (rung.rung, rung.is_last) == (4, True)
    assert len(rung.results) == 3


def test_the_reservoir_of_the_least_loss_on_what_is_held_out_is_kept(views: list[View]) -> None:
    candidate = candidate_of({**ESN, "ridge": 1e-3, "restarts": 5})
    assert isinstance(candidate, FittedForm)
    kept = rungs([candidate], views)[-1].results[0].replicas
    for replica, view in enumerate(views):
        span = view.values[: view.train_steps]
        scaled = torch.from_numpy((span - span.mean(axis=0)) / span.std(axis=0))[None]
        seeds = [initialisation_seed(3, "search", candidate, replica, r) for r in range(5)]
        fitting = Fitting([Member(candidate, 0, seed) for seed in seeds], scaled)
        assert list(fitting)[-1] == 1
        losses = fitting.loss().tolist()
        assert kept[replica].restart == losses.index(min(losses))
        assert kept[replica].training_loss == min(losses)


def test_errors_are_told_at_the_horizons_of_the_task(views: list[View]) -> None:
    asked = [replace(view, error_horizons=(2, 20, 84)) for view in views]
    record = rungs(candidates(AR)[:1], asked)[-1].results[0].record
    assert set(record.errors_at) == {2, 20}


def test_what_lies_after_the_training_span_does_not_touch_training(views: list[View]) -> None:
    """Other validation values change the score, but neither the networks nor the restart."""
    other = []
    for view in views:
        truth = view.truth.copy()
        truth[view.train_steps :] += 1.0
        other.append(replace(view, truth=truth))
    before = rungs(candidates(GRU), views)[-1].results[2]
    after = rungs(candidates(GRU), other)[-1].results[2]
    assert [r.restart for r in before.replicas] == [r.restart for r in after.replicas]
    assert [r.training_loss for r in before.replicas] == [r.training_loss for r in after.replicas]
    assert before.score != after.score


def test_the_worse_half_of_the_restarts_is_stopped_three_times(views: list[View]) -> None:
    candidate = network(restarts=5)
    kept = rungs([candidate], views)[-1].results[0].replicas
    steps = GRU_STEPS
    for replica, view in enumerate(views):
        span = view.values[: view.train_steps]
        scaled = (span - span.mean(axis=0)) / span.std(axis=0)
        restarts = range(candidate.restarts)
        seeds = [initialisation_seed(3, "search", candidate, replica, r) for r in restarts]
        training = Trainer(
            [Member(candidate, 0, seed) for seed in seeds],
            torch.tensor(scaled[None], dtype=torch.float32),
        )
        running, losses = list(restarts), []
        for step in training:
            losses = training.loss().tolist()
            if step in (round(steps / 8), steps // 4, steps // 2):
                running.sort(key=losses.__getitem__)
                del running[(len(running) + 1) // 2 :]
        assert [kept[replica].restart] == running
        assert kept[replica].training_loss == losses[running[0]]


def test_the_loss_is_noted_at_a_handful_of_steps(views: list[View]) -> None:
    """As many without rungs and restarts; the last one is what the restart was chosen by."""
    for candidate in candidates(GRU)[::2]:
        steps = GRU_STEPS
        for fractions in ((1.0,), (0.5, 1.0)):
            for replica in rungs([candidate], views, fractions)[-1].results[0].replicas:
                assert list(replica.loss_curve) == [1, steps // 4, steps // 2, steps]
                assert replica.loss_curve[steps] == replica.training_loss
    first, last = rungs([candidates(GRU)[0]], views)
    for half, whole in zip(first.results[0].replicas, last.results[0].replicas, strict=True):
        assert half.loss_curve.items() < whole.loss_curve.items()


def test_a_noted_loss_is_that_of_the_best_restart_at_that_time(views: list[View]) -> None:
    candidate = network(restarts=3)
    curves = [r.loss_curve for r in rungs([candidate], views)[-1].results[0].replicas]
    seeds = [initialisation_seed(3, "search", candidate, 0, r) for r in range(3)]
    span = views[0].values[: views[0].train_steps]
    values = torch.tensor((span - span.mean(axis=0)) / span.std(axis=0), dtype=torch.float32)
    training = Trainer([Member(candidate, 0, seed) for seed in seeds], values[None])
    first = next(iter(training))
    assert curves[0][first] == min(training.loss().tolist())


def test_a_replica_trains_on_its_own_draw(views: list[View]) -> None:
    result = rungs(candidates(GRU)[:1], views)[-1].results[0]
    for view, replica in zip(views, result.replicas, strict=True):
        observed = view.values[: view.starts[0], 0]
        assert np.array_equal(replica.example.observed, observed)
        assert np.array_equal(replica.example.truth, view.truth[view.starts[0] :][:20, 0])


@pytest.mark.parametrize("settings", [GRU, AR, ESN], ids=["gru", "ar", "esn"])
@pytest.mark.parametrize("offset", [False, True])
def test_the_checkpoint_forecasts_what_was_scored(
    views: list[View], offset: bool, settings: Mapping[str, Scalar]
) -> None:
    first, second, third = candidates(settings)
    second = candidate_of({**second.values(), "offset": offset})
    cohort = Cohort([first, second, third], views, study_seed=3, purpose="search")
    *_, last = cohort
    assert last is not None
    kept = checkpoint.load(checkpoint.save(cohort.checkpoint(1)))
    mean, std = kept.shift.numpy(), kept.scale.numpy()
    warm = np.stack([view.values[view.starts[0] - 10 : view.starts[0]] for view in views])
    context = torch.from_numpy((warm - mean[:, None]) / std[:, None])
    forecaster = forecaster_of(kept.architecture, kept.channels)
    forecast = free_run(forecaster, kept.weights, context[:, None], 20)
    for i, replica in enumerate(last.results[1].replicas):
        values = forecast[i, 0].double().numpy() * std[i] + mean[i]
        # One start point instead of three is another batch size, hence equal to rounding only.
        np.testing.assert_allclose(values[:, 0], replica.example.forecast, rtol=1e-4, atol=1e-4)


def test_the_average_of_the_weights_is_scored_and_exported(views: list[View]) -> None:
    """The networks trained are those of the plain candidate; only what is kept of them differs."""
    plain, averaged = network(), network(weight_average="tail", average_fraction=0.5)
    cohort = Cohort([plain, averaged], views, study_seed=3, purpose="search")
    *_, last = cohort
    assert last is not None
    training = cohort.training
    assert isinstance(training, Trainer)
    assert torch.equal(cohort.checkpoint(0).weights, training.weights[:2])
    assert torch.equal(cohort.checkpoint(1).weights, training.scored_weights[2:])
    assert not torch.equal(training.scored_weights[2:], training.weights[2:])
    assert torch.equal(training.scored_weights[:2], training.weights[:2])


def test_the_result_tells_median_and_all_replicas(views: list[View]) -> None:
    result = rungs(candidates(LRU)[:1], views)[-1].results[0]
    record = result.record
    assert record.score == np.median(record.replica_scores) == result.score
    assert record.horizon_steps == views[0].horizon_steps
    assert record.score == pytest.approx(
        np.median([r.scores.curve.mean() for r in result.replicas])
    )
    assert result.median_replica.scores.nmse <= record.score
    assert record.example.replica == result.median_replica.index


def test_baselines_are_scored_on_the_same_draws(data: TaskData, views: list[View]) -> None:
    found = baseline_results(baseline_candidates(data), views)
    assert list(found) == list(baselines())
    assert {"mean", "persistence", "ar"} <= set(found)
    assert all(len(b.replica_scores) == len(views) for b in found.values())
    view = views[0]
    expected = np.mean(
        [
            (view.truth[s : s + 20] - view.values[:60].mean()) ** 2 / view.variance
            for s in view.starts
        ]
    )
    assert found["mean"].replica_scores[0] == pytest.approx(expected)
