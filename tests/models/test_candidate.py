"""Candidates as JSON, in words, and settings that contradict each other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.candidate import Candidate, from_plain, to_plain
from models.closed_form.closed_form import FittedForm
from models.training.trained_network import TrainedNetwork

DATA = Path(__file__).parents[1] / "data" / "0.1.0"
EXPORTS = sorted(DATA.glob("*/candidate.json"))
Make = Callable[..., TrainedNetwork]


def plain_of(export: Path) -> dict[str, Any]:
    """A candidate as version 0.1.0 wrote it."""
    plain: dict[str, Any] = json.loads(export.read_text())["candidate"]
    return plain


def test_json_round_trip(make_candidate: Callable[..., Candidate]) -> None:
    for candidate in (
        make_candidate(cell="lstm", residual=True, learning_rate=0.1),
        make_candidate(cell="ssa", regularisation="held-out", time_reversal=True, offset=False),
    ):
        again = from_plain(json.loads(json.dumps(to_plain(candidate))))
        assert again == candidate
        assert hash(again) == hash(candidate)
        assert repr(again) == repr(candidate)


def test_a_candidate_is_a_network_or_a_closed_form(
    make_candidate: Callable[..., Candidate],
) -> None:
    """Neither has a setting of the other."""
    network, form = make_candidate(), make_candidate(cell="ar", learning_rate=0.1, layers=2)
    assert isinstance(network, TrainedNetwork)
    assert isinstance(form, FittedForm)
    assert "ridge" not in network.values()
    assert form.values() == {
        "cell": "ar",
        "ar_order": 4,
        "segment_steps": 1,
        "context_level": "none",
        "regularisation": "given",
        "ridge": 0.0,
        "offset": True,
    }


@pytest.mark.parametrize("export", EXPORTS, ids=lambda path: path.parent.name)
def test_a_candidate_of_version_0_1_0_is_read_with_all_its_values(export: Path) -> None:
    plain = plain_of(export)
    candidate = from_plain(plain)
    old = {**plain["architecture"], **plain["strategy"], "restarts": plain["restarts"]}
    renamed = {"reservoir_units", "modes", "hidden_units", "warm_up_steps", "ar_order"}
    later = {"segment_steps": 1, "context_level": "none"}
    for name, value in candidate.values().items():
        if name not in renamed:
            assert (name, value) == (name, old.get(name, later.get(name)))
    assert candidate.architecture.context_steps == old["context_steps"]
    assert from_plain(to_plain(candidate)) == candidate


def test_exports_of_version_0_1_0_are_of_both_kinds() -> None:
    kinds = {type(from_plain(plain_of(export))) for export in EXPORTS}
    assert kinds == {TrainedNetwork, FittedForm}


def test_a_setting_that_no_method_has_is_refused(make_candidate: Make) -> None:
    plain = to_plain(make_candidate())
    plain["settings"]["momentum"] = 0.9
    with pytest.raises(ValueError, match="momentum is a setting of no method here"):
        from_plain(plain)
    old = plain_of(EXPORTS[0])
    old["strategy"]["drop_out"] = 0.5
    with pytest.raises(ValueError, match="Did you mean 'dropout'"):
        from_plain(old)


@pytest.mark.parametrize("part", ["architecture", "strategy", "restarts"])
def test_a_candidate_of_version_0_1_0_without_a_part_is_refused(part: str) -> None:
    plain = plain_of(EXPORTS[0])
    del plain[part]
    with pytest.raises(KeyError, match=part):
        from_plain(plain)


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "gru"},
        {"autonomous": False},
        {"head_layers": 1},
        {"residual": True},
        {"layer_norm": True},
        {"teacher_span": "rollout"},
        {"stateful": True},
        {"growth_penalty": True},
        {"dropout": 0.1},
        {"state_noise_std": 0.1},
        {"forcing": "sparse"},
        {"pushforward_steps": 1},
        {"data_as_demonstrator": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_only_a_linear_state_is_estimated(make_candidate: Make, change: dict[str, Any]) -> None:
    choice = {"cell": "lru", "context": "state", "autonomous": True}
    choice |= {"state_estimate": "least-squares"} | change
    with pytest.raises(ValueError, match="least-squares"):
        make_candidate(**choice)


def test_a_window_has_no_state_to_estimate_or_to_carry(make_candidate: Make) -> None:
    """These are settings of another context, and not looked at."""
    choice = {"autonomous": True, "state_estimate": "least-squares", "stateful": True}
    assert make_candidate(context="window", **choice) == make_candidate(context="window")


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"scaled_increments": True}, "scaled_increments needs residual"),
        (
            {"instance_norm": True, "context": "state", "stateful": True},
            "must not go with stateful",
        ),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_are_refused(
    make_candidate: Make, choice: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        make_candidate(**choice)


def test_a_window_mlp_has_a_window_whatever_context_is_named(make_candidate: Make) -> None:
    mlp = make_candidate(cell="mlp", context="state")
    assert mlp == make_candidate(cell="mlp", context="window")
    assert not mlp.architecture.has_state
    assert mlp.architecture.context_steps == 4


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            {"cell": "lru", "context": "state", "autonomous": True, "layers": 2, "units": 1},
            "lru, 2 x 1 complex mode, warm-up of 4, running on its state, one-step loss",
        ),
        (
            {"cell": "gru", "residual": True, "instance_norm": True, "rollout_steps": 8},
            "gru, 4 units, window of 4, instance norm, residual, free-running loss over 8 steps",
        ),
        ({"cell": "ssa", "ssa_rank": 3, "offset": True}, "ssa, window of 4, rank 3"),
    ],
    ids=lambda choice: choice["cell"] if isinstance(choice, dict) else None,
)
def test_a_candidate_is_described_in_a_few_words(
    make_candidate: Callable[..., Candidate], choice: dict[str, Any], words: str
) -> None:
    assert make_candidate(**choice).description() == words
