"""The storage port: where objects lie, whatever holds them.

A backend has the semantics of an object store: an object is put as a whole, appears at
once or not at all, and is never changed, only replaced. Objects are named by keys such
as ``study/series/sop.dcm``. ``tests/storage/test_backend_contract.py`` says what a
backend has to do; a new one is added to its list.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, runtime_checkable

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult
from pacs_sdk.storage.objects.received import ReceivedObject

__all__ = [
    "DEVICE_NAME",
    "MAX_COMPONENT_LENGTH",
    "MAX_KEY_COMPONENTS",
    "MAX_KEY_LENGTH",
    "SMALL_OBJECT_BYTES",
    "DuplicatePolicy",
    "Durability",
    "NewObject",
    "ReceivingBackend",
    "SmallObjectBackend",
    "StorageBackend",
    "StorageHealth",
    "StoredObject",
    "checked_key",
    "checked_prefix",
]

MAX_COMPONENT_LENGTH: Final = 128
"""Characters between two slashes: a UID has 64; file systems take 255 bytes."""

MAX_KEY_COMPONENTS: Final = 8
"""Study, series and instance need three; deeper layouts by date need a few more."""

MAX_KEY_LENGTH: Final = 512
"""Characters of a whole key; object stores take 1024 bytes."""

SMALL_OBJECT_BYTES: Final = 1 << 16
"""Objects of up to so many bytes may be put together (:class:`SmallObjectBackend`). Larger ones
are not worth it: their bytes take longer than all else."""

_COMPONENT: Final = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?", re.ASCII)
"""No dot first (hidden names, ``.`` and ``..``) and none last (Windows drops it)."""

_SHORT_NUMBER: Final = r"[0-9](?:[0-9.]{0,62}[0-9])?"
_KEY_OF_UIDS: Final = re.compile(rf"{_SHORT_NUMBER}(?:/{_SHORT_NUMBER}){{0,4}}(?:\.dcm)?", re.ASCII)
"""What nearly all keys look like; one match tells that nothing is wrong with them."""

_PARTIAL_COMPONENT: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*)?", re.ASCII)

DEVICE_NAME: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
"""Names that Windows takes for devices in any folder, with any extension."""


class DuplicatePolicy(enum.StrEnum):
    """What happens to an object whose key is taken by other bytes.

    The same bytes again are accepted under every policy and change nothing.
    """

    REJECT = "reject"
    """The new object is refused (``DUPLICATE_OBJECT``)."""
    REPLACE = "replace"
    """The new object takes the old one's place."""
    IGNORE = "ignore"
    """The first object stays; the new one is dropped, and that is a success."""
    KEEP_BOTH = "keep_both"
    """The first object stays the instance; the archive keeps the new one beside it, under
    another key. A backend has one object under a key: there this is as ``REJECT``."""


class Durability(enum.StrEnum):
    """When a put is answered."""

    DURABLE = "durable"
    """After the object and its name are on the disk: it survives a power failure."""
    RELAXED = "relaxed"
    """After the operating system has it: it survives the end of the process."""


@attrs.frozen
class StoredObject:
    """What is known of an object without reading it."""

    key: str
    """Its name."""
    size_bytes: int
    """How many bytes it has."""
    created: bool = False
    """Whether the call that returned this wrote it; always false from ``stat`` and
    ``list``."""


@attrs.frozen
class NewObject:
    """An object that is to be put."""

    key: str
    """Its name."""
    parts: Sequence[Buffer]
    """Its bytes, one part after the other."""


@attrs.frozen
class StorageHealth:
    """Whether a backend can take more."""

    free_bytes: int
    """How much room is left."""
    writable: bool
    """Whether an object could be written just now; it was tried."""


@runtime_checkable
class StorageBackend(Protocol):
    """Keeps objects by key. Every method may be called from any thread."""

    def put(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> PacsResult[StoredObject]:
        """Store an object; it appears whole or not at all.

        Args:
            key: Its name.
            parts: Its bytes, one part after the other.
            policy: What to do where the key is taken.

        Returns:
            ``Success``, with ``created`` telling whether the bytes were written (false:
            they were there already, or the policy kept the first object); or
            ``Failure`` with ``DUPLICATE_OBJECT``, ``INVALID_STORAGE_KEY`` or
            ``STORAGE_WRITE_FAILED``.
        """

    def open(self, key: str) -> PacsResult[ByteSource]:
        """Give an object's bytes.

        The source raises ``PacsException`` (``OBJECT_NOT_FOUND``, ``TRUNCATED``,
        ``STORAGE_READ_FAILED``) where the object has gone or changed when it is read.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND``,
            ``INVALID_STORAGE_KEY`` or ``STORAGE_READ_FAILED``.
        """

    def stat(self, key: str) -> PacsResult[StoredObject]:
        """Tell an object's size; failures as :meth:`open`."""

    def delete(self, key: str) -> PacsResult[None]:
        """Remove an object.

        Returns:
            ``Success``, or ``Failure`` with ``OBJECT_NOT_FOUND``,
            ``INVALID_STORAGE_KEY`` or ``STORAGE_DELETE_FAILED``.
        """

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose keys begin with a text, in the order of their keys.

        Keys are compared component by component. Objects that come or go meanwhile may
        or may not be among them.

        Raises:
            PacsException: ``INVALID_STORAGE_KEY`` or ``STORAGE_READ_FAILED``.
        """

    def health(self) -> PacsResult[StorageHealth]:
        """Tell how much room is left, and try whether something can be written.

        Returns:
            ``Success``, or ``Failure`` with ``STORAGE_READ_FAILED`` where the storage
            isn't there at all.
        """

    def close(self) -> None:
        """Give back what the backend holds; it is not used afterwards, but perhaps closed again."""


@runtime_checkable
class ReceivingBackend(Protocol):
    """A backend that can write an object while it arrives, before its key is known."""

    def receive(self, meta: bytes) -> ReceivedObject:
        """Begin an object; whoever asked for it discards it in the end.

        Args:
            meta: What it begins with.

        Raises:
            PacsException: ``STORAGE_WRITE_FAILED``.
        """

    def put_received(
        self,
        key: str,
        received: ReceivedObject,
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> PacsResult[StoredObject]:
        """Store an object that this backend has received, as :meth:`StorageBackend.put` does.

        Args:
            key: Its name.
            received: The object, which is complete.
            policy: What to do where the key is taken.
        """


@runtime_checkable
class SmallObjectBackend(Protocol):
    """A backend that can put several small objects in less time than one after the other."""

    def put_small(self, objects: Sequence[NewObject]) -> Sequence[bool]:
        """Put what is new among objects of up to ``SMALL_OBJECT_BYTES``.

        Returns:
            For each whether it was written, and is as safe as after a ``put``. What was not is
            to be put alone, which tells why: its name is taken, it is too large, the disk is
            full.
        """


def checked_key(key: str) -> tuple[str, ...]:
    """Return a key's components, or raise ``INVALID_STORAGE_KEY``.

    Only letters, digits, dots, hyphens and underscores pass, so a key can neither leave
    its root nor mean something to a file system or an object store.
    """
    components = tuple(key.split("/"))
    if _KEY_OF_UIDS.fullmatch(key) is not None:
        return components
    if len(key) > MAX_KEY_LENGTH or len(components) > MAX_KEY_COMPONENTS:
        raise _invalid(key, f"longer than {MAX_KEY_LENGTH} characters or too deep")
    for component in components:
        if len(component) > MAX_COMPONENT_LENGTH:
            raise _invalid(key, f"a component has more than {MAX_COMPONENT_LENGTH} characters")
        if _COMPONENT.fullmatch(component) is None:
            raise _invalid(key, f"{component[:80]!r} cannot be a component")
        if DEVICE_NAME.fullmatch(component) is not None:
            raise _invalid(key, f"{component!r} names a device on Windows")
    return components


def checked_prefix(prefix: str) -> tuple[tuple[str, ...], str]:
    """Return a prefix's whole components and what its last one begins with.

    Raises:
        PacsException: ``INVALID_STORAGE_KEY`` where no key can begin like that.
    """
    folder, _, partial = prefix.rpartition("/")
    if prefix.startswith("/") or _PARTIAL_COMPONENT.fullmatch(partial) is None:
        raise _invalid(prefix, "no key begins like that")
    return (checked_key(folder) if folder else ()), partial


def _invalid(key: str, reason: str) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_STORAGE_KEY,
        f"{key[:80]!r} cannot name a stored object: {reason}",
        key=key[:MAX_KEY_LENGTH],
    )
