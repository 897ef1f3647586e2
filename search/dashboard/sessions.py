"""What the server remembers of those who logged in, and the link that logs in once."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from threading import Lock

LOGIN_PATH = "/login"
# After a login, and after the last request. A page that is open asks every few seconds.
SESSION_SECONDS, IDLE_SECONDS = 12 * 3600, 2 * 3600
MOST_SESSIONS = 1000
LINK_SECONDS = 600

_TOKEN_BYTES = 32


class Sessions:
    """Open sessions of this process, by the hash of a random token; safe with threads.

    clock: in seconds; one that does not go back with the time of day.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._began_and_used: dict[bytes, tuple[float, float]] = {}

    def open(self) -> str:
        """Begin a session and return its token; beyond `MOST_SESSIONS` the oldest one ends."""
        token, now = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        with self._lock:
            while len(self._began_and_used) >= MOST_SESSIONS:
                del self._began_and_used[next(iter(self._began_and_used))]
            self._began_and_used[_hash(token)] = now, now
        return token

    def is_open(self, token: str) -> bool:
        """Whether the session is neither ended nor too old nor idle for too long; this uses it."""
        key, now = _hash(token), self._clock()
        with self._lock:
            began, used = self._began_and_used.get(key, (-float("inf"), -float("inf")))
            if now - began >= SESSION_SECONDS or now - used >= IDLE_SECONDS:
                self._began_and_used.pop(key, None)
                return False
            self._began_and_used[key] = began, now
            return True

    def end(self, token: str) -> None:
        """End a session; what is none is left alone."""
        with self._lock:
            self._began_and_used.pop(_hash(token), None)


class OneTimeLink:
    """A secret that logs in whoever shows it first, within `LINK_SECONDS`; safe with threads.

    announce: called with the path and query of each new link.
    """

    def __init__(
        self, announce: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._announce = announce
        self._clock = clock
        self._lock = Lock()
        self._renew()

    def take(self, token: str) -> bool:
        """Whether this is the secret, which then is used up and followed by a new one."""
        with self._lock:
            is_right = hmac.compare_digest(token.encode(), self._token.encode())
            is_right = is_right and self._clock() < self._ends
            if is_right:
                self._renew()
            return is_right

    def offer(self) -> None:
        """Announce a new link if the last one has expired: somebody would like to log in."""
        with self._lock:
            if self._clock() >= self._ends:
                self._renew()

    def _renew(self) -> None:
        self._token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._ends = self._clock() + LINK_SECONDS
        self._announce(f"{LOGIN_PATH}?token={self._token}")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
