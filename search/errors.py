"""What freerun raises.

    FreerunError                exit code 1
    └── UserError               exit code 2: the input is wrong, and the message says the remedy
        ├── StudyFileError      a study file, or its task, that can't be run
        ├── SeriesError         a table that can't be read or used
        │   └── ConstantError   columns beside the others that are constant where they are learnt
        ├── StorageError        a storage URL that can't be opened, or a database of another version
        ├── UnknownStudyError   no study of that name
        ├── UnknownTrialError   no trial of that number
        ├── ExportError         an export folder that is missing, damaged or newer
        └── UsageError          an argument or option outside its range

A message states the rule, the offending value and the remedy.
"""

from collections.abc import Sequence
from typing import ClassVar


class FreerunError(Exception):
    """Everything that freerun itself raises."""

    exit_code: ClassVar[int] = 1


class UserError(FreerunError):
    """Something that the user gave is wrong, and only the user can put it right."""

    exit_code: ClassVar[int] = 2


class StudyFileError(UserError):
    """A study file, or the task in it, can't be run."""


class SeriesError(UserError):
    """A table can't be read, or can't serve as a series."""


class ConstantError(SeriesError):
    """Columns beside the others are constant in the training span. names: of all of them."""

    def __init__(self, message: str, names: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.names = tuple(names)


class StorageError(UserError):
    """A storage can't be opened or is of another schema version."""


class UnknownStudyError(UserError):
    """The storage holds no study of that name."""


class UnknownTrialError(UserError):
    """The study holds no trial of that number."""


class ExportError(UserError):
    """An export folder is missing, damaged or written by a newer version."""


class UsageError(UserError):
    """An argument or an option is outside what it may be."""
