"""How a space is completed: what is named, what follows, and what fits into the training span."""

from typing import Any

import pytest

from models.methods import Choices, FloatRange, IntRange, SettingError, largest
from models.methods.condition import TRAINED
from models.methods.series_properties import SeriesProperties
from models.network.options.context import Window
from models.network.options.segments import suited_segments
from models.training.trained_network import TrainedNetwork
from search.study.space import (
    Parameter,
    Space,
    check_complete,
    complete_space,
    parameter_named,
    parameters,
    read_space,
)
from tests.search.study.space.samples import EVERYTHING, LONG, all_cells, full_space, sample

DEFAULT = complete_space({}, LONG)
FULL = full_space()
PARAMETERS = parameters()


def named(name: str) -> Parameter:
    found = parameter_named(name)
    assert found is not None
    return found


def test_without_a_word_the_space_is_the_default_in_the_order_of_the_parameters() -> None:
    rows = [row for row in PARAMETERS if row.searched and row.when.can_hold(DEFAULT)]
    assert list(DEFAULT.items()) == [(row.name, row.default) for row in rows]
    assert "hidden_units" in DEFAULT


def test_the_default_space_has_the_networks_and_closed_forms_that_are_searched() -> None:
    cells = DEFAULT["cell"]
    assert isinstance(cells, Choices)
    assert cells.values == tuple(m.name for m in named("cell").owners if m.searched)
    assert {TRAINED.holds({"cell": cell}) for cell in cells.values} == {False, True}


def test_what_is_outside_of_the_default_space_is_searched_where_it_is_named() -> None:
    wanted = {**EVERYTHING, "cell": Choices(all_cells())}
    assert list(FULL.items()) == [
        (row.name, wanted.get(row.name, row.default)) for row in PARAMETERS
    ]
    dropout = read_space({"dropout": [0.3]})
    assert set(complete_space(dropout, LONG)) == {*DEFAULT, "dropout"}


@pytest.mark.parametrize(
    ("series", "choices"),
    [
        (SeriesProperties(600, (628.0,)), [1, 10, 20]),  # 1/16 of the period is too long
        (SeriesProperties(2000, (24.0, 168.0)), [1, 6, 12, 24]),
        (SeriesProperties(600), [1, 2, 4, 8, 16]),
        (SeriesProperties(60, (30.0,)), [1, 2]),
    ],
)
def test_choices_of_segments_follow_the_period(
    series: SeriesProperties, choices: list[int]
) -> None:
    assert suited_segments(series).to_plain() == choices


def test_a_symmetry_is_searched_where_the_series_may_have_it() -> None:
    may = complete_space({}, 600, SeriesProperties(600))
    assert may["time_reversal"] == Choices((False, True))
    not_reversible = SeriesProperties(600, is_reversible=False)
    assert complete_space({}, 600, not_reversible)["time_reversal"] == Choices((False,))
    named = complete_space({"time_reversal": Choices((True,))}, 600, not_reversible)
    assert named["time_reversal"] == Choices((True,))


def test_what_is_named_has_room_beside_the_instance_norm_of_a_new_level() -> None:
    series = SeriesProperties(600, has_new_level=True)
    assert complete_space({}, 600, series)["instance_norm"] == Choices((True,))
    for value, choices in ((True, (False, True)), (False, (True,))):
        space = complete_space(read_space({"stateful": [value]}), 600, series)
        assert space["instance_norm"] == Choices(choices)
    space = complete_space(read_space({"stateful": [True], "cell": "gru"}), 600, series)
    assert any(sample(seed, space).get("stateful") for seed in range(60))
    both = complete_space(read_space({"stateful": [True], "instance_norm": [True]}), 600, series)
    assert both["instance_norm"] == Choices((True,))


def test_segments_and_rollouts_that_can_not_fit_are_refused() -> None:
    with pytest.raises(SettingError, match="must be at most 50, so that a segment"):
        complete_space(
            read_space(
                {
                    "segment_steps": [20, 60],
                    "rollout_steps": 501,
                    "context": "state",
                    "warm_up_steps": 10,
                }
            ),
            600,
        )


@pytest.mark.parametrize("seed", range(60))
def test_samples_with_segments_fit_the_training_span(seed: int) -> None:
    wanted = {**EVERYTHING, "segment_steps": Choices((1, 7, 60)), "warm_up_steps": Choices((20,))}
    wanted["seasonal_lag"] = Choices((0, 3))
    series = SeriesProperties(400, periods=(12.0,), known_columns=1, past_columns=1)
    space = complete_space(wanted, 400, series)
    candidate = Space(space).resolve(sample(seed, space))
    assert candidate.least_steps <= 400


ONE_CHANNEL = ("decomposition", "harmonics", "nearest-neighbours", "seasonal-profile", "theta")


@pytest.mark.parametrize("cell", ["ar", "gru", "smoothing", *ONE_CHANNEL])
def test_columns_of_the_past_go_to_forms_that_read_channels_together(cell: str) -> None:
    series = SeriesProperties(4000, past_columns=1, periods=(24.0,))
    space = complete_space(read_space({"cell": cell}), 4000, series)
    assert ("past_columns" in space) == (cell in ("ar", "gru"))


def test_known_columns_are_inputs_by_default_unless_they_take_too_much_memory() -> None:
    def offered(known: int, channels: int = 1) -> bool:
        series = SeriesProperties(4000, channels=channels, known_columns=known, past_columns=1)
        return "known_inputs" in complete_space({}, 4000, series)

    assert offered(known=3)
    assert offered(known=3, channels=1000)
    assert not offered(known=3, channels=2000)
    assert not offered(known=0)
    forms = complete_space(
        read_space({"cell": "ar"}), 4000, SeriesProperties(4000, (), known_columns=1)
    )
    assert "known_inputs" not in forms


def test_networks_know_no_columns_that_series_have_for_themselves() -> None:
    series = SeriesProperties(4000, known_columns=2, known_by_series=True)
    space = complete_space({}, 4000, series)
    assert "known_inputs" not in space
    assert "known_columns" in space


def test_lags_of_known_columns_are_offered_unless_they_take_too_long() -> None:
    for known, is_offered in ((0, False), (50, True), (51, False)):
        space = complete_space({}, 4000, SeriesProperties(4000, known_columns=known))
        assert ("known_lags" in space) == is_offered


def test_hybrids_are_offered_for_what_may_have_noise_and_repeats() -> None:
    def offered(steps: int, *, is_noise_free: bool = False) -> bool:
        series = SeriesProperties(steps, periods=(24.0,), is_noise_free=is_noise_free)
        return "hybrid" in complete_space(read_space({"cell": "gru"}), steps, series)

    assert offered(4000)
    assert not offered(4000, is_noise_free=True)
    assert offered(3 * 24)
    assert not offered(3 * 24 - 1)


def test_what_reads_nothing_where_rows_are_forecast_has_no_known_inputs() -> None:
    wanted = {**EVERYTHING, "cell": Choices(("gru", "lru"))}
    # Of closed forms alone.
    wanted = {name: domain for name, domain in wanted.items() if name not in ("tied_channels",)}
    space = complete_space(wanted, LONG, SeriesProperties(LONG, known_columns=1, past_columns=1))
    found = [sample(seed, space) for seed in range(200)]
    for params in found:
        reads = params.get("state_estimate") != "least-squares"
        assert ("known_inputs" in params) == (reads and params.get("decoding") != "parallel")
    with_it = [params for params in found if params.get("known_inputs")]
    # A linear cell walks over time with them, and so may be forced.
    assert any(p["cell"] == "lru" and "forcing" in p for p in with_it)


LINEAR_CELL: dict[str, Any] = {"cell": "lru", "head_layers": 0}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"professor_weight": 0.5}, 'teacher_span is "rollout", but no'),
        ({"stateful": True, "context": "window"}, "rollout_steps is above 1"),
        ({"dropout": 0.1, "context": "state"} | LINEAR_CELL, "head_layers"),
        ({"sign_augmentation": True, "offset": False} | LINEAR_CELL, "or offset is true"),
        ({"forcing_midpoint": 0.2}, '"scheduled-linear"'),
        ({"average_fraction": 0.2}, 'weight_average is "exponential"'),
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_is_named_in_vain_is_refused(raw: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match="name what it rests on") as raised:
        complete_space(read_space(raw), 600)
    assert raised.value.key == next(iter(raw))
    assert raised.value.rule.startswith("is sampled where ")
    assert words in raised.value.rule


def test_a_cells_own_settings_come_with_the_cell() -> None:
    for cell in named("cell").owners:
        own = {setting.name for setting in cell.settings if named(setting.name).owners == (cell,)}
        others = [name for name in all_cells() if name != cell.name]
        assert own <= set(complete_space(read_space({"cell": cell.name}), 600)), cell.name
        assert not own & set(complete_space(read_space({"cell": others}), 600)), cell.name
    assert "lem_step" in complete_space(read_space({"cell": ["gru", "lem"]}), 600)


def test_a_window_mlp_has_no_other_context() -> None:
    space = complete_space(read_space({"cell": "mlp"}), 600)
    assert not {"context", "warm_up_steps", "rollout_steps", "autonomous"} & set(space)
    candidate = Space(space).resolve(sample(0, space))
    assert isinstance(candidate, TrainedNetwork)
    window = candidate.find(Window)
    assert window is not None
    assert candidate.architecture.context_steps == window.steps
    assert not candidate.architecture.has_state
    assert space["window_steps"].contains(window.steps)


def test_what_is_named_replaces_its_default() -> None:
    raw = read_space({"cell": "gru", "learning_rate": {"low": 0.001, "high": 0.01}})
    space = complete_space(raw, 600)
    assert space["cell"] == Choices(("gru",))
    assert space["learning_rate"] == FloatRange(0.001, 0.01)
    assert space["layers"] == named("layers").default


def test_parameters_that_no_candidate_could_have_are_left_out() -> None:
    raw = {"cell": ["gru"], "modes": [4], "context": "state", "rollout_steps": 1}
    space = complete_space(read_space(raw), 600)
    left_out = set(DEFAULT) - set(space)
    assert left_out == {
        row.name for row in PARAMETERS if row.name in DEFAULT and not row.when.can_hold(space)
    }
    assert left_out >= {
        *("modes", "window_steps", "window_rollout_steps"),
        *("teacher_weight", "curriculum_fraction", "feedback_noise_std"),
    }
    assert set().union(*(sample(seed, space) for seed in range(20))) == set(space)


def defaults_up_to(name: str, steps: int) -> Choices:
    default = named(name).default
    assert isinstance(default, Choices)
    return Choices(tuple(v for v in default.values if isinstance(v, int) and v <= steps))


@pytest.mark.parametrize("train_steps", [100, 300, 598, 600])
def test_defaults_that_do_not_fit_the_training_span_are_dropped(train_steps: int) -> None:
    space = complete_space({}, train_steps)
    assert space["warm_up_steps"] == defaults_up_to("warm_up_steps", train_steps // 2)
    left = train_steps - int(largest(space["warm_up_steps"]))
    assert space["rollout_steps"] == defaults_up_to("rollout_steps", left)


def test_what_is_named_takes_its_part_of_the_training_span() -> None:
    space = complete_space(read_space({"warm_up_steps": [20]}), 300)
    assert space["warm_up_steps"] == Choices((20,))
    assert space["rollout_steps"] == defaults_up_to("rollout_steps", 280)
    space = complete_space(read_space({"rollout_steps": [250]}), 300)
    assert space["warm_up_steps"] == defaults_up_to("warm_up_steps", 50)
    assert space["rollout_steps"] == Choices((250,))
    space = complete_space(read_space({"warm_up_steps": 44, "rollout_steps": 256}), 300)
    assert space["warm_up_steps"] == Choices((44,))
    assert space["rollout_steps"] == Choices((256,))


@pytest.mark.parametrize(
    ("raw", "train_steps", "key", "words"),
    [
        ({"warm_up_steps": 600}, 600, "warm_up_steps", "leave room for rollout_steps"),
        ({"rollout_steps": {"low": 1, "high": 700}}, 600, "rollout_steps", "reaches 700"),
        ({"rollout_steps": 600}, 600, "rollout_steps", "leave room for warm_up_steps"),
        (
            {"warm_up_steps": 400, "rollout_steps": [1, 201]},
            600,
            "warm_up_steps",
            "together must be at most train_steps = 600, but reach 400 + 201 = 601",
        ),
        ({"window_steps": 598, "window_rollout_steps": 4}, 600, "window_steps", "598 + 4"),
    ],
)
def test_a_context_and_rollout_that_can_not_fit_are_refused(
    raw: dict[str, Any], train_steps: int, key: str, words: str
) -> None:
    with pytest.raises(SettingError) as raised:
        complete_space(read_space(raw), train_steps)
    assert raised.value.key == key
    assert words in raised.value.rule


@pytest.mark.parametrize(
    ("raw", "train_steps", "warm_ups"),
    [({}, 60, (30,)), ({"rollout_steps": 590}, 600, (10,)), ({"cell": "esn"}, 60, (30,))],
)
def test_where_every_default_is_too_long_the_longest_that_fits_is_taken(
    raw: dict[str, Any], train_steps: int, warm_ups: tuple[int, ...]
) -> None:
    space = complete_space(read_space(raw), train_steps)
    assert space["warm_up_steps"] == Choices(warm_ups)


def test_a_context_that_is_not_searched_need_not_fit() -> None:
    raw = {"context": "window", "warm_up_steps": 5000}
    assert "warm_up_steps" not in complete_space(read_space(raw), 60)


def test_an_unknown_parameter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingError, match="Did you mean 'hidden_units'"):
        read_space({"hidden_unit": [8]})


def test_a_stored_space_must_have_what_every_candidate_needs() -> None:
    check_complete(FULL)
    for row in PARAMETERS:
        rest = {name: domain for name, domain in FULL.items() if name != row.name}
        if row.neutral is not None:
            check_complete(rest)
            continue
        with pytest.raises(SettingError, match="is missing") as raised:
            check_complete(rest)
        assert raised.value.key == row.name


def test_a_range_is_searched_where_the_study_file_gives_one() -> None:
    space = complete_space(read_space({"hidden_units": {"low": 8, "high": 64, "step": 8}}), 600)
    assert space["hidden_units"] == IntRange(8, 64, step=8)
    for seed in range(20):
        units = sample(seed, space).get("hidden_units", 8)
        assert isinstance(units, int)
        assert units % 8 == 0
