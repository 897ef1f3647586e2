"""About what a candidate costs to train, so that a study with little time left stays affordable."""

from itertools import pairwise
from statistics import median

from optuna.trial import FrozenTrial

from models.candidate import Candidate
from models.unrolled import segment_plan
from search.study.definition import Search
from search.study.space import Space

# Products per unit of state that each cell makes: a gate each, with its backward step.
GATES = {"rnn": 1, "gru": 3, "lstm": 4, "lru": 1}
# Elementwise work of a unit, a linear forecaster's work for a step of a segment, and what calling
# kernels costs a network per unrolled step or linear run, all in multiply-adds. They are rough:
# what they miss by is learned as seconds per unit of work.
ELEMENTWISE = 100
LINEAR_STEP = 50
UNROLLED_CALLS = 5_000
LINEAR_CALLS = 300_000
# Seconds per multiply-add on one core before anything was measured.
FIRST_RATE = 4e-9
# How many of the newest trials the rate is learned from.
RECENT = 50


class Cost:
    """Expected seconds of one core for a candidate of a study, from those that finished."""

    def __init__(self, search: Search, space: Space) -> None:
        self.search = search
        self.space = space
        self.rates: list[float] = []

    def learn(self, trial: FrozenTrial) -> None:
        """Compare what a finished trial took with its work up to its last rung."""
        seconds = trial.user_attrs.get("seconds")
        if seconds and trial.last_step is not None:
            share = self.search.rung_fractions[trial.last_step - 1]
            done = self._full_work(self.space.resolve(trial.params)) * share
            self.rates = [*self.rates[1 - RECENT :], seconds / done]

    def seconds(self, candidate: Candidate) -> float:
        """Expected seconds of a candidate within a cohort that is pruned as the study says."""
        rate = median(self.rates) if self.rates else FIRST_RATE
        fractions = self.search.rung_fractions
        # Each rung is reached by half of those that reached the one before.
        share = 1.0
        if self.search.pruner == "halving":
            spans = [after - before for before, after in pairwise((0.0, *fractions))]
            share = sum(span * 0.5**rung for rung, span in enumerate(spans))
        return rate * share * self._full_work(candidate)

    def _full_work(self, candidate: Candidate) -> float:
        # A restart less after each round of the race: more of them cost less than their number.
        networks = self.search.replicas * (1 + candidate.restarts) / 2
        return networks * candidate.strategy.training_steps * step_work(candidate)


def step_work(candidate: Candidate) -> float:
    """Multiply-adds of one optimiser step of one network, roughly."""
    architecture, strategy = candidate.architecture, candidate.strategy
    steps = architecture.context_steps + strategy.rollout_steps
    units = architecture.units * (2 if architecture.cell == "lru" else 1)
    if candidate.is_linear:
        return float(LINEAR_CALLS + LINEAR_STEP * steps * (strategy.batch_size + units))
    unrolled, batch = len(segment_plan(candidate)), strategy.batch_size * candidate.branches
    products = 3 * GATES[architecture.cell] * 2 * units + ELEMENTWISE
    layers = architecture.layers * products + architecture.head_layers * 3 * units
    return float(unrolled * (UNROLLED_CALLS + batch * units * layers))
