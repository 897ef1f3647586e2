"""What a sampler sees: a study in memory, where asking costs no transaction."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from models.methods import Scalar
from search.running.variation import VariationSampler
from search.storage.optuna_log import quiet
from search.storage.records import ScoredTrial

# Trials that are sampled at random before TPE models the space. Optuna's default of 10 is less
# than two cohorts, and a cohort shares one architecture.
STARTUP_TRIALS = 32
# Of what is fitted, whose cohorts are small.
STARTUP_FITTED = 16
# Above so many trials a view is thinned to fewer; it then grows until it is that large again.
LARGEST_VIEW = 1000
THINNED_VIEW = 500
BEST_TRIALS = 100

Load: TypeAlias = Callable[[Sequence[int]], Sequence[FrozenTrial]]


class SamplerView:
    """A sampler and the finished trials that it learns from; of many of them a part.

    What is asked stays running here until `forget`, so that the sampler (with its constant liar)
    does not propose the same again while it runs.
    """

    def __init__(self, sampler: str, seed: int, startup_trials: int = STARTUP_TRIALS) -> None:
        self.name, self.seed, self.startup_trials = sampler, seed, startup_trials
        self.known: list[ScoredTrial] = []
        self.thinned = 0
        self.asked: list[Trial] = []
        self._begin(seed)

    def _begin(self, seed: int) -> None:
        # A sampler keeps what it knows of a study, so a new one has its own.
        self.sampler = _sampler(self.name, seed, self.startup_trials)
        self.random = RandomSampler(seed=seed)
        # It is an implementation detail; Optuna would announce it on standard error.
        with quiet():
            self.study: Study = optuna.create_study(sampler=self.sampler)
        self.shown = 0

    def learn(self, finished: Sequence[ScoredTrial], load: Load) -> None:
        """Take newly finished trials into account, while nothing that was asked runs.

        load: returns the trials of some ids; only those that the sampler is to see are asked for.
        """
        new = [trial for trial in finished if trial.state in ("complete", "pruned")]
        self.known += new
        ids = [trial.trial_id for trial in new]
        if self.shown + len(new) > LARGEST_VIEW:
            self.thinned += 1
            seeds = np.random.SeedSequence([self.seed, self.thinned])
            self._begin(int(seeds.generate_state(1)[0]))
            ids = thinned(self.known, np.random.default_rng(seeds))
        for trial in load(ids) if ids else ():
            self.study.add_trial(trial)
        self.shown += len(ids)

    @contextmanager
    def fixing(self, params: Mapping[str, Scalar], *, at_random: bool = False) -> Iterator[None]:
        """Let the sampler choose no other values for some parameters while the block runs.

        at_random: whether the others are drawn at random, whatever is known of them.
        """
        before = self.study.sampler
        sampler = self.random if at_random else self.sampler
        self.study.sampler = sampler
        if isinstance(sampler, VariationSampler):
            sampler.fixed = params
        if params:
            with warnings.catch_warnings():
                # Its interface may change; Optuna's version is pinned, and a test covers it.
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.study.sampler = PartialFixedSampler(dict(params), sampler)
        try:
            yield
        finally:
            self.study.sampler = before
            if isinstance(self.sampler, VariationSampler):
                self.sampler.fixed = {}

    def best_params(self) -> dict[str, Scalar]:
        """The parameters of the best complete trial that the sampler sees; empty without any."""
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        scored = [trial for trial in complete if trial.value is not None]
        best = min(scored, key=lambda trial: trial.value or 0.0, default=None)
        return {} if best is None else dict(best.params)

    def ask(self) -> Trial:
        """A trial to sample from; `keep` or `refuse` it."""
        return self.study.ask()

    def keep(self, trial: Trial) -> None:
        """Let a trial run until `forget`."""
        self.asked.append(trial)

    def refuse(self, trial: Trial) -> None:
        """Samplers learn nothing from failed trials."""
        self.study.tell(trial, state=TrialState.FAIL)

    def forget(self) -> None:
        """Take back what runs: it is finished by now, or will be run by someone else."""
        for trial in self.asked:
            self.refuse(trial)
        self.asked = []


def _sampler(name: str, seed: int, startup_trials: int) -> BaseSampler:
    if name == "random":
        return RandomSampler(seed=seed)
    if name == "variation":
        return VariationSampler(seed=seed)
    return TPESampler(
        seed=seed,
        n_startup_trials=startup_trials,
        multivariate=False,
        constant_liar=True,
    )


def thinned(trials: Sequence[ScoredTrial], generator: np.random.Generator) -> list[int]:
    """Return the ids of the best complete and pruned trials, and of a random part of the others.

    trials: more than THINNED_VIEW. The ids are in the order in which the trials were made.
    """
    ranked = sorted(trials, key=_rank)
    best, others = ranked[:BEST_TRIALS], ranked[BEST_TRIALS:]
    part = generator.choice(len(others), THINNED_VIEW - BEST_TRIALS, replace=False)
    return sorted([*(t.trial_id for t in best), *(others[i].trial_id for i in part)])


def _rank(trial: ScoredTrial) -> tuple[bool, int, float]:
    """As TPE ranks: complete trials by their values, then pruned ones, those that got far first."""
    is_complete = trial.state == "complete"
    value = math.inf if trial.value is None else trial.value
    return not is_complete, 0 if is_complete else -max(trial.reports, default=0), value
