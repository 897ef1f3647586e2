"""Who wins a final: order, the noise of the comparison, and the members of an ensemble."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.diagnostics.scores import Averaging
from search.contest import (
    LEAST_T,
    baseline_of,
    baseline_subject,
    compared,
    ensemble_members,
    ensemble_subject,
    ranked,
    winner_among,
    winner_of_jobs,
)
from search.records import Example, FinalRecord
from search.storage.records import FinalJob, Subject

SSA, MEAN, PERSISTENCE = map(baseline_subject, ("ssa", "mean", "persistence"))
ENSEMBLE = ensemble_subject([1, SSA])


def final(*units: list[float], averaging: Averaging = "median") -> FinalRecord:
    """A record with these errors by replica and unit."""
    nothing = np.zeros(2)
    return FinalRecord(
        replica_scores=tuple(float(np.mean(own)) for own in units),
        scored_against="signal",
        verdict="tracks",
        verdicts=("tracks",) * len(units),
        valid_prediction_steps=1.0,
        errors_at={},
        curve=nothing,
        training_losses=(None,) * len(units),
        restarts=(0,) * len(units),
        parameters=1,
        seconds=0.0,
        example=Example(0, 1, nothing, nothing, nothing),
        unit_errors=tuple(map(tuple, units)),
        averaging=averaging,
    )


def noisy(level: float, seed: int, spread: float = 0.3, draws: int = 16) -> FinalRecord:
    """Errors around a level, by draw, or by training on a table, and by unit."""
    errors = level * np.exp(spread * np.random.default_rng(seed).normal(size=(draws, 8)))
    return final(*errors.tolist())


def test_the_least_geometric_mean_is_first_and_of_equals_the_older_trial() -> None:
    same = final([0.5, 0.5])
    finals: dict[Subject, FinalRecord] = {
        ENSEMBLE: same,
        SSA: same,
        9: same,
        4: same,
        7: final([0.1, 0.1]),
    }
    assert ranked(finals) == [7, 4, 9, SSA, ENSEMBLE]


def test_with_cuts_the_least_score_is_first() -> None:
    # The geometric means are 0.1 and 0.2, the means 0.505 and 0.2.
    uneven, even = [0.01, 1.0], [0.2, 0.2]
    rules: tuple[tuple[Averaging, int], ...] = (("median", 1), ("mean", 2))
    for averaging, first in rules:
        finals: dict[Subject, FinalRecord] = {
            1: final(*([own] for own in uneven), averaging=averaging),
            2: final(*([own] for own in even), averaging=averaging),
        }
        assert ranked(finals)[0] == first


def test_a_trial_that_is_far_better_wins_and_one_within_the_noise_does_not() -> None:
    better: dict[Subject, FinalRecord] = {1: noisy(0.1, 0), SSA: noisy(0.5, 1)}
    assert winner_among(better, has_draws=False) == 1
    alike: dict[Subject, FinalRecord] = {1: noisy(0.49, 0, 2.0), SSA: noisy(0.5, 1, 2.0)}
    assert winner_among(alike, has_draws=False) == SSA
    assert winner_among({1: noisy(0.9, 0)}, has_draws=False) == 1
    assert winner_among({}, has_draws=False) is None


def test_of_a_generated_series_the_best_trial_wins_whatever_the_baselines_do() -> None:
    finals: dict[Subject, FinalRecord] = {1: noisy(0.9, 0), 2: noisy(0.8, 0), SSA: noisy(0.1, 1)}
    assert winner_among(finals, has_draws=True) == 2
    assert winner_among({SSA: noisy(0.1, 1)}, has_draws=True) == SSA
    assert winner_among({}, has_draws=True) is None


def test_a_difference_below_its_standard_error_is_noise() -> None:
    # Over 16 draws, the mean of a difference is `shift` and its standard error 1.
    spread = np.array([-1.0, 1.0] * 8)
    spread *= 4.0 / spread.std(ddof=1)
    for shift, is_better in ((0.9, False), (1.1, True)):
        one = final(*([float(own)] for own in np.exp(spread - shift)))
        other = final(*[[1.0]] * 16)
        found = compared(one, other, has_draws=True)
        assert found.t == pytest.approx(-shift)
        assert found.is_better == is_better


def test_an_ensemble_wins_unless_a_trial_beats_it_by_more_than_the_noise() -> None:
    finals: dict[Subject, FinalRecord] = {1: within_noise_of_a_tenth(), SSA: noisy(0.5, 1)}
    with_ensemble = {**finals, ENSEMBLE: noisy(0.1, 0)}
    assert ranked(with_ensemble)[0] == 1
    assert not compared(finals[1], with_ensemble[ENSEMBLE], has_draws=False).is_better
    assert winner_among(with_ensemble, has_draws=False) == ENSEMBLE
    assert winner_among({**finals, ENSEMBLE: noisy(0.2, 2)}, has_draws=False) == 1
    assert winner_among({ENSEMBLE: noisy(0.2, 2)}, has_draws=False) == ENSEMBLE


def test_a_trial_beats_an_ensemble_by_twice_the_noise_and_a_baseline_by_once() -> None:
    """The best of many is flattered: some difference of one standard error is always found."""
    parts = np.array([-1.0, 1.0] * 4)
    for t, winner in ((-1.5, ENSEMBLE), (-2.5, 1)):
        # Neighbours are unlike each other, so that the standard error is that of eight parts.
        spread = parts * abs(1.0 / t) * np.sqrt(7.0)
        finals: dict[Subject, FinalRecord] = {
            1: final((0.1 * np.exp(0.1 * (spread - 1.0))).tolist(), averaging="geometric mean"),
            ENSEMBLE: final([0.1] * 8, averaging="geometric mean"),
        }
        found = compared(finals[1], finals[ENSEMBLE], has_draws=False)
        assert found.t == pytest.approx(t)
        assert winner_among(finals, has_draws=False) == winner
        of_baseline: dict[Subject, FinalRecord] = {1: finals[1], SSA: finals[ENSEMBLE]}
        assert winner_among(of_baseline, has_draws=False) == 1


def test_what_was_tested_stays_the_winner_whatever_another_rule_says() -> None:
    finals: dict[Subject, FinalRecord] = {
        1: noisy(0.11, 0),
        2: noisy(0.12, 1),
        SSA: noisy(0.5, 1),
        ENSEMBLE: noisy(0.1, 0),
    }
    planned: list[tuple[str, Subject]] = [("final", subject) for subject in finals]

    def winner(*later: tuple[str, Subject]) -> Subject | None:
        return winner_of_jobs(jobs_of([*planned, *later]), finals, has_draws=False)

    assert winner() == ENSEMBLE
    assert winner(("test", 1), ("test", SSA)) == 1
    assert winner(("test", SSA)) == SSA
    # A study that went on has further finals, and decides anew.
    assert winner(("test", 1), ("test", SSA), ("final", 3)) == ENSEMBLE
    assert winner(("test", SSA), ("final", 3)) == ENSEMBLE
    assert winner(("test", 1), ("test", SSA), ("final", 3), ("test", ENSEMBLE)) == ENSEMBLE
    # A baseline of a later version, tested beside a winner that had been tested before.
    assert winner(("test", ENSEMBLE), ("final", 3), ("test", SSA)) == ENSEMBLE


def jobs_of(planned: Sequence[tuple[str, Subject]]) -> list[FinalJob]:
    """Jobs of these purposes and subjects that are done, in the order of their planning."""
    return [
        FinalJob(place, purpose, subject, "done", 1, 1, None, has_weights=True, message=None)
        for place, (purpose, subject) in enumerate(planned, 1)
    ]


def test_a_baseline_that_takes_no_part_is_not_what_was_tested() -> None:
    finals: dict[Subject, FinalRecord] = {
        SSA: noisy(0.6, 2).model_copy(update={"level_share": 1.0}),
        MEAN: noisy(0.1, 4).model_copy(update={"level_share": 0.0}),
    }
    jobs = jobs_of([(purpose, own) for purpose in ("final", "test") for own in finals])
    assert winner_of_jobs(jobs, finals, has_draws=False) == SSA


def test_what_goes_back_to_a_level_that_it_has_learnt_takes_no_part() -> None:
    """Where that is asked, a better score does not count, unless nothing else is there."""
    followed = {1: noisy(0.5, 0), 2: noisy(0.55, 1), SSA: noisy(0.6, 2)}
    back = {3: noisy(0.1, 3), MEAN: noisy(0.1, 4)}
    finals: dict[Subject, FinalRecord] = {
        subject: own.model_copy(update={"level_share": share})
        for group, share in ((followed, 1.0), (back, 0.5))
        for subject, own in group.items()
    }
    assert ensemble_members(finals) == [1, 2, SSA]
    assert winner_among(finals, has_draws=False) == 1
    assert winner_among({**finals, ENSEMBLE: noisy(0.4, 5)}, has_draws=False) == ENSEMBLE
    alone = {subject: finals[subject] for subject in (3, MEAN)}
    assert winner_among(alone, has_draws=False) == MEAN
    assert set(ensemble_members(alone)) == {3, MEAN}
    # An ensemble of them makes them no worse.
    with_ensemble = {**alone, ENSEMBLE: noisy(0.4, 5)}
    assert set(ensemble_members(with_ensemble)) == {3, MEAN}
    assert winner_among(with_ensemble, has_draws=False) == MEAN
    unasked: dict[Subject, FinalRecord] = {**followed, **back}
    assert winner_among(unasked, has_draws=False) in back


@pytest.mark.parametrize(("least", "wins"), [(0.085, True), (0.095, False)])
def test_on_blocks_it_wins_by_itself_where_it_is_better_by_enough(least: float, wins: bool) -> None:
    """The rows around a block tell its level: to be better by less counts for nothing."""
    finals: dict[Subject, FinalRecord] = {
        subject: noisy(level, 0).model_copy(update={"level_share": share, "level_is_new": False})
        for subject, level, share in ((1, 0.1, 1.0), (2, 0.12, 1.0), (3, least, 0.5))
    }
    assert ensemble_members(finals) == [3, 1, 2]
    assert winner_among(finals, has_draws=False) == (3 if wins else 1)
    # Nothing follows but a baseline that is worse.
    finals = {PERSISTENCE: noisy(0.5, 1).model_copy(update={"level_share": 1.0}), 3: finals[3]}
    assert winner_among(finals, has_draws=False) == PERSISTENCE
    finals[PERSISTENCE] = finals[PERSISTENCE].model_copy(update={"level_is_new": False})
    assert winner_among(finals, has_draws=False) == 3


def test_an_ensemble_needs_only_the_lower_score_to_win_against_a_baseline() -> None:
    finals: dict[Subject, FinalRecord] = {
        1: noisy(0.9, 0),
        SSA: noisy(0.1, 0),
        ENSEMBLE: within_noise_of_a_tenth(),
    }
    assert ranked(finals)[0] == ENSEMBLE
    assert not compared(finals[ENSEMBLE], finals[SSA], has_draws=False).is_better
    assert winner_among(finals, has_draws=False) == ENSEMBLE
    worse: dict[Subject, FinalRecord] = {1: noisy(0.9, 0), SSA: noisy(0.1, 0)}
    assert winner_among({**worse, ENSEMBLE: noisy(0.2, 0)}, has_draws=False) == SSA


def within_noise_of_a_tenth() -> FinalRecord:
    """Better than `noisy(0.1, 0)` by 1 %, and by far more or less on each part of it."""
    return final(*(0.99 * np.array(noisy(0.1, 0).unit_errors)[::-1, ::-1]).tolist())


def test_pairs_see_a_small_difference_that_means_do_not() -> None:
    errors = np.exp(2 * np.random.default_rng(0).normal(size=(16, 8)))
    wobble = np.exp(0.01 * np.random.default_rng(1).normal(size=(16, 8)))
    one, other = final(*(0.97 * wobble * errors).tolist()), final(*errors.tolist())
    assert compared(one, other, has_draws=True).is_better
    assert compared(one, other, has_draws=True).ratio == pytest.approx(0.97, abs=0.01)


@given(st.integers(0, 1000))
def test_a_comparison_turned_round_is_the_opposite(seed: int) -> None:
    one, other = noisy(0.4, seed), noisy(0.5, seed + 1)
    for has_draws in (True, False):
        there = compared(one, other, has_draws=has_draws)
        back = compared(other, one, has_draws=has_draws)
        assert there.log_ratio == pytest.approx(-back.log_ratio)
        assert there.t == pytest.approx(-back.t)
        assert there.is_better == (there.t <= -LEAST_T)


def test_replicas_of_a_table_are_no_independent_pairs() -> None:
    units = np.exp(np.random.default_rng(3).normal(size=8))
    other = [1.0] * 8
    one = [0.8 * unit for unit in units]
    few = compared(final(one), final(other), has_draws=False)
    many = compared(final(*[one] * 16), final(other), has_draws=False)
    assert many.t == pytest.approx(few.t)


def test_with_cuts_the_units_of_all_replicas_are_pairs() -> None:
    generator = np.random.default_rng(5)
    units = 0.8 * np.exp(generator.normal(size=(6, 8)))
    own, level = units.tolist(), [[1.0] * 8] * 6
    with_cuts = compared(
        final(*own, averaging="mean"), final(*level, averaging="mean"), has_draws=False
    )
    in_one = compared(final(units.ravel().tolist()), final([1.0] * 48), has_draws=False)
    assert with_cuts.t == pytest.approx(in_one.t)
    assert with_cuts.t != pytest.approx(compared(final(*own), final(*level), has_draws=False).t)


def test_neighbours_that_share_their_noise_count_less() -> None:
    ups = [0.5] * 4 + [1.5] * 4
    mixed = [0.5, 1.5] * 4
    one = compared(final(ups), final([1.2] * 8), has_draws=False)
    other = compared(final(mixed), final([1.2] * 8), has_draws=False)
    assert one.log_ratio == pytest.approx(other.log_ratio)
    assert abs(one.t) < abs(other.t)


def test_one_pair_alone_proves_nothing_and_equal_differences_do() -> None:
    assert not compared(final([0.1]), final([0.9]), has_draws=False).is_better
    assert compared(final([0.1] * 2), final([0.9] * 2), has_draws=False).is_better
    assert not compared(final([0.1] * 2), final([0.1] * 2), has_draws=False).is_better


def test_records_without_units_are_compared_by_replicas() -> None:
    old = noisy(0.1, 0).model_copy(update={"unit_errors": ()})
    assert compared(old, noisy(0.5, 1), has_draws=True).is_better


def test_members_are_the_best_first_and_nothing_that_is_far_worse() -> None:
    finals: dict[Subject, FinalRecord] = {n: final([0.1 + 0.01 * n] * 2) for n in range(9)}
    finals |= {SSA: final([0.09] * 2), MEAN: final([1.0] * 2), ENSEMBLE: final([0.01] * 2)}
    assert ensemble_members(finals) == [SSA, 0, 1, 2, 3, 4]
    near = {n: final([0.1 + 0.001 * n] * 2) for n in range(9)} | {SSA: final([0.2] * 2)}
    assert ensemble_members(near) == [*range(9)]
    few: dict[Subject, FinalRecord] = {n: final([0.1 * 3**n] * 2) for n in range(3)}
    assert ensemble_members(few) == [0, 1]
    assert ensemble_members({1: final([0.1] * 2), MEAN: final([1.0] * 2)}) == []
    assert ensemble_members({}) == []


def test_many_starts_leave_out_what_is_worse_by_more_than_the_noise() -> None:
    random = np.random.default_rng(3)
    common = np.exp(0.3 * random.normal(size=(4, 32)))

    def of(level: float, units: int, averaging: Averaging, spread: float = 0.05) -> FinalRecord:
        errors = common[:, :units] * np.exp(spread * random.normal(size=(4, units)))
        return final(*(level * errors / errors.mean()).tolist(), averaging=averaging)

    rules: list[tuple[int, Averaging, list[int]]] = [
        (32, "mean", [*range(6), 7]),  # 6 is worse by a tenth, 7 by as much with more noise
        (32, "geometric mean", [*range(8)]),
        (8, "mean", [*range(8)]),
    ]
    for units, averaging, kept in rules:
        finals: dict[Subject, FinalRecord] = {
            n: of(1.0 + 0.01 * n, units, averaging) for n in range(6)
        }
        finals |= {6: of(1.1, units, averaging), 7: of(1.1, units, averaging, spread=0.6)}
        assert sorted(map(int, ensemble_members(finals))) == kept


@pytest.mark.parametrize(("t", "is_member"), [(1.9, True), (2.1, False)])
def test_a_member_is_left_out_that_is_worse_by_two_standard_errors(
    t: float, is_member: bool
) -> None:
    best = final(*[[1.0] * 16] * 4, averaging="mean")
    finals: dict[Subject, FinalRecord] = dict.fromkeys(range(6), best)
    # Noise of 64 starts without a correlation from one to the next.
    logs = 0.2 * (t / np.sqrt(64 - 1) + np.resize([1.0, -1.0], 16))
    finals[6] = final(*[np.exp(logs).tolist()] * 4, averaging="mean")
    assert compared(finals[6], best, has_draws=False).t == pytest.approx(t)
    assert (6 in ensemble_members(finals)) == is_member


@pytest.mark.parametrize(("starts", "kept"), [(15, 7), (16, 6)])
def test_members_are_left_out_from_sixteen_start_points_on(starts: int, kept: int) -> None:
    finals: dict[Subject, FinalRecord] = {
        n: final(*[[level] * starts] * 4, averaging="mean")
        for n, level in enumerate([1.0] * 6 + [1.3])
    }
    assert len(ensemble_members(finals)) == kept


def test_a_subject_says_what_it_is() -> None:
    assert baseline_of(SSA) == "ssa"
    assert baseline_of(3) is baseline_of(ENSEMBLE) is None
    assert ensemble_subject([1, 2]) != ensemble_subject([1, 3])
