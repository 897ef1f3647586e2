"""Files that are there whole or not at all."""

import uuid
from pathlib import Path

from search.errors import UsageError


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then rename it; its folder is made if needed.

    Raises UsageError where that can't be done.
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
