"""optuna-dashboard with our layer before it, from the outside in:

Framing          no other site shows it in a frame, nothing guesses types
HostCheck        400 for names that it is not known by
Compression      gzip
Health           /health, without a login
Login            401 without a session
Changes          403 for changes when read-only, or from other sites
CostlyPlots      403 for plots that would take minutes
SafeArtifacts    files that can't run scripts
StudyPages       the study's page from memory
"""

from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from threading import Thread

import optuna_dashboard

from search.dashboard.guards import Changes, CostlyPlots, HostCheck, SafeArtifacts
from search.dashboard.login import Login, OneTimeLink
from search.dashboard.passwords import Credentials
from search.dashboard.study_pages import StudyPages
from search.dashboard.wsgi import (
    App,
    Body,
    Compression,
    Environ,
    Headers,
    Start,
    answer,
    path,
    with_headers,
)
from search.storage.studies import Storage

HEALTH_PATH = "/health"


@dataclass(frozen=True)
class Access:
    """Who may do what.

    key: credentials, or a link that works once. names: of hosts that the dashboard is reached by,
    beside loopback; any_address: by any address as well. writable: whether changes are let through.
    """

    key: Credentials | OneTimeLink
    names: Collection[str] = ()
    any_address: bool = False
    writable: bool = False


def dashboard_app(storage: Storage, access: Access) -> App:
    """The whole application; a thread begins to read the studies."""
    # Given the storage, it reads through the cache; given a URL, it would read each study again.
    app: App = optuna_dashboard.wsgi(storage.optuna, artifact_store=storage.artifacts)
    pages = StudyPages(app, storage)
    Thread(target=pages.warm_up, name="warm-up", daemon=True).start()
    app = SafeArtifacts(pages)
    app = CostlyPlots(app, pages.trials_of)
    app = Changes(app, writable=access.writable)
    app = Login(app, access.key)
    app = Health(app)
    app = Compression(app)
    app = HostCheck(app, access.names, any_address=access.any_address)
    return with_headers(app, _framing)


class Health:
    """Answers 200 at /health, and passes on everything else."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(self, environ: Environ, start: Start) -> Body:
        if path(environ) == HEALTH_PATH:
            return answer(start, HTTPStatus.OK, b"ok\n", "text/plain; charset=utf-8")
        return self._app(environ, start)


def _framing(headers: Headers) -> Headers:
    own = {name.lower() for name, _ in headers}
    wanted = [
        ("X-Frame-Options", "DENY"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
    ]
    return headers + [(name, value) for name, value in wanted if name.lower() not in own]
