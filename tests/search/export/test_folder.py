from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import optuna
import pytest
import torch
from optuna.samplers import RandomSampler

from models.candidate import candidate_of
from models.checkpoint import Checkpoint, load
from models.ensemble import Ensemble
from search.analysis.study_results import winner_of
from search.errors import ExportError, UnknownTrialError, UsageError
from search.evaluation import initialisation_seed
from search.export import Export, read_export, write_export
from search.export.content import Beside
from search.export.of_study import export_of, export_study
from search.study.definition import StudyDefinition
from search.study.space import Space

if TYPE_CHECKING:
    from tests.search.conftest import Invent
    from tests.search.invented import Invented

JSON_FILES = ("manifest.json", "candidate.json", "study.json")
ALL_FILES = (*JSON_FILES, "README.md", "weights.safetensors", "data")
# In exports of studies, which have run their networks over held-out rows.
HELD_OUT = "held-out.safetensors"


def test_the_winner_is_exported_with_what_proves_its_score(
    finished: Invented, tmp_path: Path
) -> None:
    export_study(finished.store, tmp_path / "out")
    export = read_export(tmp_path / "out")
    assert (export.study, export.trial) == ("waves", 4)
    assert export.candidate == finished.candidate(4)
    assert export.params == finished.store.trial(4).params
    assert export.definition == finished.definition
    assert export.study_seed == 3
    assert export.claim is not None
    assert (export.claim.purpose, export.claim.replicas) == ("final", 3)
    assert export.claim.score == np.median(export.claim.replica_scores)
    assert (export.claim.scored_against, export.claim.horizon_steps) == ("signal", 40)
    assert export.test is not None
    assert (export.test.purpose, export.test.replicas) == ("test", 4)
    assert export.test.horizon_steps == 80
    assert export.versions["torch"] == torch.__version__
    assert export.machine["cpu_capability"] == torch.backends.cpu.get_cpu_capability()


def test_scores_and_candidate_come_back_bit_for_bit(finished: Invented, tmp_path: Path) -> None:
    written = export_study(finished.store, tmp_path / "out")
    read = read_export(tmp_path / "out")
    assert written.claim == read.claim
    assert written.candidate == read.candidate


def test_an_export_knows_the_best_baseline_beside_it(finished_table: Invented) -> None:
    winner = winner_of(finished_table.store)
    assert winner is not None
    assert winner.test is not None
    beside = export_of(finished_table.store).beside
    for own, outcome in zip(beside, (winner.final, winner.test), strict=True):
        baselines = outcome.found.baselines
        assert (own.purpose, own.own) == (outcome.purpose, outcome.found.score)
        assert own.best == baselines[own.baseline].score == min(b.score for b in baselines.values())


def test_a_readme_says_first_where_a_baseline_is_better(
    sine_export: Export, tmp_path: Path
) -> None:
    beside = (Beside("final", 0.2, "ridge-ar", 0.1), Beside("test", 0.2, "ssa", 0.3))
    write_export(replace(sine_export, beside=beside), tmp_path / "out")
    assert read_export(tmp_path / "out").beside == beside
    title, _, first, _, rest = (tmp_path / "out" / "README.md").read_text().split("\n", 4)
    assert title == "# Trial 7 of the study waves"
    assert first.startswith("**A baseline is better in validation: ")
    assert first.endswith(" has NMSE 0.1, this 0.2.**")
    assert "- No baseline is better in the test: the best, SSA, has NMSE 0.3, this 0.2." in rest
    write_export(sine_export, tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "No baseline was scored beside it" in readme
    assert "proves the score" in readme
    assert "bit for bit" in readme


def test_any_candidate_comes_back_with_the_same_seed(sine_export: Export, tmp_path: Path) -> None:
    raw = sine_export.definition.model_dump(exclude={"plugins"}) | {"space": {"warm_up_steps": 50}}
    definition = StudyDefinition.model_validate(raw)
    sampling = optuna.create_study(sampler=RandomSampler(seed=5))
    for _ in range(20):
        params = Space(definition.space).suggest(sampling.ask())
        candidate = definition.full_space().resolve(params)
        export = replace(sine_export, candidate=candidate, params=params, weights=None)
        write_export(export, tmp_path / "out")
        read = read_export(tmp_path / "out").candidate
        assert not isinstance(read, Ensemble)
        assert initialisation_seed(1, "final", read, 0, 0) == initialisation_seed(
            1, "final", candidate, 0, 0
        )


def test_a_generated_series_exports_the_networks_of_the_final(
    finished: Invented, tmp_path: Path
) -> None:
    export = export_study(finished.store, tmp_path / "out")
    assert (export.weights_purpose, export.table) == ("final", None)
    assert isinstance(export.checkpoint, Checkpoint)
    assert len(export.checkpoint.weights) == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        {*ALL_FILES, HELD_OUT} - {"data"}
    )


def test_a_table_exports_its_rows_and_the_networks_of_the_test(
    finished_table: Invented, tmp_path: Path
) -> None:
    export_study(finished_table.store, tmp_path / "out")
    export = read_export(tmp_path / "out")
    assert export.weights_purpose == "test"
    assert export.table is not None
    assert export.table.times[0] == "1900"
    assert export.table.to_bytes() == finished_table.store.data()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*ALL_FILES, HELD_OUT}


def test_without_a_test_a_table_exports_the_networks_of_the_final(
    untested_table: Invented, tmp_path: Path
) -> None:
    assert export_study(untested_table.store, tmp_path / "out").weights_purpose == "final"


def test_a_trial_by_its_number_claims_its_score_in_the_search(
    finished: Invented, tmp_path: Path
) -> None:
    export_study(finished.store, tmp_path / "out", trial=0)
    export = read_export(tmp_path / "out")
    assert export.trial == 0
    assert export.claim is not None
    assert (export.claim.purpose, export.claim.replicas) == ("search", 2)
    assert export.claim.score == finished.scores[0]
    assert export.weights is None
    assert export.checkpoint is None
    assert export.test is None
    assert "freerun retrain" in (tmp_path / "out" / "README.md").read_text()


def test_a_finalist_by_its_number_brings_its_networks(finished: Invented, tmp_path: Path) -> None:
    export = export_study(finished.store, tmp_path / "out", trial=2)
    assert export.claim is not None
    assert export.claim.purpose == "search"
    assert export.weights_purpose == "final"
    assert export.weights is not None
    assert len(load(export.weights).weights) == 3


def test_without_a_winner_there_is_nothing_to_export(invent: Invent, tmp_path: Path) -> None:
    study = invent(("complete", 0.3), ("pruned", 0.9))
    with pytest.raises(UsageError, match=r"final is not done.*freerun run waves.*a trial can"):
        export_study(study.store, tmp_path / "out")
    with pytest.raises(UsageError, match=r"trial 1 .* is pruned"):
        export_study(study.store, tmp_path / "out", trial=1)
    with pytest.raises(UnknownTrialError, match="no trial 7"):
        export_study(study.store, tmp_path / "out", trial=7)
    assert not (tmp_path / "out").exists()


def test_an_older_export_and_an_empty_folder_are_replaced(
    finished: Invented, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    export_study(finished.store, tmp_path / "out")
    export_study(finished.store, tmp_path / "out", trial=0)
    assert read_export(tmp_path / "out").trial == 0
    assert not (tmp_path / "out" / "weights.safetensors").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_folders_are_made_where_they_are_missing(finished: Invented, tmp_path: Path) -> None:
    export_study(finished.store, tmp_path / "results" / "waves" / "export")
    assert read_export(tmp_path / "results" / "waves" / "export").trial == 4


@pytest.mark.parametrize("with_export", [False, True])
def test_other_files_are_never_replaced(
    finished: Invented, tmp_path: Path, with_export: bool
) -> None:
    out = tmp_path / "out"
    if with_export:
        export_study(finished.store, out)
    out.mkdir(exist_ok=True)
    (out / "thesis.tex").write_text("precious")
    before = sorted(path.name for path in out.iterdir())
    with pytest.raises(ExportError, match=r"thesis\.tex"):
        export_study(finished.store, out, trial=0)
    assert sorted(path.name for path in out.iterdir()) == before
    with pytest.raises(ExportError, match="is a file"):
        export_study(finished.store, out / "thesis.tex")


def test_a_folder_that_cannot_be_written_is_named(finished: Invented, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"can't be written"):
        export_study(finished.store, tmp_path / "file" / "out")


def test_a_missing_folder_and_another_folder_are_no_exports(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="does not exist"):
        read_export(tmp_path / "nowhere")
    with pytest.raises(ExportError, match=r"manifest\.json is missing"):
        read_export(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(ExportError, match="not one that freerun wrote"):
        read_export(tmp_path)
    with pytest.raises(ExportError, match="is a file"):
        read_export(tmp_path / "manifest.json")


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_missing_file_is_named(table_export: Export, tmp_path: Path, name: str) -> None:
    write_export(table_export, tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(ExportError, match=f"{name} is missing"):
        read_export(tmp_path / "out")


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_damaged_file_is_refused(table_export: Export, tmp_path: Path, name: str) -> None:
    write_export(table_export, tmp_path / "out")
    path = tmp_path / "out" / name
    content = path.read_bytes()
    middle = len(content) // 2
    for damaged in (
        b"",
        content[:middle],
        content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
    ):
        path.write_bytes(damaged)
        with pytest.raises(ExportError, match=name):
            read_export(tmp_path / "out")
    path.write_bytes(content)
    read_export(tmp_path / "out")


def test_a_changed_claim_is_noticed(table_export: Export, tmp_path: Path) -> None:
    write_export(table_export, tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"score": 0.2', '"score": 0.02'))
    with pytest.raises(ExportError, match="not as it was exported"):
        read_export(tmp_path / "out")


def test_a_newer_format_is_refused_with_the_remedy(table_export: Export, tmp_path: Path) -> None:
    write_export(table_export, tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    newer = json.loads(manifest.read_text()) | {"format": 5, "colour": "blue"}
    manifest.write_text(json.dumps(newer))
    with pytest.raises(ExportError, match=r"format 5.*update freerun"):
        read_export(tmp_path / "out")


def test_networks_of_another_candidate_are_refused(table_export: Export, tmp_path: Path) -> None:
    trained = table_export.candidate
    assert not isinstance(trained, Ensemble)
    candidate = candidate_of(trained.values() | {"layers": 3})
    write_export(replace(table_export, candidate=candidate), tmp_path / "out")
    with pytest.raises(ExportError, match="must be of"):
        read_export(tmp_path / "out")


def test_an_export_of_networks_trained_on_all_rows_claims_nothing(
    table_export: Export, tmp_path: Path
) -> None:
    beside = (Beside("final", 0.2, "ssa", 0.1),)
    retrained = replace(table_export, claim=None, weights_purpose="all", beside=beside)
    write_export(retrained, tmp_path / "out")
    read = read_export(tmp_path / "out")
    assert (read.claim, read.weights_purpose) == (None, "all")
    assert read.checkpoint is not None
    readme = (tmp_path / "out" / "README.md").read_text()
    for promise in ("NMSE", "baseline", "proves", "bit for bit"):
        assert promise not in readme
    assert "trained on all rows" in readme
