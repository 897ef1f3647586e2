"""Methods that a test declares, and that are gone after it."""

from collections.abc import Iterator
from contextlib import contextmanager

from models.methods import load_methods, registry
from search.study.space import parameter


@contextmanager
def declared_here() -> Iterator[None]:
    """Forget the methods that are declared inside; only tests have to, so nothing public does."""
    load_methods()
    before = dict(registry._registered)
    parameter._by_name.cache_clear()
    try:
        yield
    finally:
        registry._registered.clear()
        registry._registered.update(before)
        parameter._by_name.cache_clear()


@contextmanager
def without_methods(*names: str) -> Iterator[None]:
    """As on a machine that has not installed the methods of these names."""
    with declared_here():
        for group, name in list(registry._registered):
            if name in names:
                del registry._registered[group, name]
        yield
