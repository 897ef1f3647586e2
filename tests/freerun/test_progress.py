"""The bar of a notebook, on the events of a real run."""

from html.parser import HTMLParser
from typing import Any

from freerun.progress import NotebookBar, is_notebook
from freerun.study import Study
from search.running.fleet import progress
from tests.freerun.conftest import HORIZON, wave


class Cell:
    """What a notebook shows below a cell: every value, by the order in which it came."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def display(self, value: Any, *, display_id: bool) -> "Cell":
        assert display_id
        self.shown.append(value)
        return self

    def update(self, value: Any) -> None:
        self.shown.append(value)


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_bar_is_replaced_with_the_news_of_a_run(url: str) -> None:
    study = Study(wave(), horizon=HORIZON, name="a-b", space={"cell": ["ar"]}, storage=url)
    cell = Cell()
    bar = NotebookBar("<b>", cell.display)
    bar(progress(study._store))
    study.run(trials=1, workers=0, progress=False)
    bar(progress(study._store))
    first, before, after = cell.shown
    assert repr(first) == "<b>: starting workers"
    assert "value='0.000'" in before._repr_html_()
    assert "value='1.000'" in after._repr_html_()
    assert "1/1 trials" in repr(after)
    page = Page()
    page.feed(after._repr_html_())
    assert page.tags == ["div", "progress"]
    assert page.text.startswith("<b>")


def test_a_script_is_no_notebook() -> None:
    assert not is_notebook()
