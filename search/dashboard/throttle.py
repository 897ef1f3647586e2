"""How often passwords may be tried."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

# Of one address within ten minutes, and of all addresses within an hour: 100 together, which is
# what OWASP ASVS 4.0.3 (2.2.1) allows for an account. Addresses that have logged in before have a
# share of their own, so that strangers can't lock them out.
PER_ADDRESS, ADDRESS_SECONDS = 10, 600.0
OF_STRANGERS, OF_KNOWN, ALL_SECONDS = 60, 40, 3600.0

_MOST_KNOWN = 100


@dataclass(frozen=True)
class _Try:
    """is_known: whether the address had logged in before."""

    at: float
    address: str
    is_known: bool


class LoginLimit:
    """Counts logins that failed or are being tried; safe with threads.

    clock: in seconds; one that does not go back with the time of day.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._tries: deque[_Try] = deque()
        self._known: deque[str] = deque(maxlen=_MOST_KNOWN)

    def wait_seconds(self, address: str) -> float:
        """Count a try and return 0.0, or return how long the address has to wait."""
        with self._lock:
            now = self._clock()
            while self._tries and self._tries[0].at <= now - ALL_SECONDS:
                self._tries.popleft()
            own = [one.at for one in self._tries if one.address == address]
            own = [at for at in own if at > now - ADDRESS_SECONDS]
            if len(own) >= PER_ADDRESS:
                return own[0] + ADDRESS_SECONDS - now
            is_known = address in self._known
            alike = [one.at for one in self._tries if one.is_known == is_known]
            if len(alike) >= (OF_KNOWN if is_known else OF_STRANGERS):
                return alike[0] + ALL_SECONDS - now
            self._tries.append(_Try(now, address, is_known))
            return 0.0

    def succeeded(self, address: str) -> None:
        """Take back the last try of an address, and know it from now on; its failures count."""
        with self._lock:
            last = next((one for one in reversed(self._tries) if one.address == address), None)
            if last is not None:
                self._tries.remove(last)
            if address not in self._known:
                self._known.append(address)
