"""What the parameters of a space are, as it follows from the settings and selectors of methods."""

from models.methods import Choices, Condition, Is, IsNot, methods
from models.methods.condition import Above, AllOf, AnyOf, Has, Selects
from models.methods.registry import selector_values, selectors
from search.study.space import Parameter, parameter_named, parameters, read_domain

PARAMETERS = parameters()
NAMES = [parameter.name for parameter in PARAMETERS]
OF_CANDIDATES = [m for m in methods() if m.is_of_candidates and m.is_searchable]


def named(name: str) -> Parameter:
    found = parameter_named(name)
    assert found is not None
    return found


def names_in(condition: Condition) -> set[str]:
    match condition:
        case Is() | IsNot() | Above():
            return {condition.name}
        case Selects():
            return {condition.selector}
        case AnyOf() | AllOf() | Has():
            return set().union(*(names_in(part) for part in condition.conditions))
    raise AssertionError(f"a condition that this test does not know: {condition}")


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(named(name).name == name for name in NAMES)
    assert parameter_named("wings") is None


def test_they_are_the_settings_and_selectors_of_all_methods_of_candidates() -> None:
    settings = {own.name for method in OF_CANDIDATES for own in method.settings}
    assert set(NAMES) == settings | selectors().keys()
    for parameter in PARAMETERS:
        for owner in parameter.owners:
            own_names = {own.name for own in owner.settings}
            assert parameter.name in own_names or parameter.name in selectors()
    assert not [p for p in PARAMETERS for owner in p.owners if not owner.is_of_candidates]


def test_a_selector_names_the_methods_of_its_kind() -> None:
    for name, selector in selectors().items():
        parameter = named(name)
        chosen = [m.name for m in OF_CANDIDATES if m.selector and m.selector.name == name]
        assert parameter.values == selector_values(selector)
        assert [owner.name for owner in parameter.owners] == chosen
        assert parameter.neutral == selector.none


def test_the_default_of_a_selector_has_the_methods_that_are_searched() -> None:
    """Of one that a study file has to name, the default has everything."""
    for name, selector in selectors().items():
        default = named(name).default
        assert isinstance(default, Choices)
        if selector.searched:
            expected = tuple(m.name for m in named(name).owners if m.searched)
        else:
            expected = selector_values(selector).names
        assert default.values == expected
        assert default.values


def test_conditions_rest_on_parameters_that_are_sampled_before() -> None:
    before: set[str] = set()
    for parameter in PARAMETERS:
        assert names_in(parameter.when) <= before, parameter.name
        before.add(parameter.name)


def test_a_conditions_phrase_names_what_it_rests_on() -> None:
    for parameter in PARAMETERS:
        for name in names_in(parameter.when):
            assert name in str(parameter.when), parameter.name


def test_every_default_is_among_the_values_of_its_parameter() -> None:
    for parameter in PARAMETERS:
        plain = parameter.default.to_plain()
        read = read_domain(parameter.name, plain, parameter.values)
        assert read == parameter.default
        assert repr(read.to_plain()) == repr(plain)  # a default of 1 for 1.0 would change hashes


def test_every_neutral_value_is_among_the_values_of_its_parameter() -> None:
    for parameter in PARAMETERS:
        if parameter.neutral is not None:
            kept = parameter.values.check(parameter.name, parameter.neutral)
            assert (kept, type(kept)) == (parameter.neutral, type(parameter.neutral))


def test_what_is_searched_only_when_named_has_a_neutral_value() -> None:
    assert all(p.neutral is not None for p in PARAMETERS if not p.searched)


def test_a_neutral_value_is_the_fields_own_default() -> None:
    """Seeds leave out neutral settings: what is not sampled must not change them."""
    for method in OF_CANDIDATES:
        needed = {own.name: named(own.name) for own in method.settings}
        given = {n: p.default for n, p in needed.items() if p.neutral is None}
        values = {n: d.values[0] if isinstance(d, Choices) else d.low for n, d in given.items()}
        configured = method.of(values)
        for own in method.settings:
            if own.neutral is not None:
                assert getattr(configured, own.field) == needed[own.name].neutral == own.neutral


def test_the_parameters_of_a_cohort_are_choices_so_that_cohorts_form() -> None:
    assert all(isinstance(p.default, Choices) for p in PARAMETERS if p.shared)


def test_a_condition_that_several_methods_share_holds_for_each_of_them() -> None:
    warm_up = named("warm_up_steps")
    assert {owner.name for owner in warm_up.owners} == {"state", "esn"}
    assert warm_up.when.holds({"cell": "esn"})
    assert warm_up.when.holds({"cell": "gru", "context": "state"})
    assert not warm_up.when.holds({"cell": "gru", "context": "window"})
    assert not warm_up.when.holds({"cell": "ar"})


def test_every_parameter_has_a_sentence_for_people() -> None:
    assert all(parameter.description.endswith(".") for parameter in PARAMETERS)
