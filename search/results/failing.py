"""How attempts fail: each verdict, how often it was given, and one free run that earned it."""

import base64
from dataclasses import dataclass

from search.results.groups import verdict_counts
from search.results.pictures import ROLLOUT
from search.results.plots import Picture
from search.results.study_results import StudyResults
from search.results.wording import VERDICTS, shown_score
from search.storage import TrialRow


@dataclass(frozen=True)
class VerdictCount:
    """How many trials got a verdict; share: of those that got any.

    example: the free run of a complete trial, None where none was kept.
    """

    verdict: str
    meaning: str
    count: int
    complete: int
    pruned: int
    share: float
    example: Picture | None


def verdicts(results: StudyResults) -> list[VerdictCount]:
    """Return the verdicts that were given, the most frequent first."""
    rows = verdict_counts(results.trials)
    total = sum(complete + pruned for _, complete, pruned in rows)
    return [
        VerdictCount(
            verdict=verdict,
            meaning=VERDICTS.get(verdict, ""),
            count=complete + pruned,
            complete=complete,
            pruned=pruned,
            share=(complete + pruned) / total,
            example=_example(results, verdict),
        )
        for verdict, complete, pruned in rows
    ]


def _example(results: StudyResults, verdict: str) -> Picture | None:
    """The picture of the trial in the middle of those that ended with a verdict."""
    ended = [
        trial
        for trial in results.trials
        if trial.state == "complete" and trial.user_attributes.get("verdict") == verdict
    ]
    ended.sort(key=lambda trial: (trial.value or 0.0, trial.number))
    if not ended:
        return None
    trial = ended[(len(ended) - 1) // 2]
    content = _picture(results, trial)
    if content is None:
        return None
    score = shown_score(trial.value or 0.0)
    return Picture(
        title=f"“{verdict}”: trial {trial.number}",
        caption=f"The middle one, by score, of {len(ended):,} complete trials: NMSE {score}.",
        alternative=f"Observed values, the truth and the free run of trial {trial.number}, which "
        f"{VERDICTS.get(verdict, verdict)}; NMSE {score}.",
        url="data:image/png;base64," + base64.b64encode(content).decode(),
    )


def _picture(results: StudyResults, trial: TrialRow) -> bytes | None:
    kept = results.study.artifacts(trial.trial_id)
    return next((file.content for file in kept if file.filename == ROLLOUT), None)
