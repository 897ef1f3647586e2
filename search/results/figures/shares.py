"""Shares of a whole by family, as bars side by side that differ by pattern as well as by colour."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from search.results.figures.palette import COLOURS, Role, axis, figure

# Role and pattern of each verdict.
VERDICT_LOOKS: Mapping[str, tuple[Role, str]] = {
    "tracks": ("good", ""),
    "phase drift": ("good", "/"),
    "wrong frequency": ("ar", "/"),
    "decays": ("ar", "x"),
    "flat": ("neutral", ""),
    "copies": ("neutral", "/"),
    "diverges": ("bad", ""),
    "off": ("warning", "."),
}


def draw_verdicts(families: Sequence[tuple[str, Mapping[str, int]]]) -> go.Figure:
    """Draw the share of each verdict; families: names with their trials by verdict."""
    drawn = figure(height=130 + 26 * len(families))
    names = [f"{name} ({sum(verdicts.values())})" for name, verdicts in families]
    for verdict, (role, pattern) in VERDICT_LOOKS.items():
        counts = [verdicts.get(verdict, 0) for _, verdicts in families]
        if not any(counts):
            continue
        totals = [max(1, sum(verdicts.values())) for _, verdicts in families]
        drawn.add_bar(
            x=[100 * count / total for count, total in zip(counts, totals, strict=True)],
            y=names,
            orientation="h",
            name=verdict,
            meta=role,
            customdata=counts,
            marker={
                "color": COLOURS[role][0],
                "line": {"width": 1},
                "pattern": {"shape": pattern, "solidity": 0.35},
            },
            hovertemplate=f"%{{y}}: {verdict} %{{x:.1f}} % (%{{customdata}})<extra></extra>",
        )
    drawn.update_layout(barmode="stack", bargap=0.25)
    drawn.update_xaxes(**axis("complete trials (%)", range=[0, 100]))
    drawn.update_yaxes(**axis("", autorange="reversed", type="category", automargin=True))
    return drawn
