"""Declaring a method: what a class becomes, what is refused, sets of configured methods."""

from collections.abc import Iterator

import pytest

from models.candidate import candidate_of
from models.closed_form.forms.ar import AR
from models.methods import (
    Ablation,
    Choices,
    FloatRange,
    Is,
    Method,
    MethodSet,
    Names,
    Real,
    Scalar,
    SettingError,
    Stage,
    Whole,
    choice,
    flag,
    method_named,
    methods,
    setting,
)
from models.methods.registry import check_names, configure
from models.network.cells.cell import UnitCell
from models.network.cells.gru import GRU
from models.network.cells.rnn import RNN
from models.network.options.layer_norm import LayerNorm
from models.network.options.learning import Restarts
from models.training.losses.loss import Loss, loss_weight
from models.training.options.noise import Dropout, InputNoise, Noise
from models.training.options.optimiser import Optimiser
from search.plugins import PluginError
from search.study.space import parameters
from tests.models.methods.declaring import declared_here

NETWORK: dict[str, Scalar] = {
    "cell": "gru",
    "hidden_units": 4,
    "context": "state",
    "warm_up_steps": 8,
    "rollout_steps": 4,
    "learning_rate": 0.01,
    "clip_norm": 1.0,
    "training_steps": 3,
    "batch_size": 2,
}


@pytest.fixture(autouse=True)
def _declared_here() -> Iterator[None]:
    with declared_here():
        yield


class Trick(Method):
    """A kind of methods."""

    kind = "trick"
    stage = Stage.NOISE
    applies = Is("cell", ("gru",))


def test_a_class_becomes_a_frozen_configuration_of_its_settings() -> None:
    class Shake(Trick, name="shake", source="Nobody (2000)", rank=7):
        """Shaking: everything is moved
        a little.

        More about it.
        """

        strength: float = setting(
            Real(0, 2), FloatRange(0.1, 1.0), "How much.", name="shake_strength", neutral=0.0
        )
        is_gentle: bool = flag("Whether gently.", without=Ablation("roughly", name="gentleness"))
        way: str = choice(("up", "down"), "Which way.", stage=Stage.START)
        times: int = setting(Whole(1, 9), Choices((1, 2)), "How often.", shared=True)

    strength, is_gentle, way, times = Shake.settings
    assert [own.name for own in Shake.settings] == ["shake_strength", "is_gentle", "way", "times"]
    assert [own.field for own in Shake.settings] == ["strength", "is_gentle", "way", "times"]
    assert (strength.stage, way.stage) == (Stage.NOISE, Stage.START)
    assert (is_gentle.neutral, way.neutral, times.neutral) == (False, "up", None)
    assert (way.values, way.default) == (Names(("up", "down")), Choices(("up", "down")))
    assert (is_gentle.ablation, way.ablation) == (Ablation("roughly", name="gentleness"), None)
    assert (Shake.label, Shake.source, Shake.rank) == ("shake", "Nobody (2000)", 7)
    assert Shake.description() == "Shaking: everything is moved a little."
    assert Shake in methods()

    plain = Shake.of({"times": 3})
    assert plain == Shake(strength=0.0, is_gentle=False, way="up", times=3)
    assert hash(plain) == hash(Shake.of({"times": 3}))
    assert not plain.is_neutral()  # there is no neutral number of times
    assert MethodSet((Shake.of({"times": 1, "shake_strength": 1}),)).values() == {
        "shake_strength": 1.0,
        "is_gentle": False,
        "way": "up",
        "times": 1,
    }
    with pytest.raises(AttributeError):
        plain.strength = 1.0  # type: ignore[misc]


def test_a_missing_or_impossible_setting_is_refused_by_its_name() -> None:
    with pytest.raises(SettingError, match="learning_rate is missing, which AdamW needs"):
        Optimiser.of({"clip_norm": 1.0})
    with pytest.raises(SettingError, match=r"dropout must be from 0 to 0\.95, but got 2") as raised:
        Dropout.of({"dropout": 2.0})
    assert raised.value.key == "dropout"


def test_two_methods_of_one_kind_with_one_name_are_refused() -> None:
    class First(Trick, name="same"):
        """The first."""

    with pytest.raises(ValueError, match=r"a trick must have a name of its own.*choose another"):

        class Second(Trick, name="same"):
            """The second."""

    assert method_named("trick", "same") is First


def test_methods_of_two_kinds_may_have_one_name() -> None:
    class Rnn(Trick, name="rnn"):
        """A trick called as a cell is."""

    assert method_named("cell", "rnn") is RNN
    assert method_named("trick", "rnn") is Rnn


def test_cells_and_closed_forms_share_their_names() -> None:
    """A study chooses among both by one setting."""
    with pytest.raises(ValueError, match=r"has the name 'ar' of models\.closed_form\.forms"):

        class Another(UnitCell, name="ar"):
            """A cell called as a closed form is."""

    assert method_named("cell", "ar") is AR


@pytest.mark.parametrize(
    ("values", "default", "neutral"),
    [
        (Real(0, 2), Choices((0.0, 0.1, 0.2, 0.5)), 0.0),
        (Real(0, 0.95), Choices((0.0, 0.1)), 0.0),
        (Real(0, 0.95), Choices((0.0, 0.1, 0.2, 0.5)), 0.1),
    ],
    ids=["bounds", "default", "neutral"],
)
def test_a_setting_that_two_methods_declare_differently_is_refused(
    values: Real, default: Choices, neutral: float
) -> None:
    class Other(Trick, name="other"):
        """A trick with a setting of dropout."""

        rate: float = setting(values, default, "Another rate.", name="dropout", neutral=neutral)

    with pytest.raises(PluginError, match="'dropout' must be declared alike"):
        parameters()


def test_a_setting_that_two_methods_declare_alike_is_one_parameter() -> None:
    (rate,) = Dropout.settings

    class Other(Trick, name="other"):
        """A trick with a setting of dropout."""

        rate: float = setting(
            Real(0, 0.95),
            Choices((0.0, 0.1, 0.2, 0.5)),
            "The same rate.",
            name="dropout",
            neutral=0.0,
            searched=False,
        )

    (found,) = (parameter for parameter in parameters() if parameter.name == rate.name)
    assert found.owners == (Dropout, Other)


def test_methods_stand_by_rank_and_then_by_name() -> None:
    class Late(Trick, name="b", rank=-1):
        """Late."""

    class Early(Trick, name="a", rank=-1):
        """Early."""

    class Unranked(Trick, name="c"):
        """Last of all, but for others without a rank."""

    assert list(methods())[:2] == [Early, Late]
    ranks = [method.rank for method in methods()]
    assert ranks == sorted(ranks)
    assert list(methods())[-1] is Unranked


def test_a_set_of_methods_gives_the_configured_or_the_neutral_one() -> None:
    candidate = candidate_of({**NETWORK, "input_noise_std": 0.1})
    assert candidate[InputNoise] == InputNoise(std=0.1)
    assert candidate[Dropout] == Dropout(rate=0.0)
    assert candidate[Restarts].restarts == 1
    assert candidate.find(Dropout) is None
    assert candidate.find(Noise) == InputNoise(std=0.1)
    assert candidate.find(UnitCell) == GRU(hidden_units=4)
    assert not candidate[LayerNorm].layer_norm
    with pytest.raises(TypeError):  # no neutral one exists
        _ = MethodSet(())[GRU]


def test_sets_are_equal_by_their_methods_and_class() -> None:
    one, same, other = (candidate_of({**NETWORK, "hidden_units": units}) for units in (4, 4, 5))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one.architecture != MethodSet(one.architecture.methods)
    assert len({one, same, other}) == 2


def test_methods_that_do_not_apply_are_not_looked_at() -> None:
    more: dict[str, Scalar] = {"modes": -1, "window_steps": 0, "ridge": "much"}
    assert configure({**NETWORK, **more}) == configure(NETWORK)
    with pytest.raises(SettingError, match="dropout must be a number"):
        configure({**NETWORK, "dropout": "much"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cell": None}, "cell is missing"),
        ({"context": None}, "context is missing"),
        ({"hidden_units": None}, "hidden_units is missing, which GRU needs"),
        ({"rollout_steps": None}, "rollout_steps is missing"),
        ({"cell": "gruu"}, "Did you mean 'gru'"),
        ({"forcing": "gentle"}, "forcing must be"),
    ],
    ids=str,
)
def test_a_missing_setting_that_a_candidate_needs_is_refused(
    change: dict[str, Scalar | None], words: str
) -> None:
    with pytest.raises(SettingError, match=words):
        configure({**NETWORK, **change})


def test_neutral_methods_are_left_out_of_a_candidate() -> None:
    """Those that every candidate has, and those that are chosen by name, stay."""
    plain = configure({**NETWORK, "dropout": 0.0, "layer_norm": False, "forcing": "none"})
    assert plain == configure(NETWORK)
    names = [method.name for method in plain]
    assert {"gru", "size", "state", "state_rollout", "squared_error", "optimiser"} <= set(names)
    assert not {"dropout", "layer_norm", "residual", "input_noise"} & set(names)
    forced = configure({**NETWORK, "forcing": "generalised", "forcing_strength": 0.2})
    assert [m.name for m in forced if m not in plain] == ["generalised"]


def test_a_name_that_no_method_has_is_refused() -> None:
    check_names(NETWORK)
    with pytest.raises(SettingError, match=r"Did you mean 'dropout'\? Install the plug-in"):
        check_names(["cell", "drop_out"])

    class Gone(Loss, name="gone"):
        """A loss that another machine does not have."""

        weight: float = loss_weight("gone_weight", "The weight.")

    check_names(["gone_weight"])
