"""The export of a candidate: a folder with all that is needed to train it again, and its networks.

content     Export, export_of: what a folder holds, as one value
folder      export_study, write_export, read_export: the value as files
manifest    the format, the claims, and the checksums of the files
forecast    forecast, write_forecast_csv: what comes after the last row of a table
"""

from search.export.content import Claim, Export, export_of
from search.export.folder import export_study, read_export, write_export

__all__ = ["Claim", "Export", "export_of", "export_study", "read_export", "write_export"]
