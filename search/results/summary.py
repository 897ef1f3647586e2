"""What commands say of a study, as plain JSON values."""

from typing import Any

from search.storage import Counts, StudyReader


def trial_counts(counts: Counts) -> dict[str, int]:
    """Finished trials by state, as `run --json` prints them."""
    return {"complete": counts.complete, "pruned": counts.pruned, "failed": counts.failed}


def best_summary(study: StudyReader) -> dict[str, Any] | None:
    """The best trial by its score in the search."""
    best = study.best_trial()
    if best is None:
        return None
    return {"trial": best.number, "score": best.value, "params": best.params}


def run_summary(study: StudyReader, shown_url: str) -> dict[str, Any]:
    """What a run found: counts, best trial, final, test and baselines."""
    # Slow to import (torch), and `status` has no use for it.
    from search.results.winner import winner_of

    winner = winner_of(study)
    summary: dict[str, Any] = {
        "study": study.name,
        "storage": shown_url,
        "trials": trial_counts(study.counts()),
        "seconds": 0.0,
        "best": best_summary(study),
        "final": None,
        "test": None,
        "baselines": {},
    }
    if winner is None:
        return summary
    summary["final"] = {
        "trial": winner.trial_number,
        "score": winner.final.score,
        "mean_score": winner.final.mean_score,
        "geometric_mean": winner.final.geometric_mean,
        "replica_scores": list(winner.final.replica_scores),
        "scored_against": winner.final.scored_against,
        "verdict": winner.final.verdict,
    }
    baselines = {b.name: {"final": b.score, "test": None} for b in winner.final.baselines}
    if winner.test is not None:
        test = winner.test
        # Replicas of a table share its one test span; those of a generated series have a draw each.
        draws = len(test.baselines[0].draw_scores) if test.baselines else len(test.replica_scores)
        summary["test"] = {
            "score": test.score,
            "mean_score": test.mean_score,
            "draws": draws,
            "horizon_steps": test.horizon_steps,
            "scored_against": test.scored_against,
            "verdict": test.verdict,
        }
        for baseline in test.baselines:
            baselines[baseline.name]["test"] = baseline.score
    summary["baselines"] = baselines
    return summary
