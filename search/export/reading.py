"""What is refused of a table that an export reads, which has no study file to change."""

from collections.abc import Iterator
from contextlib import contextmanager

from search.errors import SeriesError


@contextmanager
def of_its_study() -> Iterator[None]:
    """Let a message that advises keys of [series] say whose they are.

    An export reads tables by the keys that its study had.
    """
    try:
        yield
    except SeriesError as error:
        if "[series]" not in str(error):
            raise
        raise SeriesError(
            f"{error}; an export has the [series] of its study, so change the table, or export a "
            "study with that key"
        ) from error.__cause__
