"""`python -m search` in a process that was forked from one with everything imported.

Importing torch, Optuna and the rest takes longer than most commands; a server forks instead.
"""

import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

# What the commands import, most of it inside their functions. None of it starts a thread or opens
# anything before it is called, so that forks are safe.
_PRELOADED = (
    "search.cli.progress",
    "search.cli.resuming",
    "search.export",
    "search.export.forecast",
    "search.report.page",
    "search.analysis.status",
    "search.running.estimate",
    "search.running.retraining",
    "search.running.worker",
)
_server = get_context("forkserver")
_server.set_forkserver_preload(list(_PRELOADED))


def start(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path
) -> ForkServerProcess:
    """Start the command in a folder; what it writes goes to the files `out` and `err`.

    Libraries that read their environment when they are loaded, as torch does OMP_NUM_THREADS, have
    read that of the server.
    """
    process = _server.Process(target=_run, args=(arguments, folder, dict(environment), out, err))
    process.start()
    return process


def _run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path
) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["search", *arguments]
    runpy.run_module("search", run_name="__main__", alter_sys=True)
