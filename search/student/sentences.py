"""What studies of presets found, in sentences that claim no more than the numbers show."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from search.analysis.importances import Importance
from search.analysis.wording import counted, shown_score
from search.student.findings import Attempt, ComponentEffect, StudyFindings, margin
from search.study.limit import FEWEST_DRAWS, compared_with_floor
from search.study.presets import BASELINE_NAME


def headline(found: StudyFindings) -> str:
    """How many of the report's attempts track, and what the winner does."""
    attempts = [a for a in found.attempts if a.preset.is_attempt]
    complete, tracking = sum(len(a.scores) for a in attempts), sum(a.tracking for a in attempts)
    text = f"{tracking:,} of {counted(complete, 'attempt')} at the report's recipes track the wave"
    winner = found.results.winner
    if winner is None or winner.tested is None:
        return text
    verdicts = winner.tested.verdicts
    return (
        f"{text}; the winner, {winner.name}, does on {verdicts.count('tracks')} of "
        f"{len(verdicts)} fresh draws"
    )


def did_they_work(found: StudyFindings) -> list[str]:
    """Scores and verdicts of the report's attempts, and of the presets beside them."""
    attempts = [a for a in found.attempts if a.preset.is_attempt]
    others = [a for a in found.attempts if not a.preset.is_attempt]
    scores = [score for a in attempts for score in a.scores]
    best = min(attempts, key=lambda a: a.scores[0])
    verdicts: Counter[str] = Counter()
    for attempt in attempts:
        verdicts.update(attempt.verdicts)
    shares = [f"{verdict} {100 * n / len(scores):.1f} %" for verdict, n in verdicts.most_common()]
    sentences = [
        f"{counted(len(scores), 'complete attempt')} of {counted(len(attempts), 'kind')} have a "
        f"median score of {shown_score(median(scores))}; a constant at the mean of the "
        f"wave scores about 1. The best is trial {best.best_trial} ({best.name}) with "
        f"{shown_score(best.scores[0])}. As the minimum of many scores, this flatters it.",
        f"Their verdicts: {', '.join(shares)}.",
    ]
    sentences += [
        f"For comparison, {a.name} ({a.preset.change}): {counted(len(a.scores), 'trial')}, median "
        f"{shown_score(a.median)}, best {shown_score(a.scores[0])}, {a.tracking} of them track."
        for a in others
    ]
    return sentences


def what_was_possible(found: StudyFindings) -> list[str]:
    """The limit of a window of samples, and networks on draws that they were not trained on."""
    if found.limit is None:
        return []
    floor = found.limit.floor
    sentences = []
    windows = [a for a in found.attempts if a.preset.is_attempt and found.limit_at(a.context_steps)]
    read = {a.context_steps for a in windows}
    least = next((c for c in found.limit.contexts if c.samples in read), None)
    if least is not None and not found.limit.reason:
        longest = found.limit.contexts[-1]
        sentences.append(
            f"No forecaster that reads {least.samples} noisy samples, with weights that do not "
            f"depend on the draw, has a mean NMSE below {shown_score(least.nmse)} over "
            f"{counted(found.limit.horizon_steps, 'step')}. That holds even if it knows the "
            "frequency and the amplitude, since a rising and a falling wave look alike. With "
            f"{longest.samples} samples the limit is {shown_score(longest.nmse)}: what is missing "
            "is context, not another loss."
        )
        sentences += _transfers(windows, least.samples, least.nmse)
    if found.limit.reason:
        sentences.append(found.limit.reason)
    sentences += [
        f"{a.name}: a mean of {shown_score(a.transfer.mean)} over "
        f"{counted(a.transfer.draws, 'draw')} lies below the floor of "
        f"{shown_score(floor.nmse)}, which no forecaster can reach: data has leaked."
        for a in found.attempts
        if a.transfer is not None
        and compared_with_floor(
            a.transfer.mean, a.transfer.standard_error, a.transfer.draws, floor.nmse
        )
        == "leak"
    ]
    return sentences


def _transfers(windows: Sequence[Attempt], samples: int, limit: float) -> list[str]:
    measured = [
        (a.name, a.transfer)
        for a in windows
        if a.context_steps == samples and a.transfer and a.transfer.draws >= FEWEST_DRAWS
    ]
    if not measured:
        return []
    name, transfer = min(measured, key=lambda pair: pair[1].mean)
    low, high = transfer.mean - margin(transfer), transfer.mean + margin(transfer)
    side = "above" if low > limit else "not distinguishable from" if high >= limit else "below"
    return [
        f"The best trial of each preset that reads {samples} samples was trained again, and its "
        f"networks were run on {counted(transfer.draws, 'other draw')}. The least mean is that "
        f"of {name}, {shown_score(transfer.mean)} (95 % interval {shown_score(low)} to "
        f"{shown_score(high)}), {side} the limit of {shown_score(limit)}. The score of a trial "
        "can be lower: its networks were trained on the same draw and have seen more than their "
        "window."
    ]


def why_one_step_looks_good(found: StudyFindings) -> list[str]:
    """The one-step forecast against persistence and the free run, of the report's first network."""
    trained = found.trained
    if trained is None or trained.one_step is None:
        return []
    one_step, result = trained.one_step, trained.result
    return [
        f"The free run of the {BASELINE_NAME} with the least training loss scores "
        f"{shown_score(result.score)}. Over the same steps its one-step forecasts from true values "
        f"score {shown_score(one_step.nmse)}, and repeating the last true value scores "
        f"{shown_score(one_step.persistence)}. The wave moves so little in one step that a "
        "forecast which only smooths its noisy inputs looks "
        "like the wave. The one-step loss asks for no more, and it does not measure what happens "
        "when a forecast is read again."
    ]


def what_becomes_of_an_error(found: StudyFindings) -> list[str]:
    """How fast displacements, and with them gradients, vanish along the free run."""
    left = [
        (attempt.name, attempt.sensitivity.at(10), attempt.sensitivity.at(100))
        for attempt in found.attempts
        if attempt.preset.is_attempt and attempt.sensitivity is not None
    ]
    if not left:
        return []
    vanishing = [name for name, _, late in left if late < 1e-3]
    growing = [name for name, _, late in left if late > 1.0]
    sentences = [
        "Displace one forecast of a free run a little: what is left of the displacement some steps "
        "later is also the gradient that a loss on the later forecast sends back. After 10 steps "
        "it is " + ", ".join(f"{shown_score(early)} ({name})" for name, early, _ in left[:3]) + ".",
    ]
    if vanishing:
        sentences.append(
            f"After 100 steps less than a thousandth is left in {', '.join(vanishing)}. These runs "
            "forget where they started, including the phase, and settle at a fixed point of their "
            "map. A loss on a long rollout sends almost no gradient back through them."
        )
    if growing:
        sentences.append(
            f"In {', '.join(growing)} the displacement has grown: errors take over the run. A run "
            "stays on a wave only if displacements neither vanish nor grow."
        )
    return sentences


def what_the_winner_needs(effects: Sequence[ComponentEffect]) -> list[str]:
    """Which components of the winner matter, by intervals that leave out 1."""
    if not effects:
        return []
    needed = [
        f"{e.component} (instead: {e.without}"
        + (f"; with it go {', '.join(e.along)}" if e.along else "")
        + f") {shown_score(e.ratio)} times, {shown_score(e.low)} to {shown_score(e.high)}"
        for e in effects
        if e.low > 1
    ]
    harmful = [f"{e.component} {shown_score(e.ratio)} times" for e in effects if e.high < 1]
    unclear = [e.component for e in effects if e.low <= 1 <= e.high]
    sentences = [
        f"Each component was removed from the best finalist, one at a time, and the rest was "
        f"trained again on the {counted(effects[0].pairs, 'draw')} of its final. The ratio is the "
        "geometric mean over draws of the error without it to the error with it. Components that "
        "depend on it are removed too, and the ratio is then that of all of them."
    ]
    if needed:
        sentences.append(f"The error is larger without: {'; '.join(needed)}.")
    if harmful:
        sentences.append(f"It is smaller without: {'; '.join(harmful)}.")
    if unclear:
        sentences.append(
            f"Not distinguishable from no effect here: {', '.join(unclear)}. A component shows no "
            "effect if another one can take its place."
        )
    return sentences


def what_the_cells_need(found: StudyFindings) -> list[str]:
    """What the best trials of presets need whose components were taken out."""
    ablated = [attempt for attempt in found.attempts if attempt.effects]
    if not ablated:
        return []
    return [
        "The same removal for the best trial of presets that are not of the report, on the draws "
        "of its diagnosis.",
        *(
            f"{a.name} (best {shown_score(a.scores[0])}, {a.tracking} of "
            f"{counted(len(a.scores), 'trial')} track) has a larger error without: "
            + (
                "; ".join(
                    f"{e.component} {shown_score(e.ratio)} times ({shown_score(e.low)} to "
                    f"{shown_score(e.high)})"
                    for e in a.effects
                    if e.low > 1
                )
                or "none of its components, as far as these draws can tell"
            )
            + "."
            for a in ablated
        ),
    ]


def what_decides(rows: Sequence[Importance]) -> list[str]:
    """The parameters that set the best tenth of the trials apart."""
    if not rows:
        return []
    first = ", ".join(f"{row.parameter} ({100 * row.share:.0f} %)" for row in rows[:3])
    return [
        f"Over all presets, the parameters that set the best tenth of the trials apart are "
        f"{first}. Importance says that a choice goes together with good scores in this study, not "
        "that it causes them; the removal of components, above, is the experiment."
    ]


def without_noise(noisy: StudyFindings, clean: StudyFindings | None) -> list[str]:
    """What changes where the same attempts get the wave without its noise."""
    if clean is None:
        return []
    sentences = []
    for name in (BASELINE_NAME, "multi-step", "recursive-three-loss"):
        one, other = noisy.attempt(name), clean.attempt(name)
        if one is not None and other is not None:
            sentences.append(
                f"{name}: median {shown_score(one.median)} with noise, "
                f"{shown_score(other.median)} without; best {shown_score(one.scores[0])} and "
                f"{shown_score(other.scores[0])}; {one.tracking} of {len(one.scores)} and "
                f"{other.tracking} of {len(other.scores)} track."
            )
    attempts = [a for a in clean.attempts if a.preset.is_attempt]
    tracking, complete = sum(a.tracking for a in attempts), sum(len(a.scores) for a in attempts)
    if complete:
        sentences.append(
            f"Of all {counted(complete, 'attempt')} on the clean wave {tracking} track. Without "
            "noise four samples determine the phase, so a failure has another cause than missing "
            "information."
        )
    return sentences


def replayed(found: StudyFindings) -> list[str]:
    """What the report's own series, whose phase is fixed, shows."""
    if found.replay is None:
        return []
    result = found.replay.result
    return [
        "With the phase fixed at 0 a network can learn the answer by heart, so this is shown but "
        "not ranked. The baseline with the least training loss was trained on it, "
        f"{counted(len(result.replica_scores), 'network')} each with its own noise. The figures "
        f"show the median network; the median score of the free runs is "
        f"{shown_score(result.score)}, the verdict “{result.verdict}”."
    ]
