"""The report: one HTML file that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

from search.storage import Storage


def write_report(storage: Storage, names: Sequence[str], path: Path) -> None:
    """Write one self-contained HTML file about the named studies.

    Raises UnknownStudyError; UsageError where the file can't be written.
    """
    raise NotImplementedError
