"""The export of a study's winner, or of one of its trials."""

from collections.abc import Mapping
from pathlib import Path

from search.analysis.winner import FinalPurpose, Outcome, outcomes, winner_of
from search.errors import UsageError
from search.evaluation import this_machine, this_versions
from search.export.content import Claim, Export
from search.export.folder import write_export
from search.series import Table
from search.storage import StudyReader, TrialRow
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition


def export_study(study: StudyReader, out: Path, *, trial: int | None = None) -> Export:
    """Write the export of a study's winner, or of a trial, to a folder; return what is in it.

    An older export in that folder is replaced. Raises what `export_of` and `write_export` raise.
    """
    export = export_of(study, trial)
    write_export(export, out)
    return export


def export_of(study: StudyReader, trial: int | None = None) -> Export:
    """Return the export of a study's winner, or of the complete trial of a number.

    The winner claims its final score, a trial by its number claims its score in the search.
    Weights are those of the final, or of the test where the series is a table, since these have
    learnt from more of it. A trial that was in no final has none.

    Raises UnknownTrialError; UsageError where there is no winner yet or the trial is not complete.
    """
    definition = read_stored_definition(study.definition)
    if trial is None:
        winner = winner_of(study)
        if winner is None:
            raise UsageError(
                f"study {study.name!r} must have a winner to be exported, but its final is not "
                f"done; `freerun run {study.name}` goes on to it, and --trial exports one trial"
            )
        row, claim = study.trial(winner.trial_number), _claim(winner.final)
        trained_with = winner.final.machine
    else:
        row = study.trial(trial)
        trained_with = row.user_attributes.get("machine", {})
        claim = _search_claim(study, row, definition)
    done = [*outcomes(study, "final"), *outcomes(study, "test")]
    trained = {found.purpose: found for found in done if found.trial_id == row.trial_id}
    data = study.data()
    kept = _with_weights(trained, is_table=data is not None)
    return Export(
        study=study.name,
        trial=row.number,
        candidate=definition.full_space().resolve(row.params),
        params=row.params,
        definition=definition,
        claim=claim,
        test=_claim(trained["test"]) if "test" in trained else None,
        table=None if data is None else Table.from_bytes(data),
        weights=None if kept is None else study.final_weights(trained[kept].job_id),
        weights_purpose=kept,
        versions={k: trained_with.get(k, v) for k, v in this_versions().items()},
        machine={k: trained_with.get(k, v) for k, v in this_machine().items()},
    )


def _claim(outcome: Outcome) -> Claim:
    return Claim(
        purpose=outcome.purpose,
        score=outcome.score,
        replica_scores=outcome.replica_scores,
        scored_against=outcome.scored_against,
        horizon_steps=outcome.horizon_steps,
        verdict=outcome.verdict,
    )


def _search_claim(study: StudyReader, row: TrialRow, definition: StudyDefinition) -> Claim:
    if row.state != "complete" or row.value is None:
        raise UsageError(
            f"only a complete trial has a score to export, but trial {row.number} of study "
            f"{study.name!r} is {row.state}; `freerun status {study.name}` names the best one"
        )
    verdict = row.user_attributes.get("verdict")
    return Claim(
        purpose="search",
        score=row.value,
        replica_scores=tuple(r.score for r in study.replicas().get(row.trial_id, [])),
        scored_against=definition.task.score_against,
        horizon_steps=definition.task.horizon_steps,
        verdict=None if verdict is None else str(verdict),
    )


def _with_weights(
    trained: Mapping[FinalPurpose, Outcome], *, is_table: bool
) -> FinalPurpose | None:
    """The purpose whose networks to export, None where none were kept."""
    preferred: tuple[FinalPurpose, ...] = ("test", "final") if is_table else ("final",)
    found = (p for p in preferred if p in trained and trained[p].has_weights)
    return next(found, None)
