"""Progress of a running study: a bar in a notebook, else what `freerun run` shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.running.fleet import Progress


@contextmanager
def shown_progress(name: str, *, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Show a study's progress while the block runs; yields what to call with news."""
    if quiet:
        yield lambda _progress: None
    elif is_notebook():
        yield NotebookBar(name)
    else:
        from search.cli.progress import shown_progress as shown_in_terminal

        with shown_in_terminal(name) as show:
            yield show


def is_notebook() -> bool:
    """Whether this is a notebook's kernel; a console of IPython shows what a terminal shows."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class NotebookBar:
    """A bar below the cell, that is replaced with each news.

    display: shows a value that has `_repr_html_` and returns a handle with `update`; IPython's own
    by default.
    """

    def __init__(self, name: str, display: Callable[..., Any] | None = None) -> None:
        from search.cli.progress import News

        self._name = name
        self._news_of = News()
        if display is None:
            from IPython.display import display as in_cell

            display = in_cell
        self._handle = display(Bar(name, 0.0, ("starting workers",)), display_id=True)

    def __call__(self, progress: Progress) -> None:
        from search.cli.progress import share

        self._handle.update(Bar(self._name, share(progress), self._news_of(progress)))


class Bar:
    """A bar as HTML, and as a line of text where there is none.

    share: of the budget that is spent, 0 to 1.
    """

    def __init__(self, name: str, share: float, news: tuple[str, ...]) -> None:
        self._name, self._share, self._news = name, share, news

    def __repr__(self) -> str:
        return f"{self._name}: {', '.join(self._news)}"

    def _repr_html_(self) -> str:
        return (
            f"<div>{escape(self._name)} <progress max='1' value='{self._share:.3f}'></progress> "
            f"{escape(' | '.join(self._news))}</div>"
        )
