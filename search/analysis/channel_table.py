"""The table of scores by channel: the winner, or the best trial, and baselines beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.diagnostics.errors import Errors
from search.analysis.score_table import by_score
from search.analysis.study_results import StudyResults, baselines_of
from search.analysis.wording import short_baseline_name
from search.contest import baseline_of
from search.records import BaselineRecord

# So many channels are listed: of more, those of the largest errors.
MOST_LISTED = 40
# And so many with the errors of every forecaster.
MOST_DETAILED = 12


@dataclass(frozen=True)
class ChannelTable:
    """NMSE of each channel by forecaster.

    where: the search, the final or the test. forecasters: their names, the candidate's first, then
    baselines by their scores. rows: channel, and the score of each forecaster, None where it kept
    none. errors: of each listed channel by forecaster, in its units, where channels have units of
    their own; else empty. left_out: channels that are not listed.
    """

    where: str
    forecasters: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float | None]]]
    left_out: int
    errors: Sequence[Sequence[Errors | None]] = ()


def channel_table(
    results: StudyResults, baselines: Mapping[str, BaselineRecord]
) -> ChannelTable | None:
    """Return the scores by channel; None for a study of one channel, or without a score of them.

    baselines: on the draws of the search, for a study without a final.
    """
    winner, where = results.winner, "search"
    errors: Mapping[str, Errors] = {}
    if winner is not None:
        own, name, where = winner.last.found.channel_scores, winner.name, winner.last.purpose
        errors = winner.last.found.channel_errors
        done = results.tests if winner.test is not None else results.finals
        won = baseline_of(winner.subject)
        baselines = {name: b for name, b in baselines_of(done).items() if name != won}
    elif results.complete:
        best = results.complete[0]
        own, name = best.record.channel_scores, f"trial {best.number}"
    else:
        return None
    if not own:
        return None
    rivals = by_score(baselines)
    listed = list(own)
    most = MOST_DETAILED if errors else MOST_LISTED
    if len(listed) > most:
        listed = sorted(own, key=lambda channel: own[channel], reverse=True)[:most]
    return ChannelTable(
        where=where,
        forecasters=[name, *map(short_baseline_name, rivals)],
        rows=[
            (
                channel,
                [own[channel], *(baselines[b].channel_scores.get(channel) for b in rivals)],
            )
            for channel in listed
        ],
        left_out=len(own) - len(listed),
        errors=[
            [errors.get(channel), *(baselines[b].channel_errors.get(channel) for b in rivals)]
            for channel in listed
        ]
        if errors
        else (),
    )
