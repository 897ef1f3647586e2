"""`freerun delete` asks, or is told, and says what it deletes."""

from pathlib import Path

from tests.search.cli.conftest import STUDIES, freerun, refused


def test_a_study_is_deleted_only_on_request(tmp_path: Path) -> None:
    made = freerun(tmp_path, "run", STUDIES / "smoke.toml", "--workers", 0)
    assert made.code == 0, made.err
    refused(tmp_path, ["delete", "smoke"], "--yes", "0 trials", "freerun.db")
    refused(tmp_path, ["delete", "smok", "--yes"], "smoke")
    deleted = freerun(tmp_path, "delete", "smoke", "--yes", "--json")
    assert deleted.json == {"study": "smoke", "deleted": True, "trials": 0, "final_jobs": 0}
    assert freerun(tmp_path, "list", "--json").json["studies"] == []
