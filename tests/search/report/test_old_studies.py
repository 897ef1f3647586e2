"""The studies of a database that version 0.1.0 made: reported, exported and shown as before."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.analysis.status import run_summary
from search.analysis.study_results import StudyResults
from search.dashboard.study_pages import study_figures
from search.export import read_export
from search.export.of_study import export_of
from search.report.page import write_report
from search.storage.opening import open_storage, upgrade_storage
from search.storage.studies import Storage
from search.student.findings import study_findings
from search.student.section import report_sections

OLD = Path(__file__).parents[2] / "data" / "0.1.0"
NAMES = ["old-sine", "old-report", "old-table"]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    path = tmp_path_factory.mktemp("old") / "studies.db"
    path.write_bytes(gzip.decompress((OLD / "studies.db.gz").read_bytes()))
    upgrade_storage(f"sqlite:///{path}")
    with open_storage(f"sqlite:///{path}", create=False) as opened:
        yield opened


def test_a_report_of_all_three_is_written(old: Storage, tmp_path: Path) -> None:
    write_report(old, NAMES, tmp_path / "report.html", report_sections)
    page = (tmp_path / "report.html").read_text()
    for name in NAMES:
        assert f"Study {name}" in page
    assert 'id="attempts"' in page
    assert page.count("data-plot=") > 20


@pytest.mark.parametrize("name", NAMES)
def test_results_are_what_was_stored(old: Storage, name: str) -> None:
    study = old.study(name)
    results = StudyResults.read(study)
    for job in study.final_jobs():
        plain = json.loads(job.result or "")
        for found in (*results.finals, *results.tests):
            if found.job_id == job.job_id:
                assert found.found.score == plain["score"]
                assert found.found.geometric_mean == plain["geometric_mean"]
                assert found.found.verdict == plain["verdict"]
                assert {n: b.score for n, b in found.found.baselines.items()} == {
                    n: b["score"] for n, b in plain["baselines"].items()
                }
    for trial in results.trials:
        assert trial.record.verdict is not None
        assert trial.record.worker is not None
        assert trial.state != "complete" or trial.record.replica_scores
    assert results.complete
    summary = run_summary(study, old.shown_url)
    assert summary["final"]["trial"] == export_of(study).trial


@pytest.mark.parametrize("name", NAMES)
def test_an_export_has_the_claims_of_the_old_one(old: Storage, name: str) -> None:
    before = read_export(OLD / f"export-{name.removeprefix('old-')}")
    again = export_of(old.study(name))
    assert again.claim == before.claim
    assert again.test == before.test
    assert again.candidate == before.candidate
    assert again.weights == before.weights
    assert again.machine == before.machine


def test_what_explained_a_study_of_presets_is_understood(old: Storage) -> None:
    found = study_findings(StudyResults.read(old.study("old-report")))
    assert found is not None
    baseline = found.attempt("baseline")
    assert baseline is not None
    assert baseline.one_step is not None
    assert baseline.sensitivity is not None
    assert baseline.sensitivity.lags[:3] == (1, 2, 3)
    assert baseline.transfer is not None
    assert baseline.transfer.draws == 200
    assert found.replay is not None
    assert found.replay.first_forecast == 4
    assert len(found.effects) == 14


@pytest.mark.parametrize("name", NAMES)
def test_the_dashboard_draws_what_it_drew(old: Storage, name: str) -> None:
    results = StudyResults.read(old.study(name))
    trials = {trial.number: trial for trial in results.trials}
    contexts: dict[int, int | None] = dict.fromkeys(trials, 20)
    found = study_figures(results.definition, trials, contexts, has_lines=True)
    drawn = {figure["id"] for figure in found}
    expected = {"freerun-verdicts", "freerun-reports"}
    expected |= {"freerun-presets"} if results.definition.presets else set()
    expected |= {"freerun-limit"} if results.definition.series.is_generated else set()
    assert drawn == expected
