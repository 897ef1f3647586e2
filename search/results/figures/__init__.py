"""The report's figures: each module has a function that returns rows and one that draws them.

What a line means is told by its dash or marker as well as by its colour, and its name is the
`meta` of its trace, by which the report recolours it for a dark page.
"""

from search.results.figures.error_by_horizon import Curve, draw_curves, horizon_curve
from search.results.figures.importances import draw_importances
from search.results.figures.palette import COLOURS, Role
from search.results.figures.rate import Rate, draw_rate, rate_rows
from search.results.figures.rollout import Rollout, draw_rollout, rollout_rows
from search.results.figures.score_history import History, draw_history, history_rows

__all__ = [
    "COLOURS",
    "Curve",
    "History",
    "Rate",
    "Role",
    "Rollout",
    "draw_curves",
    "draw_history",
    "draw_importances",
    "draw_rate",
    "draw_rollout",
    "history_rows",
    "horizon_curve",
    "rate_rows",
    "rollout_rows",
]
