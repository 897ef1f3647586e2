"""The picture of a forecast as a file: a PNG or an HTML page, by the name's end."""

from pathlib import Path

from search.errors import UsageError
from search.export.bands import BandedForecast
from search.export.content import Export
from search.files import write_file
from search.names import cut
from search.outputs import PAGE, PICTURE, OutputKind
from search.series import Table

# Of what a long table holds, so that the title stays on one line.
_MOST_IN_TITLE = 50
SUFFIXES = (".png", ".html")


def check_picture(path: Path) -> None:
    """Raise UsageError for a name that ends in neither."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"--picture must name a file that ends in {' or '.join(SUFFIXES)}, but got {path}"
        )


def picture_kind(path: Path) -> OutputKind:
    """What a picture replaces: an older one of the same kind."""
    return PAGE if path.suffix.lower() == ".html" else PICTURE


def write_picture(export: Export, history: Table, made: BandedForecast, path: Path) -> None:
    """Draw the end of a series, the forecast from its last row, and its bands.

    Raises UsageError for a name that is neither a PNG's nor a page's, and where the file can't be
    written.
    """
    check_picture(path)
    # Imported here: matplotlib takes a second that a forecast without a picture should not wait.
    from search.plotting.forecasts import forecast_page, forecast_png

    title = f"Forecast of {made.point.rows} steps by {export.named} of {export.study}"
    if made.point.long is not None:
        title += f": {cut(str(made.point.long), _MOST_IN_TITLE)}"
    if path.suffix.lower() == ".html":
        write_file(path, forecast_page(history, made.point, made.bands, title).encode())
    else:
        write_file(path, forecast_png(history, made.point, made.bands, title))
