"""The note that a new study gets, for optuna-dashboard to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import optuna
import pytest
from optuna_dashboard import get_note

from search.dashboard.note import save_study_note, study_note
from search.storage.studies import Storage
from search.study.definition import StudyDefinition
from tests.search.invented import SINE

if TYPE_CHECKING:
    from tests.search.conftest import Invent
    from tests.search.invented import Invented


def test_a_note_says_the_task_the_limit_and_what_to_do(finished: Invented) -> None:
    note = study_note(finished.definition, "postgresql://me:***@host/db")
    assert "train on 120 steps" in note
    assert "against the signal" in note
    for samples in (4, 20, 120):
        assert f"\n| {samples} | " in note
    for command in ("run waves", "export waves", "retrain waves-export", "report waves"):
        assert f"\nfreerun {command}" in note
    assert '"name": "waves"' in note


@pytest.mark.parametrize(
    ("space", "contexts"),
    [
        ({"cell": "ar", "ar_order": [6, 30]}, (6, 30)),
        ({"cell": "ssa", "ssa_window": 40}, (40,)),
        ({"cell": "nvar", "nvar_delays": 3, "delay_stride": 5, "degree": 2}, (11,)),
        ({"cell": "gru", "context": "state", "warm_up_steps": 50, "segment_steps": 16}, (48,)),
    ],
    ids=["ar", "ssa", "nvar", "segments"],
)
def test_the_limits_are_those_of_what_the_candidates_read(
    space: dict[str, Any], contexts: tuple[int, ...]
) -> None:
    definition = StudyDefinition.model_validate({**SINE, "space": space})
    rows = [line for line in study_note(definition, "sqlite:///x.db").split("\n") if "| " in line]
    assert [row.split()[1] for row in rows[1:]] == [str(steps) for steps in (*contexts, 120)]


def test_of_a_table_no_limit_is_known(finished_table: Invented) -> None:
    assert "attainable" not in study_note(finished_table.definition, "sqlite:///freerun.db")


def test_names_of_columns_stand_in_code_only(hostile_table: Invented) -> None:
    before, _, definition = study_note(hostile_table.definition, "sqlite:///x.db").partition(
        "```json"
    )
    assert "<script>" not in before
    assert "<script>" in definition
    assert definition.count("```") == 1


def test_the_note_is_the_studys(invent: Invent, storage: Storage) -> None:
    study = invent(("complete", 0.3))
    save_study_note(storage, study.definition)
    found = get_note(optuna.load_study(study_name="waves", storage=storage.optuna))
    assert found == study_note(study.definition, storage.shown_url)
