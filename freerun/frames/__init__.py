"""Series as Python users have them: NumPy, pandas and polars, to tables and back.

A series goes through a Parquet file in a temporary folder, so that it is read by the rules, and
refused with the messages, of a file that a user names. pandas is used only where it is loaded
already, since nobody has a data frame of it otherwise.
"""

from freerun.frames.ahead import Ahead, ahead_of
from freerun.frames.reading import read_rows
from freerun.frames.rows import Rows, as_parquet, read_as_table

__all__ = ["Ahead", "Rows", "ahead_of", "as_parquet", "read_as_table", "read_rows"]
