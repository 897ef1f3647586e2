"""Which files are tables, and what a study on one is called."""

import re
import unicodedata
from pathlib import Path

# By the ending, since nothing is read to tell a table from a study file or from a study's name.
ENDINGS = {".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xls", ".ods"}
_PACKED = {".gz", ".zst"}
# Letters that are no other letter with an accent.
_LETTERS = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O"}
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"}
)
_LONGEST_NAME = 100


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name, which may have a further ending for compression."""
    own = Path(path.stem) if path.suffix.lower() in _PACKED else path
    return own.suffix.lower() in ENDINGS


def study_name(path: Path) -> str:
    """A name for the study on a table: the file's, without what no name of a study may have.

    Letters with accents become those without, so that a word stays one.
    """
    stem = Path(path.stem).stem if path.suffix.lower() in _PACKED else path.stem
    plain = unicodedata.normalize("NFKD", stem.translate(_LETTERS))
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return re.sub(r"[^A-Za-z0-9._-]+", "-", bare).strip(".-")[:_LONGEST_NAME] or "series"
