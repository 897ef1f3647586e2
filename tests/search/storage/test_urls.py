"""Which URLs are understood, and that no password is shown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import StorageError
from search.storage import open_storage, redact


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///freerun.db", "sqlite:///freerun.db"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("postgresql://ann:pw@host:5432/db", "postgresql://ann:***@host:5432/db"),
        ("postgresql://:pw@host/db", "postgresql://:***@host/db"),
        ("postgresql://ann:p@s:s/w?d@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://host/db?user=ann&password=pw", "postgresql://host/db?user=ann&password=***"),
        (
            "postgresql://host/db?sslpassword=a&sslmode=b",
            "postgresql://host/db?sslpassword=***&sslmode=b",
        ),
        ("no url at all", "no url at all"),
    ],
)
def test_redact_hides_passwords_and_nothing_else(url: str, shown: str) -> None:
    assert redact(url) == shown


@settings(deadline=None, max_examples=50)
@given(password=st.text(alphabet="qwXYZ0189@:/?&#%= ", min_size=4, max_size=12))
def test_no_password_survives_redaction(password: str) -> None:
    assert redact(f"postgresql://ann:{password}@host/db") == "postgresql://ann:***@host/db"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("freerun.db", "a storage is a URL such as sqlite:///FILE"),
        ("", "a storage is a URL"),
        ("postgresql://host:port/db", "a storage is a URL"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("mysql://ann:pw@host/db", "SQLite or PostgreSQL, but got 'mysql'"),
        ("postgresql+psycopg2://ann:pw@host/db", "Write postgresql://, which uses psycopg 3"),
        ("redis://host", "SQLite or PostgreSQL"),
    ],
)
def test_other_urls_are_refused_with_the_remedy(url: str, message: str) -> None:
    with pytest.raises(StorageError) as refusal:
        open_storage(url, create=True)
    assert message in str(refusal.value)
    assert "pw" not in str(refusal.value)
