"""Which new passwords are taken, and that no message shows one."""

import pytest

from search.dashboard.credentials import Credentials
from search.dashboard.passwords import MOST_CHARACTERS, check_new_password
from search.errors import UsageError


@pytest.mark.parametrize(
    "password",
    [
        *("", "eleven char", "a" + " " * 20 + "b", "é" * 11, "x" * (MOST_CHARACTERS + 1)),
        "countess of" + " " * MOST_CHARACTERS + "lovelace",
    ],
)
def test_a_short_or_endless_password_is_refused(password: str) -> None:
    with pytest.raises(UsageError, match="must have 12 to 128 characters"):
        check_new_password(password, "ada")


@pytest.mark.parametrize(
    "password",
    [
        *("password1234", "PasswordPassword", "passw0rd123!", "123456789012", "qwertyuiop12"),
        *("1q2w3e4r5t6y", "1qaz2wsx3edc", "aaaaaaaaaaaaaa", "abcabcabcabc", "adaadaadaada"),
        *("iloveyou2026", "changeme1234", "Administrator1", "freerun-dashboard", "0987654321098"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(UsageError, match="must not consist of common words") as raised:
        check_new_password(password, "ada")
    assert password not in str(raised.value)


@pytest.mark.parametrize(
    "password",
    [
        "countess of lovelace",
        "ねこがすきです、とても好き",
        "🐈🐕🐎🐄🐖🐑🐐🦌🐿🦔🦇🦉",
        "only lower case letters",
        "7305 2918 4406 1983",
        "".join(chr(65 + place * 7 % 26) + str(place) for place in range(50))[:MOST_CHARACTERS],
    ],
)
def test_any_other_password_is_taken_as_it_is(password: str) -> None:
    credentials = Credentials.of("ada", password)
    assert credentials.matches("ada", password)
    assert not credentials.matches("ada", password[:-1])
    assert not credentials.matches("ada", password.swapcase() + " ")


def test_bytes_that_are_no_text_are_no_password() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        check_new_password("countess of \udcff", "ada")
