"""The reference of `import freerun`: its public names, for mkdocstrings to fill in."""

from importlib import import_module
from importlib.util import find_spec

from website.markdown import page

PACKAGE = "freerun"


def python_page() -> str | None:
    """The page; None where the package is not there."""
    if find_spec(PACKAGE) is None:
        return None
    names = [name for name in import_module(PACKAGE).__all__ if not name.startswith("_")]
    return page(
        "# Python",
        f"The public names of `import {PACKAGE}`, from their docstrings.",
        *(f"::: {PACKAGE}.{name}" for name in names),
    )
