"""The answer of a study, in sentences that claim no more than the numbers show."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.candidate import Candidate
from models.ensemble import Ensemble
from search.analysis.evidence import divisor, free_runs, plain_finding, shown_runs
from search.analysis.score_table import OPPONENT, by_score, pairs
from search.analysis.study_results import Standing, StudyResults, Winner, baselines_of
from search.analysis.wording import (
    beaten,
    counted,
    left_out_sentence,
    short_baseline_name,
    shown_errors,
    shown_score,
)
from search.contest import baseline_of, is_trial
from search.records import BaselineRecord, FinalRecord
from search.storage.records import Counts
from search.study.definition import StudyDefinition
from search.study.limit import attainable_nmse


@dataclass(frozen=True)
class Answer:
    """What a reader needs to know who reads nothing else.

    members: of a winning ensemble, by name with their weights, None in a median.
    """

    headline: str
    sentences: Sequence[str]
    members: Sequence[tuple[str, float | None]] = ()


def study_answer(results: StudyResults, baselines: Mapping[str, BaselineRecord]) -> Answer:
    """Return the answer of a study: its winner, else the best trial so far, if there is any.

    baselines: on the draws of the search, for a study without a final.
    """
    if results.winner is not None:
        return _winner_answer(results, results.winner)
    if not results.complete:
        return Answer("No trial is complete yet", [f"So far: {_shown_counts(results.counts)}."])
    best, task = results.complete[0], results.definition.task
    return Answer(
        f"Best so far: trial {best.number}, NMSE {shown_score(best.score)} in the search",
        [
            f"Trial {best.number} is {results.described(best)}.",
            f"Its score, against the {task.score_against} over "
            f"{counted(task.horizon_steps, 'step')}, is the least of "
            f"{counted(results.counts.complete, 'complete trial')}; as a minimum it looks better "
            "than it is. The final, which trains the best candidates again and tests the winner, "
            "is not done.",
            *(
                f"On the same data {_the(name)} has {shown_score(baselines[name].score)}."
                for name in _opponents(baselines)
            ),
        ],
    )


def _winner_answer(results: StudyResults, winner: Winner) -> Answer:
    definition, candidate = results.definition, results.candidate_of(winner.final)
    final, test = winner.final.found, winner.tested
    scored = test or final
    kind = "fresh draw" if definition.series.is_generated else "training"
    trainings = counted(len(final.replica_scores), kind)
    others = sum(is_trial(o.subject) for o in results.finals) - is_trial(winner.subject)
    beside = "other trial" if is_trial(winner.subject) else "trial"
    runs = {
        "final": free_runs(definition, results.table, "final"),
        "test": None if test is None else free_runs(definition, results.table, "test"),
    }
    sentences = [
        _standing_sentence(winner, shown_runs(runs["final"]), shown_runs(runs["test"])),
        *_left_out(winner.standing),
        f"The winner is {winner.name}: {candidate.description()}.",
        f"In the final, on {trainings}, its NMSE over "
        f"{counted(final.horizon_steps, 'step')} against the {final.scored_against}, divided by "
        f"{divisor(definition, 'final')}, is {_chosen_by(final)}, beside "
        f"{counted(others, beside)}.",
    ]
    if test is None:
        sentences.append("The test has not been done yet, so this score may flatter the winner.")
    else:
        sentences.append(_test_sentence(test, definition))
    if scored.errors is not None and shown_errors(scored.errors):
        where = "final" if test is None else "test"
        sentences.append(f"Its errors in the {where}: {shown_errors(scored.errors)}.")
    baselines = baselines_of(results.finals if test is None else results.tests)
    rivals = {n: b for n, b in baselines.items() if n != baseline_of(winner.subject)}
    sentences += [_comparison(scored, name, rivals[name]) for name in _opponents(rivals)]
    if not isinstance(candidate, Ensemble):
        sentences += _limit_sentences(scored, candidate, definition)
    if scored.scored_against == "observations":
        sentences.append(
            "Scores are against observations: their noise, which no forecaster can predict, counts "
            "as error."
        )
    where = "in the test" if test else "in the final"
    name = winner.name[0].upper() + winner.name[1:]
    where += shown_runs(runs["test" if test else "final"])
    headline = f"{name} won: NMSE {shown_score(scored.score)} {where}"
    headline = f"{headline}, verdict “{scored.verdict}”"
    members = candidate.shares if isinstance(candidate, Ensemble) else ()
    finding = plain_finding(
        winner.standing,
        baseline_of(winner.subject),
        is_generated=definition.series.is_generated,
    )
    if finding is None:
        return Answer(headline, sentences, members)
    return Answer(finding, [f"{headline}.", *sentences], members)


def _chosen_by(final: FinalRecord) -> str:
    """The score of a final, and last what the final chose by."""
    if final.averaging == "median":
        return (
            f"{shown_score(final.score)} in the median and {shown_score(final.geometric_mean)} in "
            "the geometric mean"
        )
    return f"{shown_score(final.score)} in the {final.averaging}"


def _standing_sentence(winner: Winner, final_runs: str, test_runs: str) -> str:
    """Who won, and whether it beat every baseline, in validation and in the test."""
    standing, name = winner.standing, winner.name[0].upper() + winner.name[1:]
    if standing.is_baseline:
        said = (
            f"{name} won: no searched candidate beats it in validation by more than the noise of "
            f"the comparison{final_runs}, so that it is what is exported"
        )
        if standing.test is False and standing.opponent_test is not None:
            said += f"; in the test {_the(standing.opponent_test)} is better"
        return f"{said}."
    said = f"{name} {beaten(standing.final, standing.test, final_runs, test_runs)}"
    if standing.comparison is not None and standing.opponent_final is not None:
        said += (
            f": in validation its squared error is {shown_score(standing.comparison.ratio)} of "
            f"that of {_the(standing.opponent_final)}, the best of them, "
            f"{_shown_t(standing.comparison.t)}"
        )
    return f"{said}."


def _left_out(standing: Standing) -> Iterator[str]:
    if standing.left_out:
        said = left_out_sentence(standing.left_out, level_is_new=standing.level_is_new)
        yield f"{said[0].upper()}{said[1:]}."


def _shown_t(t: float) -> str:
    if math.isinf(t):
        return "the same in all pairs"
    return f"{abs(t):.1f} standard errors of the paired comparison from equal"


def _shown_counts(counts: Counts) -> str:
    states = ("complete", "pruned", "failed", "running", "waiting")
    found = [f"{getattr(counts, state):,} {state}" for state in states if getattr(counts, state)]
    return ", ".join(found) or "no trial"


def _test_sentence(test: FinalRecord, definition: StudyDefinition) -> str:
    number = len(test.replica_scores)
    if definition.series.is_generated:
        where, runs = f"on {counted(number, 'fresh draw')}", "its free runs"
    else:
        where, runs = "on the table's last rows", f"the free runs of {counted(number, 'training')}"
    scores, on = shown_score(test.score), ""
    if len(set(test.replica_scores)) > 1:
        scores += (
            f" in the median, {shown_score(test.mean_score)} in the mean and "
            f"{shown_score(max(test.replica_scores))} at worst"
        )
    if number > 1:
        on = f" on {test.verdicts.count(test.verdict)} of {len(test.verdicts)}"
    return (
        f"In the test, {where}, which no choice has seen, {runs} over "
        f"{counted(test.horizon_steps, 'step')} have NMSE {scores}, divided by "
        f"{divisor(definition, 'test')}; the verdict is “{test.verdict}”{on}."
    )


def _limit_sentences(
    scored: FinalRecord, candidate: Candidate, definition: StudyDefinition
) -> list[str]:
    """The attainable limit, and the winner's mean to compare with it."""
    steps = candidate.architecture.shown_steps
    limit = attainable_nmse(definition, steps, scored.horizon_steps)
    floor = attainable_nmse(definition, definition.task.train_steps, scored.horizon_steps)
    if limit is None or floor is None:
        return []
    draws = len(scored.replica_scores)
    return [
        f"The attainable limit is {shown_score(limit)} for forecasters that read "
        f"{counted(steps, 'value')} with weights that do not depend on the draw, and "
        f"{shown_score(floor)} for those that know all {definition.task.train_steps:,}. Both are "
        "minimal means over draws, to compare with the winner's mean of "
        f"{shown_score(scored.mean_score)}"
        + (f", which {counted(draws, 'draw')} estimate only roughly." if draws < 100 else "."),
    ]


def _opponents(baselines: Mapping[str, BaselineRecord]) -> list[str]:
    """Return AR, and the best of the baselines if that is another one."""
    own = [name for name in baselines if name == OPPONENT]
    return list(dict.fromkeys(own + by_score(baselines)[:1]))


def _comparison(found: FinalRecord, name: str, baseline: BaselineRecord) -> str:
    better = pairs(found.replica_scores, baseline.draw_scores)
    on = "" if better is None else f"; the winner is better on {better[0]} of {better[1]}"
    result = "beats" if found.score < baseline.score else "does not beat"
    scores = shown_score(baseline.score)
    if len(baseline.draw_scores) > 1:
        scores += f" in the {found.averaging}"
        if found.averaging != "mean":
            scores += f" and {shown_score(baseline.mean_score)} in the mean"
    if len(found.replica_scores) == 1:
        return f"On the same data {_the(name)} has {scores}: the winner {result} it."
    over = f"in the {found.averaging}"
    return f"On the same data {_the(name)} has {scores}{on}: {over}, the winner {result} it."


def _the(baseline: str) -> str:
    name = short_baseline_name(baseline)
    return f"the {name}" if name == "mean" else name
