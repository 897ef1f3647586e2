"""Who wins on a table: a baseline, a trial or an ensemble; what is said of it, exported and run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.ensemble import Ensemble, any_from_plain
from search.analysis.study_results import outcomes
from search.contest import LEAST_LEVEL_SHARE, baseline_subject, is_ensemble, is_trial
from search.export import read_export
from search.storage.opening import open_storage
from tests.search.cli.conftest import Finished, freerun, refused

ANGLES = 2 * np.pi * np.arange(12) / 12
SEASON = 5 + 3 * np.sin(ANGLES) + 0.8 * np.cos(2 * ANGLES)
STUDY = """name = "who"
[series]
source = "table"
path = "who.csv"
time = "step"
columns = ["value"]
[task]
train_steps = 240
horizon_steps = 12
validation_steps = 100
start_points = 12
test_horizon_steps = 12
test_steps = 60
[search]
trials = 4
replicas = 2
rungs = 1
finalists = 3
final_replicas = 2
[space]
"""
# What continues Henon's map, as far as noise in its input allows.
HENON = """cell = "nvar"
nvar_delays = 2
delay_stride = 1
degree = 2
time_reversal = false
offset = true
residual = false
regularisation = "given"
ridge = [1e-9, 3e-9, 1e-8, 3e-8]
segment_steps = 1
seasonal_lag = 0
context_level = "none"
"""
# Networks that have hardly been trained.
POOR = """cell = "rnn"
hidden_units = 4
layers = 1
head_layers = 0
context = "state"
warm_up_steps = 8
rollout_steps = 4
training_steps = 2
batch_size = 2
"""


def values_of(winner: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """400 values on which a kind of candidate is the best."""
    generator, steps = np.random.default_rng(0), 400
    if winner == "baseline":
        return SEASON[np.arange(steps) % 12] + 0.05 * generator.normal(size=steps)
    if winner == "at a new level":
        noise = 0.5 * generator.normal(size=steps)
        return SEASON[np.arange(steps) % 12] + noise + 6.0 * (np.arange(steps) >= 310)
    # Henon's map, which two delays of degree 2 continue.
    values, before = [0.1], 0.1
    for _ in range(steps - 1):
        values.append(1 - 1.4 * values[-1] ** 2 + 0.3 * before)
        before = values[-2]
    if winner == "ensemble":
        # After half of 20 steps the map is lost, where the mean errs by half as much.
        return np.array(values) + 0.003 * generator.normal(size=steps)
    return np.array(values)


def done(ended: Finished) -> Finished:
    assert ended.code == 0, ended.err
    return ended


def run_study(folder: Path, winner: str, space: str, study: str = STUDY) -> dict[str, Any]:
    rows = [f"{step},{value:.12g}" for step, value in enumerate(values_of(winner))]
    (folder / "who.csv").write_text("step,value\n" + "\n".join(rows) + "\n")
    (folder / "who.toml").write_text(study + space)
    return done(freerun(folder, "run", "who.toml", "--workers", 1, "-o", "out", "--json")).json


def proved_and_run(folder: Path, export: str) -> list[float]:
    """Retrain an export to the same score, and forecast with it; return the forecast."""
    again = done(freerun(folder, "retrain", export, "-o", "again", "--json")).json
    assert again["reproduced"] is True
    forecast = [
        "forecast",
        "again",
        "--series",
        "who.csv",
        "--horizon",
        24,
        "-o",
        "f.csv",
        "--force",
    ]
    done(freerun(folder, *forecast))
    lines = (folder / "f.csv").read_text().splitlines()[1:]
    return [float(line.split(",")[1]) for line in lines]


def test_a_baseline_that_no_candidate_beats_wins_and_is_exported(tmp_path: Path) -> None:
    found = run_study(tmp_path, "baseline", POOR)
    assert found["winner"]["is_baseline"]
    assert found["winner"]["name"].startswith("the baseline ")
    assert found["final"]["trial"] is None
    least = min(own["final"] for own in found["baselines"].values())
    assert found["final"]["score"] < 0.1
    assert found["final"]["geometric_mean"] == pytest.approx(least, rel=0.5)
    manifest = json.loads((tmp_path / "out/export/manifest.json").read_text())
    assert manifest["subject"].startswith("baseline ")
    assert manifest["trial"] is None
    assert np.isfinite(proved_and_run(tmp_path, "out/export")).all()
    shown = done(freerun(tmp_path, "run", "who", "--workers", 1, "-o", "out")).out
    assert "no searched candidate beats it by more than the noise" in shown
    report = (tmp_path / "out/report.html").read_text()
    assert "so that it is what is exported" in report

    # Any baseline of the final can be exported.
    command = ["export", "who", "--baseline", "seasonal-naive", "-o", "naive"]
    done(freerun(tmp_path, *command))
    forecast = proved_and_run(tmp_path, "naive")
    assert forecast[:12] == pytest.approx(forecast[12:])
    last = values_of("baseline")[-12:]
    assert forecast[:12] == pytest.approx(last.tolist())
    refused(tmp_path, ["export", "who", "--baseline", "oracle", "-o", "x"], "oracle", "ridge-ar")
    both = ["export", "who", "--baseline", "ar", "--trial", 0, "-o", "x"]
    refused(tmp_path, both, "trial and baseline")


def test_a_trial_that_beats_every_baseline_wins(tmp_path: Path) -> None:
    found = run_study(tmp_path, "trial", HENON)
    winner = found["winner"]
    assert not winner["is_baseline"]
    assert winner["beats_baselines"]["final"] is True
    assert np.isfinite(proved_and_run(tmp_path, "out/export")).all()
    shown = done(freerun(tmp_path, "run", "who", "--workers", 1, "-o", "out")).out
    assert f"the winner, {winner['name']}, beats every baseline" in shown


def test_an_ensemble_that_is_better_than_each_of_its_members_wins(tmp_path: Path) -> None:
    study = STUDY.replace("horizon_steps = 12", "horizon_steps = 20")
    study = study.replace("start_points = 12", "start_points = 32")
    found = run_study(tmp_path, "ensemble", HENON, study)
    with open_storage(f"sqlite:///{tmp_path / 'freerun.db'}", create=False) as storage:
        done_finals = outcomes(storage.study("who").final_jobs(), "final")
    scores = {own.subject: own.found.deciding_score for own in done_finals}
    (ensemble,) = filter(is_ensemble, scores)
    trial = next(filter(is_trial, scores))
    assert min(scores, key=scores.__getitem__) == ensemble
    assert scores[ensemble] < 0.9 * min(scores[trial], scores["baseline mean"])

    winner = found["winner"]
    assert (winner["name"], winner["is_baseline"]) == ("the ensemble", False)
    assert winner["beats_baselines"]["final"] is True
    assert winner["best_baseline"]["final"] == "mean"
    assert found["final"]["trial"] is None
    assert found["final"]["score"] == scores[ensemble]
    manifest = json.loads((tmp_path / "out/export/manifest.json").read_text())
    assert (manifest["subject"], manifest["trial"]) == ("ensemble", None)
    candidate = read_export(tmp_path / "out/export").candidate
    assert isinstance(candidate, Ensemble)
    assert candidate.weights is not None
    by_name = dict(zip(candidate.names, candidate.weights, strict=True))
    # Members without the mean share what is left, each with at least half of an equal weight.
    assert sum(by_name.values()) == pytest.approx(1.0)
    assert by_name["mean"] > 1 / len(by_name)
    assert max(weight for name, weight in by_name.items() if name.startswith("trial ")) > 0.2
    forecast = proved_and_run(tmp_path, "out/export")
    assert len(forecast) == 24
    assert np.isfinite(forecast).all()
    # What is lost after a while is drawn to the mean: its swings become small beside the map's.
    assert 0 < np.std(forecast[12:]) < np.std(values_of("ensemble"))
    shown = done(freerun(tmp_path, "status", "who", "--json")).json
    assert shown["winner"]["name"] == "the ensemble"
    report = (tmp_path / "out/report.html").read_text()
    assert "The ensemble beats every baseline" in report


def test_at_a_new_level_what_goes_back_to_an_old_one_has_no_part(tmp_path: Path) -> None:
    plain = 'segment_steps = 1\nseasonal_lag = 0\npower_transform = "none"\nresidual = false\n'
    space = f'cell = "ar"\nar_order = [12, 24]\ncontext_level = ["none", "mean"]\n{plain}'
    found = run_study(tmp_path, "at a new level", space)
    with open_storage(f"sqlite:///{tmp_path / 'freerun.db'}", create=False) as storage:
        jobs = storage.study("who").final_jobs()
    finals = outcomes(jobs, "final")
    assert all(own.found.level_share is None for own in outcomes(jobs, "test"))
    shares = {own.subject: own.found.level_share for own in finals}
    assert shares[baseline_subject("mean")] == 0.0
    assert shares[baseline_subject("persistence")] == pytest.approx(1.0)
    (ensemble,) = (own for own in finals if is_ensemble(own.subject))
    assert ensemble.found.candidate is not None
    made = any_from_plain(ensemble.found.candidate)
    assert isinstance(made, Ensemble)
    # In a new database, ids are numbers of trials, counted from 1.
    ids = [int(name.removeprefix("trial ")) + 1 for name in made.names if "trial " in name]
    members = [*ids, *(baseline_subject(name) for name in made.names if "trial " not in name)]
    assert all((shares[member] or 0.0) >= LEAST_LEVEL_SHARE for member in members)
    winner = next(own for own in finals if own.found.score == found["final"]["score"])
    assert winner.found.level_share is None or winner.found.level_share >= LEAST_LEVEL_SHARE
    assert "a new one" in (tmp_path / "out/report.html").read_text()


def test_on_blocks_it_is_noted_what_goes_along_with_a_shift(tmp_path: Path) -> None:
    blocks = 'test_steps = 60\nvalidation = "blocks"\naveraging = "mean"\n'
    study = STUDY.replace("test_steps = 60\n", blocks)
    run_study(tmp_path, "baseline", POOR, study)
    with open_storage(f"sqlite:///{tmp_path / 'freerun.db'}", create=False) as storage:
        finals = outcomes(storage.study("who").final_jobs(), "final")
    records = {own.subject: own.found for own in finals if not is_ensemble(own.subject)}
    assert records[baseline_subject("mean")].level_share == 0.0
    assert records[baseline_subject("seasonal-naive")].level_share == pytest.approx(1.0)
    assert not any(record.level_is_new for record in records.values())
