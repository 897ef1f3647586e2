"""What a user may want to know of values before anything is trained on them."""

from collections.abc import Iterator

import numpy as np

from models.diagnostics.outliers import outliers
from models.methods import counted
from search.series import Table

# A column is nearly constant where one value is in so many of its rows.
NEARLY_SHARE = 0.95


def oddity_lines(table: Table) -> Iterator[str]:
    """Columns that are nearly constant and values that lie far off, in plain words."""
    for name, values in zip(table.columns, table.values.T, strict=True):
        kinds, counts = np.unique(values, return_counts=True)
        most = int(counts.argmax())
        share = counts[most] / table.rows
        if share >= NEARLY_SHARE:
            others = table.rows - int(counts[most])
            yield (
                f"'{name}' is {kinds[most]:.6g} in all but {others:,} of its "
                f"{counted(table.rows, 'row')}: nearly constant"
            )
            continue
        rows = outliers(values)
        if rows:
            worst = rows[0]
            yield (
                f"'{name}' has {counted(len(rows), 'value')} far off the neighbours, the furthest "
                f"{values[worst]:.6g} at {table.times[worst]}; correct it if it is an error"
            )
