"""Studies of a table whose replicas have cuts of their own, as a user runs them."""

from pathlib import Path

import pytest

from tests.search.cli.conftest import freerun, refused, table_study_file


def study_file(folder: Path, validation: str, steps: int = 30, more: str = "") -> Path:
    path = table_study_file(folder)
    text = path.read_text().replace("validation_steps = 20", f"validation_steps = {steps}")
    text = text.replace("[task]\n", f'[task]\nvalidation = "{validation}"\n{more}')
    path.write_text(text.replace("final_replicas = 2", "final_replicas = 4"))
    return path


@pytest.mark.parametrize(
    ("validation", "more", "averaging"),
    [
        ("rolling", "", "mean"),
        ("blocks", "", "geometric mean"),
        ("blocks", 'averaging = "mean"\n', "mean"),
    ],
)
def test_a_study_with_cuts_runs_and_retrains_bit_for_bit(
    tmp_path: Path, validation: str, more: str, averaging: str
) -> None:
    path = study_file(tmp_path, validation, more=more)
    checked = freerun(tmp_path, "check", path, "--json")
    assert checked.code == 0, checked.err
    cuts = checked.json["cuts"]
    assert len(cuts) == checked.json["replicas"]
    assert len({tuple(cut["start_rows"]) for cut in cuts}) == len(cuts)
    assert cuts[-1]["start_times"] == [str(1699 + row) for row in cuts[-1]["start_rows"]]
    said = freerun(tmp_path, "check", path).out
    assert f'validation = "{validation}": {len(cuts)} cuts in the search, 4 in the final' in said
    assert f"the score is the {averaging} over them" in said
    found = freerun(tmp_path, "run", path, "--json")
    assert found.code == 0, found.err
    assert found.json["final"]["averaging"] == averaging
    assert len(set(found.json["final"]["replica_scores"])) == 4
    rule = {"rolling": "at another place", "blocks": "leaves another block of rows out"}
    report = (tmp_path / found.json["report"]).read_text(encoding="utf-8")
    assert f"A score is the {averaging} " in report
    assert rule[validation] in report
    again = freerun(tmp_path, "retrain", found.json["export"], "-o", "again", "--json")
    assert again.json["reproduced"] is True


def test_too_short_a_span_for_the_cuts_is_refused(tmp_path: Path) -> None:
    path = study_file(tmp_path, "rolling", steps=12)
    refused(tmp_path, ["check", path], "[task] validation_steps", "but got 12", "final_replicas")
