"""Asking Optuna's sampler for a whole cohort at once, on an in-memory view of the study."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from models.candidate import Candidate, member_bytes
from models.closed_form.closed_form import FittedForm
from models.methods import Choices, Scalar, shown
from search.errors import UsageError
from search.running.cost import Cost
from search.running.families import Families
from search.running.sampler_view import STARTUP_FITTED, STARTUP_TRIALS, Load, SamplerView
from search.storage.records import Proposal, Quota, ScoredTrial
from search.study.definition import StudyDefinition
from search.study.space import PRESET
from search.study.task_data import channels_bytes

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

# Memory that the unroll of one cohort may take; beyond it, fewer candidates train together.
COHORT_BYTES = 512 * 2**20
# A step of a GPU takes about as long for a few networks as for hundreds: there, cohorts are larger.
DEVICE_MEMBERS, DEVICE_COHORT_BYTES = 512, 4 * 2**30
# A cohort may be expected to take this share of the time that is left, so that a short study sees
# many cheap structures instead of one dear one; so often another structure is asked for.
TIME_SHARE = 1 / 12
ATTEMPTS = 20
# Every so many cohorts of a family, the first candidate is drawn at random, whatever is known: a
# cohort shares one architecture, and a sampler that has seen few of them settles too early.
RANDOM_EVERY = 5
# And so often, the architecture is the best one's but for one or two choices. Cohorts of the best
# architecture fill what the sampler has seen of good ones, and it then offers no other.
VARIED_EVERY = 2
# Until a family's sampler models what it has seen, every second cohort begins near the values that
# are typical of its core, each of which is kept with this probability; the first has all of them.
TYPICAL_EVERY, TYPICAL_SHARE = 2, 0.75
# Candidates of one cohort that are fitted: company makes them no cheaper.
MOST_FITTED = 3


@dataclass(frozen=True, slots=True)
class Proposed(Proposal):
    """A proposal with the candidate that its parameters stand for."""

    candidate: Candidate = field(kw_only=True)


class Proposer:
    """Proposes cohorts: of a family the sampler chooses an architecture, then what goes with it.

    Each family has its own view of the study's finished trials, see `search.running.families`.
    device: a torch device to which the size of cohorts is fitted.
    """

    def __init__(self, definition: StudyDefinition, sampler_seed: int, device: str = "cpu") -> None:
        self.search = definition.search
        self.cohort_members, self.cohort_bytes = self.search.cohort_members, COHORT_BYTES
        if device != "cpu":
            self.cohort_members = max(self.cohort_members, DEVICE_MEMBERS)
            self.cohort_bytes = DEVICE_COHORT_BYTES
        self.space = definition.full_space()
        self.families = Families(self.space)
        seeds = np.random.SeedSequence(sampler_seed).generate_state(len(self.families.all))
        self.views = {
            name: SamplerView(
                self.search.sampler,
                int(seed),
                STARTUP_TRIALS if family.is_trained else STARTUP_FITTED,
            )
            for (name, family), seed in zip(self.families.all.items(), seeds, strict=True)
        }
        task, is_table = definition.task, not definition.series.is_generated
        has_one_cut = is_table and task.validation == "end"
        self.channels = self.space.channels + self.space.past
        self.channels_bytes = channels_bytes(task, self.channels)
        # A study of a version that knew no such columns has none.
        properties = definition.properties
        self.train_steps = task.train_steps
        self.known = 0 if properties is None else properties.known_columns
        self.cost = Cost(self.search, task.train_steps, self.channels, has_one_cut=has_one_cut)
        self.generator = np.random.default_rng(sampler_seed)
        self.tried: set[Candidate] = set()
        self.proposed: dict[str, int] = {}

    def learn(self, scored: Sequence[ScoredTrial], load: Load) -> None:
        """Take newly finished trials into account, while nothing that was proposed runs.

        load: returns the trials of some ids; only those that a sampler is to see are asked for.
        """
        self.families.learn(scored)
        by_family: dict[str, list[ScoredTrial]] = {}
        for trial in scored:
            name = self.families.of(trial)
            if name is not None:
                by_family.setdefault(name, []).append(trial)
        for name, own in by_family.items():
            self.views[name].learn(own, lambda ids: self._noted(load(ids)))

    def _noted(self, trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
        for trial in trials:
            try:
                self.tried.add(self.space.resolve(trial.params))
            except UsageError:  # of another program
                continue
        return trials

    def propose(
        self,
        at_most: int | None,
        seconds_left: float | None = None,
        family: str | None = None,
    ) -> list[Proposed]:
        """Candidates of one cohort key, about `cohort_members` networks, at most so many trials.

        Of a study that may run only for so many seconds more, candidates are proposed that are
        expected to be affordable, or the cheapest of several. family: whose candidates are wanted,
        for example a preset's; None for that whose turn it is.
        """
        affordable = math.inf if seconds_left is None else seconds_left * TIME_SHARE
        name = family or self.families.next(at_most, seconds_left)
        view, selector = self.views[name], self.families.selector
        own: dict[str, Scalar] = {} if selector is None else {selector: name}
        self.proposed[name] = self.proposed.get(name, 0) + 1
        at_random = self.proposed[name] % RANDOM_EVERY == 0
        is_model = self.search.sampler == "tpe" and not at_random
        is_varied = is_model and self.proposed[name] % VARIED_EVERY == 0
        near = self._varied(view.best_params()) if is_varied else {}
        is_new = view.shown < view.startup_trials and not at_random
        if is_new and not near and self.proposed[name] % TYPICAL_EVERY:
            near = self._typical(name)
        with view.fixing({**near, **own}, at_random=at_random):
            params, candidate = self._first(view, affordable)
        if candidate in self.tried:
            self.families.exhaust(name)
        proposals = [self._proposal(params, candidate)]
        candidates, members = [candidate], self._members(candidate)
        limit = self._most_members(candidate)
        fixed = {name: params[name] for name in self.space.cohort_names if name in params}
        with view.fixing({**own, **fixed}):
            while members < limit and (at_most is None or len(proposals) < at_most):
                trial, params, candidate = self._ask(view)
                is_dear = self.cost.seconds([*candidates, candidate]) > affordable
                if is_dear or candidate in self.tried or candidate in candidates:
                    view.refuse(trial)
                    break
                view.keep(trial)
                proposals.append(self._proposal(params, candidate))
                candidates.append(candidate)
                members += self._members(candidate)
        self.tried.update(candidates)
        return proposals

    def completed(self, asked: Mapping[str, object]) -> Proposed:
        """The trial that has what another program asked for; the sampler chooses the rest.

        What is asked for is left out where the rest makes it mean nothing. Raises UsageError where
        no trial of the space can have it.
        """
        given = self.space.check_asked(asked)
        selector = self.families.selector
        name = str(given.get(selector, "")) if selector is not None else ""
        if name not in self.families.all:
            name = self.families.next(None, None)
        view = self.views[name]
        own: dict[str, Scalar] = {} if selector is None else {selector: name}
        with view.fixing({**given, **own}):
            trial = view.ask()
            params = self.space.suggest(trial)
        view.keep(trial)
        fixed = self.space.fixed(params)
        for key, value in given.items():
            if fixed.get(key, value) != value:
                raise UsageError(
                    f"an enqueued trial's {key} must be {shown(fixed[key])}, which its preset "
                    f"fixes, but got {shown(value)}; leave it out, or enqueue another preset"
                )
        candidate = self.space.resolve(params)
        self.tried.add(candidate)
        return self._proposal(params, candidate)

    def _varied(self, best: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """What the best candidate's cohort shares, with one or two choices made anew."""
        varied = {name: best[name] for name in self.space.cohort_names if name in best}
        others = {
            name: [value for value in domain.values if value != varied[name]]
            for name, domain in self.space.domains.items()
            if name in varied
            and name != self.families.selector
            and isinstance(domain, Choices)
            and len(domain.values) > 1
        }
        if others:
            count = min(len(others), int(self.generator.integers(1, 3)))
            for name in self.generator.choice(list(others), count, replace=False).tolist():
                varied[name] = others[name][int(self.generator.integers(len(others[name])))]
        return varied

    def _typical(self, family: str) -> dict[str, Scalar]:
        """Some of the values that are typical of a family's core, as far as the space has them.

        All of them for the first cohort.
        """
        return {
            name: value
            for name, value in self.families.all[family].typical.items()
            if self.generator.random() < TYPICAL_SHARE or self.proposed[family] == 1
        }

    def _ask(self, view: SamplerView) -> tuple[Trial, dict[str, Scalar], Candidate]:
        trial = view.ask()
        params = self.space.suggest(trial)
        return trial, params, self.space.resolve(params)

    def _first(self, view: SamplerView, affordable: float) -> tuple[dict[str, Scalar], Candidate]:
        """The candidate whose structure the cohort takes: a new one that is affordable.

        Without any the cheapest of those that are new, or of all.
        """

        def rank(ask: tuple[Trial, dict[str, Scalar], Candidate]) -> tuple[bool, float]:
            seconds = self.cost.seconds([ask[2]])
            return ask[2] in self.tried, seconds if seconds > affordable else 0.0

        asked = [self._ask(view)]
        while rank(asked[-1]) > (False, 0.0) and len(asked) < ATTEMPTS:
            asked.append(self._ask(view))
        asked.sort(key=rank)
        (trial, params, candidate), *others = asked
        for refused, _, _ in others:
            view.refuse(refused)
        view.keep(trial)
        return params, candidate

    def charge(self, cohort_key: str, seconds: float) -> None:
        """Take in what a cohort took of this worker's time, all in."""
        name = self.families.of_key(cohort_key)
        if name is not None:
            self.families.charge(name, seconds)

    def forget(self) -> None:
        """Take back what was proposed: it is finished by now, or will be run by someone else."""
        for view in self.views.values():
            view.forget()

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
        own = member_bytes(candidate, self.channels, self.train_steps, self.known)
        per_member = own + self.channels_bytes
        in_memory = max(1, self.cohort_bytes // per_member)
        if isinstance(candidate, FittedForm):
            in_memory = min(in_memory, MOST_FITTED * self._members(candidate))
        return min(self.cohort_members, in_memory)


def cohort_key(candidate: Candidate, preset: str | None = None) -> str:
    """The cohort key as text, equal for candidates of one preset that can train together.

    Two presets could share a cohort, but then halving would have to look at each trial's own.
    """
    key = candidate.cohort_key()
    return json.dumps(key if preset is None else [preset, key])


@lru_cache(maxsize=4096)
def preset_of(key: str) -> str:
    """The preset in the cohort key of a study that has presets."""
    return str(json.loads(key)[0])


def next_preset(quotas: Mapping[str, Quota]) -> str | None:
    """The preset of whose quota the largest share is left, so that all of them get on together.

    None where nothing is left, or the study has no presets.
    """
    open_shares = {name: q.left / q.trials for name, q in quotas.items() if q.left}
    return max(open_shares, key=lambda name: open_shares[name], default=None)
