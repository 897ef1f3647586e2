"""Quotas: parts of a study's budget of trials, each with a name and a limit of its own.

What is used of a quota is counted where trials are claimed, in the same transaction. A trial that
fails, is pruned or is given back stays counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from search.storage.records import Proposal, Quota
from search.storage.tables import QUOTAS


def set_limits(connection: Connection, study_id: int, limits: Mapping[str, int]) -> None:
    """Set the limits of quotas, new ones or known ones; what is used of them stays."""
    if not limits:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(QUOTAS)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["study_id", "name"], set_={"trials": statement.excluded.trials}
        ),
        [{"study_id": study_id, "name": name, "trials": n} for name, n in sorted(limits.items())],
    )


def read(connection: Connection, study_id: int) -> dict[str, Quota]:
    """Return the quotas of a study by name; none where it has none."""
    of_study = select(QUOTAS).where(QUOTAS.c.study_id == study_id).order_by(QUOTAS.c.name)
    return {row.name: Quota(row.trials, row.used) for row in connection.execute(of_study)}


def within(quotas: Mapping[str, Quota], proposals: Sequence[Proposal]) -> list[Proposal]:
    """Return the proposals that their quotas allow, the first ones of each.

    Raises ValueError for a proposal of a quota that the study does not have.
    """
    left = {name: quota.left for name, quota in quotas.items()}
    allowed = []
    for proposal in proposals:
        if proposal.quota is not None:
            if proposal.quota not in left:
                raise ValueError(
                    f"a proposal's quota must be one of {', '.join(left) or 'none'}, but is "
                    f"{proposal.quota!r}"
                )
            if left[proposal.quota] == 0:
                continue
            left[proposal.quota] -= 1
        allowed.append(proposal)
    return allowed


def use(connection: Connection, study_id: int, claimed: Sequence[Proposal]) -> None:
    """Count claimed proposals. The budget of the study is locked."""
    for name, trials in Counter(proposal.quota for proposal in claimed).items():
        if name is not None:
            of_quota = (QUOTAS.c.study_id == study_id, QUOTAS.c.name == name)
            connection.execute(update(QUOTAS).where(*of_quota).values(used=QUOTAS.c.used + trials))
