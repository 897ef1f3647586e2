"""Text from templates, and files that appear whole or not at all."""

import uuid
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from search.errors import UsageError


def template(package: str, name: str) -> Template:
    """Return a file of a package's `templates` folder; values are escaped in HTML.

    A template that uses a name which it is not given raises an error.
    """
    return _environment(package).get_template(name)


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then rename it; makes its folder if needed.

    Raises UsageError where that fails.
    """
    target = path.expanduser().resolve()
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}; name another file") from error
