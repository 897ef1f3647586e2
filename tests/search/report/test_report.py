from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from models.baselines.baseline import baselines
from models.methods import Choices
from search.analysis.study_results import StudyResults
from search.analysis.trials import context_steps
from search.analysis.wording import (
    baseline_name,
    commands,
    short_baseline_name,
    shown_score,
)
from search.errors import UnknownStudyError, UsageError
from search.report.page import StudyReport, study_report, write_report
from search.storage.studies import Storage
from search.study.space import distribution_of

if TYPE_CHECKING:
    from tests.search.conftest import Invent
    from tests.search.invented import Invented


def report_on(study: Invented) -> StudyReport:
    return study_report(StudyResults.read(study.store), "sqlite:///freerun.db")


def test_the_answer_is_the_winner_with_its_test(finished: Invented) -> None:
    answer = report_on(finished).answer
    test = next(job for job in finished.store.final_jobs() if job.purpose == "test")
    score = shown_score(json.loads(test.result or "")["score"])
    assert answer.headline == f"Trial 4 won: NMSE {score} in the test, verdict “tracks”"
    words = " ".join(answer.sentences)
    assert "4 fresh draws" in words
    assert "80 steps" in words
    assert "AR" in words


def test_the_answer_does_not_claim_to_beat_a_baseline_that_is_better(invent: Invent) -> None:
    study = invent(("complete", 3.0))
    study.add_final("final", {0: 3.0})
    study.add_final("test", {0: 3.0})
    words = " ".join(report_on(study).answer.sentences)
    assert "does not beat it" in words
    assert "winner beats it" not in words


@pytest.mark.parametrize(
    ("is_new", "why", "error"),
    [
        (True, "so 1 finalist does not take part in the choice", 0.1),
        (False, "so 1 finalist does not win but as part of an ensemble", 0.4),
    ],
)
def test_what_takes_no_part_for_its_level_is_said(
    invent: Invent, is_new: bool, why: str, error: float
) -> None:
    study = invent(("complete", 0.3), ("complete", error))
    shares = {0: 1.0, 1: 0.2}
    study.add_final("final", {0: 0.3, 1: error}, level_shares=shares, level_is_new=is_new)
    study.add_final("test", {0: 0.3})
    answer = report_on(study).answer
    assert answer.headline.startswith("Trial 0 won")
    words = " ".join(answer.sentences)
    assert why in words
    assert "of a shift of level, less than 90% is found" in words


def test_baselines_stand_among_the_candidates_of_their_draws_by_score(finished: Invented) -> None:
    test, final, search = report_on(finished).groups
    for group, candidates in ((test, 1), (final, 2), (search, 3)):
        kinds = [row.kind for row in group.rows]
        assert kinds.count("candidate") == candidates
        assert kinds.count("baseline") == len(baselines())
        assert [row.score for row in group.rows] == sorted(row.score for row in group.rows)
        assert "against the signal" in group.note
    assert "4 fresh draws" in test.note
    assert "80 steps" in test.note
    assert "3 fresh draws" in final.note
    assert "2 draws" in search.note
    assert {len(row.scores) for row in test.rows} == {4}
    assert {len(row.scores) for row in search.rows} == {2}


def test_candidates_are_compared_with_ar_draw_by_draw(finished: Invented) -> None:
    (test, *_) = report_on(finished).groups
    (winner,) = (row for row in test.rows if row.is_winner)
    (opponent,) = (row for row in test.rows if row.better_than_ar is None)
    better = sum(a < b for a, b in zip(winner.scores, opponent.scores, strict=True))
    assert winner.better_than_ar == (better, 4)


def test_a_table_says_that_its_trainings_share_one_table(finished_table: Invented) -> None:
    report = report_on(finished_table)
    test, final, search = report.groups
    assert "the 80 rows before the last 10" in test.note
    assert "on 60 rows" in final.note
    assert all("the one table" in group.note for group in (test, final, search))
    assert all("against the observations" in group.note for group in (test, final, search))
    (winner,) = (row for row in test.rows if row.is_winner)
    assert winner.better_than_ar is not None
    assert winner.better_than_ar[1] == len(winner.scores) == 3


def test_a_table_is_drawn_at_its_times(finished_table: Invented) -> None:
    plot = report_on(finished_table).plots[0]
    assert plot.figure["layout"]["xaxis"]["title"]["text"] == "year"
    assert plot.figure["layout"]["yaxis"]["title"]["text"] == "spots"
    assert plot.figure["layout"]["shapes"][0]["x0"] == 1989  # the test span starts with 1990


def test_a_picture_says_what_runs_freely_whatever_won(finished: Invented) -> None:
    plot = report_on(finished).plots[0]
    assert "network" not in plot.caption + plot.alternative
    assert "The winner reads observed values up to the vertical line" in plot.caption


def test_every_figure_has_words(finished: Invented) -> None:
    plots = report_on(finished).plots
    keys = ["rollout", "error-by-horizon", "score-history", "rate"]
    assert [plot.key for plot in plots] == keys
    assert all(plot.alternative and plot.caption for plot in plots)
    assert "at step 1" in plots[1].alternative


def test_every_baseline_is_drawn_and_the_best_one_at_once(finished: Invented) -> None:
    report = report_on(finished)
    rollout, errors = (plot.figure["data"] for plot in report.plots[:2])
    names = {short_baseline_name(name) for name in baselines()}
    assert {trace["name"] for trace in errors} == {"trial 4", *names}
    drawn = {t["name"].removeprefix("free run of "): t.get("visible") for t in rollout}
    assert names <= drawn.keys()
    (best, *_) = (row for row in report.groups[0].rows if row.kind == "baseline")
    assert {name for name in names if drawn[name] is None} == {
        "AR",
        *(short_baseline_name(name) for name in baselines() if baseline_name(name) == best.name),
    }


def test_verdicts_and_states_are_counted(finished: Invented) -> None:
    report = report_on(finished)
    counts = {row.verdict: row.complete + row.pruned for row in report.verdicts}
    assert sum(counts.values()) == 5  # the failed trial has none
    assert sum(verdict.share for verdict in report.verdicts) == pytest.approx(1)
    facts = dict(report.facts)
    assert (facts["Complete"], facts["Pruned"], facts["Failed"]) == ("3", "2", "1")


def test_the_answer_says_what_is_attainable(finished: Invented, finished_table: Invented) -> None:
    (sentence,) = (s for s in report_on(finished).answer.sentences if "limit" in s)
    assert "4 draws estimate only roughly" in sentence
    assert "all 120" in sentence
    assert not any("limit" in s for s in report_on(finished_table).answer.sentences)


def test_every_trial_counts_for_each_of_its_parameters(finished: Invented) -> None:
    report = report_on(finished)
    assert report.importances is None
    assert "50 complete trials" in report.importances_note
    found = {e.parameter: e.values for e in report.effects}
    assert sum(group.trials for _, group in found["context"]) == 5
    assert sum(group.complete for _, group in found["learning_rate"]) == 3
    assert "modes" not in found  # of one value


def test_every_verdict_of_a_complete_trial_has_an_example(finished: Invented) -> None:
    for verdict in report_on(finished).verdicts:
        assert (verdict.example is not None) == (verdict.complete > 0)
        if verdict.example is not None:
            assert verdict.example.url.startswith("data:image/png;base64,")
            assert "free run of trial" in verdict.example.alternative


def test_the_course_of_the_search_is_shown(finished: Invented) -> None:
    report = report_on(finished)
    assert [(rung.rung, rung.reported, rung.pruned) for rung in report.rungs] == [(1, 2, 2)]
    assert report.failures.messages == [("it broke", 1)]
    (crew,) = report.crews
    assert (crew.host, crew.trials) == ("here", 6)
    assert report.rate is not None


def test_it_says_what_a_score_depends_on(finished: Invented, finished_table: Invented) -> None:
    generated = dict(report_on(finished).provenance)
    assert generated["Seed"] == "3"
    assert generated["Definition, SHA-256"] == finished.definition.identity_hash
    assert "Torch" in generated


def test_without_a_final_the_best_trial_is_shown_and_called_what_it_is(invent: Invent) -> None:
    study = invent(("complete", 0.5), ("complete", 0.2), ("running", 0.0))
    report = report_on(study)
    assert report.answer.headline.startswith("Best so far: trial 1, NMSE")
    assert "not done" in " ".join(report.answer.sentences)
    assert report.rollout is not None
    assert "trial 1" in report.rollout.alternative
    (search,) = report.groups
    assert {row.kind for row in search.rows} == {"candidate", "baseline"}
    assert report.errors is not None
    assert report.errors.title.endswith("search")


def test_a_final_without_a_test_says_so(untested_table: Invented) -> None:
    report = report_on(untested_table)
    assert "in the final" in f"{report.answer.headline} {report.answer.sentences[0]}"
    assert "test has not been done" in " ".join(report.answer.sentences)
    assert [group.title.split(":")[0] for group in report.groups] == ["Final", "Search"]


def test_a_study_in_which_nothing_is_complete_has_a_report(
    invent: Invent, storage: Storage, tmp_path: Path
) -> None:
    invent(name="empty")
    invent(("running", 0.3), ("pruned", 0.6), ("failed", 0.0), name="young")
    write_report(storage, ["empty", "young"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert text.count("No trial is complete yet") == 2
    assert "1 pruned, 1 failed, 1 running" in text


@pytest.mark.parametrize(
    "params",
    [
        {"cell": "lru", "state_estimate": "least-squares", "residual": True},
        {"rate": 0.1},
    ],
    ids=["contradictory", "unknown"],
)
def test_a_trial_of_another_program_is_shown_as_one(
    invent: Invent, storage: Storage, tmp_path: Path, params: dict[str, Any]
) -> None:
    study = invent(("complete", 0.3))
    space = study.definition.full_space()
    own = {**study.store.trial(0).params, "modes": 2, "context": "state", "warm_up_steps": 20}
    foreign = {**own, "autonomous": True, **params} if "cell" in params else params
    optuna.load_study(study_name="waves", storage=storage.optuna).add_trial(
        optuna.create_trial(
            params=foreign,
            distributions={
                name: distribution_of(space.domains.get(name, Choices((value,))))
                for name, value in foreign.items()
            },
            value=1e-9,
        )
    )
    with pytest.raises(UsageError, match="a trial's"):
        space.resolve(foreign)
    results = StudyResults.read(study.store)
    assert context_steps(space, results.complete[0]) is None
    write_report(storage, ["waves"], tmp_path / "report.html")
    assert "Trial 1 is no candidate of this space" in (tmp_path / "report.html").read_text()


def test_commands_name_the_study_and_hide_the_password() -> None:
    lines = [line for line, _ in commands("x", "postgresql://me:***@host/db")]
    assert lines[0] == "export FREERUN_STORAGE='postgresql://me:***@host/db'"
    for command in ("run x", "export x", "retrain x-export", "forecast x-export"):
        assert any(f"freerun {command}" in line for line in lines)
    assert "password" in commands("x", "postgresql://me:***@host/db")[0][1]


class _References(HTMLParser):
    """Collects every address that a page would load or link."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "data")]


def test_the_file_is_whole_and_refers_to_nothing_outside(
    finished: Invented, finished_table: Invented, finished_storage: Storage, tmp_path: Path
) -> None:
    write_report(finished_storage, ["waves", "years"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert len(text) < 3_000_000
    for word in ("Study waves", "Study years", "Trial 4 won", "persistence", "AR", "winner"):
        assert word in text
    page = _References()
    page.feed(text)
    assert all(address.startswith(("#", "data:")) for address in page.found)
    assert not re.search(r"@import|url\(", text)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_names_of_columns_are_text_whatever_they_hold(
    hostile_table: Invented, storage: Storage, tmp_path: Path
) -> None:
    write_report(storage, ["hostile"], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_an_unknown_study_is_named(finished: Invented, finished_storage: Storage) -> None:
    with pytest.raises(UnknownStudyError, match="Did you mean 'waves'"):
        write_report(finished_storage, ["wave"], Path("never.html"))
    assert not Path("never.html").exists()


def test_a_path_that_cannot_be_written_is_named(
    finished: Invented, finished_storage: Storage, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="must be a file to write, but is a folder"):
        write_report(finished_storage, ["waves"], tmp_path)
    (tmp_path / "mine").write_text("mine")
    for path in (tmp_path / "mine", tmp_path / "mine" / "report.html"):
        with pytest.raises(UsageError, match=r"must be new or a report|can't be written"):
            write_report(finished_storage, ["waves"], path)
    assert (tmp_path / "mine").read_text() == "mine"
