"""Which files are tables, and what a study on one is called."""

import re
from pathlib import Path

# By the ending, since nothing is read to tell a table from a study file or from a study's name.
ENDINGS = {".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xls", ".ods"}
_PACKED = {".gz", ".zst"}
_LONGEST_NAME = 100


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name, which may have a further ending for compression."""
    own = Path(path.stem) if path.suffix.lower() in _PACKED else path
    return own.suffix.lower() in ENDINGS


def study_name(path: Path) -> str:
    """A name for the study on a table: the file's, without what no name of a study may have."""
    stem = Path(path.stem).stem if path.suffix.lower() in _PACKED else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:_LONGEST_NAME] or "series"
