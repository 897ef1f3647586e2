"""The export of a candidate: a folder with all that a retraining needs, and its networks."""

from search.export.content import Claim, Export, export_of
from search.export.folder import export_study, read_export, write_export

__all__ = ["Claim", "Export", "export_of", "export_study", "read_export", "write_export"]
