"""The export of a candidate: a folder with all that is needed to train it again, and its networks.

content     Export: what a folder holds, as one value
of_study    export_study: the winner of a study, or one of its trials
folder      write_export, read_export: the value as files, checked by their checksums
"""

from search.export.content import Claim, Export
from search.export.folder import read_export, write_export
from search.export.of_study import export_of, export_study

__all__ = [
    "Claim",
    "Export",
    "export_of",
    "export_study",
    "read_export",
    "write_export",
]
