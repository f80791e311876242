"""What is found out about an instance while its sender, or the disk, is busy with it anyway.

The index attributes are in the first bytes of a data set. What is known by the end need not be
found out while the sender waits for its answer
(docs/explanation/decisions/0032-what-one-python-thread-costs.md).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import PacsException
from pacs_sdk.encoding import Instance, InstanceHeader, part10_header
from pacs_sdk.encoding.instance import HEAD_BYTES
from pacs_sdk.storage.index.absences import Absence
from pacs_sdk.storage.objects.backend import ReceivingBackend
from pacs_sdk.storage.objects.received import ReceivedBytes, ReceivedObject
from pacs_sdk.storage.records import InstanceIdentity

__all__ = ["Description", "EarlyLook", "early_look_at", "written_ahead"]

_PIECE_BYTES: Final = 1 << 24
"""A large instance is written in pieces of this, each of which the disk begins with at once: what is
hashed a moment later is not far from the processor then, and smaller ones take longer."""


@attrs.frozen
class Description:
    """What an instance tells of itself."""

    header: InstanceHeader
    """Its attributes."""
    identity: InstanceIdentity
    """Its UIDs."""
    storage_key: str
    """The key of its object."""


@attrs.define
class EarlyLook:
    """Looks at the head of an instance while the rest is on its way."""

    announced: tuple[str, str, str]
    """SOP Class UID, SOP Instance UID and Transfer Syntax UID, as the request has them."""
    describe: Callable[[Instance], Description]
    """Describes an instance, or raises ``PacsException``."""
    look_up: Callable[[str], Absence | None]
    """Looks for an instance by its SOP Instance UID in the index; may raise ``PacsException``."""
    absence: Absence | None = None
    """That it was not indexed when it began to arrive."""
    description: Description | None = None
    """What its head tells, as far as that is all there is to tell."""

    def begun(self) -> None:
        """Look for an instance in the index, which is long enough that there is time for it."""
        with contextlib.suppress(PacsException):  # whoever stores it is told
            self.absence = self.look_up(self.announced[1])

    def __call__(self, head: memoryview) -> None:
        """Look at the first ``HEAD_BYTES`` bytes of a data set that is longer."""
        instance = Instance(*self.announced, encoded=MemoryBytes(head))
        with contextlib.suppress(Exception):  # it is met again, and told, when it is stored
            if not instance.syntax.deflated:
                description = self.describe(instance)
                if description.header.stop_offset < HEAD_BYTES:  # else there may be more behind
                    self.description = description


def early_look_at(instance: Instance) -> EarlyLook | None:
    """Return the look that was taken at an instance that is just arriving, if it is that one."""
    encoded = instance.encoded
    look = encoded.received.look if isinstance(encoded, ReceivedBytes) else None
    announced = instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    return look if isinstance(look, EarlyLook) and look.announced == announced else None


def written_ahead(instance: Instance, receiving: ReceivingBackend | None) -> ReceivedObject | None:
    """Write a new, large instance before it is looked at, if it is going to be flushed.

    The disk is busy with it then meanwhile. Whoever asked for it discards it in the end.

    Args:
        instance: What is in memory, or mapped.
        receiving: Where it goes, if that can write what has no key yet.

    Returns:
        The object, complete, without a key; ``None`` where it is to be put as others are. So it is after an
        error, too, which is met again there, and told.
    """
    encoded = instance.encoded
    if receiving is None or not isinstance(encoded, MemoryBytes):
        return None
    announced = instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    with contextlib.suppress(PacsException, OSError):
        received = receiving.receive(part10_header(*announced))
        if not received.is_durable:
            return None
        view = encoded.view()
        try:
            for start in range(0, view.nbytes, _PIECE_BYTES):
                received.write(view[start : start + _PIECE_BYTES])
            received.finish()  # here, where an error of the last of it is expected
        except BaseException:
            received.discard()
            raise
        return received
    return None
