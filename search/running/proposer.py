"""Asking Optuna's sampler for a whole cohort at once, on an in-memory view of the study."""

import json
import warnings
from collections.abc import Mapping, Sequence

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, Trial, TrialState

from models.candidate import Candidate
from models.training import unroll_bytes
from search.storage import Proposal
from search.study.definition import StudyDefinition
from search.study.space import Space

# Trials that are sampled at random before TPE models the space. Optuna's default of 10 is less
# than two cohorts, and a cohort shares one architecture.
STARTUP_TRIALS = 32
# Memory that the unroll of one cohort may take; beyond it, fewer candidates train together.
COHORT_BYTES = 512 * 2**20


class Proposer:
    """Proposes cohorts: the sampler chooses an architecture, then strategies that go with it.

    The study's finished trials are mirrored in memory, where asking costs no transaction. What is
    proposed stays running there until `forget`, so that the sampler (with its constant liar) does
    not propose the same again while it runs.
    """

    def __init__(self, definition: StudyDefinition, sampler_seed: int) -> None:
        self.search = definition.search
        self.space = Space(definition.space)
        self.sampler = _sampler(self.search.sampler, sampler_seed)
        # The mirror is an implementation detail; Optuna would announce it on standard error.
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.mirror = optuna.create_study(sampler=self.sampler)
        optuna.logging.set_verbosity(verbosity)
        self.asked: list[Trial] = []

    def learn(self, finished: Sequence[FrozenTrial]) -> None:
        """Take the study's newly finished trials into the view."""
        for trial in finished:
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                self.mirror.add_trial(trial)

    def propose(self, at_most: int | None) -> list[Proposal]:
        """Candidates of one cohort key, about `cohort_members` networks, at most so many trials."""
        first = self.mirror.ask()
        params = self.space.suggest(first)
        self.asked.append(first)
        candidate = self.space.resolve(params)
        proposals = [self._proposal(params, candidate)]
        members = self._members(candidate)
        limit = min(self.search.cohort_members, self._members_in_memory(candidate))
        fixed = {name: params[name] for name in self.space.cohort_names if name in params}
        with warnings.catch_warnings():
            # Its interface may change; a constraint pins Optuna's version, and a test covers it.
            warnings.simplefilter("ignore", ExperimentalWarning)
            self.mirror.sampler = PartialFixedSampler(fixed, self.sampler)
        try:
            while members < limit and (at_most is None or len(proposals) < at_most):
                trial = self.mirror.ask()
                params = self.space.suggest(trial)
                self.asked.append(trial)
                candidate = self.space.resolve(params)
                proposals.append(self._proposal(params, candidate))
                members += self._members(candidate)
        finally:
            self.mirror.sampler = self.sampler
        return proposals

    def forget(self) -> None:
        """Take back what was proposed: it is finished by now, or will be run by someone else."""
        for trial in self.asked:
            self.mirror.tell(trial, state=TrialState.FAIL)
        self.asked = []

    def _proposal(self, params: Mapping[str, bool | int | float | str], c: Candidate) -> Proposal:
        return Proposal(
            params=params,
            distributions=self.space.distributions(params),
            cohort_key=cohort_key(c),
        )

    def _members(self, candidate: Candidate) -> int:
        return self.search.replicas * candidate.restarts

    def _members_in_memory(self, candidate: Candidate) -> int:
        return max(1, COHORT_BYTES // unroll_bytes(candidate))


def cohort_key(candidate: Candidate) -> str:
    """The cohort key as text, equal for candidates that can train together."""
    return json.dumps(candidate.cohort_key(), default=vars, sort_keys=True)


def _sampler(name: str, seed: int) -> BaseSampler:
    if name == "random":
        return RandomSampler(seed=seed)
    return TPESampler(
        seed=seed,
        n_startup_trials=STARTUP_TRIALS,
        multivariate=True,
        constant_liar=True,
    )
