"""Routes that keep the server busy for minutes at many trials, while nobody else gets an answer."""

import re
from collections.abc import Callable
from http import HTTPStatus

from search.results.dashboard.wsgi import App, Body, Environ, Start, path, refusal

# Up to so many trials optuna-dashboard's plots on the server may be asked for; benchmarks/
# dashboard_speed.py --plots measures them. The page draws its own, and asks for none of these
# unless it is told to in its settings.
MOST_TRIALS = {"contour": 200, "rank": 200}
MOST_TRIALS_OTHERWISE = 2000

_PLOT = re.compile(r"/api/studies/(\d+)/plot/(\w+)")


class CostlyPlots:
    """Refuses plots that the server would draw of too many trials.

    trials_of: how many a study has, by its id; None where that is not known.
    """

    def __init__(self, app: App, trials_of: Callable[[int], int | None]) -> None:
        self._app = app
        self._trials_of = trials_of

    def __call__(self, environ: Environ, start: Start) -> Body:
        found = _PLOT.fullmatch(path(environ))
        if found is None:
            return self._app(environ, start)
        most = MOST_TRIALS.get(found[2], MOST_TRIALS_OTHERWISE)
        trials = self._trials_of(int(found[1]))
        if trials is not None and trials > most:
            reason = (
                f"the plot {found[2]} is drawn up to {most:,} trials, but the study has "
                f"{trials:,}; see `freerun report`"
            )
            return refusal(start, HTTPStatus.FORBIDDEN, reason)
        return self._app(environ, start)
