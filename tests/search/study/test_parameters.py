from dataclasses import MISSING, fields

from models.candidate import Architecture, Strategy
from models.methods import Above, AllOf, AnyOf, Condition, Is, IsNot
from models.methods import Choices
from search.study.space.reading import read_domain
from search.study.parameters import BY_NAME, PARAMETERS, SPANS


def names_in(condition: Condition | None) -> set[str]:
    match condition:
        case None:
            return set()
        case Is() | IsNot() | Above():
            return {condition.name}
        case AnyOf() | AllOf():
            return set().union(*(names_in(part) for part in condition.conditions))
    raise AssertionError(f"a condition that this test does not know: {condition}")


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(PARAMETERS)


def test_conditions_rest_on_parameters_that_are_sampled_before() -> None:
    before: set[str] = set()
    for row in PARAMETERS:
        assert names_in(row.when) <= before, row.name
        before.add(row.name)


def test_every_default_is_what_its_parameter_can_mean() -> None:
    for row in PARAMETERS:
        plain = row.default.to_plain()
        read = read_domain(row.name, plain, row.meaning)
        assert read == row.default
        assert repr(read.to_plain()) == repr(plain)  # a default of 1 for 1.0 would change hashes


def test_every_neutral_value_is_what_its_parameter_can_mean() -> None:
    for row in PARAMETERS:
        if row.neutral is not None:
            assert row.meaning.value(row.name, row.neutral) == row.neutral


def test_what_is_searched_only_when_named_has_a_neutral_value() -> None:
    assert all(row.neutral is not None for row in PARAMETERS if row.opt_in)


def test_a_neutral_value_is_the_fields_own_default() -> None:
    """Seeds leave out fields at their defaults: what is not sampled must not change them."""
    defaults = {
        field.name: field.default
        for part in (Architecture, Strategy)
        for field in fields(part)
        if field.default is not MISSING
    }
    assert {name: BY_NAME[name].neutral for name in defaults} == defaults


def test_a_cohorts_parameters_are_choices_so_that_cohorts_form() -> None:
    assert all(isinstance(row.default, Choices) for row in PARAMETERS if row.cohort)


def test_spans_are_parameters() -> None:
    assert {name for _, *names in SPANS for name in names} <= set(BY_NAME)


def test_conditions_read_as_phrases() -> None:
    lru = Is("cell", ("lru",))
    gated = Is("cell", ("gru", "lstm"))
    assert str(lru) == 'cell is "lru"'
    assert str(AllOf((gated, Above("layers", 1)))) == (
        'cell is "gru" or "lstm" and layers is above 1'
    )
    assert str(AnyOf((lru, Above("noise_std", 0.5)))) == 'cell is "lru" or noise_std is above 0.5'


def test_a_conditions_phrase_names_what_it_rests_on() -> None:
    for row in PARAMETERS:
        assert all(name in str(row.when) for name in names_in(row.when)), row.name
