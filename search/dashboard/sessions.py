"""Who is logged in, by a cookie that this process signed; how often anybody may try to log in."""

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from threading import Lock

SESSION_SECONDS = 12 * 3600
# Tries of one address, and of all together: passwords may be tried from many addresses.
PER_ADDRESS, OF_ALL = 5, 50
WINDOW_SECONDS = 60.0


class Sessions:
    """Signs and checks cookies by a key that dies with the process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def issue(self) -> str:
        """Return a cookie's value for a new session."""
        ends = str(int(self._clock()) + SESSION_SECONDS)
        return f"{ends}.{self._sign(ends)}"

    def is_valid(self, value: str) -> bool:
        """Whether this process issued the value within the last `SESSION_SECONDS`."""
        ends, _, signature = value.partition(".")
        # The signature first: only then are these the digits that were written.
        if not hmac.compare_digest(signature.encode(), self._sign(ends).encode()):
            return False
        return self._clock() < int(ends)

    def _sign(self, ends: str) -> str:
        return hmac.digest(self._key, ends.encode(), "sha256").hex()


class LoginLimit:
    """Counts logins that were tried within the last minute; safe with threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._latest: deque[tuple[float, str]] = deque()

    def wait_seconds(self, address: str) -> float:
        """Count a try and return 0.0, or return how long the address has to wait."""
        with self._lock:
            now = self._clock()
            while self._latest and self._latest[0][0] <= now - WINDOW_SECONDS:
                self._latest.popleft()
            own = [at for at, whose in self._latest if whose == address]
            if len(own) < PER_ADDRESS and len(self._latest) < OF_ALL:
                self._latest.append((now, address))
                return 0.0
            oldest = own[0] if len(own) >= PER_ADDRESS else self._latest[0][0]
            return oldest + WINDOW_SECONDS - now

    def forget(self, address: str) -> None:
        """Take back the tries of an address that has logged in."""
        with self._lock:
            kept = [(at, whose) for at, whose in self._latest if whose != address]
            self._latest = deque(kept)


def cookie_value(cookies: str, name: str) -> str:
    """Return a cookie of a Cookie header, "" where it is not there."""
    try:
        found = SimpleCookie(cookies).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
