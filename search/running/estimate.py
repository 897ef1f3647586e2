"""About how long a study takes on this machine: what candidates are expected to cost.

Nothing is trained for it. That would take torch, which takes seconds to import, and machine code,
which takes longer to compile where it is not on disk yet.
"""

from dataclasses import dataclass
from statistics import mean
from time import perf_counter

import numpy as np

from search.running.fleet import default_workers
from search.running.proposer import Proposer
from search.study.definition import StudyDefinition

# Of a family a few cohorts tell what it costs in the mean, as long as there is time.
COHORTS = 5
MOST_SECONDS = 0.5
# Candidates of one cohort that are looked at; the largest cohorts have thousands of them.
MOST_CANDIDATES = 16
# What `_probe_seconds` took on the machine on which the rates of `search.running.cost` were found.
PROBE_SECONDS = 5.7e-4
PROBES = 10


@dataclass(frozen=True)
class Estimate:
    """Seconds of one core per trial, and minutes for the search with so many workers."""

    seconds_per_trial: float
    minutes: float
    workers: int


def estimate(definition: StudyDefinition) -> Estimate:
    """What random cohorts are expected to cost, on a machine as fast as this one.

    The trials of a study with presets count as its quotas say, all others each family alike.
    """
    search = definition.search
    random = definition.model_copy(
        update={"search": search.model_copy(update={"sampler": "random"})}
    )
    proposer = Proposer(random, sampler_seed=definition.seed)
    families = list(proposer.families.all)
    quotas = {name: preset.trials for name, preset in definition.presets.items()}
    seconds: dict[str, list[float]] = {name: [] for name in families}
    began = perf_counter()
    for cohort in range(COHORTS):
        for name in families:
            # One of each family, whatever it takes.
            if cohort and perf_counter() - began > MOST_SECONDS:
                break
            proposals = proposer.propose(at_most=MOST_CANDIDATES, family=name)
            proposer.forget()
            candidates = [proposal.candidate for proposal in proposals]
            seconds[name].append(proposer.cost.seconds(candidates) / len(candidates))
    weights = [quotas.get(name, 1) for name in families]
    per_trial = np.average([mean(own) for own in seconds.values()], weights=weights)
    per_trial = float(per_trial) * machine_slowness()
    workers = search.workers or default_workers()
    minutes = per_trial * search.trials / workers / 60
    if search.minutes is not None:
        minutes = min(minutes, search.minutes)
    return Estimate(per_trial, minutes, workers)


def machine_slowness() -> float:
    """How many times as long as on the machine of the rates a core takes for small matrices."""
    return min(_probe_seconds() for _ in range(PROBES)) / PROBE_SECONDS


def _probe_seconds() -> float:
    """Products and tanh of the size of a small network, as often as takes half a millisecond."""
    weights = np.linspace(-1.0, 1.0, 32 * 32, dtype=np.float32).reshape(32, 32)
    values = weights
    began = perf_counter()
    for _ in range(100):
        values = np.tanh(weights @ values)
    return perf_counter() - began
