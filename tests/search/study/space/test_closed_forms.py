"""Spaces of closed forms: what fits into the training span, and what their candidates are."""

from typing import Any

import pytest
from search.study.fitted import UNTRAINED
from search.study.parameters import BY_NAME, CELLS, PARAMETERS

from models.candidate import FITTED_CELLS, Candidate
from models.methods import Choices, Domain, FloatRange, Scalar, SettingError
from search.errors import UsageError
from search.study.definition import StudyDefinition
from search.study.space import Space, complete_space, read_space

SHARED: dict[str, Scalar] = {"offset": False, "time_reversal": True, "regularisation": "held-out"}


def space_of(train_steps: int = 600, **raw: Any) -> dict[str, Domain]:
    return complete_space(read_space(raw), train_steps)


def resolved(**params: Scalar) -> Candidate:
    return Space(space_of(cell=list(CELLS))).resolve(SHARED | params)


def test_training_has_no_part_in_a_space_of_closed_forms() -> None:
    space = space_of(cell=list(FITTED_CELLS))
    assert set(space) == {row.name for row in PARAMETERS if row.fitted}
    assert not set(space) & set(UNTRAINED)
    assert set(space_of(cell="ssa")) == {
        *("cell", "offset", "time_reversal", "ssa_window", "regularisation", "ssa_rank")
    }


def test_closed_forms_are_no_part_of_the_default_space() -> None:
    space = space_of()
    assert space["cell"] == Choices(("rnn", "gru", "lstm", "lru"))
    assert not [name for name in space if BY_NAME[name].default == FloatRange(1e-14, 1.0, log=True)]


def test_candidates_have_their_own_names_of_size_and_context() -> None:
    reservoir = resolved(
        cell="esn",
        reservoir_units=200,
        warm_up_steps=100,
        residual=True,
        fan_in=7,
        spectral_radius=0.9,
        restarts=4,
    )
    architecture = reservoir.architecture
    assert (architecture.units, architecture.context_steps, architecture.fan_in) == (200, 100, 7)
    assert (architecture.residual, reservoir.restarts) == (True, 4)
    assert reservoir.strategy.spectral_radius == 0.9
    nvar = resolved(cell="nvar", nvar_delays=4, delay_stride=6, degree=2).architecture
    assert (nvar.units, nvar.context_steps, nvar.degree) == (4, 19, 2)
    order = resolved(cell="ar", ar_order=64)
    assert (order.architecture.context_steps, order.architecture.units) == (64, 1)
    assert (order.strategy.offset, order.strategy.time_reversal) == (False, True)
    assert order.strategy.regularisation == "held-out"
    subspace = resolved(cell="ssa", ssa_window=200, regularisation="given", ssa_rank=3)
    assert (subspace.architecture.context_steps, subspace.strategy.ssa_rank) == (200, 3)
    for candidate in (reservoir, order, subspace):
        assert candidate.architecture.is_fitted
        assert candidate.strategy.training_steps == candidate.strategy.rollout_steps == 1


def test_what_belongs_to_training_is_not_looked_at() -> None:
    plain = resolved(cell="ar", ar_order=64)
    assert plain == resolved(
        cell="ar", ar_order=64, context="window", learning_rate=0.1, batch_size=8, layers=2
    )


def test_what_a_closed_form_needs_must_be_there() -> None:
    with pytest.raises(UsageError, match="must have a value for ar_order"):
        resolved(cell="ar")
    with pytest.raises(UsageError, match="must have a value for nvar_delays"):
        resolved(cell="nvar")


def test_defaults_leave_half_of_the_training_span() -> None:
    space = space_of(100, cell=list(FITTED_CELLS), warm_up_steps=50)
    assert space["ar_order"] == Choices((16, 32))
    assert space["ssa_window"] == Choices((50,))
    assert space["delay_stride"] == Choices((1, 2, 4))
    for name in ("ar_order", "ssa_window"):
        assert space_of(cell=list(FITTED_CELLS))[name] == BY_NAME[name].default


@pytest.mark.parametrize(
    ("raw", "train_steps", "key", "words"),
    [
        ({"cell": "ar", "ar_order": [10, 31]}, 60, "ar_order", "at most 30,"),
        ({"cell": "ar"}, 20, "ar_order", "for example ar_order = [10]"),
        ({"cell": "ar", "ar_order": 1}, 2, "ar_order", "at most 0"),
        ({"cell": "ssa", "ssa_window": {"low": 10, "high": 40}}, 60, "ssa_window", "at most 30"),
        ({"cell": "esn", "warm_up_steps": 301}, 600, "warm_up_steps", "at most 300"),
        ({"cell": "nvar", "nvar_delays": 40, "delay_stride": 8}, 600, "delay_stride", "at most 7"),
        ({"cell": "nvar", "nvar_delays": 30, "degree": 3}, 600, "degree", "make 5456"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(
    raw: dict[str, Any], train_steps: int, key: str, words: str
) -> None:
    with pytest.raises(SettingError) as raised:
        complete_space(read_space(raw), train_steps)
    assert raised.value.key == key
    assert words in raised.value.rule


def test_as_many_features_as_can_be_factorised_are_accepted() -> None:
    assert space_of(cell="nvar", nvar_delays=20, degree=3)["degree"] == Choices((3,))


def test_what_only_training_has_is_named_in_vain() -> None:
    with pytest.raises(SettingError, match="no candidate of this space is like that"):
        space_of(cell="ar", dropout=0.1)


def test_a_study_of_closed_forms_may_have_any_number_of_rungs() -> None:
    raw = {
        "name": "x",
        "series": {"source": "sine"},
        "task": {"train_steps": 600, "horizon_steps": 400},
        "search": {"rungs": 10},
        "space": {"cell": ["ar", "ssa"]},
    }
    definition = StudyDefinition.model_validate(raw)
    again = StudyDefinition.model_validate_json(definition.model_dump_json())
    assert again == definition
