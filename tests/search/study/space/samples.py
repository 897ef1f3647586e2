"""Samples of a space in which everything is searched."""

from collections import Counter
from collections.abc import Mapping
from functools import cache

import optuna
from optuna.samplers import RandomSampler

from models.candidate import Candidate
from models.methods import Choices, Domain, Scalar
from models.methods.registry import selector_values, selectors
from search.study.space import Space, complete_space, parameters

optuna.logging.set_verbosity(optuna.logging.WARNING)

# What a study file names to search beyond the default space: all methods, all settings.
EVERYTHING: dict[str, Domain] = {p.name: p.default for p in parameters() if not p.searched}
# Longer than every default of a context and a rollout.
LONG = 100_000
# How many samples are drawn; those at most are never needed, unless a parameter can't be sampled.
LEAST, MOST = 400, 6000


def all_cells() -> tuple[str, ...]:
    """Every cell and closed form."""
    return selector_values(selectors()["cell"]).names


def sample(seed: int, domains: Mapping[str, Domain]) -> dict[str, Scalar]:
    """A random sample of a space, whose distributions are checked."""
    trial = optuna.create_study(sampler=RandomSampler(seed=seed)).ask()
    params = Space(domains).suggest(trial)
    assert params == trial.params
    assert trial.distributions == Space(domains).distributions(params)
    return params


@cache
def full_space(train_steps: int = LONG) -> dict[str, Domain]:
    """The space of a study file that asks for everything."""
    return complete_space({**EVERYTHING, "cell": Choices(all_cells())}, train_steps)


@cache
def samples() -> list[dict[str, Scalar]]:
    """Samples of the full space until every parameter was met a few times, and then some."""
    found: list[dict[str, Scalar]] = []
    met: Counter[str] = Counter()
    while len(found) < LEAST or (min(met[name] for name in full_space()) < 3 and len(found) < MOST):
        found.append(sample(len(found), full_space()))
        met.update(found[-1].keys())
    return found


def sample_with(**values: Scalar) -> dict[str, Scalar]:
    """A sample of the full space that has these values."""
    return dict(next(params for params in samples() if values.items() <= params.items()))


def other_values(name: str, params: Mapping[str, Scalar]) -> list[Scalar]:
    """Values that a parameter of a sample could have instead, with which the same others apply."""
    domain = full_space()[name]
    values = domain.values if isinstance(domain, Choices) else (domain.low, domain.high)
    return [
        value
        for value in values
        if value != params[name]
        and set(params) == {r.name for r in parameters() if r.when.holds({**params, name: value})}
    ]


def settings_of(candidate: Candidate) -> dict[str, Scalar | None]:
    """The value of every parameter; a candidate has a method that it lacks with neutral settings.

    None where the candidate has no such setting, and there is no neutral value.
    """
    values = candidate.values()
    return {p.name: values.get(p.name, p.neutral) for p in parameters()}
