"""Makes a study of a hundred thousand trials on SQLite, by copies of those of a smaller one.

    python benchmarks/many_copies.py big.db --trials 100000

Sampling and drawing so many trials would take an hour and change nothing for what reads them: a
copy has the rows of its original under a number of its own, ends later, and scores a little worse.
The pictures are those of the originals.
"""

import argparse
import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.big_study import make_big_study
from benchmarks.command import count, end_with_messages
from search.errors import UsageError
from search.storage.opening import open_storage

# So many trials are made; the others are copies.
ORIGINALS = 2000

# How much later each round of copies ends.
ROUND_SECONDS = 600
# How much worse each round scores, as a share.
WORSE = 1e-4
# What is stored of a trial, by table: the columns that are copied as they are.
_CHILDREN = {
    "trial_params": "param_name, param_value, distribution_json",
    "trial_user_attributes": "key, value_json",
    "trial_system_attributes": "key, value_json",
    "trial_intermediate_values": "step, intermediate_value, intermediate_value_type",
    "freerun_trials": "study_id, cohort_key, attempts, worker_id",
    "freerun_replicas": "replica, study_id, score, training_loss, restart",
    "freerun_curves": "study_id, content",
}


def multiply(path: Path, trials: int) -> None:
    """Copy the trials of the only study of a SQLite file, all finished, until there are so many."""
    with closing(sqlite3.connect(path)) as connection, connection:
        have, highest = connection.execute("SELECT count(*), max(trial_id) FROM trials").fetchone()
        assert have == highest, "the study must be the only one, and none of its trials removed"
        rounds = -(-trials // have) - 1
        # The originals end earlier, so that no copy ends in the future.
        times = _times(-rounds * ROUND_SECONDS)
        connection.execute(
            f"UPDATE trials SET (datetime_start, datetime_complete) = (SELECT {times})"
        )
        for number in range(1, rounds + 1):
            shift = number * have
            _copy(connection, shift, min(have, trials - shift), ROUND_SECONDS * number)
            connection.execute(
                "INSERT INTO trial_values (trial_id, objective, value, value_type) "
                "SELECT trial_id + ?, objective, value * ?, value_type FROM trial_values "
                "WHERE trial_id <= ?",
                (shift, 1 + number * WORSE, min(have, trials - shift)),
            )


def _copy(connection: sqlite3.Connection, shift: int, originals: int, seconds: int) -> None:
    """Copy the first trials, all but their values; shift: of their ids and numbers."""
    connection.execute(
        "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete) "
        f"SELECT trial_id + ?, number + ?, study_id, state, {_times(seconds)} "
        "FROM trials WHERE trial_id <= ?",
        (shift, shift, originals),
    )
    for table, columns in _CHILDREN.items():
        connection.execute(
            f"INSERT INTO {table} (trial_id, {columns}) SELECT trial_id + ?, {columns} "
            f"FROM {table} WHERE trial_id <= ? ORDER BY trial_id",
            (shift, originals),
        )


def _times(seconds: int) -> str:
    return ", ".join(
        f"strftime('%Y-%m-%d %H:%M:%f000', {column}, '{seconds} seconds')"
        for column in ("datetime_start", "datetime_complete")
    )


def main() -> None:
    """Make the study `big` in a new file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, help="of SQLite, which does not exist yet")
    parser.add_argument("--trials", type=count, default=100_000)
    parser.add_argument("--originals", type=count, default=ORIGINALS)
    options = parser.parse_args()
    if options.file.exists():
        raise UsageError(f"FILE must not exist yet, but {options.file} does; name another one")
    with open_storage(f"sqlite:///{options.file}", create=True) as storage:
        originals = min(options.originals, options.trials)
        store = make_big_study(storage, "big", originals, running=0)
        for worker in store.workers():
            if not worker.left:
                store.leave(worker.worker_id)
        store.set_budget(trials=None, minutes=None)
    multiply(options.file, options.trials)
    with open_storage(f"sqlite:///{options.file}", create=False) as storage:
        print(f"big: {storage.study('big').counts()}")


if __name__ == "__main__":
    with end_with_messages():
        main()
