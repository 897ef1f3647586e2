"""The study's page from memory: what optuna-dashboard would have sent, in fewer bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import optuna_dashboard
import pytest

from search.analysis.trials import Trial
from search.dashboard import study_pages, study_trials
from search.dashboard.study_pages import StudyPages, study_figures
from search.records import TrialRecord
from search.storage.records import FinishedTrial
from search.storage.studies import Storage
from tests.search.dashboard.client import Client

if TYPE_CHECKING:
    from tests.search.conftest import Invent, Statements
    from tests.search.invented import Invented


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request looks into the storage."""
    monkeypatch.setattr(study_trials, "REFRESH_SECONDS", 0.0)


def both(storage: Storage) -> tuple[Client, Client]:
    """Ours, and optuna-dashboard alone."""
    app = optuna_dashboard.wsgi(storage.optuna, artifact_store=storage.artifacts)
    return Client(StudyPages(app, storage)), Client(app)


def reduced(trial: dict[str, Any]) -> dict[str, Any]:
    """What the page reads of a trial, with numbers equal that are so to five digits."""

    def short(value: Any) -> Any:
        try:
            plain = json.loads(value) if isinstance(value, str) else value
            return pytest.approx(plain if isinstance(plain, list) else float(plain), rel=1e-5)
        except (TypeError, ValueError):
            return value

    attributes = {a["key"]: short(a["value"]) for a in trial["user_attrs"]}
    return {
        **{k: trial[k] for k in ("trial_id", "study_id", "number", "state", "note")},
        # Ours are in the order of their importance, theirs in any.
        "artifacts": sorted(trial["artifacts"], key=lambda a: str(a["artifact_id"])),
        **{k: trial[k] for k in ("fixed_params", "constraints")},
        "params": [
            (p["name"], short(p["param_internal_value"]), short(p["param_external_value"]))
            for p in trial["params"]
        ],
        "user_attrs": attributes,
        "values": [short(v) for v in trial.get("values", [])],
        "reports": [(r["step"], short(r["value"])) for r in trial["intermediate_values"]],
        "moments": [trial.get(k, "")[:22] for k in ("datetime_start", "datetime_complete")],
    }


def test_a_study_is_what_optuna_dashboard_sends(
    finished: Invented, finished_storage: Storage
) -> None:
    target = f"/api/studies/{finished.store.study_id}?after=0"
    ours, theirs = (client.get(target).json for client in both(finished_storage))
    for key in ("trials", "best_trials"):
        for one, other in zip(ours.pop(key), theirs.pop(key), strict=True):
            expected, found = reduced(other), reduced(one)
            assert found.keys() == expected.keys()
            for name, value in expected.items():
                assert plain(found[name]) == value, name
    attributes = {a["key"]: a["sortable"] for a in theirs.pop("union_user_attrs")}
    assert {a["key"]: a["sortable"] for a in ours.pop("union_user_attrs")} == attributes
    for key in ("union_search_space", "intersection_search_space"):
        assert by_name(ours.pop(key)) == by_name(theirs.pop(key))
    ours["plotly_graph_objects"] = [
        g for g in ours["plotly_graph_objects"] if not g["id"].startswith("freerun-")
    ]
    assert ours.pop("user_attrs")[:-1] == theirs.pop("user_attrs")
    assert ours == theirs


def winner_on_page(client: Client, study: Invented) -> str | None:
    attributes = client.get(f"/api/studies/{study.store.study_id}").json["user_attrs"]
    return next((a["value"] for a in attributes if a["key"] == study_pages.WINNER), None)


def test_the_page_names_the_winner_and_its_last_score(invent: Invent, storage: Storage) -> None:
    study = invent(("complete", 0.3), ("complete", 0.2))
    ours, _ = both(storage)
    assert winner_on_page(ours, study) is None
    study.add_final("final", {0: 0.1, 1: 0.4})
    assert str(winner_on_page(ours, study)).startswith("trial 0, NMSE 0.0")
    assert "in the final, verdict tracks" in str(winner_on_page(ours, study))
    study.add_final("test", {0: 2.0})
    assert "in the test, verdict off" in str(winner_on_page(ours, study))


def plain(value: Any) -> Any:
    """A reduced value with its own numbers instead of what they are compared by."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(each) for each in value)
    return value.expected if hasattr(value, "expected") else value


def by_name(space: list[dict[str, Any]]) -> dict[str, Any]:
    """Distributions by name; choices in any order."""
    for row in space:
        if "choices" in row["distribution"]:
            row["distribution"]["choices"].sort(key=json.dumps)
    return {row["name"]: row["distribution"] for row in space}


def test_a_poll_has_only_the_trials_from_its_number_on(
    finished: Invented, finished_storage: Storage
) -> None:
    ours, _ = both(finished_storage)
    found = ours.get(f"/api/studies/{finished.store.study_id}?after=4").json
    assert [trial["number"] for trial in found["trials"]] == [4, 5]
    assert [trial["number"] for trial in found["best_trials"]] == [2]


def test_what_is_told_meanwhile_is_in_the_next_poll(invent: Invent, storage: Storage) -> None:
    study = invent(("complete", 0.3), ("running", 0.0))
    ours, _ = both(storage)
    target = f"/api/studies/{study.store.study_id}"
    assert [t["state"] for t in ours.get(target).json["trials"]] == ["Complete", "Running"]
    (worker,) = study.store.workers()
    told = FinishedTrial(worker.trial_ids[0], "complete", value=0.01)
    study.store.finish(worker.worker_id, [told])
    again = ours.get(target).json
    assert [t["state"] for t in again["trials"]] == ["Complete", "Complete"]
    assert [t["number"] for t in again["best_trials"]] == [1]


def test_a_study_that_takes_the_id_of_a_deleted_one_is_read_anew(
    invent: Invent, storage: Storage
) -> None:
    first = invent(("complete", 0.3), ("complete", 0.4))
    ours, _ = both(storage)
    target = f"/api/studies/{first.store.study_id}"
    assert len(ours.get(target).json["trials"]) == 2
    storage.optuna.delete_study(first.store.study_id)
    second = invent(("complete", 0.3), name="second")
    assert second.store.study_id == first.store.study_id
    found = ours.get(target).json
    assert (found["name"], len(found["trials"])) == ("second", 1)


def test_other_programs_studies_are_left_to_optuna_dashboard(storage: Storage) -> None:
    import optuna

    study = optuna.create_study(study_name="other", storage=storage.optuna)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    ours, theirs = both(storage)
    target = f"/api/studies/{study._study_id}"
    assert ours.get(target).content == theirs.get(target).content
    assert ours.get("/api/studies/99").status == 404


def test_of_many_trials_the_page_draws_no_line_each(
    finished: Invented, finished_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = f"/api/studies/{finished.store.study_id}"
    assert both(finished_storage)[0].get(target).json["has_intermediate_values"]
    monkeypatch.setattr(study_pages, "MOST_LINES", 5)
    found = both(finished_storage)[0].get(target).json
    assert not found["has_intermediate_values"]
    assert any(trial["intermediate_values"] for trial in found["trials"])


def test_of_a_large_study_the_best_and_a_part_of_the_others_are_shown(
    invent: Invent, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MOST_SHOWN": 4, "BEST_SHOWN": 1, "_THINNED_TO": 3}.items():
        monkeypatch.setattr(study_trials, name, value)
    ends: list[tuple[str, float]] = [("complete", 0.1), ("pruned", 0.9), ("complete", 0.3)]
    ends += [("complete", 0.05), ("failed", 0.0), ("pruned", 0.8), ("running", 0.0)]
    study = invent(*ends)
    ours, theirs = both(storage)
    target = f"/api/studies/{study.store.study_id}"
    found, plain = ours.get(target).json, theirs.get(target).json
    for key in ("number", "trial_id", "state"):
        assert [t[key] for t in found["trials"]] == [t[key] for t in plain["trials"]]
    assert [t["number"] for t in found["trials"] if t["params"]] == [0, 3, 4, 6]
    stubs = [t for t in found["trials"] if not t["params"]]
    assert all("no details" in t["note"]["body"] and "values" not in t for t in stubs)
    assert [t["number"] for t in found["best_trials"]] == [3]
    verdicts = next(g for g in found["plotly_graph_objects"] if g["id"] == "freerun-verdicts")
    bars = json.loads(verdicts["graph_object"])["data"]
    # All trials that ended with a verdict, shown or not.
    assert sum(sum(bar["x"]) for bar in bars) == 5
    (worker,) = study.store.workers()
    best = FinishedTrial(worker.trial_ids[0], "complete", value=1e-6)
    study.store.finish(worker.worker_id, [best])
    again = ours.get(f"{target}?after=5").json
    assert [t["state"] for t in again["trials"]] == ["Pruned", "Complete"]
    assert [t["number"] for t in again["best_trials"]] == [6]


def a_study_with_limits(invent: Invent, trials: int) -> Invented:
    """Finished trials, of which every other one is complete, with the limit of its context."""
    sampled = {"cell": ["rnn", "lru"], "context": ["state", "window"], "window_steps": [4, 8]}
    study = invent(*[("running", 0.0)] * trials, space=sampled)
    (worker,) = study.store.workers()
    space, ends = study.definition.full_space(), []
    for trial in map(study.store.trial, range(trials)):
        steps = space.resolve(trial.params).architecture.shown_steps
        noted = {"verdict": ("tracks", "flat")[trial.number % 3 == 0], "limit": 1 / steps}
        value = 1.0 / (1 + trial.number) if trial.number % 2 else None
        state: Literal["complete", "pruned"] = "pruned" if value is None else "complete"
        ends.append(FinishedTrial(trial._trial_id, state, value, user_attributes=noted))
    study.store.finish(worker.worker_id, ends)
    return study


def test_figures_and_importances_are_the_same_whether_trials_are_shown_or_not(
    invent: Invent, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.analysis import importances

    for module in (importances, study_pages):
        monkeypatch.setattr(module, "FEWEST_TRIALS", 3)
    study = a_study_with_limits(invent, 40)
    target = f"/api/studies/{study.store.study_id}"

    def answers() -> tuple[list[dict[str, Any]], dict[str, Any], int]:
        ours, _ = both(storage)
        page = ours.get(target).json
        shown = sum(bool(trial["params"]) for trial in page["trials"])
        shares = ours.get(f"{target}/param_importances").json
        return page["plotly_graph_objects"], shares, shown

    figures, shares, shown = answers()
    assert [figure["id"] for figure in figures] == ["freerun-verdicts", "freerun-limit"]
    assert shown == 40
    for name, value in {"MOST_SHOWN": 20, "BEST_SHOWN": 2, "_THINNED_TO": 5}.items():
        monkeypatch.setattr(study_trials, name, value)
    of_large = answers()
    assert of_large[:2] == (figures, shares)
    assert 5 <= of_large[2] <= 7


def test_what_is_read_of_a_large_study_takes_as_few_statements_as_of_a_small_one(
    invent: Invent, storage: Storage, statements: Statements, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MOST_SHOWN": 4, "BEST_SHOWN": 1, "_THINNED_TO": 3}.items():
        monkeypatch.setattr(study_trials, name, value)
    seen = []
    for trials in (10, 60):
        study = invent(*[("complete", 0.1)] * trials, name=f"of-{trials}")
        ours, _ = both(storage)
        with statements() as taken:
            ours.get(f"/api/studies/{study.store.study_id}")
        seen.append(len(taken))
    assert seen[0] == seen[1]


def test_importances_of_few_trials_are_optuna_dashboards(
    finished: Invented, finished_storage: Storage
) -> None:
    target = f"/api/studies/{finished.store.study_id}/param_importances"
    ours, theirs = (client.get(target) for client in both(finished_storage))
    assert ours.content == theirs.content


def test_importances_of_many_trials_are_ours(
    finished: Invented, finished_storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.analysis import importances

    for module in (importances, study_pages):
        monkeypatch.setattr(module, "FEWEST_TRIALS", 3)
    ours, _ = both(finished_storage)
    (rows,) = ours.get(f"/api/studies/{finished.store.study_id}/param_importances").json[
        "param_importances"
    ]
    assert sum(row["importance"] for row in rows) == pytest.approx(1)
    assert {row["distribution"] for row in rows} >= {
        "FloatDistribution",
        "CategoricalDistribution",
    }


def test_the_figures_show_verdicts_and_are_small(finished: Invented) -> None:
    rows = {trial.number: Trial.of(trial) for trial in finished.store.frozen_trials()}
    contexts = dict.fromkeys(rows, 20)
    figures = {
        figure["id"]: figure["graph_object"]
        for figure in study_figures(finished.definition, rows, contexts, has_lines=True)
    }
    assert list(figures) == ["freerun-verdicts"]
    bars = json.loads(figures["freerun-verdicts"])["data"]
    assert sum(sum(bar["x"]) for bar in bars) == 5
    assert [bar["name"] for bar in bars] == ["complete", "pruned"]
    assert all(len(text) < 10_000 for text in figures.values())


def test_the_figure_of_limits_has_every_context(finished: Invented) -> None:
    trials = [Trial.of(trial) for trial in finished.store.frozen_trials()]
    rows = {trial.number: trial for trial in trials if trial.is_scored}
    contexts = dict(zip(rows, (4, 7, 30), strict=True))
    limited = {n: replace(t, record=TrialRecord(limit=1 / n)) for n, t in rows.items() if n}
    figures = study_figures(finished.definition, {**rows, **limited}, contexts, has_lines=False)
    (text,) = (f["graph_object"] for f in figures if f["id"] == "freerun-limit")
    limit, median, best = json.loads(text)["data"]
    assert limit["x"] == median["x"] == best["x"] == [4, 7, 30]
    assert limit["y"] == [None, 0.5, 0.25]
