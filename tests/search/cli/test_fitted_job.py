"""Closed forms beside networks, as a user searches them: run, export, retrain, forecast."""

from pathlib import Path

from optuna.trial import TrialState

from search.storage.opening import open_storage
from tests.search.cli.conftest import freerun, table_study_file

CLOSED_FORMS = (
    *("esn", "nvar", "ar", "ssa", "kernel-ridge", "smoothing", "seasonal-profile"),
    *("decomposition", "harmonics", "nearest-neighbours", "theta"),
)
SPACE = """[space]
cell = ["esn", "nvar", "ar", "ssa", "kernel-ridge", "smoothing", "seasonal-profile",
        "decomposition", "harmonics", "nearest-neighbours", "theta", "gru"]
hidden_units = 8
layers = 1
head_layers = 0
context = "state"
rollout_steps = 4
training_steps = 12
batch_size = 4
restarts = [1, 2]
warm_up_steps = 20
reservoir_units = 20
nvar_delays = [2, 4]
delay_stride = [1, 4]
degree = 2
ar_order = [4, 16]
ssa_window = [10, 30]
kernel_delays = [3, 4]
kernel_stride = [1, 3]
kernel_points = [30, 100]
season_steps = [1, 7]
smoothing_steps = [20, 30]
profile_seasons = [1, 3]
remainder_order = 4
decomposed_seasons = [1, 3]
harmonic_steps = [14, 28]
harmonic_count = 3
neighbour_window = [7, 14]
neighbour_steps = [1, 7]
"""


def test_closed_forms_are_searched_exported_retrained_and_run(tmp_path: Path) -> None:
    path = table_study_file(tmp_path)
    head = path.read_text().split("[space]")[0].replace("trials = 6", "trials = 60")
    path.write_text(
        head.replace("[search]", "[search]\nsampler = 'random'\ncohort_members = 1") + SPACE
    )
    ended = freerun(tmp_path, "run", path, "--json")
    assert ended.code == 0, ended.err

    with open_storage(f"sqlite:///{tmp_path / 'freerun.db'}", create=False) as storage:
        study = storage.study("spots")
        rows = study.frozen_trials()
    assert {row.params["cell"] for row in rows} == {*CLOSED_FORMS, "gru"}
    fitted = [row for row in rows if row.params["cell"] in CLOSED_FORMS]
    # Rungs are compared among networks; what is fitted has only the last one, and is never pruned.
    assert all(row.state == TrialState.COMPLETE for row in fitted)
    assert all(sorted(row.intermediate_values) == [2] for row in fitted)
    assert all(row.user_attrs["verdict"] for row in fitted)
    assert not [row for row in fitted if {"learning_rate", "training_steps"} & set(row.params)]

    for cell in sorted({*CLOSED_FORMS} - {"ar", "nvar"}):
        number = next(row.number for row in fitted if row.params["cell"] == cell)
        made = freerun(tmp_path, "export", "spots", "--trial", number, "-o", cell)
        assert made.code == 0, made.err
        again = freerun(tmp_path, "retrain", cell, "-o", f"{cell}-again", "--json")
        assert again.json["reproduced"] is True
        run = freerun(
            tmp_path,
            *("forecast", f"{cell}-again", "--series", "spots.csv", "--horizon", 5, "-o", "f.csv"),
            "--force",
        )
        assert run.code == 0, run.err
        assert len((tmp_path / "f.csv").read_text().splitlines()) == 6
