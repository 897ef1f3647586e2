"""Studies with invented results, exports and a browser, for every room that shows or exports them.

What these fixtures need is imported when one is first used: tests of other rooms don't wait for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from search.storage.opening import open_storage
from search.storage.studies import Storage

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser

    from search.export import Export
    from tests.search.invented import Invented

Invent = Callable[..., "Invented"]
Statements = Callable[[], "AbstractContextManager[list[str]]"]

# Without a graphics card, a sandbox or anything that it would ask the network for by itself.
_CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def sine_export() -> Export:
    """An export of a generated series: the forecasters read 20 values, or 4."""
    from tests.search.invented import SINE, made_up_export

    return made_up_export(SINE, None)


@pytest.fixture
def table_export() -> Export:
    """An export of a table."""
    from tests.search.invented import YEARS, made_up_export, years_table

    return made_up_export(YEARS, years_table())


@pytest.fixture
def storage(sqlite_url: str) -> Iterator[Storage]:
    """An empty storage."""
    with open_storage(sqlite_url, create=True) as opened:
        yield opened


@pytest.fixture
def invent(storage: Storage) -> Invent:
    """Makes a study in `storage`; see `make_study`."""
    from tests.search.invented import make_study

    return partial(make_study, storage)


@pytest.fixture
def statements() -> Statements:
    """Notes the statements that any database is sent within a block."""
    from sqlalchemy import Engine, event

    @contextmanager
    def noted() -> Iterator[list[str]]:
        seen: list[str] = []

        def note(_c: object, _cursor: object, statement: str, *_others: object) -> None:
            seen.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    return noted


@pytest.fixture(scope="session")
def finished_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A storage with finished studies, made once: to be read only."""
    path = tmp_path_factory.mktemp("finished") / "freerun.db"
    with open_storage(f"sqlite:///{path}", create=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def finished(finished_storage: Storage) -> Invented:
    """The study "waves", whose trial 2 is the best of the search, and whose trial 4 won."""
    from tests.search.invented import make_study

    study = make_study(
        finished_storage,
        ("complete", 0.6),
        ("pruned", 1.5),
        ("complete", 0.1),
        ("failed", 0.0),
        ("complete", 0.2),
        ("pruned", 0.9),
    )
    study.add_final("final", {2: 0.3, 4: 0.2})
    study.add_final("test", {4: 0.25})
    return study


@pytest.fixture(scope="session")
def finished_table(finished_storage: Storage) -> Invented:
    """The study "years" of a table, whose trial 0 won."""
    from tests.search.invented import YEARS, make_study, years_table

    trials = (("complete", 0.3), ("complete", 0.5))
    study = make_study(finished_storage, *trials, raw=YEARS, table=years_table())
    study.add_final("final", {0: 0.3, 1: 0.5})
    study.add_final("test", {0: 0.4})
    return study


@pytest.fixture
def untested_table(invent: Invent) -> Invented:
    """A study of a table whose final is done, but not its test."""
    from tests.search.invented import YEARS, years_table

    study = invent(("complete", 0.3), raw=YEARS, table=years_table())
    study.add_final("final", {0: 0.3})
    return study


@pytest.fixture
def hostile_table(invent: Invent) -> Invented:
    """The study "hostile", whose columns are named like markup."""
    from search.series import Table
    from tests.search.invented import YEARS, years_table

    time, value = "</script><b>t", "</script><script>alert(1)</script>"
    series = {"source": "table", "path": "x.csv", "time": time, "columns": [value]}
    years = years_table()
    table = Table(time, years.times, (value,), years.values)
    study = invent(("complete", 0.3), raw=YEARS, table=table, name="hostile", series=series)
    study.add_final("final", {0: 0.3})
    return study


# Ended with its module: a browser draws without a graphics card, at the expense of the other tests.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of the system, without a window. Close what you open, also where a test fails."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = "there is no chromium on PATH. On Debian: apt-get install chromium."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path, args=list(_CHROMIUM_FLAGS)) as opened,
    ):
        yield opened
