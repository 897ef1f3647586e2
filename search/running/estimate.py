"""About how long a study takes on this machine, from a few optimiser steps of random cohorts."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median
from time import perf_counter

from models.candidate import Candidate
from models.closed_form.closed_form import FittedForm
from models.training.trained_network import TrainedNetwork
from search.evaluation import Cohort
from search.running.cost import trained_share
from search.running.fleet import default_workers
from search.running.proposer import Proposer
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
    views = [data.view("search", replica) for replica in range(search.replicas)]

    def seconds_per_trial(family: str, cohorts_of_family: int) -> float:
        cohorts = []
        for _ in range(cohorts_of_family):
            proposals = proposer.propose(at_most=None, family=family)
            proposer.forget()
            cohorts.append([proposal.candidate for proposal in proposals])
        per_step = _seconds_per_step(cohorts[0], views, definition.seed)
        first = cohorts[0][0]
        # What is fitted in closed form is never pruned.
        steps, share = 1, 1.0
        if isinstance(first, TrainedNetwork):
            steps, share = first.optimiser.training_steps, trained_share(search)
        measured = per_step * steps * share
        expected = [proposer.cost.seconds(cohort) for cohort in cohorts]
        return measured / expected[0] * sum(expected) / sum(map(len, cohorts))

    if definition.presets:
        quotas = {name: preset.trials for name, preset in definition.presets.items()}
        total = sum(n * seconds_per_trial(name, COHORTS_OF_PRESET) for name, n in quotas.items())
        per_trial = total / sum(quotas.values())
    else:
        families = list(proposer.families.all)
        rounds = -(-COHORTS // len(families))
        per_trial = mean(
            median(seconds_per_trial(name, 1) for _ in range(rounds)) for name in families
        )
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
