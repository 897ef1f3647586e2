"""Passwords as they may be kept: a name and a scrypt hash in one line.

    ada:scrypt:32768:8:3:SALT:KEY

SALT and KEY are URL-safe base64. scrypt (Percival 2009, RFC 7914) takes its cost from the line, so
that a later version can raise it.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from search.errors import UsageError

LOGIN_VARIABLE, FILE_VARIABLE = "FREERUN_DASHBOARD_LOGIN", "FREERUN_DASHBOARD_LOGIN_FILE"

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
    """Who may log in. salt, key: bytes; the others are scrypt's parameters."""

    user: str
    cost: int
    block: int
    parallel: int
    salt: bytes
    key: bytes

    @classmethod
    def of(cls, user: str, password: str) -> "Credentials":
        """Hash a new password. Raises UsageError for a name or a password that can't be used."""
        if not user or any(sign.isspace() or sign == ":" for sign in user):
            raise UsageError(
                f"a user's name must not be empty nor hold blanks or ':', but got {user!r}"
            )
        if not password:
            raise UsageError("a password must not be empty; give one")
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
        except (ValueError, binascii.Error):
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


def credentials_of(login_file: Path | None, environment: Mapping[str, str]) -> Credentials | None:
    """Who may log in: from a file, else from the environment; None where neither is given.

    Raises UsageError for a file that can't be read and for a line that is no login.
    """
    if login_file is None and environment.get(FILE_VARIABLE):
        login_file = Path(environment[FILE_VARIABLE])
    if login_file is not None:
        try:
            return Credentials.from_line(login_file.read_text(), str(login_file))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text"
            raise UsageError(
                f"the login file {login_file} can't be read: {reason}; name another one"
            ) from error
    line = environment.get(LOGIN_VARIABLE)
    return Credentials.from_line(line, LOGIN_VARIABLE) if line else None


def credentials_of_process(login_file: Path | None) -> Credentials | None:
    """Who may log in, by the environment of this process."""
    return credentials_of(login_file, os.environ)
