"""Typed results: read back as they were written, and as version 0.1.0 wrote them."""

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.diagnostics.errors import Errors
from search.contest import ranked
from search.records import (
    MOST_OF_TRIAL,
    BaselineRecord,
    CandidateRecord,
    ChannelRun,
    Example,
    FinalRecord,
    Origin,
    TrialRecord,
)

ORIGIN = Origin(worker=3, host="here", machine={"torch": "2.13.0", "device": "cpu"})


def candidate(*scores: float, losses: tuple[float, ...] = (0.5, 0.25)) -> CandidateRecord:
    values = np.linspace(0.0, 1.0, 5)
    return CandidateRecord(
        replica_scores=scores,
        scored_against="signal",
        verdict="tracks",
        verdicts=("flat", "tracks"),
        valid_prediction_steps=12.5,
        errors_at={1: 0.1, 16: 1 / 3},
        curve=values,
        training_losses=losses,
        restarts=(0, 1),
        parameters=99,
        seconds=1.23456,
        example=Example(1, 60, values, values, values),
    )


def final(*scores: float) -> FinalRecord:
    baseline = BaselineRecord(draw_scores=(0.1, 0.4), curve=np.ones(5), forecast=np.zeros(5))
    return FinalRecord(**dict(candidate(*scores)), baselines={"ridge-ar": baseline})


def test_a_final_comes_back_bit_for_bit() -> None:
    written = final(0.1, 1 / 3).model_copy(update=ORIGIN.model_dump())
    read = FinalRecord.from_json(written.to_json())
    assert read.replica_scores == (0.1, 1 / 3)
    assert read.errors_at == {1: 0.1, 16: 1 / 3}
    assert (read.worker, read.host, read.machine) == (3, "here", ORIGIN.machine)
    np.testing.assert_array_equal(read.curve, written.curve)
    np.testing.assert_array_equal(read.example.forecast, written.example.forecast)
    assert read.baselines["ridge-ar"].score == 0.25
    assert read.to_json() == written.to_json()


def test_the_final_chooses_by_the_score_of_its_rule() -> None:
    """Of medians it takes the geometric mean; where replicas have cuts, the score itself."""
    steady, varied = (0.3, 0.3, 0.3), (0.001, 0.4, 0.9)
    assert ranked({1: candidate(*steady), 2: candidate(*varied)}) == [2, 1]
    means = [candidate(*own).model_copy(update={"averaging": "mean"}) for own in (steady, varied)]
    assert ranked({1: means[0], 2: means[1]}) == [1, 2]
    assert means[1].score == pytest.approx(1.301 / 3)
    assert FinalRecord(**dict(means[1])).averaging == "mean"
    assert CandidateRecord.from_json(means[1].to_json()).score == means[1].score


def test_a_final_has_the_keys_of_version_0_1_0_and_those_of_comparisons() -> None:
    signed = final(0.2, 0.4).model_copy(update=ORIGIN.model_dump())
    plain: dict[str, Any] = json.loads(signed.to_json())
    assert plain.keys() == {
        *("score", "scored_against", "replica_scores", "mean_score", "geometric_mean"),
        *("verdict", "verdicts", "valid_prediction_steps", "errors_at", "curve"),
        *("training_losses", "restarts", "parameters", "seconds", "example", "baselines"),
        *("worker", "host", "machine"),
        *("unit_errors", "candidate"),
    }
    assert (plain["score"], plain["mean_score"]) == (pytest.approx(0.3), pytest.approx(0.3))
    assert plain["geometric_mean"] == pytest.approx(math.sqrt(0.08))
    assert plain["baselines"]["ridge-ar"].keys() == {
        *("score", "mean_score", "draw_scores", "curve", "forecast"),
    }


def test_what_was_not_asked_of_a_level_is_not_written() -> None:
    asked = final(0.2, 0.4).model_copy(update={"level_share": 0.25})
    assert FinalRecord.from_json(asked.to_json()).level_share == 0.25
    assert FinalRecord.from_json(final(0.2, 0.4).to_json()).level_share is None


def test_errors_come_back_and_may_be_missing() -> None:
    errors = Errors(mae=1.5, rmse=2.0, mase=None)
    written = final(0.1, 0.2).model_copy(update={"errors": errors})
    assert json.loads(written.to_json())["errors"] == {"mae": 1.5, "rmse": 2.0, "mase": None}
    assert FinalRecord.from_json(written.to_json()).errors == errors
    assert FinalRecord.from_json(final(0.1, 0.2).to_json()).errors is None
    trial = TrialRecord.of(written, ORIGIN, networks=1, limit=None)
    attributes = json.loads(json.dumps(trial.to_attributes()))
    assert TrialRecord.from_attributes(attributes).errors == errors


def test_a_score_that_is_no_number_is_no_result() -> None:
    with pytest.raises(ValidationError):
        candidate(math.nan, 0.1)
    record = candidate(0.1, 0.2, losses=(math.inf, 0.5))
    assert CandidateRecord.from_json(record.to_json()).training_losses == (None, 0.5)


def test_a_trial_comes_back_from_its_attributes() -> None:
    written = TrialRecord.of(candidate(0.1, 1 / 3), ORIGIN, networks=32, limit=0.01)
    attributes = json.loads(json.dumps(written.to_attributes()))
    assert list(attributes) == [
        *("verdict", "shown_verdict", "score", "scored_against", "replica_scores"),
        *("valid_prediction_steps", "training_loss", "parameters", "seconds", "limit"),
        *("cohort_networks", "error_at_1", "error_at_16", "worker", "host", "machine"),
    ]
    assert (attributes["shown_verdict"], attributes["error_at_16"]) == ("tracks", 1 / 3)
    assert (attributes["training_loss"], attributes["seconds"]) == (0.375, 1.235)
    assert TrialRecord.from_attributes(attributes) == written


def test_a_trial_keeps_what_it_has() -> None:
    failed = TrialRecord(**ORIGIN.model_dump())
    assert failed.to_attributes() == ORIGIN.model_dump()
    stored = {**failed.to_attributes(), "message": "it broke", "artifacts_left_out": 12}
    assert TrialRecord.from_attributes(stored).message == "it broke"
    diverged = TrialRecord.of(candidate(9.0, 9.0, losses=(math.nan, 0.1)), ORIGIN, 8, None)
    assert "limit" not in diverged.to_attributes()
    assert TrialRecord.from_attributes(diverged.to_attributes()).training_loss == math.inf


@pytest.mark.parametrize(
    "attributes", [{}, {"colour": "blue"}, {"score": "great"}, {"error_at_last": 3}]
)
def test_attributes_of_another_program_are_no_results(attributes: dict[str, object]) -> None:
    assert TrialRecord.from_attributes(attributes) == TrialRecord()


def test_reading_records_needs_no_torch() -> None:
    code = "import sys, search.records; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_records_of_one_channel_are_written_as_before_and_those_of_several_come_back() -> None:
    one = candidate(0.1, 0.2)
    assert "channel" not in one.to_json()
    assert "others" not in one.to_json()
    values = np.arange(5.0)
    example = Example(
        1, 60, values, values, values, ("a", "b", "c"), (ChannelRun("b", values, values, -values),)
    )
    several = one.model_copy(
        update={"example": example, "channel_scores": {"a": 0.1, "b": 0.2, "c": 1 / 3}}
    )
    read = CandidateRecord.from_json(several.to_json())
    assert read.channel_scores == several.channel_scores
    assert read.example.channels == ("a", "b", "c")
    assert [run.name for run in read.example.shown_channels] == ["a", "b"]
    np.testing.assert_array_equal(read.example.others[0].forecast, -values)
    of_trial = TrialRecord.of(read, ORIGIN, networks=2, limit=None)
    assert TrialRecord.from_attributes(of_trial.to_attributes()) == of_trial
    assert of_trial.channel_scores == several.channel_scores
    assert "channel_scores" not in TrialRecord.of(one, ORIGIN, 2, None).to_attributes()


def test_a_trial_of_very_many_channels_keeps_no_scores_of_each() -> None:
    scores = {str(number): 0.5 for number in range(MOST_OF_TRIAL + 1)}
    many = candidate(0.5).model_copy(update={"channel_scores": scores})
    assert TrialRecord.of(many, ORIGIN, networks=2, limit=None).channel_scores == {}
