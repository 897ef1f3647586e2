"""What freerun 0.1.0 left: its database is upgraded and goes on, its exports are still good."""

import csv
import gzip
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from search.storage.opening import open_storage
from search.study.study_file import read_stored_definition
from tests.search.cli.conftest import STUDIES, Finished, freerun, refused

OLD = Path(__file__).parents[2] / "data" / "0.1.0"
TRIALS = {"old-sine": 8, "old-report": 11, "old-table": 6}
SPOTS = STUDIES / "sunspots.csv"
# Processors round differently, and training carries that on.
ROUNDING = 1e-4
FIRST_RESUMED = 8
# The cells of the space of old-sine.
OLD_CELLS = ("rnn", "gru", "lstm", "lru", "lem", "ssa", "esn")


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as freerun 0.1.0 left it: the database, the study files and a table."""
    folder = tmp_path_factory.mktemp("left")
    packed = (OLD / "studies.db.gz").read_bytes()
    (folder / "freerun.db").write_bytes(gzip.decompress(packed))
    for file in (*OLD.glob("*.toml"), SPOTS):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def upgraded(left: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after an upgrade, not to be changed."""
    folder = shutil.copytree(left, tmp_path_factory.mktemp("upgraded"), dirs_exist_ok=True)
    done(freerun(folder, "upgrade"))
    return folder


def done(ended: Finished) -> Finished:
    assert ended.code == 0, ended.err
    return ended


@pytest.mark.parametrize(
    "command", [["list"], ["status", "old-sine"], ["run", "old-sine"], ["run", "old-sine.toml"]]
)
def test_an_old_database_is_refused_with_the_remedy(left: Path, command: list[str]) -> None:
    refused(left, command, "has schema version 2", "`freerun upgrade`", "keeps everything")


def test_an_upgrade_says_what_it_does_once(left: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(left, tmp_path / "old")
    before = (folder / "freerun.db").read_bytes()
    planned = done(freerun(folder, "upgrade", "--dry-run", "--json")).json
    assert "Would upgrade sqlite:///" in done(freerun(folder, "upgrade", "--dry-run")).out
    assert (folder / "freerun.db").read_bytes() == before

    made = done(freerun(folder, "upgrade", "--json")).json
    assert {**made, "dry_run": True} == planned
    assert made["storage"].endswith("freerun.db")
    assert (made["from_version"], made["to_version"]) == (2, 2 + len(made["steps"]))
    assert made["dry_run"] is False
    again = done(freerun(folder, "upgrade", "--json")).json
    assert (again["from_version"], again["steps"]) == (made["to_version"], [])
    assert "is up to date" in done(freerun(folder, "upgrade")).out


def test_what_is_stored_is_shown(upgraded: Path) -> None:
    listed = done(freerun(upgraded, "list", "--json")).json["studies"]
    assert {s["study"]: sum(s["trials"].values()) for s in listed} == TRIALS
    status = done(freerun(upgraded, "status", "old-sine", "--json")).json
    assert status["best"]["trial"] == 7
    assert sum(status["verdicts"].values()) == TRIALS["old-sine"]
    assert status["final"] == {"done": 3}


def test_all_old_studies_are_reported(upgraded: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done(freerun(upgraded, "report", *TRIALS, "-o", page))
    text = page.read_text()
    assert all(name in text for name in TRIALS)


def test_an_old_study_goes_on_as_it_would_have(left: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(left, tmp_path / "old")
    done(freerun(folder, "upgrade"))
    # The file is still known to be that of the stored study; another limit is no other study.
    done(freerun(folder, "run", "old-sine.toml", "--trials", 12, "--workers", 0))
    assert done(freerun(folder, "work", "old-sine", "--json")).json["trials"]["failed"] == 0
    expected = json.loads((OLD / "resumed.json").read_text())
    with open_storage(f"sqlite:///{folder / 'freerun.db'}", create=False) as storage:
        study = storage.study("old-sine")
        trials = study.frozen_trials()
        space = read_stored_definition(study.definition).full_space()
    assert [trial.number for trial in trials] == [wanted["number"] for wanted in expected]
    for trial, wanted in zip(trials, expected, strict=True):
        if trial.number >= FIRST_RESUMED:
            # The sampler of this version proposes others, from the space that the study began with.
            candidate = space.resolve(trial.params)
            assert candidate.values()["cell"] in OLD_CELLS
            assert trial.state.name in ("COMPLETE", "PRUNED")
            assert all(map(math.isfinite, trial.intermediate_values.values()))
            continue
        assert list(trial.params) == list(wanted["params"])
        assert trial.params == wanted["params"]
        assert trial.state.name == wanted["state"]
        assert trial.value == wanted["value"]
        reports = {int(step): value for step, value in wanted["reports"].items()}
        assert trial.intermediate_values == reports


@pytest.mark.parametrize("name", TRIALS)
def test_an_old_study_file_is_still_that_of_its_study(
    upgraded: Path, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(upgraded, tmp_path / "copy")
    done(freerun(folder, "run", f"{name}.toml", "--workers", 0))
    changed = (folder / f"{name}.toml").read_text().replace("seed = ", "seed = 1")
    (folder / "changed.toml").write_text(changed)
    refused(folder, ["run", "changed.toml", "--workers", 0], "seed", "--fork")


@pytest.mark.parametrize("name", TRIALS)
def test_what_an_upgraded_study_exports_is_what_0_1_0_exported(
    upgraded: Path, tmp_path: Path, name: str
) -> None:
    old = OLD / name.replace("old-", "export-")
    done(freerun(upgraded, "export", name, "-o", tmp_path / "new"))
    weights = "weights.safetensors"
    assert (tmp_path / "new" / weights).read_bytes() == (old / weights).read_bytes()
    retrained = [retrain(old, tmp_path / "a"), retrain(tmp_path / "new", tmp_path / "b")]
    assert retrained[0]["claimed"] == retrained[1]["claimed"]
    for again in retrained:
        assert again["reproduced"] or again["differs"]
        assert again["obtained"] == pytest.approx(again["claimed"], rel=ROUNDING)


def test_a_trial_of_an_old_study_is_exported_and_reproduces(upgraded: Path, tmp_path: Path) -> None:
    done(freerun(upgraded, "export", "old-sine", "--trial", 2, "-o", tmp_path / "two"))
    again = retrain(tmp_path / "two", tmp_path / "again")
    assert again["claimed"] == json.loads((OLD / "resumed.json").read_text())[2]["value"]
    assert again["obtained"] == pytest.approx(again["claimed"], rel=ROUNDING)


def test_an_old_export_forecasts_what_it_did(tmp_path: Path) -> None:
    where = ("--series", SPOTS, "--horizon", 5, "-o", "forecast.csv")
    done(freerun(tmp_path, "forecast", OLD / "export-table", *where))
    new, old = rows(tmp_path / "forecast.csv"), rows(OLD / "forecast.csv")
    assert new.keys() == old.keys()
    assert new == pytest.approx(old, rel=ROUNDING)


def retrain(export: Path, output: Path) -> dict[str, Any]:
    return done(freerun(export.parent, "retrain", export, "-o", output, "--json")).json


def rows(file: Path) -> dict[str, float]:
    with file.open() as lines:
        return {row["year"]: float(row["sunspots"]) for row in csv.DictReader(lines)}
