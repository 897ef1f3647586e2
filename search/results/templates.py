"""The texts that are written to files, as templates; HTML is escaped unless it says otherwise."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


@cache
def environment() -> Environment:
    """The templates of this package; a name that is missing is an error."""
    return Environment(
        loader=PackageLoader("search.results", "templates"),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
