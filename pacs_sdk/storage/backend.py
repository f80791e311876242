"""What an archive needs of the place where objects are kept."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult

__all__ = [
    "DuplicatePolicy",
    "Durability",
    "StorageBackend",
    "StorageHealth",
    "StoredObject",
    "checked_key",
    "duplicate_error",
]


class DuplicatePolicy(enum.StrEnum):
    """What happens to an object whose key is taken by *other* bytes.

    The same bytes again are accepted under every policy and change nothing.
    """

    REJECT = "reject"
    """Refuse it: what was acknowledged first stays, and the sender is told."""
    REPLACE = "replace"
    """Keep the new one instead."""
    IGNORE = "ignore"
    """Keep the first one and accept the new one without keeping it."""


class Durability(enum.StrEnum):
    """What a success means."""

    DURABLE = "durable"
    """The bytes have been flushed to the disk: they survive a power failure."""
    RELAXED = "relaxed"
    """The bytes are with the operating system: they survive a crash of the process."""


@attrs.frozen
class StoredObject:
    """An object in a backend."""

    key: str
    """Its name, components separated by slashes."""
    size_bytes: int
    """How long it is."""
    created: bool = False
    """Whether the call that returned this put it there."""


@attrs.frozen
class StorageHealth:
    """Whether a backend can take more."""

    writable: bool
    """Whether an object can be written now."""
    free_bytes: int | None
    """How much room is left, where the backend can tell."""


class StorageBackend(Protocol):
    """Keeps objects under keys, each whole or not at all.

    A key has one to eight components of letters, digits, ``.``, ``_`` and ``-``, such
    as ``1.2.3/1.2.3.4/1.2.3.4.5.dcm``; others are ``INVALID_STORAGE_KEY``.
    """

    def put(
        self, key: str, parts: Sequence[Buffer], *, policy: DuplicatePolicy
    ) -> PacsResult[StoredObject]:
        """Keep an object whose bytes are the parts in order.

        Returns:
            ``Success`` once it is as durable as the backend promises, or ``Failure``
            with ``DUPLICATE_OBJECT``, ``STORAGE_WRITE_FAILED`` or ``INVALID_STORAGE_KEY``.
        """

    def open(self, key: str) -> PacsResult[ByteSource]:
        """Give access to an object's bytes.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND``,
            ``STORAGE_READ_FAILED`` or ``INVALID_STORAGE_KEY``.
        """

    def stat(self, key: str) -> PacsResult[StoredObject]:
        """Describe an object; failures as :meth:`open`."""

    def delete(self, key: str) -> PacsResult[None]:
        """Remove an object.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND``,
            ``STORAGE_DELETE_FAILED`` or ``INVALID_STORAGE_KEY``.
        """

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield every object whose key starts with the prefix, in the order of keys."""

    def health(self) -> PacsResult[StorageHealth]:
        """Tell whether more can be stored, or ``Failure`` with ``STORAGE_READ_FAILED``."""


_MAX_COMPONENTS: Final = 8
_COMPONENT: Final = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._-]{0,127}", re.ASCII)
"""No leading dot: neither ``..`` nor a hidden name can be formed."""


def checked_key(key: str) -> tuple[str, ...]:
    """Split a key, or raise ``INVALID_STORAGE_KEY``: keys are made of untrusted UIDs."""
    components = tuple(key.split("/"))
    if len(components) > _MAX_COMPONENTS or not all(map(_COMPONENT.fullmatch, components)):
        raise PacsException(
            ErrorCode.INVALID_STORAGE_KEY,
            f"{key[:160]!r} cannot name a stored object: components of letters, digits, "
            "'.', '_' and '-' are allowed, separated by '/'",
        )
    return components


def duplicate_error(key: str) -> PacsException:
    """Say that a key is taken by other bytes."""
    return PacsException(
        ErrorCode.DUPLICATE_OBJECT, f"another object is already stored as {key}", key=key
    )
