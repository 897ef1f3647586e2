"""Where each page is in the site's navigation."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

GENERATED = "reference"
_DECISIONS = "docs/decisions"
_REFERENCE = ("study-file", "methods", "commands", "python")
_NOTEBOOKS = "examples/notebooks"


class Entry(NamedTuple):
    """A page, or a section of entries."""

    title: str
    content: "str | Sequence[Entry]"

    def to_toml(self) -> str:
        """As an inline table of `nav`."""
        if isinstance(self.content, str):
            return f"{{ {quoted(self.title)} = {quoted(self.content)} }}"
        inside = ", ".join(entry.to_toml() for entry in self.content)
        return f"{{ {quoted(self.title)} = [{inside}] }}"

    def pages(self) -> list[str]:
        """All pages in it."""
        if isinstance(self.content, str):
            return [self.content]
        return [page for entry in self.content for page in entry.pages()]


GUIDE = (
    Entry("Quick start", "docs/quick-start.md"),
    Entry("A series of your own", "docs/own-series.md"),
    Entry("Tables", "docs/tables.md"),
    Entry("Scores", "docs/scores.md"),
    Entry("Methods", "docs/methods.md"),
    Entry("From Python", "docs/python.md"),
    Entry("Study files that come along", "studies/README.md"),
    Entry("Many machines", "docs/clusters.md"),
    Entry("Backups", "docs/backups.md"),
    Entry("Dashboard and report", "docs/dashboard.md"),
    Entry("Exports", "docs/exports.md"),
    Entry("Plug-ins", "examples/plugin/README.md"),
)
BACKGROUND = (
    Entry("The limit", "docs/limit.md"),
    Entry("Presets", "docs/presets.md"),
    Entry("Architecture", "docs/architecture.md"),
    Entry("Benchmarks", "benchmarks/README.md"),
    Entry("Contributing", "CONTRIBUTING.md"),
    Entry("Changes", "CHANGELOG.md"),
    Entry("Security", "SECURITY.md"),
)
ANSWER = Entry("The answer to the report", "docs/answer.md")
HOME = Entry("freerun", "index.md")


def navigation(pages: Mapping[str, str]) -> list[Entry]:
    """Return the sections of the site.

    pages: the text of each page by its path. What no section names stands at the end of the guide,
    so that every page can be reached. Raises KeyError for a named page that does not exist.
    """

    def titled(paths: Sequence[str]) -> list[Entry]:
        return [Entry(_title(pages[path]), path) for path in paths]

    decisions = sorted(path for path in pages if path.startswith(f"{_DECISIONS}/0"))
    notebooks = sorted(path for path in pages if path.startswith(f"{_NOTEBOOKS}/"))
    reference = [path for name in _REFERENCE if (path := f"{GENERATED}/{name}.md") in pages]
    sections = [
        HOME,
        Entry("Guide", GUIDE),
        Entry("Reference", titled(reference)),
        ANSWER,
        Entry("Background", BACKGROUND),
        Entry("Decisions", [Entry("All", f"{_DECISIONS}/README.md"), *titled(decisions)]),
    ]
    named = {page for section in sections for page in section.pages()} | set(notebooks)
    if missing := named - set(pages):
        raise KeyError(
            f"website/navigation.py names {', '.join(sorted(missing))}, but none is there"
        )
    others = titled(sorted(set(pages) - named))
    extra = [Entry("Notebooks", titled(notebooks))] if notebooks else []
    sections[1] = Entry("Guide", [*GUIDE, *others, *extra])
    return sections


def _title(text: str) -> str:
    found = re.search(r"^# (.+)$", text, flags=re.MULTILINE)
    assert found is not None, f"a page has no title: {text[:80]}"
    return found[1].replace("`", "")


def quoted(value: str) -> str:
    """A text as TOML."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
