"""An upgrade from every older version gives the schema of a new database, and keeps all rows."""

from __future__ import annotations

import ast
import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.config import Config
from optuna.storages import RDBStorage
from sqlalchemy import (
    Engine,
    MetaData,
    Row,
    Select,
    Table,
    create_engine,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError

from search.errors import StorageError
from search.storage.database import Database
from search.storage.opening import make_engine, open_storage, upgrade_storage
from search.storage.records import FinishedTrial, Proposal, Upgrade
from search.storage.schema import MIGRATIONS, upgrade
from search.storage.tables import SCHEMA_VERSION
from search.storage.urls import parse_url

if TYPE_CHECKING:
    from tests.conftest import PostgresServer
    from tests.search.storage.conftest import Swarm

MADE_BY_0_1_0 = Path(__file__).parents[2] / "data" / "0.1.0"
VERSIONS = {"freerun_alembic_version", "freerun_schema", "alembic_version", "version_info"}
STARTERS = 8

# A step as a later version may have it: it adds, fills and alters, and here may break at its end.
NEXT_STEP = f'''"""The next step."""

import sqlalchemy as sa
from alembic import op

revision = "{SCHEMA_VERSION + 1}"
down_revision = "{SCHEMA_VERSION}"


def upgrade() -> None:
    op.create_table("freerun_plugins", sa.Column("name", sa.Text, primary_key=True))
    op.add_column("freerun_trials", sa.Column("plugin", sa.Text))
    op.execute("UPDATE freerun_trials SET plugin = 'none'")
    with op.batch_alter_table("freerun_studies") as studies:
        studies.alter_column("data_description", new_column_name="description")
    op.execute("UPDATE freerun_budgets SET minutes = 1")
'''


def unpacked(folder: Path) -> Path:
    """A copy of the SQLite database that freerun 0.1.0 left, of version 2."""
    path = folder / "freerun.db"
    path.write_bytes(gzip.decompress((MADE_BY_0_1_0 / "studies.db.gz").read_bytes()))
    return path


def move_to_postgres(file: Path, engine: Engine) -> None:
    """Make the same database on PostgreSQL, in the tables that freerun 0.1.0 made there."""
    rdb = RDBStorage(engine.url.render_as_string(hide_password=False))
    rdb.remove_session()
    rdb.engine.dispose()
    source = create_engine(f"sqlite:///{file}")
    old, new = MetaData(), MetaData()
    old.reflect(source)
    with engine.begin() as written, source.connect() as read:
        written.exec_driver_sql((MADE_BY_0_1_0 / "postgresql.sql").read_text())
        new.reflect(written)
        for table in new.sorted_tables:
            rows = read.execute(select(old.tables[table.name])).mappings().all()
            if rows and table.name not in VERSIONS - {"freerun_schema"}:
                written.execute(insert(table), [dict(row) for row in rows])
            # The next row gets an id after those that were copied.
            (key, *_) = table.primary_key
            sequence = f"pg_get_serial_sequence('{table.name}', '{key.name}')"
            last = f"(SELECT max({key.name}) FROM {table.name})"
            if key.autoincrement is True or key.server_default is not None:
                written.exec_driver_sql(f"SELECT setval({sequence}, {last})")
    source.dispose()


@pytest.fixture
def version() -> int:
    """The version of the old database: 1 was without quotas, 2 is that of freerun 0.1.0."""
    return 1


@pytest.fixture
def old(empty_database_url: str, version: int, tmp_path: Path) -> Iterator[Engine]:
    """An old database with studies in it."""
    file = unpacked(tmp_path)
    engine = create_engine(parse_url(empty_database_url))
    if engine.dialect.name == "postgresql":
        move_to_postgres(file, engine)
    with engine.begin() as connection:
        if version == 1:
            connection.exec_driver_sql("DROP TABLE freerun_quotas")
        connection.exec_driver_sql(f"UPDATE freerun_schema SET version = {version}")
    yield engine
    engine.dispose()


@pytest.fixture
def old_url(old: Engine) -> str:
    return old.url.render_as_string(hide_password=False)


@pytest.fixture
def new(empty_database_url: str, postgres: PostgresServer, tmp_path: Path) -> Iterator[Engine]:
    """A new database of the same kind as the old one."""
    is_sqlite = empty_database_url.startswith("sqlite")
    name = None if is_sqlite else postgres.create_database()
    url = f"sqlite:///{tmp_path / 'new.db'}" if name is None else postgres.url(name)
    open_storage(url, create=True).close()
    engine = create_engine(parse_url(url))
    yield engine
    engine.dispose()
    if name is not None:
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def with_next_step(tmp_path: Path) -> Path:
    """The migrations of this version and one more."""
    folder = tmp_path / "migrations 100%"
    shutil.copytree(MIGRATIONS, folder)
    (folder / "versions" / f"v{SCHEMA_VERSION + 1}_next.py").write_text(NEXT_STEP)
    return folder


def schema_of(engine: Engine) -> dict[str, Any]:
    """The definitions of freerun's tables, as the database reports them."""
    tables = inspect(engine)

    def described(table: str) -> dict[str, Any]:
        constraints = (
            tables.get_columns,
            tables.get_foreign_keys,
            tables.get_unique_constraints,
            tables.get_check_constraints,
            tables.get_indexes,
        )
        parts = {of.__name__: sorted(map(repr, of(table))) for of in constraints}
        return {**parts, "primary key": tables.get_pk_constraint(table)}

    return {t: described(t) for t in tables.get_table_names() if t.startswith("freerun_")}


def rows_of(engine: Engine) -> dict[str, list[str]]:
    """All rows of all tables, freerun's and Optuna's, except those that hold a version."""
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            name: sorted(repr(_values(row)) for row in connection.execute(_rows(table)))
            for name, table in tables.tables.items()
            if name not in VERSIONS
        }


def _rows(table: Table) -> Select[Any]:
    """All rows; what a later version added stands last, wherever a database has it."""
    columns = sorted(table.c, key=lambda column: column.name == "subject")
    return select(*columns)


def _values(row: Row[Any]) -> tuple[Any, ...]:
    # PostgreSQL's driver has a type of its own for the weights.
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)


def with_subjects(finals: list[str]) -> list[str]:
    """Rows of final jobs of before version 4 with their subjects: trials so far."""
    rows = [ast.literal_eval(row) for row in finals]
    return sorted(repr((*row, str(row[3]))) for row in rows)


def migrate(engine: Engine, migrations: Path) -> Upgrade:
    """Upgrade with other steps than those that are installed."""
    tuned = make_engine(engine.url.render_as_string(hide_password=False), create=False)
    try:
        return upgrade(Database(tuned, 0.0), migrations=migrations)
    finally:
        tuned.dispose()


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_an_upgrade_makes_the_schema_of_a_new_database_and_keeps_all_rows(
    old: Engine, old_url: str, new: Engine, version: int
) -> None:
    before = rows_of(old)
    done = upgrade_storage(old_url)
    assert (done.from_version, done.to_version) == (version, SCHEMA_VERSION)
    assert len(done.steps) == SCHEMA_VERSION - version
    assert schema_of(old) == schema_of(new)
    for table in ("freerun_alembic_version", "freerun_schema"):
        query = text(f"SELECT * FROM {table}")
        with old.connect() as upgraded, new.connect() as made_new:
            assert upgraded.execute(query).all() == made_new.execute(query).all()
    finals = with_subjects(before.pop("freerun_finals"))
    assert finals
    assert rows_of(old) == {"freerun_quotas": [], "freerun_finals": finals, **before}


def test_alembic_finds_nothing_to_change_in_a_new_database(new: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with new.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)


def test_an_upgraded_study_goes_on(old_url: str) -> None:
    upgrade_storage(old_url)
    with open_storage(old_url, create=False) as storage:
        study = storage.study("old-sine")
        before = study.counts()
        worker = study.register_worker(host="here", pid=1, machine={})
        study.set_budget(trials=before.total + 1, minutes=None)
        known = study.frozen_trials()[0]
        proposal = Proposal(known.params, known.distributions, cohort_key="a")
        (claimed,) = study.claim_new(worker, [proposal, proposal])
        assert claimed.number == before.total
        assert not study.finish(worker, [FinishedTrial(claimed.trial_id, "complete", -1.0)])
        assert study.counts().complete == before.complete + 1
        best = study.best_trial()
        assert best is not None
        assert best.number == claimed.number
        assert storage.study("old-report").budget().quotas == {}
        again = storage.create_study(
            "new", definition="{}", definition_hash="abc", quota_trials={"a": 2}
        )
        assert again.budget().quotas["a"].left == 2


def test_a_second_upgrade_does_nothing(old: Engine, old_url: str) -> None:
    upgrade_storage(old_url)
    before = schema_of(old), rows_of(old)
    again = upgrade_storage(old_url)
    assert again == Upgrade(again.storage, SCHEMA_VERSION, SCHEMA_VERSION, ())
    assert (schema_of(old), rows_of(old)) == before


def test_a_dry_run_says_what_an_upgrade_does_and_changes_nothing(old: Engine, old_url: str) -> None:
    before = schema_of(old), rows_of(old)
    planned = upgrade_storage(old_url, dry_run=True)
    assert (schema_of(old), rows_of(old)) == before
    assert planned == upgrade_storage(old_url)


@pytest.mark.parametrize(("version", "create"), [(1, True), (2, True), (2, False)])
def test_an_older_database_is_refused_and_left_as_it_is(
    old: Engine, old_url: str, version: int, create: bool
) -> None:
    before = schema_of(old), rows_of(old)
    with pytest.raises(StorageError, match=f"has schema version {version}.*`freerun upgrade`"):
        open_storage(old_url, create=create)
    assert (schema_of(old), rows_of(old)) == before


def test_one_of_many_simultaneous_upgrades_does_it(old_url: str, swarm: Swarm) -> None:
    done = swarm(STARTERS, "upgrade", old_url)
    with open_storage(old_url, create=False) as storage:
        assert len(storage.studies()) == 3
    assert sorted(steps > 0 for _, _, steps in done) == [False] * (STARTERS - 1) + [True]
    assert {to_version for _, to_version, _ in done} == {SCHEMA_VERSION}


def test_a_step_that_fails_leaves_the_database_as_it_was(old: Engine, with_next_step: Path) -> None:
    step = with_next_step / "versions" / f"v{SCHEMA_VERSION + 1}_next.py"
    step.write_text(NEXT_STEP + "    op.execute('SELECT nothing FROM nowhere')\n")
    before = schema_of(old), rows_of(old)
    with pytest.raises(DBAPIError, match="nowhere"):
        migrate(old, with_next_step)
    assert (schema_of(old), rows_of(old)) == before
    # Nothing is held any more, and the step that works is made from where the database was.
    step.write_text(NEXT_STEP)
    assert migrate(old, with_next_step).to_version == SCHEMA_VERSION + 1


def test_a_step_may_rebuild_a_table_that_others_refer_to(old: Engine, with_next_step: Path) -> None:
    before = rows_of(old)
    done = migrate(old, with_next_step)
    assert (done.to_version, done.steps[-1]) == (SCHEMA_VERSION + 1, "The next step.")
    assert {name: len(rows) for name, rows in rows_of(old).items()} == {
        "freerun_quotas": 0,
        **{name: len(rows) for name, rows in before.items()},
        "freerun_plugins": 0,
    }
    parents = {key["referred_table"] for key in inspect(old).get_foreign_keys("freerun_budgets")}
    assert parents == {"freerun_studies"}


def test_a_newer_database_is_refused(new: Engine, with_next_step: Path) -> None:
    url = new.url.render_as_string(hide_password=False)
    migrate(new, with_next_step)
    for use in (lambda: open_storage(url, create=True), lambda: upgrade_storage(url)):
        with pytest.raises(StorageError, match=f"version {SCHEMA_VERSION + 1}.*newer freerun"):
            use()


def test_a_database_without_studies_is_not_upgraded(
    empty_database_url: str, tmp_path: Path
) -> None:
    missing = "there is no storage at" if "sqlite" in empty_database_url else "holds no freerun"
    with pytest.raises(StorageError, match=missing):
        upgrade_storage(empty_database_url)
    assert not list(tmp_path.iterdir())


def test_freerun_0_1_0_refuses_a_database_of_this_version(new: Engine) -> None:
    # It reads this table alone, and takes what says 1 or 2.
    with new.connect() as connection:
        assert connection.execute(text("SELECT version FROM freerun_schema")).scalar_one() == 3
