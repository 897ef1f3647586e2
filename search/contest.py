"""Who wins a final: the order of its subjects, and by how much one has to beat another.

The rule, see docs/decisions/0019. On a table, the best searched candidate wins where it beats the
best baseline by more than the noise of the comparison; else the best baseline wins. Where there is
an ensemble, that takes the place of the best candidate unless the candidate beats it by twice the
noise: the best of many candidates on the same few rows is flattered by that choice, and the
ensemble, scored on rows that its weights have not seen, is not. For the same reason it need not be
better than the best of several baselines by more than the noise, but only better. Where the rows
before the test end at a new level, only what goes with the level takes part (0131), and on blocks
only that wins by itself, unless it is much worse (0139). Of a generated series, which is there to
find out what a candidate can do, the best candidate wins.

A test is made of the winner and of all baselines, so that what was tested stays the winner of a
study that ended under another rule, until further finals are planned.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.diagnostics.known import known_mean
from search.records import CandidateRecord, FinalRecord
from search.series import FloatArray
from search.storage.records import FinalJob, Subject

_BASELINE, _ENSEMBLE = "baseline ", "ensemble "

# A mean difference counts that is so many of its standard errors from zero.
LEAST_T = 1.0
# Against an ensemble. The greatest of a dozen differences that mean nothing is 1.6 in the mean.
LEAST_T_OF_THE_BEST = 2.0
# An ensemble is chosen from what has at most so many times the least error; where these are few,
# the first ones count that have at most more times.
MOST_RATIO, LEAST_MEMBERS, FAR_RATIO = 1.5, 6, 4.0
# So many units of a replica are start points of their own, and no parts of a few free runs. Where a
# mean is over as many, what is worse than the best one by more than the noise is left out as well.
MANY_UNITS = 16
# Where the series has a new level, of a contest are those that go with so much of its shift. On
# blocks only they win by themselves, unless they have more than so many times the least error.
LEAST_LEVEL_SHARE, MOST_FLATTERED = 0.9, 1.1
# Errors below are no different from none: what is left is rounding.
_LEAST_ERROR = 1e-12
# Neighbouring units are taken to share at most so much of their noise.
_MOST_CORRELATED = 0.9


def baseline_subject(name: str) -> Subject:
    """The subject of a baseline's jobs."""
    return _BASELINE + name


def baseline_of(subject: Subject) -> str | None:
    """The name of the baseline that a subject is, None for any other."""
    if isinstance(subject, str) and subject.startswith(_BASELINE):
        return subject.removeprefix(_BASELINE)
    return None


def ensemble_subject(members: Iterable[Subject]) -> Subject:
    """The subject of the jobs of an ensemble: another one where it has other members."""
    names = "\n".join(map(str, members))
    return _ENSEMBLE + hashlib.sha256(names.encode()).hexdigest()[:12]


def is_ensemble(subject: Subject) -> bool:
    return isinstance(subject, str) and subject.startswith(_ENSEMBLE)


def is_trial(subject: Subject) -> bool:
    """Whether a subject is a trial, named by its id."""
    return isinstance(subject, int)


def is_baseline(subject: Subject) -> bool:
    return baseline_of(subject) is not None


def ranked(finals: Mapping[Subject, CandidateRecord]) -> list[Subject]:
    """The subjects by their deciding scores, the least first.

    Of equals, trials come before baselines and these before the ensemble, the older trial first.
    """

    def place(subject: Subject) -> tuple[float, int, int, str]:
        mean = finals[subject].deciding_score
        if isinstance(subject, int):
            return mean, 0, subject, ""
        return mean, 2 if is_ensemble(subject) else 1, 0, subject

    return sorted(finals, key=place)


@dataclass(frozen=True)
class Comparison:
    """How one subject does beside another, in pairs of the same part of the same draw.

    log_ratio: the mean difference of the logarithms of their squared errors, below 0 where the
    first one is better. t: how many of its standard errors that is; infinite where the difference
    is the same in all pairs, 0 where there is one pair alone.
    """

    log_ratio: float
    t: float

    @property
    def is_better(self) -> bool:
        """Whether the first one is better by more than the noise of the comparison."""
        return self.beats_by(LEAST_T)

    def beats_by(self, least_t: float) -> bool:
        """Whether the first one is better by at least so many standard errors."""
        return self.log_ratio < 0.0 and self.t <= -least_t

    @property
    def ratio(self) -> float:
        """The first one's error as a share of the second one's, the geometric mean over pairs."""
        return math.exp(self.log_ratio)


def compared(one: FinalRecord, other: FinalRecord, *, has_draws: bool) -> Comparison:
    """Compare two subjects of a final in pairs.

    has_draws: whether replicas are draws of their own, as those of a generated series are. Then
    they are independent, and a draw is a pair. Replicas of a table share one truth: a pair is then
    a unit of its free runs, see `search.evaluation.results.unit_errors`, of which neighbours share
    a part of their noise, whether its replicas have cuts of their own or not. The standard error
    counts them as n (1 - r) / (1 + r) for the correlation r of neighbours (Bayley & Hammersley
    1946, for a first-order autoregression). Records of earlier versions, which have no units, are
    compared by replicas.
    """
    first, second = _logs(one, other)
    differences = first - second
    own = known_mean(differences, axis=1)
    correlation = 0.0
    if not has_draws and differences.size > 1:
        has_cuts = one.averaging != "median"
        own = differences.ravel() if has_cuts else differences.mean(axis=0)
        own = own[~np.isnan(own)]  # no pair is a unit without a known value
        correlation = _correlation(own)
    mean, count = float(own.mean()), len(own)
    if count < 2:
        return Comparison(mean, 0.0)
    std = float(own.std(ddof=1))
    if std == 0.0:
        return Comparison(mean, 0.0 if mean == 0.0 else math.copysign(math.inf, mean))
    effective = count * (1.0 - correlation) / (1.0 + correlation)
    return Comparison(mean, mean / std * math.sqrt(effective))


def winner_of_jobs(
    jobs: Sequence[FinalJob], finals: Mapping[Subject, FinalRecord], *, has_draws: bool
) -> Subject | None:
    """The winner of a study: what was tested, or else the winner among the finals that are done.

    jobs: all that follow the search. What is tested was decided by the rule of its time, and stays
    the winner until further finals are planned.
    """
    last_final = max((job.job_id for job in jobs if job.purpose == "final"), default=0)
    tests = [job for job in jobs if job.purpose == "test" and job.subject in finals]
    later = [job for job in tests if job.job_id > last_final]
    chosen = [job.subject for job in later if not is_baseline(job.subject)]
    if chosen:
        return chosen[-1]
    if later and all(is_baseline(job.subject) for job in tests):
        return best_baseline(contenders(finals))
    return winner_among(finals, has_draws=has_draws)


def winner_among(finals: Mapping[Subject, FinalRecord], *, has_draws: bool) -> Subject | None:
    """The winner of the finals that are done, see the rule above; None without one."""
    finals = contenders(finals)
    order = ranked(finals)
    trial, baseline = next(filter(is_trial, order), None), best_baseline(finals)
    if has_draws:
        return baseline if trial is None else trial

    def beats(one: Subject | None, other: Subject | None) -> bool:
        if one is None or other is None:
            return other is None
        if is_ensemble(one):
            least = (max(finals[s].deciding_score, _LEAST_ERROR) for s in (one, other))
            return next(least) < next(least)
        if order.index(one) > order.index(other):
            return False
        least_t = LEAST_T_OF_THE_BEST if is_ensemble(other) else LEAST_T
        return compared(finals[one], finals[other], has_draws=False).beats_by(least_t)

    ensemble = next(filter(is_ensemble, order), None)
    contender = trial if beats(trial, ensemble) else ensemble
    return contender if beats(contender, baseline) else baseline


def contenders(finals: Mapping[Subject, FinalRecord]) -> Mapping[Subject, FinalRecord]:
    """The finals whose subjects may win.

    Where the rows before the test end at a level that they did not have before, it is asked of
    finals how much of a shift their free runs go along with. What goes to a level that it has
    learnt can't be judged by validation, which lies among the levels that were learnt; it counts
    only where nothing else is there. The rows on both sides of a block, too, tell those who learn
    from them of its level, though not of so much: there what is better by enough counts as well.
    """
    following = {
        subject: final
        for subject, final in finals.items()
        if final.level_share is None or final.level_share >= LEAST_LEVEL_SHARE
    }
    errors = {s: own.deciding_score for s, own in finals.items() if _is_single(s)}
    least = min((errors[subject] for subject in following if subject in errors), default=math.inf)
    most = MOST_FLATTERED * min(errors.values(), default=math.inf)
    is_asked = at_new_level(finals) or least <= most
    return following if least < math.inf and is_asked else finals


def at_new_level(finals: Mapping[Subject, FinalRecord]) -> bool:
    """Whether finals were asked for their share of a shift as the level before the test is new."""
    return any(own.level_share is not None and own.level_is_new for own in finals.values())


def _is_single(subject: Subject) -> bool:
    return not is_ensemble(subject)


def best_baseline(finals: Mapping[Subject, CandidateRecord]) -> Subject | None:
    """The best of the baselines among some finals, None without any."""
    return next(filter(is_baseline, ranked(finals)), None)


def ensemble_members(finals: Mapping[Subject, FinalRecord]) -> list[Subject]:
    """The subjects that an ensemble is chosen from, the best first; none where there are no two.

    They are the finalists, baselines included, whose errors are not far above the least one: what
    diverges is never among them, and what is much worse only takes weight from the others. Where
    many start points say which are worse, that counts, and not only how much: see 0134.
    """
    if at_new_level(finals):
        finals = contenders(finals)
    order = [subject for subject in ranked(finals) if not is_ensemble(subject)]
    if not order:
        return []
    least = finals[order[0]].deciding_score
    near, far = (
        sum(finals[subject].deciding_score <= ratio * least for subject in order)
        for ratio in (MOST_RATIO, FAR_RATIO)
    )
    kept = order[: max(near, min(far, LEAST_MEMBERS))]
    certain, others = kept[:LEAST_MEMBERS], kept[LEAST_MEMBERS:]
    kept = certain + [own for own in others if not _is_behind(finals[own], finals[order[0]])]
    return kept if len(kept) > 1 else []


def _is_behind(one: FinalRecord, best: FinalRecord) -> bool:
    """Whether one is worse than the best of many by more than the noise, as many starts say."""
    has_many = all(len(units) >= MANY_UNITS for units in best.unit_errors)
    if best.averaging != "mean" or not has_many:
        return False
    return compared(best, one, has_draws=False).beats_by(LEAST_T_OF_THE_BEST)


def _logs(one: FinalRecord, other: FinalRecord) -> tuple[FloatArray, FloatArray]:
    """Logarithms of the errors of two subjects, `[replica, unit]`, of equal shapes."""
    errors = [np.array(record.unit_errors, dtype=np.float64) for record in (one, other)]
    if any(own.ndim != 2 for own in errors) or errors[0].shape[1] != errors[1].shape[1]:
        errors = [np.array(record.replica_scores)[:, np.newaxis] for record in (one, other)]
    first, second = (np.log(np.maximum(own, _LEAST_ERROR)) for own in errors)
    if len(first) != len(second):
        # One of them has been fitted once, since all its replicas would be equal.
        first, second = (
            own if len(own) == max(len(first), len(second)) else own.mean(axis=0, keepdims=True)
            for own in (first, second)
        )
    shape = np.broadcast_shapes(first.shape, second.shape)
    return np.broadcast_to(first, shape), np.broadcast_to(second, shape)


def _correlation(values: FloatArray) -> float:
    """The correlation of neighbours, from 0 to `_MOST_CORRELATED`."""
    around = values - values.mean()
    power = float(around @ around)
    if power == 0.0:
        return 0.0
    return min(max(float(around[1:] @ around[:-1]) / power, 0.0), _MOST_CORRELATED)
