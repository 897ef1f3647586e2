"""What is stored of one study, read once: its trials, its winner, and all that its report shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from models.baselines.baseline import baselines
from search.analysis.trials import Trial, best_first
from search.analysis.wording import baseline_name, short_baseline_name
from search.contest import (
    Comparison,
    at_new_level,
    baseline_of,
    compared,
    contenders,
    ensemble_members,
    ensemble_subject,
    is_baseline,
    is_trial,
    ranked,
    winner_of_jobs,
)
from search.errors import UsageError
from search.records import BaselineRecord, FinalPurpose, FinalRecord
from search.series import Table
from search.storage.records import Budget, Counts, FinalJob, Subject, WorkerStatus
from search.study.definition import StudyDefinition
from search.study.study_file import read_stored_definition

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    # `freerun status` reads results, and need not wait for torch; `forecast` not for a database.
    from models.candidate import Candidate
    from models.ensemble.ensemble_checkpoint import AnyCandidate
    from search.series import FloatArray
    from search.storage.study_store import StudyReader

# What a report reads of the record of a trial that is not complete.
_ATTRIBUTES = ("verdict", "worker", "message")


@dataclass(frozen=True, eq=False)
class Outcome:
    """A final or a test that is done: of what, what it found, and whether its networks are kept."""

    job_id: int
    purpose: FinalPurpose
    subject: Subject
    has_weights: bool
    found: FinalRecord


@dataclass(frozen=True, eq=False)
class Winner:
    """The winner of the final, and its test where that is done.

    trial: None where a baseline or an ensemble won. verdict: how it stands beside the baselines.
    """

    subject: Subject
    trial: Trial | None
    final: Outcome
    test: Outcome | None
    standing: Standing

    @property
    def last(self) -> Outcome:
        """The test, or the final as long as the test is not done."""
        return self.test or self.final

    @property
    def tested(self) -> FinalRecord | None:
        """What the test found, None where it is not done."""
        return None if self.test is None else self.test.found

    @property
    def name(self) -> str:
        """The winner in a sentence."""
        if self.trial is not None:
            return f"trial {self.trial.number}"
        baseline = baseline_of(self.subject)
        if baseline is None:
            return "the ensemble"
        return f"the baseline {short_baseline_name(baseline)}"


@dataclass(frozen=True)
class Standing:
    """The winner beside the baselines.

    is_baseline: the winner is one of them. final, test: whether it beats each of them there; None
    where there is none, or no test yet. opponent_final, opponent_test: the name of the best of the
    others there. comparison: with the best of the others in the final. left_out: how many finalists
    could not win, see `search.contest.contenders`. level_is_new: whether that is for a new level,
    where validation can't judge them and what is said of the final is without them.
    """

    is_baseline: bool
    final: bool | None
    test: bool | None
    opponent_final: str | None = None
    opponent_test: str | None = None
    comparison: Comparison | None = None
    left_out: int = 0
    level_is_new: bool = False


def winner_of(study: StudyReader) -> Winner | None:
    """Return the winner of the finals; None without one, and as long as one of them is to be done,
    also the ensemble's, which is planned after the others.

    Who leads among those that are done may not win, and is tested in no case.
    """
    jobs, definition = study.final_jobs(), read_stored_definition(study.definition)
    if any(job.purpose == "final" and job.state in ("waiting", "running") for job in jobs):
        return None
    finals = {own.subject: own for own in outcomes(jobs, "final")}
    has_draws = definition.series.is_generated
    if not has_draws and not any(job.purpose == "test" for job in jobs):
        kept = {subject: own.found for subject, own in finals.items() if own.has_weights}
        members = ensemble_members(kept)
        # Not planned yet. Earlier versions made none, and went on to the tests.
        if members and all(job.subject != ensemble_subject(members) for job in jobs):
            return None
    found = {subject: own.found for subject, own in finals.items()}
    subject = winner_of_jobs(jobs, found, has_draws=has_draws)
    if subject is None:
        return None
    tests = outcomes(jobs, "test")
    test = next((test for test in tests if test.subject == subject), None)
    trial = None
    if isinstance(subject, int):
        (frozen,) = study.frozen_trials([subject])
        trial = Trial.of(frozen)
    competing = contenders(found)
    if subject not in competing:  # chosen by an earlier version
        competing = found
    is_new = at_new_level(found)
    rivals = [own for own in finals.values() if own.subject in competing or not is_new]
    standing = _standing(finals[subject], rivals, test, tests, has_draws=has_draws)
    standing = replace(standing, left_out=len(found) - len(competing), level_is_new=is_new)
    return Winner(subject, trial, finals[subject], test, standing)


def _standing(
    final: Outcome,
    finals: Sequence[Outcome],
    test: Outcome | None,
    tests: Sequence[Outcome],
    *,
    has_draws: bool,
) -> Standing:
    own = baseline_of(final.subject)
    opponent = _least(baselines_of(finals), own)
    comparison, in_final, in_test, opponent_test = None, None, None, None
    rivals = {o.subject: o.found for o in finals if is_baseline(o.subject) and o is not final}
    if rivals:
        best = ranked(rivals)[0]
        opponent = baseline_of(best)
        comparison = compared(final.found, rivals[best], has_draws=has_draws)
        in_final = comparison.is_better
    elif opponent is not None:  # of an earlier version, which compared scores alone
        in_final = final.found.score < baselines_of(finals)[opponent].score
    if test is not None and (opponent_test := _least(baselines_of(tests), own)) is not None:
        in_test = test.found.score < baselines_of(tests)[opponent_test].score
    return Standing(own is not None, in_final, in_test, opponent, opponent_test, comparison)


def _least(baselines: Mapping[str, BaselineRecord], but: str | None) -> str | None:
    """The name of the baseline of the least score, but for one."""
    names = [name for name in baselines if name != but]
    return min(names, key=lambda name: baselines[name].score, default=None)


def outcomes(jobs: Iterable[FinalJob], purpose: FinalPurpose) -> list[Outcome]:
    """Return the jobs of a purpose that are done, the best candidate first."""
    done = {
        job.subject: Outcome(
            job.job_id, purpose, job.subject, job.has_weights, FinalRecord.from_json(job.result)
        )
        for job in jobs
        if job.purpose == purpose and job.result is not None
    }
    order = ranked({subject: outcome.found for subject, outcome in done.items()})
    return [done[subject] for subject in order]


def baselines_of(done: Sequence[Outcome]) -> dict[str, BaselineRecord]:
    """The baselines beside the finals or the tests that are done, by name.

    Those of an earlier version stand in the records of the candidates.
    """
    own = {name: of.found for of in done if (name := baseline_of(of.subject)) is not None}
    if own:
        kept = {name: own[name] for name in sorted(own, key=_place)}
        return {
            name: BaselineRecord(
                draw_scores=found.replica_scores,
                curve=found.curve,
                averaging=found.averaging,
                errors=found.errors,
                channel_scores=found.channel_scores,
                channel_errors=found.channel_errors,
            )
            for name, found in kept.items()
        }
    return dict(done[0].found.baselines) if done else {}


def _place(baseline: str) -> int:
    """Where a baseline stands among all that are installed; the others come last."""
    known = [*baselines()]
    return known.index(baseline) if baseline in known else len(known)


@dataclass(frozen=True, eq=False)
class StudyResults:
    """What a study has found so far.

    trials: of any state, by their numbers; the record of a pruned or failed one has its verdict,
    worker and message alone. complete: the best first. finals, tests: the best candidate first.
    """

    study: StudyReader
    definition: StudyDefinition
    table: Table | None
    trials: Sequence[Trial]
    complete: Sequence[Trial]
    counts: Counts
    budget: Budget
    workers: Sequence[WorkerStatus]
    finals: Sequence[Outcome]
    tests: Sequence[Outcome]
    winner: Winner | None

    @classmethod
    def read(cls, study: StudyReader) -> Self:
        data, jobs = study.data(), study.final_jobs()
        trials = _trials_of(study)
        return cls(
            study=study,
            definition=read_stored_definition(study.definition),
            table=None if data is None else Table.from_bytes(data),
            trials=trials,
            complete=best_first(trials),
            counts=study.counts(),
            budget=study.budget(),
            workers=study.workers(),
            finals=outcomes(jobs, "final"),
            tests=outcomes(jobs, "test"),
            winner=winner_of(study),
        )

    def candidate(self, trial: Trial) -> Candidate:
        """What a trial trained."""
        return self.definition.full_space().resolve(trial.params)

    def described(self, trial: Trial) -> str:
        """The same in words, also of a trial that another program made."""
        try:
            return self.candidate(trial).description()
        except UsageError:
            return "no candidate of this space (another program made it)"

    @property
    def best_trial(self) -> Outcome | None:
        """The final of the best trial in it, whoever won."""
        return next((final for final in self.finals if is_trial(final.subject)), None)

    def trial_of(self, outcome: Outcome) -> Trial:
        """The trial that a final or a test is about."""
        assert isinstance(outcome.subject, int), outcome.subject
        return self.trial(outcome.subject)

    def name_of(self, subject: Subject) -> str:
        """A subject of the final as a table has it."""
        if isinstance(subject, int):
            return f"trial {self.trial(subject).number}"
        name = baseline_of(subject)
        return "ensemble" if name is None else baseline_name(name)

    def candidate_of(self, outcome: Outcome) -> AnyCandidate:
        """What a final or a test trained."""
        if isinstance(outcome.subject, int):
            return self.candidate(self.trial(outcome.subject))
        from models.ensemble import any_from_plain

        assert outcome.found.candidate is not None, outcome.subject
        return any_from_plain(outcome.found.candidate)

    def forecast_of(self, outcome: Outcome, replica: int) -> FloatArray | None:
        """The free run of a baseline on the draw of a replica, `[time]`; None without its numbers.

        From the first start point, of the first channel.
        """
        from models.checkpoint import load
        from search.evaluation.ensembles import member_runs
        from search.study.task_data import TaskData

        content = self.study.final_weights(outcome.job_id) if outcome.has_weights else None
        if content is None:
            return None
        data, checkpoint = TaskData(self.definition, self.table), load(content)
        number = min(replica, len(checkpoint.weights) - 1)
        (run,) = member_runs([checkpoint.member(number)], [data.view(outcome.purpose, replica)])
        return run[0, 0, :, 0]

    def trial(self, trial_id: int) -> Trial:
        return next(trial for trial in self.trials if trial.trial_id == trial_id)

    def artifact(self, trial: Trial, filename: str) -> bytes | None:
        """What a trial keeps under a name, None where it does not."""
        kept = self.study.artifacts(trial.trial_id)
        return next((file.content for file in kept if file.filename == filename), None)


def _trials_of(study: StudyReader) -> list[Trial]:
    """All trials by their numbers; of a large study most are pruned, and not read whole."""
    from search.storage.outlines import Wanted

    wanted = Wanted(_ATTRIBUTES, params=None, has_course=True)
    found: list[Trial] = []
    unfinished: Sequence[FrozenTrial] = ()
    for part in study.survey(wanted, lambda _number, state: state == "complete"):
        found += map(Trial.of, part.finished)
        found += map(Trial.of_outline, part.outlines)
        unfinished = part.unfinished
    found += map(Trial.of, unfinished)
    return sorted(found, key=lambda trial: trial.number)
