"""How many values trials read: as each of them says, from a look at a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna

from search.analysis.contexts import Contexts
from search.analysis.trials import Trial, context_steps

if TYPE_CHECKING:
    from search.storage.studies import Storage
    from tests.search.conftest import Invent, Statements

SPACE = {"cell": ["rnn", "lru"], "context": ["state", "window"], "window_steps": [4, 8]}


def test_they_are_those_of_each_trial_by_itself(invent: Invent) -> None:
    study = invent(*[("complete", 0.1)] * 20, space=SPACE)
    trials = [Trial.of(frozen) for frozen in study.store.frozen_trials()]
    contexts = Contexts(study.store, study.definition.full_space())
    expected = {t.number: context_steps(study.definition.full_space(), t) for t in trials}
    assert len(set(expected.values())) > 2
    outlines = [trial.outline(contexts.names) for trial in trials]
    assert contexts.of(outlines[:5]) == {n: s for n, s in expected.items() if n < 5}
    assert contexts.of(outlines) == expected


def test_a_trial_of_another_program_has_none_and_hides_no_other(
    invent: Invent, storage: Storage
) -> None:
    study = invent(("complete", 0.1), space={**SPACE, "cell": "rnn", "context": "window"})
    plain = optuna.load_study(study_name="waves", storage=storage.optuna)
    known = study.store.trial(0)
    names = ("context", "window_steps")
    for params in ({}, {name: known.params[name] for name in ("cell", *names)}):
        distributions = {name: known.distributions[name] for name in params}
        plain.add_trial(
            optuna.trial.create_trial(value=0.5, params=params, distributions=distributions)
        )
    contexts = Contexts(study.store, study.definition.full_space())
    found = contexts.of(Trial.of(frozen) for frozen in study.store.frozen_trials())
    assert found[0] == known.params["window_steps"]
    assert found[1] is None


def test_what_is_known_is_not_looked_at_again(invent: Invent, statements: Statements) -> None:
    study = invent(*[("complete", 0.1)] * 20, space=SPACE)
    trials = [Trial.of(frozen) for frozen in study.store.frozen_trials()]
    contexts = Contexts(study.store, study.definition.full_space())
    contexts.of(trials)
    with statements() as seen:
        contexts.of(trials)
    assert not seen
