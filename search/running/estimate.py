"""About how long a study takes on this machine, from a few optimiser steps of random cohorts."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median
from time import perf_counter

from models.candidate import Candidate, member_bytes
from models.closed_form.closed_form import FittedForm
from models.training.trained_network import TrainedNetwork
from search.evaluation import Cohort
from search.running.cost import trained_share
from search.running.fleet import default_workers
from search.running.proposer import COHORT_BYTES, Proposer
from search.series import Table
from search.study.definition import StudyDefinition
from search.study.task_data import TaskData, View

COHORTS = 5
# How many cohorts of a preset tell what it costs in the mean; one of them is measured.
COHORTS_OF_PRESET = 20
# Steps of a cohort that are measured: short ones more often.
STEPS = 2
MOST_STEPS = 11
SHORT_SECONDS = 0.5
# An estimate is not worth more: what is left by then, and what is expected to take long or much
# memory by itself, counts as it is expected, without being measured.
MOST_SECONDS = 8.0
LONG_SECONDS = 2.0
LARGE_BYTES = COHORT_BYTES
# Candidates of one cohort that are looked at; the largest cohorts have thousands of them.
MOST_CANDIDATES = 64


@dataclass(frozen=True)
class Estimate:
    """Seconds of one core per trial, and minutes for the search with so many workers."""

    seconds_per_trial: float
    minutes: float
    workers: int


def estimate(definition: StudyDefinition, table: Table | None) -> Estimate:
    """Train a few steps of a few random cohorts, and scale up to the study.

    Of a study with presets they are one cohort of each, scaled to what its candidates cost in the
    mean, and counted as its quota says.
    """
    search = definition.search
    random = definition.model_copy(
        update={"search": search.model_copy(update={"sampler": "random"})}
    )
    proposer = Proposer(random, sampler_seed=definition.seed)
    data = TaskData(definition, table)
    began = perf_counter()
    views = [data.view("search", replica) for replica in range(search.replicas)]

    def proposed(family: str) -> list[Candidate]:
        proposals = proposer.propose(at_most=MOST_CANDIDATES, family=family)
        proposer.forget()
        return [proposal.candidate for proposal in proposals]

    def slowness(cohort: Sequence[Candidate]) -> float:
        """How many times longer than expected a cohort takes; 1 where measuring is too much."""
        first, expected_seconds = cohort[0], proposer.cost.seconds(cohort)
        steps = 1.0
        if isinstance(first, TrainedNetwork):  # what is fitted is never pruned
            steps = first.optimiser.training_steps * trained_share(search)
        size = len(cohort) * search.replicas * member_bytes(first, proposer.channels)
        is_long = expected_seconds / steps > LONG_SECONDS or size > LARGE_BYTES
        if is_long or time_is_up():
            return 1.0
        return _seconds_per_step(cohort, views, definition.seed) * steps / expected_seconds

    def time_is_up() -> bool:
        return perf_counter() - began > MOST_SECONDS

    def some(family: str, most: int) -> list[list[Candidate]]:
        """Cohorts of a family, at least one, while there is time."""
        cohorts = [proposed(family)]
        while len(cohorts) < most and not time_is_up():
            cohorts.append(proposed(family))
        return cohorts

    def expected(cohorts: Sequence[Sequence[Candidate]]) -> float:
        return sum(map(proposer.cost.seconds, cohorts)) / sum(map(len, cohorts))

    families = list(proposer.families.all)
    if definition.presets:
        quotas = {name: preset.trials for name, preset in definition.presets.items()}
        total = 0.0
        for name, trials in quotas.items():
            cohorts = some(name, COHORTS_OF_PRESET)
            total += trials * slowness(cohorts[0]) * expected(cohorts)
        per_trial = total / sum(quotas.values())
    else:
        # Of many families a few are measured, which tell how slow the others are.
        rounds = -(-COHORTS // len(families))
        by_family = [some(name, rounds) for name in families]
        every = -(-len(families) // COHORTS)
        slow = median(slowness(cohort) for own in by_family[::every] for cohort in own)
        per_trial = slow * mean(map(expected, by_family))
    workers = search.workers or default_workers()
    minutes = per_trial * search.trials / workers / 60
    if search.minutes is not None:
        minutes = min(minutes, search.minutes)
    return Estimate(per_trial, minutes, workers)


def _seconds_per_step(candidates: Sequence[Candidate], views: Sequence[View], seed: int) -> float:
    """The fastest of some steps, since others running here can only make one slower.

    A fit is one step, which is measured to its end.
    """
    cohort = Cohort(candidates, views, study_seed=seed, purpose="search", rung_fractions=())
    seconds: list[float] = []
    began = perf_counter()
    if isinstance(candidates[0], FittedForm):
        for _ in cohort:
            pass
        return perf_counter() - began
    for _ in cohort:
        now = perf_counter()
        seconds.append(now - began)
        # The first step also makes buffers, and does not count if there is another.
        measured = seconds[1:]
        if len(measured) >= STEPS and (
            len(measured) == MOST_STEPS or sum(measured) > SHORT_SECONDS
        ):
            break
        began = perf_counter()
    return min(seconds[1:] or seconds)
