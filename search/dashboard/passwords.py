"""Which passwords a new login may have (OWASP ASVS 4.0.3, section 2.1)."""

import re

from search.errors import UsageError
from search.names import is_text

FEWEST_CHARACTERS, MOST_CHARACTERS = 12, 128

# What lists of leaked passwords are made of, for the most part, where they are long enough at all.
_WORDS = (
    *("password", "passwort", "passw0rd", "p@ssw0rd", "p@ssword", "motdepasse", "contraseña"),
    *("administrator", "admin", "root", "user", "guest", "test", "default", "secret", "changeme"),
    *("letmein", "welcome", "willkommen", "iloveyou", "hello", "login", "master", "monkey"),
    *("dragon", "football", "baseball", "sunshine", "princess", "superman", "trustno1"),
    *("freerun", "optuna", "dashboard"),
)
_ROWS = (
    *("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm"),
    *("qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn", "1q2w3e4r5t6y7u8i9o0p"),
    *("1qaz2wsx3edc4rfv5tgb6yhn7ujm", "qazwsxedcrfvtgbyhnujm"),
)
_SHORTEST_RUN = 3
_REPEATED = re.compile(r"(.+?)\1+")
_FEWEST_LEFT = 5


def check_new_password(password: str, user: str) -> None:
    """Raises UsageError, without the password, for one that is short, long or easy to guess.

    Any sign is allowed and none is asked for. user: whose name is no part of what is hard to guess.
    """
    if not is_text(password):
        raise UsageError("a password must be UTF-8 text; give another one")
    length = len(password)
    if length <= MOST_CHARACTERS:
        length = len(re.sub(r" +", " ", password))
    if not FEWEST_CHARACTERS <= length <= MOST_CHARACTERS:
        raise UsageError(
            f"a password must have {FEWEST_CHARACTERS} to {MOST_CHARACTERS} characters (several "
            f"blanks count as one), but this one has {length}; give another one"
        )
    if len(_hard_part(password, user)) < _FEWEST_LEFT:
        raise UsageError(
            "a password must not consist of common words, rows of keys, repetitions and the user's "
            "name; give another one, such as four words that have nothing to do with each other"
        )


def _hard_part(password: str, user: str) -> str:
    """What is left of a password without what is guessed first."""
    left = password.casefold()
    for word in sorted((user.casefold(), *_WORDS), key=len, reverse=True):
        left = left.replace(word, "")
    for row in _ROWS:
        for known in (row, row[::-1]):
            left = _without_runs(left, known)
    return _REPEATED.sub(r"\1", left)


def _without_runs(text: str, row: str) -> str:
    """The text without pieces of a row of signs."""
    kept, place = [], 0
    while place < len(text):
        end = place
        while end < len(text) and text[place : end + 1] in row:
            end += 1
        if end - place < _SHORTEST_RUN:
            kept.append(text[place])
            end = place + 1
        place = end
    return "".join(kept)
