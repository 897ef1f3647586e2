"""When a setting is sampled: what holds of a sample, and what can hold of a space."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.methods import (
    Above,
    AllOf,
    AnyOf,
    Choices,
    Condition,
    Domain,
    FloatRange,
    Is,
    IsNot,
    Scalar,
    Selects,
)
from models.methods.condition import ALWAYS, Has, Lacks, among, names_in

LINEAR = Selects("cell", "is_linear")
GATED = Is("cell", ("gru", "lstm"))


@pytest.mark.parametrize(
    ("condition", "holding", "failing"),
    [
        (ALWAYS, ({}, {"cell": "rnn"}), ()),
        (GATED, ({"cell": "gru"}, {"cell": "lstm"}), ({"cell": "rnn"}, {})),
        (Is("offset", (True,)), ({"offset": True},), ({"offset": False}, {})),
        (IsNot("offset", (True,)), ({"offset": False}, {}), ({"offset": True},)),
        (Above("layers", 1), ({"layers": 2},), ({"layers": 1}, {"layers": "2"}, {})),
        (LINEAR, ({"cell": "lru"},), ({"cell": "gru"}, {"cell": "no such cell"}, {})),
        (
            AllOf(GATED, Above("layers", 1)),
            ({"cell": "gru", "layers": 2},),
            ({"cell": "gru", "layers": 1}, {"cell": "rnn", "layers": 2}, {"layers": 2}),
        ),
        (
            AnyOf(GATED, Above("layers", 1)),
            ({"cell": "gru"}, {"layers": 2}),
            ({"cell": "rnn", "layers": 1}, {}),
        ),
        (AnyOf(), (), ({}, {"cell": "gru"})),
    ],
    ids=str,
)
def test_a_condition_holds_of_a_sample(
    condition: Condition,
    holding: tuple[dict[str, Scalar], ...],
    failing: tuple[dict[str, Scalar], ...],
) -> None:
    assert all(condition.holds(params) for params in holding)
    assert not any(condition.holds(params) for params in failing)


@pytest.mark.parametrize(
    ("condition", "space", "can"),
    [
        (GATED, {"cell": Choices(("rnn", "gru"))}, True),
        (GATED, {"cell": Choices(("rnn",))}, False),
        (GATED, {}, False),
        (IsNot("cell", ("gru",)), {"cell": Choices(("gru",))}, True),
        (LINEAR, {"cell": Choices(("gru", "lru"))}, True),
        (LINEAR, {"cell": Choices(("gru",))}, False),
        (LINEAR, {}, False),
        (Above("std", 0.5), {"std": FloatRange(0.0, 1.0)}, True),
        (Above("std", 0.5), {"std": Choices((0.0, 0.5))}, False),
        (Above("std", 0.5), {}, False),
        (AllOf(GATED, Above("layers", 1)), {"cell": Choices(("gru",))}, False),
        (AnyOf(GATED, Above("layers", 1)), {"cell": Choices(("gru",))}, True),
        (ALWAYS, {}, True),
    ],
    ids=str,
)
def test_a_condition_can_hold_of_a_space(
    condition: Condition, space: dict[str, Domain], can: bool
) -> None:
    assert condition.can_hold(space) == can


CELLS, LAYERS = ("rnn", "gru", "lru", "ar"), (1, 2, 3)
SIMPLE: list[Condition] = [
    GATED,
    IsNot("cell", ("gru",)),
    LINEAR,
    Selects("cell", "is_trained"),
    Above("layers", 1),
    Is("layers", (3,)),
]
CONDITIONS = st.recursive(
    st.sampled_from(SIMPLE),
    lambda parts: st.builds(
        lambda kind, own: kind(*own), st.sampled_from([AllOf, AnyOf]), st.lists(parts, max_size=3)
    ),
    max_leaves=6,
)


@given(
    condition=CONDITIONS,
    cells=st.lists(st.sampled_from(CELLS), min_size=1, unique=True),
    layers=st.lists(st.sampled_from(LAYERS), min_size=1, unique=True),
)
def test_a_condition_that_holds_of_a_sample_can_hold_of_its_space(
    condition: Condition, cells: list[str], layers: list[int]
) -> None:
    space: dict[str, Domain] = {"cell": Choices(tuple(cells)), "layers": Choices(tuple(layers))}
    for cell in cells:
        for number in layers:
            if condition.holds({"cell": cell, "layers": number}):
                assert condition.can_hold(space)


def test_conditions_read_as_phrases() -> None:
    lru = Is("cell", ("lru",))
    assert str(lru) == 'cell is "lru"'
    assert str(IsNot("offset", (True,))) == "offset is not true"
    assert str(AllOf(GATED, Above("layers", 1))) == 'cell is "gru" or "lstm" and layers is above 1'
    assert str(AnyOf(lru, Above("noise_std", 0.5))) == 'cell is "lru" or noise_std is above 0.5'
    assert str(Selects("cell", "reads_whole_window")) == 'cell is "mlp"'


def test_effects_of_settings_are_asked_of_the_methods() -> None:
    """Values that make a network nonlinear are declared beside the settings, and listed nowhere."""
    has, lacks = Has("nonlinear"), Lacks("nonlinear")
    assert str(has) == 'head_layers is above 0 or layer_norm is true or read_in is "relu"'
    for params in ({"head_layers": 1}, {"layer_norm": True}, {"read_in": "relu"}):
        assert has.holds(params)
        assert not lacks.holds(params)
    assert lacks.holds({"head_layers": 0, "layer_norm": False, "read_in": "linear"})
    assert has.can_hold({"layer_norm": Choices((False, True))})
    assert not has.can_hold({"layer_norm": Choices((False,)), "head_layers": Choices((0,))})
    assert lacks.can_hold({"head_layers": Choices((0, 1))})
    assert not lacks.can_hold({"head_layers": Choices((1, 2))})
    assert str(among(lacks, frozenset({"head_layers"}))) == "head_layers is not above 0"


def test_the_names_of_a_condition_are_those_that_it_reads() -> None:
    assert names_in(ALWAYS) == frozenset()
    whole = AllOf(GATED, AnyOf(Above("layers", 1), IsNot("offset", (True,))), LINEAR)
    assert names_in(whole) == frozenset({"cell", "layers", "offset"})
    assert names_in(Has("nonlinear", frozenset({"head_layers"}))) == frozenset({"head_layers"})


def test_a_condition_of_a_plug_in_may_read_anything() -> None:
    class Odd:
        def holds(self, params: Mapping[str, Scalar]) -> bool:
            return len(params) % 2 == 1

        def can_hold(self, space: Mapping[str, Domain]) -> bool:
            return True

    assert names_in(AllOf(GATED, Odd())) is None
