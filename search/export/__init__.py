"""The export of a candidate: a folder with all that a retraining needs, and its networks."""

from search.export.content import Claim, Export
from search.export.folder import read_export, write_export

__all__ = ["Claim", "Export", "read_export", "write_export"]
