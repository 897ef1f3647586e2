"""Artifacts are stored in the database within their limits, and Optuna can read them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.artifacts.exceptions import ArtifactNotFound

from search.storage.records import Artifact, FinishedTrial
from search.storage.studies import Storage
from search.storage.study_store import StudyStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.search.storage.conftest import Propose, RunSql


def bounded(storage: Storage, per_trial: int, per_study: int, name: str = "sine") -> StudyStore:
    return storage.create_study(
        name,
        definition="{}",
        definition_hash="abc",
        artifact_bytes_per_trial=per_trial,
        artifact_bytes_per_study=per_study,
    )


def finish(
    study: StudyStore, propose: Propose, contents: list[list[int]]
) -> tuple[list[list[int]], list[int]]:
    """Finish a trial for each list of sizes; return the sizes that were kept, and left out."""
    worker = study.register_worker(host="here", pid=1, machine={})
    claimed = study.claim_new(worker, propose(len(contents)))
    ends = [
        FinishedTrial(
            trial.trial_id,
            "complete",
            0.5,
            artifacts=[Artifact(f"{i:03}.png", bytes(size)) for i, size in enumerate(sizes)],
        )
        for trial, sizes in zip(claimed, contents, strict=True)
    ]
    assert study.finish(worker, ends) == []
    kept = [[len(a.content) for a in study.artifacts(t.trial_id)] for t in claimed]
    rows = {row._trial_id: row for row in study.frozen_trials()}
    left_out = [rows[t.trial_id].user_attrs.get("artifacts_left_out", 0) for t in claimed]
    return kept, left_out


def test_optuna_lists_and_downloads_a_trials_artifacts(
    storage: Storage, study: StudyStore, worker: int, propose: Propose, tmp_path: Path
) -> None:
    (trial,) = study.claim_new(worker, propose(1))
    files = [
        Artifact("rollout.png", b"\x89PNG"),
        Artifact("curve.csv", b"1,2"),
        Artifact("strange", b"!"),
    ]
    study.finish(worker, [FinishedTrial(trial.trial_id, "complete", 0.5, artifacts=files)])
    frozen = storage.optuna.get_trial(trial.trial_id)
    metas = optuna.artifacts.get_all_artifact_meta(frozen, storage=storage.optuna)
    assert {meta.filename: meta.mimetype for meta in metas} == {
        "rollout.png": "image/png",
        "curve.csv": "text/csv",
        "strange": "application/octet-stream",
    }
    for meta in metas:
        path = tmp_path / meta.filename
        optuna.artifacts.download_artifact(
            artifact_store=storage.artifacts, artifact_id=meta.artifact_id, file_path=str(path)
        )
    assert {f.filename: (tmp_path / f.filename).read_bytes() for f in files} == {
        f.filename: f.content for f in files
    }
    assert [a.filename for a in study.artifacts(trial.trial_id)] == sorted(
        f.filename for f in files
    )


def test_artifacts_above_the_limit_of_a_trial_are_left_out(
    storage: Storage, propose: Propose
) -> None:
    kept, left_out = finish(bounded(storage, 100, 1000), propose, [[60, 50, 40], [101], [100]])
    assert kept == [[60, 40], [], [100]]
    assert left_out == [50, 101, 0]


def test_artifacts_above_the_limit_of_a_study_are_left_out(
    storage: Storage, propose: Propose
) -> None:
    study = bounded(storage, 100, 150)
    assert finish(study, propose, [[100], [100]]) == ([[100], []], [0, 100])
    assert finish(study, propose, [[51], [50]]) == ([[], [50]], [51, 0])


def test_the_limits_hold_for_any_sizes(storage: Storage, propose: Propose) -> None:
    names = iter(range(1000))

    @settings(deadline=None, max_examples=10)
    @given(
        st.integers(0, 20),
        st.integers(0, 60),
        st.lists(st.lists(st.integers(0, 25), max_size=3), min_size=1, max_size=4),
    )
    def hold(per_trial: int, per_study: int, contents: list[list[int]]) -> None:
        study = bounded(storage, per_trial, per_study, name=str(next(names)))
        kept, left_out = finish(study, propose, contents)
        assert all(sum(sizes) <= per_trial for sizes in kept)
        assert sum(map(sum, kept)) <= per_study
        for sizes, stored, rest in zip(contents, kept, left_out, strict=True):
            assert sum(sizes) == sum(stored) + rest

    hold()


def test_the_store_writes_reads_and_removes(storage: Storage) -> None:
    store = storage.artifacts
    with pytest.raises(ArtifactNotFound):
        store.open_reader("id")
    with pytest.raises(ArtifactNotFound):
        store.remove("id")
    store.write("id", io.BytesIO(b"one"))
    store.write("id", io.BytesIO(b"two"))
    with store.open_reader("id") as reader:
        assert reader.read(2) == b"tw"
        assert reader.read() == b"o"
    store.remove("id")
    with pytest.raises(ArtifactNotFound):
        store.open_reader("id")


def test_optuna_uploads_into_the_store(storage: Storage, study: StudyStore, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    plain = optuna.load_study(study_name="sine", storage=storage.optuna)
    artifact_id = optuna.artifacts.upload_artifact(
        artifact_store=storage.artifacts,
        file_path=str(tmp_path / "note.txt"),
        study_or_trial=plain,
    )
    assert storage.artifacts.open_reader(artifact_id).read() == b"hello"


def test_a_removed_artifact_makes_room(storage: Storage, propose: Propose, run_sql: RunSql) -> None:
    study = bounded(storage, 100, 100)
    finish(study, propose, [[100]])
    ((artifact_id,),) = run_sql("SELECT artifact_id FROM freerun_artifacts")
    storage.artifacts.remove(artifact_id)
    assert finish(study, propose, [[100]]) == ([[100]], [0])
