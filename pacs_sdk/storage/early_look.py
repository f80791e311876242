"""What is found out about an instance before all of it has arrived: its sender is busy anyway.

The index attributes are in the first bytes of a data set. What is known by the end need not be
found out while the sender waits for its answer
(docs/explanation/decisions/0032-what-one-python-thread-costs.md).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import PacsException
from pacs_sdk.encoding import Instance, InstanceHeader
from pacs_sdk.encoding.instance import HEAD_BYTES
from pacs_sdk.storage.index.index_transactions import Absence
from pacs_sdk.storage.objects.received import ReceivedBytes
from pacs_sdk.storage.records import InstanceIdentity

__all__ = ["Description", "EarlyLook", "early_look_at"]


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
