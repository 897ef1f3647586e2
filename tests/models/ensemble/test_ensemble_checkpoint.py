"""An ensemble to JSON and to bytes, and back; what is damaged is refused."""

import json

import pytest
import torch

from models import checkpoint as single
from models.candidate import AnyForecaster, candidate_of, forecaster_of
from models.checkpoint import Checkpoint, CheckpointError
from models.ensemble import (
    Ensemble,
    EnsembleCheckpoint,
    any_from_plain,
    any_to_plain,
    load_any,
    save_any,
)

MEMBERS = (
    candidate_of({"cell": "ar", "ar_order": 5, "regularisation": "held-out"}),
    candidate_of({"cell": "seasonal-naive", "season_steps": 7}),
)


def checkpoint_of(number: int, members: int) -> Checkpoint:
    architecture = MEMBERS[number].architecture
    forecaster: AnyForecaster = forecaster_of(architecture, 2)
    weights = torch.rand(members, forecaster.layout().size, dtype=torch.float64)
    scaling = torch.ones(members, 2, dtype=torch.float64)
    return Checkpoint(architecture, 2, weights, 0 * scaling, scaling)


def ensemble_checkpoint(weights: tuple[float, ...] | None) -> EnsembleCheckpoint:
    return EnsembleCheckpoint((checkpoint_of(0, 3), checkpoint_of(1, 1)), weights)


@pytest.mark.parametrize("weights", [None, (0.25, 0.75)])
def test_a_candidate_comes_back_from_json(weights: tuple[float, ...] | None) -> None:
    ensemble = Ensemble(MEMBERS, ("trial 3", "seasonal-naive"), weights)
    plain = json.loads(json.dumps(any_to_plain(ensemble)))
    assert any_from_plain(plain) == ensemble
    assert any_from_plain(any_to_plain(MEMBERS[0])) == MEMBERS[0]


@pytest.mark.parametrize("weights", [None, (0.25, 0.75)])
def test_networks_come_back_from_bytes_bit_for_bit(weights: tuple[float, ...] | None) -> None:
    written = ensemble_checkpoint(weights)
    read = load_any(save_any(written))
    assert isinstance(read, EnsembleCheckpoint)
    assert (read.weights, read.shown_steps, read.channels) == (weights, 7, 2)
    for one, other in zip(written.members, read.members, strict=True):
        # Rows have gaps between parameters, in which nothing is kept.
        assert single.save(one) == single.save(other)
    assert save_any(read) == save_any(written)


def test_a_single_candidate_is_written_as_before() -> None:
    written = checkpoint_of(0, 2)
    assert save_any(written) == single.save(written)
    assert isinstance(load_any(single.save(written)), Checkpoint)


def test_an_ensemble_is_no_checkpoint_of_one_candidate() -> None:
    with pytest.raises(CheckpointError, match="newer"):
        single.load(save_any(ensemble_checkpoint(None)))


def test_a_changed_byte_is_noticed() -> None:
    content = bytearray(save_any(ensemble_checkpoint((0.25, 0.75))))
    content[-3] ^= 1
    with pytest.raises(CheckpointError):
        load_any(bytes(content))


@pytest.mark.parametrize("weights", [(0.5, 0.6), (1.5, -0.5), (1.0,)])
def test_weights_that_are_none_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="sum 1"):
        Ensemble(MEMBERS, ("a", "b"), weights)
    with pytest.raises(CheckpointError, match="sum 1"):
        load_any(save_any(ensemble_checkpoint(weights)))
