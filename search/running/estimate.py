"""About how long a study takes on this machine, from a few optimiser steps of random cohorts."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

from search.evaluation import Cohort
from search.running.fleet import default_workers
from search.running.proposer import Proposer
from search.series import Table
from search.study.definition import StudyDefinition
from search.study.space import Space
from search.study.task_data import TaskData

COHORTS = 5
STEPS = 2
# Successive halving with rungs at 1/8, 1/4, 1/2 and 1 spends 5/16 of the full training.
HALVING_SHARE = {1: 1.0, 2: 0.75, 3: 0.5}


@dataclass(frozen=True)
class Estimate:
    """Seconds of one core per trial, and minutes for the search with so many workers."""

    seconds_per_trial: float
    minutes: float
    workers: int


def estimate(definition: StudyDefinition, table: Table | None) -> Estimate:
    """Train a few steps of a few random cohorts, and scale up to the study."""
    search = definition.search
    random = definition.model_copy(
        update={"search": search.model_copy(update={"sampler": "random"})}
    )
    proposer, space = Proposer(random, sampler_seed=definition.seed), Space(definition.space)
    data = TaskData(definition, table)
    views = [data.view("search", replica) for replica in range(search.replicas)]
    seconds = []
    for _ in range(COHORTS):
        candidates = [space.resolve(p.params) for p in proposer.propose(at_most=None)]
        cohort = Cohort(
            candidates, views, study_seed=definition.seed, purpose="search", rung_fractions=()
        )
        steps = iter(cohort)
        next(steps)  # the first step also makes buffers
        began = perf_counter()
        for _ in range(STEPS):
            next(steps)
        per_step = (perf_counter() - began) / STEPS
        seconds.append(per_step * candidates[0].strategy.training_steps / len(candidates))
        proposer.forget()
    share = HALVING_SHARE.get(search.rungs, 5 / 16) if search.pruner == "halving" else 1.0
    per_trial = median(seconds) * share
    workers = search.workers or default_workers()
    minutes = per_trial * search.trials / workers / 60
    if search.minutes is not None:
        minutes = min(minutes, search.minutes)
    return Estimate(per_trial, minutes, workers)
