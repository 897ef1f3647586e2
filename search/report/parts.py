"""What a report is made of: figures with their words, and sections that other rooms add."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from search.analysis.study_results import StudyResults


@dataclass(frozen=True)
class Plot:
    """A figure of plotly as JSON values; `alternative` describes it for readers who can't see it.

    key: unique within its section.
    """

    key: str
    title: str
    caption: str
    alternative: str
    figure: dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """A PNG within the page, as a data URL."""

    title: str
    caption: str
    alternative: str
    url: str


@dataclass(frozen=True)
class Block:
    """A heading, then sentences, then HTML that is trusted (a table perhaps), then figures."""

    heading: str
    sentences: Sequence[str]
    plots: Sequence[Plot] = ()
    html: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page above the studies.

    anchor: its HTML id, which no other section has. style: CSS of its own.
    """

    anchor: str
    title: str
    headline: str
    blocks: Sequence[Block]
    style: str = ""

    @property
    def plots(self) -> list[Plot]:
        """The figures that plotly draws."""
        return [plot for block in self.blocks for plot in block.plots]


# Given the studies of a report, returns the sections to show above them.
SectionMaker = Callable[[Sequence[StudyResults]], Sequence[Section]]
