"""How far a study is and what it found, as the JSON values that commands print."""

import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from models.diagnostics.errors import Errors
from search.analysis.evidence import divisor, free_runs, plain_finding
from search.analysis.study_results import baselines_of, outcomes, winner_of
from search.analysis.wording import counted, shown_minutes
from search.contest import baseline_of
from search.records import FinalRecord
from search.series import Table
from search.storage.records import Counts, StudySummary, Tally
from search.storage.study_store import StudyReader
from search.study.study_file import read_stored_definition
from search.study.task_data import season_steps

# The rate is that of the last minutes.
RATE_MINUTES = 5.0
_VERDICT, _MESSAGE = "verdict", "message"
_MOST_MESSAGES, _MESSAGE_SIGNS = 8, 120
_BAR = 24


class StudyStatus:
    """What `freerun status` says of a study. Each `summary` counts only the trials that are new."""

    def __init__(self, study: StudyReader, shown_url: str) -> None:
        self._study = study
        self._shown_url = shown_url
        self._verdicts: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._ends: deque[datetime] = deque()
        self._first_start: datetime | None = None

    def summary(self) -> dict[str, Any]:
        """Plain JSON values: counts, budget, rate, best, winner, verdicts, workers, failures."""
        now = datetime.now(UTC).replace(tzinfo=None)
        since = now - timedelta(minutes=RATE_MINUTES)
        self._take(self._study.tally({_VERDICT: None, _MESSAGE: "failed"}, since))
        study, counts, budget = self._study, self._study.counts(), self._study.budget()
        alive = [worker for worker in study.workers() if worker.alive]
        jobs = study.final_jobs()
        return {
            "study": study.name,
            "storage": self._shown_url,
            "trials": {
                **trial_counts(counts),
                "running": counts.running,
                "waiting": counts.waiting,
            },
            "budget": {
                "trials": budget.trials,
                "used_trials": budget.used_trials,
                "minutes": budget.minutes,
                "used_minutes": round(budget.spent_seconds / 60, 3),
                "stop_requested": budget.stop_requested,
                "quotas": {
                    name: {"trials": quota.trials, "used": quota.used}
                    for name, quota in budget.quotas.items()
                },
            },
            "trials_per_minute": round(self._rate(now), 2),
            "best": best_summary(study),
            "winner": winner_summary(study),
            "verdicts": dict(self._verdicts.most_common()),
            "workers": [
                {
                    "worker": worker.worker_id,
                    "host": worker.host,
                    "pid": worker.pid,
                    "beat_age_seconds": round(worker.beat_age, 1),
                    "trials": len(worker.trial_ids),
                    "final_jobs": len(worker.job_ids),
                }
                for worker in alive
            ],
            "leases": {
                "trials": sum(len(worker.trial_ids) for worker in alive),
                "final_jobs": sum(len(worker.job_ids) for worker in alive),
                "seconds": study.lease_seconds,
            },
            "final": dict(Counter(job.state for job in jobs)),
            "failures": [
                {"message": message, "trials": count}
                for message, count in self._failures.most_common(_MOST_MESSAGES)
            ],
            "failed_jobs": [
                {"purpose": job.purpose, "message": job.message}
                for job in jobs
                if job.state == "failed"
            ],
        }

    def _take(self, new: Tally) -> None:
        for (_, text), trials in new.attributes.get(_VERDICT, {}).items():
            # A trial of another program may hold anything under this key.
            if isinstance(verdict := json.loads(text), str):
                self._verdicts[verdict] += trials
        unnamed = new.failed
        for (_, text), trials in new.attributes.get(_MESSAGE, {}).items():
            if isinstance(message := json.loads(text), str) and message:
                self._failures[message] += trials
                unnamed -= trials
        if unnamed:
            self._failures["no message"] += unnamed
        self._ends.extend(new.ends)
        if new.first_start is not None:
            self._first_start = min(self._first_start or new.first_start, new.first_start)

    def _rate(self, now: datetime) -> float:
        """Finished trials a minute, of the last minutes or since the first one began."""
        since = now - timedelta(minutes=RATE_MINUTES)
        self._ends = deque(end for end in self._ends if end > since)
        if not self._ends or self._first_start is None:
            return 0.0
        minutes = (now - max(since, self._first_start)).total_seconds() / 60
        return len(self._ends) / max(minutes, 1 / 60)


def status_lines(summary: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    trials, budget, best = summary["trials"], summary["budget"], summary["best"]
    counts = ", ".join(f"{count:,} {state}" for state, count in trials.items())
    lines = [f"{summary['study']} in {summary['storage']}", f"  trials    {counts}"]
    lines.append(f"  budget    {_limits(budget)}")
    lines += [
        f"    {quota:16} {of['used']:,} of {of['trials']:,} trials"
        for quota, of in budget["quotas"].items()
    ]
    lines.append(f"  rate      {summary['trials_per_minute']:.1f} trials/min")
    if best is not None:
        lines.append(f"  best      trial {best['trial']}, score {best['score']:.4g}")
    if summary["winner"] is not None:
        lines.append(f"  winner    {winner_line(summary['winner'])}")
    lines += _verdict_lines(summary["verdicts"])
    lines += [_worker_line(worker) for worker in summary["workers"]]
    leases = summary["leases"]
    held = f"{counted(leases['trials'], 'trial')}, {counted(leases['final_jobs'], 'final job')}"
    kept = f"a lease outlives its worker's last heartbeat by {leases['seconds']:.0f} s"
    lines.append(f"  leases    {held} ({kept})")
    if summary["final"]:
        states = ", ".join(f"{count} {state}" for state, count in sorted(summary["final"].items()))
        lines.append(f"  final     {states}")
    lines += [
        f"  failed    {counted(failure['trials'], 'trial')}: {_one_line(failure['message'])}"
        for failure in summary["failures"]
    ]
    lines += [
        f"  failed    {job['purpose']} job: {_one_line(job['message'] or 'no message')}"
        for job in summary["failed_jobs"]
    ]
    return lines


def trial_counts(counts: Counts) -> dict[str, int]:
    """Finished trials by state, as `run --json` prints them."""
    return {"complete": counts.complete, "pruned": counts.pruned, "failed": counts.failed}


def listed(summary: StudySummary, study: StudyReader) -> dict[str, Any]:
    """A line of the list of studies as JSON values.

    state: running while workers are alive, done with a winner, new without a trial, or unfinished.
    best: the best score of the search; winner: the winner's in the test, or in the final.
    """
    winner = winner_summary(study)
    state = "done" if winner is not None else "unfinished" if summary.counts.total else "new"
    return {
        "study": summary.name,
        "state": "running" if summary.workers else state,
        "trials": trial_counts(summary.counts),
        "best": summary.best_value,
        "winner": None if winner is None else winner["score"],
        "last_active": datetime.fromtimestamp(summary.last_active, UTC).isoformat(
            timespec="seconds"
        ),
    }


def best_summary(study: StudyReader) -> dict[str, Any] | None:
    """The best trial by its score in the search."""
    best = study.best_trial()
    if best is None:
        return None
    return {"trial": best.number, "score": best.value, "params": best.params}


def winner_summary(study: StudyReader) -> dict[str, Any] | None:
    """Who won the final: a trial, a baseline or an ensemble; None before the final is done.

    purpose, score, errors, verdict: of its test, or of its final as long as the test is not done.
    """
    winner = winner_of(study)
    if winner is None:
        return None
    last = winner.last
    return {
        "name": winner.name,
        "purpose": last.purpose,
        "score": last.found.score,
        "errors": errors_summary(last.found.errors),
        "verdict": last.found.verdict,
    }


def winner_line(winner: Mapping[str, Any]) -> str:
    """The same for people."""
    return (
        f"{winner['name']}, NMSE {winner['score']:.4g} in the {winner['purpose']}, "
        f"{errors_line(winner['errors'])}verdict {winner['verdict']}"
    )


def errors_summary(errors: Errors | None) -> dict[str, float | None] | None:
    """Errors in the units of the series; None where an earlier version did not record them."""
    return None if errors is None else asdict(errors)


def channels_summary(found: FinalRecord) -> dict[str, dict[str, float | None]]:
    """NMSE and errors by column, where columns have units of their own; else none."""
    return {
        name: {"score": found.channel_scores.get(name), **asdict(errors)}
        for name, errors in found.channel_errors.items()
    }


def errors_line(errors: Mapping[str, float | None] | None) -> str:
    """The same for people, with a comma after each."""
    found = {} if errors is None else errors
    return "".join(f"{n.upper()} {e:.4g}, " for n, e in found.items() if e is not None)


def run_summary(study: StudyReader, shown_url: str) -> dict[str, Any]:
    """What a run found: counts, best trial, winner, its final and test, and baselines."""
    winner = winner_of(study)
    summary: dict[str, Any] = {
        "study": study.name,
        "storage": shown_url,
        "trials": trial_counts(study.counts()),
        "seconds": 0.0,
        "best": best_summary(study),
        "winner": None,
        "final": None,
        "test": None,
        "baselines": {},
        "mase_season_steps": None,
    }
    if winner is None:
        return summary
    jobs, final, test = study.final_jobs(), winner.final.found, winner.tested
    standing, definition = winner.standing, read_stored_definition(study.definition)
    summary["mase_season_steps"] = season_steps(definition)
    data = study.data()
    table = None if data is None else Table.from_bytes(data)
    summary["winner"] = {
        "name": winner.name,
        "baseline": baseline_of(winner.subject),
        "is_baseline": standing.is_baseline,
        "left_out": standing.left_out,
        "level_is_new": standing.level_is_new,
        "beats_baselines": {"final": standing.final, "test": standing.test},
        "best_baseline": {"final": standing.opponent_final, "test": standing.opponent_test},
        "finding": plain_finding(
            standing, baseline_of(winner.subject), is_generated=definition.series.is_generated
        ),
    }
    summary["final"] = {
        "trial": None if winner.trial is None else winner.trial.number,
        "score": final.score,
        "mean_score": final.mean_score,
        "geometric_mean": final.geometric_mean,
        "replica_scores": list(final.replica_scores),
        "scored_against": final.scored_against,
        "divided_by": divisor(definition, "final"),
        "free_runs": free_runs(definition, table, "final"),
        "averaging": final.averaging,
        "errors": errors_summary(final.errors),
        "channels": channels_summary(final),
        "verdict": final.verdict,
    }
    in_final, in_test = (baselines_of(outcomes(jobs, purpose)) for purpose in ("final", "test"))
    summary["baselines"] = {
        name: {
            "final": baseline.score,
            "test": in_test[name].score if test and name in in_test else None,
            "errors": {
                "final": errors_summary(baseline.errors),
                "test": errors_summary(in_test[name].errors) if test and name in in_test else None,
            },
        }
        for name, baseline in in_final.items()
    }
    if test is not None:
        # Replicas of a table share its one test span; those of a generated series have a draw each.
        baseline = next(iter(in_test.values()), None)
        draws = len(test.replica_scores if baseline is None else baseline.draw_scores)
        summary["test"] = {
            "score": test.score,
            "mean_score": test.mean_score,
            "draws": draws,
            "divided_by": divisor(definition, "test"),
            "free_runs": free_runs(definition, table, "test"),
            "horizon_steps": test.horizon_steps,
            "scored_against": test.scored_against,
            "errors": errors_summary(test.errors),
            "channels": channels_summary(test),
            "verdict": test.verdict,
        }
    return summary


def _limits(budget: Mapping[str, Any]) -> str:
    limits = []
    if budget["trials"] is not None:
        limits.append(f"{budget['used_trials']} of {budget['trials']} trials")
    if budget["minutes"] is not None:
        limits.append(shown_minutes(budget["used_minutes"], budget["minutes"]))
    if budget["stop_requested"]:
        limits.append("asked to stop")
    return ", ".join(limits) or "no limit"


def _verdict_lines(verdicts: Mapping[str, int]) -> list[str]:
    total = sum(verdicts.values())
    lines: list[str] = []
    for name, count in verdicts.items():
        heading, bar = "" if lines else "verdicts", "#" * round(_BAR * count / total)
        lines.append(f"  {heading:8}  {name:16} {count:>7,}  {bar}".rstrip())
    return lines


def _worker_line(worker: Mapping[str, Any]) -> str:
    holds = counted(worker["trials"], "trial") if not worker["final_jobs"] else "a final job"
    return (
        f"  worker    {worker['worker']} on {worker['host']} (pid {worker['pid']}), last heartbeat "
        f"{worker['beat_age_seconds']:.0f} s ago, {holds}"
    )


def _one_line(message: str) -> str:
    text = " ".join(message.split())
    return text if len(text) <= _MESSAGE_SIGNS else text[: _MESSAGE_SIGNS - 3] + "..."
