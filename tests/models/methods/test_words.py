"""How messages offer a nearby name."""

import pytest

from models.methods import nearest


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("trails", " Did you mean 'trials'?"),
        ("trials", " Did you mean 'trials'?"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_nearest_offers_a_close_name_or_nothing(word: str, hint: str) -> None:
    assert nearest(word, ["minutes", "trials", "workers"]) == hint
