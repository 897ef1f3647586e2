"""Text from the code as Markdown: escaped where it would mean something else."""

import re
from collections.abc import Iterable, Sequence

_CODE = re.compile(r"(`[^`\n]+`)")
_SPECIAL = re.compile(r"([\\\[\]<>*_|])")


def plain(text: str) -> str:
    """Escape what Markdown would read as a link, a tag, emphasis or a cell; `code` stays."""
    parts = _CODE.split(text)
    return "".join(
        part if number % 2 else _SPECIAL.sub(r"\\\1", part) for number, part in enumerate(parts)
    )


def code(value: str) -> str:
    """A value as code, in a cell of a table, too."""
    return "`" + value.replace("|", "\\|") + "`"


def paragraphs(text: str) -> str:
    """A docstring's text: paragraphs, and its indented blocks as blocks of code."""
    blocks: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.splitlines()
        if all(line.startswith("    ") for line in lines):
            body = "\n".join(line[4:] for line in lines)
            blocks.append(f"```text\n{body}\n```")
        else:
            blocks.append(plain(block))
    return "\n\n".join(blocks)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown already. Empty without rows."""
    lines = ["| " + " | ".join(" ".join(cell.split()) for cell in row) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(["| " + " | ".join(header) + " |", "|---" * len(header) + "|", *lines])


def page(*parts: str) -> str:
    """The parts of a page that are not empty, a line apart."""
    return "\n\n".join(part for part in parts if part) + "\n"
