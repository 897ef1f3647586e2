"""The pages of the documentation, and the fenced blocks in them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# Every page that is written by hand; decisions are prose, but have links as well.
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "examples/**/*.md",
        "studies/*.md",
        "benchmarks/*.md",
        "website/*.md",
    )
    for path in ROOT.glob(pattern)
)
_BLOCK = re.compile(r"(<!-- run -->\n)?^```([a-z]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block of a page; a test runs it where `<!-- run -->` stands before it."""

    page: str
    line: int
    language: str
    text: str
    is_run: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def text_of(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of all pages in these languages."""
    found = []
    for page in PAGES:
        text = text_of(page)
        for match in _BLOCK.finditer(text):
            if match[2] in languages:
                line = text.count("\n", 0, match.start(3))
                found.append(Block(page, line, match[2], match[3], bool(match[1])))
    return found
