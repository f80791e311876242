"""Passcodes as salted scrypt hashes (RFC 7914), in a text form for configuration files.

The form is ``scrypt$n$r$p$salt$hash``, salt and hash in Base64. Cost and length are bounded
where a hash is read, so that no text can make one verification take a minute or a gigabyte.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import Final, Self

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge

__all__ = ["ScryptCost", "ScryptHash", "hash_passcode", "parse_hash"]

_SCHEME: Final = "scrypt"
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_MOST_SALT_BYTES: Final = 64

_MOST_MEMORY_BYTES: Final = 128 << 20
"""What one verification may use: the highest that OWASP's advice for scrypt asks for."""

_MOST_WORK: Final = 4 * _MOST_MEMORY_BYTES
"""The product 128·n·r·p: about two seconds of one core."""

_SPARE_BYTES: Final = 1 << 20
"""Room for what OpenSSL allocates beside the table."""


def _wrong(message: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_CONFIGURATION, message)


@attrs.frozen
class ScryptCost:
    """How much work a passcode's hash takes (RFC 7914 2).

    The default needs 16 MiB and about 0.15 s of a core, one of the settings that OWASP's
    Password Storage Cheat Sheet asks for at least.
    """

    n: int = 1 << 14
    """Iterations, a power of two."""
    r: int = 8
    """Size of a block, in units of 128 bytes."""
    p: int = 5
    """How often it is all done."""

    def __attrs_post_init__(self) -> None:
        if self.n < 2 or self.n & (self.n - 1):
            raise _wrong(f"n of scrypt is {self.n}, but must be a power of two above 1")
        if self.r < 1 or self.p < 1:
            raise _wrong(f"r and p of scrypt are {self.r} and {self.p}, but must be 1 or more")
        if self.memory_bytes > _MOST_MEMORY_BYTES or self.memory_bytes * self.p > _MOST_WORK:
            raise _wrong(
                f"scrypt with n={self.n}, r={self.r}, p={self.p} costs too much for each "
                f"association; 128·n·r may be {_MOST_MEMORY_BYTES} and 128·n·r·p {_MOST_WORK}"
            )

    @property
    def memory_bytes(self) -> int:
        """The memory that one computation takes."""
        return 128 * self.n * self.r

    def apply(self, passcode: bytes, salt: bytes) -> bytes:
        """Compute the hash of a passcode."""
        return hashlib.scrypt(
            passcode,
            salt=salt,
            n=self.n,
            r=self.r,
            p=self.p,
            maxmem=self.memory_bytes + 128 * self.r * self.p + _SPARE_BYTES,
            dklen=_HASH_BYTES,
        )


def _masked(value: bytes) -> str:
    return f"<{len(value)} bytes>"


@attrs.frozen
class ScryptHash:
    """The salted hash of a passcode."""

    cost: ScryptCost
    """How it was made."""
    salt: bytes = attrs.field(repr=_masked)
    """Random bytes, another value for each passcode."""
    digest: bytes = attrs.field(repr=_masked)
    """The hash."""

    @classmethod
    def of(cls, passcode: bytes, cost: ScryptCost) -> Self:
        """Hash a passcode with a new salt."""
        salt = os.urandom(_SALT_BYTES)
        return cls(cost, salt, cost.apply(passcode, salt))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; for use inside a layer.

        Raises:
            PacsException: ``INVALID_CONFIGURATION``. The text itself is not in the message,
                because somebody may have put a passcode there.
        """
        parts = text.strip().split("$")
        if len(parts) != 6 or parts[0] != _SCHEME:
            raise _wrong(
                "this is no hash of a passcode; make one with hash_passcode(), it reads "
                "scrypt$n$r$p$salt$hash"
            )
        try:
            n, r, p = (int(part) for part in parts[1:4] if part.isdecimal() and len(part) < 10)
        except ValueError as exc:
            raise _wrong("n, r or p of a passcode's hash is not a number of scrypt") from exc
        try:
            salt, digest = (base64.b64decode(part, validate=True) for part in parts[4:])
        except (binascii.Error, ValueError) as exc:
            raise _wrong("the salt or the hash of a passcode is not Base64") from exc
        if not 8 <= len(salt) <= _MOST_SALT_BYTES or len(digest) != _HASH_BYTES:
            raise _wrong(
                f"a passcode's hash needs a salt of 8 to {_MOST_SALT_BYTES} bytes and "
                f"{_HASH_BYTES} bytes of hash, not {len(salt)} and {len(digest)}"
            )
        return cls(ScryptCost(n, r, p), salt, digest)

    def text(self) -> str:
        """Write the text form."""
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        cost = self.cost
        return f"{_SCHEME}${cost.n}${cost.r}${cost.p}${salt}${digest}"

    def fits(self, passcode: bytes) -> bool:
        """Tell whether a passcode is the one, in a time that does not depend on the answer."""
        return hmac.compare_digest(self.cost.apply(passcode, self.salt), self.digest)


@edge()
def parse_hash(text: str) -> ScryptHash:
    """Read the text form of a passcode's hash.

    Returns:
        ``Success``, or ``Failure`` with ``INVALID_CONFIGURATION``.
    """
    return ScryptHash.parse(text)


@edge()
def hash_passcode(passcode: str, cost: ScryptCost | None = None) -> str:
    """Hash a passcode with a new salt, for a configuration file.

    Args:
        passcode: The passcode; it is hashed as UTF-8, as PS3.7 D.3.3.7.1 sends it.
        cost: How much work it shall be to try a passcode.

    Returns:
        ``Success`` with ``scrypt$n$r$p$salt$hash``, or ``Failure`` with ``INVALID_ARGUMENT``
        for an empty passcode or one that has no UTF-8.
    """
    try:
        data = passcode.encode()
    except UnicodeEncodeError:
        data = b""
    if not data:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, "the passcode is empty, or has characters without UTF-8"
        )
    return ScryptHash.of(data, cost or ScryptCost()).text()
