"""Asking Optuna's sampler for a whole cohort at once, on an in-memory view of the study."""

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from models.candidate import Candidate, member_bytes
from models.methods import Scalar
from search.running.cost import Cost
from search.storage.records import Proposal, Quota, ScoredTrial
from search.storage.schema import quiet
from search.study.definition import StudyDefinition
from search.study.space import PRESET
from search.study.task_data import channels_bytes

# Trials that are sampled at random before TPE models the space. Optuna's default of 10 is less
# than two cohorts, and a cohort shares one architecture.
STARTUP_TRIALS = 32
# Memory that the unroll of one cohort may take; beyond it, fewer candidates train together.
COHORT_BYTES = 512 * 2**20
# A cohort may be expected to take this share of the time that is left, so that a short study sees
# many cheap structures instead of one dear one; so often another structure is asked for.
TIME_SHARE = 1 / 12
ATTEMPTS = 20


Load: TypeAlias = Callable[[Sequence[int]], Sequence[FrozenTrial]]


@dataclass(frozen=True, slots=True)
class Proposed(Proposal):
    """A proposal with the candidate that its parameters stand for."""

    candidate: Candidate = field(kw_only=True)


class Proposer:
    """Proposes cohorts: the sampler chooses an architecture, then strategies that go with it.

    The study's finished trials are mirrored in memory, where asking costs no transaction; of a
    large study a part of them. What is proposed stays running there until `forget`, so that the
    sampler (with its constant liar) does not propose the same again while it runs.
    """

    def __init__(self, definition: StudyDefinition, sampler_seed: int) -> None:
        self.search = definition.search
        self.space = definition.full_space()
        self.sampler_seed = sampler_seed
        self.sampler = _sampler(self.search.sampler, sampler_seed)
        self.mirror = _mirror(self.sampler)
        self.known: list[ScoredTrial] = []
        self.mirrored = self.thinned = 0
        self.asked: list[Trial] = []
        self.channels = self.space.channels
        self.channels_bytes = channels_bytes(definition.task, self.channels)
        self.cost = Cost(self.search, definition.task.train_steps, self.channels)

    def learn(self, scored: Sequence[ScoredTrial], load: Load) -> None:
        """Take newly finished trials into account, while nothing that was proposed runs.

        load: returns the trials of some ids; only those that the sampler is to see are asked for.
        """
        new = [trial for trial in scored if trial.state in ("complete", "pruned")]
        self.known += new
        ids = [trial.trial_id for trial in new]
        if self.mirrored + len(new) > LARGEST_VIEW:
            ids = self._thin()
        for trial in load(ids) if ids else ():
            self.mirror.add_trial(trial)
        self.mirrored += len(ids)

    def _thin(self) -> list[int]:
        """Begin an empty mirror; return the ids of the trials that belong into it."""
        self.thinned += 1
        seeds = np.random.SeedSequence([self.sampler_seed, self.thinned])
        # A sampler keeps what it knows of a study, so the new one has its own.
        self.sampler = _sampler(self.search.sampler, int(seeds.generate_state(1)[0]))
        self.mirror, self.mirrored = _mirror(self.sampler), 0
        return thinned(self.known, np.random.default_rng(seeds))

    def propose(
        self,
        at_most: int | None,
        seconds_left: float | None = None,
        preset: str | None = None,
    ) -> list[Proposed]:
        """Candidates of one cohort key, about `cohort_members` networks, at most so many trials.

        Of a study that may run only for so many seconds more, candidates are proposed that are
        expected to be affordable, or the cheapest of several. preset: whose candidates are wanted;
        None for any, where the study has presets.
        """
        affordable = math.inf if seconds_left is None else seconds_left * TIME_SHARE
        with self._fixing({} if preset is None else {PRESET: preset}):
            params, candidate = self._first(affordable)
        proposals = [self._proposal(params, candidate)]
        members = self._members(candidate)
        limit = self._most_members(candidate)
        fixed = {name: params[name] for name in self.space.cohort_names if name in params}
        with self._fixing(fixed):
            while members < limit and (at_most is None or len(proposals) < at_most):
                trial, params, candidate = self._ask()
                if self.cost.seconds([*(p.candidate for p in proposals), candidate]) > affordable:
                    self._refuse(trial)
                    break
                self.asked.append(trial)
                proposals.append(self._proposal(params, candidate))
                members += self._members(candidate)
        return proposals

    @contextmanager
    def _fixing(self, params: Mapping[str, Scalar]) -> Iterator[None]:
        """Let the sampler choose no other values for some parameters while the block runs."""
        if params:
            with warnings.catch_warnings():
                # Its interface may change; Optuna's version is pinned, and a test covers it.
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.mirror.sampler = PartialFixedSampler(dict(params), self.sampler)
        try:
            yield
        finally:
            self.mirror.sampler = self.sampler

    def _ask(self) -> tuple[Trial, dict[str, Scalar], Candidate]:
        trial = self.mirror.ask()
        params = self.space.suggest(trial)
        return trial, params, self.space.resolve(params)

    def _first(self, affordable: float) -> tuple[dict[str, Scalar], Candidate]:
        """The candidate whose structure the cohort takes: an affordable one, or the cheapest."""
        asked = [self._ask()]
        while self.cost.seconds([asked[-1][2]]) > affordable and len(asked) < ATTEMPTS:
            asked.append(self._ask())
        asked.sort(key=lambda ask: self.cost.seconds([ask[2]]))
        (trial, params, candidate), *others = asked
        for refused, _, _ in others:
            self._refuse(refused)
        self.asked.append(trial)
        return params, candidate

    def _refuse(self, trial: Trial) -> None:
        """Samplers learn nothing from failed trials."""
        self.mirror.tell(trial, state=TrialState.FAIL)

    def forget(self) -> None:
        """Take back what was proposed: it is finished by now, or will be run by someone else."""
        for trial in self.asked:
            self._refuse(trial)
        self.asked = []

    def _proposal(self, params: Mapping[str, Scalar], candidate: Candidate) -> Proposed:
        preset = params.get(PRESET)
        name = None if preset is None else str(preset)
        return Proposed(
            params=params,
            distributions=self.space.distributions(params),
            cohort_key=cohort_key(candidate, name),
            quota=name,
            candidate=candidate,
        )

    def cohort_size(self, candidates: Sequence[Candidate]) -> int:
        """How many of these candidates of one key, the first ones, make up a cohort."""
        members = 0
        for size, candidate in enumerate(candidates):
            if size and members >= self._most_members(candidate):
                return size
            members += self._members(candidate)
        return len(candidates)

    def _members(self, candidate: Candidate) -> int:
        return self.search.replicas * candidate.restarts

    def _most_members(self, candidate: Candidate) -> int:
        """About how many networks may train with a candidate, as the study and memory allow."""
        per_member = member_bytes(candidate, self.channels) + self.channels_bytes
        in_memory = max(1, COHORT_BYTES // per_member)
        return min(self.search.cohort_members, in_memory)


def cohort_key(candidate: Candidate, preset: str | None = None) -> str:
    """The cohort key as text, equal for candidates of one preset that can train together.

    Two presets could share a cohort, but then halving would have to look at each trial's own.
    """
    key = candidate.cohort_key()
    return json.dumps(key if preset is None else [preset, key])


def preset_of(key: str) -> str:
    """The preset in the cohort key of a study that has presets."""
    return str(json.loads(key)[0])


def next_preset(quotas: Mapping[str, Quota]) -> str | None:
    """The preset of whose quota the largest share is left, so that all of them get on together.

    None where nothing is left, or the study has no presets.
    """
    open_shares = {name: q.left / q.trials for name, q in quotas.items() if q.left}
    return max(open_shares, key=lambda name: open_shares[name], default=None)


def _mirror(sampler: BaseSampler) -> Study:
    """An empty study in memory."""
    # It is an implementation detail; Optuna would announce it on standard error.
    with quiet():
        return optuna.create_study(sampler=sampler)


def _sampler(name: str, seed: int) -> BaseSampler:
    if name == "random":
        return RandomSampler(seed=seed)
    return TPESampler(
        seed=seed,
        n_startup_trials=STARTUP_TRIALS,
        multivariate=True,
        constant_liar=True,
    )


# Above so many trials a view is thinned; it then grows until it is that large again.
LARGEST_VIEW = 1000
THINNED_VIEW = 500
BEST_TRIALS = 100


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
