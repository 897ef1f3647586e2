"""Who is logged in: a cookie that this process signed, valid for some hours."""

import hmac
import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

SESSION_SECONDS = 12 * 3600


class Sessions:
    """Signs and checks cookies by a key that dies with the process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def issue(self) -> str:
        """A cookie's value for a new session."""
        ends = str(int(self._clock()) + SESSION_SECONDS)
        return f"{ends}.{self._sign(ends)}"

    def is_valid(self, value: str) -> bool:
        """Whether this process issued the value, not too long ago."""
        ends, _, signature = value.partition(".")
        # The signature first: only then are these the digits that were written.
        if not hmac.compare_digest(signature.encode(), self._sign(ends).encode()):
            return False
        return self._clock() < int(ends)

    def _sign(self, ends: str) -> str:
        return hmac.digest(self._key, ends.encode(), "sha256").hex()


def cookie_value(cookies: str, name: str) -> str:
    """A cookie of a Cookie header, "" where it is not there."""
    try:
        found = SimpleCookie(cookies).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
