"""What an association is given besides its connection: limits, and where bytes go."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable
from typing import Final

import attrs

from pacs_sdk.network.connection.inbox import SinkFactory, default_sink
from pacs_sdk.network.sink import DEFAULT_MAX_DATASET_BYTES

__all__ = ["AssociationOptions", "ReceiveBuffers"]

RECEIVE_BUFFER_BYTES: Final = 576 << 10
"""One read takes up to this much: an image of 512 x 512 pixels of 16 bits and what is around
them. So the usual image is looked at once and written at once; more gains nothing."""


class ReceiveBuffers(threading.local):
    """A receive buffer for each thread: it is in use only while what it holds is acted on."""

    def __init__(self) -> None:
        # Mapped, so that it takes real memory only as far as something was ever read into it:
        # most of what an idle association has received fits in one page.
        self.view = memoryview(mmap.mmap(-1, RECEIVE_BUFFER_BYTES))
        """The calling thread's."""


def _never() -> bool:
    return False


@attrs.frozen
class AssociationOptions:
    """How an association behaves towards its peer."""

    send_timeout_s: float
    """How long the peer may take no data."""
    message_timeout_s: float | None = None
    """How long a message may take from its first byte to its last; any time if ``None``."""
    command_timeout_s: float | None = None
    """How long its command set may take, which comes first; as long as all of it if ``None``."""
    open_sink: SinkFactory = default_sink
    """Opens what takes a data set piece by piece."""
    buffers: ReceiveBuffers = attrs.field(factory=ReceiveBuffers)
    """Where bytes are read to; many associations may share them."""
    is_alone: Callable[[], bool] = _never
    """Whether processors have nothing else to do, so that a moment may be waited actively."""
    max_dataset_bytes: int = DEFAULT_MAX_DATASET_BYTES
    """Longer data sets are read to their end, and not kept."""
