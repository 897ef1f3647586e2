"""What `freerun run` prints of what it found: scores by column, and how the winner stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# So many columns have a line each.
_SHOWN_CHANNELS = 8


def channel_lines(channels: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    """The winner's scores by column, where columns have units of their own."""
    from search.analysis.status import errors_line

    if len(channels) > _SHOWN_CHANNELS:
        yield f"  by column: {len(channels):,} columns, which the report lists"
        return
    for name, own in channels.items():
        known = {"nmse" if key == "score" else key: error for key, error in own.items()}
        yield f"  column {name}: {errors_line(known).removesuffix(', ')}"


def standing_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """Whether the winner beat every baseline, on how much, and what the best of them has."""
    from search.analysis.evidence import shown_runs
    from search.analysis.wording import beaten, left_out_sentence, short_baseline_name

    winner, baselines = summary["winner"], summary["baselines"]
    beats = winner["beats_baselines"]
    in_final, in_test = (
        shown_runs((summary[key] or {}).get("free_runs")) for key in ("final", "test")
    )
    if winner["is_baseline"]:
        yield (
            f"{winner['name']} won: no searched candidate beats it by more than the noise of the "
            f"comparison{in_final}; the export is that baseline"
        )
    else:
        said = beaten(beats["final"], beats["test"], in_final, in_test)
        yield f"the winner, {winner['name']}, {said}"
    if winner["left_out"]:
        yield left_out_sentence(winner["left_out"], level_is_new=winner["level_is_new"])
    for where, key in (("validation", "final"), ("the test", "test")):
        if (name := winner["best_baseline"][key]) is not None:
            of = "of the other baselines" if winner["is_baseline"] else "baseline"
            own = summary[key]["score"]
            yield (
                f"  best {of} in {where}: {short_baseline_name(name)}, "
                f"NMSE {baselines[name][key]:.4g} (winner {own:.4g})"
            )
    if winner["finding"] is not None:
        yield winner["finding"]
