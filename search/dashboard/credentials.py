"""What opens the dashboard: a password or a link that works once, then a session's cookie."""

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from search.errors import UsageError
from search.files import LOGIN_FILE, read_file, shown_path
from search.names import check_name, is_text

LOGIN_PATH = "/login"
_LOGIN_VARIABLE, _FILE_VARIABLE = "FREERUN_DASHBOARD_LOGIN", "FREERUN_DASHBOARD_LOGIN_FILE"

SESSION_SECONDS = 12 * 3600
# Tries of one address, and of all together: passwords may be tried from many addresses.
PER_ADDRESS, OF_ALL = 5, 50
WINDOW_SECONDS = 60.0

# One of the settings that OWASP's password storage cheat sheet recommends: 32 MiB, a third of a
# second.
_COST, _BLOCK, _PARALLEL = 2**15, 8, 3
_MOST_BYTES = 2**28
_SALT_BYTES, _KEY_BYTES = 16, 32
_FORM = "USER:scrypt:... as `freerun dashboard --make-login USER` prints it"

# One hash at a time: many logins at once must not fill the memory.
_one_at_a_time = Lock()


@dataclass(frozen=True)
class Credentials:
    """Who may log in: a name and a scrypt hash, kept as one line without the password.

        ada:scrypt:32768:8:3:SALT:KEY

    SALT and KEY are URL-safe base64. scrypt (Percival 2009, RFC 7914) takes its cost from the line,
    so that a later version can raise it.
    """

    user: str
    cost: int
    block: int
    parallel: int
    salt: bytes
    key: bytes

    @classmethod
    def of(cls, user: str, password: str) -> "Credentials":
        """Hash a new password. Raises UsageError for a name or a password that can't be used."""
        check_name(user, "a user's name")
        if not user or any(sign.isspace() or sign == ":" for sign in user):
            raise UsageError(
                f"a user's name must not be empty nor hold blanks or ':', but got {user!r}"
            )
        if not password or not is_text(password):
            raise UsageError("a password must be UTF-8 text and not empty; give another one")
        salt = secrets.token_bytes(_SALT_BYTES)
        keyless = cls(user, _COST, _BLOCK, _PARALLEL, salt, bytes(_KEY_BYTES))
        return replace(keyless, key=keyless.key_of(password))

    @classmethod
    def from_line(cls, line: str, where: str) -> "Credentials":
        """Read what `to_line` wrote; raises UsageError, without the line, which is a secret."""
        try:
            user, kind, cost, block, parallel, salt, key = line.strip().split(":")
            numbers = int(cost), int(block), int(parallel)
            read = cls(
                user, *numbers, base64.urlsafe_b64decode(salt), base64.urlsafe_b64decode(key)
            )
            if kind != "scrypt" or not read._is_sound:
                raise ValueError(kind)
        except ValueError:
            raise UsageError(f"{where} must hold one line {_FORM}, but does not") from None
        return read

    def to_line(self) -> str:
        """The line that is kept."""
        salt, key = (base64.urlsafe_b64encode(part).decode() for part in (self.salt, self.key))
        return f"{self.user}:scrypt:{self.cost}:{self.block}:{self.parallel}:{salt}:{key}"

    def matches(self, user: str, password: str) -> bool:
        """Whether these are the user's; takes as long for a wrong name as for a wrong password."""
        with _one_at_a_time:
            key = self.key_of(password)
        is_user = hmac.compare_digest(user.encode(), self.user.encode())
        return hmac.compare_digest(key, self.key) and is_user

    def key_of(self, password: str) -> bytes:
        """scrypt of a password with these parameters."""
        return hashlib.scrypt(
            password.encode(),
            salt=self.salt,
            n=self.cost,
            r=self.block,
            p=self.parallel,
            maxmem=_MOST_BYTES,
            dklen=len(self.key),
        )

    @property
    def _is_sound(self) -> bool:
        """Whether scrypt can be run with these, within the memory that it may take."""
        is_power = self.cost > 1 and self.cost & (self.cost - 1) == 0
        needed = 128 * self.block * (self.cost + self.parallel + 2)
        is_positive = self.block > 0 and self.parallel > 0
        is_long = len(self.salt) >= _SALT_BYTES and len(self.key) >= _KEY_BYTES
        return bool(self.user) and is_power and is_positive and needed < _MOST_BYTES and is_long


def credentials_of(
    login_file: Path | None, environment: Mapping[str, str] = os.environ
) -> Credentials | None:
    """Who may log in: from a file, else from the environment; None where neither is given.

    Raises UsageError for a file that can't be read and for a line that is no login.
    """
    if login_file is None and environment.get(_FILE_VARIABLE):
        login_file = Path(environment[_FILE_VARIABLE])
    if login_file is not None:
        # What is no UTF-8 is no such line either, and is refused without being shown.
        text = read_file(login_file, LOGIN_FILE).decode(errors="replace")
        return Credentials.from_line(text, shown_path(login_file))
    line = environment.get(_LOGIN_VARIABLE)
    return Credentials.from_line(line, _LOGIN_VARIABLE) if line else None


class OneTimeLink:
    """A secret that logs in whoever shows it first; a new one is announced when it is used.

    announce: called with the path and query of the link.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._lock = Lock()
        self._renew()

    def take(self, token: str) -> bool:
        """Whether this is the secret, which then is used up."""
        with self._lock:
            is_right = hmac.compare_digest(token.encode(), self._token.encode())
            if is_right:
                self._renew()
            return is_right

    def _renew(self) -> None:
        self._token = secrets.token_urlsafe(24)
        self._announce(f"{LOGIN_PATH}?token={self._token}")


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
