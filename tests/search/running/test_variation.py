"""The sampler that varies the best: random first, then near one of the best."""

import math
from collections.abc import Callable

import optuna
import pytest
from optuna.trial import Trial, TrialState

from models.methods import Scalar
from search.running.sampler_view import SamplerView
from search.running.variation import PARENTS, RANDOM_SHARE, STARTUP_TRIALS, VariationSampler

optuna.logging.set_verbosity(optuna.logging.WARNING)

Objective = Callable[[Trial], float]


def study(seed: int = 0) -> optuna.Study:
    return optuna.create_study(sampler=VariationSampler(seed))


def valley(trial: Trial) -> float:
    """Narrow in the combination of its numbers, and conditional on a name."""
    x = trial.suggest_float("x", 1e-6, 1.0, log=True)
    y = trial.suggest_float("y", -3.0, 3.0)
    if trial.suggest_categorical("kind", ["plain", "shifted"]) == "shifted":
        y -= trial.suggest_int("shift", 0, 6)
    steps = trial.suggest_categorical("steps", [1, 2, 4, 8])
    return (math.log10(x) + 3.0 + y) ** 2 + (y - 1.0) ** 2 + abs(steps - 4)


def best_of(sampler: optuna.samplers.BaseSampler, objective: Objective, trials: int) -> float:
    found = optuna.create_study(sampler=sampler)
    found.optimize(objective, n_trials=trials)
    return found.best_value


def test_it_finds_what_random_search_does_not() -> None:
    varied = [best_of(VariationSampler(seed), valley, 200) for seed in range(5)]
    random = [best_of(optuna.samplers.RandomSampler(seed), valley, 200) for seed in range(5)]
    assert sorted(varied)[2] < 0.2 * sorted(random)[2]


def test_most_trials_are_near_one_of_the_best_and_never_equal_to_it() -> None:
    found = study()
    found.optimize(valley, n_trials=STARTUP_TRIALS)
    near = 0
    for _ in range(200):
        best = sorted(found.trials, key=lambda t: t.value or math.inf)[:PARENTS]
        trial = found.ask()
        valley(trial)
        shared = max(sum(p.params.get(k) == v for k, v in trial.params.items()) for p in best)
        assert shared < len(trial.params)
        near += shared >= 2
        found.tell(trial, state=TrialState.FAIL)
    assert near > 0.9 * (1.0 - RANDOM_SHARE) * 200


def test_values_stay_within_their_domains_and_on_their_grids() -> None:
    def objective(trial: Trial) -> float:
        even = trial.suggest_int("even", 2, 10, step=2)
        tenth = trial.suggest_float("tenth", 0.0, 1.0, step=0.1)
        power = trial.suggest_int("power", 1, 1000, log=True)
        one = trial.suggest_float("one", 2.0, 2.0)
        assert even in range(2, 11, 2)
        assert round(10 * tenth) == pytest.approx(10 * tenth)
        assert 1 <= power <= 1000
        assert one == 2.0
        return even + tenth + power

    found = study()
    found.optimize(objective, n_trials=200)
    assert found.best_value == pytest.approx(3.0)


@pytest.mark.parametrize("at", ["low", "high"])
def test_a_parent_at_its_bounds_has_other_children(at: str) -> None:
    """Steps that lead out of the domain are reflected; a number that is forced to move moves."""
    low = at == "low"

    def bounded(trial: Trial) -> dict[str, float]:
        return {
            "whole": trial.suggest_int("whole", 1, 3),
            "power": trial.suggest_int("power", 1, 4096, log=True),
            "share": trial.suggest_float("share", 0.0, 1.0),
            "rate": trial.suggest_float("rate", 1e-4, 1.0, log=True),
            "grid": trial.suggest_float("grid", 0.0, 1.0, step=0.25),
        }

    found = study()
    probe = found.ask()
    bounded(probe)
    distributions = probe.distributions
    found.tell(probe, state=TrialState.FAIL)
    parent = {
        name: own.low if low else own.high  # type: ignore[attr-defined]
        for name, own in distributions.items()
    }
    for _ in range(STARTUP_TRIALS):
        made = optuna.create_trial(params=parent, distributions=distributions, value=0.0)
        found.add_trial(made)
    moved = dict.fromkeys(parent, 0)
    for _ in range(300):
        trial = found.ask()
        child = bounded(trial)
        assert child != parent
        for name, value in child.items():
            moved[name] += value != parent[name]
        found.tell(trial, state=TrialState.FAIL)
    # One of five at random; of the others a number moves by MOVED_SHARE, or as the forced one.
    assert min(moved.values()) > 0.35 * 300


def test_choices_that_are_numbers_move_to_a_neighbour() -> None:
    found = study()
    for _ in range(STARTUP_TRIALS):
        trial = found.ask()
        far = trial.suggest_categorical("steps", [1, 2, 4, 8, 16])
        found.tell(trial, abs(far - 4))
    seen = set()
    for _ in range(100):
        trial = found.ask()
        seen.add(trial.suggest_categorical("steps", [1, 2, 4, 8, 16]))
        found.tell(trial, state=TrialState.FAIL)
    # Of a parent at 4; at random, one in five trials may have any.
    assert {2, 8} <= seen


def test_equal_seeds_propose_equal_trials() -> None:
    one, other = study(3), study(3)
    for found in (one, other):
        found.optimize(valley, n_trials=60)
    assert [t.params for t in one.trials] == [t.params for t in other.trials]


def test_without_a_complete_trial_it_samples_at_random() -> None:
    found = study()
    for _ in range(STARTUP_TRIALS + 20):
        trial = found.ask()
        valley(trial)
        trial.report(1.0, 1)
        found.tell(trial, state=TrialState.PRUNED)
    assert len({t.params["x"] for t in found.trials}) == len(found.trials)


def test_company_varies_the_parent_of_the_candidate_that_leads_it() -> None:
    view = SamplerView("variation", 0)

    def sampled(trial: Trial) -> dict[str, Scalar]:
        names = ["a", "b", "c"]
        shape: dict[str, Scalar] = {n: trial.suggest_int(n, 0, 1000) for n in names}
        return shape | {n: trial.suggest_float(n, 0.0, 1.0) for n in ("x", "y", "z")}

    for number in range(STARTUP_TRIALS):
        trial = view.ask()
        sampled(trial)
        view.study.tell(trial, float(number))
    best = view.study.best_trial.params
    shape = {name: best[name] for name in ("a", "b", "c")}
    near = 0
    for _ in range(50):
        with view.fixing(shape):
            trial = view.ask()
            params = sampled(trial)
            view.refuse(trial)
        assert {name: params[name] for name in shape} == shape
        kept = sum(params[name] == best[name] for name in ("x", "y", "z"))
        assert kept < 3
        near += kept > 0
    assert near > 40
    # What goes with a structure that none of the best has is sampled at random.
    other = {name: (int(best[name]) + 7) % 1000 for name in shape}
    with view.fixing(other):
        params = sampled(view.ask())
    assert all(params[n] not in {t.params[n] for t in view.study.trials[:-1]} for n in "xyz")
