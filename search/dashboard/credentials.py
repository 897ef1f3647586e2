"""Who may log in to the dashboard: a name and the hash of a password, in one line."""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from search.dashboard.passwords import check_new_password
from search.errors import UsageError
from search.files import LOGIN_FILE, read_file, shown_path
from search.names import check_name

_LOGIN_VARIABLE, _FILE_VARIABLE = "FREERUN_DASHBOARD_LOGIN", "FREERUN_DASHBOARD_LOGIN_FILE"

# One of the settings that OWASP's password storage cheat sheet recommends: 32 MiB, a third of a
# second.
_COST, _BLOCK, _PARALLEL = 2**15, 8, 3
_MOST_BYTES = 2**28
_SALT_BYTES, _KEY_BYTES = 16, 32
_FORM = "USER:scrypt:... as `freerun dashboard --make-login USER` prints it"


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
        check_new_password(password, user)
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
