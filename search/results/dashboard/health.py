"""Whether the dashboard answers, for those who watch over it and have no login."""

from http import HTTPStatus

from search.results.dashboard.wsgi import App, Body, Environ, Start, answer, path

HEALTH_PATH = "/health"


class Health:
    """Answers 200 at /health, and passes on everything else."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(self, environ: Environ, start: Start) -> Body:
        if path(environ) == HEALTH_PATH:
            return answer(start, HTTPStatus.OK, b"ok\n", "text/plain; charset=utf-8")
        return self._app(environ, start)
