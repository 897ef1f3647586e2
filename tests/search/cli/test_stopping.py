"""A scheduler's SIGTERM: the worker gives back what it trains, and says that it was not done."""

import os
import signal
from pathlib import Path

from search.storage.opening import open_storage
from tests.search.cli.conftest import STUDIES, freerun, start_freerun
from tests.search.stored import attempts


def test_sigterm_gives_the_cohort_back(tmp_path: Path) -> None:
    file = tmp_path / "endless.toml"
    text = (STUDIES / "smoke.toml").read_text()
    file.write_text(text.replace("training_steps = 12", "training_steps = 1000000"))
    assert freerun(tmp_path, "run", file, "--workers", "0").code == 0
    work = start_freerun(tmp_path, "work", "smoke")
    url = f"sqlite:///{tmp_path / 'freerun.db'}"
    with open_storage(url, create=False) as storage:
        store = storage.study("smoke")
        while not store.counts().running and work.process.is_alive():
            pass
        assert work.process.pid is not None
        os.kill(work.process.pid, signal.SIGTERM)
        ended = work.wait()
        assert ended.code == 143, ended.err
        counts = store.counts()
        assert counts.running == 0
        assert counts.waiting == counts.total > 0
        (worker,) = store.workers()
        assert worker.left
        assert set(attempts(url)) == {0}
