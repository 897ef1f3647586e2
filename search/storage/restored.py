"""A restored database begins anew: nobody holds anything, and no worker of before is let in again.

A worker that lost its database may still run when a backup takes that database's place. It is known
by its id alone. So the ids that the backup knows have left, and those that were given out after it
are never given to others: new ids go on above the seconds since the start of 2026, and no database
gives out one each second.
"""

import json
import time
from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select, union, update

from search.storage import budgets, final_jobs, leases
from search.storage.database import StudyTransaction
from search.storage.tables import FINALS, LEASES, STUDIES, WORKERS

# 2026-01-01, UTC. Ids have 31 bits, which are 68 years.
_START_OF_IDS = 1_767_225_600


def begin_anew(connection: Connection, studies: Sequence[StudyTransaction]) -> int:
    """Give back all that workers held, end their registration, and let new ids begin elsewhere.

    What they held waits as if not begun, with parameters and seeds, and no loss is counted. The
    running time is paused. Returns how many trials wait again.
    """
    released = sum(_release(study) for study in studies)
    known = connection.scalar(select(func.max(WORKERS.c.worker_id))) or 0
    first = max(known + 1, int(time.time()) - _START_OF_IDS)
    for own_id, study in enumerate(studies, start=first):
        _reserve(study, own_id)
    if studies and connection.dialect.name == "postgresql":
        # SQLite goes on above the highest id by itself.
        sequence = func.pg_get_serial_sequence(WORKERS.name, WORKERS.c.worker_id.name)
        connection.execute(select(func.setval(sequence, first + len(studies))))
    return released


def _release(study: StudyTransaction) -> int:
    running = (FINALS.c.study_id == study.study_id, FINALS.c.state == "running")
    holding = union(
        select(LEASES.c.worker_id).where(LEASES.c.study_id == study.study_id),
        select(FINALS.c.worker_id).where(*running),
    )
    held: list[int] = []
    for worker_id in study.connection.execute(holding).scalars().all():
        of_worker = sorted(leases.held(study, worker_id))
        leases.give_back(study, worker_id, of_worker)
        final_jobs.give_back(study, worker_id)
        held += of_worker
    # The clock may be another one than that of the times that are stored.
    budgets.change(study, counted_until=None, grace_until=0.0)
    here = (WORKERS.c.study_id == study.study_id, WORKERS.c.left_at.is_(None))
    left = update(WORKERS).where(*here).values(left_at=budgets.now(study.connection))
    study.connection.execute(left)
    return len(held)


def _reserve(study: StudyTransaction, worker_id: int) -> None:
    """Add a worker that is no process, and whose id is above all that were given out."""
    beats = select(func.max(WORKERS.c.last_beat)).where(WORKERS.c.study_id == study.study_id)
    created = select(STUDIES.c.created).where(STUDIES.c.study_id == study.study_id)
    # A restore is no work on the study.
    last_beat = study.connection.scalar(beats) or study.connection.scalar(created)
    row = {
        "worker_id": worker_id,
        "study_id": study.study_id,
        "host": "restored",
        "pid": budgets.NO_PID,
        "machine": json.dumps({}),
        "registered": last_beat,
        "last_beat": last_beat,
        "left_at": budgets.now(study.connection),
    }
    study.connection.execute(insert(WORKERS).values(row))
