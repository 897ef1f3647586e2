"""How often somebody may try to log in."""

import time
from collections import deque
from collections.abc import Callable
from threading import Lock

# Of one address, and of all together: passwords may be tried from many addresses.
PER_ADDRESS, OF_ALL = 5, 50
WINDOW_SECONDS = 60.0


class Attempts:
    """Counts attempts within the last minute; safe with threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._latest: deque[tuple[float, str]] = deque()

    def wait_seconds(self, address: str) -> float:
        """Count an attempt and return 0.0, or return how long the address has to wait."""
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
        """Take back the attempts of an address that has logged in."""
        with self._lock:
            kept = [(at, whose) for at, whose in self._latest if whose != address]
            self._latest = deque(kept)
