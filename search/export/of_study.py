"""The export of a study's winner, of one of its trials, or of a baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.ensemble import any_from_plain, load_any
from models.ensemble.ensemble_checkpoint import AnyCandidate, AnyCheckpoint
from search.analysis.study_results import Outcome, baselines_of, outcomes, winner_of
from search.analysis.trials import Trial
from search.contest import (
    baseline_of,
    baseline_subject,
    contenders,
    is_baseline,
    winner_of_jobs,
)
from search.errors import UsageError
from search.export.content import Beside, Claim, Export
from search.export.folder import write_export
from search.export.intervals import intervals_of, widening_of
from search.records import FinalPurpose, this_machine, this_versions
from search.series import Table
from search.storage.records import FinalJob, Subject
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition

if TYPE_CHECKING:
    from search.storage.study_store import StudyReader


def export_study(
    study: StudyReader, out: Path, *, trial: int | None = None, baseline: str | None = None
) -> Export:
    """Write the export of a study's winner, a trial or a baseline to a folder; return what it is.

    An older export in that folder is replaced. Raises what `export_of` and `write_export` raise.
    """
    export = export_of(study, trial, baseline)
    write_export(export, out)
    return export


def export_of(study: StudyReader, trial: int | None = None, baseline: str | None = None) -> Export:
    """Return the export of a study's winner, of the complete trial of a number, or of a baseline.

    The winner and a baseline claim their final scores, a trial by its number claims its score in
    the search. Weights are those of the final, or of the test where the series is a table, since
    these have learnt from more of it. A trial that was in no final has none.

    Raises UnknownTrialError; UsageError where there is no winner yet, the trial is not complete, or
    the baseline was in no final.
    """
    if trial is not None and baseline is not None:
        raise UsageError("trial and baseline name two things to export; leave one of them out")
    if trial is not None:
        return _export_of_trial(study, trial)
    jobs = study.final_jobs()
    if baseline is not None:
        final = _baseline_final(study, outcomes(jobs, "final"), baseline)
    else:
        winner = winner_of(study)
        if winner is None:
            raise UsageError(
                f"study {study.name!r} must have a winner to be exported, but its final is not "
                f"done; `freerun run {study.name}` goes on to it, and a trial can be exported by "
                "its number"
            )
        final = winner.final
    exported = None
    if isinstance(final.subject, int):
        (frozen,) = study.frozen_trials([final.subject])
        exported = Trial.of(frozen)
    return _export(study, final.subject, exported, _claim(final), final)


def _export_of_trial(study: StudyReader, number: int) -> Export:
    exported = Trial.of(study.trial(number))
    claim = _search_claim(study, exported, read_stored_definition(study.definition))
    return _export(study, exported.trial_id, exported, claim, None)


def _baseline_final(study: StudyReader, finals: Sequence[Outcome], name: str) -> Outcome:
    """The final of a baseline; UsageError where there is none."""
    found = next((own for own in finals if own.subject == baseline_subject(name)), None)
    if found is not None:
        return found
    known = [n for own in finals if (n := baseline_of(own.subject)) is not None]
    raise UsageError(
        f"baseline must name a baseline of the final of study {study.name!r}, "
        f"{', '.join(known)}, but got {name!r}"
        if known
        else f"study {study.name!r} has no baseline to export before its final is done; "
        f"`freerun run {study.name}` goes on to it"
    )


def _export(
    study: StudyReader,
    subject: Subject,
    trial: Trial | None,
    claim: Claim,
    final: Outcome | None,
) -> Export:
    """The export of a subject; final: None for a trial that claims its score in the search."""
    definition, jobs = read_stored_definition(study.definition), study.final_jobs()
    finals, tests = outcomes(jobs, "final"), outcomes(jobs, "test")
    done = [*finals, *tests]
    trained = {each.purpose: each for each in done if each.subject == subject}
    data = study.data()
    table = None if data is None else Table.from_bytes(data)
    kept = _with_weights(trained, is_table=data is not None)
    candidate: AnyCandidate
    if trial is not None:
        candidate = definition.full_space().resolve(trial.params)
        trained_with = (trial.record if final is None else final.found).machine
    else:
        assert final is not None, subject
        assert final.found.candidate is not None, subject
        candidate, trained_with = any_from_plain(final.found.candidate), final.found.machine
    # What a process did not record is as it is here; a plug-in as the study was created with it.
    versions = {**this_versions(), **definition.plugins}
    return Export(
        study=study.name,
        subject=_subject_name(subject),
        trial=None if trial is None else trial.number,
        candidate=candidate,
        params={} if trial is None else trial.params,
        definition=definition,
        claim=claim,
        test=_claim(trained["test"]) if "test" in trained else None,
        table=table,
        weights=None if kept is None else study.final_weights(trained[kept].job_id),
        weights_purpose=kept,
        versions={k: trained_with.get(k, v) for k, v in versions.items()},
        machine={k: trained_with.get(k, v) for k, v in this_machine().items()},
        intervals=intervals_of(
            definition,
            table,
            *(_networks(study, trained.get(purpose)) for purpose in ("final", "test")),
            is_baseline=is_baseline(subject),
            widening=_widening(jobs, subject, has_draws=definition.series.is_generated),
        ),
        beside=(*_beside(subject, finals), *_beside(subject, tests)),
    )


def _beside(subject: Subject, done: Sequence[Outcome]) -> Iterator[Beside]:
    """The subject and the best other baseline of the finals or tests that are done."""
    own = next((each for each in done if each.subject == subject), None)
    others = baselines_of(done)
    others.pop(baseline_of(subject) or "", None)
    if own is not None and others:
        best = min(others, key=lambda name: others[name].score)
        yield Beside(own.purpose, own.found.score, best, others[best].score)


def _widening(jobs: Sequence[FinalJob], subject: Subject, *, has_draws: bool) -> float:
    """How much wider the winner's intervals are for its having been chosen; 1 for all others."""
    finals = {own.subject: own.found for own in outcomes(jobs, "final")}
    competing = contenders(finals)
    has_won = winner_of_jobs(jobs, finals, has_draws=has_draws) == subject
    if not has_won or subject not in competing:
        return 1.0
    return widening_of(competing, subject, has_draws=has_draws)


def _networks(study: StudyReader, outcome: Outcome | None) -> AnyCheckpoint | None:
    """The networks that a job kept, if any."""
    if outcome is None or not outcome.has_weights:
        return None
    content = study.final_weights(outcome.job_id)
    return None if content is None else load_any(content)


def _subject_name(subject: Subject) -> str:
    """What a manifest calls a subject."""
    if isinstance(subject, int):
        return "trial"
    name = baseline_of(subject)
    return "ensemble" if name is None else f"baseline {name}"


def _claim(outcome: Outcome) -> Claim:
    found = outcome.found
    return Claim(
        purpose=outcome.purpose,
        score=found.score,
        replica_scores=found.replica_scores,
        scored_against=found.scored_against,
        horizon_steps=found.horizon_steps,
        verdict=found.verdict,
        averaging=found.averaging,
        errors=found.errors,
        channel_errors=found.channel_errors,
    )


def _search_claim(study: StudyReader, trial: Trial, definition: StudyDefinition) -> Claim:
    if not trial.is_scored:
        raise UsageError(
            f"only a complete trial has a score to export, but trial {trial.number} of study "
            f"{study.name!r} is {trial.state}; `freerun status {study.name}` names the best one"
        )
    return Claim(
        purpose="search",
        score=trial.score,
        replica_scores=trial.record.replica_scores or (),
        scored_against=definition.task.score_against,
        horizon_steps=definition.task.horizon_steps,
        verdict=trial.record.verdict,
        averaging=definition.task.score_averaging,
        errors=trial.record.errors,
    )


def _with_weights(
    trained: Mapping[FinalPurpose, Outcome], *, is_table: bool
) -> FinalPurpose | None:
    """The purpose whose networks to export, None where none were kept."""
    preferred: tuple[FinalPurpose, ...] = ("test", "final") if is_table else ("final",)
    found = (p for p in preferred if p in trained and trained[p].has_weights)
    return next(found, None)
